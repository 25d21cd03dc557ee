"""Mails are read in a child process with little CPU, little memory and nothing worth stealing."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from adapters.email.reading.mail import Limits, Mail


class Reader:
    """Keeps one child that reads mail after mail; it is replaced when one was too much for it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    async def read(self, raw: bytes) -> Mail:
        """Raises `Unreadable` when the mail is beyond the limits or broke its reader, whereupon
        nothing is left of that child; `Unavailable` when no child could be started."""
        raise NotImplementedError

    async def close(self) -> None:
        """End the child. Called once, also when nothing was ever read."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def read(raw: bytes, limits: Limits | None = None) -> Mail:
    """Read one mail in a child of its own; `Reader` where there are many."""
    async with Reader(limits) as reader:
        return await reader.read(raw)
