"""Long replies become messages within each dialect's limits, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.markup import Dialect, Splitter, clean, render
from gateway.markup.units import Measure, fit, utf8, utf16
from gateway.message import (
    Account,
    Attachment,
    Button,
    ConversationId,
    Outbound,
    Place,
    ReplyId,
)
from tests.gateway.markup.dialects import BACKSLASHES, BARE, DIALECTS, ENTITIES, read, squeezed
from tests.gateway.markup.samples import BLOCKS, HOSTILE, MARKDOWN, SENTENCE

MEASURES: dict[str, Measure] = {
    "backslashes": utf16,
    "entities": len,
    "no escapes": len,
    "bare": utf8,
}


def check(source: str, name: str, limit: int, *, tables: bool = False) -> list[str]:
    dialect, measure = DIALECTS[name], MEASURES[name]
    pieces = Splitter(dialect, limit, measure=measure).texts(source)
    assert pieces
    for piece in pieces:
        markup = render(piece, dialect).markup
        assert measure(markup) <= limit
        assert squeezed(read(markup, dialect)) == squeezed(render(piece, dialect).text)
    if not tables:
        assert shown(dialect, *pieces) == shown(dialect, source)
    return pieces


def shown(dialect: Dialect, *pieces: str) -> str:
    return "".join(squeezed(render(piece, dialect).text) for piece in pieces)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=100)
@given(source=MARKDOWN, limit=st.integers(60, 200))
def test_no_text_is_lost_and_no_limit_broken(name: str, source: str, limit: int) -> None:
    check(source, name, limit, tables="|" in source)


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=60)
@given(blocks=BLOCKS, limit=st.integers(90, 300))
def test_documents_keep_their_text(name: str, blocks: list[str], limit: int) -> None:
    check("\n\n".join(blocks), name, limit)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("source", HOSTILE, ids=lambda source: source[:4])
def test_hostile_texts_are_cut_too(source: str, name: str) -> None:
    check(source, name, 400, tables="|" in source)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_code_block_is_closed_and_opened_again(name: str) -> None:
    code = "\n".join(f"value_{number} = '<&`*' # {number}" for number in range(200))
    pieces = check(f"Look:\n\n```python\n{code}\n```\n\nDone.", name, 900)

    assert len(pieces) > 5
    if name != "bare":
        assert all("```" in render(p, DIALECTS[name]).markup for p in pieces if "value_" in p)


@pytest.mark.parametrize("name", DIALECTS)
def test_list_items_keep_their_numbers(name: str) -> None:
    items = "\n".join(f"1. item {number}: {SENTENCE}" for number in range(50))
    pieces = check(items, name, 900)

    for piece in pieces:
        for line in render(piece, DIALECTS[name]).text.split("\n"):
            number, _, rest = line.partition(". item ")
            assert int(number) == int(rest.partition(":")[0]) + 1


@pytest.mark.parametrize("name", DIALECTS)
def test_a_long_quotation_stays_one(name: str) -> None:
    dialect = DIALECTS[name]
    pieces = check("\n".join(f"> {SENTENCE}" for _ in range(60)), name, 900)

    for piece in pieces:
        lines = render(piece, dialect).markup.split("\n")
        assert all(line.startswith(dialect.quote_prefix) for line in lines)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_long_table_repeats_its_head(name: str) -> None:
    rows = "\n".join(f"| {number} | *row* {number} |" for number in range(200))
    pieces = check(f"| n | name |\n|---|---|\n{rows}", name, 900, tables=True)
    texts = [render(piece, DIALECTS[name]).text for piece in pieces]

    assert all(" | name" in text.split("\n")[0] for text in texts)
    assert all(f"row {number}" in "\n".join(texts) for number in range(200))


def test_what_is_written_counts_where_the_platform_says_so() -> None:
    pieces = Splitter(ENTITIES, 100).texts("&" * 60)

    assert [render(piece, ENTITIES).markup for piece in pieces] == ["&amp;" * 20] * 3


def test_more_work_than_a_text_is_worth_costs_its_formatting_only() -> None:
    source = "\n".join("> " * 20 + SENTENCE for _ in range(60))
    pieces = Splitter(BACKSLASHES, 300).texts(source)

    assert shown(BACKSLASHES, *pieces) == shown(BACKSLASHES, source)


def reply(text: str, **fields: object) -> Outbound:
    return Outbound(
        reply=ReplyId("r1"),
        conversation=ConversationId("c"),
        account=Account(kind="sample"),
        place=Place(kind="direct", chat="7"),
        text=text,
        **fields,  # type: ignore[arg-type]
    )


FILES = tuple(Attachment(kind=kind, digest="d") for kind in ("image", "document"))


def test_the_first_part_answers_and_the_last_has_the_buttons() -> None:
    rows = ((Button(label="ok", data="1"),),)
    parts = Splitter(BARE, 900).split(reply(SENTENCE * 60, reply_to="5", buttons=rows))

    assert [each.part for each in parts] == list(range(len(parts)))
    assert {each.parts for each in parts} == {len(parts)}
    assert [each.reply_to for each in parts] == ["5"] + [""] * (len(parts) - 1)
    assert [bool(each.buttons) for each in parts] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize(
    ("text", "files", "alone", "parts"),
    [
        ("", (), True, [("", 0)]),
        ("short", FILES[:1], True, [("short", 1)]),
        ("longer than a caption", FILES[:1], True, [("longer than a caption", 0), ("", 1)]),
        ("short", FILES[1:], True, [("short", 0), ("", 1)]),
        ("short", FILES, True, [("short", 0), ("", 1), ("", 1)]),
        ("", FILES, True, [("", 1), ("", 1)]),
        ("short", FILES, False, [("short", 2)]),
        ("", FILES, False, [("", 2)]),
        ("long " * 9 + "\n\n" + "text " * 9, FILES, False, [("long " * 9, 0), ("text " * 9, 2)]),
    ],
)
def test_files_stand_alone_or_go_with_the_last_text(
    text: str, files: tuple[Attachment, ...], alone: bool, parts: list[tuple[str, int]]
) -> None:
    splitter = Splitter(BARE, 60, caption=10, captioned=("image",), file_alone=alone)
    found = splitter.split(reply(text, files=files))

    assert [(each.text, len(each.files)) for each in found] == [
        (said.strip(), count) for said, count in parts
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 50))
def test_a_fitting_beginning_is_the_longest(text: str, limit: int) -> None:
    for measure, encoding, width in ((utf16, "utf-16-le", 2), (utf8, "utf-8", 1)):
        assert measure(text) == len(text.encode(encoding)) // width
        end = fit(text, limit, measure)
        assert measure(text[:end]) <= limit
        assert end == len(text) or measure(text[: end + 1]) > limit


def test_clean_texts_within_the_limit_stay_as_they_are() -> None:
    assert Splitter(BARE, 100).texts("Hello **you**") == ["Hello **you**"]
    assert Splitter(BARE, 100).texts("a\r\nb\x00") == [clean("a\r\nb\x00")]
