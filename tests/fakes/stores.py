"""The stores in memory: they behave as the ports say and can be told to fail or to hold still."""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

from gateway.errors import Failed, Refused, Unavailable
from gateway.message import ConversationId
from gateway.ports import LogEntry


class MemoryRecords:
    """`Records` with a clock that a test may move."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.down = False
        self._tables: dict[str, dict[str, tuple[bytes, float | None]]] = defaultdict(dict)
        self._hits: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._spent: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)

    async def get(self, table: str, key: str) -> bytes | None:
        return self._live(table, key)

    async def set(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self._answer()
        self._tables[table][key] = (value, None if ttl is None else self.now() + ttl)

    async def add(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if self._live(table, key) is not None:
            return False
        await self.set(table, key, value, ttl=ttl)
        return True

    async def remove(self, table: str, key: str) -> bool:
        return await self.take(table, key) is not None

    async def take(self, table: str, key: str) -> bytes | None:
        value = self._live(table, key)
        self._tables[table].pop(key, None)
        return value

    async def items(self, table: str) -> Sequence[tuple[str, bytes]]:
        found = ((key, self._live(table, key)) for key in sorted(self._tables[table]))
        return [(key, value) for key, value in found if value is not None]

    async def hit(self, table: str, key: str, *, limit: int, window: float) -> float:
        self._answer()
        now = self.now()
        hits = [at for at in self._hits[table, key] if at > now - window]
        self._hits[table, key] = hits
        if len(hits) >= limit:
            return hits[-limit] + window - now
        hits.append(now)
        return 0.0

    async def spend(
        self, table: str, key: str, amount: float, *, limit: float, window: float
    ) -> float:
        self._answer()
        step, now = window / 12, self.now()
        at = int(now // step)
        steps = {n: spent for n, spent in self._spent[table, key].items() if n >= at - 12}
        self._spent[table, key] = steps
        left = sum(steps.values())
        if limit and left >= limit:
            for number in sorted(steps):
                left -= steps[number]
                if left < limit:
                    return (number + 13) * step - now
        steps[at] = steps.get(at, 0.0) + amount
        return 0.0

    def _live(self, table: str, key: str) -> bytes | None:
        self._answer()
        value, until = self._tables[table].get(key, (None, None))
        return None if until is not None and until <= self.now() else value

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the store is down", after=1.0)


class MemoryLog:
    """`EventLog`; `pause` keeps watchers in the dark, as a lost connection does."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.down = False
        self.paused = False
        self._entries: dict[ConversationId, list[LogEntry]] = defaultdict(list)
        self._seqs: dict[tuple[ConversationId, str], int] = {}
        self._watchers: set[asyncio.Queue[tuple[ConversationId, LogEntry | None]]] = set()

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    async def append(
        self, conversation: ConversationId, key: str, body: bytes, *, though_full: bool = False
    ) -> int:
        self._answer()
        if known := self._seqs.get((conversation, key)):
            return known
        entries = self._entries[conversation]
        entry = LogEntry(seq=len(entries) + 1, key=key, at=self.now(), body=body)
        entries.append(entry)
        self._seqs[conversation, key] = entry.seq
        if not self.paused:
            self._tell(conversation, entry)
        return entry.seq

    async def read(
        self, conversation: ConversationId, *, after: int = 0, limit: int = 200
    ) -> Sequence[LogEntry]:
        self._answer()
        entries = self._entries.get(conversation, [])
        start = bisect.bisect_right(entries, after, key=lambda entry: entry.seq)
        return entries[start : start + limit]

    async def tail(self, conversation: ConversationId, *, limit: int = 200) -> Sequence[LogEntry]:
        self._answer()
        return self._entries.get(conversation, [])[-limit:]

    async def conversations(self, prefix: str) -> Sequence[ConversationId]:
        self._answer()
        found = [each for each, entries in self._entries.items() if each.startswith(prefix)]
        return sorted(found, key=lambda each: self._entries[each][-1].at, reverse=True)

    async def watch(self) -> AsyncIterator[tuple[ConversationId, LogEntry | None]]:
        queue: asyncio.Queue[tuple[ConversationId, LogEntry | None]] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    def forget(self, conversation: ConversationId, until: int) -> None:
        """Entries up to `until` are gone, as retention takes them."""
        self._entries[conversation] = [
            entry for entry in self._entries[conversation] if entry.seq > until
        ]

    def resume(self, conversation: ConversationId) -> None:
        """Watchers see again, and are told that they may have missed something."""
        self.paused = False
        self._tell(conversation, None)

    def _tell(self, conversation: ConversationId, entry: LogEntry | None) -> None:
        for queue in self._watchers:
            queue.put_nowait((conversation, entry))

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("the store is down", after=1.0)


class MemoryBlobs:
    """`Blobs`; while it is down, what would be stored is read and thrown away."""

    def __init__(self) -> None:
        self.down = False
        self.open = asyncio.Event()
        """While it is not set, `store` waits."""
        self.open.set()
        self._blobs: dict[str, bytes] = {}

    async def store(self, chunks: AsyncIterator[bytes], *, limit: int) -> tuple[str, int, bytes]:
        await self.open.wait()
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                raise Refused("the file is too large", reason="too_large")
        if self.down:
            raise Unavailable("the disk is full")
        digest = hashlib.sha256(body).hexdigest()
        self._blobs[digest] = bytes(body)
        return digest, len(body), bytes(body[:4096])

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        if digest not in self._blobs:
            raise Failed("no such blob")
        body = self._blobs[digest]
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async def size(self, digest: str) -> int | None:
        body = self._blobs.get(digest)
        return None if body is None else len(body)
