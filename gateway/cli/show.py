"""How commands speak: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.logs import Redactor, printable

if TYPE_CHECKING:
    from rich.console import Console


REDACT = Redactor()
"""What commands show of errors goes through this; it learns secrets as they are read."""


def console(*, error: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def say(text: str = "") -> None:
    """Plain text on standard output; foreign text must have gone through `safe`."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """An error, in words for the operator."""
    from rich.text import Text

    line = Text("moltgate: ", style="bold red")
    line.append(printable(REDACT(text), lines=True), style="not bold default")
    console(error=True).print(line)


def crashed(problem: Exception) -> None:
    """A fault of ours: in short for people, then all of it for whoever mends it."""
    import platform
    import traceback
    from importlib.metadata import version

    what = "".join(traceback.format_exception_only(problem)).strip()
    complain(f"this is a fault of Moltgate, not of yours: {what}")
    hint(
        "Please report it where you have Moltgate from, with what you did and all lines below.\n"
        "Secrets have been taken out of them; look through them all the same.\n"
    )
    where = f"moltgate {version('moltgate')}, Python {platform.python_version()}"
    trace = "".join(traceback.format_exception(problem))
    sys.stderr.write(printable(REDACT(f"{where}, {platform.platform()}\n{trace}"), lines=True))
    sys.stderr.flush()


def hint(text: str) -> None:
    from rich.text import Text

    console(error=True).print(Text(text, style="dim"))


def as_json(value: object) -> None:
    """For programs: one JSON document."""
    say(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or one line when there is nothing to show."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        shown.add_row(*(Text(safe(str(cell)), overflow="fold") for cell in row))
    if shown.row_count:
        console().print(shown)
    else:
        say(empty)


def safe(text: str, *, longest: int = 0) -> str:
    """Foreign text for a terminal: no control characters, cut to `longest` characters."""
    line = printable(text)
    return line if not longest or len(line) <= longest else f"{line[: longest - 1]}…"


def moment(seconds: float) -> str:
    """Seconds since the epoch as people read them."""
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):  # a token made for thousands of years
        return "far away"
