"""What `init` was told, and the configuration file it becomes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Answers:
    """What goes into the file. Secrets by the name of the file they are kept in."""

    adapters: dict[str, dict[str, str]] = field(default_factory=dict)
    """By kind, settings by their path in the adapter's section, e.g. ``imap.host``."""
    engine: str = ""
    engine_key: bool = False
    port: int = 8080
    public_url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)

    def keep(self, kind: str, setting: str, value: str, *, secret: bool) -> None:
        """Take note of an answer; a secret goes into a file of its own."""
        if secret:
            file = f"{kind}.{setting}"
            self.secrets[file] = value
            value = f"${{file:secrets/{file}}}"
        self.adapters.setdefault(kind, {})[setting] = value

    def section(self, kind: str) -> dict[str, Any]:
        """An adapter's section with the secrets themselves, as its schema reads it."""
        values = self.adapters[kind]
        return nested(
            {name: self.secrets.get(f"{kind}.{name}", value) for name, value in values.items()}
        )


def nested(values: Mapping[str, str]) -> dict[str, Any]:
    """``{"imap.host": "x"}`` as ``{"imap": {"host": "x"}}``."""
    found: dict[str, Any] = {}
    for path, value in values.items():
        *sections, name = path.split(".")
        here = found
        for section in sections:
            here = here.setdefault(section, {})
        here[name] = value
    return found


def text_of(answers: Answers) -> str:
    """Pure: the configuration file."""
    lines = ["# Every setting: docs/configuration.md. What it means: moltgate check"]
    if answers.port != 8080 or answers.public_url:
        lines.append("http:")
    if answers.port != 8080:
        lines.append(f"  port: {answers.port}")
    if answers.public_url:
        lines.append(f"  public_url: {_quoted(answers.public_url)}")
    if answers.adapters:
        lines += ["adapters:"]
    for kind, settings in answers.adapters.items():
        lines.append(f"  {kind}:" if settings else f"  {kind}: true")
        lines += _lines(nested(settings), 2)
    if answers.engine:
        lines += ["engines:", "  home:", f"    url: {_quoted(answers.engine)}"]
        if answers.engine_key:
            lines.append('    api_key: "${file:secrets/engine.key}"')
    return "\n".join(lines) + "\n"


def write(file: Path, answers: Answers) -> None:
    """The file and, beside it, one file per secret; all readable by their owner only."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if answers.secrets:
            (file.parent / "secrets").mkdir(mode=0o700, exist_ok=True)
        for name, value in answers.secrets.items():
            _private(file.parent / "secrets" / name, value + "\n")
        _private(file, text_of(answers))
    except OSError as problem:
        from gateway.queues.owner import unusable

        raise unusable(file.parent, problem) from problem


def _lines(settings: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, value in settings.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{indent}{name}: {_quoted(value)}"


def _private(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _quoted(value: str) -> str:
    """As a double-quoted YAML scalar; JSON's strings are those."""
    return json.dumps(value, ensure_ascii=False)
