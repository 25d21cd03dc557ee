"""What a file is, by its content: nobody's word is taken, and nothing is two things."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sniff

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
MAIL = (
    b"Received: from a by b;\r\n Sat, 1 Jan\r\nFrom: Ada <ada@example.org>\r\n"
    b"To: bot@example.org\r\nSubject: hello\r\n\r\nhi\r\n"
)


def packed(*names: str, mimetype: str = "", stored: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", stored) as file:
        if mimetype:
            file.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        for name in names:
            file.writestr(name, "<x/>")
    return written.getvalue()


def ole(name: str) -> bytes:
    return OLE + name.encode("utf-16-le").ljust(64, b"\0") + bytes(448)


DOCX = packed("[Content_Types].xml", "_rels/.rels", "word/document.xml")
XLSX = packed("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml")
PPTX = packed("[Content_Types].xml", "_rels/.rels", "ppt/presentation.xml")
ODT = packed("content.xml", mimetype=sniff.ODT)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"FORM\0\0\0\0AIFF", "audio/aiff"),
        (b"caff\0\1", "audio/x-caf"),
        (b"RIFF\0\0\0\0AVI LIST", "video/x-msvideo"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"ID3 is a tag\n", "text/plain"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n\x04", "audio/amr"),
        (b"#!AMR is a codec", "text/plain"),
        (b"\0\0\0\x18ftyp3gp4\0\0\0\0....samr", "audio/3gpp"),
        (b"\0\0\0\x18ftyp3gp4\0\0\0\0....samrs263", "video/3gpp"),
        (b"\0\0\0\x18ftypM4V \0\0\0\0....avc1", "video/mp4"),
        (b"\0\0\0\x18ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "image/avif"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1", "image/avif"),
        (b"\x1aE\xdf\xa3\x42\x82\x88matroska...V_MPEG4A_AAC", "video/x-matroska"),
        (b"\x1aE\xdf\xa3\x42\x82\x88matroska...A_VORBIS", "audio/x-matroska"),
        (b"\x1aE\xdf\xa3\x42\x82\x88something", sniff.OCTETS),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
        (b"FLV\1", "video/x-flv"),
        (b"\0\0\1\xba", "video/mpeg"),
        ((b"G" + bytes(187)) * 3, "video/mp2t"),
        (b"{\\rtf1\\ansi", "application/rtf"),
        (b"%!PS-Adobe-3.0 EPSF", "application/postscript"),
        (b"hello\n%PDF-1.7", "text/plain"),
        (OLE, sniff.OLE),
        (b"7z\xbc\xaf\x27\x1c\0\4", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\1\0", "application/vnd.rar"),
        (b"BZh91AY&SY", "application/x-bzip2"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "application/x-tar"),
        (b"MZ\x90\0\3\0\0\0", sniff.OCTETS),
        (b"\x7fELF\2\1\1\0", sniff.OCTETS),
        (b"BMW builds cars\n", "text/plain"),
        (b"PK is short for...", "text/plain"),
    ],
)
def test_the_first_bytes_tell(head: bytes, found: str) -> None:
    assert sniff.media_type(head) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<!DOCTYPE html><html>", "text/html"),
        ("\ufeff \n<!-- saved --> <!-- twice -->\n<HTML lang=en>", "text/html"),
        ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0"', "text/html"),
        ("<body>", "text/html"),
        ("<p>a piece</p>", "text/plain"),
        ("<svg onload=alert(1)>", "text/plain"),
        ('<?xml version="1.0"?><svg/>', "text/plain"),
        ("I like <html> best", "text/plain"),
        ("<!--" * 1000, "text/plain"),
        ("<!---->" * 580, "text/plain"),
        ("name;age\nada;36\n", "text/plain"),
        ('{"a": 1}', "text/plain"),
        ("# Title\n\nFrom: me\nTo: you\nDate: now\n", "text/plain"),
        ("From: me\nTo: you\n\nhello", "text/plain"),
        ("to: a\nfrom: b\ndate: c\nthis is no header\n\n", "text/plain"),
        (MAIL.decode(), "message/rfc822"),
        (MAIL.decode().replace("\r\n", "\n"), "message/rfc822"),
        (MAIL.decode()[:90], "message/rfc822"),
        ("MIME-Version: 1.0\nSubject:\nFrom: a\n" + "X-Long: y\n " + "z" * 4000, "message/rfc822"),
        (":" * 4096, "text/plain"),
    ],
)
def test_texts_are_told_apart(text: str, found: str) -> None:
    assert sniff.media_type(text.encode()[:4096]) == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (("Straße, größer, naïve: " * 10).encode("latin-1"), "text/plain"),
        ("Größe;Preis\r\nvier;5 €\r\n".encode("cp1252"), "text/plain"),
        ("name;größe".encode("utf-16"), "text/plain"),
        (b"\xfe\xff" + "größe".encode("utf-16-be"), "text/plain"),
        ("größe".encode("utf-8-sig"), "text/plain"),
        (("a" * 4095 + "ü").encode()[:4096], "text/plain"),
        (bytes(range(0x80, 0x100)), sniff.OCTETS),
        (b"\xff\xfe", sniff.OCTETS),
        (b"text\0text", sniff.OCTETS),
    ],
)
def test_text_is_text_in_other_encodings_too(raw: bytes, found: str) -> None:
    assert sniff.media_type(raw) == found


@pytest.mark.parametrize(
    ("content", "head", "whole"),
    [
        (DOCX, sniff.DOCX, sniff.DOCX),
        (XLSX, sniff.XLSX, sniff.XLSX),
        (PPTX, sniff.PPTX, sniff.PPTX),
        (ODT, sniff.ODT, sniff.ODT),
        (packed("content.xml", mimetype=sniff.ODS), sniff.ODS, sniff.ODS),
        (packed("content.xml", mimetype=sniff.ODP), sniff.ODP, sniff.ODP),
        (packed("META-INF/container.xml", mimetype=sniff.EPUB), sniff.EPUB, sniff.EPUB),
        (packed("a.txt"), sniff.ZIP, sniff.ZIP),
        (packed(), sniff.ZIP, sniff.ZIP),
        (ole("WordDocument"), sniff.OLE, sniff.DOC),
        (ole("Workbook"), sniff.OLE, sniff.XLS),
        (ole("PowerPoint Document"), sniff.OLE, sniff.PPT),
        (ole("EncryptedPackage"), sniff.OLE, sniff.ENCRYPTED),
        (ole("__properties_version1.0"), sniff.OLE, sniff.MSG),
        (OLE, sniff.OLE, sniff.OLE),
        (b"%PDF-1.7\n", "application/pdf", "application/pdf"),
        (b"", sniff.OCTETS, sniff.OCTETS),
    ],
)
def test_office_files_are_told_from_archives(content: bytes, head: str, whole: str) -> None:
    assert sniff.media_type(content[:4096]) == head
    assert sniff.deep(content) == whole


def test_an_office_file_whose_first_entries_do_not_tell_is_known_by_its_directory() -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr("[Content_Types].xml", "<!-- -->" * 1000)
        file.writestr("word/document.xml", "<x/>")

    assert sniff.media_type(written.getvalue()[:4096]) == sniff.ZIP
    assert sniff.deep(written.getvalue()) == sniff.DOCX


def entry(name: bytes) -> bytes:
    """Of no directory: only who goes through the file sees it."""
    return b"PK\x03\x04" + bytes(22) + len(name).to_bytes(2, "little") + bytes(2) + name


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (entry(b"word/document.xml") + packed("a.txt"), sniff.ZIP),
        (entry(b"word/document.xml") + XLSX, sniff.XLSX),
        (packed("[Content_Types].xml", "word/document.xml", "xl/workbook.xml"), sniff.ZIP),
        (packed("word/document.xml", "xl/workbook.xml"), sniff.ZIP),
        (packed("a.txt", mimetype=sniff.ODT), sniff.ZIP),
        (packed("a.txt", mimetype="text/html"), sniff.ZIP),
        (packed("word/document.xml"), sniff.ZIP),
        (DOCX[:-30], sniff.ZIP),
        (DOCX + b"%PDF-1.7", sniff.DOCX),
        (b"%PDF-1.7\n" + DOCX, "application/pdf"),
        (PNG + DOCX, "image/png"),
        (b"GIF89a=1;/*" + bytes(20) + b"*/alert(1)<html>", "image/gif"),
        (b"GIF89a" + DOCX, "image/gif"),
        (b"\xff\xd8\xff\xe0" + MAIL + DOCX, "image/jpeg"),
        (b"<html>" + DOCX, sniff.OCTETS),
        (b"{\\rtf1 }" + DOCX, "application/rtf"),
        (b"ID3\x04" + PNG, "audio/mpeg"),
        (b"RIFF\0\0\0\0WAVE" + b"RIFF\0\0\0\0WEBP", "audio/wav"),
    ],
)
def test_what_is_two_things_is_one(content: bytes, whole: str) -> None:
    """The first bytes decide, and of archives the directory, as it does for their readers."""
    assert sniff.deep(content) == whole


def test_a_directory_that_lies_about_its_size_is_no_trouble() -> None:
    for at in range(len(DOCX)):
        for byte in (0, 0xFF, DOCX[at] ^ 0x80):
            assert sniff.deep(DOCX[:at] + bytes([byte]) + DOCX[at + 1 :])
        sniff.deep(DOCX[:at])
    assert sniff.deep(packed(*(f"{number}.txt" for number in range(11_000)))) == sniff.ZIP


@given(st.binary(max_size=600))
def test_anything_is_something(content: bytes) -> None:
    for begun in (b"", b"PK\x03\x04", b"\x1aE\xdf\xa3", b"\0\0\0\x18ftyp", OLE[:8], b"From: "):
        whole = begun + content
        assert sniff.kind(sniff.media_type(whole))
        assert sniff.deep(whole).count("/") == 1


@pytest.mark.parametrize(
    ("folder", "pattern", "expected"),
    [
        ("pdf", "*.pdf", {"application/pdf"}),
        ("images/pillow-bad", "*.jpg", {"image/jpeg"}),
        ("images/pillow-bad", "*.png", {"image/png"}),
        ("images/pillow-bad", "*.gif", {"image/gif"}),
        ("images/pillow-bad", "*.tif", {"image/tiff"}),
    ],
)
def test_broken_files_are_still_what_they_are(
    folder: str, pattern: str, expected: set[str]
) -> None:
    files = sorted((CORPORA / folder).rglob(pattern))
    assert files, f"the corpus {folder} is missing; it belongs beside the project"
    wrong = {
        file.name: media
        for file in files
        if (media := sniff.media_type(file.read_bytes()[:4096])) not in expected
    }
    assert len(wrong) <= len(files) // 10, wrong
