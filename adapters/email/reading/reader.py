"""Mails are read in a child process with little CPU, little memory and nothing worth stealing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from adapters.email.reading.mail import Limits, Mail, Told, Unreadable
from gateway.errors import Unavailable

log = structlog.get_logger(__name__)

_PROGRAM = Path(__file__).with_name("child.py")
_START = 60.0
"""Seconds in which a child has to be there, on a machine that is very busy."""
_LEAVE = 5.0
"""Seconds for a child that hung up, to end by itself and so to tell why."""
_MAILS = 500
"""After so many a child is replaced, so that nothing can pile up in it."""
_ENDED_BY = {signal.SIGPROF: "more CPU than the limit", signal.SIGXCPU: "more CPU than the limit"}

_encode = msgspec.msgpack.Encoder().encode
_told = msgspec.msgpack.Decoder(Told)


class _Broken(Exception):
    """The child is gone, or has to go."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        """Whether it may be no fault of the mail."""


class Reader:
    """Keeps one child that reads mail after mail; it is replaced when one was too much for it."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: Process | None = None
        self._mails = 0
        self._one_at_a_time = asyncio.Lock()

    async def read(self, raw: bytes) -> Mail:
        """Raises `Unreadable` when the mail is beyond the limits or broke its reader, whereupon
        nothing is left of that child; `Unavailable` when no child could be started."""
        if len(raw) > self.limits.size:
            raise Unreadable("larger than the limit")
        async with self._one_at_a_time:
            try:
                told = await self._ask(raw)
            except _Broken as broken:
                if not broken.again:
                    raise Unreadable(broken.reason) from None
                told = await self._ask_again(raw)
        if told.mail is None:
            raise Unreadable(told.problem)
        return told.mail

    async def close(self) -> None:
        """End the child. Called once, also when nothing was ever read."""
        await self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _ask_again(self, raw: bytes) -> Told:
        try:
            return await self._ask(raw)
        except _Broken as broken:
            raise Unreadable(broken.reason) from None

    async def _ask(self, raw: bytes) -> Told:
        """Whatever happens but an answer, the child does not live on."""
        process = await self._child()
        answered = False
        try:
            async with asyncio.timeout(self.limits.wall):
                told = _told.decode(await _exchange(process, _encode(self.limits), raw))
            answered = True
        except TimeoutError:
            raise _Broken("more time than the limit", again=True) from None
        except (EOFError, ConnectionError, msgspec.DecodeError, MemoryError):
            raise await self._why_gone(process) from None
        finally:
            self._mails += 1
            if not answered or self._mails >= _MAILS:
                await self._end()
        return told

    async def _why_gone(self, process: Process) -> _Broken:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE):
                await process.wait()
        await self._end()
        ended_by = -(process.returncode or 0)
        reason = _ENDED_BY.get(signal.Signals(ended_by)) if ended_by in _SIGNALS else None
        log.info("mail_reader_ended", status=process.returncode)
        return _Broken(reason or "its reader crashed", again=reason is None)

    async def _child(self) -> Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",  # nothing of the user's or of the working directory
                "-X",
                "utf8",
                str(_PROGRAM),
                str(self.limits.memory),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                limit=2**20,
            )
            async with asyncio.timeout(_START):
                await _frame(self._process, 0)
        except (OSError, EOFError, TimeoutError) as failure:
            await self._end()
            raise Unavailable(f"no reader for mails could be started: {failure}") from failure
        except asyncio.CancelledError:
            await self._end()
            raise
        self._mails = 0
        return self._process

    async def _end(self) -> None:
        """Killed, not asked: it has nothing to put in order. Returns when it is reaped."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            # Not `process.kill()`, which may reap it and lose what it ended by.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        assert process.stdin is not None
        process.stdin.close()
        await process.communicate()  # reads to the end, so that the pipes are closed, too


_SIGNALS = {int(each) for each in signal.Signals}


async def _exchange(process: Process, limits: bytes, raw: bytes) -> bytes:
    assert process.stdin is not None
    for frame in (limits, raw):
        process.stdin.write(len(frame).to_bytes(8, "big"))
        process.stdin.write(frame)
    await process.stdin.drain()
    return await _frame(process, 2**30)


async def _frame(process: Process, most: int) -> bytes:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(8), "big")
    if length > most:
        raise EOFError("no frame of ours")
    return await process.stdout.readexactly(length)


async def read(raw: bytes, limits: Limits | None = None) -> Mail:
    """Read one mail in a child of its own; `Reader` where there are many."""
    async with Reader(limits) as reader:
        return await reader.read(raw)
