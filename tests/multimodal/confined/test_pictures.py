"""What is seen of a picture: its pixels for OCR, and a clean copy for models."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageDraw

from multimodal.confined import Confined, Unreadable

PIXELS = 50_000_000


def look(pictures: Confined, content: bytes, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = pictures.call(
        "look", content, **{"pixels": PIXELS, "side": 1568, **options}
    )
    assert len(found["raw"]) == found["size"][0] * found["size"][1] * len(found["mode"])
    return found


def shown(found: dict[str, Any]) -> Image.Image:
    return Image.frombytes(found["mode"], tuple(found["size"]), found["raw"])


def copy(found: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(found["picture"]))


def file(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, format_, **options)
    return written.getvalue()


def corners(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """White, its upper left corner red."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 4, size[1] // 4), "red")
    return image


def is_red(image: Image.Image, x: int, y: int) -> bool:
    pixel: Any = image.convert("RGB").getpixel((x, y))
    return bool(pixel[0] > 180 and pixel[1] < 90 and pixel[2] < 90)


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("MPO", {"save_all": True, "quality": 95}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
        ("AVIF", {}),
    ],
)
def test_every_format_is_unpacked(
    pictures: Confined, format_: str, options: dict[str, Any]
) -> None:
    if format_ == "MPO":
        options = {**options, "append_images": [Image.new("RGB", (60, 40))]}
    found = look(pictures, file(corners(), format_, **options))

    assert found["format"] == format_.lower().replace("mpo", "jpeg")
    assert (found["width"], found["height"], found["pages"]) == (60, 40, 1)
    assert (found["mode"], found["size"], found["note"]) == ("RGB", [60, 40], "")
    for image in (shown(found), copy(found)):
        assert is_red(image, 3, 3)
        assert not is_red(image, 50, 30)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_however_the_camera_was_held(
    pictures: Confined, format_: str, orientation: int
) -> None:
    held = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](corners())
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation

    found = look(pictures, file(held, format_, exif=exif))

    assert (found["width"], found["height"], found["size"]) == (60, 40, [60, 40])
    for image in (shown(found), copy(found)):
        assert image.size == (60, 40)
        assert is_red(image, 3, 3)
        assert not any(is_red(image, x, y) for x, y in ((56, 3), (3, 36), (56, 36)))


def test_a_large_photo_is_reduced_while_it_is_unpacked(pictures: Confined) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    content = file(corners((6000, 3000)), "JPEG", exif=exif)

    found = look(pictures, content, reading=1000, side=300)

    assert (found["width"], found["height"]) == (3000, 6000)
    assert found["size"] == [500, 1000]
    assert copy(found).size == (150, 300)
    assert is_red(shown(found), 490, 10)


def test_nothing_is_made_larger_and_no_copy_where_none_is_wanted(pictures: Confined) -> None:
    assert copy(look(pictures, file(corners()), side=4000)).size == (60, 40)
    found = look(pictures, file(corners()), side=0)
    assert (found["picture"], found["picture_type"]) == (b"", "")


def test_the_copy_has_no_metadata(pictures: Confined) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "at home"
    photo = Image.merge("RGB", [Image.effect_noise((200, 200), 90) for _ in range(3)])
    for content in (
        file(photo, "JPEG", exif=exif, comment=b"at home", dpi=(300, 300)),
        file(corners(), "PNG", exif=exif),
        file(photo, "WEBP", exif=exif, xmp=b"at home", icc_profile=b"at home"),
    ):
        assert b"at home" in content
        found = look(pictures, content)
        assert b"at home" not in found["picture"]
        assert not copy(found).getexif()
        assert not {"dpi", "comment", "icc_profile", "exif"} & set(copy(found).info)


def test_photos_are_copied_as_jpeg_and_drawings_as_png(pictures: Confined) -> None:
    photo = Image.merge("RGB", [Image.effect_noise((200, 200), 90) for _ in range(3)])

    assert look(pictures, file(photo))["picture_type"] == "image/jpeg"
    assert look(pictures, file(photo))["picture"].startswith(b"\xff\xd8")
    assert look(pictures, file(corners()))["picture_type"] == "image/png"


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_comes_as_eight_bits(pictures: Confined, mode: str) -> None:
    grey = Image.linear_gradient("L")
    image = grey.convert("I").point(lambda value: value * 257) if mode == "I;16" else grey
    found = look(pictures, file(image.convert(mode)))

    assert found["mode"] == "L"
    assert shown(found).getpixel((100, 5)) < 20  # type: ignore[operator]
    assert shown(found).getpixel((100, 250)) > 235  # type: ignore[operator]


@pytest.mark.parametrize(("mode", "most"), [("I", 70_000), ("F", 0.5), ("I;16", 4_000)])
def test_more_than_eight_bits_are_stretched(pictures: Confined, mode: str, most: float) -> None:
    wide = Image.linear_gradient("L").convert("F").point(lambda value: value * (most / 255) + 0)
    image = wide.convert("I").convert(mode) if mode != "F" else wide

    seen = shown(look(pictures, file(image, "TIFF")))

    assert seen.mode == "L"
    assert seen.getextrema() == (0, 255)


def test_cmyk_is_seen_in_its_colours(pictures: Confined) -> None:
    for format_ in ("JPEG", "TIFF"):
        found = look(pictures, file(corners().convert("CMYK"), format_))
        assert is_red(shown(found), 3, 3)
        assert shown(found).getpixel((50, 30)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 24)])
def test_what_is_written_on_nothing_is_seen(
    pictures: Confined, mode: str, ink: int, ground: int
) -> None:
    image = Image.new("LA", (400, 100), (ink, 0))
    ImageDraw.Draw(image).text((20, 20), "Moltgate", (ink, 255), font_size=50)
    options = {"transparency": 1} if mode == "P" else {}
    if mode == "P":
        palette = image.getchannel("A").point([1] * 128 + [0] * 128).convert("P")
        palette.putpalette([ink] * 6)
        image = palette
    found = look(pictures, file(image.convert(mode), **options))

    assert shown(found).convert("L").getpixel((1, 1)) == ground
    assert shown(found).convert("L").getextrema() == (min(ink, ground), max(ink, ground))
    assert copy(found).convert("L").getextrema() == (min(ink, ground), max(ink, ground))


def test_grey_is_told_from_colours(pictures: Confined) -> None:
    assert look(pictures, file(Image.linear_gradient("L").convert("RGB")))["mode"] == "L"
    assert look(pictures, file(corners()))["mode"] == "RGB"
    plain = look(pictures, file(corners()), grey=True)
    assert plain["mode"] == "L"
    assert is_red(copy(plain), 3, 3)


def test_pages_of_a_fax_are_looked_at_one_by_one(pictures: Confined) -> None:
    sheets = [Image.new("1", (864, 550 + 10 * number), 1) for number in range(5)]
    for number, sheet in enumerate(sheets):
        ImageDraw.Draw(sheet).rectangle((0, 0, 100 * (number + 1), 50), 0)
    content = file(sheets[0], "TIFF", compression="group4", save_all=True, append_images=sheets[1:])

    seen = [look(pictures, content, page=number) for number in range(5)]

    assert {found["pages"] for found in seen} == {5}
    assert [found["height"] for found in seen] == [550, 560, 570, 580, 590]
    for number, found in enumerate(seen):
        row = [shown(found).getpixel((x, 20)) for x in range(50, 864, 100)]
        assert row.count(0) == number + 1
    with pytest.raises(Unreadable, match="it has no page 6"):
        look(pictures, content, page=5)
    with pytest.raises(Unreadable, match="it has no page 2"):
        look(pictures, file(corners()), page=1)


def test_a_fax_of_every_second_row_is_not_flat(pictures: Confined) -> None:
    content = file(Image.new("1", (1728, 1100), 1), "TIFF", compression="group3", dpi=(204, 98))

    found = look(pictures, content)

    assert (found["width"], found["height"]) == (1728, 1100)
    assert found["size"] == [1728, 2290]


def test_a_fax_is_not_made_large_to_be_made_small(pictures: Confined) -> None:
    content = file(Image.new("L", (5000, 5000)), "TIFF", compression="packbits", dpi=(300, 80))
    with Confined(pictures.module, memory=96 * 2**20, cpu=20, wall=120) as small:
        assert look(small, content, reading=300, side=0)["size"] == [80, 300]


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_what_moves_the_first_picture_is_read(pictures: Confined, format_: str) -> None:
    more = [Image.new("RGB", (60, 40), colour) for colour in ("blue", "green")]

    found = look(pictures, file(corners(), format_, save_all=True, append_images=more))

    assert is_red(shown(found), 3, 3)
    assert found["note"] == "It moves; its first picture was read."
