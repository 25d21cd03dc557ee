"""A reader of documents, and files to be read, made by the usual libraries or by hand."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import docx
import openpyxl  # type: ignore[import-untyped]
import pptx
from PIL import Image

from multimodal.config import MediaConfig
from multimodal.documents.reader import DocumentReader
from multimodal.errors import Unreadable
from multimodal.jobs import Job, Reading


class Bench:
    def __init__(self, **settings: Any) -> None:
        self.config = MediaConfig.model_validate(settings)
        self._reader = DocumentReader(self.config, lambda content: "")

    def read(self, content: bytes, name: str = "") -> Reading:
        job = Job(id="1", kind="doc", tenant="acme", name=name, size=len(content))
        return self._reader.read(job, content)

    def refused(self, content: bytes, name: str = "") -> str:
        """Why it is not read; empty when it is."""
        try:
            self.read(content, name)
        except Unreadable as unreadable:
            return unreadable.problem or "for no reason"
        return ""

    def still_reads(self, *kinds: str) -> bool:
        """Whether nothing is left of what was read before; by default of any kind."""
        return all(ALIVE in self.read(_ALIVE[kind]).text for kind in kinds or _ALIVE)

    def close(self) -> None:
        self._reader.close()


def text(words: str, *, size: float = 12, x: float = 72, y: float = 700, before: str = "") -> bytes:
    """A line on a page of a PDF."""
    return f"{before} BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({words}) Tj ET\n".encode("latin-1")


def pdf(
    *pages: bytes, box: str = "0 0 595 842", count: int | None = None, packed: bool = False
) -> bytes:
    """A page for each stream of drawing operators."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages) if count is None else count}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for index, stream in enumerate(pages):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Resources<</Font<</F1 3 0 R>>>>"
            f"/Contents {5 + 2 * index} 0 R>>".encode()
        )
        made = zlib.compress(stream, 9) if packed else stream
        filters = "/Filter/FlateDecode" if packed else ""
        objects.append(
            f"<</Length {len(made)}{filters}>>\nstream\n".encode() + made + b"\nendstream"
        )
    return pdf_of(objects)


def pdf_of(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for offset in offsets:
        out += f"{offset:010} 00000 n \n".encode()
    out += f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def scanned(*pictures: bytes) -> bytes:
    """A PDF with a picture on each page."""
    images = [Image.open(io.BytesIO(picture)).convert("L") for picture in pictures]
    out = io.BytesIO()
    images[0].save(out, "PDF", save_all=True, append_images=images[1:], resolution=150)
    return out.getvalue()


def word(*paragraphs: str) -> bytes:
    document = docx.Document()
    for each in paragraphs:
        document.add_paragraph(each)
    return saved(document)


def sheet(rows: Sequence[Sequence[object]], title: str = "Sheet") -> bytes:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    return saved(book)


def slides(*texts: tuple[str, str]) -> bytes:
    show = pptx.Presentation()
    for title, body in texts:
        slide = show.slides.add_slide(show.slide_layouts[1])
        assert slide.shapes.title is not None
        slide.shapes.title.text = title
        slide.placeholders[1].text_frame.text = body  # type: ignore[attr-defined]
    return saved(show)


def saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def archive(members: Mapping[str, bytes], *, packed: bool = True) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else 0) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def replaced(package: bytes, changes: Mapping[str, bytes]) -> bytes:
    """An office file with some of its parts changed."""
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    return archive(members | changes)


_ODF = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
    'xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0">'
)


def opendocument(kind: str, body: str, styles: str = "") -> bytes:
    content = (
        f"{_ODF}<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
        "</office:document-content>"
    )
    mimetype = f"application/vnd.oasis.opendocument.{kind}".encode()
    return archive({"mimetype": mimetype, "content.xml": content.encode()})


ALIVE = "alive and well"
_ALIVE = {
    "pdf": pdf(text(ALIVE)),
    "word": word(ALIVE),
    "text": ALIVE.encode(),
    "zip": archive({"a.txt": ALIVE.encode()}),
}
