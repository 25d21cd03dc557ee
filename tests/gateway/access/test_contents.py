from __future__ import annotations

import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.config import AccessConfig
from gateway.access.contents import check, clean, cleaned, fill, well_formed
from gateway.errors import Refused
from gateway.message import Attachment, decode_inbound, encode
from tests.fakes.events import event

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_cleaned_text_can_always_be_written_and_is_cleaned_for_good(text: str) -> None:
    tidy = clean(text)
    tidy.encode()
    assert clean(tidy) == tidy
    assert unicodedata.is_normalized("NFC", tidy)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in tidy)


@given(ANY_TEXT)
def test_an_event_with_any_text_in_any_field_can_be_stored_and_read(text: str) -> None:
    messy = event(
        "1",
        text,
        name=text,
        quote=text,
        mentions=(text,),
        headers={text: text},
        attachments=(Attachment(kind="image", name=text, media_type=text, text=text),),
    )
    tidy = cleaned(messy)
    assert decode_inbound(encode(tidy)) == tidy


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00\x1b[31m\x85b", "a[31mb"),
        ("e\u0301", "é"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d!", "\ufffd!"),
        ("tab\tstays", "tab\tstays"),
        ("a" + "\u0315\u0300" * 16_000, "à" + "\u0300" * 14 + "\u0315" * 15),
    ],
)
def test_text_is_cleaned_as_in_the_table(text: str, tidy: str) -> None:
    assert clean(text) == tidy


@pytest.mark.parametrize("field", ["native_id", "target", "reply_to"])
@pytest.mark.parametrize("bad", ["\ud800", "a\nb", "x" * 2000])
def test_ids_that_cannot_be_stored_make_an_event_malformed(field: str, bad: str) -> None:
    assert well_formed(event("1"))
    assert not well_formed(msgspec.structs.replace(event("1"), **{field: bad}))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x" * 32_001}, "too_long"),
        ({"text": "😀" * 100_000}, "too_long"),
        ({"attachments": (Attachment(kind="image"),) * 11}, "too_many_files"),
        ({"attachments": (Attachment(kind="image", size=26 * 2**20),)}, "file_too_large"),
    ],
)
def test_too_much_is_refused_with_the_limit_in_words(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(Refused, match=r"32000|10 at most|25 MB") as refused:
        check(event("1", **fields), AccessConfig())
    assert refused.value.reason == reason


def test_as_much_as_is_allowed_passes() -> None:
    files = (Attachment(kind="image", size=25 * 2**20),) * 10
    check(event("1", "x" * 32_000, attachments=files), AccessConfig())


def test_a_file_that_was_not_even_fetched_does_not_cost_the_message() -> None:
    big = Attachment(kind="video", size=2**32, problem="too large")
    check(event("1", attachments=(big,)), AccessConfig())


def test_ten_thousand_mentions_and_headers_are_cut() -> None:
    messy = event(
        "1",
        mentions=tuple(f"m{n}" for n in range(10_000)),
        headers={f"h{n}": "v" * 100_000 for n in range(100)},
    )
    assert len(encode(cleaned(messy))) < 1_000_000


def test_only_the_named_braces_are_filled() -> None:
    assert fill("{code} {0.__class__} {x", code="A{id}B") == "A{id}B {0.__class__} {x"


@given(st.text(alphabet="aக\u0915\u093c\u0958\u0300\u0315\u0f71\u09be\u09c7", max_size=200))
def test_letters_with_many_marks_are_cleaned_for_good(text: str) -> None:
    tidy = clean(text)
    assert clean(tidy) == tidy
    assert unicodedata.is_normalized("NFC", tidy)
