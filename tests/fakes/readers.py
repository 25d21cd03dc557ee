"""Readers that behave as told, for tests of what goes on around them.

The content of a file is what to do: ``say hello``, ``sleep 3``, ``die`` (by SIGKILL),
``die 2`` (only the first two times), ``eat`` (memory until there is none), ``unreadable``,
``fault``, ``fault 2``, ``hang`` (deaf to everything but SIGKILL), ``not set up``, ``deaf 7``
(no other thread of its process runs meanwhile), ``note TEXT`` (stores a blob), ``end``
(sys.exit), ``environment NAME``.
What is done is appended to the file named by ``journal`` in the second line, where there is one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from multimodal.config import MediaConfig
from multimodal.jobs import Job, Reading
from multimodal.readers import NotSetUp, Store, Unreadable


class Told:
    def __init__(self, config: MediaConfig, store: Store) -> None:
        self._store = store

    def read(self, job: Job, content: bytes) -> Reading:
        first, _, journal = (content.decode() or job.text).partition("\n")
        what, _, rest = first.partition(" ")
        turn = _noted(Path(journal), what) if journal else 1
        match what:
            case "say":
                return Reading(text=rest, reader="told 1", pages=1)
            case "sleep":
                time.sleep(float(rest))
                return Reading(text="slept", reader="told 1")
            case "deaf":
                ctypes.PyDLL(None).sleep(int(rest))
                return Reading(text="slept", reader="told 1")
            case "die" if not rest or turn <= int(rest):
                os.kill(os.getpid(), signal.SIGKILL)
            case "fault" if not rest or turn <= int(rest):
                raise ValueError("told to")
            case "eat":
                return Reading(text=str(len(_eaten())))
            case "environment":
                return Reading(text=os.environ.get(rest, ""))
            case "unreadable":
                raise Unreadable("it is encrypted")
            case "not":
                raise NotSetUp("the model", "set media.asr.model")
            case "hang":
                signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
                time.sleep(3600)
            case "note":
                return Reading(digest=self._store(rest.encode()), size=len(rest))
            case "end":
                sys.exit(1)
        return Reading(text=f"turn {turn}", reader="told 1")

    def close(self) -> None:
        """Nothing is open."""


def _noted(journal: Path, what: str) -> int:
    """Which time this is."""
    with journal.open("a") as lines:
        lines.write(f"{what} {os.getpid()}\n")
    return len(journal.read_text().splitlines())


def _eaten() -> list[bytearray]:
    eaten = []
    while True:
        eaten.append(bytearray(16 * 2**20))


class Stuck(Told):
    """Works, and does not end."""

    def close(self) -> None:
        time.sleep(3600)


class Missing:
    """A reader whose library is not installed."""

    def __init__(self, config: MediaConfig, store: Store) -> None:
        raise NotSetUp("tesserocr is not installed", "pip install 'moltgate[media]'")
