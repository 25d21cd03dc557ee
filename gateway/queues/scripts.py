"""The Lua scripts, each behind the same prelude."""

from __future__ import annotations

from importlib.resources import files

from gateway.queues.wire import Script

_FOLDER = files("gateway.queues") / "lua"
_PRELUDE = (_FOLDER / "_prelude.lua").read_text(encoding="utf-8")


def script(name: str) -> Script:
    """The script ``lua/<name>.lua`` with the shared prelude in front."""
    body = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    return Script(name, f"{_PRELUDE}\n{body}", batched="return each(" in body)
