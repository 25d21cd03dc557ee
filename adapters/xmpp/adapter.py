"""One XMPP account: hears, says, corrects, looks back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4
from xml.etree.ElementTree import Element

import msgspec
import structlog
from slixmpp import JID
from slixmpp.stanza import Message

from adapters.xmpp.capabilities import CAPABILITIES
from adapters.xmpp.config import XmppConfig
from adapters.xmpp.parse import AT, Parsed, Self, archive_id, bare, encrypted, moment, parse
from adapters.xmpp.render import body
from adapters.xmpp.session import Session, is_named, named
from adapters.xmpp.upload import Uploads
from gateway.errors import Failed, GatewayError, Retryable, Unavailable, Uncertain
from gateway.files import Files
from gateway.message import Account, ConversationId, Inbound, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services

log = structlog.get_logger(__name__)

MOST_HEARD = 1000
"""Messages that wait for the store. When there are more, we leave them to the server's archive."""
LOOKED_BACK = 2000
"""Messages of a chat among which a part of ours is looked for. Each step of a growing answer is one
of them."""
LEEWAY = 3600.0
"""Seconds by which clocks may differ, and what is said may come late."""
_LONGEST = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    parsed: Parsed | None
    archive: str
    """Whose archive it is in: a room's, or empty for our own."""
    at: str
    """Its id there; empty where there is no archive."""


class XmppAdapter:
    """`Adapter` with edits, typing, looking back and a live check."""

    def __init__(self, account: Account, config: XmppConfig, services: Services) -> None:
        self.account = account
        self.capabilities: Capabilities = replace(CAPABILITIES, streams=config.streaming)
        self._config = config
        self._services = services
        self._session: Session | None = None
        self._heard: deque[_Heard] = deque()
        self._something = asyncio.Event()
        self._live: list[Element] | None = None
        """What comes while the archives are read: it is younger than all that stands there."""
        self._me = Self(
            account=account,
            jid=config.jid,
            nick=config.nick,
            rooms=config.rooms,
            file_hosts=tuple(each.lower() for each in config.file_hosts),
        )
        self._uploads = Uploads(config)
        self._files = Files(
            services.blobs, "XMPP", limit=config.file_limit, timeout=config.file_timeout
        )

    @property
    def listening(self) -> bool:
        """Signed in, and done with the archives."""
        return self._session is not None and self._live is None

    async def run(self, inbox: Inbox) -> None:
        taking = asyncio.create_task(self._take_in(inbox))
        session = Session(self._config, self._hear)
        try:
            while len(self._heard) >= MOST_HEARD:
                await self._services.clock.sleep(1.0)
            self._live = []
            await session.open()
            log.info("xmpp_signed_in", account=self.account.key)
            self._services.count("connected")
            session.show()
            for room in self._config.rooms:
                await session.join(room, self._config.nick)
            self._session = session  # before, rooms would refuse what we say for good
            for archive in ("", *self._config.rooms):
                await self._catch_up(session, archive)
            live, self._live = self._live, None
            for message in live:
                self._hear(message)
            await self._stay(session)
        finally:
            self._session = None
            taking.cancel()
            await asyncio.wait([taking])
            await session.close()

    async def send(self, outbound: Outbound) -> Receipt:
        session = self._connected()
        message = await self._message(session, outbound)
        await session.say(named(message, outbound.key))
        return Receipt(native_id=outbound.key)

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        session = self._connected()
        message = named(await self._message(session, outbound), uuid4().hex)
        message["replace"]["id"] = native_id
        try:
            await session.say(message)
        except Uncertain as cut:  # a correction says the same however often it comes
            raise Unavailable(str(cut)) from cut
        return Receipt(native_id=native_id)

    async def find(self, outbound: Outbound) -> Receipt | None:
        session = self._connected()
        place, before, seen = outbound.place, "", 0
        since = float(outbound.headers.get(AT, "0"))
        room = place.chat if place.kind != "direct" else ""
        while True:
            try:
                found, last = await session.page(
                    room, before=before, person="" if room else place.chat
                )
            except Failed as refused:
                raise Uncertain(f"there is no archive to look into: {refused}") from refused
            if any(self._is_ours(each, outbound.key) for _, _, each in found):
                return Receipt(native_id=outbound.key)
            seen += len(found)
            if looked_through(found, last=last, since=since):
                return None
            if seen >= LOOKED_BACK:
                raise Uncertain(f"not among the last {seen} messages of the archive")
            before = found[0][0]

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        if self._session is not None:
            message = self._addressed(self._session, place)
            message["chat_state"] = "composing"
            self._session.hint(message)

    async def probe(self) -> Probe:
        session = Session(self._config, lambda message: None)
        try:
            await session.open()
            try:
                await session.page(most=1, before="")
            except Failed:
                archive = [
                    "the server keeps no archive (XEP-0313): what is said while the bot is away "
                    "may be lost, and a send that was cut cannot be looked for"
                ]
            else:
                archive = []
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        finally:
            await session.close()
        return Probe(ok=True, summary=f"signed in as {self._config.jid}", advice=archive)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> Session:
        if self._session is None:
            raise Unavailable("not connected")
        return self._session

    def _addressed(self, session: Session, place: Place) -> Message:
        return session.client.make_message(
            mto=JID(place.chat), mtype="chat" if place.kind == "direct" else "groupchat"
        )

    async def _message(self, session: Session, outbound: Outbound) -> Message:
        """Files are brought to the upload service first: nothing was shown yet if that fails."""
        message = self._addressed(session, outbound.place)
        if outbound.files:
            if len(outbound.files) > 1:
                raise Failed("one file per message on XMPP: split the reply first")
            url = await self._uploads.put(session, outbound.files[0], self._services.blobs)
            message["body"] = url
            message["oob"]["url"] = url
        else:
            message["body"] = body(outbound)
            message["chat_state"] = "active"
        return message

    def _is_ours(self, message: Element, key: str) -> bool:
        origin = message.get("from", "")
        nick = origin.partition("/")[2]
        own = bare(origin) == self._me.jid or (
            bare(origin) in self._me.rooms and nick == self._me.nick
        )
        return own and is_named(message, key)

    async def _stay(self, session: Session) -> None:
        """Until the connection ends, which is told by `Unavailable`."""
        while True:
            try:
                async with asyncio.timeout(self._config.silence):
                    await asyncio.shield(session.ended)
            except TimeoutError:
                await session.alive()
            else:
                raise Unavailable("the connection ended")
            if len(self._heard) >= MOST_HEARD:
                self._services.count("leaves_full")
                raise Unavailable("the store takes nothing, and too much waits for it")

    async def _catch_up(self, session: Session, archive: str) -> None:
        """What was said while we were away, from the archive's last known id on."""
        mark = await self._services.keep.get(_mark(archive))
        try:
            if mark is None:  # the first time: what was said before we came is not for us
                found, _ = await session.page(archive, before="", most=1)
                await self._note(archive, found[-1][0] if found else "")
                return
            after, _, noted = mark.decode().partition("\n")
            try:
                await self._make_up(session, archive, after, 0.0)
            except Failed as refused:
                if "item-not-found" not in str(refused) or not noted:
                    raise
                # Archives forget what is old, in a quiet chat also where we stood.
                log.info("xmpp_mark_forgotten", archive=archive or "own")
                await self._make_up(session, archive, "", float(noted) - LEEWAY)
        except Failed as refused:
            self._services.count("no_archive")
            log.info("xmpp_no_archive", archive=archive or "own", reason=str(refused))

    async def _make_up(self, session: Session, archive: str, after: str, start: float) -> None:
        taken = 0
        async with contextlib.aclosing(session.archive(archive, after, start)) as missed:
            async for at, stamp, message in missed:
                if taken >= self._config.catch_up:
                    self._services.count("backfill_capped")
                    log.warning("xmpp_backfill_capped", archive=archive or "own", taken=taken)
                    return
                taken += 1
                self._queue(message, archive, at, stamp)
        if taken:
            log.info("xmpp_caught_up", archive=archive or "own", messages=taken)

    async def _note(self, archive: str, at: str) -> None:
        """How far an archive was taken in, and when."""
        mark = f"{at}\n{self._services.clock.now():.0f}"
        await self._services.keep.set(_mark(archive), mark.encode())

    def _hear(self, message: Element) -> None:
        if self._live is not None:
            self._live.append(message)
            return
        room = bare(message.get("from", ""))
        archive = room if room in self._me.rooms else ""
        self._queue(message, archive, archive_id(message, archive or self._me.jid), "")

    def _queue(self, message: Element, archive: str, at: str, stamp: str) -> None:
        if encrypted(message):
            self._services.count("encrypted")
        origin = bare(message.get("from", ""))
        occupants = self._session.occupants(origin) if self._session and archive else {}
        parsed = parse(
            message,
            self._me,
            occupants,
            fresh=at or uuid4().hex,
            now=self._services.clock.now(),
            stamp=stamp,
        )
        if parsed is not None or at:
            self._heard.append(_Heard(parsed=parsed, archive=archive, at=at))
            self._something.set()

    async def _take_in(self, inbox: Inbox) -> None:
        """Hand in what was heard, in order, each until it is taken, and note how far we are."""
        wait = 0.5
        while True:
            while not self._heard:
                self._something.clear()
                await self._something.wait()
            head = self._heard[0]
            try:
                if head.parsed is not None:
                    await self._hand_in(inbox, head.parsed)
                if head.at:
                    await self._note(head.archive, head.at)
            except Retryable as later:
                log.warning("xmpp_messages_wait", waiting=len(self._heard), reason=str(later))
                await self._services.clock.sleep(max(later.after or 0.0, wait))
                wait = min(wait * 2, _LONGEST)
                continue
            except Exception:
                log.exception("xmpp_message_dropped")
                self._services.count("dropped")
            self._heard.popleft()
            wait = 0.5

    async def _hand_in(self, inbox: Inbox, parsed: Parsed) -> None:
        async def fetch(event: Inbound) -> Inbound:
            found = await self._files.fetch(event.attachments[0], self._uploads.get(parsed.url))
            return msgspec.structs.replace(event, attachments=(found,))

        await inbox.accept(parsed.event, fetch if parsed.url else None)


def looked_through(page: Sequence[tuple[str, str, Element]], *, last: bool, since: float) -> bool:
    """Whether what answers something of then cannot stand before this page of an archive."""
    return last or not page or 0 < moment(page[0][1]) < since - LEEWAY


def _mark(archive: str) -> str:
    return f"archive/{archive or 'own'}"
