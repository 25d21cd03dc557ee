from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.confined.gathered import Gathered, Part, trimmed, understood
from multimodal.documents.shorten import shorten, since, until

PARTS = st.lists(
    st.builds(Part, st.text(alphabet="ab .\né🙂", max_size=400), st.just("page"), st.just(0)),
    max_size=12,
).map(lambda parts: [Part(p.text, "page", n) for n, p in enumerate(parts, 1)])


def pages(count: int, length: int) -> list[Part]:
    return [
        Part(f"<{number}>".ljust(length - 1, "x") + ".", "page", number)
        for number in range(1, count + 1)
    ]


def test_what_fits_stays_as_it_is() -> None:
    short = shorten([Part("one"), Part("two")], 1000)

    assert (short.text, short.note) == ("one\n\ntwo", "")


def test_of_a_long_text_the_middle_is_left_out_and_it_is_said_which_pages_that_were() -> None:
    short = shorten(pages(40, 100), 2000)

    assert short.note.endswith("characters left out: pages 14 to 36")
    assert f"\n\n[… {short.note} …]\n\n" in short.text
    assert "<1>" in short.text
    assert "<13>" in short.text
    assert "<14>" not in short.text
    assert "<36>" not in short.text
    assert "<37>" in short.text
    assert "<40>" in short.text


def test_three_quarters_are_of_the_beginning() -> None:
    short = shorten(pages(400, 100), 10_000)
    head, _, tail = short.text.partition("[…")

    assert 2.5 < len(head) / len(tail) < 3.5


def test_it_is_cut_at_the_end_of_paragraphs_if_there_are_any_near() -> None:
    text = "\n\n".join(f"Paragraph {number} has two lines.\nHere." for number in range(1000))

    short = shorten([Part(text)], 5000)
    head, _, tail = short.text.partition("[…")

    assert head.rstrip().endswith("Here.")
    assert tail.partition("…]")[2].lstrip().startswith("Paragraph")


def test_one_endless_word_is_cut_anywhere() -> None:
    short = shorten([Part("x" * 10_000)], 1000)

    assert len(short.text) <= 1000
    assert "9,160 characters left out" in short.note


def test_a_single_sheet_is_named() -> None:
    assert shorten([Part("x" * 5000, "sheet", 1)], 1000).note.endswith("left out: sheet 1")


def test_what_was_left_out_on_the_way_is_counted_too() -> None:
    gathered = Gathered(pages(10_000, 100))

    parts = understood(gathered.told(2000)).parts
    short = shorten(parts, 1000)

    assert sum(len(part.text) for part in parts) == 4000
    left_out = int(re.sub(r"\D", "", short.note.partition(" ")[0]))
    assert 999_000 < left_out + len(short.text) < 1_020_100
    assert short.note.endswith("pages 7 to 9998")


@settings(max_examples=60, deadline=None)
@given(parts=PARTS, limit=st.integers(300, 2000))
def test_it_never_becomes_longer_than_the_limit(parts: list[Part], limit: int) -> None:
    short = shorten(parts, limit)

    assert len(short.text) <= limit
    whole = "\n\n".join(part.text for part in parts if part.text)
    if len(whole) <= limit:
        assert (short.text, short.note) == (whole, "")
    else:
        head, _, tail = short.text.partition("[…")
        assert whole.lstrip("\n").startswith(head.rstrip("\n"))
        assert whole.endswith((tail.partition("…]")[2].strip("\n"), "\n"))


@settings(max_examples=60, deadline=None)
@given(parts=PARTS, keep=st.integers(10, 1000))
def test_trimming_keeps_both_ends_and_counts_the_rest(parts: list[Part], keep: int) -> None:
    kept = trimmed(parts, keep)

    whole = "".join(part.text for part in parts)
    assert sum(len(part.text) + part.gone for part in kept) == len(whole)
    text = "".join(part.text for part in kept)
    assert text.startswith(whole[:keep])
    assert text.endswith(whole[-keep:])


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet="ab .\n"), limit=st.integers(1, 50))
def test_pieces_are_of_the_ends(text: str, limit: int) -> None:
    assert text.startswith(until(text, limit))
    assert text.endswith(since(text, limit))
    assert max(len(until(text, limit)), len(since(text, limit))) <= limit
