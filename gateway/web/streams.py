"""Open event streams and WebSockets: how many there may be, and who may no longer read.

A stream lives under a deadline; revoking its credential or draining the server moves that
deadline to now, and the handler ends as if its time were over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import structlog
from aiohttp import web

from gateway.errors import Retryable
from gateway.ports import Records
from gateway.web import auth
from gateway.web.auth import Principal
from gateway.web.problems import Problem
from gateway.web.settings import Limits

log = structlog.get_logger(__name__)

Reason = Literal["", "revoked", "draining"]


class Stream:
    """One open stream; `reason` says why it was ended before its time."""

    def __init__(self, principal: Principal, seconds: float) -> None:
        self.principal = principal
        self.reason: Reason = ""
        self.deadline = asyncio.timeout(seconds)

    def end(self, reason: Reason) -> None:
        self.reason = reason
        with contextlib.suppress(RuntimeError):  # not entered yet, or over already
            self.deadline.reschedule(asyncio.get_running_loop().time())


class Streams:
    def __init__(self, records: Records, limits: Limits) -> None:
        self._records = records
        self._limits = limits
        self._open: set[Stream] = set()
        self._per_principal: Counter[str] = Counter()
        self.draining = False

    @contextlib.contextmanager
    def admit(self, principal: Principal) -> Iterator[Stream]:
        """Count a stream in for as long as it is open. 429 or 503 when there are too many."""
        if self.draining:
            raise Problem(503, "unavailable", "The server is going down.", after=2.0)
        if self._per_principal[principal.id] >= self._limits.sockets_per_principal:
            raise Problem(429, "rate_limit", "Too many open connections.", after=5.0)
        if len(self._open) >= self._limits.sockets:
            raise Problem(503, "unavailable", "Too many open connections.", after=5.0)
        stream = Stream(principal, self._limits.stream_seconds)
        self._open.add(stream)
        self._per_principal[principal.id] += 1
        try:
            yield stream
        finally:
            self._open.discard(stream)
            self._per_principal[principal.id] -= 1
            if not self._per_principal[principal.id]:
                del self._per_principal[principal.id]

    def drain(self) -> None:
        """Take no more, and end those that are open."""
        self.draining = True
        for stream in tuple(self._open):
            stream.end("draining")

    def revoked(self, principal: Principal) -> None:
        for stream in tuple(self._open):
            if stream.principal == principal:
                stream.end("revoked")

    async def watch(self) -> None:
        """End the streams of credentials that are gone. Runs until cancelled."""
        while True:
            await asyncio.sleep(self._limits.recheck_seconds)
            for principal in {stream.principal for stream in self._open}:
                try:
                    valid = await auth.still_valid(self._records, principal)
                except Retryable as later:
                    log.warning("stream_recheck_postponed", problem=str(later))
                    break
                if not valid:
                    log.info("streams_revoked", principal=principal.id)
                    self.revoked(principal)


STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)


async def streams_context(app: web.Application) -> AsyncIterator[None]:
    """Runs the re-check while the application runs."""
    task = asyncio.create_task(app[STREAMS].watch(), name="web-streams")
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
