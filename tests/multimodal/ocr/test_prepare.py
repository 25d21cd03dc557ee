"""Each step does its work where it is needed and leaves a clean page alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from multimodal.ocr import prepare
from tests.media import pictures

LINES = pictures.sentences(8, seed=8)


def pixels(picture: Image.Image) -> prepare.Grey:
    return np.asarray(picture.convert("L"))


def test_a_clean_page_is_left_as_it_is() -> None:
    page = pixels(pictures.page(LINES))
    assert prepare.dark_on_light(page) is page
    assert prepare.evenly_lit(page) is page
    assert prepare.without_specks(page) is page
    assert prepare.sheet(page) is None
    assert prepare.lines(page) == prepare.Lines(0.0, False)
    assert prepare.turned(page, 0.0) is page
    assert prepare.fitting(page) is page


def test_small_type_is_not_taken_for_specks() -> None:
    page = pixels(pictures.page(LINES, size=9))
    assert prepare.without_specks(page) is page


def test_specks_are_taken_away() -> None:
    page = pixels(pictures.page(LINES))
    cured = prepare.without_specks(pixels(pictures.noisy(pictures.page(LINES), 0.03)))
    assert np.abs(cured.astype(int) - page).mean() < 1


@pytest.mark.parametrize("degrees", [-12, -4.5, -1, 1, 3.25, 9, 14])
def test_finds_how_lines_run(degrees: float) -> None:
    page = pixels(pictures.turned(pictures.page(LINES), degrees))
    assert prepare.lines(page).angle == pytest.approx(degrees, abs=0.3)
    assert not prepare.lines(page).on_side


@pytest.mark.parametrize("degrees", [90, 270, 85, 274])
def test_finds_lines_that_run_down(degrees: float) -> None:
    found = prepare.lines(pixels(pictures.turned(pictures.page(LINES), degrees)))
    assert found.on_side
    assert found.angle == pytest.approx((degrees + 45) % 90 - 45, abs=0.3)


def test_most_dark_is_turned_to_light() -> None:
    shot = pixels(pictures.screenshot(LINES))
    assert np.median(shot) < 60
    assert np.median(prepare.dark_on_light(shot)) > 180


def test_the_colour_that_tells_ink_from_paper_is_taken() -> None:
    page = pictures.page(LINES, ink=(200, 60, 60), paper=(60, 130, 60))
    luminance = pixels(page)
    seen = prepare.grey(np.asarray(page))
    assert np.ptp(seen.astype(int)) > 2 * np.ptp(luminance.astype(int))


@pytest.mark.parametrize("seed", range(3))
def test_a_sheet_on_a_table_is_found(seed: int) -> None:
    page = pictures.page(LINES)
    found = prepare.sheet(pixels(pictures.photographed(page, seed=seed)))
    assert found is not None
    flat = prepare.spread_flat(pixels(pictures.photographed(page, seed=seed)), found)
    assert flat.shape[0] / flat.shape[1] == pytest.approx(page.height / page.width, rel=0.1)


def test_a_window_on_a_dark_screen_is_no_sheet() -> None:
    screen = Image.new("L", (900, 600), 30)
    ImageDraw.Draw(screen).rectangle((150, 100, 700, 480), fill=240)
    assert prepare.sheet(np.asarray(screen)) is None


@pytest.mark.parametrize("seed", range(2))
def test_a_landscape_is_no_sheet(seed: int) -> None:
    assert prepare.sheet(pixels(pictures.scene(seed=seed))) is None


def test_large_pictures_are_made_smaller() -> None:
    assert max(prepare.fitting(np.zeros((100, 9000), np.uint8)).shape) == prepare.LARGEST


def test_quarter_turns_go_with_the_clock() -> None:
    corner = np.array([[1, 2], [3, 4]], np.uint8)
    assert prepare.quarter_turned(corner, 90).tolist() == [[3, 1], [4, 2]]
    assert prepare.quarter_turned(corner, 270).tolist() == [[2, 4], [1, 3]]
