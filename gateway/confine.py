"""What a process gives up before it opens what strangers sent. Used by programs that are started
for that alone (`adapters.email.reading.child`, `multimodal.confined.child`).

Nothing but the standard library, for such a program is to stay small. It talks with its parent by
frames on standard input and output: a length of eight bytes and as many bytes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWNET = 0x40000000


def bare(root: Path, *packages: str) -> None:
    """Have these packages without what their `__init__` loads, which is for the parent."""
    for name in packages:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


def confine(memory: int) -> None:
    """From here on: no more files, sockets or processes, no core dumps, and so much memory. The
    descriptors that are open stay usable; one that is closed makes no room for another.

    Beware: root may start processes all the same (`become_nobody`)."""
    limits = [
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ]
    if sys.platform == "linux":  # others know the limit and do not keep it
        limits.append((resource.RLIMIT_AS, memory))
    for what, most in limits:
        resource.setrlimit(what, (most, most))


def become_nobody() -> None:
    """As root: as nobody from here on, who has none of root's exceptions. Others stay who they are.
    Call it when everything is loaded: nobody may not be able to read it."""
    if os.getuid() != 0:
        return
    with suppress(OSError):  # some containers have a root that may not
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def leave_network() -> None:
    """Where it is allowed: a network of its own, with nothing in it. Without one `confine` alone
    keeps sockets away. No user namespace is made for it: that would open more of the kernel than
    it closes."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).unshare(_CLONE_NEWNET)


def die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends, so that nothing can outlive it.
    After `become_nobody`, which undoes it."""
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")


def spend_at_most(seconds: float) -> None:
    """CPU for what comes next: the kernel ends this process at the limit, whatever it does. The
    timer is exact, and can be set again each time; the other counts whole seconds of a lifetime."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime + seconds) + 1, hard)
    )
    signal.setitimer(signal.ITIMER_PROF, seconds)


def spend_freely() -> None:
    """It is done: what follows is not counted."""
    signal.setitimer(signal.ITIMER_PROF, 0)


def read_frame(source: BinaryIO) -> bytes:
    """Empty when the parent hung up, too."""
    return source.read(int.from_bytes(source.read(8), "big"))


def write_frame(sink: BinaryIO, frame: bytes | bytearray | memoryview) -> None:
    plain = memoryview(frame).cast("B")
    sink.write(len(plain).to_bytes(8, "big"))
    sink.write(plain)
    sink.flush()
