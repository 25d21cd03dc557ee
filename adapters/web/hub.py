"""Who reads which conversation, and what they have not been told yet.

Readers hold little: entries that just came (a few; whoever falls behind reads them from the log),
and per running answer only its newest text, since that is all of the answer so far. Because entries
are numbered without gaps, a reader sees by itself when it missed one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from gateway.message import ConversationId
from gateway.ports import EventLog, Live, LogEntry

_AHEAD = 64
"""Entries kept for a reader before it has to read the log."""

_REREAD = 20.0
"""Seconds after which the log is asked although nothing was heard."""

_PAGE = 200
_RUNNING = 2000
"""Running answers remembered for readers that come later."""

_FINISHED = 2000
"""Ended replies whose late partial text is still recognised."""


class Feed:
    """One reader of one conversation; see `next`."""

    def __init__(self, log: EventLog, conversation: ConversationId, after: int) -> None:
        self.last = after
        self._log = log
        self._conversation = conversation
        self._entries: deque[LogEntry] = deque()
        self._live: dict[str, Live] = {}
        self._wake = asyncio.Event()
        self._wanted = 1
        self._read = 0

    async def next(self) -> LogEntry | Live:
        """The next entry in order, or where a running answer stands. Cancelling loses nothing."""
        while True:
            if (entry := self._take()) is not None:
                self.last = entry.seq
                return entry
            if self._read < self._wanted:
                await self._reread()
            elif self._live:
                return self._live.pop(next(iter(self._live)))
            else:
                await self._wait()

    def entry(self, entry: LogEntry) -> None:
        self._entries.append(entry)
        if len(self._entries) > _AHEAD:
            self._entries.clear()
            self._wanted += 1
        self._wake.set()

    def live(self, live: Live) -> None:
        self._live.pop(live.reply, None)
        self._live[live.reply] = live
        self._wake.set()

    def ended(self, reply: str) -> None:
        self._live.pop(reply, None)

    def missed(self) -> None:
        self._wanted += 1
        self._wake.set()

    def _take(self) -> LogEntry | None:
        while self._entries:
            if self._entries[0].seq == self.last + 1:
                return self._entries.popleft()
            if self._entries[0].seq > self.last:
                self._entries.clear()
                self._wanted += 1
                return None
            self._entries.popleft()
        return None

    async def _reread(self) -> None:
        """What is newer goes first; what came in meanwhile is recognised by its number."""
        wanted = self._wanted
        found = await self._log.read(self._conversation, after=self.last, limit=_PAGE)
        if found:
            self.last = found[0].seq - 1  # older ones may be gone for good
        self._entries.extendleft(reversed(found))
        if len(found) < _PAGE:
            self._read = wanted

    async def _wait(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(_REREAD):
                await self._wake.wait()
        except TimeoutError:
            self._wanted += 1


class _About(msgspec.Struct, frozen=True):
    reply: str = ""


class Hub:
    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._feeds: dict[ConversationId, set[Feed]] = {}
        self._running: OrderedDict[str, Live] = OrderedDict()
        self._finished: OrderedDict[str, None] = OrderedDict()

    @contextmanager
    def follow(self, conversation: ConversationId, after: int) -> Iterator[Feed]:
        feed = Feed(self._log, conversation, after)
        for live in self._running.values():
            if live.conversation == conversation:
                feed.live(live)
        self._feeds.setdefault(conversation, set()).add(feed)
        try:
            yield feed
        finally:
            feeds = self._feeds[conversation]
            feeds.discard(feed)
            if not feeds:
                del self._feeds[conversation]

    def entry(self, conversation: ConversationId, entry: LogEntry | None) -> None:
        """An entry was appended by whichever process; None: some may have been missed."""
        feeds = self._feeds.get(conversation, ())
        if entry is None:
            for feed in feeds:
                feed.missed()
            return
        if reply := msgspec.json.decode(entry.body, type=_About).reply:
            self._finish(reply, feeds)
        for feed in feeds:
            feed.entry(entry)

    def missed(self) -> None:
        """Any entry of any conversation may have been missed."""
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.missed()

    def live(self, live: Live) -> None:
        """Pass on what is newer than what was seen of this reply."""
        if live.reply in self._finished:
            return
        before = self._running.get(live.reply)
        if before is not None and live.fence < before.fence:
            return
        self._remember(live)
        for feed in self._feeds.get(live.conversation, ()):
            feed.live(live)

    def signal(self, live: Live) -> None:
        """Pass on without remembering."""
        for feed in self._feeds.get(live.conversation, ()):
            feed.live(live)

    def _remember(self, live: Live) -> None:
        if live.kind == "ended":
            self._running.pop(live.reply, None)
            return
        self._running[live.reply] = live
        if len(self._running) > _RUNNING:
            self._running.popitem(last=False)

    def _finish(self, reply: str, feeds: set[Feed] | tuple[()]) -> None:
        self._running.pop(reply, None)
        self._finished[reply] = None
        if len(self._finished) > _FINISHED:
            self._finished.popitem(last=False)
        for feed in feeds:
            feed.ended(reply)
