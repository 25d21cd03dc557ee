"""S38: JSON has one meaning or is refused."""

from __future__ import annotations

import pytest

from adapters.webhook.strict import Unreadable, read

REFUSED = {
    "nothing": b"",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a number out of range": b"[1e999]",
    "endless digits": b"[" + b"9" * 5000 + b"]",
    "more than 64 bits": b"[123456789012345678901]",
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a lone low surrogate": b'["\\udc00x"]',
    "surrogates the wrong way round": b'["\\udc00\\ud800"]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "wrong UTF-8": b'["\xff"]',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a raw control character": b'["\x01"]',
    "a key twice": b'{"text": "a", "text": "b"}',
    "a key twice, written differently": b'{"text": 1, "te\\u0078t": 2}',
    "a key twice, deep inside": b'[{"a": [{"b": 1, "b": 1}]}]',
    "65 levels": b"[" * 65 + b"]" * 65,
    "a million levels": b"[" * 1_000_000,
    "objects without end": b'{"a":' * 100_000,
    "something behind": b"{} {}",
    "a trailing comma": b"[1,]",
    "a comment": b"[1] // no",
    "single quotes": b"{'a': 1}",
    "a leading zero": b"[01]",
    "a form": b"payload=%7B%7D",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(Unreadable):
        read(REFUSED[name])


def test_taken() -> None:
    assert read(b"[" * 63 + b"1" + b"]" * 63)
    assert read(b'{"id": 18446744073709551615, "x": -1.5e3}') == {
        "id": 18446744073709551615,
        "x": -1500.0,
    }
    assert read(b'{"text": "\\ud83d\\ude00"}') == {"text": "😀"}
