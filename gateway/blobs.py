"""Attachments on disk: a folder of files named by their SHA-256.

A blob appears under its name only when it is complete and flushed, so a name that exists can be
trusted after a power cut. Names from outside never reach the file system.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

import structlog

from gateway.errors import BadConfig, Failed, Refused, Unavailable
from gateway.ports import Blobs

log = structlog.get_logger(__name__)

HEAD = 4096
"""Bytes of the beginning that `store` hands back, enough to recognise a type."""

_CHUNK = 256 * 1024
_STALE = 24 * 3600.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FolderBlobs:
    """`Blobs` in a folder of this machine. Files are private to the user who runs the gateway."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        """Raises `BadConfig` when the folder belongs to somebody else."""
        with _disk():
            try:
                self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sweep(self._incoming)
            except PermissionError as problem:
                home, me = root.parent, os.geteuid()
                raise BadConfig(
                    str(problem.filename or root),
                    f"not writable for user {me}; {home} belongs to user {home.stat().st_uid}",
                    f"run as its owner, or give it to this user: chown -R {me} {home}",
                ) from problem

    async def store(self, chunks: AsyncIterator[bytes], *, limit: int) -> tuple[str, int, bytes]:
        """See `Blobs.store`. What came of an unfinished blob is removed."""
        path = self._incoming / secrets.token_hex(16)
        with _disk():
            file = _create(path)
        try:
            with file:
                hasher, size, head = hashlib.sha256(), 0, b""
                async for piece in _in_pieces(chunks, limit):
                    head = head or piece[:HEAD]
                    size += len(piece)
                    hasher.update(piece)
                    await asyncio.to_thread(_write, file, piece)
                await asyncio.to_thread(_flush, file)
            digest = hasher.hexdigest()
            await asyncio.to_thread(self._publish, path, digest)
        finally:
            path.unlink(missing_ok=True)
        return digest, size, head

    async def read(self, digest: str) -> AsyncIterator[bytes]:
        path = self._path(digest)
        try:
            file = await asyncio.to_thread(path.open, "rb")
        except FileNotFoundError as missing:
            raise Failed("no such blob") from missing
        with file, _disk():
            while piece := await asyncio.to_thread(file.read, _CHUNK):
                yield piece

    async def size(self, digest: str) -> int | None:
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            return (await asyncio.to_thread(self._path(digest).stat)).st_size
        except FileNotFoundError:
            return None

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise Failed("no such blob")
        return self._root / digest[:2] / digest

    def _publish(self, path: Path, digest: str) -> None:
        target = self._path(digest)
        with _disk():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            path.replace(target)
            _sync_folder(target.parent)
            _sync_folder(self._root)


async def read_whole(blobs: Blobs, digest: str, *, limit: int) -> bytes:
    """A blob that is needed in one piece. `Failed` when there is none, `Refused` when it is larger
    than `limit` bytes: then nothing of it is read."""
    size = await blobs.size(digest)
    if size is not None and size > limit:
        raise Refused(f"The file is larger than {limit} bytes.", reason="too_large")
    return b"".join([piece async for piece in blobs.read(digest)])


async def _in_pieces(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces worth a trip to the disk; refuses as soon as there are too many."""
    held, size = bytearray(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise Refused(f"The file is larger than {limit} bytes.", reason="too_large")
        held += chunk
        if len(held) >= _CHUNK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def _write(file: BinaryIO, piece: bytes) -> None:
    view = memoryview(piece)
    with _disk():
        while view:
            view = view[file.write(view) :]


def _flush(file: BinaryIO) -> None:
    with _disk():
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what a crash left behind; younger files may belong to another process."""
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - _STALE:
            path.unlink(missing_ok=True)
            log.info("unfinished_blob_removed", name=path.name)


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """The disk's errors in our words."""
    try:
        yield
    except OSError as problem:
        code = errno.errorcode.get(problem.errno or 0, "unknown")
        raise Unavailable(f"the blob folder cannot be used: {code}", after=5.0) from problem
