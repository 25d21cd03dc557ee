"""Places at which a test may kill, stop or delay a process: `tests/faults` proves nothing is lost.

Off unless ``MOLTGATE_FAILPOINTS`` names a file; then each arrival at a point looks for a line
``<point> <action> [<word>]`` in it, takes the file away, and acts: ``kill``, ``stop``, ``raise`` or
``delay=<seconds>``. ``kill@<seconds>`` acts that much later, to hit the middle of something. With a
word, only conversations whose id holds it count.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

FILE = os.environ.get("MOLTGATE_FAILPOINTS", "")

RECEIVED = "P1"
STORED = "P2"
ACKED = "P3"
CLAIMED = "P4"
ASKED = "P5"
STREAMING = "P6"
COMMITTED = "P8"
SENDING = "P9"
ANSWERED = "P10"
MARKED = "P11"
RELEASED = "P12"


BEHIND = 0.05
"""Seconds after which an adapter has told its platform that we have the event."""

_late: set[asyncio.Task[None]] = set()


class Injected(RuntimeError):
    """The error a fail point was told to raise."""


async def failpoint(point: str, conversation: str) -> None:
    """One comparison when switched off."""
    if FILE:
        await _reached(point, conversation)


def failpoint_soon(point: str, conversation: str) -> None:
    """A point behind our caller's back: reached once it has had time to answer its platform."""
    if FILE:
        task = asyncio.get_running_loop().create_task(_behind(point, conversation))
        _late.add(task)
        task.add_done_callback(_late.discard)


async def _behind(point: str, conversation: str) -> None:
    await asyncio.sleep(BEHIND)
    await _reached(point, conversation)


async def _reached(point: str, conversation: str) -> None:
    action = _armed(Path(FILE), point, conversation)
    what, _, when = action.partition("@")
    if what in {"kill", "stop"}:
        number = signal.SIGKILL if what == "kill" else signal.SIGSTOP
        if when:
            asyncio.get_running_loop().call_later(float(when), os.kill, os.getpid(), number)
        else:
            os.kill(os.getpid(), number)
    elif what == "raise":
        raise Injected(point)
    elif what.startswith("delay="):
        await asyncio.sleep(float(what.removeprefix("delay=")))


def _armed(file: Path, point: str, conversation: str) -> str:
    """The action for this point, once: whoever renames the file first has it."""
    try:
        wanted, _, rest = file.read_text(encoding="utf-8").strip().partition(" ")
        action, _, word = rest.partition(" ")
        if wanted != point or word not in conversation:
            return ""
        os.rename(file, f"{file}.{os.getpid()}.fired")
    except FileNotFoundError:
        return ""
    return action
