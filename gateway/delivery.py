"""Station 9: outbox parts to the platform, in order per conversation, each once.

One state machine owns the visible message of a reply: nothing → growing text → final text. The
outbox is the truth; what is shown before is ephemeral and always replaced by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Literal, Protocol

import structlog
from pydantic import Field

from config.fields import Duration, Section
from gateway.drafts import Drafts
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Superseded, Uncertain
from gateway.failpoints import ANSWERED, MARKED, SENDING, failpoint
from gateway.message import ConversationId, Outbound
from gateway.ports import (
    Adapter,
    Capabilities,
    Clock,
    EditsMessages,
    Live,
    Paces,
    ReadsBack,
    Receipt,
)
from gateway.queues.outbox import Head, Outbox, Ownership
from gateway.seldom import Seldom

log = structlog.get_logger(__name__)
seldom = Seldom(log)

BATCH = 64
MOST_AT_ONCE = 1_000
"""Conversations under way; what is due beyond waits in the outbox and not in memory."""
LOOK_SECONDS = 1.0
"""Longest nap without looking into the outbox: covers a lost notice."""


SETTLE_SECONDS = 120.0
"""How long a part that was sent is remembered while the store does not answer."""


class _NeverKnown(Uncertain):
    """The platform was asked for an earlier send, and will never be able to tell."""


class DeliveryWatcher(Protocol):
    def part_settled(self, account: str, outcome: str) -> None: ...
    def part_paced(self, seconds: float) -> None: ...


class DeliveryConfig(Section):
    """Sending replies."""

    on_uncertain: Literal["hold", "resend"] = Field(
        "hold",
        description="A part whose send was cut, where the platform has no key and cannot be "
        "asked: hold lists it as uncertain for an operator, resend tries once more.",
    )
    longest_wait: Duration = Field(
        60.0, gt=0, description="Cap of the backoff while a platform is not there."
    )


class Delivery:
    """Sends for one account, as long as this process owns it."""

    def __init__(
        self,
        own: Ownership,
        adapter: Adapter,
        capabilities: Capabilities,
        outbox: Outbox,
        drafts: Drafts,
        clock: Clock,
        watcher: DeliveryWatcher,
        settings: DeliveryConfig,
    ) -> None:
        self._own = own
        self._adapter = adapter
        self._capabilities = capabilities
        self._outbox = outbox
        self._drafts = drafts
        self._clock = clock
        self._watcher = watcher
        self._settings = settings
        self._busy: dict[ConversationId, asyncio.Task[None]] = {}
        self._pacing: set[ConversationId] = set()
        """Of the busy ones: those whose part waits for the platform's rate, or for its word."""
        self._left = False
        """Whether more may be due than was begun."""
        self._again: set[ConversationId] = set()
        self._closing = False
        self._wake = asyncio.Event()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def busy(self) -> int:
        """Conversations of which a part is under way or waits for the platform's rate."""
        return len(self._busy)

    async def run(self) -> None:
        """Until cancelled. Raises `Superseded` or `BadConfig` when the account cannot go on."""
        try:
            while True:
                self._wake.clear()
                wait = await self._look()
                await self._nap(wait)
                if self._broken.done():
                    self._broken.result()
        finally:
            self._closing = True
            self._leave_waiting()
            await self._drafts.close()

    async def drain(self, seconds: float) -> None:
        """Begin no more sends, let those that have begun end: one that is cut ends uncertain.

        Parts that wait for the platform's rate have not begun and go on elsewhere.
        """
        self._closing = True
        self._leave_waiting()
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=seconds)

    def notice(self, conversation: ConversationId) -> None:
        """Something new stands in a conversation's outbox."""
        if conversation in self._busy:
            self._again.add(conversation)
        else:
            self._start(conversation, None)

    def look(self) -> None:
        """Notices may have been missed: look into the outbox."""
        self._wake.set()

    def live(self, live: Live) -> None:
        """A turn of one of our conversations shows where it stands."""
        if live.conversation not in self._busy and not self._closing:
            self._drafts.show(live)

    def _leave_waiting(self) -> None:
        for conversation in self._pacing:
            self._busy[conversation].cancel()

    async def _look(self) -> float:
        if self._full():
            return LOOK_SECONDS
        try:
            heads, wait = await self._outbox.due(self._own.account, BATCH + len(self._busy))
        except GatewayError as problem:
            seldom.warning("outbox_not_read", reason=str(problem))
            return LOOK_SECONDS
        fresh = [head for head in heads if head.conversation not in self._busy]
        self._left = len(fresh) >= BATCH
        for head in fresh:
            self._start(head.conversation, head)
        return min(wait, LOOK_SECONDS) if wait else LOOK_SECONDS

    async def _nap(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _start(self, conversation: ConversationId, head: Head | None) -> None:
        if self._closing or self._full():
            return
        task = asyncio.create_task(self._drain(conversation, head))
        self._busy[conversation] = task
        task.add_done_callback(lambda done: self._ended(conversation, done))

    def _full(self) -> bool:
        if len(self._busy) < MOST_AT_ONCE:
            return False
        self._left = True
        return True

    def _ended(self, conversation: ConversationId, task: asyncio.Task[None]) -> None:
        del self._busy[conversation]
        if self._left and len(self._busy) <= MOST_AT_ONCE // 2:
            self._left = False
            self._wake.set()
        problem = None if task.cancelled() else task.exception()
        if isinstance(problem, Superseded | BadConfig):
            if not self._broken.done():
                self._broken.set_exception(problem)
            self._wake.set()
        elif problem is not None:
            log.error("delivery_broke", exc_info=problem)
        elif conversation in self._again:
            self._again.discard(conversation)
            self._start(conversation, None)

    async def _drain(self, conversation: ConversationId, head: Head | None) -> None:
        """Send what may be sent of one conversation, part by part."""
        try:
            head = head or await self._outbox.head(self._own.account, conversation)
            while head is not None and await self._settled(head) and not self._closing:
                head = await self._outbox.head(self._own.account, conversation)
        except Retryable as problem:
            seldom.warning("store_not_there", reason=str(problem))  # the next look finds it again

    async def _settled(self, head: Head) -> bool:
        """Bring one part one step further; whether the next one may follow at once."""
        if head.outbound is None:
            return await self._quarantine(head, head.problem)
        try:
            self._check_deadline(head.outbound)
            receipt = await self._shown(head, head.outbound)
        except Superseded:
            raise
        except BadConfig as refused:
            # The account stops now; whoever has it next may try at once.
            await self._defer(head, 0.5, counted=False, reason=str(refused))
            raise
        except Busy as busy:
            return await self._defer(head, busy.after or 1.0, counted=False, reason=str(busy))
        except Retryable as later:
            wait = later.after or _backoff(head.attempts, self._settings.longest_wait)
            return await self._defer(head, wait, counted=True, reason=str(later))
        except _NeverKnown as lost:
            return await self._held(head, str(lost))
        except Uncertain as cut:
            return await self._uncertain(head, head.outbound, str(cut))
        except GatewayError as failure:
            return await self._quarantine(head, str(failure))
        except Exception as unexpected:
            log.exception("part_failed", reply=head.reply, part=head.part)
            return await self._quarantine(head, f"{type(unexpected).__name__}: {unexpected}")
        if receipt is None:
            return True
        await failpoint(ANSWERED, head.conversation)
        return await self._sent(head, receipt)

    async def _sent(self, head: Head, receipt: Receipt) -> bool:
        """Note that it stands there. While the store is away only we know, so we keep at it."""
        waited = 0.0
        while True:
            try:
                more = await self._outbox.settle(
                    self._own, head, "sent", native_id=receipt.native_id
                )
                break
            except Retryable as problem:
                if waited > SETTLE_SECONDS:
                    raise
                seldom.warning("settling_repeated", reply=head.reply, reason=str(problem))
                await asyncio.sleep(0.5)
                waited += 0.5
        self._count(head, "sent")
        await failpoint(MARKED, head.conversation)
        return more

    async def _shown(self, head: Head, outbound: Outbound) -> Receipt | None:
        """Make the part visible. None: somebody else did, or will."""
        visible = await self._drafts.finish(head, outbound)
        if isinstance(self._adapter, Paces):
            await self._wait_for_pace(self._adapter, head, outbound)
            if not await self._still_due(head):
                return None
        native_id = visible.native_id
        if visible.cut and isinstance(self._adapter, EditsMessages):
            native_id = await self._cut_preview(outbound)
        if native_id and isinstance(self._adapter, EditsMessages):
            await failpoint(SENDING, head.conversation)
            try:
                return await self._adapter.edit(outbound, native_id)
            except Failed as gone:
                log.info("visible_message_gone", reason=str(gone))
        if self._capabilities.idempotent_send:
            await failpoint(SENDING, head.conversation)
            return await self._adapter.send(outbound)
        if head.sending or visible.complete:
            return await self._reconciled(head, outbound)
        return await self._first_send(head, outbound)

    async def _cut_preview(self, outbound: Outbound) -> str:
        """The message of a preview whose first send was cut, where the platform can tell. It has
        the key of the final text, which would be taken for its repetition and not be shown."""
        if isinstance(self._adapter, ReadsBack):
            found = await self._asked(self._adapter, outbound)
        elif self._capabilities.idempotent_send:
            found = await self._adapter.send(outbound)
        else:
            return ""
        return found.native_id if found else ""

    async def _wait_for_pace(self, adapter: Paces, head: Head, outbound: Outbound) -> None:
        """Until the platform's rate has room. A part that is cut here stays ready."""
        began = self._clock.monotonic()
        self._pacing.add(head.conversation)
        try:
            if not self._closing:
                await self._pace(adapter, head, outbound)
        finally:
            self._pacing.discard(head.conversation)
        self._watcher.part_paced(self._clock.monotonic() - began)
        self._check_deadline(outbound)

    async def _pace(self, adapter: Paces, head: Head, outbound: Outbound) -> None:
        while True:
            try:
                return await adapter.pace(outbound)
            except Busy as full:
                if not head.sending:
                    raise
                # An earlier send may have arrived: put off, it would count as never begun.
                await asyncio.sleep(full.after or 1.0)

    async def _still_due(self, head: Head) -> bool:
        """Whether a part that waited is still to be shown, and here. An edit is not marked, so no
        fence would stop it if somebody else had the account meanwhile and showed more."""
        if self._closing:
            return False
        now = await self._outbox.head(self._own.account, head.conversation)
        return now is not None and (now.reply, now.part) == (head.reply, head.part)

    def _check_deadline(self, outbound: Outbound) -> None:
        if outbound.deadline and outbound.deadline < self._clock.now():
            raise Failed("not sent before its deadline")

    async def _first_send(self, head: Head, outbound: Outbound) -> Receipt | None:
        attempt = await self._outbox.sending(self._own, head)
        if attempt is None:
            return None
        await failpoint(SENDING, head.conversation)
        return await self._adapter.send(outbound)

    async def _reconciled(self, head: Head, outbound: Outbound) -> Receipt | None:
        """An earlier send of this part never reported back."""
        if isinstance(self._adapter, ReadsBack):
            return await self._looked_up(self._adapter, head, outbound)
        if self._settings.on_uncertain == "resend":
            return await self._first_send(head, outbound)
        raise Uncertain("the send was cut and the platform cannot be asked")

    async def _looked_up(
        self, adapter: ReadsBack, head: Head, outbound: Outbound
    ) -> Receipt | None:
        """Ask until the platform can say. Put off like a send that failed, the part would count as
        never begun, and be sent a second time."""
        tries, waited = 0, False
        while not waited or await self._still_due(head):
            try:
                found = await self._asked(adapter, outbound)
            except Retryable as later:
                seldom.warning("send_not_looked_up", reply=head.reply, reason=str(later))
                wait = later.after or _backoff(tries, self._settings.longest_wait)
                tries, waited = tries + 1, True
                await self._wait_undecided(head, wait)
            else:
                return found or await self._first_send(head, outbound)
        return None

    async def _wait_undecided(self, head: Head, seconds: float) -> None:
        """May be cut: the part stays marked as being sent."""
        self._pacing.add(head.conversation)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._pacing.discard(head.conversation)

    async def _asked(self, adapter: ReadsBack, outbound: Outbound) -> Receipt | None:
        try:
            return await adapter.find(outbound)
        except Uncertain as cut:
            raise _NeverKnown(str(cut)) from cut

    async def _uncertain(self, head: Head, outbound: Outbound, reason: str) -> bool:
        """The send of just now was cut."""
        if isinstance(self._adapter, ReadsBack) or (
            self._settings.on_uncertain == "resend" and head.attempts < 1
        ):
            # Still marked as being sent: the next look reconciles it.
            await asyncio.sleep(_backoff(head.attempts, 5.0))
            return True
        return await self._held(head, reason)

    async def _held(self, head: Head, reason: str) -> bool:
        log.warning("part_uncertain", reply=head.reply, part=head.part, reason=reason)
        await self._outbox.settle(self._own, head, "uncertain", reason=reason)
        self._count(head, "uncertain")
        return True

    async def _quarantine(self, head: Head, reason: str) -> bool:
        log.error("part_quarantined", reply=head.reply, part=head.part, reason=reason)
        await self._outbox.settle(self._own, head, "quarantined", reason=reason)
        self._count(head, "failed")
        return True

    async def _defer(self, head: Head, seconds: float, *, counted: bool, reason: str) -> bool:
        log.info("part_deferred", reply=head.reply, seconds=round(seconds, 1), reason=reason)
        await self._outbox.defer(self._own, head, seconds, counted=counted)
        self._count(head, "deferred")
        self._wake.set()
        return False

    def _count(self, head: Head, outcome: str) -> None:
        self._watcher.part_settled(self._own.account.key, outcome)


def _backoff(attempts: int, longest: float) -> float:
    """Seconds before the next try: 0.5 doubling, with jitter."""
    return min(0.5 * 2.0**attempts, longest) * random.uniform(0.75, 1.25)
