"""Dead letters: quarantined messages, failed and uncertain parts, listed and tried again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from gateway.errors import Failed
from gateway.message import decode_inbound, decode_outbound, encode
from gateway.queues.scripts import script
from gateway.queues.topology import Store

RESUBMIT = script("resubmit")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    id: str
    """``<partition>-<stream id>``, what the commands take."""
    kind: Literal["message", "part", "uncertain"]
    """A message that could not be answered, a part that could not be sent, or one that may
    have been."""
    conversation: str
    account: str
    reason: str
    at: float
    """Seconds since the epoch."""
    body: bytes
    """The stored JSON of the `Inbound` or `Outbound`."""


class DeadLetters:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, *, limit: int = 1000) -> Sequence[DeadLetter]:
        """Newest last."""
        letters: list[DeadLetter] = []
        for number, partition in enumerate(self._store.partitions):
            rows = await self._store.call(
                partition, "XREVRANGE", f"{partition}:dead", "+", "-", "COUNT", limit
            )
            letters += (_letter(number, row) for row in rows)
        return sorted(letters, key=lambda letter: letter.at)[-limit:]

    async def show(self, name: str) -> DeadLetter:
        """Raises `Failed` when there is none of that id."""
        number, partition, entry = self._find(name)
        rows = await self._store.call(partition, "XRANGE", f"{partition}:dead", entry, entry)
        if not rows:
            raise Failed(f"no dead letter {name}")
        return _letter(number, rows[0])

    async def resubmit(self, name: str) -> None:
        """Back into its lane or outbox, with fresh attempts and no longer too late."""
        letter = await self.show(name)
        _, partition, entry = self._find(name)
        if not await self._store.run(RESUBMIT, partition, entry, _renewed(letter)):
            raise Failed(f"no dead letter {name}")

    async def drop(self, name: str) -> None:
        """Gone for good; the ledger keeps counting it as quarantined."""
        _, partition, entry = self._find(name)
        if not await self._store.call(partition, "XDEL", f"{partition}:dead", entry):
            raise Failed(f"no dead letter {name}")

    def _find(self, name: str) -> tuple[int, str, str]:
        number, _, entry = name.partition("-")
        sane = number.isdigit() and entry.replace("-", "").isdigit()
        if not sane or int(number) >= len(self._store.partitions):
            raise Failed(f"no dead letter {name}: ids look like 2-1763700000000-0")
        return int(number), self._store.partitions[int(number)], entry


def _letter(number: int, row: tuple[bytes, list[bytes]]) -> DeadLetter:
    name, flat = row
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    kind = fields[b"kind"].decode()
    body = fields[b"body"].split(b"\n", 1 if kind == "message" else 2)[-1]
    return DeadLetter(
        id=f"{number}-{name.decode()}",
        kind=kind,  # type: ignore[arg-type]
        conversation=fields[b"conv"].decode(),
        account=fields[b"account"].decode(),
        reason=fields[b"reason"].decode(),
        at=int(name.split(b"-")[0]) / 1000,
        body=body,
    )


def _renewed(letter: DeadLetter) -> bytes:
    """The body without what made it too late; as it is when it cannot be read."""
    try:
        if letter.kind == "message":
            event = decode_inbound(letter.body)
            return encode(msgspec.structs.replace(event, received_at=time.time()))
        return encode(msgspec.structs.replace(decode_outbound(letter.body), deadline=0.0))
    except Failed:
        return letter.body
