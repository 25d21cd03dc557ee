"""One mailbox: watches its folders, answers, drafts or sorts."""

from __future__ import annotations

import asyncio

import structlog

from adapters.email.config import EmailConfig
from adapters.email.desk import Desk
from adapters.email.door import Door
from adapters.email.post import Post
from adapters.email.reading import Reader
from adapters.email.reception import Reception, limits
from adapters.email.standing import Standing
from adapters.email.vacation import Away
from adapters.email.watch import Watch
from gateway.errors import BadConfig, GatewayError, Unavailable
from gateway.message import Account, Outbound
from gateway.ports import Inbox, Probe, Receipt, Services

log = structlog.get_logger(__name__)

_UNVERIFIED = (
    "authserv_id is not set: every sender counts as unverified, and by default nobody is answered; "
    "open a mail you received, show its source, and take the first word after the topmost "
    "Authentication-Results"
)


class EmailAdapter:
    """`Adapter` that can look for what it sent, with a live check."""

    def __init__(self, account: Account, config: EmailConfig, services: Services) -> None:
        self.account = account
        self._config = config
        self._services = services
        self._standing = Standing(services.keep, config.rescan)
        self._door = Door(config, services.clock)
        self._desk = Desk(config, self._door, services.clock)
        self._post = Post(config, self._door, self._desk, self._standing, services)

    async def run(self, inbox: Inbox) -> None:
        config = self._config
        if not config.authserv_id and config.mode != "triage":
            log.warning("senders_cannot_be_verified", account=self.account.key, why=_UNVERIFIED)
        await self._sign_in()
        away = Away(self.account, config, self._post, self._services)
        async with Reader(limits(config)) as reader:
            reception = Reception(
                self.account, config, self._standing, away, self._services, inbox, reader
            )
            watches = [
                Watch(name, config, self._door, self._standing, reception, self._services)
                for name in config.mailboxes
            ]
            try:
                async with asyncio.TaskGroup() as group:
                    for watch in watches:
                        group.create_task(watch.run())
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None  # the others only followed it

    async def send(self, outbound: Outbound) -> Receipt:
        return await self._post.send(outbound)

    async def find(self, outbound: Outbound) -> Receipt | None:
        return await self._post.find(outbound)

    async def probe(self) -> Probe:
        try:
            advice = await self._check()
        except BadConfig as problem:
            return Probe(ok=False, summary=str(problem))
        except Unavailable as problem:
            return Probe(ok=False, summary=f"{problem}; are host, port and tls right?")
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        folders = ", ".join(self._config.mailboxes)
        summary = f"reads {folders} of {self._config.address}"
        if self._config.mode == "reply":
            summary += " and may send"
        return Probe(ok=True, summary=summary, advice=advice)

    async def close(self) -> None:
        await self._desk.close()

    async def _sign_in(self) -> None:
        """Once before the folders are watched side by side: a server that lets nobody in is asked
        once."""
        imap = await self._door.imap()
        await imap.close()
        log.info("mailbox_opened", account=self.account.key, mode=self._config.mode)

    async def _check(self) -> list[str]:
        config, advice = self._config, []
        imap = await self._door.imap()
        try:
            for name in config.mailboxes:
                selected = await imap.select(name)
                if config.skipped_keyword and not selected.keywords:
                    advice.append(f"{name} takes no keywords: skipped_keyword has no effect there")
            if not imap.can("IDLE"):
                advice.append(f"no IDLE: new mail is looked for every {config.imap.poll:g} s")
        finally:
            await imap.close()
        if config.mode == "reply":
            await self._door.check_smtp()
        if config.mode == "draft" or (config.mode == "reply" and config.append_sent):
            use = "drafts" if config.mode == "draft" else "sent"
            folder, there = await self._desk.folder("drafts" if use == "drafts" else "sent")
            if not there:
                advice.append(f"there is no folder {folder!r} yet: set {use}, or it will be made")
        if not config.authserv_id and config.mode != "triage":
            advice.append(_UNVERIFIED)
        for name in ("imap", "smtp"):
            if getattr(config, name).tls == "none":
                advice.append(f"{name}.tls is none: password and mails go in the clear")
        return advice
