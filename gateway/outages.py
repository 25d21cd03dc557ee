"""What failed turns tell: whose fault it was, and who waits for an engine to come back."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Retryable, Unavailable
from gateway.message import ConversationId, InboundId
from gateway.ports import Lease


class Blame:
    """Tells an engine that is away from a message that breaks every engine it meets.

    When others were answered between two failures of the same message, the engines work and the
    message is what fails: its deliveries count, so that it ends in quarantine instead of opening
    the breakers again and again.
    """

    REMEMBERED = 1000

    def __init__(self) -> None:
        self._answers = 0
        self._failed: dict[InboundId, int] = {}
        """How many answers there had been at a message's last failure."""

    def answered(self, lease: Lease) -> None:
        self._answers += 1
        self._failed.pop(lease.messages[0].id, None)

    def on(self, lease: Lease, problem: Retryable) -> bool:
        """Note a failure; whether it is the message's own doing. Being busy never is."""
        first = lease.messages[0].id
        before = self._failed.pop(first, None)
        self._failed[first] = self._answers
        if len(self._failed) > self.REMEMBERED:
            del self._failed[next(iter(self._failed))]
        return isinstance(problem, Unavailable) and before is not None and before < self._answers


class Waiting:
    """Conversations given back because no engine was there, the longest waiting first.

    Each answer calls two of them: after an outage nobody waits for the end of a pause, and an
    engine that has just come back is not asked by all at once. Whoever was called in vain goes on
    by its own pauses: its trouble may be another than the outage.
    """

    CALLED = 2
    REMEMBERED = 10_000

    def __init__(self) -> None:
        self._waiting: dict[ConversationId, None] = {}
        self._called: dict[ConversationId, None] = {}

    def add(self, conversation: ConversationId) -> None:
        if conversation not in self._called and len(self._waiting) < self.REMEMBERED:
            self._waiting[conversation] = None

    def forget(self, conversation: ConversationId) -> None:
        """It was settled."""
        self._waiting.pop(conversation, None)
        self._called.pop(conversation, None)

    def called(self) -> Sequence[ConversationId]:
        """Those whose turn it is now, each once until it is settled."""
        names = [name for name, _ in zip(self._waiting, range(self.CALLED), strict=False)]
        for name in names:
            del self._waiting[name]
            self._called[name] = None
        while len(self._called) > self.REMEMBERED:
            del self._called[next(iter(self._called))]
        return names
