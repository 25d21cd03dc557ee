"""What is wrong with a configuration: one problem, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import BadConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, why, and what to do."""

    where: str
    line: int
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        where = f"{self.where}: " if self.where else ""
        return f"{place}{where}{self.reason}" + (f" ({self.remedy})" if self.remedy else "")


class BadFile(BadConfig):
    """Everything that is wrong with the configuration, in the order of the file."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        first = self.problems[0]
        more = len(self.problems) - 1
        where = f"{name}:{first.line}" if first.line else name
        super().__init__(
            f"{where}: {first.where}" if first.where else where, first.reason, first.remedy
        )
        if more:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            self.args = (f"{name}: {more + 1} problems\n{lines}",)
