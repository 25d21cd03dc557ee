"""Looks into `in/`, writes into `out/`."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

import structlog

from gateway.errors import Failed, Retryable, Unavailable
from gateway.message import Account, Inbound, Outbound, Place, Sender, conversation_id, inbound_id
from gateway.ports import Inbox, Probe, Receipt, Services
from moltgate_adapter_folder.config import FolderConfig
from moltgate_adapter_folder.render import content

log = structlog.get_logger(__name__)

_PERSON = re.compile(r"[\w-][\w .-]{0,99}")


class FolderAdapter:
    """`Adapter` with edits and a live check."""

    def __init__(self, account: Account, config: FolderConfig, services: Services) -> None:
        self.account = account
        self._config = config
        self._services = services

    async def run(self, inbox: Inbox) -> None:
        while True:
            try:
                found = await asyncio.to_thread(lambda: list(self._waiting()))
            except OSError as problem:
                raise Unavailable(f"the folder cannot be read: {problem}") from problem
            for path in found:
                await self._take_in(inbox, path)
            await self._services.clock.sleep(self._config.every)

    async def send(self, outbound: Outbound) -> Receipt:
        """The key is the name: repeating it writes the same file again."""
        return await self._written(outbound, outbound.key)

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        return await self._written(outbound, native_id)

    async def probe(self) -> Probe:
        for name in ("in", "out", "read"):
            there = self._config.path / name
            if there.exists() and not os.access(there, os.W_OK | os.X_OK):
                return Probe(ok=False, summary=f"{there} cannot be written: check its owner")
        if not os.access(self._config.path, os.W_OK | os.X_OK):
            return Probe(
                ok=False, summary=f"{self._config.path} is not there, or not ours to write"
            )
        return Probe(ok=True, summary=f"looks into {self._config.path / 'in'}")

    async def close(self) -> None:
        return None

    def _waiting(self) -> Iterator[Path]:
        """Questions, oldest first. Links are not followed: they may lead anywhere."""
        root = self._config.path / "in"
        found = []
        for folder in root.iterdir() if root.is_dir() else ():
            if folder.is_symlink() or not folder.is_dir() or not _PERSON.fullmatch(folder.name):
                continue
            for file in folder.iterdir():
                whole = file.suffix in (".md", ".txt") and not file.name.startswith(".")
                if whole and file.is_file() and not file.is_symlink():
                    found.append((file.stat().st_mtime_ns, file))
        yield from (file for _, file in sorted(found))

    async def _take_in(self, inbox: Inbox, path: Path) -> None:
        try:
            event = await asyncio.to_thread(self._read, path)
            if event is not None:
                await inbox.accept(event)
            await asyncio.to_thread(self._put_away, path)
        except Retryable as later:
            log.warning("folder_questions_wait", reason=str(later))  # the next look finds it again
        except OSError as problem:
            log.warning("folder_file_not_read", reason=str(problem))

    def _read(self, path: Path) -> Inbound | None:
        facts = path.stat()
        raw = path.read_bytes() if facts.st_size <= self._config.limit else b"\xff"
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError:
            log.warning("folder_file_unreadable", size=facts.st_size)
            self._services.count("unreadable")
            return None
        person = path.parent.name
        place, sender = Place(kind="direct", chat=person), Sender(id=person, name=person)
        native = f"{path.name}:{facts.st_mtime_ns}:{facts.st_size}"
        return Inbound(
            id=inbound_id(self.account, person, native),
            conversation=conversation_id(self.account, place, sender),
            account=self.account,
            place=place,
            sender=sender,
            text=text,
            native_id=native[:1000],
            sent_at=facts.st_mtime,
            received_at=self._services.clock.now(),
        )

    def _put_away(self, path: Path) -> None:
        there = self._config.path / "read" / path.parent.name
        there.mkdir(parents=True, exist_ok=True)
        path.replace(there / path.name)

    async def _written(self, outbound: Outbound, name: str) -> Receipt:
        if not (_PERSON.fullmatch(outbound.place.chat) and _PERSON.fullmatch(name)):
            raise Failed(f"there can be no folder of this name: {outbound.place.chat!r}")
        folder = self._config.path / "out" / outbound.place.chat
        try:
            await asyncio.to_thread(_write, folder, name, content(outbound))
        except OSError as problem:  # a full disk, a share that went away: nothing was shown
            raise Unavailable(f"the answer cannot be written: {problem}") from problem
        return Receipt(native_id=name)


def _write(folder: Path, name: str, data: bytes) -> None:
    """Whole or not at all, and on the disk when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{name}.half"
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(folder / f"{name}.md")
