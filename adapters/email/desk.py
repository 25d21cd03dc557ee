"""The connection beside those that watch: Sent, Drafts, and mails that are moved afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import structlog

from adapters.email import sorting
from adapters.email.config import Action, EmailConfig
from adapters.email.door import Door
from adapters.email.errors import NoSuchFolder
from adapters.email.imap import Imap
from gateway.errors import Failed
from gateway.ports import Clock

log = structlog.get_logger(__name__)

Use = Literal["sent", "drafts"]
FRESH = 60.0
"""Seconds after which an unused connection is not trusted any more."""


class Desk:
    """One thing at a time. Raises as `Imap` does."""

    def __init__(self, config: EmailConfig, door: Door, clock: Clock) -> None:
        self._config = config
        self._door = door
        self._clock = clock
        self._lock = asyncio.Lock()
        self._imap: Imap | None = None
        self._used = 0.0
        self._folders: dict[Use, str] = {}

    async def append(self, use: Use, raw: bytes, flags: str) -> None:
        async with self._connection() as imap:
            folder = await self._folder(imap, use)
            try:
                await imap.append(folder, raw, flags)
            except NoSuchFolder:
                await imap.create(folder)
                await imap.append(folder, raw, flags)

    async def has(self, use: Use, message_id: str) -> bool:
        async with self._connection() as imap:
            try:
                await imap.select(await self._folder(imap, use))
            except NoSuchFolder:
                return False
            return bool(await imap.with_id(message_id))

    async def act(self, folder: str, validity: int, uid: int, message_id: str, do: Action) -> bool:
        """Do to a mail what a label says. False when it is no longer there: somebody was faster,
        or it was done before."""
        async with self._connection() as imap:
            selected = await imap.select(folder)
            if selected.validity != validity:
                uids = await imap.with_id(message_id) if message_id else []
                if not uids:
                    return False
                uid = uids[-1]
            elif not await imap.about([uid]):
                return False
            await perform(imap, uid, do)
            return True

    async def folder(self, use: Use) -> tuple[str, bool]:
        """The folder for this use, and whether it is there."""
        async with self._connection() as imap:
            name = await self._folder(imap, use)
            try:
                await imap.select(name)
            except NoSuchFolder:
                return name, False
            return name, True

    async def close(self) -> None:
        async with self._lock:
            if self._imap is not None:
                await self._imap.close()
                self._imap = None

    async def _folder(self, imap: Imap, use: Use) -> str:
        set_up = self._config.sent if use == "sent" else self._config.drafts
        if set_up:
            return set_up
        if use not in self._folders:
            marked = await imap.marked("\\Sent" if use == "sent" else "\\Drafts")
            self._folders[use] = marked or use.capitalize()
        return self._folders[use]

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Imap]:
        async with self._lock:
            stale = self._clock.monotonic() - self._used > FRESH
            if self._imap is not None and (self._imap.broken or stale):
                await self._imap.close()
                self._imap = None
            if self._imap is None:
                self._imap = await self._door.imap()
            try:
                yield self._imap
            finally:
                self._used = self._clock.monotonic()


async def perform(imap: Imap, uid: int, do: Action) -> None:
    """Flags first: a mail that was moved has another number. Flags that a server does not keep
    stop nothing."""
    if wanted := sorting.flags(do):
        try:
            await imap.mark(uid, *wanted)
        except Failed as refused:
            log.warning("flags_refused", folder=imap.folder, reason=str(refused))
    if do.move and do.move != imap.folder:
        await imap.move(uid, do.move)
