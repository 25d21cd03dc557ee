"""Keeping platform accounts connected: one owner each, restarted when they break, alone."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from gateway.delivery import Delivery
from gateway.errors import BadConfig, GatewayError, Retryable, Superseded
from gateway.message import ConversationId
from gateway.ports import Adapter, Inbox, Live, ReceivesEverywhere, ShowsPartial
from gateway.queues.accounts import Owners
from gateway.queues.outbox import Ownership

log = structlog.get_logger(__name__)

STANDBY_SECONDS = 0.5


class AccountWatcher(Protocol):
    def account_up(self, account: str, up: bool) -> None: ...


class AccountRunner:
    """One configured account in this process.

    An adapter that is a channel of our own (`ShowsPartial`) or has a webhook (`ReceivesEverywhere`)
    receives in every process; all others only while this process owns the account. Sending is the
    owner's alone.
    """

    def __init__(
        self,
        adapter: Adapter,
        inbox: Inbox,
        owners: Owners,
        deliveries: Callable[[Ownership], Delivery],
        watcher: AccountWatcher,
    ) -> None:
        self.adapter = adapter
        self.account = adapter.account
        self.state = "starting"
        """``up``, or what it waits for, in words."""
        self._inbox = inbox
        self._owners = owners
        self._deliveries = deliveries
        self._watcher = watcher
        self._delivery: Delivery | None = None
        self._own: Ownership | None = None
        self._everywhere = _receives_everywhere(adapter)
        self._receiving = False

    @property
    def ready(self) -> bool:
        """Connected, or standing by for the process that is: a replica in reserve is not broken."""
        return self.state == "up" or self.state.startswith("standby")

    async def run(self) -> None:
        """Until cancelled, or for good when the configuration is refused."""
        try:
            if self._everywhere:
                await _together(self._receive(), self._own_and(self._send_only))
            else:
                await self._own_and(self._serve)
        except BadConfig as refused:
            self._say(f"stopped: {refused}")
            log.error("account_stopped", account=self.account.key, reason=str(refused))
        finally:
            self._watcher.account_up(self.account.key, False)

    async def drain(self, seconds: float) -> None:
        """Let sends that have begun end, then let somebody else have the account."""
        if self._delivery is not None:
            await self._delivery.drain(seconds)
        if self._own is not None:
            with contextlib.suppress(GatewayError):
                await self._owners.release(self._own)

    def notice(self, conversation: ConversationId | None) -> None:
        """Something new stands in the outbox; None: perhaps, look."""
        if self._delivery is not None:
            if conversation is None:
                self._delivery.look()
            else:
                self._delivery.notice(conversation)

    async def live(self, live: Live) -> None:
        if isinstance(self.adapter, ShowsPartial):
            await self.adapter.partial(live)
        elif self._delivery is not None:
            self._delivery.live(live)

    async def _own_and(self, serve: Callable[[Ownership], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                own = await self._acquired()
                failures = 0
                try:
                    await serve(own)
                except BadConfig as refused:
                    await self._still_ours(own, refused)
                    raise
                finally:
                    self._delivery = None
                    self._own = None
                    self._watcher.account_up(self.account.key, False)
                    with contextlib.suppress(GatewayError):
                        await self._owners.release(own)
            except Superseded as lost:
                log.warning("account_lost", account=self.account.key, reason=str(lost))
            except BadConfig:
                raise
            except GatewayError as problem:
                failures += 1
                await self._pause(failures, str(problem))
            except Exception as unexpected:
                log.exception("account_failed", account=self.account.key)
                failures += 1
                await self._pause(failures, type(unexpected).__name__)

    async def _still_ours(self, own: Ownership, refused: BadConfig) -> None:
        """Being refused counts only while the account is ours: a process that slept through its
        lease is refused because of its successor. Raises `Superseded` then."""
        try:
            await self._owners.renew(own)
        except Superseded:
            raise Superseded(f"refused after the account had gone: {refused}") from refused

    async def _acquired(self) -> Ownership:
        told = False
        while True:
            own, holder = await self._owners.acquire(self.account)
            if own is not None:
                self._own = own
                return own
            self._say(f"standby: held by {holder}")
            if not told:
                log.warning("account_held_elsewhere", account=self.account.key, holder=holder)
                told = True
            await asyncio.sleep(STANDBY_SECONDS)

    async def _serve(self, own: Ownership) -> None:
        await _together(self._receive(), self._send(own), self._renew(own))

    async def _send_only(self, own: Ownership) -> None:
        if self._receiving:
            self._connected()
        await _together(self._send(own), self._renew(own))

    async def _receive(self) -> None:
        """The adapter's connection, again and again."""
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                self._receiving = True
                self._connected()
                await self.adapter.run(self._inbox)
                reason = "the connection ended"
            except (BadConfig, Superseded):
                raise
            except Retryable as problem:
                reason = str(problem)
            except Exception as unexpected:
                log.exception("adapter_failed", account=self.account.key)
                reason = type(unexpected).__name__
            self._receiving = False
            self._watcher.account_up(self.account.key, False)
            if asyncio.get_running_loop().time() - began > 60.0:
                failures = 0
            failures += 1
            await self._pause(failures, reason)

    async def _send(self, own: Ownership) -> None:
        self._delivery = self._deliveries(own)
        await self._delivery.run()

    async def _renew(self, own: Ownership) -> None:
        while True:
            await asyncio.sleep(self._owners.lease_seconds / 3)
            try:
                await self._owners.renew(own)
            except Retryable as problem:
                log.warning("ownership_not_renewed", account=self.account.key, reason=str(problem))

    async def _pause(self, failures: int, reason: str) -> None:
        seconds = min(0.5 * 2.0**failures, 60.0) * random.uniform(0.75, 1.25)
        if self.state == "up" or failures == 1:
            log.warning("account_down", account=self.account.key, reason=reason)
        self._say(f"down: {reason}")
        await asyncio.sleep(seconds)

    def _connected(self) -> None:
        self._say("up")
        self._watcher.account_up(self.account.key, True)

    def _say(self, state: str) -> None:
        if state == "up" and self.state != "up":
            log.info("account_up", account=self.account.key)
        self.state = state


def _receives_everywhere(adapter: Adapter) -> bool:
    return isinstance(adapter, ShowsPartial) or (
        isinstance(adapter, ReceivesEverywhere) and adapter.everywhere
    )


async def _together(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends; its error is ours, the others are cancelled."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem
