"""Pictures of strangers, by Pillow. Runs in a confined child only:

    pictures = Confined("multimodal.confined.pictures", memory=…, cpu=…, wall=…)
    seen = pictures.call("look", content, pixels=50_000_000, side=1568, page=0)

`look(content, *, pixels, side, reading=4000, grey=False, page=0)` where `pixels` is the most that
is unpacked, `side` the longest side of the copy for models (0: none), `reading` that of the pixels
for OCR, `grey` whether those come without colours, `page` which one of a TIFF with several. Returns

    format    "jpeg", "png", "gif", "webp", "bmp", "tiff", "avif"
    width, height   of the picture itself, upright
    pages     how many there are, counted up to 1000; 1 but for TIFF. One call looks at one page
    mode      "L" or "RGB": what a byte of `raw` is. "L" also where there are no colours to be seen
    size      [width, height] of `raw`, at most `reading` long
    raw       the pixels for OCR: upright, opaque, 8 bits, rows without padding
    picture   the copy for models, written anew and without metadata; b"" when `side` is 0
    picture_type    "image/jpeg", or "image/png" where there are few colours
    note      what is to be known of it, or ""

Raises `Unreadable` with words for the user.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from contextlib import suppress
from typing import Any, NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageStat,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from gateway import sniff
from multimodal.errors import Unreadable

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""Nothing else is even tried: other plugins start programs, or are seldom used and little tested.
"""
_NAMES = {"MPO": "jpeg"}
_MEDIA = frozenset(
    f"image/{each}" for each in ("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif")
)
_PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,  # a JPEG with several pictures turns out as one
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

NOT_READ = "this kind of picture is not read"
DAMAGED = "it is damaged, or made in a way we cannot read"
NOTHING_LEFT = "it is damaged, and nothing can be seen in it"
CUT = "It is cut off or damaged; what is there was read."
MOVES = "It moves; its first picture was read."

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""All that Pillow was seen to raise at broken files."""

_COUNTED = 1000
"""Pages of one file."""
_BAND = 4_000_000
"""Pixels that are converted at once, so that no whole picture is held twice or thrice."""
_SAMPLE = 256
_LIGHT = 150
"""Mean of what is opaque, above which it is put on dark."""
_COLOURLESS = 12
"""Most difference of the three channels that is not seen as a colour."""
_FEW_COLOURS = 256
_QUALITY = 85
_WHITE, _DARK = (255, 255, 255), (24, 24, 24)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def look(
    content: bytes,
    *,
    pixels: int,
    side: int,
    reading: int = 4000,
    grey: bool = False,
    page: int = 0,
) -> dict[str, Any]:
    """As the module says."""
    try:
        found = _unpacked(content, pixels, reading, page)
    except Image.DecompressionBombError:
        raise Unreadable(_too_many(pixels)) from None
    flat = _upright(found, reading)
    width, height = found.size[::-1] if found.turn >= 5 else found.size
    notes = [CUT] * (not found.whole) + [MOVES] * found.moves
    format_, pages = found.format, found.pages
    del found  # and its pixels
    picture, picture_type = _copy(flat, side) if side else (b"", "")
    if flat.mode != "L" and (grey or _colourless(flat)):
        flat = flat.convert("L")
    return {
        "format": format_,
        "width": width,
        "height": height,
        "pages": pages,
        "mode": flat.mode,
        "size": list(flat.size),
        "raw": flat.tobytes(),
        "picture": picture,
        "picture_type": picture_type,
        "note": " ".join(notes),
    }


class _Found(NamedTuple):
    image: ImageFile.ImageFile
    format: str
    size: tuple[int, int]
    """As stored; the image may be a reduced one."""
    turn: int
    """EXIF's orientation."""
    pages: int
    moves: bool
    whole: bool


def _unpacked(content: bytes, pixels: int, reading: int, page: int) -> _Found:
    """With its pixels, as many as there are."""
    with suppress(*_BROKEN):
        return _loaded(content, pixels, reading, page, lenient=False)
    try:
        return _loaded(content, pixels, reading, page, lenient=True)
    except UnidentifiedImageError:
        known = sniff.media_type(content[:4096]) in _MEDIA
        raise Unreadable(DAMAGED if known else NOT_READ) from None
    except _BROKEN:
        raise Unreadable(DAMAGED) from None


def _loaded(content: bytes, pixels: int, reading: int, page: int, *, lenient: bool) -> _Found:
    """First only the header is read, and its size held against the limit."""
    Image.MAX_IMAGE_PIXELS = pixels // 2  # Pillow refuses twice as many
    ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    image = Image.open(io.BytesIO(content), formats=FORMATS)
    format_ = _NAMES.get(str(image.format), str(image.format).lower())
    pages, size = 1, (0, 0)
    if format_ == "tiff":
        pages = _pages(image)
        if page < pages:
            image.seek(page)
    if page >= pages:
        raise Unreadable(f"it has no page {page + 1}")
    if image.width * image.height > pixels:
        raise Unreadable(_too_many(pixels))
    if format_ == "jpeg":
        size = image.size
        _draft(image, reading)
    image.load()
    return _Found(
        image=image,
        format=format_,
        size=size if format_ == "jpeg" else image.size,
        turn=_orientation(image),
        pages=pages,
        moves=format_ in ("gif", "webp", "png", "avif") and _moves(image),
        whole=not lenient,
    )


def _upright(found: _Found, reading: int) -> Image.Image:
    """Opaque, of square points, at most so long, and turned as it was seen."""
    flat = _fitted(_flat(found.image), reading, _square(found))
    if not found.whole and all(low == high for low, high in _extrema(flat)):
        raise Unreadable(NOTHING_LEFT)
    return flat.transpose(_UPRIGHT[found.turn]) if found.turn in _UPRIGHT else flat


def _moves(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except _BROKEN:
        return False


def _draft(image: ImageFile.ImageFile, reading: int) -> None:
    """JPEG can be unpacked at a half, a quarter or an eighth of its size."""
    shrink = max(image.size) // reading
    if shrink > 1:
        image.draft(None, (max(1, image.width // shrink), max(1, image.height // shrink)))


def _pages(image: ImageFile.ImageFile) -> int:
    """Each is visited, for a file may say anything about their number."""
    count = 1
    try:
        while count < _COUNTED:
            image.seek(count)
            count += 1
    except _BROKEN:
        pass
    image.seek(0)
    return count


def _too_many(pixels: int) -> str:
    return f"it has more than {pixels / 1e6:.3g} million pixels"


def _orientation(image: Image.Image) -> int:
    """As the camera was held; 1 when nobody says. TIFF is upright when it comes from Pillow."""
    try:
        turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _BROKEN:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _square(found: _Found) -> tuple[int, int]:
    """The size at which a point of a fax is as wide as it is high: of many faxes only every second
    row is sent."""
    image = found.image
    dpi = image.info.get("dpi")
    if found.format != "tiff" or not dpi:
        return image.size
    try:
        ratio = float(dpi[0]) / float(dpi[1])
    except _BROKEN:
        return image.size
    if 1.3 < ratio < 4:
        return image.width, round(image.height * ratio)
    if 1.3 < 1 / ratio < 4:
        return round(image.width / ratio), image.height
    return image.size


def _flat(image: Image.Image) -> Image.Image:
    """Opaque, 8 bits, "L" or "RGB"."""
    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if image.mode in ("L", "RGB") and not clear:
        return image
    ground = _ground(image) if clear else _WHITE
    low, high = _range(image)
    mode = "L" if not clear and image.mode[0] in "1LIF" and image.mode != "LAB" else "RGB"
    flat = Image.new(mode, image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        if clear:
            band = _on(ground, band.convert("RGBA"))
        elif band.mode[0] in "IF":
            band = _eight_bits(band, low, high)
        flat.paste(band.convert(mode), (0, top))
    return flat


def _on(ground: tuple[int, int, int], band: Image.Image) -> Image.Image:
    flat = Image.new("RGB", band.size, ground)
    flat.paste(band, mask=band.getchannel("A"))
    return flat


def _ground(image: Image.Image) -> tuple[int, int, int]:
    """White, or dark under light ink: what is written must not vanish."""
    sample = image.resize(
        (min(image.width, 2 * _SAMPLE), min(image.height, 2 * _SAMPLE)), Image.Resampling.NEAREST
    ).convert("RGBA")
    opaque = sample.getchannel("A").point([0] * 128 + [255] * 128)
    if opaque.getextrema()[0] == 255 or not opaque.getbbox():
        return _WHITE
    mean = ImageStat.Stat(sample.convert("L"), opaque).mean[0]
    return _DARK if mean > _LIGHT else _WHITE


def _range(image: Image.Image) -> tuple[float, float]:
    """Darkest and lightest of a picture with more than 8 bits."""
    if image.mode[0] not in "IF":
        return 0, 255
    low, high = image.getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return 0, 255
    return low, high


def _eight_bits(band: Image.Image, low: float, high: float) -> Image.Image:
    scale = 255 / (high - low)
    return band.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _fitted(image: Image.Image, longest: int, square: tuple[int, int] | None = None) -> Image.Image:
    """At most so long, and no larger than `square`, which is its size when nothing else is said."""
    width, height = square or image.size
    scale = min(1.0, longest / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _extrema(image: Image.Image) -> list[tuple[float, float]]:
    found: Any = image.getextrema()
    return list(found) if isinstance(found[0], tuple) else [found]


def _colourless(image: Image.Image) -> bool:
    size = (min(image.width, 2 * _SAMPLE), min(image.height, 2 * _SAMPLE))
    _, blue, red = image.resize(size, Image.Resampling.NEAREST).convert("YCbCr").split()
    return all(
        abs(value - 128) <= _COLOURLESS / 2
        for channel in (blue, red)
        for value in _extrema(channel)[0]
    )


def _copy(image: Image.Image, side: int) -> tuple[bytes, str]:
    """For models: small, and nothing in it that the stranger wrote but what is seen."""
    small = _fitted(image, side)
    clean = Image.new(small.mode, small.size)
    clean.paste(small)
    written = io.BytesIO()
    if clean.getcolors(_FEW_COLOURS):
        clean.save(written, "PNG")
        return written.getvalue(), "image/png"
    clean.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue(), "image/jpeg"


def warm_up() -> None:
    """One of each, since libraries load things late."""
    Image.preinit()
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    for content in _samples():
        for cut in (content, content[: len(content) * 3 // 4], content[:20]):
            for page in (0, 1):
                try:
                    look(cut, pixels=10_000, side=8, reading=16, page=page)
                except Unreadable:
                    continue


def _samples() -> list[bytes]:
    found = []

    def save(mode: str, format_: str, *, two: bool = False, **options: Any) -> None:
        image = Image.linear_gradient("L").resize((24, 20)).convert(mode)
        if two:
            options |= {"save_all": True, "append_images": [Image.new("RGB", image.size, "red")]}
        if format_ in ("JPEG", "PNG", "WEBP"):
            options["exif"] = exif
        written = io.BytesIO()
        image.save(written, format_, **options)
        found.append(written.getvalue())

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        save(mode, "PNG")
    save("P", "PNG", transparency=3)
    save("RGB", "PNG", two=True)
    for mode in ("L", "RGB", "CMYK"):
        save(mode, "JPEG")
    save("RGB", "JPEG", progressive=True)
    save("RGB", "MPO", two=True)
    save("P", "GIF", two=True)
    save("RGBA", "WEBP")
    save("RGB", "WEBP", lossless=True, two=True)
    save("RGB", "BMP")
    for mode in ("F", "LAB", "I;16"):
        save(mode, "TIFF")
    save("1", "TIFF", compression="group4", dpi=(204, 98))
    for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"):
        save("RGB", "TIFF", compression=compression, two=True)
    save("RGB", "AVIF", speed=10, max_threads=1)
    found.append(b"neither")
    return found
