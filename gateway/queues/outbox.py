"""The sender's side of the queue: outbox parts, in order per conversation, each settled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import Failed, Superseded
from gateway.message import Account, ConversationId, Outbound, ReplyId, decode_outbound
from gateway.queues.scripts import script
from gateway.queues.topology import Store, gathered
from gateway.queues.wire import Argument, Script

DUE, HEAD, SENDING, SENT, DEFER, VISIBLE = map(
    script, ("due", "head", "mark_sending", "mark_sent", "defer", "visible")
)

Settled = Literal["sent", "uncertain", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The oldest part of a conversation that is not settled."""

    conversation: ConversationId
    outbound: Outbound | None
    """None when it could not be decoded; `problem` says why."""
    reply: str
    part: str
    attempts: int
    """Sends begun so far."""
    sending: bool
    """A send was begun and not settled: by a predecessor of ours that died, or it was cut."""
    visible: str
    """Native id of the message that already shows this reply; ``?`` when its send was cut."""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The right to receive for and send as an account."""

    account: Account
    fence: int


class Outbox:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def due(self, account: Account, most: int) -> tuple[list[Head], float]:
        """Heads that may be sent now, and seconds until the next one may (0 for none).

        Raises `Unavailable` only when there are none and a partition does not answer.
        """
        heads, waits = [], []
        replies, problem = await gathered(
            self._store.run(DUE, one, account.key, most) for one in self._store.partitions
        )
        for now, later, *found in replies:
            heads += [_head(conv, raw, state, visible) for conv, raw, state, visible in found]
            if later:
                waits.append(max((later - now) / 1000, 0.001))
        if problem is not None and not heads:
            raise problem
        return heads, min(waits, default=0.0)

    async def head(self, account: Account, conversation: ConversationId) -> Head | None:
        partition = self._store.partition_of(conversation)
        found = await self._store.run(HEAD, partition, account.key, conversation)
        return _head(conversation.encode(), *found) if found else None

    async def sending(self, own: Ownership, head: Head) -> int | None:
        """Note that a send begins; the attempt's number, None when it was settled already.

        Raises `Superseded` when the account is not ours any more.
        """
        attempt = await self._on_head(SENDING, own, head)
        return attempt if attempt > 0 else None

    async def settle(
        self, own: Ownership, head: Head, state: Settled, *, native_id: str = "", reason: str = ""
    ) -> bool:
        """The part is done with; whether more may wait behind it. Repeating it changes nothing."""
        reply = await self._on_head(SENT, own, head, state, native_id, reason)
        return reply != 2

    async def defer(self, own: Ownership, head: Head, after: float, *, counted: bool) -> None:
        """It surely did not go out; again after so many seconds, also after a restart."""
        await self._on_head(DEFER, own, head, int(after * 1000), 0 if counted else 1)

    async def note_visible(
        self, own: Ownership, conversation: ConversationId, reply: ReplyId, native_id: str
    ) -> None:
        """Remember the message that shows a reply, so that its final text replaces it."""
        self._checked(
            own,
            await self._store.run(
                VISIBLE,
                self._store.partition_of(conversation),
                own.account.key,
                own.fence,
                reply,
                native_id,
            ),
        )

    async def waits(self, conversation: ConversationId) -> bool:
        """Whether parts of the conversation are not settled, due or not."""
        partition = self._store.partition_of(conversation)
        return bool(await self._store.call(partition, "EXISTS", f"{partition}:ob:{conversation}"))

    async def awaited(self, conversation: ConversationId, reply: ReplyId) -> bool:
        """Whether the reply's final text has not come into the outbox yet."""
        partition = self._store.partition_of(conversation)
        return not await self._store.call(partition, "HEXISTS", f"{partition}:sent:{reply}", "0")

    async def visible(self, conversation: ConversationId, reply: ReplyId) -> str:
        """Native id under which a reply is visible; empty for none, ``?`` when unknown."""
        partition = self._store.partition_of(conversation)
        found: bytes | None = await self._store.call(
            partition, "HGET", f"{partition}:sent:{reply}", "v"
        )
        return (found or b"").decode()

    async def _on_head(
        self, script: Script, own: Ownership, head: Head, *arguments: Argument
    ) -> int:
        reply: int = await self._store.run(
            script,
            self._store.partition_of(head.conversation),
            own.account.key,
            own.fence,
            head.conversation,
            head.reply,
            head.part,
            *arguments,
        )
        return self._checked(own, reply)

    def _checked(self, own: Ownership, reply: int) -> int:
        if reply == 0:
            raise Superseded(f"{own.account.key} belongs to another process now")
        return reply


def _head(conversation: bytes, raw: bytes, state: bytes, visible: bytes) -> Head:
    reply, part, body = raw.split(b"\n", 2)
    words: Sequence[bytes] = state.split(b" ")
    outbound, problem = _decoded(body)
    return Head(
        conversation=ConversationId(conversation.decode()),
        outbound=outbound,
        reply=reply.decode(),
        part=part.decode(),
        attempts=int(words[1]) if len(words) > 1 and words[0] in {b"sending", b"ready"} else 0,
        sending=words[0] == b"sending",
        visible=visible.decode(),
        problem=problem,
    )


def _decoded(body: bytes) -> tuple[Outbound | None, str]:
    try:
        return decode_outbound(body), ""
    except Failed as problem:
        return None, str(problem)
