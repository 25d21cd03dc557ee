"""What is done with one mail: read, decided on, sorted or handed in, remembered, marked.

The order is what keeps mails: the inbox stores it, then we note what became of it, then its flags
are set, then the folder's stand moves on. Whatever dies in between finds it again, and knows it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator

import msgspec
import structlog

from adapters.email import sorting
from adapters.email.brakes import Brakes
from adapters.email.config import EmailConfig
from adapters.email.desk import perform
from adapters.email.errors import Gone
from adapters.email.imap import Found, Imap, Selected
from adapters.email.parse import parse, too_large
from adapters.email.reading import (
    File,
    Graded,
    Limits,
    Mail,
    Manners,
    Reader,
    Report,
    Trust,
    Unreadable,
    answer_to,
    grade,
    loop_count,
    why_not_answered,
)
from adapters.email.standing import Standing, identity
from adapters.email.vacation import Away
from gateway.errors import BadConfig, Failed, GatewayError, Retryable
from gateway.files import Files
from gateway.message import Account, Attachment, Inbound
from gateway.ports import Inbox, Services

log = structlog.get_logger(__name__)

TRIES = 3
"""How often a mail is tried that makes us fail in a way nobody foresaw."""
_DONE = ("taken", "sorted")
EMPTY_TRIES = 3
"""How often a server may give a mail without its bytes."""


class NoBody(Retryable):
    """The server says that there is a mail, and gives nothing of it."""


class Reception:
    """Takes mails in, for all folders of one account. Mails of one folder must not overlap."""

    def __init__(
        self,
        account: Account,
        config: EmailConfig,
        standing: Standing,
        away: Away,
        services: Services,
        inbox: Inbox,
        reader: Reader,
    ) -> None:
        self._account = account
        self._config = config
        self._standing = standing
        self._away = away
        self._inbox = inbox
        self._reader = reader
        self._reading = asyncio.Lock()
        self._clock = services.clock
        self._count = services.count
        self._brakes = Brakes(services.keep, config.limits)
        self._files = Files(services.blobs, "the mail", limit=config.max_size, timeout=60.0)
        self._commands = frozenset(name.removeprefix("/") for name, _ in services.commands)
        self._trust = Trust(
            server=config.authserv_id.lower(),
            alignment=config.alignment,
            several=config.several_results,
            received_above=config.received_above,
        )
        self._manners = Manners(
            lists=config.answer_lists,
            bulk=config.answer_bulk,
            only_addressed=config.only_addressed,
        )
        self._broken: OrderedDict[tuple[str, int, int], int] = OrderedDict()
        self._no_keywords: set[str] = set()

    async def take(self, imap: Imap, selected: Selected, found: Found) -> None:
        """When it returns, the mail is dealt with for good. Raises `Retryable` when it is not."""
        name = (imap.folder, selected.validity, found.uid)
        try:
            await self._take(imap, selected, found, name)
        except (BadConfig, NoBody):
            raise
        except Retryable:
            raise
        except Gone:
            log.info("mail_gone", folder=imap.folder, uid=found.uid)
        except Exception as problem:
            if not self._gives_up_on(name, problem):
                raise NoBody("a mail broke us and is tried again", after=1.0) from problem

    def _gives_up_on(self, name: tuple[str, int, int], problem: Exception) -> bool:
        tries = self._broken.pop(name, 0) + 1
        log.error("mail_broke_us", folder=name[0], uid=name[2], tries=tries, exc_info=problem)
        if tries < TRIES:
            self._broken[name] = tries
            if len(self._broken) > 100:
                self._broken.popitem(last=False)
            return False
        self._count("rejected")
        return True

    async def _take(
        self, imap: Imap, selected: Selected, found: Found, name: tuple[str, int, int]
    ) -> None:
        large = found.size > self._config.max_size
        raw = await imap.body(found.uid, header_only=large)
        if not raw:
            self._without_body(name)
            return
        try:
            async with self._reading:
                mail = await self._reader.read(raw)
        except Unreadable as problem:
            log.warning("mail_unreadable", uid=found.uid, reason=problem.reason)
            self._count("unreadable")
            self._count("left_unreadable")
            await self._leave(imap, selected, found, "unreadable")
            return
        what = identity(mail, raw)
        graded = grade(mail, self._trust, self._config.known)
        how = await self._standing.known(what, graded.grade)
        if how:
            self._count("known")
        else:
            how = await self._deal_with(imap, found, name, mail, what, graded, large=large)
            await self._standing.dealt_with(what, graded.grade, how)
            if how not in _DONE:
                self._count(f"left_{how}")
        if how == "taken":
            await self._mark(imap, found)
        elif how not in _DONE:
            await self._leave(imap, selected, found, how)

    def _without_body(self, name: tuple[str, int, int]) -> None:
        """Said loudly: a mailbox that looks healthy and gives nothing is the worst of all."""
        tries = self._broken.pop(name, 0) + 1
        log.error("mail_without_body", folder=name[0], uid=name[2], tries=tries)
        if tries < EMPTY_TRIES:
            self._broken[name] = tries
            raise NoBody("the server gave a mail without its bytes", after=2.0)
        self._count("no_body")

    async def _deal_with(
        self,
        imap: Imap,
        found: Found,
        name: tuple[str, int, int],
        mail: Mail,
        what: str,
        graded: Graded,
        *,
        large: bool,
    ) -> str:
        """``taken``, ``sorted``, or why it is left to people."""
        if mail.report is not None:
            return await self._bounce(mail.report)
        rules = sorting.matching(mail, self._config.rules)
        stopped = any(rule.stop for rule in rules)
        how = "sorted" if stopped else await self._answer(found, name, mail, what, graded, large)
        for rule in rules:
            self._count("rule")
            await perform(imap, found.uid, rule)
            if rule.move:
                break  # it has another number there
        return how

    async def _answer(
        self,
        found: Found,
        name: tuple[str, int, int],
        mail: Mail,
        what: str,
        graded: Graded,
        large: bool,
    ) -> str:
        triage = self._config.mode == "triage"
        if triage and not self._config.labels:
            return "no_rule"
        if why := self._why_not(mail, graded, triage=triage):
            return why
        root, known = await self._standing.root(mail)
        root = root or mail.message_id
        event = parse(
            mail,
            account=self._account,
            identity=what,
            graded=graded,
            root=root,
            known_thread=known,
            commands=self._commands,
            found=found,
            where=name,
            now=self._clock.now(),
            quoting=self._config.quoting == "top",
            labels=self._config.labels if triage else None,
        )
        if not triage:
            if await self._away.answered(event, mail):
                return "vacation"
            if why := await self._brakes.why_not(
                what, f"{graded.grade}/{event.sender.id}", event.place.thread, _said(mail)
            ):
                log.warning("mail_not_answered", reason=why, account=self._account.key)
                return why
        if large:
            event = msgspec.structs.replace(event, attachments=(too_large(found.size),))
        return await self._hand_in(event, mail, root)

    def _why_not(self, mail: Mail, graded: Graded, *, triage: bool) -> str:
        own = self._config.own
        if not mail.from_address:
            return "no_sender"
        if triage:  # nothing is sent, so everything but our own may be looked at
            return "own" if mail.from_address.lower() in own else ""
        if why := why_not_answered(mail, own, self._manners):
            return why
        if loop_count(mail) >= self._config.limits.loop:
            return "loop"
        return "" if answer_to(mail, graded) else "nobody_to_answer"

    async def _hand_in(self, event: Inbound, mail: Mail, root: str) -> str:
        async def prepare(admitted: Inbound) -> Inbound:
            return await self._with_files(admitted, mail)

        try:
            accepted = await self._inbox.accept(event, prepare if mail.attachments else None)
        except (BadConfig, Retryable):
            raise
        except GatewayError as problem:
            self._count("rejected")
            log.error("event_rejected", message_id=event.id, reason=str(problem))
            return "rejected"
        if accepted.outcome == "ignored":
            log.info("mail_not_answered", reason=accepted.reason, grade=event.sender.grade)
            return accepted.reason or "ignored"
        await self._standing.belongs(mail.message_id, root)
        return "taken"

    async def _with_files(self, event: Inbound, mail: Mail) -> Inbound:
        """Its files in the blob store, once the sender was let in."""
        if len(event.attachments) != len(mail.attachments):
            return event
        stored = [
            await self._stored(attachment, file)
            for attachment, file in zip(event.attachments, mail.attachments, strict=True)
        ]
        return msgspec.structs.replace(event, attachments=tuple(stored))

    async def _stored(self, attachment: Attachment, file: File) -> Attachment:
        if attachment.problem or not file.content:
            return attachment
        return await self._files.fetch(attachment, _chunks(file.content), size=len(file.content))

    async def _bounce(self, report: Report) -> str:
        """Somebody tells what became of a mail. Never answered; known by our Message-ID."""
        ours = bool(report.original_id) and await self._standing.ours(report.original_id)
        self._count("bounce" if ours else "report")
        log.warning(
            "bounce_received",
            ours=ours,
            action=report.action,
            status=report.status,
            domains=sorted({one.rpartition("@")[2] for one in report.recipients})[:5],
        )
        return "bounce"

    async def _mark(self, imap: Imap, found: Found) -> None:
        """Whom nobody answers, people read: in mode triage only rules and labels mark."""
        wanted = self._config.mark_seen and self._config.mode != "triage"
        if wanted and r"\seen" not in found.flags:
            await self._flag(imap, found, r"\Seen")

    async def _leave(self, imap: Imap, selected: Selected, found: Found, why: str) -> None:
        """For people: unread, with a keyword where one is set up."""
        log.debug("mail_left", reason=why, uid=found.uid)
        keyword = self._config.skipped_keyword
        if not keyword or keyword.lower() in found.flags:
            return
        if selected.keywords:
            await self._flag(imap, found, keyword)
        elif imap.folder not in self._no_keywords:
            self._no_keywords.add(imap.folder)
            log.warning("folder_takes_no_keywords", folder=imap.folder)

    async def _flag(self, imap: Imap, found: Found, flag: str) -> None:
        try:
            await imap.mark(found.uid, flag)
        except Failed as refused:
            log.warning("flags_refused", folder=imap.folder, reason=str(refused))


def _said(mail: Mail) -> str:
    """By which repetitions are known. Voice memos and pictures often come without a word."""
    files = (hashlib.sha256(file.content[:65_536]).hexdigest() for file in mail.attachments)
    return " ".join([mail.text.strip() or mail.subject, *files])


async def _chunks(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def limits(config: EmailConfig) -> Limits:
    return Limits(size=config.max_size)
