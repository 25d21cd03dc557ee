from __future__ import annotations

import pytest

from multimodal.documents.kinds import kind_of
from multimodal.errors import Unreadable

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)
MAIL = b"From: a@b.c\r\nTo: d@e.f\r\nDate: today\r\nSubject: s\r\n\r\ntext"


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"%PDF-1.4 ...", "a.txt", "pdf"),
        (b"\n\n\n%PDF-1.4 ...", "", "pdf"),
        (b"PK\x03\x04", "a.pdf", "zip"),
        (rb"{\rtf1 a}", "a.doc", "rich"),
        (b"<!DOCTYPE html><p>", "a.txt", "page"),
        (b"\xef\xbb\xbf <!-- c -->\n<HTML lang=de>", "", "page"),
        (b"<?xml version='1.0'?>\n<html>", "", "page"),
        (b"<p>fragment", "a.HTM", "page"),
        (b"<p>fragment", "a.txt", "plain"),
        (b"<note>xml</note>", "a.xml", "plain"),
        (b"a,b", "a.CSV", "table"),
        (b"a\tb", "a.tsv", "tabs"),
        (b"a,b", "", "plain"),
        (b"# Title", "a.md", "plain"),
        (MAIL, "", "letter"),
        (b"From: me\nTo: you\n\nnot a mail at all", "", "plain"),
        (b"Subject: s\n\ntext", "a.eml", "letter"),
        (b"From me to you", "a.eml", "plain"),
        (b'{"From": 1}', "a.json", "plain"),
        (b"BMW is a maker of cars. " * 10, "", "plain"),
        (b"ID3 tags are part of MP3 files. " * 10, "", "plain"),
    ],
)
def test_a_kind_is_told_by_content(content: bytes, name: str, kind: str) -> None:
    assert kind_of(content, name) == kind


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"PAR1" + bytes(99), "a Parquet file"),
        (OLE + "WordDocument".encode("utf-16-le") + bytes(9), "not read: an old Word file (DOC)"),
        (OLE + "Workbook".encode("utf-16-le") + bytes(9), "not read: an old Excel file (XLS)"),
        (
            OLE + "PowerPoint Document".encode("utf-16-le") + bytes(9),
            "an old PowerPoint file (PPT)",
        ),
        (
            OLE + "__properties_version1.0".encode("utf-16-le") + bytes(9),
            "not read: an Outlook message (MSG)",
        ),
        (OLE + "EncryptedPackage".encode("utf-16-le") + bytes(9), "it is encrypted"),
        (b"7z\xbc\xaf\x27\x1c....", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (bytes(257) + b"ustar\x0000", "a tar archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a picture"),
        (b"OggS" + bytes(100), "sound"),
        (b"MZ\x90\x00", "a program"),
    ],
)
def test_what_is_not_read_is_named(content: bytes, problem: str) -> None:
    with pytest.raises(Unreadable, match=r".") as refused:
        kind_of(content, "report.pdf")

    assert refused.value.problem.endswith(problem)
