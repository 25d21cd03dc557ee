"""Each kind of file, made by the usual libraries, is read as people see it."""

from __future__ import annotations

import datetime
import email.message
import io
import re

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.shared import Pt, RGBColor

from tests.media import pictures, rates
from tests.multimodal.documents.bench import (
    Bench,
    archive,
    opendocument,
    pdf,
    pdf_of,
    replaced,
    saved,
    scanned,
    sheet,
    slides,
    text,
    word,
)

LINES = pictures.sentences(8, seed=7)
PAGE = pictures.as_png(pictures.page(LINES))


def test_a_pdf_is_read_page_by_page(documents: Bench) -> None:
    read = documents.read(pdf(text("First page"), text("Second page")))

    assert read.text == "[page 1]\nFirst page\n\n[page 2]\nSecond page"
    assert (read.note, read.pages) == ("", 2)
    assert read.reader.startswith("pypdfium2 ")


def test_pages_beyond_the_limit_are_told(little: Bench) -> None:
    read = little.read(pdf(*(text(f"Page number {number}") for number in range(1, 6))))

    assert "Page number 3" in read.text
    assert "Page number 4" not in read.text
    assert read.note == "only 3 pages of 5 were read"


def test_a_scanned_pdf_is_read_by_ocr(documents: Bench) -> None:
    read = documents.read(scanned(PAGE))

    assert rates.characters("\n".join(LINES), read.text) < 0.03
    assert re.fullmatch(r"pypdfium2 [\d.]+ \+ tesseract [\d.]+ \(eng\)", read.reader)
    assert read.confidence > 0.8
    assert read.pages == 1


def test_pages_with_and_without_text_keep_their_order(documents: Bench) -> None:
    made = scanned(PAGE, PAGE)
    read = documents.read(archive({"a.pdf": pdf(text("Before")), "b.pdf": made}))

    assert read.text.index("Before") < read.text.index("[page 1]") < read.text.index("[page 2]")
    assert LINES[0] in read.text


def test_scanned_pages_beyond_the_limit_are_told(little: Bench) -> None:
    read = little.read(scanned(PAGE, PAGE, PAGE))

    assert read.note == "2 scanned pages of 3 not read"
    assert read.text.count(LINES[0]) == 1


@pytest.mark.parametrize(
    "hidden",
    [
        pytest.param(text("SECRET", before="3 Tr"), id="not painted"),
        pytest.param(b"q BT 3 Tr /F1 12 Tf 72 500 Td (SECRET) Tj ET Q", id="not painted, once"),
        pytest.param(b"q 1 1 1 rg" + text("SECRET") + b" Q", id="white on white"),
        pytest.param(b"q 0.97 g" + text("SECRET", y=300) + b" Q", id="nearly white"),
        pytest.param(text("SECRET", size=0.4, y=300), id="tiny"),
        pytest.param(
            b"q 0.1 0.2 0.4 rg 50 650 400 100 re f" + text("SECRET") + b" Q", id="dark on dark"
        ),
        pytest.param(text("SECRET", x=-400), id="left of the page"),
        pytest.param(text("SECRET", y=2000), id="above the page"),
    ],
)
def test_what_a_page_of_a_pdf_does_not_show_is_not_read(documents: Bench, hidden: bytes) -> None:
    read = documents.read(pdf(b"q " + text("Seen by all", y=600) + b" Q " + hidden))

    assert read.text == "Seen by all"
    assert read.note == "text that its pages do not show was left out"


def test_a_layer_that_is_switched_off_and_notes_that_are_not_viewed_are_not_read(
    documents: Bench,
) -> None:
    layer = b"/OC /L BDC" + text("SECRET", y=600) + b"EMC" + text("Seen by all")
    off = b"/OCProperties<</OCGs[5 0 R]/D<</OFF[5 0 R]>>>>"
    note = b"<</Type/Annot/Subtype/FreeText/Rect[9 9 90 90]/F %d/Contents(%b)>>"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%b>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 6 0 R/Resources<<"
        b"/Font<</F1 4 0 R>>/Properties<</L 5 0 R>>>>/Annots[7 0 R 8 0 R]>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/OCG/Name(Layer)>>",
        b"<</Length %d>>\nstream\n" % len(layer) + layer + b"\nendstream",
        note % (4, b"Printed"),
        note % (32, b"SECRET"),
    ]
    first, *others = objects

    read = documents.read(pdf_of([first % off, *others]))
    assert read.text == "Seen by all\nNote: Printed"
    assert read.note == "text that its pages do not show was left out"
    assert "SECRET" in documents.read(pdf_of([first % b"", *others])).text


def test_white_text_between_the_lines_is_not_read(documents: Bench) -> None:
    lines = b"".join(text(f"Line {n}", y=780 - 9 * n) for n in range(20))

    read = documents.read(pdf(b"q 1 g" + text("SECRET", y=703) + b"Q 0 g" + lines))

    assert "SECRET" not in read.text
    assert read.text.count("Line") == 20


def test_white_text_on_something_dark_is_read(documents: Bench) -> None:
    dark = b"0 0 0.4 rg 50 650 400 100 re f 1 1 1 rg" + text("White on blue")

    read = documents.read(pdf(dark))

    assert (read.text, read.note) == ("White on blue", "")


def test_a_document_is_read_in_its_order(documents: Bench) -> None:
    document = docx.Document()
    document.add_heading("Report", 0)
    document.add_heading("Costs", 1)
    document.add_paragraph("We spent money.")
    document.add_paragraph("rent", "List Bullet")
    document.add_paragraph("bread", "List Bullet")
    document.add_paragraph("first", "List Number")
    document.add_paragraph("second", "List Number")
    table = document.add_table(2, 2)
    for cell, words in zip(table._cells, ("what", "a|b", "rent", "900"), strict=True):
        cell.text = words
    document.add_paragraph("The end.")
    document.sections[0].footer.paragraphs[0].text = "Confidential"

    read = documents.read(saved(document))

    assert read.text == (
        "# Report\n\n# Costs\n\nWe spent money.\n\n- rent\n- bread\n1. first\n2. second\n\n"
        "| what | a\\|b |\n| --- | --- |\n| rent | 900 |\n\nThe end.\n\nFooter: Confidential"
    )
    assert read.note == ""
    assert read.reader.startswith("python-docx ")


def test_hidden_text_of_a_document_is_not_read(documents: Bench) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Seen. ")
    paragraph.add_run("HIDDEN").font.hidden = True
    paragraph.add_run("WHITE").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("TINY").font.size = Pt(1)
    paragraph.add_run("Also seen.")

    read = documents.read(saved(document))

    assert read.text == "Seen. Also seen."
    assert read.note == "hidden text was left out"


def test_text_hidden_by_its_style_is_not_read(documents: Bench) -> None:
    document = docx.Document()
    for name, based in (("Gone", None), ("More", "Gone"), ("Pale", None)):
        style = document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = document.styles[based or "Normal"]
    document.styles["Gone"].font.hidden = True
    document.styles["Pale"].font.color.rgb = RGBColor(255, 255, 255)
    document.add_paragraph("Seen.")
    for name in ("Gone", "More", "Pale"):
        document.add_paragraph("HIDDEN", name)
    document.add_paragraph("", "Gone").add_run("Shown again.").font.hidden = False

    read = documents.read(saved(document))

    assert read.text == "Seen.\n\nShown again."
    assert read.note == "hidden text was left out"


def test_what_only_the_web_view_hides_is_read(documents: Bench) -> None:
    """The page numbers of each table of contents are such."""
    document = docx.Document()
    document.add_paragraph("Chapter one ").add_run("3").font.web_hidden = True

    read = documents.read(saved(document))

    assert (read.text, read.note) == ("Chapter one 3", "")


def test_deleted_text_and_instructions_of_fields_are_not_read(documents: Bench) -> None:
    body = (
        b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b"<w:body><w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r>"
        b"</w:del><w:r><w:instrText>INCLUDETEXT x</w:instrText></w:r><w:ins><w:r><w:t> new</w:t>"
        b"</w:r></w:ins></w:p><w:sdt><w:sdtContent><w:p><w:r><w:t>field</w:t></w:r></w:p>"
        b"</w:sdtContent></w:sdt></w:body></w:document>"
    )

    read = documents.read(replaced(word("x"), {"word/document.xml": body}))

    assert read.text == "kept new\n\nfield"


def test_a_document_with_macros_is_read_without_them(documents: Bench) -> None:
    made = word("Only text")
    kinds = b"application/vnd.ms-word.document.macroEnabled.main+xml"
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    changed = replaced(made, {"word/vbaProject.bin": b"\xd0\xcf\x11\xe0Shell"})
    types = _member(changed, "[Content_Types].xml").replace(plain, kinds)

    assert documents.read(replaced(changed, {"[Content_Types].xml": types})).text == "Only text"


def test_sheets_become_tables(documents: Bench) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Costs"
    for row in (("what", "sum", "when", "paid"), ("rent", 900.5, datetime.date(2026, 5, 1), True)):
        book.active.append(row)
    book.create_sheet("Second")["C4"] = "far away"
    book.create_sheet("Secret")["A1"] = "HIDDEN"
    book["Secret"].sheet_state = "veryHidden"

    read = documents.read(saved(book))

    assert read.text == (
        "## Sheet: Costs\n\n| what | sum | when | paid |\n| --- | --- | --- | --- |\n"
        "| rent | 900.5 | 2026-05-01 | TRUE |\n\n## Sheet: Second\n\n| far away |\n| --- |"
    )
    assert read.note == "1 hidden sheet left out"


def test_formulas_without_a_value_are_told(documents: Bench) -> None:
    assert documents.read(sheet([[1, "=A1+1"]])).note == (
        "formulas that no program has computed yet are missing"
    )


def test_formulas_that_gave_no_text_are_computed(documents: Bench) -> None:
    made = sheet([[1, "=A1"]])
    name = "xl/worksheets/sheet1.xml"
    cell = re.compile(rb"<c r=\"B1\"[^>]*><f>A1</f>.*?</c>")
    rows, found = cell.subn(
        b'<c r="B1" t="str"><f>IF(A1=1,"",A1)</f><v></v></c>', _member(made, name)
    )
    assert found == 1

    assert documents.read(replaced(made, {name: rows})).note == ""


def test_rows_and_columns_beyond_the_limits_are_told(little: Bench) -> None:
    read = little.read(sheet([[f"r{row}"] * 300 for row in range(50)]))
    listed = little.read("\n".join(f"a{row},b" for row in range(50)).encode(), "a.csv")

    assert "r9" in read.text
    assert "r10" not in read.text
    assert read.note == ("only 10 rows of “Sheet” were read; only 200 columns of “Sheet” were read")
    assert "a9" in listed.text
    assert "a10" not in listed.text
    assert listed.note == "only the first 10 rows were read"


def test_slides_are_read_with_their_notes_and_without_hidden_ones(documents: Bench) -> None:
    show = pptx.Presentation(io.BytesIO(slides(("Plan", "One\nTwo"), ("Secret", "HIDDEN"))))
    show.slides[0].notes_slide.notes_text_frame.text = "Speak slowly"  # type: ignore[union-attr]
    show.slides[1].element.set("show", "0")
    table = show.slides[0].shapes.add_table(1, 2, 0, 9_000_000, 10**6, 10**6).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"

    read = documents.read(saved(show))

    assert read.text == (
        "# Slide 1: Plan\n\nOne\nTwo\n\n| left | right |\n| --- | --- |\n\nNotes: Speak slowly"
    )
    assert read.note == "1 hidden slide left out"
    assert read.pages == 2


def test_what_lies_beside_a_slide_and_rows_beyond_the_limit_are_told(little: Bench) -> None:
    show = pptx.Presentation(io.BytesIO(slides(("Plan", "One"))))
    shapes = show.slides[0].shapes
    shapes.add_textbox(Pt(-900), Pt(0), Pt(200), Pt(50)).text_frame.text = "BESIDE"
    table = shapes.add_table(11, 1, Pt(0), Pt(300), Pt(90), Pt(90)).table
    for row in range(11):
        table.cell(row, 0).text = f"r{row}"

    read = little.read(saved(show))

    assert read.text.startswith("# Slide 1: Plan\n\nOne\n\n| r0 |")
    assert read.note == (
        "what lies beside its slides was left out; only the first 10 rows of a table were read"
    )


def test_opendocument_is_read(documents: Bench) -> None:
    styles = (
        '<style:style style:name="gone"><style:text-properties text:display="none"/></style:style>'
    )
    letter = (
        '<text:h text:outline-level="2">Head</text:h><text:p>a<text:s text:c="2"/>b'
        '<text:tab/>c<text:span text:style-name="gone">HIDDEN</text:span></text:p>'
        "<text:list><text:list-item><text:p>item</text:p></text:list-item></text:list>"
    )
    cells = (
        '<table:table table:name="T"><table:table-row><table:table-cell><text:p>x</text:p>'
        '</table:table-cell><table:table-cell table:number-columns-repeated="1000000"/>'
        '</table:table-row><table:table-row table:number-rows-repeated="1000000">'
        "<table:table-cell/></table:table-row></table:table>"
    )
    page = (
        "<draw:page><draw:frame><draw:text-box><text:p>on it</text:p></draw:text-box></draw:frame>"
        "</draw:page>"
    )

    read = documents.read(opendocument("text", letter, styles))
    assert (read.text, read.note) == (
        "## Head\n\na  b\tc\n\n- item",
        "hidden text was left out",
    )
    table = documents.read(opendocument("spreadsheet", cells))
    assert table.text == "## Sheet: T\n\n| x |\n| --- |"
    assert documents.read(opendocument("presentation", page)).text == "# Slide 1\n\non it"


def test_what_opendocument_hides_is_not_read(documents: Bench) -> None:
    styles = (
        '<style:style style:name="gone"><style:text-properties text:display="none"/></style:style>'
        '<style:style style:name="more" style:parent-style-name="gone"/>'
        '<style:style style:name="back" style:parent-style-name="gone">'
        '<style:text-properties text:display="true"/></style:style>'
        '<style:style style:name="away"><style:drawing-page-properties '
        'presentation:visibility="hidden"/></style:style>'
    )
    letter = (
        '<text:section text:display="none"><text:p>HIDDEN</text:p></text:section>'
        '<text:p text:style-name="more">HIDDEN</text:p><text:list><text:list-item>'
        '<text:p text:style-name="gone">HIDDEN</text:p></text:list-item></text:list>'
        '<text:p text:style-name="back">x</text:p>'
    )
    box = "<draw:frame><draw:text-box><text:p>on it</text:p></draw:text-box></draw:frame>"
    pages = f'<draw:page draw:style-name="away">{box}</draw:page><draw:page>{box}</draw:page>'

    read = documents.read(opendocument("text", letter, styles))
    assert (read.text, read.note) == ("x", "hidden text was left out")
    elsewhere = opendocument("text", letter)
    named = _member(opendocument("text", "", styles), "content.xml")
    named = named.replace(b"office:automatic-styles", b"office:styles")
    assert documents.read(replaced(elsewhere, {"styles.xml": named})).text == "x"
    shown = documents.read(opendocument("presentation", pages, styles))
    assert (shown.text, shown.note) == ("# Slide 2\n\non it", "1 hidden slide left out")


def test_rows_of_opendocument_beyond_the_limit_are_told(little: Bench) -> None:
    row = (
        "<table:table-row><table:table-cell><text:p>r</text:p></table:table-cell></table:table-row>"
    )
    blank = "<table:table-row><table:table-cell/></table:table-row>"

    ten = little.read(opendocument("spreadsheet", f"<table:table>{row * 10}{blank}</table:table>"))
    more = little.read(opendocument("spreadsheet", f"<table:table>{row * 11}</table:table>"))

    assert ten.note == ""
    assert more.note == "only the first 10 rows of a table were read"


def test_a_web_page_is_read_as_it_is_shown(documents: Bench) -> None:
    page = b"""<!doctype html><meta charset=iso-8859-1><title>Men\xfc</title>
      <style>.off, #x { color: red; display : none } p { margin: 0 }
      @media print { h2 { display: none } } @media all { .y { display: none } }</style>
      <h2>Today</h2><p>Soup <b>hot</b>, <a href="https://e.org/a">more</a>,
      <a href="javascript:alert(1)">run</a>
      <p class="off">HIDDEN</p><div id=x>HIDDEN</div><p hidden>HIDDEN</p><!-- HIDDEN -->
      <p class=y>HIDDEN</p>
      <span style="font-size: 0">HIDDEN</span><span style="color:#FFF">HIDDEN</span>
      <font color="#ffffff">HIDDEN</font><font color=WHITE>HIDDEN</font>
      <div style="position:absolute; left:-9999px">HIDDEN</div><script>HIDDEN</script>
      <table><tr><th>a<th>b<tr><td>1<td>2</table><ul><li>x<li>y</ul>"""

    read = documents.read(page)

    assert read.text == (
        "# Menü\n\n## Today\n\nSoup **hot**, [more](https://e.org/a),\nrun\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n- x\n- y"
    )
    assert read.note == "hidden text was left out"


@pytest.mark.parametrize(
    "style",
    [
        "background-color: transparent",
        "border-color: transparent",
        "background-color: rgba(0, 0, 0, 0)",
        "-webkit-backface-visibility: hidden",
        "fill-opacity: 0",
        "color: rgba(0, 0, 0, 0.8)",
    ],
)
def test_what_only_looks_like_hiding_is_read(documents: Bench, style: str) -> None:
    read = documents.read(f'<!doctype html><p style="{style}">Seen'.encode())

    assert (read.text, read.note) == ("Seen", "")


@pytest.mark.parametrize(
    "style",
    [
        "color: rgba(9, 9, 9, 0)",
        "font: 0/0 a",
        "/**/display:none",
        "text-indent: -999em",
        "zoom: 0",
    ],
)
def test_more_ways_to_hide(documents: Bench, style: str) -> None:
    read = documents.read(f'<!doctype html><p>Seen<p style="{style}">HIDDEN'.encode())

    assert (read.text, read.note) == ("Seen", "hidden text was left out")


@pytest.mark.parametrize(
    "encoding", "utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 cp1252 cp1250".split()
)
def test_text_is_read_in_its_encoding(documents: Bench, encoding: str) -> None:
    words = "Das Mädchen hört schöne Töne. Für große Bären fällt die Tür zu. " * 3

    assert documents.read(words.encode(encoding)).text == words.strip()


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("Съешь ещё этих мягких французских булок, да выпей же чаю. ", "cp1251"),
        ("Съешь ещё этих мягких французских булок, да выпей же чаю. ", "koi8-r"),
        ("我们今天上午在学校学习中文,老师说明天天气很好。", "gb18030"),
        ("いろはにほへとちりぬるを。わかよたれそつねならむ。", "shift_jis"),
    ],
)
def test_other_scripts_are_guessed(documents: Bench, words: str, encoding: str) -> None:
    assert documents.read((words * 5).encode(encoding)).text == (words * 5).strip()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_of_text_are_split_by_what_splits_them(documents: Bench, delimiter: str) -> None:
    rows = [["name", "sum, net", "note"], ["Ann", "1.5", 'says "hi"'], ["Bob", "2", ""]]
    lines = [delimiter.join(f'"{x.replace(chr(34), chr(34) * 2)}"' for x in row) for row in rows]

    read = documents.read("\r\n".join(lines).encode(), "a.csv")

    sums = "sum, net"
    assert read.text == (
        f'| name | {sums} | note |\n| --- | --- | --- |\n| Ann | 1.5 | says "hi" |\n| Bob | 2 |  |'
    )


def test_source_stays_as_it_is(documents: Bench) -> None:
    source = "def f(x):\n    return {\n        'a': x,\n    }\n\n\n# <b>|end|</b>"

    assert documents.read(source.encode(), "a.py").text == source
    assert documents.read(b'{"a": [1, 2]}', "a.json").text == '{"a": [1, 2]}'


def test_rtf_is_read(documents: Bench) -> None:
    fonts = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 "
    made = fonts + rb"Gr\'fc\'dfe {\v HIDDEN}an alle\par Ende}"

    read = documents.read(made, "a.doc")

    assert (read.text, read.note) == ("Grüße an alle\nEnde", "hidden text was left out")


@pytest.mark.parametrize(
    "words", [rb"{\v1 HIDDEN}an alle", rb"\v HIDDEN\plain an alle", rb"{\v\b1 HIDDEN}an alle"]
)
def test_hidden_text_of_rtf_is_not_read(documents: Bench, words: bytes) -> None:
    read = documents.read(rb"{\rtf1\ansi Brief " + words + b"}")

    assert (read.text, read.note) == ("Brief an alle", "hidden text was left out")


def test_a_mail_is_read_and_its_attachments_named(documents: Bench) -> None:
    mail = email.message.EmailMessage()
    mail["From"], mail["To"] = "Jörg <j@example.org>", "ann@example.org"
    mail["Date"], mail["Subject"] = "Fri, 01 May 2026 10:00:00 +0200", "Grüße 🙂"
    mail.set_content("Hello Ann,\nsee the file.")
    mail.add_alternative("<p>Hello Ann, see the file.", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Plan Ü.pdf")

    read = documents.read(mail.as_bytes())

    assert read.text == (
        "From: Jörg <j@example.org>\nTo: ann@example.org\nDate: Fri, 01 May 2026 10:00:00 +0200\n"
        "Subject: Grüße 🙂\n\nHello Ann,\nsee the file.\n\n"
        "Attachments (not opened):\n- Plan Ü.pdf (application/pdf)"
    )
    assert read.note == "1 attachment not opened"


def test_a_mail_of_html_with_a_footer_of_text_is_read(documents: Bench) -> None:
    """As lists add it to each mail."""
    mail = (
        b"From: a@b.c\nTo: d@e.f\nSubject: s\nContent-Type: multipart/mixed; boundary=x\n\n"
        b"--x\nContent-Type: text/html\n\n<p>What was written\n"
        b"--x\nContent-Type: text/plain\n\nTo leave the list\n--x--\n"
    )

    read = documents.read(mail)

    assert read.text.endswith("Subject: s\n\nWhat was written\n\nTo leave the list")


def test_a_mail_of_html_alone_is_read_as_it_is_shown(documents: Bench) -> None:
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.c", "d@e.f", "s"
    mail.set_content('<p>Seen<p style="display:none">HIDDEN', subtype="html", cte="base64")

    read = documents.read(mail.as_bytes(), "a.eml")

    assert read.text.endswith("Subject: s\n\nSeen")
    assert read.note == "hidden text was left out"


def test_an_archive_is_read_file_by_file(documents: Bench) -> None:
    made = archive(
        {
            "notes/read me.txt": b"Hello",
            "pk.txt": b"PK is no ZIP",
            "report.pdf": pdf(text("Inside a PDF")),
            "letter.docx": word("Inside a letter"),
            "lies.txt": sheet([["a", "b"], [1, 2]]),
            "photo.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
            "more.zip": archive({"x.txt": b"x"}),
            "__MACOSX/._read me.txt": b"\0\5\x16\7",
            "../../etc/passwd": b"root",
        }
    )

    read = documents.read(made)

    for words in (
        "## File: notes/read me.txt\n\nHello",
        "PK is no ZIP",
        "Inside a PDF",
        "Inside a letter",
        "| 1 |",
    ):
        assert words in read.text
    assert read.text.endswith(
        "Not read:\n- photo.png: this kind of file is not read: a picture\n"
        "- more.zip: an archive in an archive is not opened"
    )
    assert read.note == "2 files of the archive not read"
    assert "## File: ../../etc/passwd\n\nroot" in read.text


def test_files_of_an_archive_beyond_the_limit_are_told(little: Bench) -> None:
    read = little.read(archive({f"{number}.txt": b"text" for number in range(5)}))

    assert read.text.count("## File") == 2
    assert read.note == "3 files of the archive not read"


def test_notes_stay_short_and_clean(documents: Bench) -> None:
    page = b'<p>Some words<p style="display:none">HIDDEN'

    read = documents.read(archive({f"{n}\u202e\n.html": page for n in range(30)}))

    assert read.note.startswith("0 .html: hidden text was left out; 1 .html: hidden text")
    assert read.note.endswith("; and 22 more notes; 29 .html: hidden text was left out")


def test_what_is_attached_to_a_pdf_is_told(documents: Bench) -> None:
    import pypdfium2  # type: ignore[import-untyped]

    made = pypdfium2.PdfDocument(pdf(text("Some words")))
    made.new_attachment("a.txt").set_data(b"attached")

    read = documents.read(saved(made))
    made.close()

    assert (read.text, read.note) == ("Some words", "1 attachment not opened")


def test_a_long_text_is_shortened_and_it_is_said(documents: Bench) -> None:
    pages = [
        text(f"This is page {number}.")
        + b"".join(text("word " * 12, y=y) for y in range(50, 650, 60))
        for number in range(1, 151)
    ]

    read = documents.read(pdf(*pages, packed=True))

    assert len(read.text) <= documents.config.documents.max_text
    assert "This is page 1." in read.text
    assert "This is page 150." in read.text
    found = re.search(r"characters left out: pages (\d+) to (\d+)$", read.note)
    assert found is not None
    assert f"[… {read.note} …]" in read.text
    assert 40 < int(found[1]) < int(found[2]) < 150


def test_what_holds_no_text_says_so(documents: Bench) -> None:
    assert documents.refused(pdf(b"")) == "there is no text in it"
    assert documents.refused(word("")) == "there is no text in it"
    assert documents.refused(b" \n ") == "there is no text in it"


def _member(package: bytes, name: str) -> bytes:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(package)) as made:
        return made.read(name)
