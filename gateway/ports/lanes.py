"""The queue, from the side of those who put into it and of those who claim from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.message import ConversationId, Inbound, InboundId, Outbound, Turn

Mode = Literal["collect", "each", "interrupt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePolicy:
    """How what arrives in a conversation becomes turns."""

    mode: Mode = "collect"
    debounce: float = 0.0
    """Seconds of quiet before waiting messages become a turn."""
    priority: int = 1
    """0 is served first, 2 last."""
    depth: int = 100
    """Most messages that may wait in one conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The conversation's current run of history."""

    generation: int = 0
    active_at: float = 0.0
    """Seconds since the epoch of its last turn; 0 when new."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Per-session settings by command: ``model``, ``queue``, ``voice``."""


class Lease(Protocol):
    """One conversation, held by us, with what waits in it. Settled exactly once."""

    conversation: ConversationId
    fence: int
    attempt: int
    """1 at the first delivery of the head message."""
    messages: Sequence[Inbound]
    history: Sequence[Turn]
    session: Session

    @property
    def lost(self) -> bool:
        """Whether the lease is known to have gone to somebody else, or was cancelled."""

    async def commit(
        self, parts: Sequence[Outbound], history: Sequence[Turn], *, outcome: str = "answered"
    ) -> None:
        """Outbox, history and the consumed messages in one step. `Superseded` when too old."""

    async def retry(self, after: float, *, counted: bool) -> None:
        """Give it back for later. `counted` false: waiting for the other side is no attempt."""

    async def bury(self, reason: str, parts: Sequence[Outbound]) -> None:
        """Quarantine the messages with the reason and tell the sender by `parts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A conversation as ``/status`` shows it."""

    waiting: int
    running: bool
    attempt: int
    session: Session
    turns: int
    """Lines of hot history."""


class Lanes(Protocol):
    """The intake's side of the queue. Every method is one atomic step in the store.

    All raise `Unavailable` when the store does not answer in time, `Busy` when it is full.
    """

    async def put(
        self, event: Inbound, policy: LanePolicy
    ) -> Literal["stored", "duplicate", "full"]:
        """Dedupe by id, append to the lane, make the lane ready. ``full``: the lane's depth."""

    async def say(
        self, event: Inbound, parts: Sequence[Outbound], outcome: Literal["answered", "refused"]
    ) -> bool:
        """Settle an event without a turn: dedupe, count, and put the parts into the outbox.

        False when the event was seen before (nothing happens then). Without parts the event is
        only remembered and counted.
        """

    async def settle(
        self,
        event: Inbound,
        parts: Sequence[Outbound],
        outcome: Literal["answered", "cancelled"],
        *,
        instead: Inbound | None = None,
    ) -> bool:
        """Settle a stored message past its turn, which is cancelled if it runs: take it out of its
        lane and put the parts into the outbox; or let another message, with the same id, wait in
        its place. False when it does not wait any more: nothing happens then."""

    async def waits(self, event: Inbound) -> bool:
        """Whether a stored message is still to be settled: it waits, or is being answered."""

    async def tell(self, parts: Sequence[Outbound]) -> None:
        """Put parts of our own accord into the outbox (notices, ``moltgate send``); repeatable."""

    async def replace(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        """An edit: new text for a message that still waits, found by ``event.target``."""

    async def withdraw(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        """A delete: takes a waiting message out of its lane, cancels its turn when it runs."""

    async def stop(self, conversation: ConversationId, *, but: InboundId | None = None) -> int:
        """Cancel the running turn and everything that waits; how many messages that were.

        `but` stays, and is put off for a moment: it is the message that asked for it, and whoever
        stops for it settles it next. What was sent after it stays, too.
        """

    async def reset(self, conversation: ConversationId) -> None:
        """Start a new session: the next turn sees no history. Overrides stay."""

    async def override(self, conversation: ConversationId, name: str, value: str) -> None:
        """Keep a per-session setting (``model``, ``queue``); an empty value removes it."""

    async def view(self, conversation: ConversationId) -> LaneView: ...
