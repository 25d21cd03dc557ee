"""What kind of file a ZIP is, and its members if it is nothing else. In a confined child only.

Nothing is written anywhere, so names that point elsewhere are only names.
"""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Iterator
from typing import Any

import msgspec

from multimodal.confined.packages import BROKEN, opened
from multimodal.errors import Unreadable

NAME = 200
LISTED = 1_000
"""Members that are told of without being opened."""
_PIECE = 2**16

_MIMETYPES = {
    b"application/vnd.oasis.opendocument.text": "odf",
    b"application/vnd.oasis.opendocument.spreadsheet": "odf",
    b"application/vnd.oasis.opendocument.presentation": "odf",
}
_IDLE = (".ds_store", "thumbs.db", "desktop.ini")


def warm_up() -> None:
    import bz2  # noqa: F401  zipfile has it already, where there is one
    import io

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number, method in enumerate((0, 8, 12, 14)):
            archive.writestr(str(number), b"a" * 100, method)
    kind(made.getvalue())
    for _ in members(made.getvalue(), most=5, unpacked=10**4):
        pass


def kind(content: bytes) -> dict[str, Any]:
    """``word``, ``sheet``, ``slide``, ``odf``, ``archive``, or in words what else it is."""
    return {"kind": _kind_of(content)}


def members(content: bytes, *, most: int, unpacked: int) -> Iterator[bytes]:
    """Of each file a name, what is wrong with it, and of a ZIP its kind, packed; and then its
    content if nothing is wrong. At most so many are opened, and so many bytes of them in all."""
    count = 0
    with opened(content) as archive:
        listed = 0
        for each in archive.infolist():
            if each.is_dir() or _is_idle(each.filename):
                continue
            listed += 1
            if listed > LISTED + most:
                yield _told("", f"{len(archive.filelist) - listed + 1} more")
                return
            name = each.filename[-NAME:]
            if each.flag_bits & 1:
                yield _told(name, "it is encrypted")
            elif count >= most:
                yield _told(name, "not opened")
            elif each.file_size > unpacked:
                yield _told(name, "more than may be unpacked")
            else:
                count += 1
                try:
                    data = _content(archive, each)
                except (*BROKEN, lzma.LZMAError):
                    yield _told(name, "it is broken")
                    continue
                unpacked -= len(data)
                try:
                    inner = (
                        _kind_of(data) if data.startswith((b"PK\x03\x04", b"PK\x05\x06")) else ""
                    )
                except Unreadable as unreadable:
                    yield _told(name, unreadable.problem)
                    continue
                yield _told(name, "", inner)
                yield data


def _told(name: str, problem: str, kind: str = "") -> bytes:
    return msgspec.msgpack.encode([name.encode("utf-8", "replace").decode(), problem, kind])


def _content(archive: zipfile.ZipFile, each: zipfile.ZipInfo) -> bytes:
    """Piece by piece: what a member claims as its size is not what is asked for at once."""
    pieces: list[bytes] = []
    size = 0
    with archive.open(each) as source:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > each.file_size:
                raise zipfile.BadZipFile
            pieces.append(piece)
    return b"".join(pieces)


def _kind_of(content: bytes) -> str:
    with opened(content) as archive:
        return _kind(archive)


def _kind(archive: zipfile.ZipFile) -> str:
    names = {each.filename for each in archive.filelist}
    if "[Content_Types].xml" in names:
        if "xl/workbook.bin" in names:
            return "a binary workbook (XLSB)"
        for folder, found in (("word/", "word"), ("xl/", "sheet"), ("ppt/", "slide")):
            if any(name.startswith(folder) for name in names):
                return found
    if archive.filelist and archive.filelist[0].filename == "mimetype":
        try:
            with archive.open("mimetype") as source:
                declared = source.read(100).strip()
        except BROKEN:
            declared = b""
        if declared.startswith(b"application/vnd.oasis.opendocument."):
            return next(
                (found for head, found in _MIMETYPES.items() if declared.startswith(head)),
                "another kind of OpenDocument",
            )
    if "AndroidManifest.xml" in names or "META-INF/MANIFEST.MF" in names:
        return "a program"
    if not archive.filelist:
        raise Unreadable("it is an empty archive")
    return "archive"


def _is_idle(name: str) -> bool:
    """What systems put beside the files that somebody packed."""
    name = name.lower()
    return name.startswith("__macosx/") or name.rpartition("/")[2] in _IDLE
