"""The ids in the section ``access``, divided among the platforms they belong to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.access.config import ANY_ID, LISTS, AccessConfig
from gateway.errors import BadConfig

Rules = Mapping[str, Mapping[str, Any]]
"""`AdapterSpec.id_rules` by kind."""


def of_kind(access: AccessConfig, section: AccessConfig, kind: str, rules: Rules) -> AccessConfig:
    """An account's rules, in which the lists that come from the section hold its platform's ids.

    The same number may be one person on one platform and another elsewhere, so an id counts on one
    only: where it fits several that are configured it has to say which, as ``telegram:123``.
    Raises `BadConfig`.
    """
    lists = {
        name: tuple(
            native
            for position, each in enumerate(getattr(section, name))
            for native in _meant(each, f"access.{name}[{position}]", pattern, kind, rules)
        )
        for name, pattern in LISTS.items()
        if getattr(access, name) == getattr(section, name)
    }
    return access.model_copy(update=lists)


def _meant(written: str, where: str, pattern: str, kind: str, rules: Rules) -> tuple[str, ...]:
    """The id on this platform, if it is one."""
    named, _, native = written.partition(":")
    if named in rules and _fits(native, rules[named], pattern):
        return (native,) if named == kind else ()
    fitting = sorted(each for each, rule in rules.items() if _fits(written, rule, pattern))
    if not fitting:
        hints = {str(rule["id_hint"]) for rule in rules.values() if "id_hint" in rule}
        remedy = hints.pop() if len(hints) == 1 else "use the immutable id, which /whoami shows"
        raise BadConfig(where, f"{written!r} is not an id on {', '.join(sorted(rules))}", remedy)
    if len(fitting) > 1:
        reason = f"{written!r} could be an id on {' and on '.join(fitting)}"
        raise BadConfig(where, reason, f"write {fitting[0]}:{written}, or put it under the account")
    return (written,) if fitting == [kind] else ()


def _fits(native: str, rule: Mapping[str, Any], pattern: str) -> bool:
    return re.fullmatch(str(rule.get(pattern, ANY_ID)), native) is not None
