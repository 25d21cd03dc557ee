"""A kept process: started again when it ends, with patience that runs out."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.errors import GatewayError
from gateway.logs import Diary
from gateway.process import BAD_CONFIG, CRASH_LOOP, GiveUp, Ready, end, status
from gateway.queues.embedded import EmbeddedRedis

DRAIN = 8.0
"""Seconds a role gets to finish what it is doing; with Redis' share a stop stays under 10."""

PATIENCE = 10.0
"""Seconds a change waits for one role to be ready before it goes on to the next."""

_LONGEST_END = 30.0
"""Seconds an idle role may take to end after it made up its mind."""

REST = 30.0
"""Seconds an `OnDemand` role is left alone after it kept ending."""


@dataclass(slots=True)
class Restarts:
    """Pure: how long to wait after an exit, and when to give up."""

    first: float = 0.2
    longest: float = 5.0
    settled: float = 30.0
    """Seconds alive after which earlier exits are forgotten for the delay."""
    most: int = 5
    window: float = 60.0
    _exits: list[float] = field(default_factory=list)
    _delay: float = 0.0

    @property
    def told(self) -> str:
        return f"ended {self.most} times within {self.window:.0f} s"

    def exited(self, now: float, *, lived: float) -> float | None:
        """Seconds until the next start; None when this is a crash loop."""
        self._exits = [at for at in self._exits if now - at < self.window] + [now]
        if len(self._exits) >= self.most:
            return None
        longer = min(self.longest, self._delay * 2 or self.first)
        self._delay = self.first if lived >= self.settled else longer
        return self._delay


class Kept:
    """A child process as `Role` sees it."""

    def __init__(self, process: Process, ready: Ready) -> None:
        self._process = process
        self._ready = ready

    async def ready(self) -> None:
        """Until it says that it works, has ended, or has taken too long to say either."""
        await self._ready.wait(PATIENCE)

    async def wait(self) -> int:
        return await self._process.wait()

    async def end(self, patience: float) -> None:
        await end(self._process, patience)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def why(self) -> str:
        return ""


class KeptRedis(Kept):
    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server

    async def ready(self) -> None:
        """It was started only once it answered."""

    async def wait(self) -> int:
        return await self._server.wait()

    async def end(self, patience: float) -> None:
        await self._server.stop(patience)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._server.pid, signal.SIGKILL)

    def why(self) -> str:
        return self._server.why()


class Role:
    """One kept process: started again when it ends, until it is stopped."""

    def __init__(
        self, name: str, start: Callable[[], Awaitable[Kept]], diary: Diary, restarts: Restarts
    ) -> None:
        self.name = name
        self._start = start
        self._diary = diary
        self._restarts = restarts
        self._kept: Kept | None = None
        self._asked = False
        self._stopped = False
        self._up = asyncio.Event()

    async def keep(self) -> None:
        """Until stopped. Raises `GiveUp`."""
        loop = asyncio.get_running_loop()
        while not self._stopped:
            await self._wanted()
            if self._stopped:  # a ring came just before
                return
            began = loop.time()
            why = ""
            try:
                self._kept = await self._start()
                if self._stopped:  # meanwhile
                    await self._kept.end(DRAIN)
                self._up.set()
                code = await self._kept.wait()
                why = self._kept.why()
            except OSError as problem:
                code, why = 127, str(problem)
            except GatewayError as problem:
                code, why = 1, str(problem)
            self._kept = None
            self._up.clear()
            if self._stopped:
                return
            if self._asked:
                self._asked = False
                continue
            await self._after(code, why, lived=loop.time() - began, now=loop.time())

    async def _wanted(self) -> None:
        """Until there is a reason to start it."""

    async def _after(self, code: int, why: str, *, lived: float, now: float) -> None:
        if code == BAD_CONFIG:
            raise GiveUp(f"{self.name} cannot use its configuration, see above", BAD_CONFIG)
        delay = self._restarts.exited(now, lived=lived)
        said = {"role": self.name, "status": status(code), "lived": f"{lived:.1f}s"}
        if why:
            said["reason"] = why
        if delay is None:
            self._diary.error("role_keeps_ending", **said)
            raise GiveUp(
                f"{self.name} {self._restarts.told}, last with {status(code)}"
                + (f": {why}" if why else "; its last lines stand above"),
                CRASH_LOOP,
            )
        self._diary.warning("role_ended", **said, again_in=f"{delay:.1f}s")
        await asyncio.sleep(delay)

    async def ready(self) -> None:
        """Until the process works, or has had its time to."""
        await self._up.wait()
        if self._kept is not None:
            await self._kept.ready()

    async def restart(self) -> None:
        """End the process and return when the next one is ready."""
        if self._kept is not None:
            self._asked = True
            self._up.clear()
            await self._kept.end(DRAIN)
        await self.ready()

    async def stop(self, patience: float) -> None:
        self._stopped = True
        if self._kept is not None:
            await self._kept.end(patience)

    def kill(self) -> None:
        self._stopped = True
        if self._kept is not None:
            self._kept.kill()


class OnDemand(Role):
    """Started when somebody rings, and free to end when it has been idle.

    Nobody gives up because of it: where it keeps ending it is left alone for a while.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[], Awaitable[Kept]],
        diary: Diary,
        restarts: Restarts,
        *,
        idle: float,
    ) -> None:
        super().__init__(name, start, diary, restarts)
        self.idle = idle
        """Seconds without work after which the process ends by itself."""
        self._rung = asyncio.Event()
        self._last = -math.inf

    def ring(self) -> None:
        """There is work, now."""
        self._last = asyncio.get_running_loop().time()
        self._rung.set()

    async def ready(self) -> None:
        """Nobody waits for it: it sleeps most of the time, and jobs wait in their queue."""

    async def restart(self) -> None:
        """Only if it runs."""
        if self._kept is not None:
            self._rung.set()
            await super().restart()

    async def _wanted(self) -> None:
        await self._rung.wait()
        self._rung.clear()

    async def _after(self, code: int, why: str, *, lived: float, now: float) -> None:
        if code == 0 and (self._rung.is_set() or now - self._last >= self.idle):
            self._sleep(now)
        elif code == BAD_CONFIG:
            await self._leave_alone("it cannot use its configuration, see above")
        elif (delay := self._restarts.exited(now, lived=lived)) is None:
            last = f"{status(code)}: {why}" if why else f"{status(code)}; see its last lines above"
            await self._leave_alone(f"it {self._restarts.told}, last with {last}")
        else:
            said = {"role": self.name, "status": status(code), "lived": f"{lived:.1f}s"}
            self._diary.warning("role_ended", **said, again_in=f"{delay:.1f}s")
            await asyncio.sleep(delay)
            self._rung.set()  # what it was doing waits

    def _sleep(self, now: float) -> None:
        """What older rings were about is done: it had nothing to do for long. A later one may have
        come when it had already made up its mind, and starts it again."""
        if now - self._last >= max(self.idle, _LONGEST_END):
            self._rung.clear()
        if not self._rung.is_set():
            self._diary.info("role_sleeps", role=self.name)

    async def _leave_alone(self, reason: str) -> None:
        advice = "files and voice are not read meanwhile; everything else goes on"
        again = f"when something is to be read, not before {REST:.0f} s from now"
        self._diary.error(
            "role_left_alone", role=self.name, reason=reason, again=again, advice=advice
        )
        await asyncio.sleep(REST)
