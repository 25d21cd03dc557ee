"""RFC 3834: which mails are never answered."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from adapters.email.reading.lines import address_safe
from adapters.email.reading.mail import Mail

LOOP = "x-moltgate-loop"
"""Counts in every answer of ours how often our kind has answered in the thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What may be loosened. Nothing here lets a robot, a bounce or ourselves be answered."""

    lists: bool = False
    """Answer what came through a mailing list."""
    bulk: bool = False
    """Answer what carries the marks of mass mail (Feedback-ID, one-click unsubscribing, campaign
    ids, Precedence: bulk)."""
    only_addressed: bool = True
    """Be silent where we stand in neither To nor Cc."""


_STRICT = Manners()

_LIST = frozenset(
    "x-mailman-version x-mailing-list mailing-list x-listname x-beenthere x-google-group-id "
    "x-list-administrivia".split()
)
_UNSUBSCRIBE = frozenset("list-unsubscribe list-unsubscribe-post".split())
"""Shops put these alone into what is no list."""
_BULK = _UNSUBSCRIBE | frozenset(
    "x-campaign x-campaignid x-campaign-id x-csa-complaints x-mailchimp-id x-mc-user x-sg-eid "
    "x-mailer-lid x-cmmessageid x-rpcampaign x-bulk-mail x-mass-mail".split()
)
_FROM_PEOPLE = ("fastmail", "proton", "protonmail")
"""Providers who put a Feedback-ID into every mail of a person, too: its last word names them."""
_ROBOTIC = frozenset(
    "x-autoreply x-autorespond x-auto-respond x-autoresponse x-autoresponder x-autoreply-from "
    "x-mail-autoreply x-vacation x-out-of-office x-failed-recipients x-noreply".split()
)
"""Headers of auto-responders that came before the standard, or do without it."""
_ONLY_RECEIPTS = frozenset(("dr", "rn", "nrn", "none", ""))
"""What X-Auto-Response-Suppress may name that is no answer."""
_PRECEDENCE = {
    "bulk": "bulk",
    "list": "list",
    "junk": "bulk",
    "auto_reply": "auto_reply",
    "auto-reply": "auto_reply",
    "autoreply": "auto_reply",
}
_ROBOT = re.compile(
    r"m(?:ailer)?[-_.]?daemon|post[-_.]?master|mail[-_.]?delivery[-_.]?(?:system|subsystem)?|daemon"
    r"|(?:do[-_.]?)?not?[-_.]?repl(?:y|ies)|do[-_.]?not[-_.]?(?:respond|answer)"
    r"|no[-_.]?(?:respon[ds]e?|answer|return|contact)|nobody|null|devnull|blackhole"
    r"|listserv|majordomo|mailman|sympa|auto[-_.]?(?:reply|responder|response|answer|mailer)"
    r"|unsubscribe|uucp|root|cron|www-data"
    r"|keine?[-_.]?antwort|nicht[-_.]?antworten|ne[-_.]?pas[-_.]?repondre|no[-_.]?responder"
    r"|non[-_.]?rispondere|geen[-_.]?antwoord"
)
_LIST_OFFICE = re.compile(r"owner-.+|.+-(?:request|owner)")
_FRAMED = re.compile(
    r"bounces?|.+-(?:bounces?|errors?)"
    r"|(?:bounces?|noreply|no-reply|donotreply|do-not-reply|autoreply)[-+=._].+"
    r"|.*anti[-_.]?(?:virus|spam).*"
    r"|.+[-+._](?:noreply|no[-_.]reply|donotreply|do[-_.]not[-_.]reply)"
)
_SUBJECT = re.compile(
    r"(?:auto(?:matic|matisch|matische|matisk|matiskt|mated)?[ -]?(?:reply|response|antwort|svar"
    r"|answer|antwoord)|abwesenheits(?:notiz|nachricht|agent)|out of (?:the )?office"
    r"(?: auto(?:matic )?[ -]?reply| message)?|away from (?:the |my )?(?:office|mail)"
    r"|on (?:vacation|holiday|leave)|vacation (?:reply|message|response)"
    r"|r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica|resposta autom[áa]tica"
    r"|fr[åa]nvaro(?:meddelande)?|odpowied[zź] automatyczna|автоответ|автоматический ответ"
    r"|自动回复|自動回覆|自動応答|부재중"
    r"|undeliver(?:ed|able)(?: mail returned to sender)?|delivery delayed"
    r"|delivery failure(?: notification)?"
    r"|delivery status notification|mail delivery (?:failed|system|subsystem)|returned mail"
    r"|failure notice|mail system error|message could not be delivered|unzustellbar)"
    r"\s*(?:[:(\uff1a-]|$|(?:re|aw|sv)\b)|.{0,400}\((?:delivery failed|failure)\)$",
    re.IGNORECASE,
)
"""Alone or before a colon: people, too, write about being out of the office."""


def automatic(mail: Mail) -> str:
    """Why nobody may answer it, whoever they are and whatever their policy."""
    return (
        _by_envelope(mail)
        or _by_marks(mail)
        or _by_sender(mail)
        or ("auto_subject" if _SUBJECT.match(mail.subject) else "")
    )


def why_not_answered(mail: Mail, own: Collection[str], manners: Manners | None = None) -> str:
    """The reason in few words of low cardinality, e.g. ``null_sender``; empty when it may be
    answered. `own` are all our addresses, aliases included; ``name+tag@`` belongs to ``name@``."""
    manners = manners or _STRICT
    ours = {_plain(address_safe(each) or each) for each in own}
    return (
        mail.auto
        or _by_ourselves(mail, ours)
        or ("" if manners.lists else _by_list(mail))
        or ("" if manners.bulk else _by_bulk(mail))
        or _by_recipients(mail, ours, manners)
        or ("" if mail.from_address else "no_sender")
    )


def loop_count(mail: Mail) -> int:
    """How often our kind has answered in this thread, by the mark that its mails carry."""
    counts = [each[:4] for each in mail.all(LOOP)]
    known = [int(each) for each in counts if each.isascii() and each.isdigit()]
    return max(known, default=len(counts[:1]))


def _by_envelope(mail: Mail) -> str:
    if mail.return_path == "":
        return "null_sender"
    return ""


def _by_marks(mail: Mail) -> str:
    # A comment or parameter may follow the word.
    for value in mail.all("auto-submitted"):
        if re.split(r"[\s;(]", value.strip().lower(), maxsplit=1)[0] != "no":
            return "auto_submitted"
    if mail.report is not None or _is_report(mail):
        return "report"
    for value in mail.all("x-auto-response-suppress"):
        if {word.strip().lower() for word in value.split(",")} - _ONLY_RECEIPTS:
            return "asked_not_to"
    if any(
        _PRECEDENCE.get(each.strip().lower()) == "auto_reply" for each in mail.all("precedence")
    ):
        return "auto_reply"
    if mail.has("x-loop"):
        return "loop_mark"
    if any(mail.has(name) for name in _ROBOTIC):
        return "auto_reply"
    return ""


def _is_report(mail: Mail) -> bool:
    kind = mail.header("content-type").partition(";")[0].strip().lower()
    return kind in ("multipart/report", "message/delivery-status") or mail.has("x-dsn-id")


def _by_sender(mail: Mail) -> str:
    for address in (mail.from_address, mail.sender, *mail.reply_to):
        if _is_robot(address) or _FRAMED.fullmatch(_local(address)):
            return "robot_sender"
    # Of the envelope this would be too much: people send through services that count bounces.
    return "robot_sender" if _is_robot(mail.return_path or "") else ""


def _is_robot(address: str) -> bool:
    local = _local(address)
    plain = local.partition("+")[0]
    return bool(_ROBOT.fullmatch(plain) or _LIST_OFFICE.fullmatch(local))


def _local(address: str) -> str:
    return address.rpartition("@")[0].lower()


def _by_ourselves(mail: Mail, ours: Collection[str]) -> str:
    senders = [mail.from_address, mail.sender, mail.return_path or ""]
    if any(_plain(each) in ours for each in senders if each):
        return "from_ourselves"
    if mail.reply_to and all(_plain(each) in ours for each in mail.reply_to):
        return "from_ourselves"
    return ""


def _by_list(mail: Mail) -> str:
    if "list" in _precedences(mail) or _is_list(mail):
        return "list"
    return ""


def _is_list(mail: Mail) -> bool:
    return any(
        name in _LIST or (name.startswith("list-") and name not in _UNSUBSCRIBE)
        for name, _ in mail.headers
    )


def _by_bulk(mail: Mail) -> str:
    if "bulk" in _precedences(mail):
        return "bulk"
    for value in mail.all("feedback-id"):
        if value.rpartition(":")[2].strip().lower() not in _FROM_PEOPLE:
            return "bulk"
    # A list's own marks say as much, and are decided above.
    return "bulk" if not _is_list(mail) and any(mail.has(name) for name in _BULK) else ""


def _precedences(mail: Mail) -> set[str]:
    return {_PRECEDENCE.get(each.strip().lower(), "") for each in mail.all("precedence")}


def _by_recipients(mail: Mail, ours: Collection[str], manners: Manners) -> str:
    if not manners.only_addressed:
        return ""
    return "" if any(_plain(each) in ours for each in (*mail.to, *mail.cc)) else "not_addressed"


def _plain(address: str) -> str:
    local, at, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"
