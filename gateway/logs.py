"""What is written down, and what never is.

Every line goes through one sink: ours, other libraries', tracebacks and warnings alike. There,
known secrets and whatever looks like one are blotted out, control characters are escaped, and a
reader that does not keep up costs lines (they are counted), never time.

The supervisor uses the sink through `Diary` alone; structlog is imported by `configure` only.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote

Format = Literal["auto", "pretty", "json"]
Level = Literal["debug", "info", "warning", "error"]

HIDDEN = "[redacted]"
LONGEST = 16 * 1024
"""Characters of one line; the rest is cut."""
_OVERLAP = 2048
"""Longer than most secrets: signed tokens reach a kilobyte or two."""

_TOKENS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<!\d)(\d{5,}(?::|%3A))[A-Za-z0-9_-]{30,}", re.I), rf"\1{HIDDEN}"),  # Telegram
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.I), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^\s/:@\"']*:)[^\s/\"']+@"), rf"\1{HIDDEN}@"),  # the last @ ends it
    (re.compile(r"([?&](?:token|key|api_key|secret|password|code|ticket)=)[^\s&\"'#]+", re.I),
     rf"\1{HIDDEN}"),
    (re.compile(r"\b[MNO][A-Za-z\d_-]{23,27}\.[\w-]{6}\.[\w-]{27,}"), HIDDEN),  # Discord
    (re.compile(r"\b(sk-|xox[a-z]-|xapp-|syt_|whsec_|EAA|gh[pousr]_|hf_|mgt_)[A-Za-z0-9_+/=-]{16,}"),
     rf"\1{HIDDEN}"),
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]|[\t\n]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_QUIET = (
    "markdown_it",
    "httpx",
    "httpcore",
    "telegram",
    "discord",
    "slack_sdk",
    "nio",
    "peewee",
    "slixmpp",
    "aioimaplib",
    "aiosmtplib",
    "aiohttp.access",
    "hpack",
    "apscheduler",
    "asyncio",
)
_LEVELS: Mapping[str, int] = logging.getLevelNamesMapping()


class Redactor:
    """Takes secrets out of finished lines: known values, and what looks like a token."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secrets)
        self._known = _alternation(self._secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Take these out as well from now on."""
        self._secrets |= frozenset(secrets)
        self._known = _alternation(self._secrets)

    def __call__(self, line: str) -> str:
        if self._known is not None:
            line = self._known.sub(HIDDEN, line)
        for pattern, instead in _TOKENS:
            line = pattern.sub(instead, line)
        return line


def _alternation(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms: set[str] = set()
    for secret in secrets:
        if secret:
            escaped = json.dumps(secret)[1:-1]
            visible = json.dumps(secret, ensure_ascii=False)[1:-1]
            forms |= {secret, escaped, visible, quote(secret, safe=""), quote(secret)}
            forms |= {repr(secret)[1:-1], printable(secret)}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


class Sink:
    """Writes whole lines to a descriptor and never waits for its reader.

    What does not fit is dropped and counted; the count is written as a line of its own as soon as
    there is room again. Pipes and terminals are opened a second time for this, so that nobody who
    shares them finds them in non-blocking mode.
    """

    def __init__(
        self, stream: TextIO | int, redact: Callable[[str], str] = str, *, note: str = ""
    ) -> None:
        self._redact = redact
        self._note = (
            note or '{{"event": "log_lines_dropped", "level": "warning", "count": {count}}}'
        )
        self._guard = threading.RLock()
        self._rest = b""
        self.dropped = 0
        """Lines lost since the last note about it."""
        self.lost = 0
        """Lines lost in all."""
        self._socket: socket.socket | None = None
        self._own = False
        self._fd = stream if isinstance(stream, int) else stream.fileno()
        self._open()

    def line(self, text: str) -> None:
        """Redact and write one finished line (a terminal's traceback may bring further ones)."""
        if len(text) <= LONGEST:
            self.raw(self._redact(text))
            return
        # A secret that the first cut went through is not recognised: the second one drops it.
        kept = self._redact(text[:LONGEST])[:-_OVERLAP]
        self.raw(f"{kept}… [{len(text) - LONGEST + _OVERLAP} characters cut]")

    def raw(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        with self._guard:
            if (
                not self._finish_begun()
                or (self.dropped and not self._say_dropped())
                or not self._begin(data)
            ):
                self._drop()

    def _drop(self) -> None:
        self.dropped += 1
        self.lost += 1

    def _say_dropped(self) -> bool:
        note = self._note.format(count=self.dropped).encode() + b"\n"
        said = self._begin(note) and not self._rest
        self.dropped = 0 if said else self.dropped
        return said

    def _finish_begun(self) -> bool:
        """Whether no line is half written any more."""
        rest, self._rest = self._rest, b""
        return not rest or (self._begin(rest) and not self._rest) or self._keep(rest)

    def _keep(self, rest: bytes) -> bool:
        self._rest = self._rest or rest
        return False

    def _begin(self, data: bytes) -> bool:
        """Whether any of it went out. What did not fit is kept, to be finished first."""
        written = 0
        try:
            while written < len(data):
                written += self._write(data[written:])
        except BlockingIOError:
            self._rest = data[written:] if written else b""
            return written > 0
        except OSError:
            return False  # the reader is gone or the disk is full: the gateway goes on
        return True

    def close(self) -> None:
        """Give up what was opened for writing; the stream itself stays as it is."""
        if self._socket is not None:
            self._socket.close()
        if self._own:
            os.close(self._fd)
            self._own = False

    def _write(self, data: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return os.write(self._fd, data)

    def _open(self) -> None:
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(self._fd))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            with suppress(OSError):  # no /proc, or not ours to open: then as it is
                self._fd = os.open(f"/proc/self/fd/{self._fd}", flags)
                self._own = True


def printable(text: str, *, lines: bool = False) -> str:
    """Control characters escaped, so that no text can forge a line or steer a terminal."""
    pattern = _CONTROL_BUT_LINES if lines else _CONTROL
    return pattern.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(
        code, f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


Render = Callable[[Mapping[str, Any]], str]
"""One event with ``timestamp``, ``level``, ``event`` and what else was said, as a line."""


def as_json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


class Pretty:
    """For people: time, level, event, then the rest as ``name=value``; tracebacks below."""

    _COLOURS: Mapping[str, str] = {"debug": "2", "info": "32", "warning": "33", "error": "31"}

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, event: Mapping[str, Any]) -> str:
        rest = dict(event)
        at = str(rest.pop("timestamp", ""))[11:23]
        level = str(rest.pop("level", "info"))
        name = printable(str(rest.pop("event", "")))
        trace = rest.pop("exception", "")
        pairs = " ".join(f"{printable(str(key))}={_shown(value)}" for key, value in rest.items())
        label = f"{level:<7}"
        if self._colours:
            label = f"\x1b[{self._COLOURS.get(level, '1;31')}m{label}\x1b[0m"
            pairs = f"\x1b[2m{pairs}\x1b[0m" if pairs else ""
        line = f"{at} {label} {name}{' ' if pairs else ''}{pairs}"
        if not trace:
            return line
        below = printable(str(trace), lines=True).replace("\n", "\n    ")
        return f"{line}\n    {below}"


def _shown(value: Any) -> str:
    text = str(value)
    if not text or re.search(r"[\s\"=]", text):
        text = json.dumps(text, ensure_ascii=False)
    return printable(text)


def renderer(form: Format, stream: TextIO) -> Render:
    if form == "json" or (form == "auto" and not stream.isatty()):
        return as_json
    return Pretty(colours=stream.isatty() and "NO_COLOR" not in os.environ)


class Diary:
    """A logger of four lines, for processes that must stay small."""

    def __init__(self, sink: Sink, render: Render, **bound: object) -> None:
        self._sink = sink
        self._render = render
        self._bound = bound

    def rendered(self, render: Render) -> None:
        """From now on with this look."""
        self._render = render

    def info(self, event: str, **said: object) -> None:
        self._say("info", event, said)

    def warning(self, event: str, **said: object) -> None:
        self._say("warning", event, said)

    def error(self, event: str, **said: object) -> None:
        self._say("error", event, said)

    def _say(self, level: str, event: str, said: Mapping[str, object]) -> None:
        line = {"timestamp": _now(), "level": level, "event": event, **self._bound, **said}
        self._sink.line(self._render(line))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configure(
    *,
    level: Level = "info",
    form: Format = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO = sys.stderr,
    **bound: object,
) -> Sink:
    """Send structlog, `logging`, warnings and uncaught exceptions of this process to the sink.

    `bound` stands on every line, e.g. ``role="worker"``. May be called again.
    """
    import structlog

    sink = Sink(stream, Redactor(secrets))
    render = renderer(form, stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            _Finish(render, bound),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=lambda *_: _ToSink(sink),
        cache_logger_on_first_use=False,
    )
    _take_over_logging(_LEVELS[level.upper()], _FromLogging(sink, render, bound))
    _take_over_hooks()
    return sink


def configure_command(redact: Redactor, stream: TextIO = sys.stderr) -> None:
    """For commands, which show results and not a log: warnings and what nobody caught, redacted.

    Leaves structlog alone, which takes too long to import for ``--help``: see `structlog_too`.
    """
    handler = _FromLogging(Sink(stream, redact), Pretty(colours=False), {})
    _take_over_logging(logging.WARNING, handler)
    _take_over_hooks()


def structlog_too() -> None:
    """Our own loggers go where `logging` goes; by itself structlog prints to standard output."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


class _Finish:
    """Last processor: time and order, then one string."""

    def __init__(self, render: Render, bound: Mapping[str, object]) -> None:
        self._render = render
        self._bound = bound

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        name, level = event.pop("event", ""), event.pop("level", "info")
        return self._render(
            {"timestamp": _now(), "level": level, "event": name, **self._bound, **event}
        )


class _ToSink:
    """What structlog writes to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def msg(self, line: str) -> None:
        self._sink.line(line)

    debug = info = warning = warn = error = critical = fatal = exception = log = failure = msg


class _FromLogging(logging.Handler):
    def __init__(self, sink: Sink, render: Render, bound: Mapping[str, object]) -> None:
        super().__init__()
        self._sink = sink
        self._render = render
        self._bound = bound

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = f"{record.msg} {record.args!r}"
        event: dict[str, Any] = {
            "timestamp": _now(),
            "level": record.levelname.lower(),
            "event": message,
            **self._bound,
            "logger": record.name,
        }
        if record.exc_info:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        self._sink.line(self._render(event))


def _take_over_logging(level: int, handler: logging.Handler) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        if type(old) in (logging.StreamHandler, _FromLogging):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _take_over_hooks() -> None:
    last = logging.getLogger("moltgate")

    def uncaught(
        kind: type[BaseException], problem: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, problem, trace)
            return
        last.critical("uncaught_exception", exc_info=(kind, problem, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            last.critical(
                "uncaught_exception_in_thread",
                exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
            )

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            last.error(
                "exception_ignored", exc_info=(args.exc_type, args.exc_value, args.exc_traceback)
            )

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
