"""The bytes of a mail are cut into headers and parts, in one pass and within limits.

The standard library's parser recurses, copies, and takes seconds for some inputs; here a mail that
is beyond the limits is refused before anything of it is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from adapters.email.reading.mail import Limits, Unreadable
from adapters.email.reading.words import decode

Header = tuple[str, str]

_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+(?=[ \t]*:)")
_REST = re.compile(rb"(--)?[ \t]{0,80}\r?(?:\n|\Z)")
_LONGEST_BOUNDARY = 200  # 70 by the standard
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")


@dataclass(slots=True)
class Part:
    """A part of a mail; the mail itself is the outermost."""

    headers: list[Header]
    type: str
    """Lower case, e.g. ``text/plain``."""
    begin: int
    end: int
    """Where its content stands in the mail's bytes."""
    boundary: str = ""
    parts: list[Part] = field(default_factory=list)

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known == name), "")

    def parameter(self, name: str, header: str = "content-type") -> str:
        """A parameter in whatever way it was cut and encoded (RFC 2231)."""
        return parameter(self.header(header), name)

    @property
    def disposition(self) -> str:
        return self.header("content-disposition").partition(";")[0].strip().lower()

    @property
    def encoding(self) -> str:
        return self.header("content-transfer-encoding").strip().lower()

    def walk(self) -> Iterator[Part]:
        yield self
        for part in self.parts:
            yield from part.walk()


def parameter(value: str, name: str) -> str:
    if "=" not in value:
        return ""
    message = Message()
    message["x"] = value
    try:
        found = message.get_param(name, header="x")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""  # what the standard library does with numbers and charsets that are none
    if isinstance(found, tuple):
        charset, _, text = found
        return decode(text.encode("latin-1", "replace"), charset or "")
    return found if isinstance(found, str) else ""


def cut(raw: bytes, limits: Limits) -> Part:
    """The mail's parts as they lie in its bytes. Raises `Unreadable` beyond the limits."""
    if len(raw) > limits.size:
        raise Unreadable("larger than the limit")
    return _Cutter(raw, limits).part(0, len(raw), 0, "text/plain")


class _Cutter:
    def __init__(self, raw: bytes, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._parts = 0
        self._block = 0
        self._headers = 0

    def part(self, begin: int, end: int, depth: int, default: str) -> Part:
        self._parts += 1
        if self._parts > self._limits.parts + 1:
            raise Unreadable("too many parts")
        headers, body = self._head(begin, end)
        part = Part(headers=headers, type="", begin=body, end=end)
        part.type = _media_type(part.header("content-type"), default)
        if part.type.startswith("multipart/"):
            part.boundary = part.parameter("boundary")
            self._cut_children(part, depth)
        return part

    def _head(self, begin: int, end: int) -> tuple[list[Header], int]:
        """The headers and where the body begins. A line that is no header ends them."""
        raw, limits = self._raw, self._limits
        room = min(end, begin + limits.block + 2)
        found: list[list[bytes]] = []
        at = begin
        while at < end:
            stop = raw.find(b"\n", at, room)
            if stop < 0:
                if room < end:
                    raise Unreadable("headers larger than the limit")
                stop = end
            line = raw[at:stop].removesuffix(b"\r")
            if not line:
                at = min(stop + 1, end)
                break
            if line[0] in b" \t":
                if found:
                    found[-1].append(line)
            elif _NAME.match(line):
                found.append([line])
            elif not (at == begin and line.startswith((b"From ", b">From "))):
                break
            at = min(stop + 1, end)
        self._count(found, at - begin)
        return [_header(lines) for lines in found], at

    def _count(self, found: list[list[bytes]], size: int) -> None:
        limits = self._limits
        self._block += size
        if size > limits.block or self._block > 2 * limits.block:
            raise Unreadable("headers larger than the limit")
        if len(found) > limits.headers:
            raise Unreadable("too many headers")
        if any(sum(len(line) + 2 for line in lines) > limits.header for lines in found):
            raise Unreadable("a header larger than the limit")

    def _cut_children(self, part: Part, depth: int) -> None:
        boundary = part.boundary.rstrip().encode("utf-8", "replace")
        if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
            return
        if depth >= self._limits.depth:
            raise Unreadable("parts nested too deep")
        default = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
        for begin, end in _between(self._raw, part.begin, part.end, boundary):
            part.parts.append(self.part(begin, end, depth + 1, default))


def _between(raw: bytes, begin: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Where the parts lie between the boundary's lines; the last may lack its end."""
    mark, since, at = b"--" + boundary, -1, begin
    while (at := raw.find(mark, at, end)) >= 0:
        found = _REST.match(raw, at + len(mark), end)
        if found is None or (at > begin and raw[at - 1] != 0x0A):
            at += len(mark)
            continue
        if since >= 0:
            yield since, max(since, _before_line_end(raw, at))
        if found[1]:
            return
        at = since = found.end()
    if since >= 0:
        yield since, end


def _before_line_end(raw: bytes, at: int) -> int:
    """The line end before a boundary belongs to the boundary."""
    if at and raw[at - 1] == 0x0A:
        at -= 1
        if at and raw[at - 1] == 0x0D:
            at -= 1
    return at


def _header(lines: list[bytes]) -> Header:
    name, _, value = b"".join(lines).partition(b":")
    text = decode(value.replace(b"\x00", b"")).replace("\r", " ").replace("\n", " ").strip()
    return name.strip().decode("ascii").lower(), text


def _media_type(value: str, default: str) -> str:
    found = value.partition(";")[0].strip().lower()
    if _TYPE.fullmatch(found):
        return found
    return default if not found else "text/plain"
