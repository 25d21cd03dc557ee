"""What a process gives up before it opens what strangers sent. Used by programs that are started
for that alone (`adapters.email.reading.child`, `multimodal.confined.child`).

Nothing but the standard library, for such a program is to stay small. It talks with its parent by
frames on standard input and output: a length of eight bytes and as many bytes.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import struct
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_FILTER = 2
_CLONE_NEWNET = 0x40000000

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NEEDED: dict[str, tuple[int, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "membarrier": (324, 283),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrusage": (98, 165),
    "times": (100, 153),
    "getrlimit": (97, 163),
    "setrlimit": (160, 164),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "sysinfo": (99, 179),
    "uname": (63, 160),
}
"""System calls by their numbers on x86_64 and aarch64: all that is needed to compute and to talk
over what is open."""
_PRLIMIT64 = (302, 261)
_TO_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}


def bare(root: Path, *packages: str) -> None:
    """Have these packages without what their `__init__` loads, which is for the parent."""
    for name in packages:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


def confine(memory: int) -> None:
    """From here on: no more files, sockets or processes, no core dumps, and so much memory; of the
    kernel only what computing needs. The descriptors that are open stay usable; one that is closed
    makes no room for another.

    Beware: where calls cannot be filtered, root may start processes all the same
    (`become_nobody`)."""
    _forgo_system_calls()  # first, for it loads a library
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


def _forgo_system_calls() -> None:
    """Where the kernel can do it: all but those in `_NEEDED` fail with EPERM. Limits alone keep
    nobody from deleting or truncating what he owns, from signals to his other processes, or from
    becoming another program."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _AUDIT_ARCH or sys.maxsize < 2**32:
        return
    import ctypes

    program = _filter(machine, os.getpid())
    words = ctypes.create_string_buffer(program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("words", ctypes.c_void_p))

    told = Program(len(program) // 8, ctypes.addressof(words))
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(told), 0, 0)


def _filter(machine: str, pid: int) -> bytes:
    """In the kernel's classic BPF."""

    def word(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    def load(offset: int) -> bytes:
        return word(0x20, offset)

    def is_(value: int, skip: int) -> bytes:
        return word(0x15, value, 0, skip)

    def only_for(number: int, argument: int) -> list[bytes]:
        return [is_(number, 4), load(16), is_(argument, 1), allow, refuse]

    allow, refuse = word(0x06, 0x7FFF0000), word(0x06, 0x00050000 | errno.EPERM)
    column = list(_AUDIT_ARCH).index(machine)
    words = [load(4), word(0x15, _AUDIT_ARCH[machine], 1), refuse, load(0)]
    for numbers in _NEEDED.values():
        if (number := numbers[column]) is not None:
            words += [is_(number, 1), allow]
    words += only_for(_PRLIMIT64[column], 0)
    for own in _TO_ITSELF.values():
        words += only_for(own[column], pid)
    return b"".join([*words, refuse])


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
