"""One nick on one network: hears, and says lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from uuid import uuid4

import structlog

from adapters.irc.config import IrcConfig
from adapters.irc.link import Link
from adapters.irc.parse import Self, parse
from adapters.irc.render import lines
from adapters.irc.wire import Line, room
from gateway.errors import GatewayError, Retryable, Unavailable
from gateway.message import Account, Inbound, Outbound
from gateway.pace import Limit, Pace
from gateway.ports import Inbox, Probe, Receipt, Services

log = structlog.get_logger(__name__)

MOST_HEARD = 1000
"""Messages that wait for the store. When there are more the bot leaves: people see that."""
_LONGEST = 30.0


class IrcAdapter:
    """`Adapter` with a pace and a live check."""

    def __init__(self, account: Account, config: IrcConfig, services: Services) -> None:
        self.account = account
        self._config = config
        self._services = services
        self._link: Link | None = None
        self._heard: deque[Inbound] = deque()
        """Oldest first. IRC says nothing twice, so it outlives a connection."""
        self._something = asyncio.Event()
        every = config.line_every
        self._pace = Pace(Limit(config.burst, 1 / every) if every else None, lambda chat: None)

    async def run(self, inbox: Inbox) -> None:
        taking = asyncio.create_task(self._take_in(inbox))
        try:
            while len(self._heard) >= MOST_HEARD:
                await self._services.clock.sleep(1.0)
            link = await Link.open(self._config)
            log.info("irc_signed_in", account=self.account.key, nick=link.nick, caps=len(link.caps))
            self._services.count("connected" if link.nick == self._config.nick else "nick_taken")
            async with contextlib.aclosing(link.heard()) as heard:
                try:
                    self._link = link
                    async for line in heard:
                        self._hear(line, link.nick)
                finally:
                    self._link = None
                    await link.close()
        finally:
            taking.cancel()
            await asyncio.wait([taking])

    async def pace(self, outbound: Outbound) -> None:
        for _ in self._lines(outbound):
            await self._pace.wait(outbound.place.chat)

    async def spare(self, outbound: Outbound) -> bool:
        return False  # there are no previews

    async def send(self, outbound: Outbound) -> Receipt:
        if self._link is None:
            raise Unavailable("not connected")
        said = self._lines(outbound)
        return Receipt(native_id=await self._link.say(outbound.place.chat, said))

    async def probe(self) -> Probe:
        try:
            link = await Link.open(self._config)
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        await link.close()
        advice = [] if self._config.tls else ["tls is off: everybody on the way can read along"]
        if "account-tag" not in link.caps:
            advice.append(
                "the server names no accounts (account-tag), so people are unverified: see "
                "'Who is who' in the adapter's README before you set access.min_grade"
            )
        return Probe(ok=True, summary=f"signed in as {link.nick}", advice=advice)

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()

    def _lines(self, outbound: Outbound) -> list[str]:
        nick = self._link.nick if self._link is not None else self._config.nick
        return lines(outbound, room(nick, outbound.place.chat))

    def _hear(self, line: Line, nick: str) -> None:
        commands = [name for name, _ in self._services.commands]
        me = Self(account=self.account, nick=nick, commands=commands)
        event = parse(line, me, fresh=uuid4().hex, now=self._services.clock.now())
        if event is None:
            return
        self._heard.append(event)
        self._something.set()
        if len(self._heard) >= MOST_HEARD:
            self._services.count("leaves_full")
            raise Unavailable("the store takes nothing, and too much waits for it")

    async def _take_in(self, inbox: Inbox) -> None:
        """Hand in what was heard, in order, each until it is taken."""
        wait = 0.5
        while True:
            while not self._heard:
                self._something.clear()
                await self._something.wait()
            try:
                await inbox.accept(self._heard[0])
            except Retryable as later:
                log.warning("irc_messages_wait", waiting=len(self._heard), reason=str(later))
                await self._services.clock.sleep(max(later.after or 0.0, wait))
                wait = min(wait * 2, _LONGEST)
                continue
            except Exception:
                log.exception("irc_message_dropped", event_id=self._heard[0].id)
                self._services.count("dropped")
            self._heard.popleft()
            wait = 0.5
