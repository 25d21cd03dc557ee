"""What kind of document a file is, by its content. Its name only tells text from text. Pure."""

from __future__ import annotations

import re
from typing import Literal

from gateway.sniff import media_type
from multimodal.errors import Unreadable

Kind = Literal["pdf", "zip", "rich", "page", "letter", "table", "tabs", "plain"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD = (
    ("WordDocument", "an old Word file (DOC)"),
    ("Workbook", "an old Excel file (XLS)"),
    ("Book", "an old Excel file (XLS)"),
    ("PowerPoint Document", "an old PowerPoint file (PPT)"),
    ("__substg1.0_", "an Outlook message (MSG)"),
)
_OTHERS: tuple[tuple[bytes, int, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive"),
    (b"Rar!\x1a\x07", 0, "a RAR archive"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"BZh", 0, "a bzip2 archive"),
    (b"\xfd7zXZ\0", 0, "an xz archive"),
    (b"\x28\xb5\x2f\xfd", 0, "a Zstandard archive"),
    (b"MSCF", 0, "a cabinet archive"),
    (b"ustar", 257, "a tar archive"),
    (b"BOOKMOBI", 60, "a Kindle book"),
    (b"AT&TFORM", 0, "a DjVu file"),
    (b"\x7fELF", 0, "a program"),
    (b"MZ", 0, "a program"),
    (b"SQLite format 3\0", 0, "a database"),
    (b"PAR1", 0, "a Parquet file"),
    (b"%!PS", 0, "a PostScript file"),
    (b"\x89HDF", 0, "an HDF5 file"),
)
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.{0,2000}?-->|<\?xml[^>]{0,200}>)*+<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_FIELD = re.compile(rb"([!-9;-~]{1,76}):[ \t]?[^\n]*(?:\n[ \t][^\n]*)*\n")
_OF_MAIL = {b"date", b"received", b"mime-version", b"message-id", b"return-path", b"to"}
_LETTERS = (".eml", ".mht", ".mhtml")


def kind_of(content: bytes, name: str) -> Kind:
    """Raises `Unreadable` for what is not read, and says what it seems to be."""
    head = content[:4096]
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if not content:
        raise Unreadable("it is empty")
    if head.startswith(_OLE):
        raise _old(content)
    for magic, offset, what in _OTHERS:
        if head.startswith(magic, offset):
            raise not_read(what)
    if head.startswith(b"{\\rtf"):
        return "rich"
    media = media_type(head)
    for family, what in (("image/", "a picture"), ("audio/", "sound"), ("video/", "a film")):
        if media.startswith(family) and not _is_text(head):
            raise not_read(what)
    return _text(head, name.lower())


def not_read(what: str) -> Unreadable:
    return Unreadable(f"this kind of file is not read: {what}")


def _old(content: bytes) -> Unreadable:
    """Office files from before 2007, and those of today when they are encrypted."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        return Unreadable("it is encrypted")
    for stream, what in _OLD:
        if stream.encode("utf-16-le") in content:
            return not_read(what)
    return not_read("an old office file")


def _is_text(head: bytes) -> bool:
    """Some magic numbers are also the beginning of words: ``BM``, ``ID3``."""
    return not any(byte < 9 for byte in head) and len(head) > 64


def _text(head: bytes, name: str) -> Kind:
    if _PAGE.match(head) or (name.endswith((".html", ".htm", ".xhtml")) and b"<" in head):
        return "page"
    if name.endswith(".csv"):
        return "table"
    if name.endswith((".tsv", ".tab")):
        return "tabs"
    return "letter" if _is_letter(head, name) else "plain"


def _is_letter(head: bytes, name: str) -> bool:
    """It begins with fields as mails have them."""
    head = head.replace(b"\r\n", b"\n").lstrip()
    names: set[bytes] = set()
    position = 0
    while found := _FIELD.match(head, position):
        names.add(found[1].lower())
        position = found.end()
    if name.endswith(_LETTERS):
        return bool(names)
    return b"from" in names and len(names & _OF_MAIL) >= 2
