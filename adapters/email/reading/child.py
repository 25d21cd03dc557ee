"""The program that reads mails: a loop over frames on its standard input, as small as can be.

It is started by its path with nothing in its environment. A frame is a length of eight bytes and
as many bytes. It says by an empty one that it has started, and then answers each pair of limits
and mail.
"""

from __future__ import annotations

import resource
import signal
import sys
import types
from pathlib import Path
from typing import BinaryIO

_PACKAGES = ("adapters", "adapters.email", "adapters.email.reading")


def bare_packages(root: Path) -> None:
    """Packages without what their `__init__` loads: the gateway's vocabulary is not needed here,
    and costs more memory and time than all mails do."""
    sys.path.append(str(root))
    for name in _PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


def confine(memory: int) -> None:
    """From here on: no more files, sockets or processes, no core dumps, and so much memory."""
    limits = [
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ]
    if sys.platform == "linux":  # others know the limit and do not keep it
        limits.append((resource.RLIMIT_AS, memory))
    for what, most in limits:
        resource.setrlimit(what, (most, most))


def spend_at_most(seconds: float) -> None:
    """CPU for the next mail: the kernel ends this process at the limit, whatever it does. The timer
    is exact, and can be set again for each mail; the other counts whole seconds of a lifetime."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime + seconds) + 1, hard)
    )
    signal.setitimer(signal.ITIMER_PROF, seconds)


def serve(source: BinaryIO, sink: BinaryIO, memory: int) -> None:
    import msgspec

    from adapters.email.reading.assemble import answer, warm_up
    from adapters.email.reading.mail import Limits, Told

    warm_up()
    confine(memory)
    _tell(sink, b"")
    limits = msgspec.msgpack.Decoder(Limits)
    encode = msgspec.msgpack.Encoder().encode
    while asked := _frame(source):
        raw = _frame(source)
        kept = limits.decode(asked)
        spend_at_most(kept.cpu)
        try:
            read = answer(raw, kept)
            del raw  # there is no room for it beside what was read, and that again as a frame
            told = encode(read)
        except MemoryError:
            told = encode(Told(problem="more memory than the limit"))
        signal.setitimer(signal.ITIMER_PROF, 0)
        raw, read = b"", Told()
        _tell(sink, told)
        told = b""


def _frame(source: BinaryIO) -> bytes:
    return source.read(int.from_bytes(source.read(8), "big"))


def _tell(sink: BinaryIO, frame: bytes) -> None:
    sink.write(len(frame).to_bytes(8, "big"))
    sink.write(frame)
    sink.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for our parent
    bare_packages(Path(__file__).resolve().parents[3])
    serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
