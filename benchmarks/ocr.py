"""Pictures of text: error rates for each condition, and pages per second, against bare Tesseract.

Pictures are made (tests/media/pictures.py), so what is written on them is known. The control is
``pytesseract.image_to_string`` as anyone would call it, on the same pictures in the same run. Rates
are edits per character and per word, white space aside, as means over the pictures; above 1 where
more was read than there is.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from typing import Literal

import psutil
import pytesseract
from PIL import Image

from benchmarks.system import machine
from multimodal.config import MediaConfig, OcrConfig
from multimodal.jobs import Job
from multimodal.ocr.page import PageReader
from multimodal.ocr.reader import PictureReader
from tests.media import pictures, rates

Picture = Image.Image
Sample = tuple[str, Picture]
"""What is written on it, and the picture."""

LINES = 10


@dataclass(frozen=True)
class Condition:
    make: Callable[[int], Sample]
    languages: tuple[str, ...] = ("eng",)


def conditions() -> Mapping[str, Condition]:
    def page(change: Callable[[Picture, int], Picture], **look: object) -> Condition:
        def make(seed: int) -> Sample:
            lines = pictures.sentences(LINES, seed=seed)
            look.setdefault("face", pictures.FONTS[0])
            return "\n".join(lines), change(pictures.page(lines, **look), seed)  # type: ignore[arg-type]

        return Condition(make)

    def same(picture: Picture, _seed: int) -> Picture:
        return picture

    def fonts(seed: int) -> Sample:
        lines = pictures.sentences(LINES, seed=seed)
        face = pictures.FONTS[seed % len(pictures.FONTS)]
        return "\n".join(lines), pictures.page(
            lines, face=face, size=(18, 24, 32, 48)[seed // 4 % 4]
        )

    def tongue(name: pictures.Tongue, face: str, width: int, seed: int) -> Sample:
        lines = pictures.sentences(LINES, seed=seed, tongue=name, width=width)
        return "\n".join(lines), pictures.page(lines, face=face, size=28)

    def shot(dark: bool, seed: int) -> Sample:
        lines = pictures.sentences(LINES, seed=seed)
        return "\n".join(lines), pictures.screenshot(lines, dark=dark, size=(12, 15, 18)[seed % 3])

    def two_columns(seed: int) -> Sample:
        left = pictures.sentences(12, seed=seed, width=36)
        right = pictures.sentences(12, seed=seed + 1000, width=36)
        return "\n".join((*left, *right)), pictures.columns(left, right)

    def photo(slant: float, degrees: float, picture: Picture, seed: int) -> Picture:
        return pictures.photographed(picture, seed=seed, slant=slant, degrees=degrees)

    found = {
        "4 fonts, 18 to 48 px": Condition(fonts),
        "12 px": page(same, size=12),
        "10 px": page(same, size=10),
        "8 px": page(same, size=8),
        "low contrast (200 on 215)": page(same, ink=(200,) * 3, paper=(215,) * 3),
        "red on green": page(same, ink=(200, 60, 60), paper=(60, 130, 60)),
        "dark mode screenshot": Condition(partial(shot, True)),
        "light mode screenshot": Condition(partial(shot, False)),
        "2 % of pixels struck": page(lambda one, seed: pictures.noisy(one, 0.02, seed=seed)),
        "6 % of pixels struck": page(lambda one, seed: pictures.noisy(one, 0.06, seed=seed)),
        "grain of 40": page(lambda one, seed: pictures.grainy(one, 40, seed=seed)),
        "blurred by 2 px": page(lambda one, _: pictures.blurred(one, 2)),
        "blurred by 3 px": page(lambda one, _: pictures.blurred(one, 3)),
        **{
            f"turned by {degrees}°": page(partial(_turned, degrees))
            for degrees in (2, 5, 10, 90, 180)
        },
        "photographed": page(partial(photo, 0.03, 3.0), size=30),
        "photographed, more aslant": page(partial(photo, 0.07, 8.0), size=30),
        "two columns": Condition(two_columns),
        "German": Condition(partial(tongue, "deu", pictures.SERIF, 52), ("deu",)),
    }
    face = pictures.chinese_font()
    if face:
        found["Chinese"] = Condition(partial(tongue, "chi_sim", face, 22), ("chi_sim",))
    return found


def _turned(degrees: float, picture: Picture, seed: int) -> Picture:
    return pictures.turned(picture, degrees if seed % 2 or degrees > 45 else -degrees)


class Readers:
    """Ours on both roads, and the control."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self._languages = languages
        self._ours = {
            "tesserocr": PageReader(OcrConfig(reader="tesserocr", languages=languages)),
            "pytesseract": PageReader(OcrConfig(reader="pytesseract", languages=languages)),
        }

    def __call__(self, picture: Picture) -> dict[str, str]:
        read = {
            road: reader.read_page(picture.tobytes(), *picture.size, channels=3).text
            for road, reader in self._ours.items()
        }
        return read | {"bare": pytesseract.image_to_string(picture, "+".join(self._languages))}

    def close(self) -> None:
        for reader in self._ours.values():
            reader.close()


def accuracy(count: int) -> dict[str, dict[str, list[float]]]:
    """Character and word error rate of each reader for each condition."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, condition in conditions().items():
        readers = Readers(condition.languages)
        wrong: dict[str, list[tuple[float, float]]] = {}
        for seed in range(count):
            written, picture = condition.make(seed)
            for reader, text in readers(picture).items():
                if condition.languages == ("chi_sim",):
                    text = text.replace(" ", "")  # the program puts blanks between characters
                both = rates.characters(written, text), rates.words(written, text)
                wrong.setdefault(reader, []).append(both)
        readers.close()
        found[name] = {
            reader: [round(statistics.fmean(column), 4) for column in zip(*all_, strict=True)]
            for reader, all_ in wrong.items()
        }
    return found


def invented(count: int) -> dict[str, float]:
    """Characters read from each photo on which there are none."""
    readers = Readers(("eng",))
    seen: dict[str, list[int]] = {}
    for seed in range(count):
        for reader, text in readers(pictures.scene(seed=seed)).items():
            seen.setdefault(reader, []).append(len("".join(text.split())))
    readers.close()
    return {reader: statistics.fmean(all_) for reader, all_ in seen.items()}


def tables(count: int) -> dict[str, float]:
    """Share of tables whose every cell stands where it belongs."""
    readers = Readers(("eng",))
    right: dict[str, int] = {}
    for seed in range(count):
        words = [line.rstrip(".").split() for line in pictures.sentences(6, seed=seed)]
        rows = [
            [first, str(seed * 7 + number), *rest[:1]]
            for number, (first, *rest) in enumerate(words)
        ]
        wanted = [f"| {' | '.join(row)} |" for row in rows]
        for reader, text in readers(pictures.table(rows, ruled=seed % 2 == 0)).items():
            lines = [line for line in text.splitlines() if line.strip("| -")]
            right[reader] = right.get(reader, 0) + (lines == wanted)
    readers.close()
    return {reader: share / count for reader, share in right.items()}


Way = Literal["ours", "ours by the program", "bare"]
WAYS: tuple[Way, ...] = ("ours", "ours by the program", "bare")
_read: Callable[[bytes], str]


def _open(way: Way, warm: bytes, there: Barrier) -> None:
    """In a process of a pool: a reader, once used."""
    global _read
    os.environ["OMP_THREAD_LIMIT"] = "1"  # ours sets it; without it the control is slower by far
    if way == "bare":
        _read = _bare
    else:
        road: Literal["tesserocr", "pytesseract"] = "tesserocr" if way == "ours" else "pytesseract"
        reader = PictureReader(MediaConfig(ocr=OcrConfig(reader=road)), lambda content: "kept")
        _read = partial(_ours, reader)
    _read(warm)
    there.wait()


def _ours(reader: PictureReader, content: bytes) -> str:
    """All of it: unpacked in the confined child, a copy for models that see."""
    return reader.read(Job(id="j", kind="ocr", tenant="main"), content).text


def _bare(content: bytes) -> str:
    return str(pytesseract.image_to_string(pictures.from_bytes(content)))


def _one(content: bytes) -> float:
    """Seconds of CPU for it."""
    before = _cpu()
    _read(content)
    return _cpu() - before


def _cpu() -> float:
    """Of this process, the confined child, and the programs that have ended."""
    own = psutil.Process()
    used = sum(own.cpu_times()[:4])
    return float(used + sum(sum(child.cpu_times()[:2]) for child in own.children()))


def speed(lines: int, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Pages per second of each way with one and two processes, taking turns, and milliseconds of
    CPU for a page, which depend less on what else the machine does."""
    spawn = multiprocessing.get_context("spawn")
    pages = [
        pictures.as_png(pictures.page(pictures.sentences(lines, seed=seed, width=70), size=22))
        for seed in range(count)
    ]
    took: dict[str, dict[str, list[float]]] = {way: {} for way in WAYS}
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        pools: dict[tuple[Way, int], Pool] = {}
        for way in WAYS:
            for processes in (1, 2):
                there = spawn.Barrier(processes + 1)
                pool = spawn.Pool(processes, _open, (way, pages[0], there))
                pools[way, processes] = stack.enter_context(pool)
                there.wait()
        for _ in range(rounds):
            for (way, processes), pool in pools.items():
                began = time.perf_counter()
                used[way] += pool.map(_one, pages, chunksize=1)
                each = (time.perf_counter() - began) / count
                took[way].setdefault(str(processes), []).append(each)
    return {
        way: {processes: round(1 / statistics.median(each), 2) for processes, each in by.items()}
        | {"cpu": round(1000 * statistics.fmean(used[way]))}
        for way, by in took.items()
    }


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks ocr")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="fewer pictures: minutes, not an hour")
    parser.add_argument("--pictures", type=int, help="of each condition")
    parser.add_argument("--only", choices=("accuracy", "speed"), action="append")
    arguments = parser.parse_args(argv)
    os.environ["OMP_THREAD_LIMIT"] = "1"
    count = arguments.pictures or (5 if arguments.quick else 20)
    wanted = arguments.only or ("accuracy", "speed")
    result: dict[str, object] = {"machine": machine(), "pictures of a condition": count}
    if "accuracy" in wanted:
        result["error rates"] = accuracy(count)
        result["tables right"] = tables(count)
        result["characters invented"] = invented(count)
    if "speed" in wanted:
        pages, rounds = (6, 3) if arguments.quick else (16, 5)
        result["pages per second"] = {
            f"{lines} lines": speed(lines, pages, rounds) for lines in (4, 30)
        }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(as_text(result))


def as_text(result: Mapping[str, object]) -> str:
    """Tables as they stand in docs/benchmarks.md."""
    lines = [json.dumps({key: result[key] for key in ("machine", "pictures of a condition")}), ""]
    by_condition = result.get("error rates")
    if isinstance(by_condition, dict):
        lines += ["| condition | tesserocr | pytesseract | bare |", "| --- | --- | --- | --- |"]
        for name, by_reader in by_condition.items():
            cells = (f"{each[0]:.3f} / {each[1]:.3f}" for each in by_reader.values())
            lines.append(f"| {name} | {' | '.join(cells)} |")
        for name in ("tables right", "characters invented"):
            shares = result[name]
            assert isinstance(shares, dict)
            lines.append(f"| {name} | {' | '.join(f'{each:.2f}' for each in shares.values())} |")
    speeds = result.get("pages per second")
    if isinstance(speeds, dict):
        lines += ["", "| page | way | 1 process | 2 processes | CPU, ms | against bare |"]
        lines.append("|" + " --- |" * 6)
        for page, by_way in speeds.items():
            for way, by in by_way.items():
                ratios = ", ".join(f"{by[name] / by_way['bare'][name]:.2f}" for name in by)
                figures = f"{by['1']:.2f} | {by['2']:.2f} | {by['cpu']}"
                lines.append(f"| {page} | {way} | {figures} | {ratios} |")
    return "\n".join(lines)
