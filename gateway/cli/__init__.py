"""The commands: arguments in, presentation out. What they do lives elsewhere and is imported when
a command needs it, so that ``moltgate --help`` is quick.

Exit status: 0 fine, 1 a problem was found, 2 wrong usage, 70 a fault of ours, 78 bad configuration.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

OK, PROBLEM, INTERNAL, BAD_CONFIG = 0, 1, 70, 78

_EVERYWHERE = ("--home", "--config")
"""Options of the program itself that may stand behind the command, too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script; ends the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = invoke(given)
    except Exception:
        logging.getLogger("moltgate").exception("internal_error")
        status = INTERNAL
    sys.exit(status)


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line; its exit status. Errors are shown, never raised."""
    import typer.main

    from gateway.cli.program import program
    from gateway.cli.show import complain
    from gateway.errors import BadConfig, GatewayError

    command = typer.main.get_command(program)
    try:
        command.main(hoisted(arguments), prog_name="moltgate")
    except SystemExit as ended:  # how typer ends, wrong usage (2) included
        return ended.code if isinstance(ended.code, int) else OK
    except BadConfig as problem:
        complain(str(problem))
        return BAD_CONFIG
    except GatewayError as problem:
        complain(str(problem))
        return PROBLEM
    return OK


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Pure: ``run --home x`` becomes ``--home x run``."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word in _EVERYWHERE:
            front += [word, *([value] if (value := next(waiting, None)) is not None else [])]
        elif word.startswith(tuple(f"{name}=" for name in _EVERYWHERE)):
            front.append(word)
        else:
            rest.append(word)
    return front + rest
