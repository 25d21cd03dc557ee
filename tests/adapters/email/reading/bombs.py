"""Mails made to be expensive. They are built here and never stored."""

from __future__ import annotations

import base64
from collections.abc import Callable

WORD = b"=?utf-8?q?=C3=A4?= "


def mail(headers: bytes = b"", body: bytes = b"x", kind: bytes = b"text/plain") -> bytes:
    return b"From: a@example.org\r\nContent-Type: %s\r\n%s\r\n%s" % (kind, headers, body)


def nested(levels: int) -> bytes:
    raw = b"Content-Type: text/plain\n\nx\n"
    for level in range(levels):
        raw = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s\n--b%d--\n" % (
            level,
            level,
            raw,
            level,
        )
    return b"From: a@example.org\n" + raw


def filled(size: int, pattern: bytes) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


REFUSED: dict[str, Callable[[], bytes]] = {
    "subject of encoded words": lambda: mail(b"Subject: " + filled(280_000, WORD) + b"\r\n"),
    "too many parameters": lambda: mail(kind=b"text/plain" + filled(100_000, b"; a=b")),
    "too many recipients": lambda: mail(b"To: " + filled(120_000, b"a@b, ") + b"\r\n"),
    "folds": lambda: mail(b"X: y" + filled(900_000, b"\r\n z") + b"\r\n"),
    "empty parts": lambda: mail(b"", filled(500_000, b"--b\n\n"), b"multipart/mixed; boundary=b"),
    "nested parts": lambda: nested(1_500),
    "eleven levels": lambda: nested(11),
    "headers": lambda: mail(filled(5_000, b"X: y\r\n")),
    "one endless header line": lambda: b"X" * 1_000_000,
    "headers of parts": lambda: mail(
        b"",
        (b"--b\n" + filled(7_900, b"x-a: b\n").rpartition(b"\n")[0] + b"\n\nx\n") * 100,
        b"multipart/mixed; boundary=b",
    ),
}
"""By a limit, before anything is parsed."""


def _html(pattern: bytes, size: int = 1_000_000) -> bytes:
    return mail(b"", filled(size, pattern), b"text/html; charset=utf-8")


def _text(pattern: bytes, size: int = 400_000) -> bytes:
    return mail(b"", filled(size, pattern), b"text/plain; charset=utf-8")


def _header(name: bytes, pattern: bytes) -> bytes:
    return mail(name + b": " + filled(8_000, pattern) + b"\r\n")


WITHIN: dict[str, Callable[[], bytes]] = {
    "comments in From": lambda: b"From: " + b"(" * 8_000 + b"\n\nx",
    "quotes in From": lambda: b"From: " + b'"\\' * 4_000 + b"\n\nx",
    "words in Subject": lambda: _header(b"Subject", WORD),
    "broken words in Subject": lambda: _header(b"Subject", b"=?"),
    "words without end": lambda: _header(b"Subject", b"=?a?b?"),
    "recipients": lambda: _header(b"To", b"a@b, "),
    "groups": lambda: _header(b"To", b"a:;"),
    "angles": lambda: _header(b"To", b"<"),
    "references": lambda: _header(b"References", b"<"),
    "ids": lambda: _header(b"References", b"<a@b>"),
    "authentication": lambda: _header(b"Authentication-Results", b"a=b;"),
    "authentication equals": lambda: _header(b"Authentication-Results", b"x; =a" + b"=" * 50),
    "date": lambda: _header(b"Date", b"1 "),
    "idn": lambda: mail(b"Sender: a@" + filled(7_900, "\u00fc.".encode()) + b"\r\n"),
    "parameters": lambda: mail(kind=b"text/plain" + filled(8_000, b";a=b")),
    "quoted parameters": lambda: mail(kind=b'text/plain; a="' + b'\\"' * 3_900),
    "continued parameters": lambda: mail(
        kind=b"text/plain" + b"".join(b"; n*%d*=%%41" % number for number in range(600))
    ),
    "parameters of many parts": lambda: mail(
        b"",
        (b"--b\nContent-Type: text/plain" + filled(7_900, b";a=b") + b"\n\nx\n") * 14,
        b"multipart/mixed; boundary=b",
    ),
    "boundary of dashes": lambda: mail(b"", b"-" * 2_000_000, b'multipart/mixed; boundary="-"'),
    "lines of a boundary": lambda: mail(
        b"", filled(1_000_000, b"--b x\n"), b"multipart/mixed; boundary=b"
    ),
    "blank boundary lines": lambda: mail(
        b"", filled(1_000_000, b"--b  "), b"multipart/mixed; boundary=b"
    ),
    "tags": lambda: _html(b"<a "),
    "open tags": lambda: _html(b"<div>"),
    "lists": lambda: _html(b"<ul><li>"),
    "quotes": lambda: _html(b"<blockquote>"),
    "tables": lambda: _html(b"<table><tr><td>"),
    "comments": lambda: _html(b"<!--"),
    "declarations": lambda: _html(b"<!["),
    "closing tags": lambda: _html(b"</"),
    "angle brackets": lambda: _html(b"<"),
    "entities": lambda: _html(b"&#"),
    "named entities": lambda: _html(b"&amp"),
    "attributes": lambda: _html(b" a='"),
    "styles": lambda: _html(b"<p style='display:none'>x"),
    "links": lambda: _html(b"<a href='http://x/'>x</a> "),
    "scripts": lambda: _html(b"<script>"),
    "wrote": lambda: _text(b"On On On "),
    "wrote lines": lambda: _text(b"On 1 \n"),
    "wrote long lines": lambda: _text(b"On " + b"a 1 " * 60 + b"\n"),
    "fields": lambda: _text(b"From: \n"),
    "field blanks": lambda: _text(b"From:          \n\n"),
    "closings": lambda: _text(b"Thanks,\n"),
    "quoted": lambda: _text(b"> "),
    "quoted lines": lambda: _text(b"> > > >\n"),
    "lines": lambda: _text(b"\n", 2_000_000),
    "blanks": lambda: _text(b" ", 2_000_000),
    "rules": lambda: _text(b"_" * 40 + b"\n\n\n"),
    "stars": lambda: _text(b"* " * 100 + b"From:\n"),
    "soft breaks": lambda: mail(
        b"Content-Transfer-Encoding: quoted-printable\r\n", filled(5_000_000, b"=\r\n")
    ),
    "padding": lambda: mail(b"Content-Transfer-Encoding: base64\r\n", b"=" * 5_000_000),
    "uuencoded": lambda: mail(
        b"Content-Transfer-Encoding: x-uuencode\r\n", filled(1_000_000, b"!\n")
    ),
    "utf-7": lambda: mail(b"", filled(3_000_000, b"+"), b"text/plain; charset=utf-7"),
    "iso-2022-jp": lambda: mail(
        b"", filled(3_000_000, b"\x1b$B\x1b(B"), b"text/plain; charset=iso-2022-jp"
    ),
    "hz": lambda: mail(b"", filled(3_000_000, b"~{"), b"text/plain; charset=hz-gb-2312"),
    "flowed": lambda: mail(b"", filled(3_000_000, b"a \n"), b"text/plain; format=flowed"),
    "status": lambda: mail(
        b"",
        b"--b\n\nx\n--b\nContent-Type: message/delivery-status\n\n"
        + filled(3_000_000, b"A: b\n\n"),
        b"multipart/report; boundary=b",
    ),
    "prose of a bounce": lambda: (
        b"Return-Path: <>\nFrom: a@b\nSubject: failure notice\n\n"
        + filled(400_000, b"a@b:" * 10 + b"\n")
    ),
    "a large text": lambda: _text(b"What is it? I do not know.\n", 24_000_000),
    "a large file": lambda: mail(
        b"Content-Transfer-Encoding: base64\r\n",
        base64.encodebytes(bytes(17 * 2**20)),
        b"application/pdf",
    ),
    "nul": lambda: mail(b"", bytes(3_000_000)),
    "emoji": lambda: _text("\U0001f600".encode(), 100_000),
    "mentions": lambda: _text(b"@everyone ", 100_000),
}
"""Each within the limits of its headers: read, or refused for what it costs."""

COSTLY = frozenset(
    "open tags|lists|quotes|tables|closing tags|angle brackets|named entities|styles|links".split(
        "|"
    )
)
"""Like others here, each with most of a second of CPU: not in every run of the tests."""
