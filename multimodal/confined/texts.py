"""Text in any encoding, tables of text, web pages and RTF. Runs in a confined child only."""

from __future__ import annotations

import codecs
import csv
import encodings
import html
import importlib
import pkgutil
import re
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from bs4 import BeautifulSoup, Tag
from bs4.exceptions import ParserRejectedMarkup
from charset_normalizer import from_bytes
from markdownify import MarkdownConverter
from striprtf.striprtf import rtf_to_text

from multimodal.confined.gathered import Gathered, plural, table
from multimodal.errors import Unreadable

_T = TypeVar("_T")

MOST = 30 * 2**20
"""Bytes of text that are looked at; of more the beginning and the end."""
HTML = 3_000_000
RTF = 8_000_000
"""Characters that are looked at."""
COLUMNS = 200
SAMPLE = 64 * 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BINARY = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_BREAKS = (
    ParserRejectedMarkup,
    RecursionError,
    AssertionError,
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
    OverflowError,
)


def warm_up() -> None:
    for each in pkgutil.iter_modules(encodings.__path__):
        if each.name not in ("mbcs", "oem", "cp65001"):  # of Windows
            importlib.import_module(f"encodings.{each.name}")
    for name in ("utf-8", "gb18030", "shift_jis", "euc_kr", "big5", "iso2022_jp", "cp1252"):
        codecs.lookup(name)
    sys.setrecursionlimit(3_000)
    csv.field_size_limit(2**31 - 1)
    plain("grün".encode("cp1252") * 20, keep=100)
    separated(b"a,b\n1,2\n", keep=100, rows=10, tabs=False)
    page(b"<style>.x{display:none}</style><p class=x>a<table><tr><td>b</table>", keep=100)
    rich(rb"{\rtf1\ansi a\'e4\par b}", keep=100)


def plain(content: bytes, *, keep: int) -> dict[str, Any]:
    gathered = Gathered()
    gathered.add(_text(content, gathered))
    return gathered.told(keep)


def separated(content: bytes, *, keep: int, rows: int, tabs: bool) -> dict[str, Any]:
    """CSV and TSV, whatever separates their cells."""
    gathered = Gathered()
    source = _text(content, gathered)
    lines: list[list[str]] = []
    wide = 0
    try:
        for row in csv.reader(_lines(source), delimiter=_delimiter(source, tabs)):
            if not any(row):
                continue
            if len(lines) >= rows:
                gathered.notes.append(f"only the first {plural(rows, 'row')} were read")
                break
            wide = max(wide, len(row))
            lines.append(row[:COLUMNS])
    except csv.Error:
        gathered.add(source)
        return gathered.told(keep)
    if wide > COLUMNS:
        gathered.notes.append(f"only {COLUMNS} of {wide:,} columns were read")
    gathered.add(table(lines))
    return gathered.told(keep)


def page(content: bytes, *, keep: int) -> dict[str, Any]:
    """A web page as Markdown, without what it does not show."""
    gathered = Gathered()
    source = _text(content, gathered, declared=True)
    text, hidden, note = from_html(source)
    if hidden:
        gathered.notes.append("hidden text was left out")
    if note:
        gathered.notes.append(note)
    gathered.add(text)
    return gathered.told(keep)


def rich(content: bytes, *, keep: int) -> dict[str, Any]:
    """RTF."""
    gathered = Gathered()
    source = content[:RTF].decode("latin-1")
    if len(content) > RTF:
        gathered.notes.append(f"only its first {RTF // 10**6} MB were read")
    shown, hidden = _without_unseen(source)
    if hidden:
        gathered.notes.append("hidden text was left out")
    try:
        gathered.add(rtf_to_text(shown, errors="replace"))  # type: ignore[no-untyped-call]
    except _BREAKS:
        raise Unreadable("it is broken") from None
    return gathered.told(keep)


_RTF = re.compile(r"\\v(?:-?\d+)?(?![a-z0-9])|\\plain(?![a-z0-9])|\\\\|\\[{}]|[{}]")


def _without_unseen(source: str) -> tuple[str, bool]:
    """RTF without what ``\\v`` hides, and whether there was any."""
    kept: list[str] = []
    stack: list[bool] = []
    unseen = any_hidden = False
    position = 0
    for found in _RTF.finditer(source):
        between = source[position : found.start()]
        position = found.end()
        if unseen:
            any_hidden = any_hidden or bool(between.strip())
        else:
            kept.append(between)
        match found[0]:
            case "{":
                stack.append(unseen)
            case "}":
                unseen = stack.pop() if stack else False
            case "\\plain":  # back to how letters look by default
                unseen = False
            case word if word.startswith("\\v"):
                unseen = word != "\\v0"
                continue
            case _ if unseen:
                continue
        kept.append(found[0])
    kept.append("" if unseen else source[position:])
    return "".join(kept), any_hidden


def decoded(content: bytes) -> str:
    """Raises `Unreadable` when it is no text at all."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return content.decode(name, "replace")
    sample = content[:SAMPLE]
    if b"\0" in sample:
        if (wide := _wide(sample)) is None:
            raise Unreadable("this kind of file is not read")
        return content.decode(wide, "replace")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = _guessed(content)
    marks = len(_BINARY.findall(text[:SAMPLE]))
    if marks > 8 and marks > len(text[:SAMPLE]) / 50:
        raise Unreadable("this kind of file is not read")
    return text


def _guessed(content: bytes) -> str:
    if content.decode("utf-8", "ignore") and _mostly(content[:SAMPLE]):
        return content.decode("utf-8", "replace")
    # Where the strange letters are is where to look.
    first = next((at for at, byte in enumerate(content[: 2**22]) if byte > 127), 0)
    begin = max(0, first - 1024)
    best = from_bytes(content[begin : begin + SAMPLE]).best()
    return content.decode(best.encoding if best else "cp1252", "replace")


def _mostly(sample: bytes) -> bool:
    """UTF-8 with a few bytes broken."""
    text = sample[:-4].decode("utf-8", "replace")
    broken = text.count("\ufffd")
    strange = sum(1 for letter in text if letter > "\x7f") - broken
    return broken < 5 and strange > 10 * broken


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark has a zero in every second byte of Latin text."""
    pairs = len(sample) // 2
    if pairs < 2:
        return None
    even, odd = sample[: pairs * 2 : 2].count(0), sample[1 : pairs * 2 : 2].count(0)
    if odd > pairs * 0.4 and even < pairs * 0.05:
        return "utf-16-le"
    if even > pairs * 0.4 and odd < pairs * 0.05:
        return "utf-16-be"
    return None


def _text(content: bytes, gathered: Gathered, *, declared: bool = False) -> str:
    if len(content) > MOST:
        half = MOST // 4 * 2  # whole characters of UTF-16
        gone = len(content) - 2 * half
        gathered.notes.append(f"{gone / 10**6:,.0f} MB of its middle were not read")
        head, tail = decoded(content[:half]), decoded(content[gone + half :])
        return f"{head}\n\n[… {gone / 10**6:,.0f} MB left out …]\n\n{tail}"
    if declared and (name := _declared(content[:2048])):
        return content.decode(name, "replace")
    return decoded(content)


_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w.:-]{3,30})""",
    re.IGNORECASE,
)


def _declared(head: bytes) -> str:
    found = _CHARSET.search(head)
    if found is None or head.startswith(tuple(mark for mark, _ in _MARKS)):
        return ""
    name = found[1].decode()
    try:
        known = codecs.lookup(name).name
        return (
            "" if known.startswith("utf-16") or not isinstance("".encode(known), bytes) else known
        )
    except (LookupError, ValueError):
        return ""


def _lines(source: str) -> list[str]:
    return (
        source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").splitlines(keepends=True)
    )


def _delimiter(source: str, tabs: bool) -> str:
    """What splits the first lines into the same number of cells, and most of them."""
    lines = [line for line in source[:SAMPLE].split("\n")[:50] if line.strip()]
    best, most = "\t" if tabs else ",", 0.0
    for delimiter in ("\t", ",", ";", "|"):
        try:
            counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        except csv.Error:
            continue
        usual = max(set(counts), key=counts.count, default=1)
        score = 0.0 if usual < 2 else counts.count(usual) / len(counts) + min(usual, 20) / 100
        if score > most:
            best, most = delimiter, score
    return best


_HIDDEN = re.compile(
    r"(?<![\w-])(?:display:none|visibility:(?:hidden|collapse)|opacity:0?(?:\.0\d*)?(?:;|$|!)"
    r"|color:(?:transparent|rgba\([\d.,%]*,0?(?:\.0\d*)?\))|font:0|zoom:0(?:;|$|!))|mso-hide:all"
    r"|font-size:(?:0|1px|0?\.\d+(?:em|rem|px|pt)|1pt)(?:\.0+)?(?:px|pt|em|rem|%)?(?:;|$|!)"
    r"|(?:^|;)(?:max-)?(?:height|width):[01](?:px)?(?:;|$|!)"
    r"|(?:left|top|right|bottom|text-indent|margin-left):-(?:\d{4,}|\d{3,}r?em)|clip:rect\(0|clip-path:inset\(100%"
)
"""Of a style without blanks. What only ends like a property (background-color) is another."""
_WHITE = re.compile(r"(?:^|;)color:(?:#f[a-f0-9]f[a-f0-9]f[a-f0-9]|#fff|white|rgba?\(255,255,255)")
_RULE = re.compile(r"([^{}]{1,300})\{([^{}]{0,2000})\}")
_MEDIA = re.compile(r"@media([^{}]{0,200})\{((?:[^{}]|\{[^{}]*\})*+)\}", re.IGNORECASE)
_LINK = re.compile(r"\s*(?:https?://|mailto:)", re.IGNORECASE)
_UNSEEN = frozenset("script style template noframes noscript iframe object svg head title".split())
_BLOCKS = ["table", "p", "div", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "hr"]
_ENDS_ITSELF = frozenset("p li td th tr dd dt option".split())


def from_html(source: str) -> tuple[str, bool, str]:
    """What people see of it; whether there was more; and what else is to be said."""
    note = ""
    if len(source) > HTML:
        note = f"only its first {HTML // 10**6} million characters were read"
        source = source[:HTML]
    done = _shared(lambda: _markdown(source), seconds=8.0)
    if done is None:
        return (
            _without_tags(source),
            False,
            note or "only its bare words were read, hidden ones with them",
        )
    text, hidden = done
    return text, hidden, note


class _Slow(Exception):
    pass


def _shared(step: Callable[[], _T], *, seconds: float) -> _T | None:
    """None when it takes so many seconds of CPU or breaks: the libraries were not written against
    pages that are made to break them."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Slow

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        try:
            return step()
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
    except (_Slow, *_BREAKS):
        return None


def _markdown(source: str) -> tuple[str, bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soup = BeautifulSoup(source.replace("\0", ""), "lxml")
    title = soup.find("title")
    name = " ".join(title.get_text().split())[:500] if isinstance(title, Tag) else ""
    every = soup.find_all(True)
    unseen = [each for each in every if each.attrs and _is_hidden(each)] + _by_rules(soup)
    hidden = any(not _is_gone(each) and each.get_text(strip=True) for each in unseen)
    for element in unseen:
        _take_out(element)
    for element in every:
        if _is_gone(element) or element.name not in _UNSEEN:
            continue
        if element.name == "head" and element.find(["body", *_BLOCKS]) is not None:
            element.name = "div"  # it was never closed
        else:
            element.decompose()
    for table_ in soup.find_all("table"):
        _without_layout(table_)
    for link in every:
        if _is_gone(link) or link.name != "a":
            continue
        if "href" in link.attrs and not _LINK.match(str(link["href"])):
            del link["href"]
    converter = MarkdownConverter(
        heading_style="atx", bullets="-", strip=["img"], escape_asterisks=False,
        escape_underscores=False,
    )  # fmt: skip
    try:
        text = str(converter.convert_soup(soup))
    except RecursionError:  # tags in tags in tags, with which nobody has to be patient
        text = soup.get_text("\n", strip=True)
    text = re.sub(r"\n{3,}", "\n\n", text.strip())
    return (f"# {name}\n\n{text}" if name else text), hidden


def _by_rules(soup: BeautifulSoup) -> list[Tag]:
    """What the page's own style sheets hide, as far as they are simple."""
    found: list[Tag] = []
    asked = 0
    sheets = "".join(each.get_text() for each in soup.find_all("style"))[:200_000]
    sheets = _MEDIA.sub(lambda found: found[2] if _on_screens(found[1]) else "", sheets)
    for selector, rule in _RULE.findall(sheets)[:2_000]:
        if not _hides(rule) or len(found) > 10_000 or asked >= 200:
            continue
        if re.fullmatch(r"[\w.#,>*-]+(?:\s+[\w.#,>*-]+){0,6}", selector.strip()):
            asked += 1
            try:
                found += soup.select(selector.strip(), limit=5_000)
            except (ValueError, NotImplementedError, SyntaxError):
                continue
    return found


def _on_screens(media: str) -> bool:
    """Of all widths: what is hidden on paper or on phones is not hidden."""
    return media.strip().lower() in ("all", "screen", "only screen")


def _hides(style: str) -> bool:
    return _HIDDEN.search(re.sub(r"\s+", "", style).lower()) is not None


def _is_hidden(element: Tag) -> bool:
    if "hidden" in element.attrs:
        return True
    style = str(element.get("style") or "")
    if element.name == "font" and (colour := element.get("color")):
        style = f"color:{colour};{style}"
    style = re.sub(r"\s+", "", style).lower()
    if _HIDDEN.search(style):
        return True
    if not _WHITE.search(style) or "background" in style:
        return False
    return not any(
        "background" in str(each.get("style") or "").lower()
        or each.get("bgcolor")
        or each.get("class")
        for each in (element, *element.parents)
        if isinstance(each, Tag)
    )


def _is_gone(element: Tag) -> bool:
    """As its `decomposed`, which searches all below for a tag of the name of its own attribute."""
    return bool(vars(element).get("_decomposed", False))


def _take_out(element: Tag) -> None:
    """Without what only seems to be inside, because the next of its kind ends it."""
    if _is_gone(element):
        return
    following = element.find(element.name) if element.name in _ENDS_ITSELF else None
    if isinstance(following, Tag):
        element.insert_after(following.extract())
    element.decompose()


def _without_layout(element: Tag) -> None:
    """Tables that are there to place things: their cells are paragraphs."""
    rows = [row for row in element.find_all("tr") if row.find_parent("table") is element]
    cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
    placed = element.get("role") == "presentation" or all(len(row) < 2 for row in cells)
    if placed or any(cell.find(_BLOCKS) for row in cells for cell in row):
        for each in (element, *rows, *(cell for row in cells for cell in row)):
            each.name = "div"


def _without_tags(source: str) -> str:
    source = re.sub(r"<(script|style)\b", "<\0", source, flags=re.IGNORECASE)
    pieces = source.split("<")
    words = [pieces[0]]
    skipping = False
    for piece in pieces[1:]:
        if piece.startswith("\0"):
            skipping = True
        elif skipping and piece[:7].lower().startswith(("/script", "/style")):
            skipping = False
            words.append(piece.partition(">")[2])
        elif not skipping:
            words.append(piece.partition(">")[2])
    return html.unescape(" ".join(words))
