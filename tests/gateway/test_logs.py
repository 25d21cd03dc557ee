"""The log's sink: no secret, no forged line, no waiting."""

from __future__ import annotations

import json
import logging
import os
import pty
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as some

from gateway.logs import (
    HIDDEN,
    LONGEST,
    Diary,
    Pretty,
    Redactor,
    Sink,
    as_json,
    configure,
    printable,
)

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.fixture
def said(tmp_path: Path) -> Iterator[TextIO]:
    """A file to log into; afterwards everything is as it was."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, sys.excepthook, threading.excepthook)
    unraisable = sys.unraisablehook
    with (tmp_path / "log").open("w+") as file:
        yield file
    root.handlers[:], level, sys.excepthook, threading.excepthook = before
    root.setLevel(level)
    sys.unraisablehook = unraisable
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def _lines(file: TextIO) -> list[dict[str, Any]]:
    file.flush()
    file.seek(0)
    return [json.loads(line) for line in file.read().splitlines()]


def _fail(why: str) -> None:
    raise ValueError(why)


# --- redaction ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (f"POST https://api.telegram.org/bot{TOKEN}/getMe", TOKEN.split(":")[1]),
        (f"https://api.telegram.org/bot{TOKEN.replace(':', '%3A')}/x", TOKEN.split(":")[1]),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("redis://user:hunter2@host:6379/0", "hunter2"),
        ("redis://:hunter2@host:6379/0", "hunter2"),
        ("redis://:p@hunter2@host:6379/0", "hunter2"),
        ("GET /x?token=abcdef&y=1", "abcdef"),
        ("key sk-abcdefghijklmnopqrstuvwx is wrong", "abcdefghijklmnopqrstuvwx"),
        (f"login with {'M' * 24}.{'abcdef'}.{'q' * 38} failed", "q" * 38),
        ("xapp-1-A0123-456-abcdefabcdefabcdef", "abcdefabcdefabcdef"),
        ("syt_bW9sdHk_abcdefghijklmnop_012345", "abcdefghijklmnop"),
        ("EAAGm0PX4ZCpsBAabcdefghijklmnop", "m0PX4ZCpsBAabcdefghijklmnop"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("mgt_0123456789ab_abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_what_looks_like_a_token_is_hidden(line: str, secret: str) -> None:
    shown = Redactor()(line)

    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "line", ["first_token=0.25 max_tokens=100", "12:30:45 http://127.0.0.1:8080/x", "a: b"]
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert Redactor()(line) == line


def test_known_secrets_are_hidden_however_they_are_written() -> None:
    secret = 'p"ss\\wörd/ä b'
    redact = Redactor([secret])

    for written in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        "p%22ss%5Cw%C3%B6rd%2F%C3%A4%20b",
    ):
        assert HIDDEN in redact(f"before {written} after")
        assert "ss" not in redact(written).replace("passed", "")


def test_the_longest_of_overlapping_secrets_is_hidden_whole() -> None:
    assert Redactor(["abcdef", "abcdefghi"])("x abcdefghi y") == f"x {HIDDEN} y"


def test_secrets_are_hidden_in_tracebacks_and_in_other_libraries_lines(said: TextIO) -> None:
    configure(form="json", secrets=["open-sesame"], stream=said)
    log = structlog.get_logger("ours")

    try:
        _fail("cannot use open-sesame")
    except ValueError:
        log.exception("call_failed", url=f"https://x/bot{TOKEN}/y")
        logging.getLogger("theirs").exception("with %s", "open-sesame")
    logging.getLogger("theirs").warning("Bearer abcdefghijkl")

    ours, theirs, last = _lines(said)
    assert "ValueError: cannot use [redacted]" in ours["exception"]
    assert TOKEN not in ours["url"]
    assert theirs["event"] == f"with {HIDDEN}"
    assert "open-sesame" not in theirs["exception"]
    assert last["event"] == f"Bearer {HIDDEN}"


# --- lines --------------------------------------------------------------------------------------


def test_an_event_is_one_line_with_time_level_name_and_what_is_bound(said: TextIO) -> None:
    configure(form="json", stream=said, role="worker")

    with structlog.contextvars.bound_contextvars(message="m1"):
        structlog.get_logger().info("message_answered", ms=12)

    (line,) = _lines(said)
    assert list(line) == ["timestamp", "level", "event", "role", "ms", "message"]
    assert line["timestamp"].endswith("Z")


def test_nothing_below_the_level_is_written(said: TextIO) -> None:
    configure(level="warning", form="json", stream=said)

    structlog.get_logger().info("quiet")
    logging.getLogger("theirs").info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in _lines(said)] == ["loud"]


def test_libraries_that_tell_every_request_are_kept_to_warnings(said: TextIO) -> None:
    configure(form="json", stream=said)

    logging.getLogger("httpx").info("HTTP Request: …")

    assert _lines(said) == []


def test_warnings_and_uncaught_exceptions_go_the_same_way(said: TextIO) -> None:
    configure(form="json", stream=said)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    try:
        _fail("nobody caught it")
    except ValueError as problem:
        sys.excepthook(type(problem), problem, problem.__traceback__)

    warned, uncaught = _lines(said)
    assert "old ways" in warned["event"]
    assert uncaught["event"] == "uncaught_exception"
    assert "nobody caught it" in uncaught["exception"]


@given(some.text())
def test_no_text_forges_a_line_or_steers_a_terminal(text: str) -> None:
    pretty = Pretty(colours=False)({"event": text, "who": text, "level": "info", "timestamp": ""})

    assert len(pretty.splitlines()) == 1
    assert "\x1b" not in pretty
    assert len(as_json({"event": text}).split("\n")) == 1


def test_a_traceback_on_a_terminal_stands_below_its_line() -> None:
    shown = Pretty(colours=False)(
        {"event": "failed", "level": "error", "timestamp": "", "exception": "one\n\x1b[2Jtwo"}
    )

    assert shown.splitlines()[1:] == ["    one", "    \\x1b[2Jtwo"]


def test_escapes_are_visible() -> None:
    assert printable("a\nb\tc\x1bd\u2028") == "a\\nb\\tc\\x1bd\\u2028"


def test_overlong_lines_are_cut(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        Sink(file.fileno()).line("x" * (LONGEST + 5))

    line = (tmp_path / "log").read_text()
    assert line.endswith("characters cut]\n")
    assert len(line) < LONGEST


def test_no_half_of_a_secret_is_left_where_a_line_is_cut(tmp_path: Path) -> None:
    secret = "Canary-" + "9f8e7d6c" * 20
    with (tmp_path / "log").open("wb") as file:
        sink = Sink(file.fileno(), Redactor([secret]))
        for before in range(LONGEST - len(secret) - 20, LONGEST + 5, 7):
            sink.line("x " * (before // 2) + secret + " y" * 5000)

    assert "Canary" not in (tmp_path / "log").read_text()


# --- never waiting ------------------------------------------------------------------------------


def test_a_full_pipe_costs_lines_and_says_how_many() -> None:
    reading, writing = os.pipe()
    sink = Sink(writing)

    for number in range(5000):
        sink.line(f"{number} " + "x" * 100)
    lost = sink.lost
    assert lost > 1000

    first = os.read(reading, 1 << 20)
    sink.line("after")

    rest = os.read(reading, 1 << 20)
    lines = (first + rest).decode().splitlines()
    assert json.loads(lines[-2]) == {
        "event": "log_lines_dropped",
        "level": "warning",
        "count": lost,
    }
    assert lines[-1] == "after"
    kept = [line for line in lines[:-2] if line.endswith("x" * 100)]
    assert len(kept) == len(lines) - 2 == 5000 - lost
    os.close(reading)
    os.close(writing)


def test_whoever_shares_the_pipe_is_not_made_non_blocking() -> None:
    reading, writing = os.pipe()

    Sink(writing).line("hello")

    assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


def test_long_lines_into_a_slow_pipe_never_mix() -> None:
    reading, writing = os.pipe()
    sink = Sink(writing)
    for number in range(100):
        sink.line(f"{number:03}" + "y" * 9000 + "end")
    os.set_blocking(reading, False)
    found = b""
    for _ in range(50):
        found += os.read(reading, 5000)
        sink.line("z" * 6000 + "end")
    with suppress(BlockingIOError):
        while chunk := os.read(reading, 65536):
            found += chunk

    whole = found.decode().split("\n")[:-1]
    assert all(line.endswith("end") or "log_lines_dropped" in line for line in whole)
    assert all(line.count("end") == 1 for line in whole if "log_lines" not in line)
    os.close(reading)
    os.close(writing)


def test_a_reader_that_is_gone_harms_nobody() -> None:
    reading, writing = os.pipe()
    sink = Sink(writing)
    os.close(reading)

    sink.line("into the void")

    assert sink.lost == 1
    os.close(writing)


def test_a_socket_is_written_without_waiting() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    sink = Sink(ours.fileno())
    ours.setblocking(True)

    for _ in range(20000):
        sink.line("x" * 100)

    assert sink.lost > 0
    assert theirs.recv(10).startswith(b"xxx")
    sink.close()
    ours.close()
    theirs.close()


def test_a_terminal_gets_colours_and_a_pipe_gets_json() -> None:
    script = (
        "import structlog; from gateway.logs import configure; configure();"
        "structlog.get_logger().info('hello_said', to='ada')"
    )
    piped = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    above, below = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=below, check=True)
    shown = os.read(above, 4096).decode()
    os.close(above)
    os.close(below)

    assert json.loads(piped.stderr)["event"] == "hello_said"
    assert "\x1b[32m" in shown
    assert "hello_said" in shown
    assert "to=ada" in shown


def test_a_stopped_reader_does_not_stop_the_writer() -> None:
    script = (
        "import sys, structlog; from gateway.logs import configure; configure(form='json');"
        "log = structlog.get_logger();"
        "[log.info('said', text='x' * 200) for _ in range(5000)];"
        "print('through', flush=True)"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None  # standard error is never read
    assert running.stdout.readline() == b"through\n"
    running.communicate()


def test_the_small_logger_writes_the_same_lines(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as file:
        Diary(Sink(file), as_json, role="run").warning("role_ended", status=3)
        (line,) = _lines(file)

    assert {"level": "warning", "event": "role_ended", "role": "run", "status": 3}.items() <= (
        line.items()
    )
