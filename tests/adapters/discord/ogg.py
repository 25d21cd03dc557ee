"""Recordings as Discord and telephones make them: Opus in Ogg, without sound in it."""

from __future__ import annotations

import struct


def opus(seconds: float = 1.0, *, sizes: tuple[int, ...] = (20, 40, 80)) -> bytes:
    """As long as told; the audio is packets of these sizes, over and over, 20 ms each."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    tags = b"OpusTags" + bytes(8)
    packets = [bytes(sizes[at % len(sizes)]) for at in range(round(seconds * 50))]
    pages = [_page(0, [head]), _page(0, [tags])]
    for at in range(0, len(packets), 50):
        granule = 312 + 960 * min(at + 50, len(packets))
        pages.append(_page(granule, packets[at : at + 50]))
    return b"".join(pages)


def _page(granule: int, packets: list[bytes]) -> bytes:
    table = bytearray()
    for packet in packets:
        table += b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, granule, 1, 0, 0, len(table))
    return header + bytes(table) + b"".join(packets)
