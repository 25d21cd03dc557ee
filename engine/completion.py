"""An answer put together from what an OpenAI-compatible server sends. No waiting, no network.

An answer counts as complete only when a finish reason was seen and nothing spoke against it:
servers do fail in the middle of a response that began with 200.
"""

from __future__ import annotations

import msgspec

from engine.sse import Event
from gateway.ports import Usage

_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
"""Finish reasons of the servers in use, in the words of the port. Anything else is a failure."""

_NOTHING = (b"", b"null", b'""')


class Malformed(ValueError):
    """The server's answer cannot be trusted to be one."""


class Reported(Exception):
    """The server said inside a response that it failed."""

    def __init__(self, status: int, kind: str = "", message: str = "") -> None:
        super().__init__(f"status {status} {kind}".strip())
        self.status = status
        """As an HTTP status would have said it; 500 when the server gave none."""
        self.kind = kind
        self.message = message
        """The server's own words; may quote the request, so not for logs above debug."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int = 0
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    reasoning: msgspec.Raw = msgspec.Raw()
    reasoning_content: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    object: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: int | str | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_usage = msgspec.json.Decoder(_Usage)
_error = msgspec.json.Decoder(_Error)
_string = msgspec.json.Decoder(str)
_json = msgspec.json.Decoder()
_wrapped = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Answer:
    """One answer as it comes in, by events of a stream or as a whole."""

    def __init__(self, *, max_text: int = 2**20) -> None:
        self._max_text = max_text
        self._size = 0
        self._arguments: dict[int, list[str]] = {}
        self._usage = b""
        self._last: Event | None = None
        self._reason: str | None = None
        self.model = ""
        self.done = False
        """Whether the server said that nothing more follows."""
        self.beats = 0
        """Rises with every sign of progress: text, reasoning, a tool call, the finish."""

    @property
    def empty(self) -> bool:
        return self._size == 0

    def feed(self, event: Event) -> str:
        """The text one event adds. Raises `Malformed` and `Reported`."""
        if self.done or event.data == b"[DONE]":
            self.done = True  # and whatever a server says after that is not part of the answer
            return ""
        if event.id and self._repeats(event):
            return ""
        if event.name == b"error":
            raise reported(event.data)
        return self._take(event.data, whole=False)

    def whole(self, body: bytes) -> str:
        """The text of a response that came in one piece. Raises `Malformed` and `Reported`."""
        text = self._take(body, whole=True)
        self.done = True
        return text

    def finish(self) -> str:
        """The finish reason, at the end of a response that ended cleanly. Raises `Malformed`."""
        if self._reason is None:
            raise Malformed("it ended without a finish reason")
        if self._reason == "tool_calls":
            self._check_arguments()
        return self._reason

    def usage(self) -> Usage:
        """Tokens as counted by the server; zero where it did not say."""
        try:
            counted = _usage.decode(self._usage)
        except _BROKEN:
            return Usage()
        return Usage(
            prompt_tokens=counted.prompt_tokens or 0,
            completion_tokens=counted.completion_tokens or 0,
        )

    def _repeats(self, event: Event) -> bool:
        """Whether a counting server sent the same numbered event again."""
        last, self._last = self._last, event
        return event == last and event.id.isdigit()

    def _take(self, data: bytes, *, whole: bool) -> str:
        try:
            chunk = _chunk.decode(data)
        except _BROKEN as problem:
            raise Malformed(f"no valid JSON of a completion ({type(problem).__name__})") from None
        if chunk.object == "error" or bytes(chunk.error) not in _NOTHING:
            raise reported(data)
        if chunk.model:
            self.model = chunk.model
        if chunk.usage:
            self._usage = bytes(chunk.usage)
        for choice in chunk.choices:
            if choice.index == 0:
                return self._choose(choice, choice.message if whole else choice.delta)
        return ""

    def _choose(self, choice: _Choice, delta: _Delta | None) -> str:
        text = self._write(delta) if delta is not None else ""
        if choice.finish_reason:
            self._end(choice.finish_reason)
        return text

    def _write(self, delta: _Delta) -> str:
        text = delta.content or delta.refusal or ""
        if text:
            if "\0" in text:
                text = text.replace("\0", "")
            self._grow(len(text))
            self._size += len(text)
        elif delta.tool_calls:
            for call in delta.tool_calls:
                self._call(call)
        elif (
            bytes(delta.reasoning_content) not in _NOTHING or bytes(delta.reasoning) not in _NOTHING
        ):
            self.beats += 1
        return text

    def _grow(self, length: int) -> None:
        if self._reason is not None:
            raise Malformed("it went on after its finish reason")
        if self._size + length > self._max_text:
            raise Malformed(f"longer than {self._max_text} characters")
        self.beats += 1

    def _call(self, call: _ToolCall) -> None:
        piece = (call.function and call.function.arguments) or ""
        self._grow(len(piece))
        self._max_text -= len(piece)
        self._arguments.setdefault(call.index, []).append(piece)
        if len(self._arguments) > 128:
            raise Malformed("more tool calls than can be meant")

    def _end(self, said: str) -> None:
        reason = _REASONS.get(said)
        if reason is None:
            raise Malformed("finish reason that is none")
        if self._reason not in (None, reason):
            raise Malformed("two different finish reasons")
        self._reason = reason
        self.beats += 1

    def _check_arguments(self) -> None:
        for pieces in self._arguments.values():
            arguments = "".join(pieces)
            try:
                _json.decode(arguments or "{}")
            except _BROKEN:
                raise Malformed("a tool call was cut off") from None


def reported(body: bytes) -> Reported:
    """What a server said about its failure, in whichever of the usual forms."""
    try:
        fields = _wrapped.decode(body)
    except _BROKEN:
        return Reported(500)
    inner = bytes(fields.get("error", b""))
    if inner in _NOTHING:
        inner = body
    try:
        error = _error.decode(inner)
    except _BROKEN:
        return Reported(500, message=_words(inner))
    code = str(error.code or "")
    status = int(code) if code.isdecimal() else 500
    kind = error.code if isinstance(error.code, str) and status == 500 else error.type
    return Reported(
        status if 400 <= status <= 599 else 500, (kind or "")[:64], (error.message or "")[:500]
    )


def _words(raw: bytes) -> str:
    try:
        return _string.decode(raw)[:500]
    except _BROKEN:
        return ""
