"""A model server that answers with an echo, and fails on demand.

As a process of its own: ``python -m tests.fakes.engine --port N [--latency 0.2] [--journal FILE]``.

How a request is answered is a `Fault`. It is chosen, first match wins, by the prompt (last user
message ``script: {"latency": 0.5}`` or ``script: NAME`` for one of `SCRIPTS`), by what was set
with `FakeEngine.fault` or ``POST /_fake/fault``, or it is the default: answer at once.

Over HTTP while running: ``POST /_fake/fault`` with the fields of `Fault` (``{}`` heals),
``GET /_fake/requests?since=N``, ``GET /_fake/stats``, ``POST /_fake/reset``.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.fakes.engine_answers import (
    HEALTHY,
    MODEL,
    Fault,
    cut,
    error,
    play,
    send_whole,
    stream,
    whole,
)
from tests.fakes.engine_scripts import SCRIPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    at: float
    session: str
    """`X-Session-ID`: the same for all requests of a conversation."""
    model: str
    stream: bool
    messages: Sequence[dict[str, Any]]
    body: dict[str, Any] = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @property
    def question(self) -> str:
        """The last user message; of one with pictures its text."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                said = message.get("content", "")
                return said if isinstance(said, str) else _text_of(said)
        return ""


def _text_of(parts: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(part["text"] for part in parts if part["type"] == "text")


class FakeEngine:
    """The server. `start` it, look at `requests`, `stop` it."""

    def __init__(
        self,
        *,
        fault: Fault = HEALTHY,
        journal: Path | None = None,
        models: Sequence[str] = (MODEL,),
        api_key: str = "",
        keep: int = 100_000,
    ) -> None:
        self.requests: list[Request] = []
        """The first `keep` of them."""
        self.asked = 0
        self.answered = 0
        self.running = 0
        self.disconnects = 0
        """Clients that went away before the end of their answer."""
        self.models = list(models)
        self.port = 0
        self._api_key = api_key
        self._keep = keep
        self._fault = fault
        self._left = 0
        self._journal = journal.open("a", buffering=1) if journal else None
        self._peers: set[Any] = set()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    @classmethod
    async def start(cls, port: int = 0, **settings: Any) -> FakeEngine:
        engine = cls(**settings)
        engine._runner = web.AppRunner(
            engine._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await engine._runner.setup()
        await engine.listen(port)
        return engine

    async def listen(self, port: int = 0) -> None:
        """Again, on the same port, after `stop_listening`."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", port or self.port, backlog=1024)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def stop_listening(self) -> None:
        """New connections are refused; those that stand are kept."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._journal is not None:
            self._journal.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def connections(self) -> int:
        """From which requests came so far."""
        return len(self._peers)

    def fault(self, **fields: Any) -> None:
        """Answer like this from now on. Without fields: as it should be."""
        self._fault = Fault(**fields)
        self._left = self._fault.times

    def clear(self) -> None:
        self.requests.clear()
        self._peers.clear()
        self.asked = self.answered = self.disconnects = 0

    # --- the API ---

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/_fake/fault", self._set_fault)
        app.router.add_get("/_fake/requests", self._get_requests)
        app.router.add_get("/_fake/stats", self._stats)
        app.router.add_post("/_fake/reset", self._reset)
        return app

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            return error(401, "wrong key", "invalid_api_key")
        asked = self._record(request, await request.read())
        if asked is None:
            return error(400, "not a chat completion request", "invalid_request_error")
        if asked.model not in self.models:
            return error(404, f"the model {asked.model} does not exist", "model_not_found")
        fault = self._chosen(asked)
        self.running += 1
        if request.transport is not None:
            self._peers.add(request.transport.get_extra_info("peername"))
        try:
            response = await self._answer(request, asked, fault)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            raise
        finally:
            self.running -= 1
        self.answered += 1
        return response

    def _record(self, request: web.Request, raw: bytes) -> Request | None:
        try:
            body = json.loads(raw)
            messages = body["messages"]
            assert messages
            assert all(m["role"] in ("system", "user", "assistant", "tool") for m in messages)
        except (ValueError, KeyError, TypeError, AssertionError):
            return None
        asked = Request(
            at=time.time(),
            session=request.headers.get("X-Session-ID", ""),
            model=str(body.get("model", "")),
            stream=bool(body.get("stream")),
            messages=messages,
            body=body,
            headers=dict(request.headers),
        )
        self.asked += 1
        if len(self.requests) < self._keep:
            self.requests.append(asked)
        if self._journal is not None:
            self._journal.write(json.dumps(_told(asked)) + "\n")
        return asked

    def _chosen(self, asked: Request) -> Fault:
        question = asked.question
        if question.startswith("script:"):
            wanted = question.removeprefix("script:").strip()
            return Fault(**json.loads(wanted)) if wanted[:1] == "{" else Fault(script=wanted)
        fault = self._fault
        if fault.spares_probes and asked.body.get("max_tokens") == 1:
            return HEALTHY
        if self._left:
            self._left -= 1
            if not self._left:
                self._fault = HEALTHY
        return fault

    async def _answer(
        self, request: web.Request, asked: Request, fault: Fault
    ) -> web.StreamResponse:
        if fault.refuse:
            return cut(request)
        if fault.hang:
            await asyncio.Event().wait()
        if fault.script:
            return await play(request, SCRIPTS[fault.script])
        text = fault.text or f"echo: {asked.question}"
        if asked.stream and fault.status == 200:
            return await stream(request, text, fault)
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.status != 200:
            headers = {"Retry-After": fault.retry_after, "Location": fault.location}
            return error(fault.status, fault.error, fault.code, headers)
        if fault.headers_only or fault.stall_after >= 0 or fault.cut_after >= 0 or fault.drip:
            return await send_whole(request, text, fault)
        return web.Response(body=whole(text), content_type="application/json")

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
        )

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            text=(
                f'vllm:num_requests_running{{model_name="{MODEL}"}} {self.running}\n'
                f'vllm:num_requests_waiting{{model_name="{MODEL}"}} 0\n'
            )
        )

    # --- control ---

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            self.fault(**await request.json())
        except (TypeError, ValueError) as problem:
            return error(400, str(problem))
        return web.json_response(dataclasses.asdict(self._fault))

    async def _get_requests(self, request: web.Request) -> web.Response:
        since = int(request.query.get("since", "0"))
        return web.json_response([_told(asked) for asked in self.requests[since:]])

    async def _stats(self, _: web.Request) -> web.Response:
        names = ("asked", "answered", "running", "disconnects")
        return web.json_response({name: getattr(self, name) for name in names})

    async def _reset(self, _: web.Request) -> web.Response:
        self.clear()
        self.fault()
        return web.Response()


def _told(asked: Request) -> dict[str, Any]:
    names = ("at", "session", "model", "stream", "question", "messages")
    return {name: getattr(asked, name) for name in names}


class EngineProcess:
    """The same server in a process of its own, for benchmarks and for killing."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @classmethod
    async def start(cls, *arguments: str, port: int = 0) -> EngineProcess:
        """`arguments` as on the command line."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.fakes.engine", "--port", str(port), *arguments),
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if not line.startswith("ready "):
            raise RuntimeError(f"the fake engine did not start: {line!r}")
        return cls(process, int(line.split()[1]))

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(5):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A model server that echoes, and fails on demand.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds to the first token")
    parser.add_argument("--token-delay", type=float, default=0.0)
    parser.add_argument("--chunks", type=int, default=0, help="pieces of a streamed answer")
    parser.add_argument("--journal", type=Path, help="append every request here, as JSON lines")
    parser.add_argument("--keep", type=int, default=100_000, help="requests kept in memory")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    fault = Fault(latency=options.latency, token_delay=options.token_delay, chunks=options.chunks)
    engine = await FakeEngine.start(
        options.port, fault=fault, journal=options.journal, keep=options.keep
    )
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, enough.set)
    print(f"ready {engine.port}", flush=True)
    try:
        await enough.wait()
    finally:
        await engine.stop()


def main() -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
