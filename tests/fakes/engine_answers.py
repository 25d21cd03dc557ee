"""The ways in which the fake model server answers, the right one among them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.fakes.engine_scripts import DONE, Repeat, Script, chunk, event, usage

MODEL = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """How requests are answered until told otherwise."""

    latency: float = 0.0
    """Seconds before the first byte of the body (and before the status of a whole answer)."""
    token_delay: float = 0.0
    chunks: int = 0
    """Pieces of a streamed answer; 0 for one per word."""
    status: int = 200
    retry_after: str = ""
    location: str = ""
    error: str = "scripted"
    """Message of an answer with another status."""
    code: str = ""
    refuse: bool = False
    """Reset the connection before any answer. See also `FakeEngine.stop_listening`."""
    hang: bool = False
    """Take the request and never answer."""
    headers_only: bool = False
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    stall_after: int = -1
    """Pieces after which nothing more comes."""
    cut_after: int = -1
    """Pieces after which the connection is reset."""
    script: str = ""
    """Name in `SCRIPTS`."""
    text: str = ""
    """Answer with this instead of the echo."""
    spares_probes: bool = False
    """Answer requests for a single token as if nothing was wrong."""
    times: int = 0
    """For so many requests, then none; 0 for all."""


HEALTHY = Fault()


def error(
    status: int, message: str, code: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response(
        {"error": {"message": message, "type": "fake", "code": code or status}},
        status=status,
        headers={name: value for name, value in (headers or {}).items() if value},
    )


def cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def pieces(text: str, count: int) -> list[str]:
    """The text in so many pieces; in words when it is 0."""
    if not count:
        words = text.split(" ")
        return [word if i == 0 else f" {word}" for i, word in enumerate(words)]
    text = text.ljust(count, ".")
    size, longer = divmod(len(text), count)
    found, at = [], 0
    for i in range(count):
        end = at + size + (i < longer)
        found.append(text[at:end])
        at = end
    return found


async def _begun(request: web.Request, content_type: str = "text/event-stream") -> Any:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    return response


async def stream(request: web.Request, text: str, fault: Fault) -> web.StreamResponse:
    response = await _begun(request)
    if fault.headers_only:
        await asyncio.Event().wait()
    if fault.latency:
        await asyncio.sleep(fault.latency)
    told = pieces(text, fault.chunks)
    for i, piece in enumerate(told):
        if i in (fault.stall_after, fault.cut_after):
            return await _broken(request, fault)
        await _write(response, event(chunk(piece)), fault)
        if fault.token_delay:
            await asyncio.sleep(fault.token_delay)
    if len(told) in (fault.stall_after, fault.cut_after):
        return await _broken(request, fault)
    end = event(chunk(finish="stop")) + usage(completion=len(told)) + DONE
    await _write(response, end, fault)
    await response.write_eof()
    return response


async def _broken(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.stall_after >= 0:
        await asyncio.Event().wait()
    return cut(request)


def whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    counted = {"prompt_tokens": 3, "completion_tokens": len(text.split())}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c1", "object": "chat.completion", "model": MODEL, "choices": [choice]}
    return json.dumps({**body, "usage": counted}).encode()


async def send_whole(request: web.Request, text: str, fault: Fault) -> web.StreamResponse:
    body = whole(text)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    if fault.headers_only:
        await asyncio.Event().wait()
    if fault.stall_after >= 0 or fault.cut_after >= 0:
        await response.write(body[: len(body) // 2])
        return await _broken(request, fault)
    await _write(response, body, fault)
    return response


async def _write(response: web.StreamResponse, data: bytes, fault: Fault) -> None:
    if not fault.drip:
        await response.write(data)
        return
    for i in range(len(data)):
        await response.write(data[i : i + 1])
        await asyncio.sleep(fault.drip)


async def play(request: web.Request, script: Script) -> web.StreamResponse:
    headers = {"Content-Type": script.content_type, **script.headers}
    response = web.StreamResponse(status=script.status, headers=headers)
    await response.prepare(request)
    for step in script.steps:
        if step == "stall":
            await asyncio.Event().wait()
        elif step == "cut":
            await asyncio.sleep(0)
            return cut(request)
        elif isinstance(step, Repeat):
            sent = 0
            while step.times is None or sent < step.times:
                await response.write(step.data)
                await asyncio.sleep(0)
                sent += 1
        elif isinstance(step, bytes) and step:
            await response.write(step)
            if len(step) == 1:
                await asyncio.sleep(0)
    await response.write_eof()
    return response
