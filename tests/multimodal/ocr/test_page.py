"""Made pictures of text, read by the real Tesseract on both roads. Bounds are generous: what was
measured is in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from multimodal.config import OcrConfig
from multimodal.errors import Unreadable
from multimodal.ocr import languages
from multimodal.ocr.page import HARD_TO_READ, NOTHING, Page, PageReader
from multimodal.ocr.tesseract import TOO_SLOW
from tests.media import pictures, rates
from tests.multimodal.ocr.conftest import Road

LINES = pictures.sentences(4, seed=4)
CLEAN = pictures.page(LINES)


def read(reader: PageReader, picture: Image.Image, *, seconds: float = 60) -> Page:
    channels = len(picture.getbands())
    return reader.read_page(picture.tobytes(), *picture.size, channels=channels, seconds=seconds)


def assert_reads(page: Page, lines: Sequence[str], *, wrong: float = 0.05) -> None:
    assert rates.characters("\n".join(lines), page.text) <= wrong, page


CONDITIONS: dict[str, tuple[Callable[[], Image.Image], float]] = {
    "clean": (lambda: CLEAN, 0.03),
    "grey only": (lambda: CLEAN.convert("L"), 0.03),
    "serif": (lambda: pictures.page(LINES, face=pictures.SERIF), 0.03),
    "10 px": (lambda: pictures.page(LINES, size=10), 0.05),
    "8 px": (lambda: pictures.page(LINES, size=8), 0.12),
    "48 px": (lambda: pictures.page(LINES, size=48), 0.03),
    "low contrast": (lambda: pictures.page(LINES, ink=(200,) * 3, paper=(215,) * 3), 0.03),
    "red on green": (lambda: pictures.page(LINES, ink=(200, 60, 60), paper=(60, 130, 60)), 0.03),
    "dark mode": (lambda: pictures.screenshot(LINES), 0.05),
    "light mode": (lambda: pictures.screenshot(LINES, dark=False), 0.05),
    "specks": (lambda: pictures.noisy(CLEAN, 0.06), 0.09),
    "grain": (lambda: pictures.grainy(CLEAN, 30), 0.05),
    "blurred": (lambda: pictures.blurred(CLEAN, 2), 0.08),
    "turned by 2": (lambda: pictures.turned(CLEAN, 2), 0.03),
    "turned by -5": (lambda: pictures.turned(CLEAN, -5), 0.03),
    "turned by 10": (lambda: pictures.turned(CLEAN, 10), 0.03),
    "turned by 90": (lambda: pictures.turned(CLEAN, 90), 0.03),
    "turned by 180": (lambda: pictures.turned(CLEAN, 180), 0.03),
    "turned by 273": (lambda: pictures.turned(CLEAN, 273), 0.05),
    "in the shade": (lambda: pictures.shaded(pictures.page(LINES, ink=(60,) * 3), 0.2), 0.05),
    "photographed": (lambda: pictures.photographed(CLEAN, seed=3), 0.06),
}


BOTH = ("clean", "10 px", "dark mode", "turned by 10", "turned by 180", "photographed")
"""Starting the program takes its time; what is done before is the same on both roads."""


@pytest.mark.parametrize(
    ("english", "condition"),
    [
        *(pytest.param("tesserocr", each, id=f"tesserocr-{each}") for each in CONDITIONS),
        *(pytest.param("pytesseract", each, id=f"pytesseract-{each}") for each in BOTH),
    ],
    indirect=["english"],
)
def test_reads_pages(english: PageReader, condition: str) -> None:
    picture, wrong = CONDITIONS[condition]
    page = read(english, picture())
    assert_reads(page, LINES, wrong=wrong)
    assert page.languages == "eng"
    assert page.confidence >= 0.7
    assert page.note == ""


def test_spreads_a_sheet_flat_that_is_seen_aslant(english: PageReader) -> None:
    """As it is, two thirds of it are misread: its lines run at different angles."""
    lines = pictures.sentences(14, seed=5)
    photo = pictures.photographed(pictures.page(lines), seed=5, slant=0.12, degrees=5)
    assert_reads(read(english, photo), lines, wrong=0.06)


def test_says_how_far_it_turned_a_page(english: PageReader) -> None:
    page = read(english, pictures.turned(CLEAN, 90))  # against the clock
    assert page.turned == pytest.approx(90, abs=1)


def test_reads_columns_one_after_the_other(english: PageReader) -> None:
    left, right = pictures.sentences(7, seed=5, width=36), pictures.sentences(7, seed=6, width=36)
    page = read(english, pictures.columns(left, right))
    assert_reads(page, [*left, *right], wrong=0.04)
    assert page.text.count("\n\n") == 1


ROWS = [
    ["Item", "Pieces", "Price"],
    ["Chair", "4", "12.50"],
    ["Garden table", "1", "130.00"],
    ["Lamp", "12", "7.90"],
]


@pytest.mark.parametrize("ruled", [True, False])
def test_writes_tables_in_markdown(english: PageReader, ruled: bool) -> None:
    page = read(english, pictures.table(ROWS, ruled=ruled, above=["Your order of Monday:"]))
    assert page.text == (
        "Your order of Monday:\n\n"
        "| Item | Pieces | Price |\n"
        "| --- | --- | --- |\n"
        "| Chair | 4 | 12.50 |\n"
        "| Garden table | 1 | 130.00 |\n"
        "| Lamp | 12 | 7.90 |"
    )


@pytest.mark.parametrize("seed", range(2))
def test_finds_no_text_in_photos_of_things(english: PageReader, seed: int) -> None:
    page = read(english, pictures.scene(480, 360, seed=seed))
    assert (page.text, page.note, page.confidence) == ("", NOTHING, 0.0)


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (400, 300), "white"),
        Image.new("L", (400, 300), 0),
        Image.new("RGB", (5, 3), "red"),
        Image.new("L", (1, 2000), 90),
        pictures.grainy(Image.new("RGB", (400, 300), "grey"), 40),
    ],
    ids=["white", "black", "speck", "thread", "noise"],
)
def test_finds_no_text_where_nothing_is(english: PageReader, picture: Image.Image) -> None:
    page = read(english, picture)
    assert (page.text, page.note) == ("", NOTHING)


def test_marks_what_is_hard_to_read(road: Road) -> None:
    strict = PageReader(OcrConfig(reader=road, least_confidence=99))
    page = read(strict, CLEAN)
    strict.close()
    assert_reads(page, LINES)
    assert page.note == HARD_TO_READ


def test_marks_blurred_text_as_doubtful_or_leaves_it_out(english: PageReader) -> None:
    page = read(english, pictures.blurred(CLEAN, 4.5))
    assert page.note in (HARD_TO_READ, NOTHING)


def test_reads_german(road: Road) -> None:
    reader = PageReader(OcrConfig(reader=road, languages=("deu",)))
    lines = pictures.sentences(5, tongue="deu", seed=2)
    page = read(reader, pictures.page(lines))
    reader.close()
    assert_reads(page, lines, wrong=0.03)
    assert {"ü", "ß"} & set(page.text)


def test_reads_chinese_without_blanks(road: Road) -> None:
    reader = PageReader(OcrConfig(reader=road, languages=("chi_sim", "eng")))
    lines = pictures.sentences(4, tongue="chi_sim", seed=1, width=20)
    page = read(reader, pictures.page(lines, face=pictures.chinese_font(), size=30))
    reader.close()
    assert_reads(page, lines, wrong=0.1)
    assert " " not in page.text


def test_finds_out_the_script(road: Road) -> None:
    """Chinese is read with the installed data for it, though only English is expected."""
    reader = PageReader(OcrConfig(reader=road, detect=True))
    lines = pictures.sentences(8, tongue="chi_sim", seed=1, width=14)
    page = read(reader, pictures.page(lines, face=pictures.chinese_font(), size=30))
    latin = read(reader, CLEAN)
    reader.close()
    assert page.languages == "chi_sim"
    assert_reads(page, lines, wrong=0.1)
    assert latin.languages.startswith("eng")
    assert_reads(latin, LINES)


@pytest.mark.parametrize("degrees", [180, 270])
def test_turns_pages_by_trying_where_detection_has_no_data(
    road: Road, tmp_path: Path, degrees: int
) -> None:
    data = languages.folder(None) / "eng.traineddata"
    folder = tmp_path / "somebody's data"
    folder.mkdir()
    (folder / data.name).symlink_to(data)
    reader = PageReader(OcrConfig(reader=road, tessdata=folder))
    page = read(reader, pictures.turned(pictures.page(LINES[:2]), degrees))
    reader.close()
    assert_reads(page, LINES[:2])


def test_gives_up_after_the_time_it_has(english: PageReader) -> None:
    long = pictures.page(pictures.sentences(60, width=100))
    with pytest.raises(Unreadable) as raised:
        read(english, long, seconds=0.001)
    assert raised.value.problem == TOO_SLOW
    assert_reads(read(english, CLEAN), LINES)  # and is of use for the next one


def test_pixels_must_fit_their_size(english: PageReader) -> None:
    with pytest.raises(ValueError, match="reshape"):
        english.read_page(b"\0" * 99, 10, 10)


def test_a_very_large_page_is_read_smaller(road: Road) -> None:
    reader = PageReader(OcrConfig(reader=road))
    large = pictures.page(LINES[:2], size=200)
    assert large.width > 5000
    page = read(reader, large)
    reader.close()
    assert_reads(page, LINES[:2])
