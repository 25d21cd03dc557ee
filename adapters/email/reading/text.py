"""HTML becomes text, and what somebody wrote now is told from what they quote.

Runs in the reading child only. The patterns are not ours and some inputs make them slow: each step
has a share of the CPU, after which the text is taken as it is.
"""

from __future__ import annotations

import html
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import TypeVar

from bs4 import BeautifulSoup, Tag
from bs4.exceptions import ParserRejectedMarkup
from mailparser_reply.constants import MAIL_LANGUAGES  # type: ignore[import-untyped]
from mailparser_reply.parser import EmailMessage  # type: ignore[import-untyped]
from markdownify import MarkdownConverter

_T = TypeVar("_T")

_HTML = 600_000
"""Characters of HTML that are read; mails of more are made by programs."""
_LINES = 3_000
_LINE = 240
"""What the patterns see of a text: so many lines, so much of each."""

_HIDDEN = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|opacity:0(?:\.0+)?(?:;|$|!)"
    r"|font-size:0(?:\.0+)?(?:px|pt|em|rem|%)?(?:;|$|!)|(?:max-)?(?:height|width):0(?:px)?(?:;|$|!)"
)
_UNSEEN = ["title", "template", "noframes", "script", "style"]
_ENDS_ITSELF = frozenset("p li td th tr dd dt option".split())
_BLOCKS = ["table", "p", "div", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "hr"]


_BREAKS = (
    ParserRejectedMarkup,
    RecursionError,
    MemoryError,
    AssertionError,
    AttributeError,
    LookupError,
    ValueError,
    TypeError,
)


class _Slow(Exception):
    pass


def shared(
    step: Callable[[], _T], otherwise: Callable[[], _T], *, seconds: float = 0.4
) -> tuple[_T, bool]:
    """What `step` gives, or `otherwise` and True when that takes so many seconds of CPU or
    breaks: the libraries were not written against inputs that are made to break them."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _Slow

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        try:
            return step(), False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
    except (_Slow, *_BREAKS):
        return otherwise(), True


def tidy(text: str) -> str:
    """Line feeds only, no blanks at line ends, at most two empty lines in a row."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\x00", "")
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n")


def from_html(source: str) -> tuple[str, bool]:
    """What people see of it, links as Markdown; and whether that took too long, so that only the
    tags were taken away."""
    source = source[:_HTML]
    text, slow = shared(lambda: _markdown(source), lambda: _without_tags(source), seconds=0.9)
    return tidy(text), slow


def _markdown(source: str) -> str:
    soup = BeautifulSoup(source, "html.parser")
    for element in soup.find_all(_UNSEEN):
        element.decompose()
    for element in [each for each in soup.find_all(True) if _is_hidden(each)]:
        _take_out(element)
    for table in soup.find_all("table"):
        _without_layout(table)
    converter = MarkdownConverter(
        heading_style="atx", bullets="-", strip=["img"], escape_asterisks=False,
        escape_underscores=False,
    )  # fmt: skip
    return str(converter.convert_soup(soup))


def _is_hidden(element: Tag) -> bool:
    """What its author made invisible: there for filters and robots, not for readers."""
    if "hidden" in element.attrs:
        return True
    style = re.sub(r"\s+", "", str(element.attrs.get("style") or "")).lower()
    return _HIDDEN.search(style) is not None


def _take_out(element: Tag) -> None:
    """Without what only seems to be inside, because the next of its kind ends it."""
    if element.decomposed:
        return
    following = element.find(element.name) if element.name in _ENDS_ITSELF else None
    if following is not None:
        element.insert_after(following.extract())
    element.decompose()


def _without_layout(table: Tag) -> None:
    """Most tables of mails are there to place things: their cells are paragraphs."""
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
    placed = table.get("role") == "presentation" or all(len(row) < 2 for row in cells)
    if placed or any(cell.find(_BLOCKS) for row in cells for cell in row):
        for element in (table, *rows, *(cell for row in cells for cell in row)):
            element.name = "div"


def _without_tags(source: str) -> str:
    first, *rest = source.split("<")
    return html.unescape(first + " ".join(piece.partition(">")[2] for piece in rest))


def unflow(text: str, *, delete_space: bool) -> str:
    """Lines that a program broke are joined again (RFC 3676)."""
    lines: list[str] = []
    open_depth = -1
    for line in text.replace("\r\n", "\n").split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        flows = content.endswith(" ") and content != "-- "
        if flows and delete_space:
            content = content[:-1]
        if open_depth == depth and content != "-- ":
            lines[-1] += content
        else:
            lines.append(">" * depth + (" " if depth else "") + content)
        open_depth = depth if flows else -1
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Said:
    """A text, told apart. Each may be several lines; `text` is never empty unless all is."""

    text: str
    quoted: str = ""
    signature: str = ""


def tell_apart(text: str, *, forwarded: bool = False) -> tuple[Said, bool]:
    """What is new in it, and whether that took too long to tell.

    `forwarded`: it hands on what somebody else wrote, which then is no history but the matter.
    """
    return shared(lambda: _apart(text.split("\n"), forwarded), lambda: Said(text))


def _apart(lines: list[str], forwarded: bool) -> Said:
    begin, kind = _history(lines)
    head, rest = lines[:begin], lines[begin:]
    if rest and (forwarded or kind == "forward"):
        return Said("\n".join(lines).strip("\n"))
    new, quoted = _unquoted(head)
    signature: list[str] = []
    if rest and kind == "wrote":
        below, history = _answers_below(rest)
        quoted += history
        new, signature = _without_signature(new)
        below, another = _without_signature(below)
        new += ["", *below] if below else []
        signature += another
    else:
        quoted += rest
        new, signature = _without_signature(new)
    said = "\n".join(new).strip("\n")
    if not said.strip():
        return Said("\n".join(lines).strip("\n"))
    return Said(
        re.sub(r"\n{4,}", "\n\n\n", said),
        "\n".join(quoted).strip("\n"),
        "\n".join(signature).strip("\n"),
    )


_FORWARD = re.compile(
    r"[-=\s*>]*(?:begin forwarded message|forwarded message|weitergeleitete nachricht"
    r"|anfang der weitergeleiteten|message transféré|mensaje reenviado|messaggio inoltrato"
    r"|doorgestuurd bericht|videresendt meddelelse|vidarebefordrat|转发|転送)",
    re.IGNORECASE,
)
_RULE = re.compile(r"[-_]{20,}")
_FIELD = re.compile(r"[*\s>]*[^\W\d_][^\W\d_ ]{0,20}(?: [^\W\d_]{1,20})?[ \xa0]?[:\uff1a]")


def _history(lines: list[str]) -> tuple[int, str]:
    """The line where history begins, and how it is introduced; the last line when there is none."""
    seen = [" ".join(line.split())[:_LINE] for line in lines[:_LINES]]
    marked = _introduced_by_marks(seen)
    text = "\n".join("" if _RULE.fullmatch(line) else line for line in seen)
    for found in _introductions().finditer(text):
        words = found[0].strip("\n ")
        first = text.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip("\n ")))
        if first >= marked:
            break
        fields = sum(_FIELD.match(line) is not None for line in words.split("\n"))
        if words.endswith((":", "\uff1a")) and "\n\n" not in words and fields < 2:
            # A line like "On Monday she wrote:" is not always one that a program put there.
            if re.search(r"\d", words):
                return first, "wrote"
        elif fields >= 3 or "original message" in words.lower():
            return _with_rule(seen, first)
    return (marked, "wrote") if marked < len(seen) else (len(lines), "")


def _introduced_by_marks(seen: list[str]) -> int:
    """In whatever language: a date, perhaps over two lines, a colon, and then what is quoted."""
    for number, line in enumerate(seen):
        if not line.startswith(">"):
            continue
        above = number - 1
        while above >= 0 and not seen[above] and number - above <= 2:
            above -= 1
        if above < 0 or not seen[above].endswith((":", "\uff1a")):
            continue
        if re.search(r"\d", seen[above]):
            return above
        if above and re.search(r"\d", seen[above - 1]):
            return above - 1
    return len(seen)


def _with_rule(seen: list[str], first: int) -> tuple[int, str]:
    """The rule or title above the fields belongs to them."""
    above = first
    while above and (not seen[above - 1] or _RULE.fullmatch(seen[above - 1])):
        above -= 1
    if above and _FORWARD.match(seen[above - 1]):
        return above - 1, "forward"
    if above and seen[above - 1].startswith("---"):
        return above - 1, "fields"
    return (above if above != first else first), "fields"


@cache
def _introductions() -> re.Pattern[str]:
    languages = [name for name in MAIL_LANGUAGES if name != "david"]
    pattern: re.Pattern[str] = EmailMessage("", languages).HEADER_REGEX
    return pattern


def _unquoted(lines: list[str]) -> tuple[list[str], list[str]]:
    new = [line for line in lines if not line.startswith(">")]
    return new, [line for line in lines if line.startswith(">")]


def _answers_below(rest: list[str]) -> tuple[list[str], list[str]]:
    """Some answer below or between what they quote. Where nothing is marked as quoted, all is."""
    first = next((number for number, line in enumerate(rest) if line.startswith(">")), None)
    if first is None or first > 4:
        return [], rest
    new, quoted = _unquoted(rest[first:])
    return new, rest[:first] + quoted


_SIGNATURE_LINES = 12


def _without_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """A signature stands at the end. Without its ``--`` line it is short and begins with one of the
    known closings, alone on its line."""
    for number, line in enumerate(lines):
        if line in ("--", "-- "):
            return lines[:number], lines[number:]
    filled = [number for number, line in enumerate(lines) if line.strip()]
    for number in filled[-_SIGNATURE_LINES:]:
        if number != filled[0] and _closings().fullmatch(lines[number].strip()):
            return lines[:number], lines[number:]
    return lines, []


@cache
def _closings() -> re.Pattern[str]:
    greetings: list[str] = []
    programs: list[str] = []
    for name, patterns in MAIL_LANGUAGES.items():
        found = patterns.get("signatures", [])
        greetings += [each for each in found if not each.startswith("/")]
        if name != "david" and patterns.get("sent_from"):
            programs.append(patterns["sent_from"])
    return re.compile(
        rf"(?:{'|'.join(greetings)})[\s,.!]{{0,3}}|(?:{'|'.join(programs)})[^\n]{{0,60}}",
        re.IGNORECASE,
    )
