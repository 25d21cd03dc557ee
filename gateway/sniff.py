"""What a file is, by its first bytes, never by its name. What is not surely known is octets."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["image", "voice", "audio", "video", "document"]

OCTETS = "application/octet-stream"

_PICTURES = (b"avc1", b"hvc1", b"hev1", b"av01", b"vide", b"mp4v")
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"fLaC", "audio/flac"),
    (rb"ID3|\xff[\xfb\xf3\xf2\xfa]", "audio/mpeg"),
    (rb"\xff[\xf1\xf9]", "audio/aac"),
    (rb"#!AMR", "audio/amr"),
    (rb"....ftyp(?:heic|heix|mif1)", "image/heic"),
    (rb"....ftypavif", "image/avif"),
    (rb"....ftypqt", "video/quicktime"),
    (rb"%PDF-", "application/pdf"),
    (rb"PK\x03\x04", "application/zip"),
    (rb"\x1f\x8b", "application/gzip"),
    (rb"BM....\x00\x00\x00\x00", "image/bmp"),
    (rb"II\*\x00|MM\x00\*", "image/tiff"),
)
_PATTERNS = [(re.compile(magic, re.DOTALL), name) for magic, name in _MAGIC]
_BINARY = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


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
    return "text/plain" if _is_text(head) else OCTETS


def kind(media: str, *, voice: bool = False) -> Kind:
    if media.startswith("audio/"):
        return "voice" if voice else "audio"
    if media.startswith("image/"):
        return "image"
    return "video" if media.startswith("video/") else "document"


def _matroska(head: bytes) -> str:
    """A container without a picture is a recording."""
    if b"webm" not in head[:64]:
        return OCTETS
    return "video/webm" if b"V_VP" in head or b"V_AV1" in head else "audio/webm"


def _iso(head: bytes) -> str:
    """Phones record speech as MP4 without a picture, under the brands of films."""
    if head[8:11] in (b"M4A", b"M4B"):
        return "audio/mp4"
    pictures = any(codec in head for codec in _PICTURES)
    return "audio/mp4" if b"mp4a" in head and not pictures else "video/mp4"


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters; the last character may be cut off."""
    if not head:
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as problem:
        if problem.start < len(head) - 3 or problem.reason != "unexpected end of data":
            return False
        text = head[: problem.start].decode()
    return not _BINARY.search(text)
