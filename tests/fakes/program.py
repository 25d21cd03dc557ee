"""Stands in for the `moltgate` program under a supervisor: short lives on demand.

The configuration file holds JSON, e.g. ``{"workers": 2, "gateway": {"exit": 1}}``. What happens is
appended to ``<home>/events``, one ``role what pid`` line each. SIGUSR1 makes a role ring the bell,
and SIGUSR2 the media role leave as if it were idle, once there is a file ``<home>/leave``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from gateway.process import dies_with_parent, ring, say_ready


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("role", choices=("check", "gateway", "worker", "media"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--idle", type=float)
    given = parser.parse_args()
    text = Path(os.environ["MOLTGATE_LAST_GOOD"]).read_text() or "{}"
    if given.role == "check":
        print(json.dumps(_check(text, given.port)))
        return 0
    found = json.loads(text)
    port = given.port or found.get("port", 9)
    return _live(given.home, given.role, port, given.idle, found.get(given.role, {}))


def _check(text: str, port: int | None) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"ok": False, "problems": ["line 1: not readable", "line 2: nor this"]}
    prints = {
        name: hashlib.sha256(json.dumps(value).encode()).hexdigest()
        for name, value in found.items()
    }
    port = found.get("port", 9) if port is None else port
    facts = {
        "private_redis": found.get("private_redis", False),
        "fsync": "always",
        "memory": 64 * 2**20,
        "workers": found.get("workers", 1),
        "port": port,
        "http": found.get("public_url", f"http://127.0.0.1:{port}"),
        "log": "json",
        "media_idle": found.get("media", {}).get("idle", 300.0),
        "media_missing": found.get("media", {}).get("missing", ""),
        "fingerprints": prints,
    }
    return {"ok": True, "problems": [], "facts": facts}


def _live(home: Path, role: str, port: int, idle: float | None, behaviour: dict[str, Any]) -> int:
    def note(what: str) -> None:
        with (home / "events").open("a") as events:
            events.write(f"{role} {what} {os.getpid()}\n")

    def asked(number: int, frame: FrameType | None) -> None:
        note("asked")
        if not behaviour.get("stubborn"):
            note("ended")
            sys.exit(0)

    def leave(number: int, frame: FrameType | None) -> None:
        note("leaving")
        while not (home / "leave").exists():
            time.sleep(0.02)
        sys.exit(0)

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGUSR1, lambda number, frame: ring())
    signal.signal(signal.SIGUSR2, leave)
    if role == "gateway":
        note(f"at:{port}")
    if role == "media":
        note(f"idle:{idle:g}")
    if behaviour.get("family"):
        _have_children(note)
    note("began")
    say_ready()
    if "exit" in behaviour:
        return int(behaviour["exit"])
    while True:
        time.sleep(60)


def _have_children(note: Callable[[str], None]) -> None:
    """One that is forked, as Celery does it, with a child of its own, as readers have it."""
    end_with_parent = dies_with_parent()
    if os.fork():
        return
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    if end_with_parent is not None:
        end_with_parent()
    reading = subprocess.Popen(["/bin/sleep", "600"], preexec_fn=dies_with_parent())
    note("child")
    reading.wait()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
