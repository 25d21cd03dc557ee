"""The roles on a Redis Cluster: three nodes, two gateways, workers that die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.fakes.ports import free_port
from tests.faults.programs import Program, role
from tests.gateway.queues.test_cluster import Cluster
from tests.journeys.stage import PROGRAM, until


class OnCluster:
    """Roles started by hand on one data folder, and a program that talks to them by HTTP."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = (free_port(), free_port())
        self.programs: dict[str, Program] = {}
        self._session = aiohttp.ClientSession()
        self._token = ""

    async def start(self, cluster: Cluster) -> None:
        settings = {
            "redis": {
                "url": cluster.url.replace("redis://", "redis+cluster://"),
                "partitions": 6,
                "fsync": "everysec",
            },
            "access": {"per_sender": 0},
        }
        (self.home / "moltgate.yaml").write_text(yaml.safe_dump(settings))
        for number, port in enumerate(self.ports, 1):
            await self.launch(f"gateway-{number}", "--port", str(port))
            await until(lambda port=port: self._ready(port), f"gateway {number} is ready")
        await self.launch("worker-1")
        self._token = json.loads(await self.does("token", "create", "test", "--json"))["token"]

    async def launch(self, name: str, *arguments: str) -> Program:
        program = self.programs[name] = role(name, self.home, *arguments)
        await program.start()
        return program

    async def does(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *("--home", str(self.home), *words),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, words
        return out.decode()

    async def say(self, text: str, conversation: str = "main", gateway: int = 0) -> None:
        body = {"conversation": conversation, "text": text}
        async with self._session.post(
            f"{self._url(gateway)}/messages", json=body, headers=self._headers
        ) as response:
            assert response.status == 202, await response.text()

    async def answers(self, conversation: str = "main", gateway: int = 0) -> Sequence[str]:
        async with self._session.get(
            f"{self._url(gateway)}/conversations/{conversation}/messages", headers=self._headers
        ) as response:
            entries = (await response.json())["messages"]
        events = [one["event"] for one in entries]
        return [event["text"] for event in events if event["role"] == "assistant"]

    async def answered(self, count: int, conversation: str = "main") -> Sequence[str]:
        async def enough() -> Sequence[str]:
            found = await self.answers(conversation)
            return found if len(found) >= count else ()

        found: Sequence[str] = await until(enough, f"{count} answers in {conversation}")
        return found

    @contextlib.asynccontextmanager
    async def stream(self, conversation: str, gateway: int) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of a conversation as one gateway tells them."""
        async with self._session.get(
            f"{self._url(gateway)}/conversations/{conversation}/events", headers=self._headers
        ) as response:
            assert response.status == 200, await response.text()
            yield (
                json.loads(line.removeprefix(b"data:"))
                async for line in response.content
                if line.startswith(b"data:")
            )

    async def status(self) -> Mapping[str, Any]:
        found: dict[str, Any] = json.loads(await self.does("status", "--json"))
        return found

    async def close(self) -> None:
        await asyncio.gather(*(program.stop() for program in self.programs.values()))
        await self._session.close()

    async def _ready(self, port: int) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.get(f"http://127.0.0.1:{port}/readyz") as response:
                return response.status == 200
        return False

    def _url(self, gateway: int) -> str:
        return f"http://127.0.0.1:{self.ports[gateway]}/api/v1"

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


@pytest.fixture
async def stage() -> AsyncIterator[OnCluster]:
    folder = Path(tempfile.mkdtemp(prefix="mg-journey-"))
    cluster = Cluster(folder)
    (folder / "home").mkdir()
    stage = OnCluster(folder / "home")
    try:
        await asyncio.to_thread(cluster.start)
        await stage.start(cluster)
        yield stage
    finally:
        await stage.close()
        await asyncio.to_thread(cluster.stop)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(180)
async def test_a_conversation_on_a_cluster_survives_its_worker(stage: OnCluster) -> None:
    await stage.say("Hello, my name is Ada.")
    await stage.answered(1)
    await stage.say("What is my name?")
    assert "Ada" in (await stage.answered(2))[-1]

    await stage.say("/new")
    assert "new conversation" in (await stage.answered(3))[-1]
    await stage.say("What is my name?")
    assert "Ada" not in (await stage.answered(4))[-1]

    # killed in the middle of an answer, and kept from coming back: another worker takes over
    first = stage.programs["worker-1"]
    first.kept = False
    (stage.home / "worker.point").write_text("P5 kill")
    await stage.say("What is the capital of France?")
    assert await first.ended() == -signal.SIGKILL
    await stage.launch("worker-2")
    assert "Paris" in (await stage.answered(5))[-1]
    assert len(await stage.answers()) == 5

    # over the gateway that does not own the account, on every partition
    async with stage.stream("streamed", 1) as events:
        await stage.say("Who are you?", "streamed", gateway=1)
        async for event in events:
            if event.get("event", {}).get("role") == "assistant":
                break
    names = [f"c{number}" for number in range(24)]
    await asyncio.gather(*(stage.say("/status", name, gateway=1) for name in names))
    await asyncio.gather(*(stage.say("Hi!", name, gateway=1) for name in names))
    await asyncio.gather(*(stage.answered(2, name) for name in names))

    # the gateway that owned it dies: the other one delivers
    owner = stage.programs["gateway-1"]
    owner.kept = False
    owner.kill()
    await stage.say("What is the capital of France?", "after", gateway=1)

    async def told() -> Sequence[str]:
        return await stage.answers("after", gateway=1)

    assert "Paris" in (await until(told, "the other gateway delivers"))[0]
    store = (await stage.status())["store"]
    assert (store["difference"], store["waiting"], store["dead"]) == (0, 0, 0)
