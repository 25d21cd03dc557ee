"""The intake's side of the queue in memory: it remembers, orders and refuses as the port says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.errors import Unavailable
from gateway.message import ConversationId, Inbound, InboundId, Outbound
from gateway.ports import LanePolicy, LaneView, Session


class MemoryLanes:
    """`Lanes`, open to be looked into. `running` holds what a test put to work."""

    def __init__(self) -> None:
        self.down = False
        self.waiting: dict[ConversationId, list[Inbound]] = defaultdict(list)
        self.running: dict[ConversationId, list[Inbound]] = defaultdict(list)
        self.outbox: list[Outbound] = []
        self.policies: dict[InboundId, LanePolicy] = {}
        self.sessions: dict[ConversationId, Session] = defaultdict(Session)
        self.ledger: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._seen: set[InboundId] = set()

    async def put(
        self, event: Inbound, policy: LanePolicy
    ) -> Literal["stored", "duplicate", "full"]:
        self._answer("put")
        if event.id in self._seen:
            return "duplicate"
        if len(self.waiting[event.conversation]) >= policy.depth:
            return "full"
        self._accept(event)
        self.policies[event.id] = policy
        self.waiting[event.conversation].append(event)
        return "stored"

    async def say(
        self, event: Inbound, parts: Sequence[Outbound], outcome: Literal["answered", "refused"]
    ) -> bool:
        self._answer("say")
        if event.id in self._seen:
            return False
        self._accept(event)
        self.ledger[outcome] += 1
        self.outbox += parts
        return True

    async def settle(
        self,
        event: Inbound,
        parts: Sequence[Outbound],
        outcome: Literal["answered", "cancelled"],
        *,
        instead: Inbound | None = None,
    ) -> bool:
        self._answer("settle")
        running = self.running.get(event.conversation, [])
        for lane in (running, self.waiting.get(event.conversation, [])):
            for position, one in enumerate(lane):
                if one.id != event.id:
                    continue
                if instead is None:
                    del lane[position]
                    self.ledger[outcome] += 1
                else:
                    lane[position] = instead
                if lane is running:
                    back = self.running.pop(event.conversation)
                    self.waiting[event.conversation][:0] = back
                self.outbox += parts
                return True
        return False

    async def waits(self, event: Inbound) -> bool:
        self._answer("waits")
        lanes = (self.running, self.waiting)
        return any(one.id == event.id for lane in lanes for one in lane.get(event.conversation, ()))

    async def tell(self, parts: Sequence[Outbound]) -> None:
        self._answer("tell")
        known = {part.key for part in self.outbox}
        self.outbox += [part for part in parts if part.key not in known]

    async def replace(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        self._answer("replace")
        return self._amend(event, event.text)

    async def withdraw(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        self._answer("withdraw")
        return self._amend(event, None)

    async def stop(self, conversation: ConversationId, *, but: InboundId | None = None) -> int:
        self._answer("stop")
        every = [*self.running.pop(conversation, ()), *self.waiting.pop(conversation, ())]
        first = next((at for at, one in enumerate(every) if one.id == but), len(every))
        kept = every[first:]
        if kept:
            self.waiting[conversation] = kept
        self.ledger["stopped"] += len(every) - len(kept)
        return len(every) - len(kept)

    async def reset(self, conversation: ConversationId) -> None:
        self._answer("reset")
        generation = self.sessions[conversation].generation + 1
        self.sessions[conversation] = Session(
            generation=generation, overrides=self.sessions[conversation].overrides
        )

    async def override(self, conversation: ConversationId, name: str, value: str) -> None:
        self._answer("override")
        session = self.sessions[conversation]
        overrides = {key: kept for key, kept in session.overrides.items() if key != name}
        if value:
            overrides[name] = value
        self.sessions[conversation] = Session(
            generation=session.generation, active_at=session.active_at, overrides=overrides
        )

    async def view(self, conversation: ConversationId) -> LaneView:
        self._answer("view")
        running = self.running.get(conversation, [])
        return LaneView(
            waiting=len(running) + len(self.waiting.get(conversation, [])),
            running=bool(running),
            attempt=1 if running else 0,
            session=self.sessions[conversation],
            turns=0,
        )

    def work(self, conversation: ConversationId) -> None:
        """Everything that waits becomes the running turn."""
        self.running[conversation] += self.waiting.pop(conversation, [])

    def said(self) -> list[str]:
        """The texts in the outbox, oldest first."""
        return [part.text for part in self.outbox]

    def _accept(self, event: Inbound) -> None:
        self._seen.add(event.id)
        self.ledger["accepted"] += 1

    def _amend(
        self, event: Inbound, text: str | None
    ) -> Literal["changed", "late", "unknown", "duplicate"]:
        if event.id in self._seen:
            return "duplicate"
        lane = self.waiting.get(event.conversation, [])
        for position, one in enumerate(lane):
            if one.native_id == event.target:
                self._seen.add(event.id)
                if text is None:
                    del lane[position]
                else:
                    lane[position] = msgspec.structs.replace(one, text=text)
                return "changed"
        running = self.running.get(event.conversation, [])
        return "late" if any(one.native_id == event.target for one in running) else "unknown"

    def _answer(self, call: str) -> None:
        self.calls[call] += 1
        if self.down:
            raise Unavailable("the queue is down", after=1.0)
