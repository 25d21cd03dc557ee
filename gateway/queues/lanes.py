"""The intake's side of the queue: messages into lanes, commands and refusals around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.errors import Busy
from gateway.message import (
    ConversationId,
    Inbound,
    InboundId,
    Outbound,
    decode_inbound,
    encode,
    inbound_id,
)
from gateway.ports import LanePolicy, LaneView, Session
from gateway.queues.scripts import script
from gateway.queues.topology import Store
from gateway.queues.wire import Argument

PUT, SAY, AMEND, STOP, PROMOTE = map(script, ("put", "say", "amend", "stop", "promote"))
SETTLE = script("settle")

DEDUPE_SECONDS = 8 * 86400
"""Longer than the longest redelivery of any platform known (Telegram: one day)."""
ASIDE_SECONDS = 10.0
"""How long a message that means to stop the others is put off, for whoever stops them to settle it.
"""

_PUT = {1: "stored", 0: "duplicate", -1: "full"}
_AMENDED = {0: "duplicate", 1: "changed", 2: "late", 3: "unknown"}


def part_arguments(parts: Sequence[Outbound]) -> list[Argument]:
    """Outbox parts as the scripts read them: how many, then account, reply, part, element each."""
    arguments: list[Argument] = [len(parts)]
    for part in parts:
        name = f"{part.reply}\n{part.part}\n".encode()
        arguments += (part.account.key, part.reply, part.part, name + encode(part))
    return arguments


class RedisLanes:
    """`ports.Lanes` on Redis.

    While `closed` says why (the store is nearly full), `put` raises `Busy`; everything that makes
    room goes on.
    """

    def __init__(
        self,
        store: Store,
        *,
        dedupe_seconds: float = DEDUPE_SECONDS,
        aside_seconds: float = ASIDE_SECONDS,
    ) -> None:
        self._store = store
        self._dedupe = int(dedupe_seconds * 1000)
        self._aside = int(aside_seconds * 1000)
        self.closed = ""

    async def put(
        self, event: Inbound, policy: LanePolicy
    ) -> Literal["stored", "duplicate", "full"]:
        if self.closed:
            raise Busy(self.closed, after=5.0)
        debounce = int(policy.debounce * 1000)
        mode = "quiet" if event.overheard else policy.mode
        stored: int = await self._store.run(
            PUT,
            self._store.partition_of(event.conversation),
            self._dedupe,
            event.id,
            event.conversation,
            f"{policy.priority}:{event.tenant}",
            f"{mode} {debounce}" if debounce else mode,
            policy.depth,
            _element(event),
        )
        return _PUT[stored]  # type: ignore[return-value]

    async def say(
        self, event: Inbound, parts: Sequence[Outbound], outcome: Literal["answered", "refused"]
    ) -> bool:
        reply = await self._store.run(
            SAY,
            self._store.partition_of(event.conversation),
            event.id,
            event.conversation,
            self._dedupe,
            outcome,
            *part_arguments(parts),
        )
        return bool(reply)

    async def settle(
        self,
        event: Inbound,
        parts: Sequence[Outbound],
        outcome: Literal["answered", "cancelled"],
        *,
        instead: Inbound | None = None,
    ) -> bool:
        reply = await self._store.run(
            SETTLE,
            self._store.partition_of(event.conversation),
            event.id,
            event.conversation,
            outcome,
            b"" if instead is None else _element(instead),
            *part_arguments(parts),
        )
        return bool(reply)

    async def waits(self, event: Inbound) -> bool:
        partition = self._store.partition_of(event.conversation)
        lane = await self._store.call(
            partition, "LRANGE", f"{partition}:m:{event.conversation}", 0, -1
        )
        name = event.id.encode() + b"\n"
        return any(element.startswith(name) for element in lane)

    async def tell(self, parts: Sequence[Outbound]) -> None:
        for part in parts:
            await self._store.run(
                SAY,
                self._store.partition_of(part.conversation),
                "",
                part.conversation,
                self._dedupe,
                "",
                *part_arguments([part]),
            )

    async def replace(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        current = b""
        while True:
            new = _with_text_of(event, current) if current else b"?"
            state, found = await self._amend(event, current, new)
            if state != 4:
                return _AMENDED[state]  # type: ignore[return-value]
            current = found

    async def withdraw(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        state, _ = await self._amend(event, b"", b"")
        return _AMENDED[state]  # type: ignore[return-value]

    async def _amend(self, event: Inbound, old: bytes, new: bytes) -> tuple[int, bytes]:
        state, found = await self._store.run(
            AMEND,
            self._store.partition_of(event.conversation),
            event.id,
            event.conversation,
            inbound_id(event.account, event.place.chat, event.target),
            self._dedupe,
            old,
            new,
        )
        return state, found

    async def stop(self, conversation: ConversationId, *, but: InboundId | None = None) -> int:
        partition = self._store.partition_of(conversation)
        stopped: int = await self._store.run(STOP, partition, conversation, but or "", self._aside)
        return stopped

    async def promote(self, conversations: Sequence[ConversationId]) -> int:
        """Make those ready now that wait after a failed turn; how many did."""
        done = 0
        for conversation in conversations:
            partition = self._store.partition_of(conversation)
            done += await self._store.run(PROMOTE, partition, conversation)
        return done

    async def reset(self, conversation: ConversationId) -> None:
        partition = self._store.partition_of(conversation)
        await self._store.call(partition, "HINCRBY", f"{partition}:ses:{conversation}", "g", 1)
        await self._store.call(partition, "HDEL", f"{partition}:ses:{conversation}", "at")

    async def override(self, conversation: ConversationId, name: str, value: str) -> None:
        partition = self._store.partition_of(conversation)
        key = f"{partition}:ses:{conversation}"
        if value:
            await self._store.call(partition, "HSET", key, f"o:{name}", value)
        else:
            await self._store.call(partition, "HDEL", key, f"o:{name}")

    async def view(self, conversation: ConversationId) -> LaneView:
        partition = self._store.partition_of(conversation)
        raw = await self._store.call(partition, "HGETALL", f"{partition}:ses:{conversation}")
        session = read_session(raw)
        lane = await self._store.call(partition, "HMGET", f"{partition}:c:{conversation}", "s", "a")
        waiting = await self._store.call(partition, "LLEN", f"{partition}:m:{conversation}")
        turns = await self._store.call(
            partition, "LLEN", f"{partition}:h:{conversation}:{session.generation}"
        )
        running = lane[0] not in {None, b"r", b"z"}
        return LaneView(
            waiting=waiting,
            running=running,
            attempt=int(lane[1] or 0) + running,
            session=session,
            turns=turns,
        )


def read_session(raw: Sequence[bytes]) -> Session:
    """A session from its hash as ``HGETALL`` gives it."""
    fields = dict(zip(raw[::2], raw[1::2], strict=True))
    return Session(
        generation=int(fields.get(b"g", 0)),
        active_at=int(fields.get(b"at", 0)) / 1000,
        overrides={
            name[2:].decode(): value.decode()
            for name, value in fields.items()
            if name.startswith(b"o:")
        },
    )


def _element(event: Inbound) -> bytes:
    return b"%b\n%b" % (event.id.encode(), encode(event))


def _with_text_of(edit: Inbound, stored: bytes) -> bytes:
    name, _, raw = stored.partition(b"\n")
    changed = msgspec.structs.replace(
        decode_inbound(raw), text=edit.text, mentions=edit.mentions, sent_at=edit.sent_at
    )
    return name + b"\n" + encode(changed)
