"""What people write in Slack, as plain text: its references are spelled out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"<([^<>\n]{1,4000})>")
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def plain(text: str, names: Mapping[str, str]) -> str:
    """`names` of people by their id; whom it does not know is called by the id."""
    return _unescaped(_REFERENCE.sub(lambda found: _spelled(found[1], names), text))


def mentioned(text: str) -> tuple[str, ...]:
    """Ids of people, each once, in order."""
    return tuple(dict.fromkeys(_MENTION.findall(text)))


def without_mention(text: str, user: str) -> str:
    """The text without this person's name at its beginning."""
    found = _MENTION.match(text.lstrip())
    if found is None or found[1] != user:
        return text
    return text.lstrip()[found.end() :].lstrip(" \t\n,:")


def _spelled(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        return f"@{names.get(target[1:]) or label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return _special(target[1:], label)
    target = target.removeprefix("mailto:")
    if not label or label == target or target.removeprefix("http://") == label:
        return target
    return f"{label} ({target})"


def _special(target: str, label: str) -> str:
    """Groups, and dates that Slack shows in the reader's time."""
    if label:
        return label
    return f"@{target.partition('^')[0]}"


def _unescaped(text: str) -> str:
    for entity, char in _ENTITIES:
        text = text.replace(entity, char)
    return text
