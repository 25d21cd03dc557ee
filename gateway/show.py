"""The growing answer of a turn, for whoever watches: coalesced by time, never relied on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from gateway.errors import GatewayError
from gateway.message import Inbound, reply_id
from gateway.ports import Capabilities, Live

log = structlog.get_logger(__name__)

Publish = Callable[[Live], Awaitable[None]]


class Show:
    """The growing answer, coalesced by time, for whoever watches.

    The first words wait a moment too: an answer that is complete by then needs no preview.
    """

    FIRST_WORD = 0.03
    TYPING = 0.25

    def __init__(
        self, messages: Sequence[Inbound], fence: int, publish: Publish, interval: float
    ) -> None:
        first, last = messages[0], messages[-1]
        self._live = Live(
            conversation=first.conversation,
            account=first.account,
            place=first.place,
            reply=reply_id(first.id),
            kind="started",
            reply_to=last.native_id if first.place.kind != "direct" else "",
            fence=fence,
        )
        self._publish = publish
        self._interval = interval
        self._pieces: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._shown = False
        self._streams = False

    def begin(self, capabilities: Capabilities) -> None:
        self._streams = capabilities.streams
        if capabilities.typing or capabilities.streams:
            self._later(self.TYPING, self._send_started)

    def add(self, text: str) -> None:
        self._pieces.append(text)
        if self._streams and (len(self._pieces) == 1 or self._timer is None):
            self._later(self._interval if self._shown else self.FIRST_WORD, self._send_text)

    def restart(self) -> None:
        self._pieces.clear()

    async def end(self, *, visible: bool) -> None:
        """No more; `visible` tells watchers that what they show will not be completed now."""
        self._cancel()
        if self._sending is not None:
            with contextlib.suppress(GatewayError):
                await self._sending
        if visible and self._shown:
            with contextlib.suppress(GatewayError):
                await self._publish(replace(self._live, kind="ended"))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, what)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_started(self) -> None:
        self._timer = None
        self._send(self._live)

    def _send_text(self) -> None:
        self._timer = None
        self._send(replace(self._live, kind="text", text="".join(self._pieces)))

    def _send(self, live: Live) -> None:
        self._shown = True
        if self._sending is not None and not self._sending.done():
            return  # the store is slow; the next update carries everything anyway
        self._sending = asyncio.create_task(self._quietly(live))

    async def _quietly(self, live: Live) -> None:
        try:
            await self._publish(live)
        except GatewayError as problem:
            log.debug("preview_lost", reason=str(problem))
