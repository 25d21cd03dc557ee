"""Durable event logs per conversation: `ports.EventLog` on Redis streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from gateway.message import ConversationId
from gateway.ports import LogEntry
from gateway.queues.channels import listen
from gateway.queues.scripts import script
from gateway.queues.topology import Store
from gateway.queues.wire import Reply

APPEND = script("log_append")

KEPT_ENTRIES = 2000
KEPT_SECONDS = 90 * 86400


class RedisEventLog:
    def __init__(
        self, store: Store, *, entries: int = KEPT_ENTRIES, seconds: float = KEPT_SECONDS
    ) -> None:
        self._store = store
        self._entries = entries
        self._milliseconds = int(seconds * 1000)

    async def append(
        self, conversation: ConversationId, key: str, body: bytes, *, though_full: bool = False
    ) -> int:
        seq: int = await self._store.run(
            APPEND,
            self._store.partition_of(conversation),
            conversation,
            key,
            body,
            self._entries,
            self._milliseconds,
            int(though_full),
        )
        return seq

    async def read(
        self, conversation: ConversationId, *, after: int = 0, limit: int = 200
    ) -> Sequence[LogEntry]:
        partition = self._store.partition_of(conversation)
        rows = await self._store.call(
            partition,
            "XRANGE",
            f"{partition}:log:{conversation}",
            f"({max(after, 0)}-0",
            "+",
            "COUNT",
            limit,
        )
        return tuple(map(_entry, rows))

    async def tail(self, conversation: ConversationId, *, limit: int = 200) -> Sequence[LogEntry]:
        partition = self._store.partition_of(conversation)
        rows = await self._store.call(
            partition, "XREVRANGE", f"{partition}:log:{conversation}", "+", "-", "COUNT", limit
        )
        return tuple(map(_entry, reversed(rows)))

    async def conversations(self, prefix: str) -> Sequence[ConversationId]:
        found: list[tuple[float, str]] = []
        for partition in self._store.partitions:
            rows = await self._store.call(
                partition, "ZREVRANGE", f"{partition}:logs", 0, -1, "WITHSCORES"
            )
            for name, at in zip(rows[::2], rows[1::2], strict=True):
                text = name.decode()
                if text.startswith(prefix):
                    found.append((float(at), text))
        return tuple(ConversationId(name) for _, name in sorted(found, reverse=True))

    async def watch(self) -> AsyncGenerator[tuple[ConversationId, LogEntry | None]]:
        channels = [f"{partition}:log" for partition in self._store.partitions]
        async with aclosing(listen(self._store.address, channels)) as heard:
            async for item in heard:
                if item is None:
                    yield ConversationId(""), None
                    continue
                seq, at, key, conversation, body = item[1].split(b"\n", 4)
                yield (
                    ConversationId(conversation.decode()),
                    LogEntry(seq=int(seq), key=key.decode(), at=int(at) / 1000, body=body),
                )


def _entry(row: Reply) -> LogEntry:
    name, fields = row
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    return LogEntry(
        seq=int(name.split(b"-")[0]),
        key=values[b"k"].decode(),
        at=int(values[b"at"]) / 1000,
        body=values[b"b"],
    )
