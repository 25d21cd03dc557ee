"""What a library might do in a confined child, by a bug or by a file that took it over."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from multimodal.errors import Unreadable

calls = 0


def warm_up() -> None:
    """Nothing."""


def echo(content: bytes, **options: Any) -> dict[str, Any]:
    return {"content": content, "options": options, "pid": os.getpid()}


def grow(content: bytes, *, size: int) -> list[Any]:
    return [bytes(size), {"again": bytearray(size), "small": b"x"}]


def pieces(content: bytes, *, count: int, size: int, then: str = "") -> Iterator[memoryview]:
    for index in range(count):
        yield memoryview(bytes([index % 256]) * size)
    if then:
        misdeed(b"", what=then)


def misdeed(content: bytes, *, what: str) -> str:
    """Returns what came of it."""
    try:
        told = _MISDEEDS[what]()
    except RecursionError:
        raise
    except (OSError, RuntimeError) as problem:
        return f"{type(problem).__name__} {getattr(problem, 'errno', '')}".strip()
    return f"did {told}"


def kill_once(content: bytes, *, of: int) -> str:
    """Dies in a child that is not `of`'s next one: the first one dies, its successor does not."""
    if os.getppid() and content and os.getpid() == of:
        os.kill(os.getpid(), signal.SIGSEGV)
    return "alive"


def count(content: bytes) -> int:
    global calls
    calls += 1
    return calls


def limits(content: bytes) -> dict[str, Any]:
    return {
        "files": os.sysconf("SC_OPEN_MAX"),
        "uid": os.getuid(),
        "environment": sorted(os.environ),
        "modules": sorted(sys.modules),
    }


def _unreadable() -> None:
    raise Unreadable("it is encrypted")


def _surprise() -> None:
    raise LookupError("secret words of the file")


def _spin() -> None:
    while True:
        pass


def _eat() -> int:
    return len([bytearray(16 * 2**20) for _ in range(10_000)])


def _replace_a_descriptor() -> int:
    os.close(2)
    return os.open("/etc/passwd", os.O_RDONLY)


def _fork() -> int:
    pid = os.fork()
    if not pid:
        os._exit(0)
    return pid


def _thread() -> bool:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    return True


def _program() -> int:
    return os.posix_spawn("/bin/true", ["true"], {})


def _lie() -> None:
    os.write(1, (5).to_bytes(8, "big") + b"value" + (2**62).to_bytes(8, "big"))
    time.sleep(3600)


def _tell(word: bytes, frame: bytes) -> None:
    for each in (word, frame):
        os.write(1, len(each).to_bytes(8, "big") + each)
    time.sleep(3600)


def _flood() -> None:
    """Bytes that it does not have to hold, without end."""
    piece = bytes(2**20)
    while True:
        os.write(1, (4).to_bytes(8, "big") + b"blob" + (2**26).to_bytes(8, "big"))
        for _ in range(2**6):
            os.write(1, piece)


def _stall() -> None:
    os.write(1, (5).to_bytes(8, "big") + b"val")
    time.sleep(3600)


_MISDEEDS: dict[str, Callable[[], Any]] = {
    "unreadable": _unreadable,
    "surprise": _surprise,
    "spin": _spin,
    "eat": _eat,
    "sleep": lambda: time.sleep(3600),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(0),
    "leave": sys.exit,
    "recursion": lambda: _deep(0),
    "file": lambda: open("/etc/passwd", "rb").read(),  # noqa: SIM115
    "new file": lambda: open("/tmp/x", "wb").write(b"x"),  # noqa: SIM115
    "descriptor": _replace_a_descriptor,
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "unix socket": lambda: socket.socketpair(),
    "pipe": os.pipe,
    "memory file": lambda: os.memfd_create("x"),
    "delete": lambda: os.unlink("/nowhere/x"),
    "rename": lambda: os.rename("/nowhere/x", "/nowhere/y"),
    "folder": lambda: os.mkdir("/nowhere/x"),
    "truncate": lambda: os.truncate("/nowhere/x", 0),
    "link": lambda: os.symlink("/etc/passwd", "/nowhere/x"),
    "mode": lambda: os.chmod("/nowhere/x", 0o777),
    "list": lambda: os.readlink("/proc/self/exe"),
    "become": lambda: os.execv("/nowhere/x", ["x"]),
    "signal": lambda: os.kill(os.getppid(), 0),
    "signal all": lambda: os.kill(0, 0),
    "limit others": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    "fork": _fork,
    "thread": _thread,
    "program": _program,
    "lie": _lie,
    "stall": _stall,
    "flood": _flood,
    "nonsense": lambda: _tell(b"value", b"\xc1"),
    "no blob": lambda: _tell(b"value", b"\xd6\x01\0\0\0\7"),
}


def _deep(level: int) -> int:
    return _deep(level + 1) + 1
