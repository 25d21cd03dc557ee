"""Pictures made easier to read: grey values from colours, dark on light, even light, no specks,
straight lines, a sheet seen aslant cut out and spread flat.

Each step looks first whether it is needed, on a small copy, and leaves a clean page as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

LARGEST = 3_400
"""Longest side that is read: an A4 page at 290 dpi. What is larger only takes longer."""

_SMALL = 900
"""Longest side of the copy on which lines are looked for."""
_TINY = 180
"""Longest side of the copy on which sheets are looked for."""

STEEPEST = 15
"""Degrees. Beyond them lines are not found, and the picture is read as it is."""
_STRAIGHT = 0.5
"""Degrees that Tesseract copes with by itself."""


@dataclass(frozen=True)
class Sheet:
    """Corners of a bright quadrilateral, clockwise from the upper left, in pixels."""

    corners: tuple[tuple[float, float], ...]
    share: float
    """Of the picture."""


def grey(pixels: NDArray[np.uint8]) -> Grey:
    """Of rows of grey or RGB values: luminance, or the one colour that tells ink from paper far
    better (red on a green of the same brightness)."""
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    light = np.asarray(Image.fromarray(pixels).convert("L"))
    sample = pixels[:: max(1, pixels.shape[0] // 400), :: max(1, pixels.shape[1] // 400)]
    spreads = [_spread(sample[..., colour]) for colour in range(3)]
    best = int(np.argmax(spreads))
    seen = _spread(light[:: max(1, light.shape[0] // 400), :: max(1, light.shape[1] // 400)])
    if seen < 60 and spreads[best] > 1.6 * seen:
        return np.ascontiguousarray(pixels[..., best])
    return light


def dark_on_light(picture: Grey) -> Grey:
    """Inverted where most of it is dark, as screens are at night. The whole range of grey."""
    sample = _thinned(picture)
    if float(np.median(sample)) < 110:
        picture, sample = 255 - picture, 255 - sample
    low, high = np.percentile(sample, (0.5, 99.5))
    if 8 < high - low < 120:
        table = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        picture = table[picture]
    return picture


def scaled(picture: Grey, by: float) -> Grey:
    height, width = picture.shape
    size = max(1, round(width * by)), max(1, round(height * by))
    how = Image.Resampling.LANCZOS if by > 1 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize(size, how))


def fitting(picture: Grey) -> Grey:
    """No larger than what is read."""
    longest = max(picture.shape)
    return scaled(picture, LARGEST / longest) if longest > LARGEST else picture


def sharpened(picture: Grey, radius: float) -> Grey:
    """For blurred letters: a radius of a tenth of their height had 5 % of the characters wrong
    where 43 % were before."""
    mask = ImageFilter.UnsharpMask(radius, 250, 0)
    return np.asarray(Image.fromarray(picture).filter(mask))


def quarter_turned(picture: Grey, degrees: int) -> Grey:
    """Clockwise."""
    return np.ascontiguousarray(np.rot90(picture, -degrees // 90))


def without_specks(picture: Grey) -> Grey:
    """Pixels darker or lighter than all but one of their neighbours become what is usual around
    them, where there are such all over: what small letters have of them leaves the gaps between
    the lines free."""
    height, width = picture.shape
    if min(height, width) < 16:
        return picture
    top, left = max(0, height // 2 - 300), max(0, width // 2 - 300)
    sample = _specks(picture[top : top + 600, left : left + 600])
    if min(sample.any(axis=0).mean(), sample.any(axis=1).mean()) < 0.9:
        return picture
    middle = np.asarray(Image.fromarray(picture).filter(ImageFilter.MedianFilter(3)))
    return np.where(_specks(picture), middle, picture)


def evenly_lit(picture: Grey) -> Grey:
    """Divided by the light of its surroundings, where the paper is not equally bright all over."""
    height, width = picture.shape
    shrink = min(1.0, 200 / max(height, width))
    paper = Image.fromarray(scaled(picture, shrink) if shrink < 1 else picture)
    light = paper.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.BoxBlur(6))
    low, high = np.percentile(np.asarray(light), (2, 98))
    if high - low < 36 or low < 25:
        return picture  # even, or too dark somewhere to be paper all over
    around = np.asarray(light.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    return np.clip(picture * (235 / np.maximum(around, 1)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Lines:
    """How the lines of a picture run."""

    angle: float
    """Degrees to turn it clockwise to have them level, after the quarter turn."""
    on_side: bool
    """They run up or down: it takes a quarter turn (clockwise) first, or three."""


def lines(picture: Grey) -> Lines:
    """By the turn under which rows of ink and rows of paper differ most."""
    shrink = min(1.0, _SMALL / max(picture.shape))
    small = scaled(picture, shrink) if shrink < 1 else picture
    around = np.asarray(Image.fromarray(small).filter(ImageFilter.BoxBlur(10)), np.int16)
    away = np.abs(small - around)
    ink = away > max(18.0, 0.4 * float(np.percentile(away, 99.5)))
    y, x = np.nonzero(ink)
    if len(x) < 60:
        return Lines(0.0, False)
    step = max(1, len(x) // 25_000)
    across, down = x[::step].astype(np.float32), y[::step].astype(np.float32)
    level, level_angle, at_rest = _best_turn(across, down)
    side, side_angle, _ = _best_turn(-down, across)
    if side > 1.6 * level:
        return Lines(side_angle if abs(side_angle) >= _STRAIGHT else 0.0, True)
    if abs(level_angle) < _STRAIGHT or level < 1.08 * at_rest:
        level_angle = 0.0
    return Lines(level_angle, False)


def turned(picture: Grey, degrees: float) -> Grey:
    """Clockwise, with paper in the new corners."""
    if not degrees:
        return picture
    paper = int(np.median(_thinned(picture)))
    return np.asarray(
        Image.fromarray(picture).rotate(
            -degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=paper
        )
    )


def sheet(picture: Grey) -> Sheet | None:
    """A bright four-cornered thing seen aslant, with something darker around it. One that lies
    exactly straight is a window on a screen, and what is around it counts."""
    height, width = picture.shape
    shrink = _TINY / max(height, width)
    if shrink > 0.7:
        return None
    tiny = Image.fromarray(scaled(picture, shrink)).filter(ImageFilter.MaxFilter(5))
    light = np.asarray(tiny.filter(ImageFilter.BoxBlur(1)))
    bright = light > _divide(light)
    region = _largest(bright)
    share = float(region.mean())
    if not 0.15 < share < 0.97:
        return None
    y, x = np.nonzero(region)
    picks = (np.argmin(x + y), np.argmax(x - y), np.argmax(x + y), np.argmin(x - y))
    corners = np.array([(x[one], y[one]) for one in picks], np.float64)
    area = _area(corners)
    inside = int(region.sum())
    if area < 0.15 * region.size or not 0.88 < inside / max(area, 1) < 1.2:
        return None
    if _in_corners(corners, light.shape) > 1:
        return None  # a sky, or a light that falls in
    rest = light[~region]
    if len(rest) < 0.03 * light.size or np.median(light[region]) - np.median(rest) < 40:
        return None
    left, right, top, bottom = x.min(), x.max(), y.min(), y.max()
    square = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if np.abs(corners - square).max() < 3:
        return None
    # The maximum filter has made it larger by two pixels; half a pixel more keeps the edge out.
    towards = corners.mean(axis=0) - corners
    corners += 2.5 * towards / np.maximum(np.abs(towards), 1)
    return Sheet(tuple((float(a / shrink), float(b / shrink)) for a, b in corners), share)


def spread_flat(picture: Grey, found: Sheet) -> Grey:
    """The sheet alone, as seen from straight above."""
    a, b, c, d = found.corners
    width = round(max(math.dist(a, b), math.dist(d, c)))
    height = round(max(math.dist(a, d), math.dist(b, c)))
    target = ((0, 0), (width, 0), (width, height), (0, height))
    rows, values = [], []
    for (u, v), (x, y) in zip(target, found.corners, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -x * u, -x * v], [0, 0, 0, u, v, 1, -y * u, -y * v]]
        values += [x, y]
    solved = np.linalg.solve(np.array(rows, np.float64), np.array(values, np.float64))
    return np.asarray(
        Image.fromarray(picture).transform(
            (width, height),
            Image.Transform.PERSPECTIVE,
            tuple(float(one) for one in solved),
            Image.Resampling.BICUBIC,
        )
    )


def _thinned(picture: Grey) -> Grey:
    return picture[:: max(1, picture.shape[0] // 500), :: max(1, picture.shape[1] // 500)]


def _spread(values: NDArray[np.uint8]) -> float:
    low, high = np.percentile(values, (1, 99))
    return float(high - low)


def _specks(picture: Grey) -> Mask:
    height, width = picture.shape
    framed = np.pad(picture, 1, mode="edge").astype(np.int16)
    here = framed[1:-1, 1:-1]
    darker, lighter = np.zeros(picture.shape, np.uint8), np.zeros(picture.shape, np.uint8)
    for down in (0, 1, 2):
        for across in (0, 1, 2):
            if (down, across) != (1, 1):
                other = framed[down : down + height, across : across + width]
                darker += other - here > 40
                lighter += here - other > 40
    return (darker >= 7) | (lighter >= 7)


def _best_turn(
    across: NDArray[np.float32], down: NDArray[np.float32]
) -> tuple[float, float, float]:
    """How well rows are told apart at best, the turn for it, and how well without one."""

    def contrast(degrees: float) -> float:
        turn = math.radians(degrees)
        rows = down * math.cos(turn) + across * math.sin(turn)
        counts = np.bincount((rows - rows.min()).astype(np.int64)).astype(np.float64)
        return float(((counts[1:] - counts[:-1]) ** 2).sum())

    rough = {float(angle): contrast(angle) for angle in range(-STEEPEST, STEEPEST + 1)}
    near = max(rough, key=rough.__getitem__)
    fine = {near + step / 4: contrast(near + step / 4) for step in range(-4, 5)}
    best = max(fine, key=fine.__getitem__)
    return fine[best], best, rough[0.0]


def _divide(light: Grey) -> float:
    """Otsu's threshold."""
    counts = np.bincount(light.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(np.argmax(np.nan_to_num(apart)))


def _largest(mask: Mask) -> Mask:
    """The connected part around the middle of its mass: grown from there, not out of the mask."""
    if not mask.any():
        return mask
    y, x = np.nonzero(mask)
    middle = np.argmin((x - np.median(x)) ** 2 + (y - np.median(y)) ** 2)
    grown = np.zeros_like(mask)
    grown[y[middle], x[middle]] = True
    size = 1
    while True:
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= wider[:, :-1]
        wider[:, :-1] |= wider[:, 1:]
        wider &= mask
        now = int(wider.sum())
        if now == size:
            return wider
        grown, size = wider, now


def _in_corners(points: NDArray[np.float64], shape: tuple[int, ...]) -> int:
    """How many lie in a corner of the picture."""
    far = np.array([shape[1] - 1, shape[0] - 1])
    return int((np.minimum(points, far - points) < 4).all(axis=1).sum())


def _area(corners: NDArray[np.float64]) -> float:
    x, y = corners[:, 0], corners[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
