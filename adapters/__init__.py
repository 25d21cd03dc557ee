"""Platform adapters: one folder each, introduced by a `SPEC`, found by name.

A folder's `__init__.py` is cheap to import: the platform's SDK is loaded only when the adapter is
built. Adapters of other distributions come in through the entry-point group ``moltgate.adapters``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from config.fields import Section
from gateway.errors import BadConfig
from gateway.message import Account, Outbound
from gateway.ports import Adapter, Capabilities, Services

GROUP = "moltgate.adapters"

Split = Callable[[Outbound], Sequence[Outbound]]
"""Cuts a whole reply (part 0 of 1) into parts within the platform's limits. Pure; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question of ``moltgate init``."""

    setting: str
    """Where the answer goes in the adapter's settings, e.g. ``imap.host``. A secret setting is
    asked for without echo and kept in a file of its own."""
    question: str
    env: str = ""
    """The environment variable that answers it, e.g. ``DISCORD_TOKEN``."""
    default: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How an account of the platform comes to be: shown and asked by ``moltgate init``."""

    steps: Sequence[str] = ()
    """What to click where on the platform, one line each; ``{webhook}`` stands for the address of
    the account's webhook."""
    asks: Sequence[Ask] = ()
    """Without any, the settings that the schema requires are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """Introduces an adapter without importing its SDK."""

    kind: str
    title: str
    """As people call the platform."""
    config: type[Section]
    capabilities: Capabilities
    factory: str
    """``module:callable`` taking (account, config, services) and returning an `Adapter`."""
    split: str
    """``module:callable`` of type `Split`."""
    extra: str = ""
    """Name of the optional dependency group that brings its SDK."""
    id_rules: Mapping[str, Any] = field(default_factory=dict)
    """What native ids look like (``id_pattern``, ``chat_pattern``, ``id_hint``), so that a name
    in an allow-list is refused when the file is read."""
    setup: Setup = Setup()

    def build(self, account: Account, config: Section, services: Services) -> Adapter:
        """Imports the SDK. `BadConfig` with the install line when it is missing."""
        adapter: Adapter = _load(self.factory, self)(account, config, services)
        return adapter

    def splitter(self) -> Split:
        split: Split = _load(self.split, self)
        return split


def find(kind: str) -> AdapterSpec:
    """The spec of an adapter, ours or installed. `BadConfig` when there is none of that name."""
    if kind in kinds():
        spec: AdapterSpec = importlib.import_module(f"adapters.{kind}").SPEC
        return spec
    for entry in entry_points(group=GROUP):
        if entry.name == kind:
            return _foreign(entry)
    raise BadConfig(f"adapters.{kind}", "no such adapter", f"there are: {', '.join(known())}")


def kinds() -> tuple[str, ...]:
    """Adapters in this distribution."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg))


def known() -> tuple[str, ...]:
    """Adapters in this and every other installed distribution."""
    return tuple(sorted({*kinds(), *(entry.name for entry in entry_points(group=GROUP))}))


def _foreign(entry: EntryPoint) -> AdapterSpec:
    """The spec of another distribution, which may have been made for another Moltgate."""
    source = entry.dist.name if entry.dist is not None else entry.value
    try:
        spec = entry.load()
    except Exception as problem:
        reason = f"{source} cannot be loaded: {type(problem).__name__}: {problem}"
        raise BadConfig(f"adapters.{entry.name}", reason, "upgrade or uninstall it") from problem
    if not isinstance(spec, AdapterSpec) or spec.kind != entry.name:
        reason = f"{source} introduces no adapter of this name"
        raise BadConfig(f"adapters.{entry.name}", reason, "upgrade or uninstall it")
    return spec


def _load(where: str, spec: AdapterSpec) -> Any:
    module, _, name = where.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        if spec.kind not in kinds():
            raise BadConfig(
                f"adapters.{spec.kind}",
                f"{spec.title} needs the module {missing.name}",
                f"install {module.partition('.')[0]} anew, with what it depends on",
            ) from missing
        if spec.extra and not (missing.name or "").startswith("adapters"):
            raise BadConfig(
                f"adapters.{spec.kind}",
                f"{spec.title} needs the package {missing.name}",
                f'install it with: pip install "moltgate[{spec.extra}]"',
            ) from missing
        raise
