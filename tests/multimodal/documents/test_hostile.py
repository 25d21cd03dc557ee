"""Files made to break their reader: read or refused within limits, and the next one is read."""

from __future__ import annotations

import io
import random
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.multimodal.documents.bench import (
    Bench,
    archive,
    opendocument,
    pdf,
    pdf_of,
    replaced,
    sheet,
    slides,
    text,
    word,
)

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"
MEMORY, CPU, UNPACKED = 512, 1, 50
"""MiB, seconds, MiB."""


@pytest.fixture(scope="module")
def strict() -> Iterator[Bench]:
    limits = {"memory": MEMORY * 2**20, "cpu": CPU, "unpacked": UNPACKED * 2**20}
    bench = Bench(limits=limits)
    yield bench
    bench.close()


def corpus(name: str) -> Path:
    path = CORPORA / name
    if not path.exists():
        pytest.fail(f"the corpus {name} is missing; it belongs beside the project, in {CORPORA}")
    return path


PDFS = {
    "002-trivial-libre-office-writer": "Lorem ipsum dolor sit amet",
    "annotated_pdf": "Not highlighted",
    "crazyones-pdfa": "The Crazy Ones",
    "habibi": "habibi",
    "habibi-oneline-cmap": "habibi",
    "habibi-rotated": "habibi",
    "inline-image": "Test",
    "libre-office-link": "This is a link to an awesome blog.",
    "minimal-document": "Lorem ipsum dolor sit amet",
    "output_with_metadata_pymupdf": "Hello, World!",
    "pdfkit": "Foo: bar",
    "reportlab-overlay": "Fingerprint: asdfSa2123",
    "libreoffice-writer-password": "",
    "imagemagick-ASCII85Decode": "",
    "imagemagick-CCITTFaxDecode": "",
    "imagemagick-images": "",
    "imagemagick-lzw": "",
}


def test_all_pdfs_of_the_corpus_are_named_here() -> None:
    assert {path.stem for path in corpus("pdf").glob("*.pdf")} == set(PDFS)


@pytest.mark.parametrize(("name", "words"), PDFS.items())
def test_pdfs_of_the_corpus(documents: Bench, name: str, words: str) -> None:
    content = (corpus("pdf") / f"{name}.pdf").read_bytes()

    if words:
        assert words in documents.read(content).text
    elif "password" in name:
        assert documents.refused(content) == "it is encrypted"
    else:  # pictures of a few points
        assert documents.refused(content).startswith("there is no text in it")


def test_archives_of_the_corpus(documents: Bench) -> None:
    with tarfile.open(corpus("archives/zip-small.tar.gz")) as packed:
        files = [packed.extractfile(each) for each in packed.getmembers() if each.isfile()]
        contents = [each.read() for each in files if each is not None]

    problems = [documents.refused(content) for content in contents]

    assert len(problems) > 300
    assert problems.count("") >= 15
    assert documents.still_reads()


def test_mails_of_the_corpus(documents: Bench) -> None:
    found = [*corpus("mime").rglob("*.eml"), *corpus("mime").rglob("msg_*.txt")]

    problems = [documents.refused(each.read_bytes(), "a.eml") for each in found]

    assert len(found) > 90
    assert problems.count("") > len(found) - 8
    assert documents.still_reads()


def made() -> dict[str, bytes]:
    """One of each kind."""
    return {
        "a.pdf": pdf(text("Some words"), text("More words"), packed=True),
        "a.docx": word("Some words", "More words"),
        "a.xlsx": sheet([["a", 1], ["b", 2]]),
        "a.pptx": slides(("Some", "words")),
        "a.odt": opendocument("text", "<text:p>Some words</text:p>"),
        "a.html": b"<!doctype html><table><tr><td>a<td>b</table><p>Some <b>words",
        "a.csv": "näme;sum\nx;1\ny;2\n".encode("cp1252"),
        "a.rtf": rb"{\rtf1\ansi Some {\b words}\par more}",
        "a.eml": b"From: a@b.c\nTo: d@e.f\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\n\nwords\n--x\nContent-Type: text/html\n\n<p>words\n--x--\n",
        "a.zip": archive({"a.txt": b"Some words", "b.pdf": pdf(text("words"))}),
        "a.txt": "Größe ".encode() * 20,
    }


MADE = made()


@pytest.mark.parametrize("name", sorted(MADE))
def test_cut_off_files(documents: Bench, name: str) -> None:
    content = MADE[name]

    for tenth in range(10):
        documents.refused(content[: len(content) * tenth // 10], name)

    assert documents.refused(content, name) == ""


@settings(max_examples=25, deadline=None, database=None)
@given(name=st.sampled_from(sorted(MADE)), seed=st.integers(0, 2**32))
def test_damaged_files(documents: Bench, name: str, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(MADE[name])
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(content))
        match chance.randrange(4):
            case 0:
                content[at] = chance.randrange(256)
            case 1:
                del content[at : at + chance.randrange(1, 30)]
            case 2:
                content[at:at] = content[at : at + chance.randrange(1, 30)] * chance.randrange(
                    1, 40
                )
            case _:
                content[at : at + 4] = struct.pack("<I", chance.choice((0, 2**31 - 1, 2**32 - 1)))
        content = content or bytearray(b"\0")

    documents.refused(bytes(content), name)

    assert documents.refused(MADE[name], name) == ""


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.csv", "a.exe", "a.docx", ""])
def test_a_lying_name_changes_nothing(documents: Bench, name: str) -> None:
    assert documents.read(MADE["a.pdf"], name).reader.startswith("pypdfium2")
    assert documents.read(MADE["a.xlsx"], name).reader.startswith("openpyxl")


# --- PDF ---


def test_a_pdf_that_claims_many_pages(strict: Bench) -> None:
    assert strict.read(pdf(text("The only page"), count=100_000)).text == "[page 1]\nThe only page"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
    kids = b"3 0 R " * 100_000
    tree = b"<</Type/Pages/Count 100000/Kids[" + kids + b"]>>"
    assert strict.refused(pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", tree, page])) == (
        "there is no text in it; only 200 pages of 100,000 were read"
    )
    assert strict.still_reads("pdf")


@pytest.mark.parametrize("box", ["0 0 1000000 842", "0 0 0.001 900000", "0 0 0 0", "9 9 -9 -9"])
def test_a_page_of_impossible_size(strict: Bench, box: str) -> None:
    strict.refused(pdf(text("words"), box=box))
    strict.refused(pdf(b"0 0 m 9 9 l S " * 200, box=box))
    assert strict.still_reads("pdf")


def test_a_stream_that_unpacks_to_gigabytes(strict: Bench) -> None:
    bomb = zlib.compress(bytes(2**20), 9)
    for _ in range(2):
        bomb = zlib.compress(bomb * 300, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>",
        b"<</Length %d/Filter[/FlateDecode/FlateDecode/FlateDecode]>>\nstream\n" % len(bomb)
        + bomb
        + b"\nendstream",
    ]

    assert strict.refused(pdf_of(objects))
    assert strict.still_reads("pdf")


def test_operators_without_end(strict: Bench) -> None:
    strict.refused(pdf(text("words", before="q") * 100_000, packed=True))
    strict.refused(pdf(b"1 0 0 RG 0 0 m " + b"9 9 l " * 1_000_000 + b"S", packed=True))
    strict.refused(pdf(b"[" * 1_000_000, packed=True))
    assert strict.still_reads("pdf")


def test_forms_that_draw_themselves(strict: Bench) -> None:
    form = (
        b"<</Type/XObject/Subtype/Form/BBox[0 0 99 99]/Resources<</XObject<</X 5 0 R>>>>"
        b"/Length 15>>\nstream\n/X Do /X Do  \nendstream"
    )
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 2 0 R]/Count 2>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R"
        b"/Resources<</XObject<</X 5 0 R>>>>>>",
        b"<</Length 5>>\nstream\n/X Do\nendstream",
        form,
    ]

    assert strict.refused(pdf_of(objects))
    assert strict.still_reads("pdf")


# --- XML ---

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "lol">'
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    + "]>"
).encode()
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
QUADRATIC = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "' + b"a" * 100_000 + b'">]>'
W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def document(before: bytes, content: bytes) -> bytes:
    body = b"<w:document %b><w:body><w:p><w:r><w:t>A%bZ</w:t></w:r></w:p></w:body></w:document>"
    return replaced(word("x"), {"word/document.xml": before + body % (W, content)})


def shared_strings(before: bytes, content: bytes) -> bytes:
    namespace = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    body = b"<sst %b><si><t>A%bZ</t></si></sst>" % (namespace, content)
    return replaced(sheet([["x"]]), {"xl/sharedStrings.xml": before + body})


def written(before: bytes, content: bytes) -> bytes:
    made_ = opendocument("text", "<text:p>A-Z</text:p>")
    with zipfile.ZipFile(io.BytesIO(made_)) as package:
        body = package.read("content.xml").replace(b"A-Z", b"A" + content + b"Z")
    return replaced(made_, {"content.xml": before + body})


@pytest.mark.parametrize("make", [document, shared_strings, written])
@pytest.mark.parametrize(
    ("before", "content"),
    [
        pytest.param(LAUGHS, b"&e11;", id="billion laughs"),
        pytest.param(QUADRATIC, b"&x;" * 10_000, id="quadratic"),
        pytest.param(OUTSIDE, b"&x;", id="a file of ours"),
    ],
)
def test_entities_are_not_resolved(
    strict: Bench, make: Callable[[bytes, bytes], bytes], before: bytes, content: bytes
) -> None:
    made_ = make(before, content)
    read = "" if strict.refused(made_) else strict.read(made_).text

    assert "lol" not in read
    assert "aaa" not in read
    host = Path("/etc/hostname")
    assert not host.exists() or host.read_text().strip() not in read
    assert strict.still_reads("word")


def test_xml_that_is_very_deep(strict: Bench) -> None:
    deep = b"<w:sdt><w:sdtContent>" * 20_000 + b"</w:sdtContent></w:sdt>" * 20_000
    body = b"<w:document %b><w:body>%b</w:body></w:document>" % (W, deep)
    assert strict.refused(replaced(word("x"), {"word/document.xml": body}))
    table = b"<w:tbl><w:tr><w:tc>" * 80 + b"<w:p/>" + b"</w:tc></w:tr></w:tbl>" * 80
    body = b"<w:document %b><w:body>%b</w:body></w:document>" % (W, table)
    assert strict.refused(replaced(word("x"), {"word/document.xml": body}))
    assert strict.still_reads("word")


def test_a_package_that_refers_to_files_outside(strict: Bench) -> None:
    relation = (
        b'<Relationship Id="rId99" TargetMode="External" Target="file:///etc/passwd" Type="'
        b'http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"/>'
        b"</Relationships>"
    )
    package = word("Only this")
    name = "word/_rels/document.xml.rels"
    with zipfile.ZipFile(io.BytesIO(package)) as made_:
        changed = made_.read(name).replace(b"</Relationships>", relation)

    assert strict.read(replaced(package, {name: changed})).text == "Only this"


# --- tables and texts ---


def test_a_sheet_that_claims_a_million_rows(strict: Bench) -> None:
    rows = (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b'<dimension ref="A1:XFD1048576"/><sheetData>%b</sheetData></worksheet>'
    )
    row = b'<row r="1048576"><c r="XFD1048576"><v>7</v></c><c r="A1048576"><v>8</v></c></row>'
    name = "xl/worksheets/sheet1.xml"
    assert strict.read(replaced(sheet([[1]]), {name: rows % row})).text.endswith("| 8 |\n| --- |")
    row = b'<row r="99999999999"><c r="A99999999999"><v>8</v></c></row>'
    assert strict.refused(replaced(sheet([[1]]), {name: rows % row}))
    row = b"<row><c><v>1</v></c></row>" * 20_000
    assert "only 2,000 rows" in strict.read(replaced(sheet([[1]]), {name: rows % row})).note
    assert strict.still_reads("word")


def test_a_table_of_a_million_columns(strict: Bench) -> None:
    read = strict.read(b"a," * 10**6 + b"\n1,2\n", "a.csv")

    assert read.note == "only 200 of 1,000,001 columns were read"


def test_a_text_of_one_line_of_a_hundred_megabytes(documents: Bench) -> None:
    read = documents.read(b"x" * (100 * 2**20))

    assert len(read.text) <= documents.config.documents.max_text
    assert re.match(r"73 MB of its middle were not read; [\d,]+ characters left out", read.note)
    assert documents.refused(b"x" * (100 * 2**20 + 1)) == "it is larger than 100 MB"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<table><tr><td>" * 400 + b"words"),
        ("a.html", b"<b>x" * 4_000),
        ("a.html", b"<" * 1_000_000),
        ("a.html", b'<a href="' * 50_000),
        ("a.html", b"<style>" + b"a{" * 100_000 + b"</style>x"),
        ("a.html", b"<style>" + b"p p p p p{display:none}" * 1_000 + b"</style>" + b"<p>" * 500),
        ("a.html", b"&amp;" * 500_000),
        ("a.rtf", b"{\\rtf1 " + b"{" * 500_000),
        ("a.rtf", b"{\\rtf1 " + b"\\v" * 500_000),
        ("a.rtf", b"{\\rtf1 " + b"\\bin99999999999 " * 1_000),
        ("a.csv", b'"' * 2_000_001),
        ("a.csv", b'a,"' + b"\n" * 2_000_000),
        ("a.txt", "e\u0301\u0301".encode() + "\u0301".encode() * 500_000),
        ("a.txt", bytes(range(256)) * 10_000),
        ("a.txt", b"\xff\xfe" + b"\x00\xd8" * 500_000),
        ("a.eml", b"From: " + b"(" * 8_000 + b"\n\nx"),
        ("a.eml", b"Subject: " + b"=?utf-8?q?a?= " * 20_000 + b"\n\nx"),
        ("a.eml", b"From: a\nContent-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n" * 100_000),
        ("a.eml", b"Content-Type: message/rfc822\n\n" * 2_000),
        ("a.eml", b"Content-Type: text/plain; charset=" + b"x" * 5_000 + b"\n\nwords"),
    ],
    ids=lambda value: str(value[:24]) if isinstance(value, bytes) else None,
)
def test_texts_made_to_take_for_ever(strict: Bench, name: str, content: bytes) -> None:
    strict.refused(content, name)

    assert strict.still_reads("text")


def test_a_page_too_deep_for_markdown_still_hides_what_it_hides(strict: Bench) -> None:
    page = b"<div>" * 2_000 + b"Seen<p style='display:none'>HIDDEN</p><p>too"

    read = strict.read(b"<!doctype html>" + page)

    assert (read.text, read.note) == ("Seen\ntoo", "hidden text was left out")


# --- archives ---


def test_an_archive_of_archives(strict: Bench) -> None:
    inner = archive({"0.txt": bytes(10 * 2**20)})
    for _ in range(3):
        inner = archive({f"{n}.zip": inner for n in range(16)})

    assert strict.refused(inner) == (
        "none of its files could be read (0.zip: an archive in an archive is not opened)"
    )


def test_an_archive_that_unpacks_to_more_than_the_limit(strict: Bench) -> None:
    bomb = {f"{n}.txt": b"a" * (20 * 2**20) for n in range(5)}

    read = strict.read(archive({"first.txt": b"Some words"} | bomb))

    assert "Some words" in read.text
    assert read.text.count("more than may be unpacked") == 3
    office = replaced(word("x"), {"word/media/a.png": bytes((UNPACKED + 1) * 2**20)})
    assert strict.refused(office) == "it unpacks to more than 50 MB"
    assert strict.still_reads()


def test_sizes_that_lie(strict: Bench) -> None:
    content = bytearray(archive({"a.txt": b"Some words " * 1000}))
    directory = content.rindex(b"PK\x01\x02")
    for size in (0, 5, 2**31, 2**32 - 2):
        struct.pack_into("<I", content, directory + 24, size)
        assert strict.refused(bytes(content)).startswith("none of its files could be read (a.txt: ")
    assert strict.still_reads()


def test_entries_that_overlap(strict: Bench) -> None:
    content = archive({f"{n}.txt": bytes(50_000) for n in range(50)})
    changed = bytearray(content)
    for at in [found.start() for found in re.finditer(b"PK\x01\x02", content)]:
        struct.pack_into("<I", changed, at + 42, 0)

    assert strict.refused(bytes(changed)) == "its entries overlap"


def test_an_archive_of_ten_thousand_files(documents: Bench) -> None:
    read = documents.read(archive({f"{n}.txt": b"word" for n in range(10_000)}, packed=False))

    assert read.text.count("## File") == 50
    assert read.note.startswith("1,001 files of the archive not read")
    assert "8950 more" in read.text


def test_encrypted_files_of_an_archive_are_named(documents: Bench) -> None:
    content = bytearray(archive({"a.txt": b"open", "b.txt": b"secret"}))
    at = content.rindex(b"PK\x01\x02")
    content[at + 8] |= 1

    read = documents.read(bytes(content))

    assert read.text == "## File: a.txt\n\nopen\n\nNot read:\n- b.txt: it is encrypted"


def test_one_file_that_breaks_its_reader_leaves_the_others(strict: Bench) -> None:
    laughs = document(LAUGHS, b"&e11;")
    bomb = b'<!doctype html><a href="' + b"<b>x" * 100_000

    read = strict.read(
        archive({"1.txt": b"one", "2.docx": laughs, "3.html": bomb, "4.txt": b"four"})
    )

    assert "one" in read.text
    assert "four" in read.text


def test_many_files_share_the_time_of_one(strict: Bench) -> None:
    slow = pdf(text("words", before="q") * 60_000, packed=True)

    read = strict.refused(archive({f"{n}.pdf": slow for n in range(40)}))

    assert read == "" or "too" in read
    assert strict.still_reads()
