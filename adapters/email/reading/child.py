"""The program that reads mails: a loop over frames on its standard input, as small as can be.

It is started by its path with nothing in its environment (`gateway.confine` says what a frame is).
It says by an empty one that it has started, and then answers each pair of limits and mail.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import BinaryIO

_ROOT = Path(__file__).resolve().parents[3]
_PACKAGES = ("gateway", "adapters", "adapters.email", "adapters.email.reading")
"""The gateway's vocabulary is not needed here, and costs more memory and time than all mails do."""


def serve(source: BinaryIO, sink: BinaryIO, memory: int) -> None:
    import msgspec

    from adapters.email.reading.assemble import answer, warm_up
    from adapters.email.reading.mail import Limits, Told
    from gateway.confine import confine, read_frame, spend_at_most, spend_freely, write_frame

    warm_up()
    confine(memory)
    write_frame(sink, b"")
    limits = msgspec.msgpack.Decoder(Limits)
    encode = msgspec.msgpack.Encoder().encode
    while asked := read_frame(source):
        raw = read_frame(source)
        kept = limits.decode(asked)
        spend_at_most(kept.cpu)
        try:
            read = answer(raw, kept)
            del raw  # there is no room for it beside what was read, and that again as a frame
            told = encode(read)
        except MemoryError:
            told = encode(Told(problem="more memory than the limit"))
        spend_freely()
        raw, read = b"", Told()
        write_frame(sink, told)
        told = b""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for our parent
    sys.path.append(str(_ROOT))
    from gateway.confine import bare

    bare(_ROOT, *_PACKAGES)
    serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
