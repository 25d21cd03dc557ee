"""Rules and labels: what is done with a mail without an answer. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

from adapters.email.config import Action, Label, Rule
from adapters.email.reading import Mail

NO_LABEL = "none"
_SEEN = r"\Seen"
_FLAGGED = r"\Flagged"


def matching(mail: Mail, rules: Sequence[Rule]) -> list[Rule]:
    """In their order, up to the first that stops."""
    found: list[Rule] = []
    for rule in rules:
        if applies(rule, mail):
            found.append(rule)
            if rule.stop:
                break
    return found


def applies(rule: Rule, mail: Mail) -> bool:
    listed = any(name.startswith("list-") for name, _ in mail.headers)
    return (
        (not rule.from_ or _any(rule.from_, [mail.from_address]))
        and (not rule.to or _any(rule.to, [*mail.to, *mail.cc]))
        and (not rule.subject or _any(rule.subject, [mail.subject]))
        and rule.has_attachment in (None, bool(mail.attachments))
        and rule.list in (None, listed)
    )


def flags(action: Action) -> tuple[str, ...]:
    system = [_FLAGGED] * action.flag + [_SEEN] * action.seen
    return (*system, *action.keywords)


def question(labels: Mapping[str, Label], mail: Mail, text: str) -> str:
    """What the model is asked. The mail comes last: what it says cannot be taken for the list."""
    lines = ["Which one of these labels fits the mail below? Answer with the label alone.", ""]
    lines += [f"- {name}: {label.about}".rstrip(": ") for name, label in labels.items()]
    lines += [f"- {NO_LABEL}: nothing of these", "", f"From: {mail.from_name} {mail.from_address}"]
    lines += [f"Subject: {mail.subject}", "", text]
    return "\n".join(lines)


def chosen(answer: str, labels: Iterable[str]) -> str:
    """The label the model named; empty when it named none, or several."""
    known = {name.casefold(): name for name in labels}
    line = answer.strip().casefold()
    bare = re.sub(r"^label\s*:\s*", "", line).strip(" \t\n.*_`\"'")
    if bare in known:
        return known[bare]
    named = {
        name
        for folded, name in known.items()
        if re.search(rf"(?<![\w-]){re.escape(folded)}(?![\w-])", line)
    }
    return named.pop() if len(named) == 1 else ""


def _any(patterns: Iterable[str], values: Iterable[str]) -> bool:
    return any(_matches(pattern, value) for pattern in patterns for value in values)


def _matches(pattern: str, value: str) -> bool:
    pattern, value = pattern.casefold(), value.casefold()
    if "*" in pattern or "?" in pattern:
        return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))
    return pattern in value
