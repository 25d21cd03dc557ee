"""Long replies become messages that Telegram takes, and nothing of them is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telegram.capabilities import CAPTION_LIMIT, TEXT_LIMIT
from adapters.telegram.render import render
from adapters.telegram.split import seen, split, split_text
from adapters.telegram.utf16 import cut, fit, units
from gateway.message import Attachment, Button
from tests.adapters.telegram.scene import part
from tests.adapters.telegram.test_render import MARKDOWN
from tests.fakes.telegram.markup import parse_html

SENTENCE = "A **bold word** and `code` in [a sentence](https://x.example/a?b=c&d), with *more*. "


def squeezed(*pieces: str) -> str:
    return "".join("".join(render(piece).text.split()) for piece in pieces)


def check(source: str, limit: int, *, tables: bool = False) -> list[str]:
    pieces = split_text(source, limit)
    assert pieces
    for piece in pieces:
        text, _ = parse_html(render(piece).html)
        assert len(text.encode("utf-16-le")) // 2 <= limit
    if not tables:
        assert squeezed(*pieces) == squeezed(source)
    return pieces


def test_a_short_text_stays_as_it_is() -> None:
    assert split_text("Hello **you**") == ["Hello **you**"]


def test_paragraphs_are_preferred() -> None:
    paragraphs = [f"{number} " + SENTENCE * 10 for number in range(12)]
    pieces = check("\n\n".join(paragraphs), TEXT_LIMIT)

    assert all(piece.split(" ")[0].isdecimal() for piece in pieces)
    assert len(pieces) <= 4


def test_a_long_paragraph_is_cut_after_a_sentence_and_keeps_its_formatting() -> None:
    pieces = check(SENTENCE * 200, TEXT_LIMIT)

    assert all(piece.rstrip().endswith(".") for piece in pieces)
    assert all("<b>bold word</b>" in render(piece).html for piece in pieces)
    assert not any("*" in render(piece).text for piece in pieces)


def test_a_code_block_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"value_{number} = '<&`*' # {number}" for number in range(400))
    pieces = check(f"Look:\n\n```python\n{code}\n```\n\nDone.", TEXT_LIMIT)

    assert len(pieces) > 2
    blocks = [piece for piece in pieces if "value_" in piece]
    assert all('<pre><code class="language-python">' in render(each).html for each in blocks)


def test_a_code_block_with_fences_inside_stays_one() -> None:
    inner = "```\ninner\n```\n" * 500
    pieces = check(f"`````md\n{inner}`````", TEXT_LIMIT)

    assert all(render(piece).html.startswith("<pre>") for piece in pieces)


def test_a_line_longer_than_a_message_is_cut_between_characters() -> None:
    pieces = check("```\n" + "😀" * 5000 + "\n```", TEXT_LIMIT)

    assert all("\ufffd" not in piece for piece in pieces)


def test_list_items_stay_whole_and_keep_their_numbers() -> None:
    items = "\n".join(f"1. item {number}: {SENTENCE}" for number in range(200))
    pieces = check(items, TEXT_LIMIT)

    for piece in pieces:
        for line in render(piece).text.split("\n"):
            number, _, rest = line.partition(". item ")
            assert int(number) == int(rest.partition(":")[0]) + 1


def test_a_long_item_with_a_code_block_keeps_both() -> None:
    code = "\n".join(f"   line {number}" for number in range(800))
    pieces = check(f"1. first\n2. second\n   ```sh\n{code}\n   ```\n3. third", TEXT_LIMIT)

    assert sum("language-sh" in render(piece).html for piece in pieces) >= 2


def test_a_long_quote_stays_a_quote() -> None:
    pieces = check("\n".join(f"> {SENTENCE}" for _ in range(200)), TEXT_LIMIT)

    assert all(render(piece).html.startswith("<blockquote>") for piece in pieces)


def test_a_long_table_repeats_its_head() -> None:
    rows = "\n".join(f"| {number} | *row* {number} |" for number in range(600))
    pieces = check(f"| n | name |\n|---|---|\n{rows}", TEXT_LIMIT, tables=True)

    assert all("n   | name" in render(piece).text or "n | name" in piece for piece in pieces)
    assert all(f"row {number}" in squeezed_spaces(pieces) for number in range(600))


def squeezed_spaces(pieces: list[str]) -> str:
    return "\n".join(render(piece).text for piece in pieces)


def test_formatting_longer_than_a_message_is_given_up_and_its_text_is_not() -> None:
    pieces = check("**" + "bold words " * 1000 + "end**", TEXT_LIMIT)

    assert not any("*" in render(piece).text for piece in pieces)


def test_links_by_name_still_lead_somewhere_in_every_part() -> None:
    source = "\n\n".join(f"See [the docs][d]. {SENTENCE * 8}" for _ in range(12))
    pieces = check(f"{source}\n\n[d]: https://docs.example/x", TEXT_LIMIT)

    assert len(pieces) > 1
    assert all('<a href="https://docs.example/x">the docs</a>' in render(p).html for p in pieces)


@pytest.mark.parametrize(
    "text", ["x" * 9000, "é" * 9000, "😀" * 9000, "👩‍👩‍👧‍👦" * 1500, "　" * 9000]
)
def test_texts_without_a_place_to_cut_are_cut_anyway(text: str) -> None:
    check(text, TEXT_LIMIT)


@settings(max_examples=300)
@given(MARKDOWN, st.integers(60, 200))
def test_no_text_is_lost_and_no_limit_broken(source: str, limit: int) -> None:
    check(source, limit, tables="|" in source)


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            [
                SENTENCE * 2,
                "# Heading",
                "- item one\n- item two\n  - inner\n\n    deep",
                "7. seven\n8. eight",
                "> quoted\n> > twice",
                "```js\nlet a = `b`;\n\n\nlet c;\n```",
                "    indented code",
                "---",
                "**bold " + "x " * 60 + "**",
                "😀" * 50,
                "[ref] text",
                "[ref]: https://x.example",
            ]
        ),
        min_size=3,
        max_size=12,
    ),
    st.integers(80, 300),
)
def test_documents_keep_their_text(blocks: list[str], limit: int) -> None:
    check("\n\n".join(blocks), limit)


@pytest.mark.parametrize("limit", [100, 4000])
def test_corpora_keep_their_text(
    naughty_strings: list[str], script_payloads: list[str], limit: int
) -> None:
    check("\n\n".join(naughty_strings), limit, tables=True)
    check("\n\n".join(script_payloads), limit, tables=True)


def test_parts_are_numbered_the_first_answers_and_the_last_has_the_buttons() -> None:
    rows = ((Button(label="ok", data="1"),),)
    parts = split(part(SENTENCE * 200, reply_to="5", buttons=rows))

    assert [each.part for each in parts] == list(range(len(parts)))
    assert {each.parts for each in parts} == {len(parts)}
    assert [each.reply_to for each in parts] == ["5"] + [""] * (len(parts) - 1)
    assert [bool(each.buttons) for each in parts] == [False] * (len(parts) - 1) + [True]
    assert len({each.key for each in parts}) == len(parts)


def test_an_empty_reply_is_one_part() -> None:
    assert len(split(part(""))) == 1


@pytest.mark.parametrize(
    ("length", "kinds", "parts"),
    [
        (CAPTION_LIMIT, ["image"], 1),
        (CAPTION_LIMIT + 1, ["image"], 2),
        (10, ["voice"], 2),
        (10, ["image", "document"], 3),
        (0, ["image", "image"], 2),
    ],
)
def test_one_message_carries_one_file_and_a_short_text(
    length: int, kinds: list[str], parts: int
) -> None:
    files = tuple(Attachment(kind=kind, digest="d") for kind in kinds)  # type: ignore[arg-type]

    assert len(split(part("x" * length, files=files))) == parts


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 50))
def test_lengths_are_telegrams(text: str, limit: int) -> None:
    assert units(text) == len(text.encode("utf-16-le")) // 2
    assert units(text[: fit(text, limit)]) <= limit
    assert cut(text, 0, units(text)) == text


def test_seen_leaves_the_markup_out() -> None:
    assert seen("**😀** [x](https://x.example)") == 4
