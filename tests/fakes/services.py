"""What an adapter is handed, in memory."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.clock import SystemClock
from gateway.message import Account
from gateway.ports import Services
from gateway.queues.records import AccountKeep
from tests.fakes.stores import MemoryBlobs, MemoryLog, MemoryRecords


def services(account: Account, *, records: MemoryRecords | None = None, **given: Any) -> Services:
    """All of it new, except what is given. `records` shared by two calls outlive a restart."""
    made: dict[str, Any] = {
        "blobs": MemoryBlobs(),
        "log": MemoryLog(),
        "clock": SystemClock(),
        "keep": AccountKeep(records or MemoryRecords(), account),
        "folder": Path(tempfile.gettempdir()) / "moltgate-never-made",
    }
    return Services(**made | given)


class Counts(Counter[str]):
    """Takes what `Services.count` is told: ``services(account, count=counts.happened)``."""

    def happened(self, event: str) -> None:
        self[event] += 1
