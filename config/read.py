"""The configuration file as a `Document`: sections are asked for, all complaints come at once.

Whoever composes the program asks for every section with its schema and then calls `finish`, which
raises one `BadFile` with everything that is wrong, or returns. Nothing found is usable before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from config import source
from config.complain import explain, nearest, unknown_key
from config.fields import Section
from config.problems import BadFile, Problem
from config.secrets import SHORTEST, Unresolved, resolve
from gateway.errors import BadConfig

S = TypeVar("S", bound=Section)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Found(Generic[S]):
    """A section that was asked for. `value` may be used once `Document.finish` has returned."""

    __slots__ = ("_value", "where")

    def __init__(self, where: str, value: S | None) -> None:
        self.where = where
        self._value = value

    @property
    def value(self) -> S:
        if self._value is None:
            raise BadConfig(self.where, "used although it is wrong", "call finish() first")
        return self._value


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a mapping that several schemas share, e.g. an adapter's account."""

    name: str
    account: str
    parts: tuple[Found[Any], ...]
    """One per schema, in the order they were given."""


@dataclass
class Document:
    """A read file. Without one, every section has its defaults."""

    path: Path | None
    _source: source.Source
    _data: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    """What works but should not stay so."""
    _secrets: set[str] = field(default_factory=set)
    _referenced: set[source.Path] = field(default_factory=set)
    _asked: list[str] = field(default_factory=list)

    def section(self, name: str, schema: type[S]) -> Found[S]:
        """A top-level section; its defaults when the file does not have it."""
        self._asked.append(name)
        (found,) = self._split((name,), self._data.get(name), (schema,))
        return found

    def entries(self, name: str, schema_for: Callable[[str], type[S]]) -> Mapping[str, Found[S]]:
        """A section whose keys are chosen by the user, e.g. ``engines``.

        `schema_for` may raise `BadConfig` for a name it does not know.
        """
        found: dict[str, Found[S]] = {}
        for key, value in self._items(name):
            self._check_name((name, key))
            for schema in self._schemas(name, key, lambda entry: (schema_for(entry),)):
                (found[key],) = self._split((name, key), value, (schema,))
        return found

    def accounts(
        self,
        name: str,
        schemas_for: Callable[[str], Sequence[type[Section]]],
        *,
        shared: Sequence[str] = (),
    ) -> Sequence[Entry]:
        """A section of kinds with one or several accounts each, e.g. ``adapters``.

        ``{kind: {...}}`` is one account named ``default``; ``{kind: {accounts: {a: {...}}, ...}}``
        is one per name, with what stands beside ``accounts`` as the default of all. ``true`` is an
        entry without settings, ``false`` an entry that is switched off. Each key of an entry goes
        to the first of the kind's schemas that knows it. A `shared` key takes what it leaves out
        from the top-level section of that name.
        """
        found: list[Entry] = []
        for kind, value in self._items(name):
            if value is False:
                continue
            schemas = self._schemas(name, kind, schemas_for)
            if schemas:
                body = {} if value is True else value
                found += self._accounts((name, kind), kind, body, schemas, shared)
        return found

    def off(self, name: str) -> set[str]:
        """Keys of a section that are switched off by ``false``."""
        return {key for key, value in self._items(name) if value is False}

    def finish(self) -> None:
        """Raise `BadFile` with every problem found, unknown sections included."""
        for name in self._data:
            if name not in self._asked:
                remedy = nearest(name, self._asked)
                self._complain((name,), "unknown section", remedy)
        self._asked = list(self._data) + self._asked
        if self.problems:
            raise BadFile(self.path.name if self.path else "configuration", self.problems)

    def fingerprints(self, key: str) -> Mapping[str, str]:
        """One value per section that changes when the section does, references resolved.

        Means nothing to whoever does not know `key`.
        """
        return {
            name: hashlib.blake2b(
                json.dumps(value, sort_keys=True).encode(), key=key.encode()[:64], digest_size=12
            ).hexdigest()
            for name, value in self._data.items()
        }

    @property
    def secrets(self) -> frozenset[str]:
        """Values that must not show up in a log."""
        return frozenset(secret for secret in self._secrets if len(secret) >= SHORTEST)

    # --- inside ---------------------------------------------------------------------------

    def _items(self, name: str) -> Iterator[tuple[str, Any]]:
        if name not in self._asked:
            self._asked.append(name)
        value = self._data.get(name)
        if value is None:
            return
        if not isinstance(value, dict):
            self._complain((name,), "must hold names with settings below", f"write '{name}:' first")
            return
        yield from value.items()

    def _schemas(
        self, name: str, key: str, schemas_for: Callable[[str], Sequence[type[S]]]
    ) -> Sequence[type[S]]:
        try:
            return schemas_for(key)
        except BadConfig as problem:
            self._complain((name, key), problem.reason, problem.remedy)
            return ()

    def _accounts(
        self,
        path: source.Path,
        kind: str,
        value: Any,
        schemas: Sequence[type[Section]],
        shared: Sequence[str],
    ) -> Iterator[Entry]:
        body = value if isinstance(value, dict) else {}
        several = body.get("accounts")
        if "accounts" not in body or any("accounts" in each.model_fields for each in schemas):
            whole = self._inherit(value, shared)
            yield Entry(kind, "default", self._split(path, whole, schemas))
            return
        if not isinstance(several, dict) or not several:
            self._complain((*path, "accounts"), "must hold one name per account with its settings")
            return
        defaults = {key: value for key, value in body.items() if key != "accounts"}
        for account, own in several.items():
            here = (*path, "accounts", account)
            self._check_name(here)
            if own is False:
                continue
            if not isinstance(own, dict | None):
                self._complain(here, "must hold settings, as 'name: value' lines")
                continue
            elsewhere = {key: (*path, key) for key in defaults if key not in (own or {})}
            merged = self._inherit({**defaults, **(own or {})}, shared)
            yield Entry(kind, account, self._split(here, merged, schemas, elsewhere))

    def _inherit(self, value: Any, shared: Sequence[str]) -> Any:
        if value is not None and not isinstance(value, dict):
            return value
        found = dict(value or {})
        for key in shared:
            above, own = self._data.get(key), found.get(key)
            wrong = any(each.where.split(".")[0] == key for each in self.problems)
            if isinstance(above, dict) and isinstance(own, dict | None) and not wrong:
                found[key] = {**above, **(own or {})}
        return found

    def _split(
        self,
        path: source.Path,
        value: Any,
        schemas: Sequence[type[S]],
        elsewhere: Mapping[str, source.Path] | None = None,
    ) -> tuple[Found[S], ...]:
        """`elsewhere` says of single keys that they stand somewhere else in the file."""
        places = elsewhere or {}
        if value is None:
            value = {}
        if not isinstance(value, dict):
            # Some sections have a short form; the schema says when it has none.
            return tuple(
                Found(_dotted(path), self._validate(path, value, schema, places))
                for schema in schemas
            )
        shares: list[dict[str, Any]] = [{} for _ in schemas]
        for key, setting in value.items():
            owner = next((at for at, each in enumerate(schemas) if _knows(each, key)), None)
            if owner is None:
                names = [name for each in schemas for name in _names(each)]
                self._complain(places.get(key, (*path, key)), *unknown_key(key, names))
            else:
                shares[owner][key] = setting
        return tuple(
            Found(_dotted(path), self._validate(path, share, schema, places))
            for share, schema in zip(shares, schemas, strict=True)
        )

    def _validate(
        self,
        path: source.Path,
        value: Any,
        schema: type[S],
        places: Mapping[str, source.Path],
    ) -> S | None:
        try:
            section = schema.model_validate(value)
        except ValidationError as problems:
            for error in problems.errors(include_url=False, include_input=False):
                loc = error["loc"]
                below = places.get(str(loc[0]), (*path, loc[0])) if loc else path
                self._complain((*below, *loc[1:]), *explain(error, schema))
            return None
        for at, secret in _secrets_in(section):
            self._secrets.add(secret)
            if at[0] not in section.model_fields_set:
                continue
            place = (*places.get(str(at[0]), (*path, at[0])), *at[1:])
            if self._source.line(place) and not self._is_reference(place):
                self.warnings.append(
                    Problem(
                        where=_dotted(place),
                        line=self._source.line(place),
                        reason="a secret stands in the file itself",
                        remedy="put it into ${env:NAME} or ${file:path}",
                    )
                )
        return section

    def _check_name(self, path: source.Path) -> None:
        if not _NAME.fullmatch(str(path[-1])):
            self._complain(path, "not usable as a name", "use up to 64 of A-Z a-z 0-9 . _ -")

    def _is_reference(self, path: source.Path) -> bool:
        return any(path[: len(known)] == known for known in self._referenced)

    def _complain(self, path: source.Path, reason: str, remedy: str = "") -> None:
        where = _dotted(path)
        if where in (known.where for known in self.problems):
            return  # what follows from the first problem of a setting is noise
        self.problems.append(
            Problem(where=where, line=self._source.line(path), reason=reason, remedy=remedy)
        )


def read(
    path: Path | None, env: Mapping[str, str] = os.environ, *, copy: Path | None = None
) -> Document:
    """Read a file, or nothing at all for None. What is wrong inside is told by `finish`.

    With `copy` its text is taken from there; complaints and relative references still go by
    `path`. Raises `BadConfig` when the file cannot be read.
    """
    if path is None:
        return Document(None, source.Source({}, {}), {})
    found = source.parse(_text(copy or path))
    document = Document(path, found, {})
    for fault in found.faults:
        document.problems.append(
            Problem(
                where=_dotted(fault.path),
                line=fault.line,
                reason=fault.reason,
                remedy=fault.remedy,
            )
        )
    document._data = {
        key: _resolved(document, (key,), value, env) for key, value in found.data.items()
    }
    return document


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadConfig(
            str(path), "there is no such file", "moltgate init writes one by asking"
        ) from None
    except IsADirectoryError:
        raise BadConfig(str(path), "is a folder", "name the file inside it") from None
    except UnicodeDecodeError as problem:
        raise BadConfig(
            str(path), f"not UTF-8 at byte {problem.start}", "save it as UTF-8"
        ) from problem
    except OSError as problem:
        raise BadConfig(
            str(path), f"cannot be read: {problem.strerror}", "check its owner and permissions"
        ) from problem


def _resolved(document: Document, path: source.Path, value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(document, (*path, key), each, env) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolved(document, (*path, at), each, env) for at, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    folder = document.path.parent if document.path else Path()
    try:
        found = resolve(value, key=str(path[-1]), folder=folder, env=env)
    except Unresolved as problem:
        document._complain(path, problem.reason, problem.remedy)
        return value
    if found.text != value:
        document._referenced.add(path)
    document._secrets.update(found.secrets)
    for warning in found.warnings:
        reason, _, remedy = warning.partition("; ")
        document.warnings.append(
            Problem(
                where=_dotted(path),
                line=document._source.line(path),
                reason=reason,
                remedy=remedy,
            )
        )
    return found.text


def _secrets_in(value: Any, at: source.Path = ()) -> Iterator[tuple[source.Path, str]]:
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield at, value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets_in(getattr(value, name), (*at, name))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _secrets_in(each, (*at, str(key)))
    elif isinstance(value, tuple | list):
        for place, each in enumerate(value):
            yield from _secrets_in(each, (*at, place))


def _names(schema: type[Section]) -> list[str]:
    return [info.alias or name for name, info in schema.model_fields.items()]


def _knows(schema: type[Section], key: str) -> bool:
    return key in _names(schema)


def _dotted(path: source.Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
