"""A mail that was read becomes an event. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from adapters.email import sorting
from adapters.email.config import Label
from adapters.email.imap import Found
from adapters.email.post import quotation
from adapters.email.reading import File, Graded, Mail, answer_to, loop_count
from adapters.email.subjects import conversation
from gateway.message import (
    Account,
    Attachment,
    Inbound,
    Place,
    Sender,
    conversation_id,
    inbound_id,
)

REFERENCES = 20
"""Most ids of a thread that go along: its first and the newest."""
_LONGEST = 7000


def parse(
    mail: Mail,
    *,
    account: Account,
    identity: str,
    graded: Graded,
    root: str,
    known_thread: bool,
    commands: Collection[str],
    found: Found,
    where: tuple[str, int, int],
    now: float,
    quoting: bool = False,
    labels: Mapping[str, Label] | None = None,
) -> Inbound:
    """`root`: Message-ID of the mail that began the thread. `where`: folder, UIDVALIDITY, UID.
    `labels`: the model is asked for one of them, and not for an answer."""
    address = mail.from_address.lower()
    thread = conversation(root or identity, mail.subject)
    place = Place(kind="direct", chat=address, thread=thread)
    sender = Sender(id=address, name=mail.from_name, grade=graded.grade)
    text, files = content(mail, commands, opens=not mail.in_reply_to and not mail.references)
    if labels:
        text, files = sorting.question(labels, mail, mail.full_text or text), ()
    return Inbound(
        id=inbound_id(account, address, identity),
        conversation=conversation_id(account, place, sender),
        account=account,
        place=place,
        sender=sender,
        text=text,
        attachments=tuple(attached(file) for file in files),
        native_id=mail.message_id or f"<{identity}@unnamed.invalid>",
        reply_to=mail.in_reply_to,
        quote="" if known_thread or labels else mail.quoted,
        headers=_headers(mail, graded, root or identity, where, quoting=quoting),
        sent_at=found.at,
        received_at=now,
    )


def content(mail: Mail, commands: Collection[str], *, opens: bool) -> tuple[str, tuple[File, ...]]:
    """What is said, and what came along. A command is a mail's first line, whatever signature,
    logo or history a program puts below it."""
    text = mail.text.strip()
    first = text.partition("\n")[0].strip()
    if first.startswith("/") and first[1:].split(" ")[0].lower() in commands:
        return first, ()
    files = mail.attachments
    if not text and not files:
        return mail.subject, ()
    if opens and mail.subject:
        return f"Subject: {mail.subject}\n\n{text}", files
    return text, files


def attached(file: File) -> Attachment:
    return Attachment(
        kind=file.kind,
        name=file.name,
        media_type=file.claimed,
        size=len(file.content),
        problem=file.problem,
    )


def too_large(size: int) -> Attachment:
    """Stands for a mail that was not read: the sizes of the account refuse it in words."""
    return Attachment(
        kind="document",
        name="mail",
        size=size,
        problem=f"the mail is larger than I read ({size / 2**20:.0f} MB)",
    )


def capped(references: tuple[str, ...]) -> tuple[str, ...]:
    kept = references
    if len(references) > REFERENCES:
        kept = (references[0], *references[1 - REFERENCES :])
    while len(" ".join(kept)) > _LONGEST and len(kept) > 2:
        kept = (kept[0], *kept[2:])
    return kept


def _headers(
    mail: Mail, graded: Graded, root: str, where: tuple[str, int, int], *, quoting: bool
) -> dict[str, str]:
    headers = {
        "Message-ID": mail.message_id,
        "References": " ".join(
            capped(mail.references or ((mail.in_reply_to,) * bool(mail.in_reply_to)))
        ),
        "Subject": mail.subject[:900],
        "Author": (mail.from_name or mail.from_address)[:200],
        "From": mail.from_address,
        "Return-Path": mail.return_path or "",
        "To": answer_to(mail, graded),
        "Grade": graded.grade,
        "Date": f"{mail.date:.0f}",
        "Loop": str(loop_count(mail)),
        "Root": root,
        "Where": json.dumps(where, ensure_ascii=False),
    }
    if quoting:
        headers["Quote"] = quotation(mail.text)
    return {name: value for name, value in headers.items() if value}
