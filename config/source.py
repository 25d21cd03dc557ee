"""YAML text into plain data that still knows on which line each thing stands.

Scalars follow YAML 1.2: only ``true`` and ``false`` are booleans, ``12:30`` and ``2026-01-31``
stay text, and a leading zero keeps a number text. (YAML 1.1, which PyYAML reads by itself, turns
``no`` into false and ``12:30`` into 750.) Fields that want a boolean still take ``yes`` and
``off``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the file down."""

MAX_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the text itself."""

    path: Path
    line: int
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    data: Mapping[str, Any]
    lines: Mapping[Path, int]
    """First line of every key and list item, counted from 1."""
    faults: tuple[Fault, ...] = ()

    def line(self, path: Path) -> int:
        """Line of the path, or of the nearest thing above it that is in the file; 0 for none."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0


def parse(text: str) -> Source:
    """Never raises: whatever is wrong with the text is in `faults`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        return Source({}, {}, (Fault((), mark.line + 1 if mark else 0, *_explain(problem)),))
    except yaml.YAMLError as problem:
        reason = str(problem).splitlines()[0]
        return Source({}, {}, (Fault((), 0, f"not readable as YAML: {reason}"),))
    if node is None:
        return Source({}, {})
    walk = _Walk()
    data = walk.value(node, ())
    if walk.faults and not isinstance(data, dict):
        data = {}
    if not isinstance(data, dict):
        remedy = "write sections such as 'adapters:' with their settings indented below"
        fault = Fault((), 1, "the file must hold sections, not a single value", remedy)
        return Source({}, {}, (fault,))
    return Source(data, walk.lines, tuple(walk.faults))


@dataclass(slots=True)
class _Walk:
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def value(self, node: yaml.Node, path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            self._fault(path, node, "nested too deeply, or an alias that refers to itself")
            return None
        if not isinstance(node, yaml.ScalarNode) and not node.tag.endswith((":map", ":seq")):
            self._fault(path, node, f"the YAML tag {node.tag} is not used here", "remove it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*path, at)) for at, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _item(self, node: yaml.Node, path: Path) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(path, key, "a key must be a single word")
                continue
            if key.tag == "tag:yaml.org,2002:merge":
                below = self.value(child, path)
                merged.update(below if isinstance(below, dict) else {})
                continue
            name = str(key.value)
            here = (*path, name)
            if name in found:
                first = self.lines[here]
                self._fault(here, key, f"stands twice, first on line {first}", "keep one of them")
                continue
            self.lines[here] = key.start_mark.line + 1
            found[name] = self.value(child, here)
        return {**merged, **found}

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        text = str(node.value)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "str":
                return text
            case other:
                self._fault(path, node, f"the YAML tag {other} is not used here", "remove it")
                return None

    def _fault(self, path: Path, node: yaml.Node, reason: str, remedy: str = "") -> None:
        self.faults.append(Fault(path, node.start_mark.line + 1, reason, remedy))


class _Loader(yaml.SafeLoader):
    """Resolves scalars by YAML 1.2's core rules; only composed with, never constructed with."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,18})", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?", list("-+0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
    )


def _explain(problem: yaml.MarkedYAMLError) -> tuple[str, str]:
    reason = " ".join(filter(None, (problem.context, problem.problem)))
    if "\\t" in reason or "'\t'" in reason:
        return "a tab cannot indent in YAML", "use spaces"
    if "mapping values are not allowed" in reason:
        return (
            "a second ': ' on the line, or wrong indentation",
            "put values that contain ': ' in quotes and align the keys",
        )
    if "could not find expected ':'" in reason:
        return "a key without ':'", "write 'key: value'"
    return f"not readable as YAML: {reason}", "check the indentation and the quotes above this line"
