"""The commands: arguments in, presentation out. What they do lives elsewhere and is imported when
a command needs it, so that ``moltgate --help`` is quick.

Exit status: 0 fine, 1 a problem was found, 2 wrong usage, 70 a fault of ours, 78 bad configuration.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

OK, PROBLEM, INTERNAL, BAD_CONFIG = 0, 1, 70, 78

_EVERYWHERE = ("--home", "--config")
"""Options of the program itself that may stand behind the command, too."""

_NAMES_A_SECRET = re.compile(r"(?:^--|[-_])(?:token|key|secret|password|passwd)$", re.I)
_SHORTEST = 6
"""As in `config.secrets`: hiding shorter values would blot out everything."""

_NO_FAULT_OF_OURS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS}
)
"""What the system refuses, and the operator can mend."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script; ends the process."""
    from gateway.cli.show import REDACT, crashed
    from gateway.logs import configure_command

    given = list(sys.argv[1:] if arguments is None else arguments)
    REDACT.learn(secrets_in(given, os.environ))
    configure_command(REDACT)
    try:
        status = invoke(given)
    except Exception as problem:  # noqa: BLE001  # whatever it is: shown without secrets
        crashed(problem)
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
    except OSError as problem:
        if problem.errno not in _NO_FAULT_OF_OURS:
            raise
        where = problem.filename or "standard output"
        complain(f"{where}: {problem.strerror}; nothing more was done")
        return PROBLEM
    return OK


def secrets_in(arguments: Sequence[str], env: Mapping[str, str]) -> set[str]:
    """Pure: what was given by options and variables whose names say that it is secret."""
    # A variable may be called PASSWORD and no more; the word "token" alone is a command.
    named = [*((f"_{name}", value) for name, value in env.items()), *pairwise(arguments)]
    named += [(name, value) for name, _, value in (word.partition("=") for word in arguments)]
    return {
        value for name, value in named if _NAMES_A_SECRET.search(name) and len(value) >= _SHORTEST
    }


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
