"""A platform may count a line feed for more than one: texts are cut accordingly."""

from __future__ import annotations

import pytest

from gateway.markup import Dialect, Splitter

LINES = Splitter(
    Dialect(escape=str, counts="written"), 1000, measure=lambda t: len(t) + 200 * t.count("\n")
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("```py\n" + "x = 1\n" * 20 + "```", "```py"),
        ("\n".join(f"- item {n}" for n in range(20)), "- item"),
        ("\n\n".join(["**word**"] * 20), "**word**"),
    ],
    ids=["code", "items", "paragraphs"],
)
def test_pieces_keep_to_lines_and_to_their_formats(text: str, kept: str) -> None:
    pieces = LINES.texts(text)

    assert len(pieces) > 2
    assert all(LINES.size(piece) <= 1000 for piece in pieces)
    assert all(piece.startswith(kept) for piece in pieces)
