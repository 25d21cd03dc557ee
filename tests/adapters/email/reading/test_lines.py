"""Nothing that ends a header or a command gets into one."""

from __future__ import annotations

import pytest

from adapters.email.reading import address_safe, header_safe, id_safe
from tests.adapters.email.reading.builders import mail

ENDS = {
    "CRLF": "\r\n",
    "LF": "\n",
    "CR": "\r",
    "fold": "\r\n ",
    "two": "\r\n\r\n",
    "vertical tab": "\x0b",
    "form feed": "\x0c",
    "NUL": "\x00",
    "file separator": "\x1c",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "lone surrogate": "\ud83d",
}
SMUGGLED = ["Bcc: eve@evil.example", "> RCPT TO:<eve@evil.example>", ".\r\nMAIL FROM:<a@b>", ""]
INJECTIONS = [f"hello{end}{what}" for end in ENDS.values() for what in SMUGGLED]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_header_is_one_line(text: str) -> None:
    safe = header_safe(text)

    assert len(safe.splitlines()) == 1
    assert all(char.isprintable() for char in safe)
    safe.encode()


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_address_takes_more_than_an_address(text: str) -> None:
    assert address_safe(f"{text}@example.org") == ""
    assert address_safe(f"ada@{text}") == "" or address_safe(f"ada@{text}") == "ada@hello"
    assert id_safe(f"<{text}@example.org>") == ""


def test_there_are_as_many_injections_as_promised() -> None:
    assert len(INJECTIONS) >= 50


@pytest.mark.parametrize(
    ("written", "safe"),
    [
        ("Ada@Example.ORG", "Ada@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@bücher。example", "ada@xn--bcher-kva.example"),
        ("ada+tag@example.org.", "ada+tag@example.org"),
        ("ada@localhost", "ada@localhost"),
        ("o'hara@example.org", "o'hara@example.org"),
        ("ada", ""),
        ("@example.org", ""),
        ("ada@", ""),
        ("ada@example..org", ""),
        ("ada@-example.org", ""),
        (".ada@example.org", ""),
        ("ada..b@example.org", ""),
        ('"ada b"@example.org', ""),
        ("ada b@example.org", ""),
        ("<ada@example.org>", ""),
        ("ada@example.org, eve@evil.example", ""),
        ("ada@example.org@evil.example", ""),
        ("ada@[127.0.0.1]", ""),
        ("ada@exam_ple.org", ""),
        ("адa@example.org", ""),
        ("a" * 65 + "@example.org", ""),
        ("ada@" + "a." * 130 + "org", ""),
        ("ada@" + "a" * 64 + ".org", ""),
        ("ada@xn--\u00fc.org", ""),
    ],
)
def test_addresses_have_one_spelling(written: str, safe: str) -> None:
    assert address_safe(written) == safe


@pytest.mark.parametrize(
    ("written", "safe"),
    [
        ("<a@b>", "<a@b>"),
        (" <a@b> ", "<a@b>"),
        ("<no-at-sign>", "<no-at-sign>"),
        ("a@b", ""),
        ("<>", ""),
        ("<a b@c>", ""),
        ("<a@b><c@d>", ""),
        ("<ä@b>", ""),
        ("<" + "a" * 501 + ">", ""),
    ],
)
def test_message_ids_stand_in_one_piece(written: str, safe: str) -> None:
    assert id_safe(written) == safe


def test_headers_are_cut_to_what_fits() -> None:
    assert header_safe("ä" * 5_000, 100) == "ä" * 100
    assert header_safe("  two   words ") == "two words"


@pytest.mark.parametrize("end", ["=0D=0A", "=0A", "=0D", "=00", "=C2=85", "=E2=80=A8"])
def test_encoded_words_bring_no_line_ends(end: str) -> None:
    word = f"=?utf-8?q?hello{end}Bcc:_eve?="
    read = mail({"Subject": word, "From": f"{word} <ada@example.net>"})

    assert len(read.subject.splitlines()) == 1
    assert len(read.from_name.splitlines()) == 1
    assert read.from_address == "ada@example.net"
