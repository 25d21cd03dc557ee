"""Archives in ZIP format, as office files are, too: opened only within limits."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from multimodal.errors import Unreadable

BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a method of compression that is not known
    RuntimeError,  # encrypted
    OSError,
    ValueError,
    LookupError,
    OverflowError,
)
"""What `zipfile` raises over files that lie. `lzma.LZMAError` is caught as what it derives from."""

MOST = 100_000
"""Entries of an archive; those of more are made to break something."""


def opened(content: bytes) -> zipfile.ZipFile:
    """What comes out of it can be read as far as the directory says, and no further: `zipfile`
    stops there, whatever is behind it."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except BROKEN:
        raise Unreadable("it is broken") from None
    if len(archive.filelist) > MOST:
        raise Unreadable(f"it has more than {MOST:,} entries")
    _apart(archive)
    return archive


def within(content: bytes, unpacked: int) -> zipfile.ZipFile:
    """Raises `Unreadable` when all of it together is larger than that."""
    archive = opened(content)
    if sum(each.file_size for each in archive.filelist) > unpacked:
        raise Unreadable(f"it unpacks to more than {unpacked / 2**20:g} MB")
    return archive


def _apart(archive: zipfile.ZipFile) -> None:
    """Entries that lie in one another unpack the same bytes many times over."""
    end = 0
    for each in sorted(archive.filelist, key=lambda each: each.header_offset):
        if each.header_offset < end:
            raise Unreadable("its entries overlap")
        end = each.header_offset + each.compress_size
