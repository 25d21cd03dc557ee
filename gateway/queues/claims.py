"""The worker's side of the queue: claim conversations, keep them, settle them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from gateway.errors import Failed, Retryable, Superseded
from gateway.message import (
    ConversationId,
    Inbound,
    NewerSchema,
    Outbound,
    Turn,
    decode_inbound,
    encode,
)
from gateway.ports import Session
from gateway.queues.lanes import part_arguments, read_session
from gateway.queues.scripts import script
from gateway.queues.topology import Store, gathered
from gateway.queues.wire import Argument, Reply, Script

log = structlog.get_logger(__name__)

TAKE, COMMIT, RETRY, BURY, BEAT = map(script, ("take", "commit", "retry", "bury", "beat"))

NEWER_SECONDS = 60.0
"""How long a message of a newer schema is left for a newer worker before it is looked at again."""

_turns = msgspec.json.Decoder(tuple[Turn, ...])


class Interrupted(Superseded):
    """A newer message replaces this turn; the lane is ready again with both."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A claimed message that could not be decoded."""

    problem: Failed
    alone: bool
    """Whether it was the only one of its claim."""


class RedisLease:
    """`ports.Lease` on Redis."""

    def __init__(
        self,
        claims: Claims,
        partition: str,
        *,
        conversation: ConversationId,
        fence: int,
        attempt: int,
        messages: Sequence[Inbound],
        history: Sequence[Turn],
        session: Session,
        broken: Unreadable | None = None,
    ) -> None:
        self._claims = claims
        self._partition = partition
        self.conversation = conversation
        self.fence = fence
        self.attempt = attempt
        self.messages = messages
        self.history = history
        self.session = session
        self.broken = broken
        self.settling = False
        """Its end is on the way to the store, whose answer tells more than a heartbeat."""
        self._gone = False
        self._on_gone: Callable[[], object] | None = None

    @property
    def lost(self) -> bool:
        return self._gone

    def when_gone(self, call: Callable[[], object]) -> None:
        """Call this when the lease is lost, stopped or interrupted: the turn should end at once."""
        self._on_gone = call

    def void(self) -> None:
        """The lease is not ours any more."""
        if not self._gone:
            self._gone = True
            if self._on_gone is not None:
                self._on_gone()

    async def commit(
        self, parts: Sequence[Outbound], history: Sequence[Turn], *, outcome: str = "answered"
    ) -> None:
        claims = self._claims
        self.settling = True
        try:
            reply = await claims.store.run(
                COMMIT,
                self._partition,
                self.conversation,
                self.fence,
                outcome,
                self.session.generation,
                claims.history_lines,
                int(claims.history_seconds * 1000),
                int(self.session.active_at * 1000),
                *part_arguments(parts),
                len(history),
                *(encode(turn) for turn in history),
            )
        finally:
            self.settling = False
        claims.forget(self)
        if reply == 2:
            raise Interrupted("a newer message came in")
        if reply == 0:
            raise Superseded("the lease has gone")

    async def retry(self, after: float, *, counted: bool) -> None:
        await self._settle(RETRY, int(after * 1000), 1 if counted else 0)

    async def bury(self, reason: str, parts: Sequence[Outbound]) -> None:
        account = self.messages[0].account.key if self.messages else ""
        await self._settle(BURY, reason, account, *part_arguments(parts))

    async def _settle(self, how: Script, *arguments: Argument) -> None:
        try:
            reply = await self._claims.store.run(
                how, self._partition, self.conversation, self.fence, *arguments
            )
        finally:
            self._claims.forget(self)  # not settled after all: it runs out and comes again
        if reply == 0:
            raise Superseded("the lease has gone")


class Claims:
    """Takes leases and keeps them alive.

    Args:
        lease_seconds: how long a conversation is ours without a heartbeat; a dead worker's
            conversations are taken over after at most this.
        batch: most messages merged into one turn.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease_seconds: float = 6.0,
        batch: int = 20,
        history_lines: int = 60,
        history_seconds: float = 30 * 86400,
    ) -> None:
        self.store = store
        self.lease_seconds = lease_seconds
        self.history_lines = history_lines
        self.history_seconds = history_seconds
        self._batch = batch
        self._held: dict[str, dict[ConversationId, RedisLease]] = {
            partition: {} for partition in store.partitions
        }
        self.next_due = 0.0
        """Seconds until a timer or a foreign lease runs out, by the last `take`; 0 for none."""

    async def take(self, want: int, partition: str | None = None) -> list[RedisLease]:
        """Claim up to about `want` conversations (of one partition, or of all).

        Raises `Unavailable` only when no partition has anything and one does not answer: what
        the others gave is ours and has to be worked on.
        """
        partitions = self.store.partitions if partition is None else (partition,)
        share = -(-want // len(partitions))
        replies, problem = await gathered(self._take(one, share) for one in partitions)
        self.next_due = min((due for _, due in replies if due > 0), default=0.0)
        claimed = [lease for leases, _ in replies for lease in leases]
        if problem is not None and not claimed:
            raise problem
        return [lease for lease in claimed if await self._readable(lease)]

    async def _take(self, partition: str, want: int) -> tuple[list[RedisLease], float]:
        now, due, *lanes = await self.store.run(
            TAKE,
            partition,
            int(self.lease_seconds * 1000),
            want,
            self._batch,
            self.history_lines,
        )
        leases = [self._lease(partition, lane) for lane in lanes]
        for lease in leases:
            before = self._held[partition].get(lease.conversation)
            self._held[partition][lease.conversation] = lease
            if before is not None and not before.settling:
                before.void()  # ran out unnoticed, and came back to us
        return leases, max((due - now) / 1000, 0.001) if due else 0.0

    def _lease(self, partition: str, lane: Sequence[Reply]) -> RedisLease:
        conversation, fence, attempt, count = lane[:4]
        behind = 5 + count
        history = behind + lane[behind - 1]
        messages, broken = _decode(lane[4 : behind - 1])
        return RedisLease(
            self,
            partition,
            conversation=ConversationId(conversation.decode()),
            fence=fence,
            attempt=attempt,
            messages=messages,
            history=_history(lane[history:]),
            session=read_session(lane[behind:history]),
            broken=broken,
        )

    async def _readable(self, lease: RedisLease) -> bool:
        """Whether all messages could be decoded; settles the lease when not."""
        broken = lease.broken
        if broken is None:
            return True
        with contextlib.suppress(Superseded, Retryable):  # it runs out and comes again
            if not broken.alone:
                await lease.retry(0.0, counted=True)  # the next delivery isolates the head
            elif isinstance(broken.problem, NewerSchema):
                log.warning("message_left_for_newer_worker", reason=str(broken.problem))
                await lease.retry(NEWER_SECONDS, counted=False)
            else:
                log.error("message_quarantined", reason=str(broken.problem))
                await lease.bury(str(broken.problem), [])
        return False

    def forget(self, lease: RedisLease) -> None:
        held = self._held[lease._partition]
        if held.get(lease.conversation) is lease:
            del held[lease.conversation]

    def interrupt(self, conversation: ConversationId) -> None:
        """Another process says that the conversation's turn is void."""
        lease = self._held[self.store.partition_of(conversation)].get(conversation)
        if lease is not None:
            lease.void()

    async def beat(self) -> None:
        """Renew every lease we hold; marks those that are not ours any more."""
        _, problem = await gathered(
            self._beat(partition, held) for partition, held in self._held.items() if held
        )
        if problem is not None:
            raise problem

    async def _beat(self, partition: str, held: dict[ConversationId, RedisLease]) -> None:
        leases = dict(held)
        arguments = [value for one in leases.values() for value in (one.conversation, one.fence)]
        lost = await self.store.run(BEAT, partition, int(self.lease_seconds * 1000), *arguments)
        for name in lost:
            lease = leases[ConversationId(name.decode())]
            if held.get(lease.conversation) is lease and not lease.settling:
                self.forget(lease)
                lease.void()

    @property
    def held(self) -> int:
        return sum(len(held) for held in self._held.values())


def _history(lines: Sequence[bytes]) -> tuple[Turn, ...]:
    """The lines that can be read: one written by a newer gateway must not stop the lane."""
    try:
        return _turns.decode(b"[%b]" % b",".join(lines))
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        log.warning("history_line_skipped", reason=str(problem))
    turns: list[Turn] = []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            turns += _turns.decode(b"[%b]" % line)
    return tuple(turns)


def _decode(raw: Sequence[bytes]) -> tuple[tuple[Inbound, ...], Unreadable | None]:
    messages = []
    for element in raw:
        try:
            messages.append(decode_inbound(element.partition(b"\n")[2]))
        except Failed as problem:
            return (), Unreadable(problem, alone=len(raw) == 1)
    return tuple(messages), None
