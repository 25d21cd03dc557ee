"""What Discord wants to know about a recording: how long, and how it looks. Pure.

A voice message is Opus in Ogg. The look is read from the sizes of its packets: speech takes more
bytes than silence, and nothing has to be decoded.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = struct.Struct("<4sBBqIIIB")
_RATE = 48_000
_BARS = 256
_LONGEST = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Recording:
    seconds: float
    waveform: str
    """Base64 of at most 256 bytes, one for each bar."""


def look(content: bytes) -> Recording | None:
    """None when it is not Opus in Ogg, or cut."""
    head = content.find(b"OpusHead", 0, 128)
    if head < 0 or len(content) < head + 12:
        return None
    skipped = int.from_bytes(content[head + 10 : head + 12], "little")
    granule, sizes = 0, []
    for position, packets in _pages(content):
        granule = max(granule, position)
        sizes += packets
    seconds = (granule - skipped) / _RATE
    if not 0 < seconds <= _LONGEST:
        return None
    return Recording(round(seconds, 3), _bars(sizes[2:]))  # the first two are headers


def _pages(content: bytes) -> Iterator[tuple[int, list[int]]]:
    """Granule position and sizes of packets of each page."""
    at = 0
    while at + _HEADER.size <= len(content):
        magic, _, _, granule, _, _, _, segments = _HEADER.unpack_from(content, at)
        if magic != b"OggS":
            return
        table = content[at + _HEADER.size : at + _HEADER.size + segments]
        sizes, size = [], 0
        for lace in table:
            size += lace
            if lace < 255:
                sizes.append(size)
                size = 0
        yield granule, sizes
        at += _HEADER.size + segments + sum(table)


def _bars(sizes: list[int]) -> str:
    if not sizes:
        return base64.b64encode(b"\0").decode()
    count = min(_BARS, len(sizes))
    loudest = max(sizes) or 1
    bars = bytearray()
    for bar in range(count):
        some = sizes[bar * len(sizes) // count : (bar + 1) * len(sizes) // count]
        bars.append(255 * max(some) // loudest)
    return base64.b64encode(bytes(bars)).decode()
