"""The web chat as a platform: what is sent stands in a durable log that all readers share.

The HTTP server brings messages in by `receive` and reads by `follow`; the delivery shows replies
by `send`. A message is appended when the inbox lets it in, before it is stored, so that no reply
stands above its question. A part is appended under its send key, a message under its id, so
bringing either again shows nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from adapters.web import parse
from adapters.web.config import WebChatConfig
from adapters.web.events import UserMessage
from adapters.web.hub import Feed, Hub
from adapters.web.render import render
from gateway.errors import Refused, Unavailable
from gateway.message import (
    Account,
    Attachment,
    ConversationId,
    Inbound,
    Outbound,
    Place,
    ReplyId,
)
from gateway.ports import Accepted, Inbox, Live, LogEntry, Receipt, Services

log = structlog.get_logger(__name__)

PAGE = Path(__file__).parent / "page"

_LISTED = 100
"""Most conversations in a list."""

_NOT_TAKEN = {
    "rate_limit": "You are faster than I am. Please wait a moment and send it again.",
    "full": "Too many messages are already waiting here. Please send it again later.",
}
"""What is said instead of an entry, by reason, when the conversation said so a moment ago."""


class WebAdapter:
    def __init__(self, account: Account, config: WebChatConfig, services: Services) -> None:
        self.account = account
        self.title = config.title
        self.page = PAGE
        self._services = services
        self._hub = Hub(services.log)
        self._inbox: Inbox | None = None

    # --- towards the gateway ------------------------------------------------------------------

    async def run(self, inbox: Inbox) -> None:
        """Take messages in, and tell readers what any process appends, until cancelled."""
        self._inbox = inbox
        self._hub.missed()
        log.info("web_chat_started", account=self.account.key)
        try:
            async for conversation, entry in self._services.log.watch():
                self._hub.entry(conversation, entry)
        finally:
            self._inbox = None
        raise Unavailable("the log's watch ended")

    async def send(self, outbound: Outbound) -> Receipt:
        seq = await self._services.log.append(
            outbound.conversation, outbound.key, render(outbound), though_full=True
        )
        return Receipt(native_id=str(seq))

    async def close(self) -> None:
        self._inbox = None

    async def partial(self, live: Live) -> None:
        self._hub.live(live)

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        self._hub.signal(
            Live(
                conversation=conversation,
                account=self.account,
                place=place,
                reply=ReplyId(""),
                kind="started",
            )
        )

    # --- towards the HTTP server ----------------------------------------------------------------

    async def receive(
        self,
        *,
        principal: str,
        conversation: str,
        id: str,
        text: str,
        attachments: Sequence[Attachment] = (),
        kind: Literal["message", "button"] = "message",
    ) -> tuple[Accepted, int]:
        """Hand the message in; it is shown to all who read once it is admitted.

        Repeatable with the same id.
        """
        if self._inbox is None:
            raise Unavailable("the web chat is not running", after=1.0)
        inbound = parse.parse(
            self.account,
            principal=principal,
            name=conversation,
            id=id,
            text=text,
            attachments=attachments,
            kind=kind,
            at=self._services.clock.now(),
        )
        if not inbound.text.strip() and not inbound.attachments:
            raise Refused("A message needs a text or an attachment.", reason="empty")
        body, seq = parse.entry(inbound), 0

        async def show(_: Inbound) -> None:
            nonlocal seq
            seq = await self._services.log.append(inbound.conversation, inbound.id, body)

        accepted = await self._inbox.accept(inbound, show=show)
        if accepted.outcome == "ignored" or not seq:
            words = _NOT_TAKEN.get(accepted.reason, "This message was not taken.")
            raise Refused(words, reason=accepted.reason or "refused")
        if accepted.outcome == "duplicate":
            await self._compare(inbound.conversation, seq, body)
        return accepted, seq

    async def entries(
        self, principal: str, conversation: str, *, after: int | None, limit: int
    ) -> Sequence[LogEntry]:
        found = parse.conversation(self.account, principal, conversation)
        if after is None:
            return await self._services.log.tail(found, limit=limit)
        return await self._services.log.read(found, after=after, limit=limit)

    async def conversations(
        self, principal: str
    ) -> Sequence[tuple[str, LogEntry | None, LogEntry | None]]:
        found = await self._services.log.conversations(parse.prefix(self.account, principal))
        named = [(each, parse.name_of(each, self.account, principal)) for each in found[:_LISTED]]
        ends = await asyncio.gather(*(self._ends(each) for each, name in named if name))
        names = [name for _, name in named if name]
        return [(name, first, last) for name, (first, last) in zip(names, ends, strict=True)]

    def follow(
        self, principal: str, conversation: str, *, after: int
    ) -> AbstractContextManager[Feed]:
        return self._hub.follow(parse.conversation(self.account, principal, conversation), after)

    async def _ends(self, found: ConversationId) -> tuple[LogEntry | None, LogEntry | None]:
        first, last = await asyncio.gather(
            self._services.log.read(found, limit=1), self._services.log.tail(found, limit=1)
        )
        return first[0] if first else None, last[-1] if last else None

    async def _compare(self, found: ConversationId, seq: int, body: bytes) -> None:
        """A repeated id must mean the same message; otherwise somebody loses one unawares."""
        entries = await self._services.log.read(found, after=seq - 1, limit=1)
        if entries and entries[0].seq == seq and not _same(entries[0].body, body):
            raise Refused("This id was used for another message.", reason="conflict")


def _same(one: bytes, other: bytes) -> bool:
    return _user.decode(one) == _user.decode(other)


_user = msgspec.json.Decoder(UserMessage)
