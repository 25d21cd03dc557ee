"""Files of strangers are unpacked in a child process that can do nothing else.

    with Confined("multimodal.confined.pictures", memory=768 * 2**20, cpu=20, wall=60) as pictures:
        seen = pictures.call("look", content, pixels=50_000_000, side=1568)

The child opens no files, sockets or processes, knows no environment, may use so much memory and
CPU, and ends with its parent. It is started at the first call, serves one call after another, and
is replaced when a file broke it or was too much for it.

What runs there: a module with `warm_up()`, which loads and touches everything that is needed later
(afterwards nothing can be opened: import what a library imports late, decode one of each format),
and functions `def name(content: bytes, **options)`. They return what msgpack can say (None, bool,
int, float, str, bytes, list, dict), or yield bytes for `stream`; they raise `Unreadable`. Of any
other exception the user is told that the file is damaged, and the log names class and line.

The child is killed when the thread ends in which it was started; the next call starts another.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from multimodal.errors import NotSetUp, Unreadable

__all__ = ["Confined", "NoChild", "NotSetUp", "Unreadable"]

log = structlog.get_logger(__name__)

TOO_MUCH_WORK = "it takes too much work to unpack"
TOO_LONG = "it takes too long to unpack"
TOO_MUCH_MEMORY = "it needs more memory than the limit"
DAMAGED = "it is damaged, or made in a way we cannot read"
BREAKS = "it breaks the program that unpacks it"

_PROGRAM = Path(__file__).with_name("child.py")
_START = 60.0
"""Seconds in which a child has to be there, on a machine that is very busy."""
_LEAVE = 5.0
"""Seconds for a child that hung up, to end by itself and so to tell why."""
_PIPE = 2**20
_WORDS = 400
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_CTYPE": "C.UTF-8"}
"""Later no threads can be started, and those that wait cost address space."""
_TOO_MUCH_WORK_BY = (-signal.SIGPROF, -signal.SIGXCPU)


class NoChild(Exception):
    """No child could be started: a fault of ours or of this host, not of the file."""


class _Died(Exception):
    """The child is gone for no reason that is known, so it may be no fault of the file."""


class Confined:
    """Sync; one call at a time. `memory` is the child's address space in bytes, `cpu` the seconds
    of CPU of one call, `wall` the seconds that one call may be waited for, without those in which
    the consumer of a stream does other things. After `calls` the child is replaced, so that nothing
    can pile up in it.
    """

    def __init__(
        self, module: str, *, memory: int, cpu: float, wall: float, calls: int = 200
    ) -> None:
        self.module = module
        self.memory = memory
        self.cpu = cpu
        self.wall = wall
        self.calls = calls
        self._child: _Child | None = None
        self._made = 0
        self._busy = False

    def call(self, function: str, content: bytes = b"", **options: Any) -> Any:
        """What the function returns. Raises `Unreadable`; `NotSetUp` when the child misses a
        library; `NoChild`."""
        asked = self._asked(function, options)
        try:
            return self._call(asked, content)
        except _Died:
            with self._last_time():
                return self._call(asked, content)

    def stream(self, function: str, content: bytes = b"", **options: Any) -> Iterator[bytes]:
        """The pieces that the function yields, as they come. Raises as `call`, also in between. Who
        does not read to the end must close the iterator, which ends the child."""
        asked = self._asked(function, options)
        begun = False
        try:
            with closing(self._stream(asked, content)) as pieces:
                for piece in pieces:
                    begun = True
                    yield piece
        except _Died:
            if begun:
                raise Unreadable(BREAKS) from None
            with self._last_time(), closing(self._stream(asked, content)) as pieces:
                yield from pieces

    def close(self) -> None:
        """End the child. A later call starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _asked(self, function: str, options: dict[str, Any]) -> bytes:
        return msgspec.msgpack.encode(
            {"function": function, "options": options, "cpu": float(self.cpu)}
        )

    def _call(self, asked: bytes, content: bytes) -> Any:
        with self._exchange(asked, content) as child:
            blobs: list[bytes] = []
            held = 0
            while True:
                word, frame = child.receive()
                if word == b"blob":
                    held += len(frame)
                    if held > self.memory:  # more than it can have: not our program any more
                        raise _Died
                    blobs.append(frame)
                elif word == b"value":
                    return _value(frame, blobs)
                else:
                    self._raise(word, frame)

    def _stream(self, asked: bytes, content: bytes) -> Generator[bytes, None, None]:
        with self._exchange(asked, content) as child:
            while True:
                word, frame = child.receive()
                if word == b"piece":
                    yield frame
                elif word == b"end":
                    return
                else:
                    self._raise(word, frame)

    @contextmanager
    def _exchange(self, asked: bytes, content: bytes) -> Iterator[_Child]:
        """Whatever happens but an answer to its end, the child does not live on."""
        if self._busy:
            raise RuntimeError("one call at a time: a stream has to be read to its end, or closed")
        self._busy = True
        answered = False
        try:
            child = self._alive()
            self._made += 1
            child.send(asked, content, self.wall)
            yield child
            answered = True
        except Unreadable as unreadable:
            # Memory may be in pieces then, or held by a library that was interrupted.
            answered = unreadable.problem not in (TOO_MUCH_MEMORY, TOO_MUCH_WORK, TOO_LONG)
            raise
        finally:
            self._busy = False
            if not answered or self._made >= self.calls:
                self.close()

    def _raise(self, word: bytes, frame: bytes) -> None:
        match word:
            case b"unreadable":
                raise Unreadable(_words(frame))
            case b"memory":
                raise Unreadable(TOO_MUCH_MEMORY)
            case b"failed":
                log.info("unpacking_failed", module=self.module, error=_words(frame))
                raise Unreadable(DAMAGED)
            case _:
                raise RuntimeError(f"{self.module}: {_words(frame)}")

    def _alive(self) -> _Child:
        if self._child is not None and not self._child.lives():
            self.close()
        if self._child is None:
            self._child = _Child(self.module, self.memory)
            self._made = 0
        return self._child

    @contextmanager
    def _last_time(self) -> Iterator[None]:
        log.info("unpacking_tried_again", module=self.module)
        try:
            yield
        except _Died:
            raise Unreadable(BREAKS) from None


class _Child:
    """One process. It is of no use any more after `Unreadable` or `_Died` came out of here."""

    def __init__(self, module: str, memory: int) -> None:
        self._module = module
        self._memory = memory
        self._left = _START
        self._late = False
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",  # nothing of the user's or of the working directory
                "-X",
                "utf8",
                str(_PROGRAM),
                module,
                str(memory),
                str(os.getpid()),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries write thousands of lines about one file
            env=_ENVIRONMENT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        try:
            for pipe in (self._input, self._output):
                _widen(pipe.fileno())
            self._started()
        except BaseException:
            self.end()
            raise

    def _started(self) -> None:
        try:
            word, frame = self.receive()
        except (_Died, Unreadable) as gone:
            raise NoChild(f"{self._module}: no child came up") from gone
        if word == b"missing":
            raise NotSetUp(
                f"{_words(frame)} is not installed",
                "install it with: pip install 'moltgate[media]'",
            )
        if word != b"ready":
            raise NoChild(f"{self._module}: {_words(frame)}")

    def lives(self) -> bool:
        return self._process.poll() is None

    def send(self, asked: bytes, content: bytes, wall: float) -> None:
        self._left = wall
        with self._watched():
            for frame in (asked, content):
                self._input.write(len(frame).to_bytes(8, "big"))
                self._input.write(frame)
            self._input.flush()

    def receive(self) -> tuple[bytes, bytes]:
        """A word, and the frame it is about."""
        with self._watched():
            return self._frame(32), self._frame(self._memory)

    def end(self) -> None:
        """Killed, not asked: it has nothing to put in order. Returns when it is reaped."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._input.close()
        self._output.close()
        self._process.wait()

    def _frame(self, most: int) -> bytes:
        length = int.from_bytes(self._exactly(8), "big")
        if length > most:  # not our program any more
            self._process.kill()
            raise EOFError
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        # The buffered reader reads into the bytes it returns: large frames are not copied.
        found = self._output.read(length)
        if len(found) < length:
            raise EOFError
        return found

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """It is killed when it takes longer than what is left of the time, even within a frame."""
        began = time.monotonic()
        timer = threading.Timer(max(self._left, 0.001), self._too_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (EOFError, BrokenPipeError, MemoryError):
            timer.cancel()
            raise self._why() from None
        finally:
            timer.cancel()
            timer.join()
            self._left -= time.monotonic() - began
        if self._late:
            raise self._why()

    def _too_late(self) -> None:
        self._late = True
        self._process.kill()

    def _why(self) -> Exception:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE)
        status = self._process.returncode
        log.info("unpacking_broke_off", module=self._module, status=status, late=self._late)
        if status in _TOO_MUCH_WORK_BY:
            return Unreadable(TOO_MUCH_WORK)
        return Unreadable(TOO_LONG) if self._late else _Died()


def _value(frame: bytes, blobs: list[bytes]) -> Any:
    def blob(code: int, index: memoryview) -> bytes:
        return blobs[int.from_bytes(index, "big")]

    try:
        return msgspec.msgpack.decode(frame, ext_hook=blob)
    except (msgspec.DecodeError, IndexError, RecursionError):  # not our program any more
        raise _Died from None


def _words(frame: bytes) -> str:
    """One line, for nobody knows what has become of the child."""
    text = frame[:_WORDS].decode(errors="replace")
    return "".join(char for char in text if char.isprintable())


def _widen(pipe: int) -> None:
    """Fewer turns from one process to the other. A user has only so much of it."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
