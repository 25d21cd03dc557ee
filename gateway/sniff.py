"""What a file is, by its first bytes, never by its name. What is not surely known is octets.

Of a file that is two things at once the first bytes decide, and only the reader for that sees it.
The libraries for this were tried (filetype 1.2, puremagic 1.30): they take a car maker for a BMP,
any zip for a .docx, a recording for a film, and know no plain text.
"""

from __future__ import annotations

import re
import struct
from typing import Literal

Kind = Literal["image", "voice", "audio", "video", "document"]

OCTETS = "application/octet-stream"
ZIP = "application/zip"
OLE = "application/x-ole-storage"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"
DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
ENCRYPTED = "application/x-encrypted-office"
"""An office file of today with a password. The name is ours."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"BM....\x00\x00\x00\x00", "image/bmp"),
    (rb"II[*+]\x00|MM\x00[*+]", "image/tiff"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"RIFF....AVI ", "video/x-msvideo"),
    (rb"FORM....AIF[FC]", "audio/aiff"),
    (rb"caff\x00\x01", "audio/x-caf"),
    (rb"fLaC", "audio/flac"),
    (rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2\xfa]", "audio/mpeg"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac"),
    (rb"#!AMR(?:-WB)?\n", "audio/amr"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (rb"FLV\x01", "video/x-flv"),
    (rb"\x00\x00\x01\xba", "video/mpeg"),
    (rb"G.{187}G.{187}G", "video/mp2t"),
    (rb"%PDF-", "application/pdf"),
    (rb"%!PS", "application/postscript"),
    (rb"\{\\rtf", "application/rtf"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (rb"\x1f\x8b", "application/gzip"),
    (rb"BZh[1-9]1AY&SY", "application/x-bzip2"),
    (rb"\xfd7zXZ\x00", "application/x-xz"),
    (rb"\x28\xb5\x2f\xfd", "application/zstd"),
    (rb"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (rb"Rar!\x1a\x07", "application/vnd.rar"),
    (rb".{257}ustar", "application/x-tar"),
)
_PATTERNS = [(re.compile(magic, re.DOTALL), name) for magic, name in _MAGIC]

_FILMS = (b"avc1", b"hvc1", b"hev1", b"av01", b"vide", b"mp4v", b"s263", b"vp09")
_SPEECH = (b"mp4a", b"samr", b"sawb")
_FIRST_ENTRY = re.compile(rb"PK\x03\x04.{22}(..)(..)(.*)", re.DOTALL)
_OFFICE_ENTRY = re.compile(rb"PK\x03\x04.{26}(word|xl|ppt)/", re.DOTALL)
_OFFICE = {b"word": DOCX, b"xl": XLSX, b"ppt": PPTX}
_MAIN_PARTS = {
    b"word/document.xml": DOCX,
    b"xl/workbook.xml": XLSX,
    b"ppt/presentation.xml": PPTX,
}
_OPEN_OFFICE = {each.encode(): each for each in (ODT, ODS, ODP, EPUB)}
_STREAMS = {
    "EncryptedPackage": ENCRYPTED,
    "WordDocument": DOC,
    "Workbook": XLS,
    "Book": XLS,
    "PowerPoint Document": PPT,
    "__properties_version1.0": MSG,
}
_ENTRIES = 10_000
"""Names that are looked at in one archive."""

_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_HTML = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*(?:<!doctype\s+html|<(?:html|head|body)[\s>])",
    re.DOTALL | re.IGNORECASE,
)
_HEADER = re.compile(r"([!-9;-~]{1,80}):|[ \t]+\S")
_OF_MAILS = frozenset(
    "from to date subject message-id received return-path mime-version delivered-to".split()
)


def media_type(head: bytes) -> str:
    """`head` is the beginning of the content, a few KiB."""
    for pattern, name in _PATTERNS:
        if pattern.match(head):
            return name
    if head.startswith(b"OggS"):
        return "video/ogg" if b"theora" in head else "audio/ogg"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _matroska(head)
    if head.startswith(b"ftyp", 4):
        return _iso(head)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(head)
    return _text(head)


def deep(content: bytes) -> str:
    """As `media_type`, of the whole content: of a zip its directory decides, which is what its
    readers go by, and of an old office file its streams. Made for a confined child."""
    media = media_type(content[:4096])
    if content.startswith(b"PK"):
        return _by_directory(content, media)
    return _by_streams(content) if media == OLE else media


def kind(media: str, *, voice: bool = False) -> Kind:
    if media.startswith("audio/"):
        return "voice" if voice else "audio"
    if media.startswith("image/"):
        return "image"
    return "video" if media.startswith("video/") else "document"


def _matroska(head: bytes) -> str:
    """A container without a picture is a recording."""
    films = any(codec in head for codec in (b"V_VP", b"V_AV1", b"V_MPEG", b"V_THEORA", b"V_MS"))
    if b"webm" in head[:64]:
        return "video/webm" if films else "audio/webm"
    if b"matroska" in head[:64]:
        return "audio/x-matroska" if b"A_" in head and not films else "video/x-matroska"
    return OCTETS


def _iso(head: bytes) -> str:
    """Phones record speech as MP4 without a picture, under the brands of films."""
    brand, brands = head[8:12], head[8 : int.from_bytes(head[:4], "big")]
    if brand in (b"avif", b"avis") or (brand in (b"mif1", b"msf1") and b"avif" in brands):
        return "image/avif"
    if brand[:3] in (b"hei", b"hev") or brand in (b"mif1", b"msf1"):
        return "image/heic"
    if brand[:3] in (b"M4A", b"M4B"):
        return "audio/mp4"
    if brand == b"qt  ":
        return "video/quicktime"
    speech = any(codec in head for codec in _SPEECH) and not any(codec in head for codec in _FILMS)
    kind = "audio" if speech else "video"
    return f"{kind}/3gpp" if brand[:3] in (b"3gp", b"3g2") else f"{kind}/mp4"


def _zip(head: bytes) -> str:
    """The first entries often tell; `deep` tells surely."""
    first = _FIRST_ENTRY.match(head)
    if first is None:
        return ZIP
    length, extra = (int.from_bytes(first[group], "little") for group in (1, 2))
    name, content = first[3][:length], first[3][length + extra :]
    if name == b"mimetype":
        told = [each for each in _OPEN_OFFICE if content.startswith(each)]
        return _OPEN_OFFICE[max(told, key=len)] if told else ZIP
    found = set(_OFFICE_ENTRY.findall(head))
    return _OFFICE[found.pop()] if len(found) == 1 else ZIP


def _by_directory(content: bytes, media: str) -> str:
    names = _names(content)
    if media in _OPEN_OFFICE.values():
        main = b"META-INF/container.xml" if media == EPUB else b"content.xml"
        return media if main in names else ZIP
    found = {media for name, media in _MAIN_PARTS.items() if name in names}
    return found.pop() if len(found) == 1 and b"[Content_Types].xml" in names else ZIP


def _names(content: bytes) -> set[bytes]:
    """In its directory, which stands before its end, wherever that says it stands."""
    found: set[bytes] = set()
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - 65_557))
    if end < 0 or len(content) < end + 22:
        return found
    at = end - int.from_bytes(content[end + 12 : end + 16], "little")
    for _ in range(_ENTRIES):
        if at < 0 or len(content) < at + 46 or not content.startswith(b"PK\x01\x02", at):
            break
        name, extra, comment = struct.unpack_from("<HHH", content, at + 28)
        found.add(content[at + 46 : at + 46 + name])
        at += 46 + name + extra + comment
    return found


def _by_streams(content: bytes) -> str:
    for name, media in _STREAMS.items():
        # Padded by zeros to 64 bytes, as directory entries are.
        if name.encode("utf-16-le").ljust(2 * len(name) + 2, b"\0") in content:
            return media
    return OLE


def _text(head: bytes) -> str:
    text = _decoded(head)
    if text is None or _BINARY.search(text):
        return OCTETS
    text = text.removeprefix("\ufeff")
    if _HTML.match(text):
        return "text/html"
    return "message/rfc822" if _is_mail(text) else "text/plain"


def _decoded(head: bytes) -> str | None:
    """UTF-8, UTF-16 with its mark, or what can only be one byte a letter. The last character may
    be cut off."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", errors="ignore") or None
    try:
        return head.decode() or None
    except UnicodeDecodeError as problem:
        if problem.start >= len(head) - 3 and problem.reason == "unexpected end of data":
            return head[: problem.start].decode() or None
    plain = sum(byte < 0x80 for byte in head)
    return head.decode("latin-1") if plain >= 0.7 * len(head) else None


def _is_mail(text: str) -> bool:
    """Headers from the first line on, and three that mails have."""
    block = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    lines = block.splitlines(keepends=True)
    if block == text:
        lines = lines[:-1]  # cut off
    found = set()
    for line in lines:
        header = _HEADER.match(line)
        if header is None:
            return False
        found.add((header[1] or "").lower())
    return len(found & _OF_MAILS) >= 3
