"""Why a file was not read. Nothing else in here: confined children load it, too.

Exception
├── Unreadable   the file's own fault, or a limit's
└── NotSetUp     something is missing on this host
"""

from __future__ import annotations


class Unreadable(Exception):
    """The file's own fault, or a limit's: trying again changes nothing.

    `problem` is in words for the user, the beginning of a sentence in lower case: ``it is
    encrypted``, ``it has more than 50 million pixels``.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class NotSetUp(Exception):
    """A library, a program or a model is missing here: the operator is told what to do, the user
    that there is no reader. `remedy` is one sentence, e.g. a command."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy
