"""Pictures made to hurt: each is seen or refused in words, and so is the next one."""

from __future__ import annotations

import io
import itertools
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from multimodal.confined import Confined, Unreadable
from tests.multimodal.confined import bombs
from tests.multimodal.confined.bombs import BOMBS

IMAGES = Path(__file__).parents[3].parent / "shared" / "corpora" / "images"
MEMORY = 768 * 2**20
WORDS = (
    "it is damaged, or made in a way we cannot read",
    "it is damaged, and nothing can be seen in it",
    "this kind of picture is not read",
    "it has more than 50 million pixels",
)
TOO_MUCH = (
    "it needs more memory than the limit",
    "it takes too much work to unpack",
)
COSTLY = frozenset(name for name in BOMBS if "49 million" in name or "25 million" in name)
"""They are within the limit of pixels, so they are unpacked: seconds each."""


def outcome(pictures: Confined, content: bytes, **options: Any) -> dict[str, Any] | str:
    """What was seen, which is checked to be sane, or the words for the user."""
    try:
        found: dict[str, Any] = pictures.call(
            "look", content, **{"pixels": 50_000_000, "side": 1568, **options}
        )
    except Unreadable as unreadable:
        return unreadable.problem
    width, height = found["size"]
    assert len(found["raw"]) == width * height * len(found["mode"])
    assert max(width, height) <= 4000
    with Image.open(io.BytesIO(found["picture"]), formats=("PNG", "JPEG")) as copy:
        assert max(copy.size) <= 1568
        copy.load()
    return found


def child(pictures: Confined) -> int:
    assert pictures._child is not None
    return pictures._child._process.pid


def peak(pictures: Confined) -> int:
    """Bytes of address space that the child had at most."""
    status = Path(f"/proc/{child(pictures)}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmPeak"))
    return int(line.split()[1]) * 1024


def corpus() -> list[tuple[str, bytes]]:
    found = [
        (file.name, file.read_bytes())
        for file in (IMAGES / "pillow-bad").glob("*")
        if file.is_file()
    ]
    for archive in sorted(IMAGES.glob("*.tar.gz")):
        with tarfile.open(archive) as members:
            for member in members:
                if (content := members.extractfile(member)) is not None:
                    found.append((member.name, content.read()))
    assert len(found) > 500, (
        f"the corpus images is missing; it belongs beside the project: {IMAGES}"
    )
    return found


def test_every_bad_picture_that_was_collected_is_seen_or_refused(pictures: Confined) -> None:
    outcome(pictures, b"")
    first = child(pictures)
    told = [
        (name, outcome(pictures, content, page=page))
        for name, content in corpus()
        for page in ((0, 1) if name.endswith(".tif") else (0,))
    ]

    words = {each for _, each in told if isinstance(each, str)}
    assert words <= {*WORDS, "it has no page 2"}
    assert sum(isinstance(each, dict) for _, each in told) > 50
    assert child(pictures) == first
    assert peak(pictures) <= MEMORY


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in COSTLY else ()) for name in BOMBS],
)
def test_no_bomb_goes_off(pictures: Confined, name: str) -> None:
    content = BOMBS[name]()
    tracemalloc.start()
    try:
        told = outcome(pictures, content)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if isinstance(told, str):
        assert told in (*WORDS, *TOO_MUCH)
        assert held < 16 * 2**20
    else:
        assert held < 3 * 4000 * 4000 + 16 * 2**20
    assert isinstance(outcome(pictures, bombs.png(9, 9)), dict)
    assert peak(pictures) <= MEMORY


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [
        ("png, a million wide", 1_000_000, 1),
        ("png, a million wide and ten high", 1_000_000, 10),
        ("png, a million high", 1, 1_000_000),
        ("png, 49 million pixels", 7000, 7000),
    ],
)
def test_what_is_within_the_limit_is_seen_however_odd(
    pictures: Confined, name: str, width: int, height: int
) -> None:
    found = outcome(pictures, BOMBS[name]())

    assert isinstance(found, dict)
    assert (found["width"], found["height"]) == (width, height)


@pytest.mark.parametrize(
    "name",
    [
        "png, a million wide and a hundred high",
        "png, 10^18 pixels",
        "gif, 65535 x 65535",
        "webp, 16383 x 16383",
        "tiff, 65535 x 65535",
        "jpeg, 65500 x 65500",
        "bmp, 30000 x 30000",
    ],
)
def test_a_size_beyond_the_limit_is_refused_before_it_is_unpacked(
    pictures: Confined, name: str
) -> None:
    with Confined(pictures.module, memory=96 * 2**20, cpu=20, wall=120) as small:
        told = outcome(small, BOMBS[name]())

        assert told == "it has more than 50 million pixels"
        assert peak(small) < 64 * 2**20


def test_too_little_memory_for_a_picture_is_told(pictures: Confined) -> None:
    with Confined(pictures.module, memory=64 * 2**20, cpu=20, wall=120) as small:
        for content in (bombs.png(5000, 5000, depth=16), photo("JPEG")):
            assert outcome(small, content) == "it needs more memory than the limit"
        assert isinstance(outcome(small, bombs.png(9, 9)), dict)


def test_too_much_work_for_a_picture_is_told(pictures: Confined) -> None:
    with Confined(pictures.module, memory=MEMORY, cpu=0.5, wall=120) as small:
        told = outcome(small, bombs.many_scans(4000, 3000))
        assert told == "it takes too much work to unpack"
        assert isinstance(outcome(small, bombs.png(9, 9)), dict)


def photo(format_: str, side: int = 3000) -> bytes:
    written = io.BytesIO()
    noise = [Image.effect_noise((200, 200), 90).resize((side, side)) for _ in range(3)]
    Image.merge("RGB", noise).save(written, format_)
    return written.getvalue()


def sample(format_: str, **options: Any) -> bytes:
    image = Image.merge("RGB", [Image.effect_noise((120, 120), 90) for _ in range(3)])
    ImageDraw.Draw(image).rectangle((0, 0, 60, 30), "red")
    written = io.BytesIO()
    image.save(written, format_, **options)
    return written.getvalue()


SAMPLES = {
    "jpeg": sample("JPEG"),
    "progressive jpeg": sample("JPEG", progressive=True),
    "png": sample("PNG"),
    "gif": sample("GIF"),
    "webp": sample("WEBP"),
    "lossless webp": sample("WEBP", lossless=True),
    "bmp": sample("BMP"),
    "tiff": sample("TIFF", compression="tiff_lzw"),
    "plain tiff": sample("TIFF"),
    "avif": sample("AVIF"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_of_what_is_cut_off_the_rest_is_seen_where_it_can_be(pictures: Confined, name: str) -> None:
    content = SAMPLES[name]
    told = [outcome(pictures, content[: len(content) * tenth // 10]) for tenth in range(10)]

    assert {each for each in told if isinstance(each, str)} <= set(WORDS)
    seen = [each for each in told if isinstance(each, dict)]
    for found in seen:
        assert found["note"] == "It is cut off or damaged; what is there was read."
        assert (found["width"], found["height"]) == (120, 120)
    if name in ("jpeg", "progressive jpeg", "png", "gif", "bmp"):
        assert len(seen) >= 5


def test_names_and_claims_do_not_matter_but_content(pictures: Confined) -> None:
    """A name is not even asked for. Two headers are one picture: the first one's."""
    for first, second in itertools.permutations(("jpeg", "png", "gif", "webp", "bmp"), 2):
        found = outcome(pictures, SAMPLES[first] + SAMPLES[second])
        assert isinstance(found, dict)
        assert found["format"] == first

        lying = SAMPLES[first][:16] + SAMPLES[second]
        told = outcome(pictures, lying)
        assert told in WORDS or isinstance(told, dict)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        b"\xc5\xd0\xd3\xc6" + bytes(100),
        b"%PDF-1.7\n",
        b"P6 9 9 255\n" + bytes(243),
        b"8BPS\0\1" + bytes(100),
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + bytes(100),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c red", "a"};',
        b"#define x_width 8\n#define x_height 1\nstatic char x_bits[] = {0x00};",
        b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://x/\"|ls \"-la)'\n",
        b"II*\0" + bytes(4),
        b"PK\3\4" + bytes(100),
    ],
)
def test_other_kinds_are_not_read(pictures: Confined, content: bytes) -> None:
    assert outcome(pictures, content) in (WORDS[0], "this kind of picture is not read")


def test_a_picture_that_is_a_script_or_an_archive_too_is_a_picture(pictures: Confined) -> None:
    for extra in (b"<script>alert(1)</script>", b"PK\3\4 and more", b"\0" * 10_000, b"%PDF-1.7"):
        for name, content in SAMPLES.items():
            found = outcome(pictures, content + extra)
            assert isinstance(found, dict), name
            assert extra not in found["picture"]


SEEDS = [*SAMPLES.values(), bombs.gif(9, 9, frames=3), bombs.tiff((9, 9), (9, 9))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_are_a_picture_or_none(pictures: Confined, data: st.DataObject) -> None:
    begun = data.draw(st.sampled_from(SEEDS))[: data.draw(st.integers(0, 64))]
    told = outcome(pictures, begun + data.draw(st.binary(max_size=500)))

    assert isinstance(told, dict) or told in (*WORDS, *TOO_MUCH)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_picture_with_changed_bytes_is_one_or_none(
    pictures: Confined, data: st.DataObject
) -> None:
    raw = bytearray(data.draw(st.sampled_from(SEEDS)))
    early = st.integers(0, min(len(raw), 256) - 1)
    anywhere = st.integers(0, len(raw) - 1)
    for at in data.draw(st.lists(early | anywhere, min_size=1, max_size=8)):
        raw[at] = data.draw(st.integers(0, 255))
    told = outcome(pictures, bytes(raw))

    assert isinstance(told, dict) or told in (*WORDS, *TOO_MUCH)
