"""What kind of document a file is, by its content. Its name only tells text from text. Pure."""

from __future__ import annotations

import re
from typing import Literal

from gateway import sniff
from multimodal.errors import Unreadable

Kind = Literal["pdf", "zip", "rich", "page", "letter", "table", "tabs", "plain"]

_KINDS: dict[str, Kind] = {
    "application/pdf": "pdf",
    "application/rtf": "rich",
    "text/html": "page",
    "message/rfc822": "letter",
}
_NOT_READ = {
    sniff.DOC: "an old Word file (DOC)",
    sniff.XLS: "an old Excel file (XLS)",
    sniff.PPT: "an old PowerPoint file (PPT)",
    sniff.MSG: "an Outlook message (MSG)",
    sniff.OLE: "an old office file",
    "application/postscript": "a PostScript file",
    "application/gzip": "a gzip archive",
    "application/x-bzip2": "a bzip2 archive",
    "application/x-xz": "an xz archive",
    "application/zstd": "a Zstandard archive",
    "application/x-7z-compressed": "a 7-Zip archive",
    "application/vnd.rar": "a RAR archive",
    "application/x-tar": "a tar archive",
}
_FAMILIES = {"image": "a picture", "audio": "sound", "video": "a film"}
_OTHERS: tuple[tuple[bytes, int, str], ...] = (
    (b"MSCF", 0, "a cabinet archive"),
    (b"BOOKMOBI", 60, "a Kindle book"),
    (b"AT&TFORM", 0, "a DjVu file"),
    (b"\x7fELF", 0, "a program"),
    (b"MZ\x90\0", 0, "a program"),
    (b"SQLite format 3\0", 0, "a database"),
    (b"PAR1", 0, "a Parquet file"),
    (b"\x89HDF", 0, "an HDF5 file"),
)
"""What else people send. Without a line here it is told without a name."""
_FIELD = re.compile(rb"\s*[!-9;-~]{1,76}:")


def kind_of(content: bytes, name: str) -> Kind:
    """Raises `Unreadable` for what is not read, and says what it seems to be."""
    if not content:
        raise Unreadable("it is empty")
    head = content[:4096]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    media = sniff.media_type(head)
    if media in _KINDS:
        return _KINDS[media]
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if media == sniff.OLE:
        media = sniff.deep(content)
    if media == sniff.ENCRYPTED:
        raise Unreadable("it is encrypted")
    if what := _NOT_READ.get(media) or _FAMILIES.get(media.partition("/")[0]):
        raise not_read(what)
    for magic, offset, what in _OTHERS:
        if head.startswith(magic, offset):
            raise not_read(what)
    return _text(head, name.lower())


def not_read(what: str) -> Unreadable:
    return Unreadable(f"this kind of file is not read: {what}")


def _text(head: bytes, name: str) -> Kind:
    """Which text it is if it is one, which its reader finds out."""
    if name.endswith((".html", ".htm", ".xhtml")) and b"<" in head:
        return "page"
    if name.endswith(".csv"):
        return "table"
    if name.endswith((".tsv", ".tab")):
        return "tabs"
    return "letter" if name.endswith((".eml", ".mht")) and _FIELD.match(head) else "plain"
