"""What broken and odd model servers send, as a table: each script with what may come of it.

A script is a list of steps on the wire. `text` is the answer a careful client gets out of it;
None where no answer may be shown at all.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Repeat:
    """Bytes sent over and over, without end when `times` is None."""

    data: bytes
    times: int | None = None


Step = bytes | Repeat | Literal["stall", "cut"]
"""``stall``: nothing more, the connection stays. ``cut``: the connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    steps: Sequence[Step]
    text: str | None = None
    """The right answer; None when every answer would be a wrong one."""
    or_error: bool = False
    """An error will do as well: it depends on which packet is read first."""
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    if text is not None:
        delta["content"] = text
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake",
        "choices": [choice],
    }


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def usage(prompt: int = 3, completion: int = 2) -> bytes:
    counted = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "model": "fake", "usage": counted})


def _call(arguments: str, finish: str | None = None) -> bytes:
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": arguments}}
    return event(chunk(finish=finish, tool_calls=[call]))


def _bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


ROLE = event(chunk("", role="assistant"))
HEL, LO, END = event(chunk("Hel")), event(chunk("lo")), event(chunk(finish="stop"))
HELLO = HEL + LO + END + DONE
SMILE = event(chunk("né 😀")) + END + DONE
WHOLE: dict[str, Any] = {
    "object": "chat.completion",
    "model": "fake",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def _whole(**changed: Any) -> bytes:
    return json.dumps({**WHOLE, **changed}).encode()


def _json(*steps: Step, text: str | None = None) -> Script:
    return Script(steps=steps, text=text, content_type="application/json")


def _good(*steps: Step, text: str = "Hello") -> Script:
    return Script(steps=steps, text=text)


def _bad(*steps: Step) -> Script:
    return Script(steps=steps)


def _crlf(data: bytes, ends: Iterable[bytes]) -> bytes:
    lines, ending = data.split(b"\n"), list(ends)
    return b"".join(
        line + (ending[i % len(ending)] if i < len(lines) - 1 else b"")
        for i, line in enumerate(lines)
    )


SCRIPTS: dict[str, Script] = {
    # Odd, and right.
    "plain": _good(ROLE + HELLO),
    "one byte at a time": _good(*_bytewise(HELLO)),
    "split utf-8": _good(*_bytewise(SMILE), text="né 😀"),
    "crlf": _good(_crlf(HELLO, [b"\r\n"])),
    "cr only": _good(_crlf(HELLO, [b"\r"])),
    "mixed line ends": _good(_crlf(HELLO, [b"\r\n", b"\n", b"\r"])),
    "cr and lf in two packets": _good(*_bytewise(_crlf(HELLO, [b"\r\n"]))),
    "byte order mark": _good(b"\xef\xbb\xbf" + HELLO),
    "comments and pings": _good(b": ping\n\n" + HEL + b":\n: keep\n" + LO + END + DONE),
    "unknown fields": _good(b"retry: 10\nfoo\nfoo: bar\n" + HELLO),
    "event names and ids": _good(
        b"event: message\nid: 1\n" + HEL + b"id: 2\n" + LO + b"id: 3\n" + END + DONE
    ),
    "no space after colon": _good(HELLO.replace(b"data: ", b"data:")),
    "data in several lines": _good(
        HEL.replace(b', "choices"', b',\ndata: "choices"') + LO + END + DONE
    ),
    "no done but clean end": _good(HEL + LO + END),
    "done without a blank line": _good(HEL + LO + END + b"data: [DONE]"),
    "text with the finish": _good(HEL + event(chunk("lo", "stop")) + DONE),
    "empty deltas": _good(HEL + event(chunk("")) + event(chunk()) + LO + END + DONE),
    "null delta": _good(HEL + event({"choices": [{"index": 0, "delta": None}]}) + LO + END + DONE),
    "usage at the end": _good(HEL + LO + END + usage() + DONE),
    "usage of a strange kind": _good(
        HEL + LO + END + event({"choices": [], "usage": ["?"]}) + DONE
    ),
    "error null": _good(HEL + LO + event({**chunk(finish="stop"), "error": None}) + DONE),
    "finish twice the same": _good(HEL + LO + END + END + DONE),
    "numbered events twice": _good(
        b"id: 1\n" + HEL + b"id: 1\n" + HEL + b"id: 2\n" + LO + b"id: 3\n" + END + DONE
    ),
    "another choice beside": _good(
        HEL + event({"choices": [{"index": 1, "delta": {"content": "X"}}]}) + LO + END + DONE
    ),
    "other words for stop": _good(HEL + LO + event(chunk(finish="eos_token")) + DONE),
    "reasoning before": _good(event(chunk(reasoning_content="hm")) + HELLO),
    "events after done": _good(HELLO + event(chunk("junk"))),
    "junk after done": _good(HELLO + b"\x00\xff{{{"),
    "done and then nothing": _good(HELLO, "stall"),
    "done and then cut": Script(steps=[HELLO, "cut"], text="Hello", or_error=True),
    "escaped nul": _good(HEL + event(chunk("\0lo")) + END + DONE),
    "json though a stream was asked": _json(_whole(), text="Hello"),
    "long but allowed": _good(event(chunk("x" * 200_000)) + END + DONE, text="x" * 200_000),
    # Broken: nothing of it may pass for an answer.
    "broken json": _bad(HEL + b'data: {"choices": [{"del\n\n' + END + DONE),
    "half an event, then done": _bad(HEL + b'data: {"choices"' + DONE),
    "not json": _bad(b"data: hello\n\n" + END + DONE),
    "json of another shape": _bad(HEL + b'data: {"choices": "none"}\n\n' + END + DONE),
    "a bare list": _bad(b"data: []\n\n" + END + DONE),
    "deep nesting": _bad(b'data: {"x": ' + b"[" * 200_000 + b"\n\n" + DONE),
    "invalid utf-8": _bad(HEL.replace(b"Hel", b"\xff\xfe") + END + DONE),
    "raw nul": _bad(HEL.replace(b"Hel", b"H\0l") + END + DONE),
    "unpaired surrogate": _bad(HEL.replace(b"Hel", b"\\ud83d") + END + DONE),
    "no finish reason": _bad(HEL + LO + DONE),
    "neither finish nor done": _bad(HEL + LO),
    "done at once": _bad(DONE),
    "empty stream": _bad(b""),
    "finish without text": _bad(END + DONE),
    "only reasoning": _bad(event(chunk(reasoning_content="hm")) + END + DONE),
    "two finish reasons": _bad(HEL + LO + END + event(chunk(finish="length")) + DONE),
    "text after the finish": _bad(HEL + END + LO + DONE),
    "finish reason abort": _bad(HEL + LO + event(chunk(finish="abort")) + DONE),
    "finish reason unheard of": _bad(HEL + LO + event(chunk(finish="banana")) + DONE),
    "error frame": _bad(HEL + event({"error": {"message": "out of memory", "code": 500}}) + DONE),
    "error frame then done": _bad(
        HEL + LO + event({"error": {"message": "boom", "type": "x"}}) + END + DONE
    ),
    "error as text": _bad(HEL + event({"error": "boom"}) + END + DONE),
    "error object of old vllm": _bad(
        HEL + event({"object": "error", "message": "boom", "code": 503}) + END + DONE
    ),
    "error event": _bad(HEL + b'event: error\ndata: {"message": "boom"}\n\n' + END + DONE),
    "error beside choices": _bad(HEL + event({**chunk("lo", "error"), "error": {"code": 502}})),
    "cut before anything": _bad("cut"),
    "cut in the middle": _bad(HEL, "cut"),
    "cut after the finish": _bad(HEL + LO + END, "cut"),
    "cut inside an event": _bad(HEL + LO[:20], "cut"),
    "clean end inside an event": _bad(HEL + LO + END + b'data: {"usa'),
    "stall at once": _bad("stall"),
    "stall in the middle": _bad(HEL, "stall"),
    "stall after the finish": _bad(HEL + LO + END, "stall"),
    "pings for ever": _bad(HEL, Repeat(b": ping\n\n")),
    "empty chunks for ever": _bad(HEL, Repeat(b'data: {"choices": []}\n\n')),
    "reasoning for ever": _bad(Repeat(event(chunk(reasoning_content="hm " * 300)))),
    "text for ever": _bad(Repeat(event(chunk("la " * 300)))),
    "tool call for ever": _bad(Repeat(_call("[" * 900))),
    "line of 10 MB": _bad(HEL + b"data: ", Repeat(b"x" * 65536, 160), b"\n\n" + END + DONE),
    "event of 10 MB": _bad(HEL, Repeat(b"data: " + b" " * 60000 + b"\n", 180), b"\n" + END + DONE),
    "line without end": _bad(HEL, Repeat(b"x" * 4096)),
    "filtered": _bad(event(chunk(finish="content_filter")) + DONE),
    "tool call": Script(
        steps=[_call('{"a": '), _call("1}"), event(chunk(finish="tool_calls")) + DONE], text=""
    ),
    "tool call cut": _bad(_call('{"a": ') + _call("1", "tool_calls") + DONE),
    "tool call cut by length": _bad(_call('{"a": ') + event(chunk(finish="length")) + DONE),
    "html": Script(steps=[b"<html>Hello</html>"], content_type="text/html"),
    "stream called plain text": Script(steps=[HELLO], content_type="text/plain"),
    "gzip nobody asked for": Script(
        steps=[gzip.compress(HELLO)], headers={"Content-Encoding": "gzip"}
    ),
    "gzip bomb": Script(
        steps=[gzip.compress(b"data: " + b"x" * 50_000_000)],
        headers={"Content-Encoding": "gzip"},
    ),
    "json with an error": _json(b'{"error": {"message": "boom"}}'),
    "json cut": _json(_whole()[:-30]),
    "json empty": _json(b""),
    "json null": _json(b"null"),
    "json without choices": _json(_whole(choices=[])),
    "json without finish": _json(_whole().replace(b'"stop"', b"null")),
    "json without text": _json(_whole().replace(b'"Hello"', b"null")),
    "json for ever": _json(b'{"x": "', Repeat(b"x" * 65536)),
    "json in a stream's clothes": _bad(_whole()),
    "204": Script(steps=[], status=204),
    "redirect": Script(steps=[], status=307, headers={"Location": "http://127.0.0.1:9/v1"}),
}
