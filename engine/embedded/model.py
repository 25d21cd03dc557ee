"""Runs the built-in small model on the CPU, word by word, without ever holding up the event loop.

Importing this module loads CTranslate2 and numpy, a few tenths of a second: do it before the loop
runs. Everything else that takes time happens in the model's own threads.
"""

import asyncio
import atexit
import codecs
import json
import math
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import ctranslate2
from tokenizers import Tokenizer

from engine.embedded.prompt import END, START, harmless, opening_of_answer, split, words

WEIGHTS: Final = Path(__file__).parent / "weights" / "ct2"
CONTEXT: Final = 640
"""Tokens of prompt and answer together: the longest chats seen in training."""
SYSTEM_ROOM: Final = 120
TOOLS_ROOM: Final = 220
SHORTEST_ANSWER: Final = 16
JUDGED: Final = 3
"""Tokens from which it shows whether the model knows what it is about to say."""
SURETY: Final = 0.5
FALLBACK: Final = (
    "I'm only Moltgate's small built-in demo model, so I can't answer that. A real model can: set "
    'engines: {home: {url: "http://localhost:8000/v1"}} in moltgate.yaml, or run moltgate init.'
)
"""The honest answer to whatever it does not know, word for word as it is trained."""

_CALL_OPENS, _CALL_CLOSES = "<tool_call>", "</tool_call>"
_ENDS = (END, START, "<|endoftext|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asks for. `arguments` is JSON text, as in the OpenAI API."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an answer ended, and what it took."""

    finish_reason: Literal["stop", "length", "tool_calls"]
    prompt_tokens: int
    completion_tokens: int
    tool_calls: tuple[ToolCall, ...] = ()


class Answer(AsyncIterator[str]):
    """The answer while it is written: iterate for its pieces, then read `end`.

    `end` is None until the last piece has been read, and stays None when the answer or the model
    was closed early. Closing stops the model at its next token.
    """

    def __init__(self, pieces: AsyncGenerator[str | End, None]) -> None:
        self._pieces = pieces
        self.end: End | None = None

    async def __anext__(self) -> str:
        piece = await anext(self._pieces)
        if isinstance(piece, End):
            self.end = piece
            return await anext(self)  # nothing follows, so this ends the iteration
        return piece

    async def aclose(self) -> None:
        await self._pieces.aclose()

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


class EmbeddedModel:
    """The built-in model, loaded when first asked.

    `threads` answers are written at once; more wait for their turn. Where the model's first words
    are less likely than `surety`, it says instead that it cannot answer. Close it when done: the
    process may abort at exit while a CTranslate2 generator is alive, so whatever is still open
    then is closed by an exit hook.
    """

    def __init__(
        self, folder: Path | None = None, threads: int = 1, *, surety: float = SURETY
    ) -> None:
        self._folder = folder or WEIGHTS
        self._least = math.log(surety) if surety > 0 else -math.inf
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embedded-model")
        self._loading = threading.Lock()
        self._generator: Any = None
        self._closed = threading.Event()
        _open.add(self)

    def stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int = 160,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Answer:
        """The answer to OpenAI-style messages, as it is written.

        The oldest turns are left out where the context is too short, and of many tools only the
        first few are shown to the model. A tool call is not streamed: it is in `end`.
        """
        return Answer(self._pieces(messages, max_tokens, tuple(tools or ())))

    def count_tokens(self, text: str) -> int:
        """Tokens of a text as the model would read it in a message."""
        return len(self._encode(harmless(text)))

    def close(self) -> None:
        """Stop what is being written and free the model. It cannot be asked again."""
        self._closed.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._loading:
            self._generator = None

    async def _pieces(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_tokens: int,
        tools: Sequence[Mapping[str, Any]],
    ) -> AsyncGenerator[str | End, None]:
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
        stop = threading.Event()

        def told(step: Any) -> bool:
            """Called in the model's thread for every token; True stops the answer."""
            if stop.is_set() or self._closed.is_set():
                return True
            try:
                loop.call_soon_threadsafe(steps.put_nowait, (step.token, step.log_prob))
            except RuntimeError:  # the loop was closed without closing the answer
                return True
            return False

        work = loop.run_in_executor(self._pool, self._write, messages, max_tokens, tools, told)
        # Scheduled behind every token of the answer, so nothing is missed.
        work.add_done_callback(lambda _: steps.put_nowait(None))
        text = _Text(holds_calls=bool(tools))
        shown = ""
        judged, likelihood, doubtful = 0, 0.0, False
        try:
            while (step := await steps.get()) is not None:
                token, log_prob = step
                shown += "" if token in _ENDS else text.add(token)
                if judged < JUDGED:
                    judged += 1
                    likelihood += log_prob
                    if judged < JUDGED and token not in _ENDS:
                        continue
                    if doubtful := likelihood < self._least:
                        stop.set()
                        break
                    judged = JUDGED
                if shown:
                    yield shown
                    shown = ""
            prompt_tokens, completion_tokens, complete = await work
        finally:
            stop.set()
            work.cancel()
        if self._closed.is_set() and not complete:
            return
        if doubtful or not completion_tokens:
            yield FALLBACK
            said = self.count_tokens(FALLBACK)
            yield End(finish_reason="stop", prompt_tokens=prompt_tokens, completion_tokens=said)
            return
        rest, calls = text.finish()
        if shown + rest:
            yield shown + rest
        yield End(
            finish_reason="tool_calls" if calls else "stop" if complete else "length",
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            tool_calls=calls,
        )

    def _write(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_tokens: int,
        tools: Sequence[Mapping[str, Any]],
        told: Any,
    ) -> tuple[int, int, bool]:
        """Write one answer, in one of the model's threads: sizes, and whether it came to an end."""
        longest = max(1, min(max_tokens, CONTEXT - SYSTEM_ROOM - TOOLS_ROOM - SHORTEST_ANSWER))
        prompt = self._fit(messages, tools, CONTEXT - longest)
        with self._loading:
            if self._closed.is_set():
                raise RuntimeError("the built-in model is closed")
            if self._generator is None:
                self._generator = ctranslate2.Generator(
                    str(self._folder),
                    device="cpu",
                    compute_type="int8",
                    inter_threads=self._threads,
                    intra_threads=1,
                )
            generator = self._generator
        (result,) = generator.generate_batch(
            [prompt],
            max_length=longest,
            include_prompt_in_result=False,
            end_token=list(_ENDS),
            return_end_token=True,
            return_scores=True,  # else the steps carry no log_prob
            callback=told,
        )
        said: list[str] = result.sequences[0]
        complete = bool(said) and said[-1] in _ENDS
        return len(prompt), len(said) - complete, complete

    def _fit(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], room: int
    ) -> list[str]:
        """The prompt's tokens: as much as there is room for, the newest turn in any case."""
        shown: list[Mapping[str, Any]] = []
        for tool in tools:
            if len(self._encode(split((), [*shown, tool])[0])) > TOOLS_ROOM:
                break
            shown.append(tool)
        others = [m for m in messages if m.get("role") not in {"system", "developer"}]
        system = "\n".join(
            words(m.get("content")) for m in messages if m.get("role") in {"system", "developer"}
        )
        system = self._cut(system, SYSTEM_ROOM)
        opening, _ = split([{"role": "system", "content": system}] if system else (), shown)
        prompt = self._encode(opening)
        answer = self._encode(opening_of_answer())
        room -= len(prompt) + len(answer)
        if others:
            newest = {**others[-1]}
            newest["content"] = self._cut(words(newest.get("content")), room - SHORTEST_ANSWER)
            others[-1] = newest
        kept: list[list[str]] = []
        for turn in reversed(split(others)[1]):
            tokens = self._encode(turn)
            if kept and len(tokens) > room:
                break
            kept.append(tokens)
            room -= len(tokens)
        return [*prompt, *(token for tokens in reversed(kept) for token in tokens), *answer]

    def _cut(self, text: str, room: int) -> str:
        """The text, or as much of its beginning and end as there is room for."""
        width = 4 * CONTEXT
        while True:
            short = text if len(text) <= width else f"{text[: width // 2]} … {text[-width // 2 :]}"
            if width < 8 or len(self._encode(harmless(short))) <= room:
                return short
            width = width * 3 // 4 if len(text) > width else len(text) * 3 // 4

    def _encode(self, text: str) -> list[str]:
        whole = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate becomes "?"
        tokens: list[str] = self._tokenizer.encode(whole, add_special_tokens=False).tokens
        return tokens

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(self._folder / "tokenizer.json"))


class _Text:
    """Tokens to text: whole characters only, and tool calls held back to be read at the end."""

    def __init__(self, *, holds_calls: bool) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._holds_calls = holds_calls
        self._held = ""

    def add(self, token: str) -> str:
        """What can be shown now that this token has come; often nothing."""
        text = self._decode(bytes(_BYTES[sign] for sign in token))
        if not self._holds_calls:
            return text
        self._held += text
        if self._held.startswith(_CALL_OPENS) or _CALL_OPENS.startswith(self._held):
            return ""
        self._holds_calls = False
        return self._held

    def finish(self) -> tuple[str, tuple[ToolCall, ...]]:
        """What is left to show, and the calls. Calls that cannot be read are shown as text."""
        rest = self._decode(b"", final=True)
        if not self._holds_calls:
            return rest, ()
        held = self._held + rest
        if calls := tool_calls(held):
            return "", calls
        return held, ()


def tool_calls(text: str) -> tuple[ToolCall, ...]:
    """The hermes-style calls of an answer; none at all when one of them is broken."""
    calls = []
    for piece in text.split(_CALL_OPENS)[1:]:
        written, closed, _ = piece.partition(_CALL_CLOSES)
        try:
            call = json.loads(written) if closed else None
        except ValueError:
            return ()
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return ()
        arguments = json.dumps(call.get("arguments") or {}, ensure_ascii=False)
        calls.append(ToolCall(name=call["name"], arguments=arguments))
    return tuple(calls)


def _byte_alphabet() -> dict[str, int]:
    """The characters that stand for bytes in byte-level BPE: printable ones for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    hidden = (byte for byte in range(0x100) if byte not in set(printable))
    return alphabet | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()
_open: "weakref.WeakSet[EmbeddedModel]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for model in list(_open):
        model.close()
