"""Several named engines in order, as one: who is asked, and who takes over when one fails.

Before the first word another engine takes over unseen. After it the answer is started over on the
next one, announced by `Restarted`, so that nothing is ever appended to somebody else's beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import structlog

from engine.breaker import Breaker
from engine.config import FallbackConfig
from engine.pictures import NONE, Album, Load, Shown
from engine.translation import BUSY_AFTER, TOO_LONG, UNKNOWN_MODEL, Saturated, TimedOut
from gateway.errors import Busy, Failed, GatewayError, Refused, Retryable
from gateway.ports import Clock, EngineEvent, EngineStatus, Prompt, Restarted, Text

log = structlog.get_logger(__name__)


class Backend(Protocol):
    """One engine, as the service needs it."""

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]:
        """Names of models it is known to serve, without asking."""

    @property
    def sees(self) -> bool:
        """Whether its model is shown pictures."""

    def generate(self, prompt: Prompt, pictures: Shown = NONE) -> AsyncGenerator[EngineEvent]:
        """As `Engine.generate`, with `prompt.model` the name of one of its own models and those of
        the pictures that it is to see."""

    async def probe(self) -> None:
        """Ask for one token. Raises what `generate` would."""

    async def status(self) -> EngineStatus: ...

    async def close(self) -> None: ...


class _Member:
    def __init__(self, backend: Backend, breaker: Breaker) -> None:
        self.backend = backend
        self.breaker = breaker
        self.cause: GatewayError | None = None
        """The latest failure while it does not work; logged when it appears, not while it lasts."""
        self.watcher: asyncio.Task[None] | None = None


class EngineService:
    """Implements `Engine` and `ListsEngines` over backends, asked in the order given.

    `pinnable` are further backends, asked only when the user chose them by name. Each is given
    what it can use: the pictures of a prompt go to those that see.
    """

    def __init__(
        self,
        backends: Sequence[Backend],
        clock: Clock,
        config: FallbackConfig | None = None,
        *,
        pinnable: Sequence[Backend] = (),
        pictures: Load | None = None,
    ) -> None:
        self._pictures = pictures
        self._clock = clock
        self._config = config or FallbackConfig()
        self._members = {
            backend.name: _Member(
                backend,
                Breaker(base=self._config.cooldown, most=self._config.cooldown_max),
            )
            for backend in (*backends, *pinnable)
        }
        self._order = [self._members[backend.name] for backend in backends]

    async def generate(self, prompt: Prompt) -> AsyncGenerator[EngineEvent]:
        """See `Engine.generate`.

        `prompt.model` is ``engine``, ``engine/model`` or the name of a model that an engine is
        configured with. Such a choice is kept: without it there is `Refused`, `Busy` or
        `Unavailable`, never another model. When everything is cooling it is `Busy`, with the
        seconds until the first returns.
        """
        members, model = self._candidates(prompt.model)
        ready = [member for member in members if not member.breaker.cooling]
        if not ready:
            raise self._all_cooling(members)
        asked = replace(prompt, model=model)
        album = Album(prompt, self._pictures)
        shown = False
        restarts = self._config.restarts
        failure: GatewayError | None = None
        for member in ready[: self._config.attempts]:
            if shown:
                if restarts == 0:
                    break
                restarts -= 1
                shown = False
                yield Restarted(member.backend.name)
            try:
                pictures = await album.open() if member.backend.sees else NONE
                async with aclosing(member.backend.generate(asked, pictures)) as events:
                    async for event in events:
                        if not shown and type(event) is Text:
                            shown = True
                        yield event
            except GeneratorExit:
                if shown:  # whoever asked has enough; it did work
                    self._works(member)
                raise
            except GatewayError as problem:
                if not self._goes_on_after(member, problem, alone=len(members) == 1):
                    raise
                failure = _weightier(failure, problem)
            else:
                self._works(member)
                return
        assert failure is not None
        raise failure

    async def status(self) -> Sequence[EngineStatus]:
        members = self._members.values()
        found = await asyncio.gather(*(member.backend.status() for member in members))
        return [self._seen(member, status) for member, status in zip(members, found, strict=True)]

    async def close(self) -> None:
        watchers = [member.watcher for member in self._members.values() if member.watcher]
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        for member in self._members.values():
            await member.backend.close()

    # --- who is asked ---

    def _candidates(self, wanted: str) -> tuple[Sequence[_Member], str]:
        if not wanted:
            return self._order, ""
        if wanted in self._members:
            return [self._members[wanted]], ""
        name, slash, model = wanted.partition("/")
        if slash and name in self._members:
            return [self._members[name]], model
        serving = [m for m in self._members.values() if wanted in m.backend.models]
        if serving:
            return serving, wanted
        raise Refused(
            f"There is no model of that name. There are: {', '.join(self._members)}.",
            reason=UNKNOWN_MODEL,
        )

    def _all_cooling(self, members: Sequence[_Member]) -> GatewayError:
        if all(isinstance(member.cause, Failed) for member in members):
            return Failed("no engine can be used: " + "; ".join(str(m.cause) for m in members))
        after = min(member.breaker.until for member in members) - self._clock.monotonic()
        return Busy("no engine works at the moment", after=max(after, 0.1))

    # --- what its failure means ---

    def _goes_on_after(self, member: _Member, problem: GatewayError, *, alone: bool) -> bool:
        """Note the failure; whether another engine may be asked instead."""
        if isinstance(problem, Refused):
            return problem.reason == TOO_LONG and not alone
        if isinstance(problem, Saturated):
            return True
        if isinstance(problem, Busy):
            self._cool(member, problem, BUSY_AFTER if problem.after is None else problem.after)
        elif isinstance(problem, Failed):
            self._cool(member, problem)
        else:
            hung = isinstance(problem, TimedOut) and problem.hung
            if member.breaker.failed(self._clock.monotonic()) or hung:
                self._cool(member, problem)
            elif isinstance(problem, TimedOut) and not self._lone(member):
                self._watch(member)  # one token is asked for now, to leave a hung engine soon
        return True

    def _cool(self, member: _Member, problem: GatewayError, seconds: float | None = None) -> None:
        """Leave an engine alone, unless it is the only one: then that is only said, once."""
        if member.cause is None or type(member.cause) is not type(problem):
            name = member.backend.name
            if isinstance(problem, Failed):
                log.error("engine_misconfigured", engine=name, reason=str(problem))
            else:
                log.warning("engine_stopped_working", engine=name, reason=str(problem))
        member.cause = problem
        if not self._lone(member):
            member.breaker.cool(self._clock.monotonic(), seconds)
            self._watch(member)

    def _lone(self, member: _Member) -> bool:
        """Whether nobody could stand in for it."""
        return len(self._order) == 1 or member not in self._order

    def _works(self, member: _Member) -> None:
        member.breaker.succeeded(self._clock.monotonic())
        if not member.breaker.cooling:
            self._returned(member)

    def _returned(self, member: _Member) -> None:
        if member.cause is not None:
            member.cause = None
            log.info("engine_returned", engine=member.backend.name)

    # --- bringing it back ---

    def _watch(self, member: _Member) -> None:
        if member.watcher is None:
            member.watcher = asyncio.create_task(
                self._probe_until_it_works(member), name=f"engine-{member.backend.name}"
            )

    async def _probe_until_it_works(self, member: _Member) -> None:
        """One probe at a time, after each pause; at once when it is only suspected to hang."""
        breaker = member.breaker
        try:
            while True:
                while breaker.cooling and (left := breaker.until - self._clock.monotonic()) > 0:
                    await self._clock.sleep(left)
                cooling = breaker.cooling
                problem = await _probed(member.backend)
                now = self._clock.monotonic()
                if problem is None:
                    if cooling or not breaker.cooling:
                        breaker.probed(now, ok=True)
                        self._returned(member)
                        return
                elif isinstance(problem, Busy):
                    self._cool(member, problem, problem.after)
                elif cooling:
                    member.cause = problem
                    breaker.probed(now, ok=False)
                elif isinstance(problem, TimedOut):
                    self._cool(member, problem)
                elif not breaker.cooling:
                    return
        finally:
            member.watcher = None

    def _seen(self, member: _Member, status: EngineStatus) -> EngineStatus:
        if not member.breaker.cooling:
            return status
        left = max(member.breaker.until - self._clock.monotonic(), 0.0)
        detail = f"left alone for {left:.0f} s more: {member.cause}"
        return replace(status, ok=False, detail=detail)


async def _probed(backend: Backend) -> GatewayError | None:
    try:
        await backend.probe()
    except GatewayError as problem:
        return problem
    return None


def _weightier(one: GatewayError | None, other: GatewayError) -> GatewayError:
    """The failure that leaves the most hope: to wait, to repeat, to tell the sender why."""
    if one is None:
        return other
    hopes = (Busy, Retryable, Refused, GatewayError)
    return min(
        one, other, key=lambda e: next(i for i, kind in enumerate(hopes) if isinstance(e, kind))
    )
