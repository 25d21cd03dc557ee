"""A program that gets text and gives sound: bounded in what it says and how long it takes."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from multimodal.errors import NotSetUp, Unreadable

SAID = 4_000
"""Bytes of what a program complains that are kept."""

_PIECE = 2**16
_NOT_THEIRS = ("MOLTGATE", "REDIS", "CELERY", "TOKEN", "SECRET", "PASSWORD", "API_KEY")


class Failed(Exception):
    """The program ended with an error; the text is what it said."""


def run(
    command: Sequence[str], text: str, *, seconds: float, most: int, remedy: str
) -> tuple[bytes, str]:
    """What it wrote, and what it complained. Raises `NotSetUp` where the program is missing,
    `Unreadable` when it takes too long or writes too much, `Failed`."""
    path = shutil.which(command[0])
    if path is None:
        raise NotSetUp(f"{command[0]} is not installed", remedy)
    try:
        process = subprocess.Popen(
            [path, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(os.environ),
            bufsize=0,
            start_new_session=True,  # so that its children can be ended with it
        )
    except OSError as problem:
        raise NotSetUp(f"{command[0]} cannot be started", str(problem)) from problem
    with process:
        try:
            made, said = _talk(process, text.encode(), seconds, most)
            ended = process.poll()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    words = said.decode(errors="replace").strip()
    if ended or (ended is None and not made):  # one that stays when all is said may be ended
        raise Failed(words or f"it ended with {process.returncode}")
    return made, words


def _talk(
    process: subprocess.Popen[bytes], text: bytes, seconds: float, most: int
) -> tuple[bytes, bytes]:
    """Ends when the program hung up on both sides."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    until = time.monotonic() + seconds
    made, said = bytearray(), bytearray()
    rest = memoryview(text)
    with selectors.DefaultSelector() as selector:
        for each in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(each.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        listening = 2
        while listening:
            left = until - time.monotonic()
            if left <= 0:
                raise Unreadable("speaking it takes too long")
            for key, _ in selector.select(left):
                pipe = cast(IO[bytes], key.fileobj)
                if pipe is process.stdin:
                    rest = _write(pipe, rest)
                    if not rest:
                        selector.unregister(pipe)
                        pipe.close()
                    continue
                piece = os.read(pipe.fileno(), _PIECE)
                if not piece:
                    selector.unregister(pipe)
                    listening -= 1
                elif pipe is process.stderr:
                    said += piece[: SAID - len(said)]
                else:
                    made += piece
                    if len(made) > most:
                        raise Unreadable("its speech is too long")
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, until - time.monotonic()))
    return bytes(made), bytes(said)


def _write(pipe: IO[bytes], rest: memoryview) -> memoryview:
    """What is still to be written; nothing when the program does not want to hear more."""
    try:
        return rest[os.write(pipe.fileno(), rest[:_PIECE]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Without what looks like a secret of ours."""
    return {
        name: value
        for name, value in ours.items()
        if not any(word in name.upper() for word in _NOT_THEIRS)
    }
