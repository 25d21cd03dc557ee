"""The whole road, HTTP API to WebSocket, against asking the engine directly.

Real processes (`moltgate run` with its private Redis, fsync always; a fake engine; this load
generator) on one machine. Open loop: latency counts from the moment a message was due. Added
latency is the reply's minus the median of direct requests to the same engine, made in between.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import uvloop

from benchmarks.system import System, machine, running, tokens
from tests.fakes.telegram import RemoteTelegram

PER_TOKEN = 20
"""Conversations followed with one token: an API principal may have 24 sockets."""


@dataclass
class Chat:
    """One conversation of the HTTP API, followed over a WebSocket."""

    session: aiohttp.ClientSession
    name: str
    replies: asyncio.Queue[tuple[float, str]] = field(default_factory=asyncio.Queue)
    answered: int = 0
    socket: aiohttp.ClientWebSocketResponse | None = None
    reader: asyncio.Task[None] | None = None
    waiting: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    async def open(self) -> None:
        self.socket = await self.session.ws_connect("/api/v1/ws")
        await self.socket.send_json({"type": "hello", "conversation": self.name, "after": 0})
        self.reader = asyncio.create_task(self._read(self.socket))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            if event.get("type") != "entry":
                continue
            body = event["event"]
            if body.get("role") != "assistant":
                continue
            now = time.perf_counter()
            for word, future in list(self.waiting.items()):
                if word in body.get("text", ""):
                    del self.waiting[word]
                    if not future.done():
                        future.set_result(now)

    async def say(self, word: str) -> tuple[float, asyncio.Future[float]]:
        """Send; seconds until it was acknowledged, and a future of the moment of its reply."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting[word] = future
        began = time.perf_counter()
        body = {"conversation": self.name, "text": f"please say {word}"}
        async with self.session.post("/api/v1/messages", json=body) as answer:
            if answer.status != 202:
                raise RuntimeError(f"{answer.status}: {await answer.text()}")
        return time.perf_counter() - began, future


@dataclass
class Load:
    """Chats of one system, and direct requests to its engine as the control."""

    system: System
    chats: list[Chat]
    direct: aiohttp.ClientSession

    async def control(self) -> float:
        """Seconds of one direct request to the engine, streamed like the gateway's."""
        began = time.perf_counter()
        body = {
            "model": "fake",
            "stream": True,
            "messages": [{"role": "user", "content": "please say control"}],
        }
        async with self.direct.post(f"{self.system.engine}/chat/completions", json=body) as answer:
            await answer.read()
        return time.perf_counter() - began


async def connect(system: System, names: int) -> Load:
    secrets = await asyncio.to_thread(tokens, system, -(-names // PER_TOKEN))
    sessions = [
        aiohttp.ClientSession(
            f"http://127.0.0.1:{system.port}",
            headers={"Authorization": f"Bearer {secret}"},
            connector=aiohttp.TCPConnector(limit=0),
        )
        for secret in secrets
    ]
    chats = [Chat(sessions[number // PER_TOKEN], f"chat{number}") for number in range(names)]
    for chat in chats:
        await chat.open()
    return Load(system, chats, aiohttp.ClientSession())


async def disconnect(load: Load) -> None:
    for chat in load.chats:
        if chat.reader is not None:
            chat.reader.cancel()
        if chat.socket is not None:
            await chat.socket.close()
    for session in {id(chat.session): chat.session for chat in load.chats}.values():
        await session.close()
    await load.direct.close()


async def open_loop(load: Load, rate: float, seconds: float) -> dict[str, object]:
    """Messages at a fixed rate, whatever comes back."""
    controls: list[float] = []
    acks: list[float] = []
    due: list[tuple[float, asyncio.Future[float]]] = []
    errors = 0
    began = time.perf_counter()
    before = load.system.cpu()
    total = int(rate * seconds)

    async def one(number: int, at: float) -> None:
        nonlocal errors
        chat = load.chats[number % len(load.chats)]
        try:
            ack, future = await chat.say(f"w{number}x{int(rate)}")
        except (RuntimeError, aiohttp.ClientError):
            errors += 1
            return
        acks.append(ack)
        due.append((at, future))

    async with asyncio.TaskGroup() as group:
        for number in range(total):
            at = began + number / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            group.create_task(one(number, at))
            if number % 10 == 0:
                group.create_task(_append(controls, load.control))
    answered = await _finished([future for _, future in due], 30.0)
    elapsed = time.perf_counter() - began
    used = _since(before, load.system.cpu())
    control = statistics.median(controls)
    added = [future.result() - at - control for at, future in due if future.done()]
    ours = used.get("gateway", 0.0) + used.get("worker", 0.0)
    return {
        "rate": rate,
        "sent": total,
        "answered": answered,
        "errors": errors,
        "control_ms": _quantiles(controls),
        "added_ms": _quantiles(added),
        "ack_ms": _quantiles(acks),
        "answered_per_second": round(answered / elapsed, 1),
        "cpu_ms_per_message": round(1000 * ours / max(answered, 1), 2),
        "cpu_ms_by_role": {
            role: round(1000 * seconds / max(answered, 1), 2) for role, seconds in used.items()
        },
    }


async def closed_loop(load: Load, chats: int, each: int) -> dict[str, object]:
    """So many chats at once, each sending its next message when the reply is there."""
    took: list[float] = []
    before = load.system.cpu()

    async def talk(chat: Chat) -> None:
        for number in range(each):
            began = time.perf_counter()
            _, future = await chat.say(f"c{number}y")
            took.append(await asyncio.wait_for(future, 60) - began)

    began = time.perf_counter()
    await asyncio.gather(*(talk(chat) for chat in load.chats[:chats]))
    elapsed = time.perf_counter() - began
    used = _since(before, load.system.cpu())
    ours = used.get("gateway", 0.0) + used.get("worker", 0.0)
    return {
        "chats": chats,
        "messages": len(took),
        "messages_per_second": round(len(took) / elapsed, 1),
        "latency_ms": _quantiles(took),
        "cpu_ms_per_message": round(1000 * ours / len(took), 2),
    }


async def burst(load: Load, messages: int) -> dict[str, object]:
    """As many at once as the client gets out: all stored, then all answered."""
    gate = asyncio.Semaphore(200)
    acks: list[float] = []
    futures: list[asyncio.Future[float]] = []

    async def one(number: int) -> None:
        async with gate:
            ack, future = await load.chats[number % len(load.chats)].say(f"b{number}z")
        acks.append(ack)
        futures.append(future)

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(messages)))
    stored = time.perf_counter() - began
    answered = await _finished(futures, 120.0)
    return {
        "messages": messages,
        "stored": len(acks),
        "stored_per_second": round(len(acks) / stored, 1),
        "ack_ms": _quantiles(acks),
        "answered": answered,
        "drained_after_s": round(time.perf_counter() - began, 1),
        "resident_mib": load.system.resident(),
    }


async def _append(into: list[float], measure: Callable[[], Awaitable[float]]) -> None:
    into.append(await measure())


async def _finished(futures: Sequence[asyncio.Future[float]], seconds: float) -> int:
    if futures:
        await asyncio.wait(futures, timeout=seconds)
    return sum(future.done() for future in futures)


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {role: used - before.get(role, 0.0) for role, used in after.items()}


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "p50": round(1000 * cuts[49], 2),
        "p95": round(1000 * cuts[94], 2),
        "p99": round(1000 * cuts[98], 2),
        "max": round(1000 * max(seconds), 2),
    }


EACH = {"sessions": {"queue": {"mode": "each", "depth": 20_000}}}


async def instant(arguments: argparse.Namespace) -> dict[str, object]:
    with running(config=EACH) as system:
        await asyncio.sleep(2.0)
        result: dict[str, object] = {
            "ready_s": round(system.ready_seconds, 2),
            "idle_resident_mib": system.resident(),
        }
        result["idle_resident_total_mib"] = round(sum(system.resident().values()), 1)
        load = await connect(system, 50)
        await open_loop(load, 20, 2)  # warm up
        result["at_50_per_second"] = await open_loop(load, 50, arguments.seconds)
        result["at_200_per_second"] = await open_loop(load, 200, arguments.seconds)
        await disconnect(load)
        return result


async def slow(arguments: argparse.Namespace) -> dict[str, object]:
    with running(latency=0.2, config=EACH) as system:
        load = await connect(system, 64)
        await open_loop(load, 20, 2)
        result: dict[str, object] = {
            "at_50_per_second": await open_loop(load, 50, arguments.seconds),
            "64_chats": await closed_loop(load, 64, max(5, int(arguments.seconds))),
        }
        await disconnect(load)
        return result


async def many(arguments: argparse.Namespace) -> dict[str, object]:
    with running(config=EACH) as system:
        load = await connect(system, 300)
        result = {"burst": await burst(load, arguments.burst)}
        await disconnect(load)
        return dict(result)


async def telegram(arguments: argparse.Namespace) -> dict[str, object]:
    """By long polling through the fake Bot API, which notes when each reply reached it."""
    async with RemoteTelegram.start() as platform:
        account = {
            "token": platform.token,
            "base_url": platform.base_url,
            "rate": {"overall": 0, "group": 0, "direct": 0},  # ours is the time that is measured
            "access": {"dm_policy": "open", "per_sender": 0, "per_chat": 0},
        }
        with running(config={**EACH, "adapters": {"telegram": account}}) as system:
            direct = aiohttp.ClientSession()
            await _telegram_loop(platform, system, direct, 20, 2)
            result = await _telegram_loop(platform, system, direct, 50, arguments.seconds)
            await direct.close()
            return {"at_50_per_second": result}


async def _telegram_loop(
    platform: RemoteTelegram,
    system: System,
    direct: aiohttp.ClientSession,
    rate: float,
    seconds: float,
) -> dict[str, object]:
    load = Load(system, [], direct)
    controls: list[float] = []
    due: dict[str, float] = {}
    total = int(rate * seconds)
    before = system.cpu()
    began = time.time()
    async with asyncio.TaskGroup() as group:
        for number in range(total):
            at = began + number / rate
            await asyncio.sleep(max(0.0, at - time.time()))
            word = f"t{number}x{int(began)}"
            due[word] = at
            chat = 1000 + number % 50
            group.create_task(platform.say(chat, chat, f"please say {word}"))
            if number % 10 == 0:
                group.create_task(_append(controls, load.control))
    shown: dict[str, float] = {}
    for _ in range(100):
        for call in await platform.calls("sendMessage"):
            for word in due.keys() & str(call["params"].get("text", "")).split():
                shown.setdefault(word, call["at"])
        if len(shown) == total:
            break
        await asyncio.sleep(0.2)
    used = _since(before, system.cpu())
    control = statistics.median(controls)
    ours = used.get("gateway", 0.0) + used.get("worker", 0.0)
    return {
        "rate": rate,
        "sent": total,
        "answered": len(shown),
        "control_ms": _quantiles(controls),
        "added_ms": _quantiles([shown[word] - due[word] - control for word in shown]),
        "cpu_ms_per_message": round(1000 * ours / max(len(shown), 1), 2),
    }


SCENES = {"instant": instant, "slow": slow, "burst": many, "telegram": telegram}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks road")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each open loop")
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--only", choices=sorted(SCENES), action="append")
    arguments = parser.parse_args(argv)
    result: dict[str, object] = {"machine": machine()}
    for name in arguments.only or SCENES:
        result[name] = uvloop.run(SCENES[name](arguments))
    print(json.dumps(result, indent=None if arguments.json else 2))
