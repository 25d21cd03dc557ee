"""The program that unpacks: a loop over calls on its standard input, with nothing to lose.

It is started by its path with the name of a module, a limit of memory and the parent's process id
(`gateway.confine` says what a frame is). A call is two frames, what is asked and the content. An
answer is pairs of a word and a frame: `blob`s and then the `value` they belong to; `piece`s and
then the `end`; or `unreadable`, `memory`, `failed`, `fault`. The first pair is `ready`, `missing`
or `fault`.
"""

from __future__ import annotations

import importlib
import signal
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

_ROOT = Path(__file__).resolve().parents[2]


def serve(source: BinaryIO, sink: BinaryIO, module: str, memory: int, parent: int) -> None:
    from gateway import confine
    from multimodal.confined.answer import answer, tell

    confine.die_with(parent)
    confine.leave_network()
    try:
        target = importlib.import_module(module)
        target.warm_up()
    except ModuleNotFoundError as missing:
        return tell(sink, b"missing", str(missing.name).encode())
    except Exception as fault:  # noqa: BLE001  # the parent tells it
        return tell(sink, b"fault", repr(fault).encode())
    confine.become_nobody()
    confine.die_with(parent)
    confine.confine(memory)
    tell(sink, b"ready", b"")
    while asked := confine.read_frame(source):
        answer(target, asked, confine.read_frame(source), sink)
    return None


if __name__ == "__main__":
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, signal.SIG_IGN)  # a terminal's or a service manager's, for our parent
    warnings.simplefilter("ignore")
    sys.path.append(str(_ROOT))
    from gateway.confine import bare

    bare(_ROOT, "gateway", "multimodal", "multimodal.confined")
    serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
