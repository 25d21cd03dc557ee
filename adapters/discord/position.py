"""How far a bot's events have been taken in, kept so that another process can go on from there.

A session can be resumed behind the last event of which it and all before it are in the store. What
no session brings any more is fetched by REST, from each channel's last message that was taken in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar

import msgspec
import structlog

from adapters.discord.native import is_snowflake
from gateway.errors import GatewayError
from gateway.ports import Clock, Keep

log = structlog.get_logger(__name__)

PAUSE = 0.25
"""Seconds between two writes: what was taken in meanwhile is known when it comes again."""
SESSION_TTL = 86_400.0
MARK_TTL = 30 * 86_400.0
"""A channel that was quiet for so long is not looked at."""


class Session(msgspec.Struct, frozen=True):
    """A connection that may be resumed."""

    id: str
    url: str
    seq: int


class Mark(msgspec.Struct, frozen=True):
    """The last message of a channel that was taken in."""

    message: str
    direct: bool = False


class Progress:
    """Counts one session's events: ended in any order, stored as far as all before them are."""

    def __init__(self, seq: int = 0) -> None:
        self._latest = seq
        self._open: dict[int, int] = {}
        """How many pieces of work hang on an event."""

    @property
    def latest(self) -> int:
        return self._latest

    @property
    def stored(self) -> int:
        return min(self._open) - 1 if self._open else self._latest

    @property
    def idle(self) -> bool:
        return not self._open

    @property
    def waiting(self) -> int:
        return len(self._open)

    def seen(self, seq: int) -> None:
        self._latest = max(self._latest, seq)

    def begin(self, seq: int) -> None:
        self.seen(seq)
        self._open[seq] = self._open.get(seq, 0) + 1

    def end(self, seq: int) -> None:
        left = self._open.pop(seq) - 1
        if left:
            self._open[seq] = left


class Position:
    """One bot's, in the account's keep. Another bot under the same name starts anew."""

    def __init__(self, keep: Keep, clock: Clock, bot: str) -> None:
        self._keep = keep
        self._clock = clock
        self._bot = bot
        self.session: Session | None = None
        self.progress = Progress()
        self.marks: dict[str, Mark] = {}
        self.latest = ""
        """Id of the newest message of which it and all that came before are in the store."""
        self._newest = ""
        self._older: set[Progress] = set()
        """Of sessions that are over, with work that is not."""
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()
        self._saved: dict[str, bytes] = {}

    async def load(self) -> None:
        """What was kept. Raises `Retryable`."""
        prefix = f"{self._bot}/mark/"
        for key, value in await self._keep.items():
            if key == f"{self._bot}/session":
                self.session = _read(value, Session)
            elif key == f"{self._bot}/latest":
                self.latest = value.decode("ascii", "replace")
            elif key.startswith(prefix) and (mark := _read(value, Mark)) is not None:
                self.marks[key.removeprefix(prefix)] = mark
        self.latest = self.latest if is_snowflake(self.latest) else ""
        self._newest = self.latest
        self.marks = {name: one for name, one in self.marks.items() if is_snowflake(one.message)}
        if self.session is not None:
            self.progress = Progress(self.session.seq)

    def opened(self, session: Session) -> None:
        """A new session begins. It is not kept before what it cannot bring is in the store: what an
        earlier one left undone, and what came between them. Until then a successor has to look."""
        self.lost()
        self.session = session
        self.progress = Progress(session.seq)
        self._changed.set()

    def seen(self, seq: int) -> None:
        """An event on which no work hangs."""
        self.progress.seen(seq)
        self._changed.set()

    def lost(self) -> None:
        """The session cannot be resumed."""
        if not self.progress.idle:
            self._older.add(self.progress)
        self.session = None
        self.progress = Progress()

    def ended(self, progress: Progress, seq: int) -> None:
        """A piece of work that hung on an event is done."""
        progress.end(seq)
        if progress.idle:
            self._older.discard(progress)
        if self.progress.idle and not self._older:
            self.latest = self._newest
        self._changed.set()

    def begun(self, now: str) -> None:
        """A session begins at this id: where nothing was taken in yet, the first gap does, too."""
        if not self._newest:
            self.latest = self._newest = now
            self._changed.set()

    def taken_in(self, channel: str, message: str, *, direct: bool) -> None:
        known = self.marks.get(channel)
        if known is None or int(known.message) < int(message):
            self.marks[channel] = Mark(message, direct)
            self._dirty.add(channel)
        self._newest = max(self._newest, message, key=lambda each: int(each or 0))

    def forget(self, channel: str) -> None:
        self.marks.pop(channel, None)
        self._dirty.add(channel)

    async def keep_saved(self) -> None:
        """Until cancelled. A store that is away is waited for: what is not saved comes again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.save()
            except GatewayError as problem:
                log.debug("position_not_saved", reason=str(problem))
                self._changed.set()
            await self._clock.sleep(PAUSE)

    async def save(self) -> None:
        # Read before the first write: what is taken in meanwhile is for the next time.
        session, stored = self.session, self.progress.stored
        latest, marks = self.latest, dict(self.marks)
        begun = session is not None and stored >= session.seq and not self._older
        while self._dirty:
            channel = self._dirty.pop()
            try:
                await self._save_mark(channel, marks)
            except BaseException:
                self._dirty.add(channel)
                raise
        if latest:
            await self._put("latest", latest.encode(), MARK_TTL)
        if session is not None and begun:
            kept = Session(session.id, session.url, stored)
            await self._put("session", msgspec.json.encode(kept), SESSION_TTL)

    async def _save_mark(self, channel: str, marks: Mapping[str, Mark]) -> None:
        mark = marks.get(channel)
        if mark is None:
            await self._keep.remove(f"{self._bot}/mark/{channel}")
        else:
            await self._put(f"mark/{channel}", msgspec.json.encode(mark), MARK_TTL)

    async def _put(self, name: str, value: bytes, ttl: float) -> None:
        if name.startswith("mark/"):
            await self._keep.set(f"{self._bot}/{name}", value, ttl=ttl)
        elif self._saved.get(name) != value:
            await self._keep.set(f"{self._bot}/{name}", value, ttl=ttl)
            self._saved[name] = value


_Kept = TypeVar("_Kept")


def _read(value: bytes, shape: type[_Kept]) -> _Kept | None:
    try:
        return msgspec.json.decode(value, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
