"""What the e-mail tests share besides fixtures: a person with a mailbox, and an account of ours."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import aiosmtplib

from adapters.email.adapter import EmailAdapter
from adapters.email.config import EmailConfig
from gateway.clock import SystemClock
from gateway.message import Account, Inbound, Outbound, ReplyId
from gateway.ports import Services
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services
from tests.fakes.stores import MemoryBlobs, MemoryRecords
from tests.servers.mail import AUTHSERV, PASSWORD, MailServer

ACCOUNT = Account(kind="email")
PATIENCE = float(os.environ.get("P", 40.0))


def settings(server: MailServer, ours: str, **more: Any) -> dict[str, Any]:
    """Of an account on this server; `more` over them, sections merged."""
    ca = str(server.folder / "cert.pem")
    whole: dict[str, Any] = {
        "address": ours,
        "password": PASSWORD,
        "authserv_id": AUTHSERV,
        "imap": {"host": "localhost", "port": server.imap_port, "ca_file": ca, "timeout": 10},
        "smtp": {"host": "localhost", "port": server.smtps_port, "ca_file": ca, "timeout": 10},
    }
    for name, value in more.items():
        old = whole.get(name)
        whole[name] = {**old, **value} if isinstance(old, dict) else value
    return {name: value for name, value in whole.items() if value is not None}


class Hurried(SystemClock):
    """Sleeps are short, and the time can be moved on."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


@dataclass
class Person:
    """Somebody with a mailbox on the server."""

    server: MailServer
    address: str
    name: str = ""

    async def writes(
        self,
        to: str,
        text: str = "",
        *,
        subject: str = "",
        answers: EmailMessage | None = None,
        signed_in: bool = True,
        files: Sequence[tuple[str, str, bytes]] = (),
        headers: dict[str, str] | None = None,
        message_id: str | None = "",
    ) -> EmailMessage:
        """By SMTP, as a mail program does it. `message_id` None leaves it out."""
        mail = EmailMessage()
        mail["From"] = email.utils.formataddr((self.name, self.address))
        mail["To"] = to
        mail["Date"] = email.utils.formatdate()
        if message_id is not None:
            mail["Message-ID"] = message_id or email.utils.make_msgid(domain="people.test")
        if answers is not None:
            subject = subject or re.sub("^(Re: )*", "Re: ", str(answers["Subject"] or ""))
            mail["In-Reply-To"] = answers["Message-ID"]
            mail["References"] = f"{answers.get('References', '')} {answers['Message-ID']}".strip()
        if subject:
            mail["Subject"] = subject
        for name, value in (headers or {}).items():
            del mail[name]
            mail[name] = value
        mail.set_content(text)
        for name, media, content in files:
            main, sub = media.split("/")
            mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
        await self.submits(mail.as_bytes(), to, signed_in=signed_in)
        return mail

    async def submits(
        self, raw: bytes, to: str, *, sender: str | None = None, signed_in: bool = True
    ) -> None:
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=self.server.smtp_port,
            start_tls=False,
            local_hostname="people.test",
        )
        async with client:
            await client.ehlo()
            if signed_in:
                await client.auth_plain(self.address, PASSWORD)
            await client.mail(self.address if sender is None else sender)
            await client.rcpt(to)
            await client.data(raw)

    async def inbox(self) -> Sequence[EmailMessage]:
        """What came, once nothing is under way any more."""
        async with asyncio.timeout(PATIENCE):
            while self.server.waiting():
                await asyncio.sleep(0.01)
        return self.server.stored(self.address)

    async def gets(self, number: int = 1) -> Sequence[EmailMessage]:
        """Waits until so many mails are there."""
        async with asyncio.timeout(PATIENCE):
            while len(self.server.raw(self.address)) < number:
                await asyncio.sleep(0.01)
        return await self.inbox()


@dataclass
class Desk:
    """One account of ours, its adapter when it runs, and what came of it."""

    server: MailServer
    address: str
    records: MemoryRecords = field(default_factory=MemoryRecords)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)
    counts: Counts = field(default_factory=Counts)
    account: Account = ACCOUNT

    def services(self, **more: Any) -> Services:
        given = {"blobs": self.blobs, "count": self.counts.happened} | more
        return services(self.account, records=self.records, **given)

    def adapter(self, *, given: dict[str, Any] | None = None, **more: Any) -> EmailAdapter:
        config = EmailConfig(**settings(self.server, self.address, **more))
        return EmailAdapter(self.account, config, self.services(**(given or {})))

    @contextlib.asynccontextmanager
    async def running(
        self, inbox: MemoryInbox, *, given: dict[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[EmailAdapter]:
        """Receives inside the block, from the moment at which the folders are watched; what ended
        it early is raised at its end."""
        adapter = self.adapter(given=given, **more)
        task = asyncio.create_task(adapter.run(inbox))
        try:
            folders = more.get("mailboxes", ("INBOX",))
            while not task.done() and not await self._stands(folders):
                await asyncio.sleep(0.01)
            yield adapter
        finally:
            if not task.done():
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            finally:
                await adapter.close()

    async def _stands(self, folders: Sequence[str]) -> bool:
        keep = self.services().keep
        return all([await keep.get(f"stand/{name}") is not None for name in folders])

    def mails(self, where: str = "") -> Sequence[EmailMessage]:
        return self.server.stored(self.address, where)


async def until(true: Callable[[], Any], what: str = "") -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:.0f} s: {what}") from None


def answer(event: Inbound, text: str, *, reply: str = "r1", **more: Any) -> Outbound:
    """What the gateway sends in answer to an event."""
    return Outbound(
        **{
            "reply": ReplyId(reply),
            "conversation": event.conversation,
            "account": event.account,
            "place": event.place,
            "text": text,
            "reply_to": event.native_id,
            "headers": event.headers,
        }
        | more
    )


def plain(mail: EmailMessage) -> str:
    """The text part as a person reads it."""
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n").strip()
