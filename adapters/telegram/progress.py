"""How far a bot's updates have been taken in: what may be confirmed to Telegram, and what not.

Telegram hands out everything from an offset on, again and again, until a higher offset confirms
it. Updates end in any order, so the offset is the first one that has not ended.
"""

from __future__ import annotations


class Progress:
    """Counts one connection's updates. Nothing is kept over a restart: Telegram keeps it."""

    def __init__(self) -> None:
        self.offset: int | None = None
        """What to ask for next; None until the first update has ended."""
        self._waiting: set[int] = set()
        self._ended: set[int] = set()

    @property
    def waiting(self) -> int:
        """Updates that were handed out and have not ended."""
        return len(self._waiting)

    def begin(self, update_id: int) -> bool:
        """Whether the update is new here: not on its way, and not ended."""
        if update_id in self._waiting or update_id in self._ended:
            return False
        self._waiting.add(update_id)
        return True

    def end(self, update_id: int) -> None:
        """The update is in the store, or will never be."""
        self._waiting.discard(update_id)
        self._ended.add(update_id)
        first = min(self._waiting, default=None)
        done = [each for each in self._ended if first is None or each < first]
        if done:
            self.offset = max(done) + 1

    def confirmed(self, offset: int) -> None:
        """Telegram was asked from this offset on, so it will not repeat what is below."""
        self._ended = {each for each in self._ended if each >= offset}
