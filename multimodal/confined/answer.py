"""How the child answers one call; `child` says by which words."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import msgspec

from gateway.confine import spend_at_most, spend_freely, write_frame
from multimodal.errors import Unreadable

Blob = bytes | bytearray | memoryview
_LARGE = 64 * 2**10
"""Bytes that travel as a frame of their own, so that they are not copied into another."""
BLOB = 1
"""Code of the msgpack extension that stands for such bytes."""


def answer(target: ModuleType, asked: bytes, content: bytes, sink: BinaryIO) -> None:
    call = msgspec.msgpack.decode(asked)
    function = getattr(target, call["function"], None)
    if function is None:
        return tell(sink, b"fault", f"has no {call['function']}".encode())
    spend_at_most(call["cpu"])
    try:
        told = function(content, **call["options"])
        if isinstance(told, Generator):
            for piece in told:
                tell(sink, b"piece", piece)
            tell(sink, b"end", b"")
        else:
            _tell_value(sink, told)
    except Unreadable as unreadable:
        tell(sink, b"unreadable", unreadable.problem.encode(errors="replace"))
    except MemoryError:
        tell(sink, b"memory", b"")
    except BrokenPipeError:
        os._exit(0)  # the parent is gone
    except Exception as failure:  # noqa: BLE001  # libraries raise anything at a broken file
        tell(sink, b"failed", _where(failure).encode())
    finally:
        spend_freely()
    return None


def tell(sink: BinaryIO, word: bytes, frame: Blob) -> None:
    write_frame(sink, word)
    write_frame(sink, frame)


def _tell_value(sink: BinaryIO, told: Any) -> None:
    blobs: list[Blob] = []
    value = msgspec.msgpack.encode(_without_blobs(told, blobs))
    for blob in blobs:
        tell(sink, b"blob", blob)
    tell(sink, b"value", value)


def _without_blobs(value: Any, blobs: list[Blob]) -> Any:
    if isinstance(value, Blob) and len(value) >= _LARGE:
        blobs.append(value)
        return msgspec.msgpack.Ext(BLOB, (len(blobs) - 1).to_bytes(4, "big"))
    if isinstance(value, dict):
        return {key: _without_blobs(each, blobs) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_blobs(each, blobs) for each in value]
    return value


def _where(failure: Exception) -> str:
    """The class and the last line, never the words: these may be the file's."""
    place, trace = "", failure.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place, trace = f"{Path(code.co_filename).name}:{trace.tb_lineno}", trace.tb_next
    return f"{type(failure).__name__} at {place}"
