"""Blobs in a folder: whole or not there, private, and never by a name from outside."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.blobs import FolderBlobs, read_whole
from gateway.errors import Failed, Refused, Unavailable


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def broken() -> AsyncIterator[bytes]:
    yield b"x" * 300_000
    raise ConnectionResetError


async def content(blobs: FolderBlobs, digest: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(digest)])


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


async def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    body = os.urandom(1_000_000)

    digest, size, head = await blobs.store(chunks(body[:7], body[7:], b""), limit=2**20)

    assert digest == hashlib.sha256(body).hexdigest()
    assert (size, head) == (len(body), body[:4096])
    assert await content(blobs, digest) == body
    assert await blobs.size(digest) == len(body)


async def test_the_same_content_is_kept_once(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)

    one = await blobs.store(chunks(b"abc"), limit=10)
    other = await blobs.store(chunks(b"a", b"bc"), limit=10)

    assert one == other
    assert len(files(tmp_path)) == 1


async def test_nothing_is_left_of_what_was_too_large_or_cut_off(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)

    with pytest.raises(Refused) as refused:
        await blobs.store(chunks(*[b"x" * 1000] * 1000), limit=400_000)
    with pytest.raises(ConnectionResetError):
        await blobs.store(broken(), limit=2**20)

    assert refused.value.reason == "too_large"
    assert files(tmp_path) == []


async def test_an_empty_blob_is_a_blob(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest, size, head = await blobs.store(chunks(), limit=10)

    assert (size, head) == (0, b"")
    assert await content(blobs, digest) == b""


async def test_files_are_private(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    await blobs.store(chunks(b"abc"), limit=10)

    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["", "x", "../" * 10 + "etc/passwd", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"]
)
async def test_a_name_that_is_no_digest_is_nowhere(tmp_path: Path, name: str) -> None:
    blobs = FolderBlobs(tmp_path)

    assert await blobs.size(name) is None
    with pytest.raises(Failed):
        await content(blobs, name)


async def test_a_digest_that_was_never_stored_is_nowhere(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)

    assert await blobs.size("0" * 64) is None
    with pytest.raises(Failed):
        await content(blobs, "0" * 64)


async def test_what_a_crash_left_behind_is_swept_at_the_next_start(tmp_path: Path) -> None:
    FolderBlobs(tmp_path)
    old, new = tmp_path / "incoming" / "old", tmp_path / "incoming" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))

    FolderBlobs(tmp_path)

    assert [path.name for path in files(tmp_path)] == ["new"]


async def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unavailable):
        FolderBlobs(tmp_path / "file")


async def test_what_is_too_large_to_be_held_is_not_read(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest, _, _ = await blobs.store(chunks(b"abcd"), limit=10)

    assert await read_whole(blobs, digest, limit=4) == b"abcd"
    with pytest.raises(Refused):
        await read_whole(blobs, digest, limit=3)
    with pytest.raises(Failed):
        await read_whole(blobs, "0" * 64, limit=3)
