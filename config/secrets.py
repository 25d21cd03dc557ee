"""References to secrets: ``${env:NAME}`` and ``${file:path}``, resolved in values only.

The file itself stays fit to be shown and shared. ``$${`` stands for a literal ``${``.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<kind>[A-Za-z]+):(?P<name>[^}]*)\}")
_NAMES_A_SECRET = re.compile(r"token|secret|password|passwd|key|authorization|credential", re.I)
_LARGEST = 64 * 1024
SHORTEST = 6
"""Values shorter than this are not treated as secrets: hiding them would blot out the log."""


class Unresolved(ValueError):
    """A reference leads nowhere; `remedy` says what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Resolved:
    text: str
    secrets: tuple[str, ...] = ()
    """What came from outside and must not be shown."""
    warnings: tuple[str, ...] = ()


def resolve(text: str, *, key: str, folder: Path, env: Mapping[str, str]) -> Resolved:
    """Put in what the references stand for. `Unresolved` for the first that leads nowhere.

    `key` is the name of the setting: a value from the environment counts as secret only when its
    setting sounds like one, a value from a file always does. Relative files are looked for beside
    the configuration file (`folder`).
    """
    if "${" not in text:
        return Resolved(text)
    secrets: list[str] = []
    warnings: list[str] = []

    def value(found: re.Match[str]) -> str:
        if found["kind"] is None:
            return "${"
        kind, name = found["kind"].lower(), found["name"].strip()
        if kind == "env":
            got = _from_env(name, env)
            if _NAMES_A_SECRET.search(key) or _NAMES_A_SECRET.search(name):
                secrets.append(got)
        elif kind == "file":
            got = _from_file(name, folder, warnings)
            secrets.append(got)
        else:
            raise Unresolved(
                f"unknown reference ${{{found['kind']}:…}}",
                "there are ${env:NAME} and ${file:path}; write $${ for a literal ${",
            )
        return got

    resolved = _REFERENCE.sub(value, text)
    return Resolved(
        resolved,
        tuple(secret for secret in secrets if len(secret) >= SHORTEST),
        tuple(warnings),
    )


def mentions(text: str) -> Iterator[tuple[str, str]]:
    """Kind and name of every reference in a value."""
    for found in _REFERENCE.finditer(text):
        if found["kind"] is not None:
            yield found["kind"].lower(), found["name"].strip()


def _from_env(name: str, env: Mapping[str, str]) -> str:
    try:
        value = env[name].strip()
    except KeyError:
        reason = f"the environment has no variable {name or '(no name)'}"
        raise Unresolved(reason, f"set it before starting: export {name or 'NAME'}=…") from None
    if not value:
        raise Unresolved(f"the environment variable {name} is empty", f"export {name}=…")
    return value


def _from_file(name: str, folder: Path, warnings: list[str]) -> str:
    if not name or "\0" in name:
        raise Unresolved("a file reference without a path", "write ${file:path/to/secret}")
    path = folder / Path(name).expanduser()
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) and not stat.S_ISFIFO(state.st_mode):
            raise Unresolved(f"{path} is not a file", "name the file that holds the secret")
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise Unresolved(f"there is no file {path}", "create it, readable only by you") from None
    except OSError as problem:
        raise Unresolved(
            f"cannot read {path}: {problem.strerror}", "check its owner and permissions"
        ) from problem
    if len(raw) > _LARGEST:
        raise Unresolved(f"{path} is larger than {_LARGEST} bytes", "is it the right file?")
    try:
        value = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Unresolved(f"{path} is not text", "is it the right file?") from None
    if not value:
        raise Unresolved(f"{path} is empty", "write the secret into it")
    if state.st_mode & 0o077 and stat.S_ISREG(state.st_mode):
        warnings.append(f"{path} can be read by others; chmod 600 {path}")
    return value
