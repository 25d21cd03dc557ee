"""Bytes become text: charsets as mails name them, and encoded words in headers."""

from __future__ import annotations

import binascii
import codecs
import re
from encodings.aliases import aliases

_KNOWN = frozenset(
    "utf_8 utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 ascii latin_1 "
    "iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8 iso8859_9 "
    "iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 "
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp850 cp852 cp866 cp874 "
    "koi8_r koi8_u mac_roman mac_cyrillic tis_620 gb2312 gbk gb18030 hz big5 big5hkscs "
    "euc_jp shift_jis cp932 iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_3 iso2022_jp_ext "
    "euc_kr cp949 johab iso2022_kr".split()
)
"""Python knows more, among them some that are no charsets, and some that are slow."""

_LARGER = {
    # Mostly written by programs that mean the larger set.
    "ascii": "cp1252",
    "latin_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
_ALIASES = {
    **aliases,
    "ks_c_5601_1987": "cp949",
    "x_sjis": "cp932",
    "x_gbk": "gb18030",
    "x_mac_roman": "mac_roman",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8",
    "unicode_1_1_utf_7": "utf_7",
    "utf8mb4": "utf_8",
}

_WORD = re.compile(r"=\?([^?\s]{1,80})\?([BbQq])\?([^?]*)\?=")


def preload() -> None:
    """Load every codec now: the reading child may open nothing later."""
    for name in _KNOWN:
        codecs.lookup(name)


def decode(data: bytes, charset: str = "") -> str:
    """Never fails: a wrong or unknown charset gives what UTF-8 or else Windows-1252 makes of it."""
    name = _codec(charset)
    if name in ("", "cp1252"):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("cp1252", "replace")
    try:
        return data.decode(name)
    except (UnicodeDecodeError, UnicodeError):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode(name, "replace")


def _codec(charset: str) -> str:
    """Python's name for it; empty when it is none of the known."""
    charset = charset.strip().strip("'\"").partition("*")[0]  # RFC 2231 appends a language
    name = re.sub(r"[^a-z0-9]+", "_", charset[:40].lower())
    name = _ALIASES.get(name, name)
    return _LARGER.get(name, name) if name in _KNOWN else ""


def decode_words(value: str) -> str:
    """A header's text with its encoded words read. What is none stays as it is."""
    pieces: list[str] = []
    pending: list[bytes] = []
    charset = ""

    def settle() -> None:
        if pending:
            pieces.append(decode(b"".join(pending), charset))
            pending.clear()

    at = 0
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        # Blanks between two encoded words are theirs, and a character may be cut in two by them.
        if between.strip(" \t\r\n") or not pending:
            settle()
            pieces.append(between)
        elif word[1].lower() != charset:
            settle()
        charset = word[1].lower()
        pending.append(_bytes(word[2], word[3]))
        at = word.end()
    settle()
    pieces.append(value[at:])
    return "".join(pieces)


def _bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "Qq":
        return binascii.a2b_qp(raw, header=True)
    return base64_bytes(raw)


def base64_bytes(raw: bytes | memoryview) -> bytes:
    """What can be read of it; a last group that is cut off is left out."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        kept = kept[: len(kept) - (len(kept) % 4 == 1)]
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))
