"""What a file is, by its first bytes. Anything that is not surely known is octets."""

from __future__ import annotations

from typing import Literal

Kind = Literal["image", "voice", "audio", "video", "document"]

_PICTURES = (b"avc1", b"hvc1", b"hev1", b"av01", b"vide", b"mp4v")

OCTETS = "application/octet-stream"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"%PDF-", "application/pdf"),
)


def media_type(head: bytes) -> str:
    """`head` is the beginning of the content, a few KiB."""
    for offset, magic, found in _MAGIC:
        if head.startswith(magic, offset) and (offset == 0 or head.startswith(b"RIFF")):
            return found
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
    if b"webm" not in head[:64]:
        return OCTETS
    return "video/webm" if b"V_VP" in head or b"V_AV1" in head else "audio/webm"


def _iso(head: bytes) -> str:
    """Phones record speech as MP4 without a picture, under the brands of films."""
    if head[8:11] == b"M4A":
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
    return all(char >= " " or char in "\t\n\r\f" for char in text)
