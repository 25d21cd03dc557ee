from __future__ import annotations

import pytest

from multimodal.asr.recording import Segment
from multimodal.asr.transcript import stamp, written


def segment(start: float, end: float, text: str) -> Segment:
    return Segment(start=start, end=end, text=text, confidence=1.0)


def test_what_follows_at_once_is_one_paragraph() -> None:
    said = [segment(0, 2, " Good morning."), segment(2.3, 4, " How are you?")]

    assert written(said, times=False) == "Good morning. How are you?"


def test_a_pause_begins_a_paragraph_with_its_time() -> None:
    said = [segment(0.4, 2, " Good morning."), segment(65.0, 66, " Still there?")]

    assert written(said, times=True) == "[00:00] Good morning.\n\n[01:05] Still there?"


def test_a_long_paragraph_ends_with_a_sentence() -> None:
    said = [segment(at, at + 29.9, f" Sentence {at}.") for at in (0, 30, 60, 90)]

    assert written(said, times=False) == "Sentence 0. Sentence 30. Sentence 60.\n\nSentence 90."


def test_languages_without_spaces_get_none() -> None:
    said = [segment(0, 1, "你好。"), segment(1, 2, "再见。")]

    assert written(said, times=False) == "你好。再见。"


def test_nothing_said_is_nothing_written() -> None:
    assert written([segment(0, 1, "  ")], times=True) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.9, "00:00"), (125.0, "02:05"), (3725.0, "1:02:05")]
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert stamp(seconds) == shown


def test_times_out_of_order_do_no_harm() -> None:
    said = [segment(9, 3, " one"), segment(1, 0, " two")]

    assert written(said, times=False) == "one two"
