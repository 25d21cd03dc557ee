"""Small files that claim, or hold, a great deal."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, *chunks: bytes, rows: int | None = None, depth: int = 1) -> bytes:
    """Black, of as many rows as are asked for."""
    line = 1 + (width * depth + 7) // 8
    size = line * (height if rows is None else rows)
    packer = zlib.compressobj(9)
    data = packer.compress(bytes(size % 2**20))
    data += b"".join(packer.compress(bytes(2**20)) for _ in range(size // 2**20))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)),
            *chunks,
            chunk(b"IDAT", data + packer.flush()),
            chunk(b"IEND", b""),
        )
    )


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    pieces = [packer.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join(pieces) + packer.flush()


def webp(width: int, height: int) -> bytes:
    """One colour needs no bits at all, however many pixels there are."""
    written = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(written, "WEBP", lossless=True)
    raw = bytearray(written.getvalue())
    at = raw.index(b"VP8L") + 9
    bits = int.from_bytes(raw[at : at + 4], "little") >> 28 << 28
    bits |= (width - 1) | (height - 1) << 14
    raw[at : at + 4] = bits.to_bytes(4, "little")
    return bytes(raw)


def gif(width: int, height: int, *, frames: int = 1) -> bytes:
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff"
    return head + frame * frames + b";"


def tiff(*pages: tuple[int, int], loop: bool = False, data: bytes = b"") -> bytes:
    """Deflated, all pages of the same data; with `loop` the last one points at the first."""
    head = b"II*\0" + (8 + len(data)).to_bytes(4, "little") + data
    at = len(head)
    directories = []
    for number, (width, height) in enumerate(pages):
        tags = {
            256: width,
            257: height,
            258: 8,
            259: 8,
            262: 1,
            273: 8,
            277: 1,
            278: height,
            279: len(data),
        }
        last = number + 1 == len(pages)
        size = 2 + 12 * len(tags) + 4
        following = (8 + len(data) if loop else 0) if last else at + size
        rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        directories.append(struct.pack("<H", len(tags)) + rows + struct.pack("<I", following))
        at += size
    return head + b"".join(directories)


def jpeg(width: int, height: int) -> bytes:
    """A small one that claims another size."""
    written = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(written, "JPEG")
    raw = bytearray(written.getvalue())
    at = raw.index(b"\xff\xc0") + 5
    raw[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(raw)


def many_scans(side: int, count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    written = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(written, "JPEG", progressive=True)
    raw = written.getvalue()
    last = raw.rindex(b"\xff\xda")
    return raw[:-2] + raw[last:-2] * count + raw[-2:]


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


TEXT = b"Comment\0"

BOMBS: dict[str, Callable[[], bytes]] = {
    "png, a million wide": lambda: png(1_000_000, 1),
    "png, a million wide and ten high": lambda: png(1_000_000, 10),
    "png, a million wide and a hundred high": lambda: png(1_000_000, 100),
    "png, a million high": lambda: png(1, 1_000_000),
    "png, 49 million pixels": lambda: png(7000, 7000),
    "png, 49 million pixels of 16 bits": lambda: png(7000, 7000, depth=16),
    "png, 10^18 pixels": lambda: png(2**30, 2**30, rows=0),
    "png, larger than can be": lambda: png(2**32 - 1, 2**32 - 1, rows=0),
    "png, without rows": lambda: png(7000, 7000, rows=0),
    "png, zTXt": lambda: png(9, 9, chunk(b"zTXt", TEXT + b"\0" + zeros(64 * 2**20))),
    "png, many zTXt": lambda: png(9, 9, *[chunk(b"zTXt", TEXT + b"\0" + zeros(2**20))] * 500),
    "png, iTXt": lambda: png(9, 9, chunk(b"iTXt", TEXT + b"\1\0\0\0" + zeros(64 * 2**20))),
    "png, iCCP": lambda: png(9, 9, chunk(b"iCCP", TEXT + b"\0" + zeros(64 * 2**20))),
    "png, IDAT that is too long": lambda: png(9, 9, rows=200_000),
    "gif, 65535 x 65535": lambda: gif(65535, 65535),
    "gif, 49 million pixels": lambda: gif(7000, 7000),
    "gif, 100 000 frames": lambda: gif(10, 10, frames=100_000),
    "gif, 49 million pixels, 100 000 times": lambda: gif(7000, 7000, frames=100_000),
    "webp, 16383 x 16383": lambda: webp(16383, 16383),
    "webp, 49 million pixels": lambda: webp(7000, 7000),
    "webp, 25 million pixels": lambda: webp(5000, 5000),
    "tiff, 2^31 wide and high": lambda: tiff((2**31, 2**31)),
    "tiff, 65535 x 65535": lambda: tiff((65535, 65535), data=zeros(2**22)),
    "tiff, 49 million pixels": lambda: tiff((7000, 7000), data=zeros(47 * 2**20)),
    "tiff, 100 000 pages": lambda: tiff(*[(10, 10)] * 100_000, data=zeros(2**20)),
    "tiff, pages without end": lambda: tiff((10, 10), (10, 10), loop=True, data=zeros(2**20)),
    "jpeg, 65500 x 65500": lambda: jpeg(65500, 65500),
    "jpeg, 49 million pixels": lambda: jpeg(7000, 7000),
    "jpeg, 100 scans": lambda: many_scans(1000, 100),
    "bmp, 30000 x 30000": lambda: bmp(30000, 30000),
    "bmp, 49 million pixels": lambda: bmp(7000, 7000),
    "bmp, upside down": lambda: bmp(7000, -(2**31)),
}
