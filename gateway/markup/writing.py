"""Runs of text, each with the formats it stands in, become markup. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gateway.markup.dialect import Dialect, Marks

_IN_ADDRESSES = r"[\w!#$%&'()*+,./:;=?@~-]"
_ADDRESS = re.compile(rf"https?://{_IN_ADDRESSES}+(?<![.,:;!?'*_~)])")
"""Nothing stands in it that any platform takes for the end of a link or the beginning of its label;
what ends the sentence around it is not part of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """One stretch in the text: two of the same kind are two formats."""

    name: str
    marks: Marks | None
    """None for a quotation that is told by a prefix."""


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    markup: str | None
    """Ready-made; None for text that is yet to be escaped."""
    formats: tuple[Format, ...]
    """The outermost first."""


def write(runs: Sequence[Run], dialect: Dialect) -> str:
    """Markup of runs."""
    if dialect.per_line:
        runs = [part for run in runs for part in _in_lines(run)]
    if dialect.words:
        runs = [run for line in _lines(runs) for run in _at_edges(line, dialect)]
    return _marked(_merged(_apart(list(runs))), dialect)


def escaped(text: str, dialect: Dialect) -> str:
    """Markup of text without formats."""
    return "\n".join(_line(line, dialect) for line in text.split("\n"))


def _line(text: str, dialect: Dialect) -> str:
    if dialect.address is None or "://" not in text:
        return dialect.escape(text) if text else ""
    written, end = [], 0
    for found in _ADDRESS.finditer(text):
        between, address = text[end : found.start()], found[0]
        end = found.end()
        if text[end : end + 1] == ")" and address.count("(") > address.count(")"):
            address, end = f"{address})", end + 1
        written += [dialect.escape(between) if between else "", dialect.address(address)]
    return "".join(written) + (dialect.escape(text[end:]) if text[end:] else "")


def _in_lines(run: Run) -> Iterator[Run]:
    """Line feeds stand in quotations, and in no other format."""
    if run.markup is not None or "\n" not in run.text:
        yield run
        return
    quotes = tuple(each for each in run.formats if each.name == "quote")
    for number, line in enumerate(run.text.split("\n")):
        if number:
            yield Run("\n", None, quotes)
        if line:
            yield replace(run, text=line)


def _lines(runs: Sequence[Run]) -> Iterator[list[Run]]:
    line: list[Run] = []
    for run in runs:
        line.append(run)
        if run.markup is None and run.text.endswith("\n"):
            yield line
            line = []
    yield line


def _at_edges(line: list[Run], dialect: Dialect) -> list[Run]:
    """The line without the formats that begin or end where marks do not count."""
    signs = {
        char
        for marks in (dialect.strong, dialect.emphasis, dialect.strike)
        if marks
        for char in marks.before + marks.after
    }
    at = 0
    while at < len(line):
        for form in line[at].formats:
            if form.name == "quote" or (at and form in line[at - 1].formats):
                continue
            end = at
            while end < len(line) and form in line[end].formats:
                end += 1
            stretch = line[at:end]
            trimmed = _trimmed(stretch, form)
            if trimmed is not stretch:
                line[at:end] = trimmed
                at -= 1  # this place is looked at again
                break
            before = line[at - 1].text[-1] if at else " "
            after = line[end].text[0] if end < len(line) else " "
            if not before.isspace() or after.isalnum() or after in signs:
                line[at:end] = [_without(run, form) for run in stretch]
        at += 1
    return line


def _trimmed(runs: list[Run], form: Format) -> list[Run]:
    """The runs with the blanks at their ends outside the format."""
    first, last = runs[0], runs[-1]
    lead = len(first.text) - len(first.text.lstrip()) if first.markup is None else 0
    outside = first.formats[: first.formats.index(form)]
    if lead:
        rest = [replace(first, text=first.text[lead:])] if first.text[lead:] else []
        return [Run(first.text[:lead], None, outside), *rest, *runs[1:]]
    body = len(last.text.rstrip()) if last.markup is None else len(last.text)
    if body < len(last.text):
        outside = last.formats[: last.formats.index(form)]
        return [
            *runs[:-1],
            replace(last, text=last.text[:body]),
            Run(last.text[body:], None, outside),
        ]
    return runs


def _without(run: Run, form: Format) -> Run:
    return replace(run, formats=tuple(each for each in run.formats if each is not form))


def _apart(runs: list[Run]) -> list[Run]:
    """The runs without the formats whose mark would run together with the one that closes there:
    ``**a***b*`` has many readings."""
    for at in range(1, len(runs)):
        before, after = runs[at - 1].formats, runs[at].formats
        kept = _common(before, after)
        if kept == min(len(before), len(after)):
            continue
        closing, opening = before[kept], after[kept]
        if closing.marks and opening.marks and _run_together(closing.marks, opening.marks):
            end = at
            while end < len(runs) and opening in runs[end].formats:
                runs[end] = _without(runs[end], opening)
                end += 1
    return runs


def _run_together(closing: Marks, opening: Marks) -> bool:
    return bool(opening.before) and closing.after.endswith(opening.before[0])


def _common(one: tuple[Format, ...], other: tuple[Format, ...]) -> int:
    """How many formats both stand in."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a is not b), min(len(one), len(other)))


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Neighbours of the same formats in one, so that an escape sees what stands together."""
    merged: list[Run] = []
    for run in runs:
        if merged and run.markup is None and merged[-1].markup is None:
            last = merged[-1]
            if last.formats == run.formats:
                merged[-1] = replace(last, text=last.text + run.text)
                continue
        merged.append(run)
    return merged


def _marked(runs: Sequence[Run], dialect: Dialect) -> str:
    written: list[str] = []
    opened: tuple[Format, ...] = ()
    fresh = True
    """Whether nothing stands in the line yet."""
    for run in runs:
        kept = _common(opened, run.formats)
        written += [each.marks.after for each in reversed(opened[kept:]) if each.marks]
        prefix = dialect.quote_prefix * sum(each.marks is None for each in run.formats)
        opening = "".join(each.marks.before for each in run.formats[kept:] if each.marks)
        markup = escaped(run.text, dialect) if run.markup is None else run.markup
        lines = (opening + markup).split("\n")
        for number, line in enumerate(lines):
            if number:
                written.append("\n")
                fresh = True
            last = number == len(lines) - 1
            if fresh and (line or not last):
                written.append(prefix)
                fresh = False
            written.append(line)
        opened = run.formats
    written += [each.marks.after for each in reversed(opened) if each.marks]
    return "".join(written)
