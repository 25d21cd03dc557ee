"""What people are told of their files below an answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.markup import plain
from gateway.message import Attachment
from gateway.sessions.remarks import MOST, remarks
from tests.builders import message


def file(kind: str = "document", **more: Any) -> Attachment:
    return Attachment(kind=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attachment", "shown"),
    [
        (
            file(name="report.pdf", problem="it is encrypted"),
            "(I could not read report.pdf: it is encrypted.)",
        ),
        (
            file("voice", problem="it takes too long to read"),
            "(I could not read the voice message: it takes too long to read.)",
        ),
        (file("image", problem="it is broken."), "(I could not read the picture: it is broken.)"),
        (
            file(name="a_b_c.pdf", text="much", note="pages 3 to 9 were left out"),
            "(Of a_b_c.pdf: pages 3 to 9 were left out.)",
        ),
        (file("image", text="cat", note="the text is doubtful"), ""),
        (file("voice", text="hello", note="hard to hear"), ""),
        (file(text="all of it"), ""),
    ],
)
def test_what_could_not_be_read_is_said(attachment: Attachment, shown: str) -> None:
    assert plain(remarks([message("1", attachments=(attachment,))])) == shown


def test_nothing_is_said_of_texts() -> None:
    assert remarks([message("1"), message("2")]) == ""


@pytest.mark.parametrize(
    "name",
    ["*bold*.pdf", "`code`", "[a](http://b.c)", "_x_.txt", "# a", "<b>.txt", "||x||", "a\nb"],
)
def test_a_name_is_only_a_name(name: str) -> None:
    shown = plain(remarks([message("1", attachments=(file(name=name, problem="it is broken"),))]))
    assert shown == f"(I could not read {' '.join(name.split())}: it is broken.)"


def test_many_files_are_not_all_named() -> None:
    many = tuple(file(name=f"{n}.pdf", problem="it is broken") for n in range(9))
    shown = remarks([message("1", attachments=many)]).split("\n\n")
    assert len(shown) == MOST + 1
    assert "4 more" in shown[-1]
