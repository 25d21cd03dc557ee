"""`moltgate run`: starts the private Redis, the gateway and the workers, and keeps them running;
the media role only while there is something to read.

It stays small: configuration is read and checked by a child, and neither the Redis client nor the
web server is imported here. It promises three things: what dies is started again, nothing outlives
it, and a configuration that does not hold never replaces one that does.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.errors import BadConfig
from gateway.lastgood import Configuration, Facts, Invalid, Launch
from gateway.logs import Diary, Redactor, Sink, renderer
from gateway.process import BAD_CONFIG, CRASH_LOOP, Bell, GiveUp, Ready, dies_with_parent
from gateway.queues import owner
from gateway.queues.embedded import CannotStart, EmbeddedRedis, Options
from gateway.roles import DRAIN, Kept, KeptRedis, OnDemand, Restarts, Role

REDIS_PATIENCE = 1.5
WATCH = 1.0
"""Seconds between two looks at the configuration file."""


class Supervisor:
    def __init__(self, launch: Launch, diary: Diary) -> None:
        self._launch = launch
        self._diary = diary
        self._configuration = Configuration(launch)
        self._redis: Role | None = None
        self._roles: dict[str, Role] = {}
        self._media: OnDemand | None = None
        self._media_missing = self._told_missing = ""
        self._bell = Bell(self._rung)
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reload = asyncio.Event()
        self._shown = ""
        self._begun: set[str] = set()
        self._ready: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises `GiveUp`, `Invalid`, or what kept it from starting."""
        held = await owner.hold(self._launch.home)
        try:
            if warning := owner.foreign(self._launch.home):
                self._diary.warning("running_as_root", advice=warning)
            facts = await self._configuration.check()
            self._diary.rendered(renderer(facts.log, sys.stderr))
            if not stop.is_set():
                await self._attend(facts, held, stop)
        finally:
            await self._stop()
            held.release()

    async def _attend(self, facts: Facts, held: owner.Held, stop: asyncio.Event) -> None:
        await self._start(facts, held)
        watching = asyncio.create_task(self._watch(facts, held))
        stopping = asyncio.create_task(stop.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {watching, stopping, self._failed}
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in done - {stopping}:
                await each
        finally:
            watching.cancel()
            stopping.cancel()

    def reload(self) -> None:
        """Check the configuration and start the roles anew, as after a change."""
        self._reload.set()

    def kill(self) -> None:
        """End everything at once."""
        for role in (*self._served(), *([self._redis] if self._redis else [])):
            role.kill()

    async def _start(self, facts: Facts, held: owner.Held) -> None:
        held.announce(http=facts.http)
        if facts.private_redis:
            server = EmbeddedRedis(
                self._launch.home,
                Options(fsync=facts.fsync, memory=facts.memory),
                self._diary,
                lock=held.fd,
            )
            await server.start()  # a start that fails at once is told and not repeated
            held.announce(redis=server.url)
            self._redis = self._role("redis", self._redis_starter(server))
            self._keep(self._redis)
        self._media = self._sleeping_media(facts)
        self._keep(self._media)
        for name in self._names(facts):
            self._add(name)
        self._ready = asyncio.create_task(self._tell_ready(time.monotonic()))

    async def _tell_ready(self, since: float) -> None:
        for role in list(self._roles.values()):
            await role.ready()
        self._diary.info("roles_ready", seconds=round(time.monotonic() - since, 2))

    def _redis_starter(self, server: EmbeddedRedis) -> Callable[[], Awaitable[Kept]]:
        first = True

        async def start() -> Kept:
            nonlocal first
            if not first:
                await server.start()
            first = False
            return KeptRedis(server)

        return start

    @staticmethod
    def _names(facts: Facts) -> list[str]:
        """In the order in which a change is rolled out."""
        return [*(f"worker-{number}" for number in range(1, facts.workers + 1)), "gateway"]

    def _role(self, name: str, start: Callable[[], Awaitable[Kept]]) -> Role:
        return Role(name, start, self._diary, Restarts())

    def _add(self, name: str) -> None:
        self._roles[name] = self._role(name, lambda: self._spawn(name.split("-")[0]))
        self._keep(self._roles[name])

    def _sleeping_media(self, facts: Facts) -> OnDemand:
        async def start() -> Kept:
            return await self._spawn("media", "--idle", f"{media.idle:g}")

        media = OnDemand("media", start, self._diary, Restarts(), idle=facts.media_idle)
        self._media_missing = facts.media_missing
        return media

    def _rung(self) -> None:
        if self._media is None:
            return
        if not self._media_missing:
            self._media.ring()
        elif self._media_missing != self._told_missing:
            self._diary.warning("nothing_can_be_read", advice=self._media_missing)
            self._told_missing = self._media_missing

    def _keep(self, role: Role) -> None:
        task = asyncio.create_task(role.keep(), name=role.name)
        self._keepers[role.name] = task
        task.add_done_callback(self._kept_ended)

    def _kept_ended(self, task: asyncio.Task[None]) -> None:
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not self._failed.done():
            self._failed.set_exception(problem)

    async def _spawn(self, role: str, *words: str) -> Kept:
        ready = Ready()
        inherited = {**ready.environment, **self._bell.environment}
        again = {"MOLTGATE_STARTED_AGAIN": "1"} if role in self._begun else {}
        self._begun.add(role)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._configuration.launch.command(role, *words),
                stdin=subprocess.DEVNULL,
                env={**self._configuration.environment(), **inherited, **again},
                pass_fds=(ready.fd, self._bell.fd),
                preexec_fn=dies_with_parent(),
                process_group=0,
            )
        finally:
            ready.started()
        self._diary.info("role_started", role=role, pid=process.pid)
        return Kept(process, ready)

    # --- changes of the configuration -------------------------------------------------------

    async def _watch(self, facts: Facts, held: owner.Held) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH):
                    await self._reload.wait()
            asked = self._reload.is_set()
            self._reload.clear()
            if asked or self._configuration.touched():
                facts = await self._changed(facts, held, asked=asked)

    async def _changed(self, facts: Facts, held: owner.Held, *, asked: bool) -> Facts:
        try:
            new = await self._configuration.check()
        except (Invalid, BadConfig) as problem:
            if str(problem) != self._shown:
                _tell(self._diary, problem)
                self._diary.warning("last_good_configuration_stays")
            self._shown = str(problem)
            return facts
        self._shown = ""
        if new.http != facts.http:
            held.announce(http=new.http)
        changed = new.changed(facts)
        if changed or asked:
            self._diary.info("configuration_changed", sections=", ".join(changed) or "none")
            await self._roll_out(facts, new)
        return new

    async def _roll_out(self, old: Facts, new: Facts) -> None:
        if (old.private_redis, old.fsync, old.memory) != (
            new.private_redis,
            new.fsync,
            new.memory,
        ):
            advice = "stop and start moltgate run for the redis settings to take effect"
            self._diary.warning("restart_needed", advice=advice)
        wanted = self._names(new)
        if self._media is not None:  # first: what is sent by the new settings is read by them
            self._media.idle, self._media_missing = new.media_idle, new.media_missing
            await self._media.restart()
        for name in [name for name in self._roles if name not in wanted]:
            await self._roles.pop(name).stop(DRAIN)
        for name in wanted:
            if name in self._roles:
                await self._roles[name].restart()
            else:
                self._add(name)

    def _served(self) -> list[Role]:
        """All that write to the store."""
        return [*self._roles.values(), *([self._media] if self._media else [])]

    async def _stop(self) -> None:
        self._bell.close()
        async with asyncio.TaskGroup() as group:
            for role in self._served():
                group.create_task(role.stop(DRAIN))
        if self._redis is not None:  # last: the roles write until their end
            await self._redis.stop(REDIS_PATIENCE)
        tasks = [*self._keepers.values(), *([self._ready] if self._ready else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(diary: Diary, problem: Invalid | BadConfig) -> None:
    for reason in problem.problems if isinstance(problem, Invalid) else [str(problem)]:
        diary.error("configuration_is_wrong", reason=reason)


async def supervise(launch: Launch, diary: Diary) -> int:
    """Run until a signal or a reason to give up; the exit status."""
    supervisor = Supervisor(launch, diary)
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            diary.warning("killing_at_once")
            supervisor.kill()
        else:
            diary.info("stopping", advice="once more to kill at once")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
    try:
        await supervisor.run(stop)
    except (Invalid, BadConfig) as problem:
        _tell(diary, problem)
        return BAD_CONFIG
    except GiveUp as problem:
        diary.error("gave_up", reason=str(problem))
        return problem.code
    except (owner.InUse, CannotStart) as problem:
        diary.error("cannot_start", reason=str(problem))
        return 1
    diary.info("stopped")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="moltgate run")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--log", choices=("auto", "pretty", "json"), default="auto")
    given = parser.parse_args(arguments)
    sink = Sink(sys.stderr, Redactor())
    diary = Diary(sink, renderer(given.log, sys.stderr), role="run")
    launch = Launch(home=given.home.absolute(), config=given.config, port=given.port)
    try:
        return asyncio.run(supervise(launch, diary))
    except Exception as problem:  # noqa: BLE001  # by the diary, which shows no secrets
        diary.error("internal_error", exception="".join(traceback.format_exception(problem)))
        return CRASH_LOOP


if __name__ == "__main__":
    sys.exit(main())
