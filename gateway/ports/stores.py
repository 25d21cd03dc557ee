"""Where things are kept, and the time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.message import ConversationId


class Records(Protocol):
    """Small durable facts: pairings, tokens, web sessions, owners; and counters with a window."""

    async def get(self, table: str, key: str) -> bytes | None: ...

    async def set(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """`ttl` in seconds; None keeps it for good."""

    async def add(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        """Set unless it is there already; whether it was set."""

    async def remove(self, table: str, key: str) -> bool: ...

    async def take(self, table: str, key: str) -> bytes | None:
        """Get and remove in one step, for things that count once."""

    async def items(self, table: str) -> Sequence[tuple[str, bytes]]:
        """All live records of a table, sorted by key. Tables are small."""

    async def hit(self, table: str, key: str, *, limit: int, window: float) -> float:
        """Count one event in a sliding window of seconds. 0 when within the limit, else the
        seconds until the next one fits; a refused event is not counted."""

    async def spend(
        self, table: str, key: str, amount: float, *, limit: float, window: float
    ) -> float:
        """Count an amount in a sliding window of seconds, which moves on in twelve steps. 0 when
        what was spent before is below the limit (0 for none): the last amount may go beyond it, as
        most are known only afterwards. Else the seconds until there is room again, and nothing is
        counted."""


class Keep(Protocol):
    """Small durable facts of one adapter's account: where it stands in its platform's stream, what
    a webhook brought already. They follow the account when another process owns it. Keys are the
    adapter's own; errors as `Records`."""

    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """`ttl` in seconds; None keeps it for good."""

    async def add(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        """Set unless it is there already; whether it was set. One atomic step."""

    async def remove(self, key: str) -> bool: ...

    async def items(self) -> Sequence[tuple[str, bytes]]:
        """All live facts, sorted by key."""

    async def hit(self, key: str, *, limit: int, window: float) -> float:
        """Count one event in a sliding window of seconds. 0 when within the limit, else the
        seconds until the next one fits; a refused event is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One event of a conversation's log, as a channel of our own shows it."""

    seq: int
    """Starts at 1, without gaps, per conversation."""
    key: str
    at: float
    """Seconds since the epoch by the store's clock."""
    body: bytes
    """JSON, the channel's own."""


class EventLog(Protocol):
    """Durable, ordered log per conversation: what web chat and the HTTP API show and resume."""

    async def append(
        self, conversation: ConversationId, key: str, body: bytes, *, though_full: bool = False
    ) -> int:
        """Append once per key and return its `seq`; repeating a key changes nothing.

        Raises `Unavailable`, and `Busy` when the store is full. `though_full` is for replies: what
        was taken in is answered even then, or nothing would ever drain.
        """

    async def read(
        self, conversation: ConversationId, *, after: int = 0, limit: int = 200
    ) -> Sequence[LogEntry]:
        """Entries with ``seq > after``, oldest first."""

    async def tail(self, conversation: ConversationId, *, limit: int = 200) -> Sequence[LogEntry]:
        """The newest entries, oldest of them first."""

    async def conversations(self, prefix: str) -> Sequence[ConversationId]:
        """Conversations whose id begins so, most recently used first."""

    def watch(self) -> AsyncIterator[tuple[ConversationId, LogEntry | None]]:
        """Every entry appended by any process from now on.

        ``None`` for an entry means that some may have been missed: read again.
        """


class Notices(Protocol):
    """What other programs publish on the store's server, and what they left there."""

    def follow(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes | None]]:
        """Everything published on a channel from the moment the block is entered. None whenever
        some may have been missed, and first of all: then the state has to be looked up."""

    async def value(self, key: str) -> bytes | None:
        """A plain string of theirs. Raises `Unavailable`."""


class Blobs(Protocol):
    """Bytes under their SHA-256."""

    async def store(self, chunks: AsyncIterator[bytes], *, limit: int) -> tuple[str, int, bytes]:
        """Digest, size and the first 4 KiB. `Refused` as soon as more than `limit` bytes came."""

    def read(self, digest: str) -> AsyncIterator[bytes]:
        """Chunks; `Failed` when there is no such blob."""

    async def size(self, digest: str) -> int | None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
