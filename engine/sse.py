"""Server-sent events from bytes, however the network cut them up. No waiting, bounded memory.

Follows the HTML standard's event stream: any mix of line ends, comments, data of several lines,
a byte order mark at the start. Text is left as bytes, so that a character cut in two is whole
again before anybody decodes it.
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    data: bytes
    name: bytes = b""
    id: bytes = b""


class TooLarge(ValueError):
    """A line or an event went beyond its limit."""


class EventStream:
    """Feed it bytes as they come, take events as they become complete."""

    def __init__(self, *, line_limit: int = 2**20, event_limit: int = 2**20) -> None:
        self._line_limit = line_limit
        self._event_limit = event_limit
        self._partial = bytearray()
        self._after_cr = False
        self._fresh = True
        self._data: bytes | None = None
        self._name = b""
        self._id = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events completed by these bytes. Raises `TooLarge`."""
        if self._after_cr:
            if not chunk:
                return []
            self._after_cr = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
        lines = self._lines(chunk)
        events: list[Event] = []
        for line in lines:
            if not line:
                if self._data is not None:
                    events.append(Event(self._data, self._name, self._id))
                    self._data = None
                self._name = b""
            elif line.startswith(b"data:"):
                self._append(line[6:] if line[5:6] == b" " else line[5:])
            else:
                self._field(line)
        return events

    def pending(self) -> bytes:
        """What came after the last complete event: the data of an event without its blank line.

        To be asked once, at the end of the stream.
        """
        if self._partial:
            last = bytes(self._partial)
            self._partial.clear()
            if last.startswith(b"data:"):
                self._append(last[6:] if last[5:6] == b" " else last[5:])
            elif not last.startswith(b":"):
                self._append(last)
        return self._data or b""

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._partial:
            self._partial += chunk
            if b"\n" not in chunk and b"\r" not in chunk:
                self._check(len(self._partial))
                return []
            chunk = bytes(self._partial)
            self._partial.clear()
        lines = chunk.splitlines()
        if chunk.endswith(b"\r"):
            self._after_cr = True
        elif lines and not chunk.endswith(b"\n"):
            self._partial += lines.pop()
            self._check(len(self._partial))
        if len(chunk) > self._line_limit:
            self._check(max(map(len, lines), default=0))
        if self._fresh and lines:
            self._fresh = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def _check(self, length: int) -> None:
        if length > self._line_limit:
            raise TooLarge(f"a line of more than {self._line_limit} bytes")

    def _append(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        self._data += b"\n" + value
        if len(self._data) > self._event_limit:
            raise TooLarge(f"an event of more than {self._event_limit} bytes")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._append(value)
        elif name == b"event":
            self._name = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
