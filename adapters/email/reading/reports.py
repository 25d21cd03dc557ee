"""Delivery status notifications (RFC 3464), and the prose of servers that write none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from adapters.email.reading.lines import address_safe, header_safe, id_safe
from adapters.email.reading.mail import Report
from adapters.email.reading.structure import Header

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

_ACTIONS: Sequence[Action] = ("failed", "delayed", "expanded", "relayed", "delivered")
"""Worst first."""
_GROUPS = 100
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ID = re.compile(r"^[ \t>]*message-id:[ \t]{0,80}(<[^<>\s]{1,500}>)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"<?([^\s<>()\",;:]{1,64}@[^\s<>()\",;:]{1,200})>?:?")
_PROSE = re.compile(
    r"(?:could not be delivered|undeliver|delivery (?:has )?failed|failure notice|returned mail"
    r"|delivery status notification \(failure\)|mail delivery (?:failed|system|subsystem)"
    r"|message (?:has )?not (?:been )?delivered|delivery failure|nicht zugestellt|unzustellbar)",
    re.IGNORECASE,
)
_STILL_TRYING = re.compile(
    r"(?:delivery (?:is |has been )?delayed|warning: (?:message|could not send)|will be retried"
    r"|not yet been delivered|still (?:being )?retri)",
    re.IGNORECASE,
)


def fields(text: str) -> list[list[Header]]:
    """The groups of ``message/delivery-status``: first the message's, then each recipient's."""
    groups: list[list[Header]] = [[]]
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip():
            if groups[-1]:
                if len(groups) == _GROUPS:
                    break
                groups.append([])
        elif line[0] in " \t" and groups[-1]:
            name, value = groups[-1][-1]
            groups[-1][-1] = (name, f"{value} {line.strip()}"[:2_000])
        else:
            name, colon, value = line.partition(":")
            if colon:
                groups[-1].append((name.strip().lower(), value.strip()[:2_000]))
    return [group for group in groups if group]


def report(groups: Iterable[Sequence[Header]], original: str) -> Report:
    """`original`: headers of the mail that it is about, as far as they came along."""
    rows: list[tuple[Action | Literal[""], str, str, str]] = []
    found_id = _original_id(original)
    for group in groups:
        values = dict(reversed(group))
        found_id = found_id or id_safe(values.get("original-message-id", ""))
        who = values.get("original-recipient") or values.get("final-recipient", "")
        action = _action(values.get("action", ""))
        if not who and not action:
            continue
        address = address_safe(who.rpartition(";")[2].strip(" <>"))
        status = _STATUS.search(values.get("status", ""))
        told = values.get("diagnostic-code", "").partition(";")[2].strip()
        rows.append((action, address, status[0] if status else "", header_safe(told, 300)))
    told_actions = {row[0] for row in rows}
    worst: Action | Literal[""] = next((each for each in _ACTIONS if each in told_actions), "")
    about = [row for row in rows if row[0] == worst]
    return Report(
        action=worst,
        status=next((row[2] for row in about if row[2]), ""),
        recipients=tuple(dict.fromkeys(row[1] for row in about if row[1])),
        original_id=found_id,
        diagnostic=next((row[3] for row in about if row[3]), ""),
    )


def from_prose(text: str, subject: str, failed: str) -> Report | None:
    """Of servers that write for people (qmail, Exim). `failed`: Exim's X-Failed-Recipients."""
    begin = f"{subject}\n{text[:4_000]}"
    if _STILL_TRYING.search(begin):
        action: Action = "delayed"
    elif failed or _PROSE.search(begin):
        action = "failed"
    else:
        return None
    named = failed or " ".join(
        line for line in text[:4_000].split("\n") if _ADDRESS.fullmatch(line.strip())
    )
    recipients = (address_safe(found[1].rstrip(".")) for found in _ADDRESS.finditer(named[:2_000]))
    status = _STATUS.search(text[:4_000])
    return Report(
        action=action,
        status=status[0] if status else "",
        recipients=tuple(dict.fromkeys(each for each in recipients if each)),
        original_id=_original_id(text),
    )


def _action(value: str) -> Action | Literal[""]:
    word = value.strip().lower()
    return next((each for each in _ACTIONS if word.startswith(each)), "")


def _original_id(text: str) -> str:
    found = _ID.search(text[:100_000])
    return id_safe(found[1]) if found else ""
