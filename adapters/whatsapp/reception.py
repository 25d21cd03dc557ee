"""What is done with one signed post: its messages handed in, its statuses noted."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog

from adapters.whatsapp.client import GraphApi
from adapters.whatsapp.config import WhatsAppConfig
from adapters.whatsapp.errors import LABELS, WORDS
from adapters.whatsapp.native import (
    Status,
    Unreadable,
    Value,
    read_message,
    read_post,
    read_status,
    read_value,
)
from adapters.whatsapp.notes import WROTE_AT, Notes, Sent
from adapters.whatsapp.parse import Parsed, parse
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Uncertain
from gateway.files import Files
from gateway.message import Account, Attachment, Inbound
from gateway.ports import Inbox, Services

log = structlog.get_logger(__name__)

_OPENS = ("message", "button")
"""What surely opens the 24-hour window, and can be marked as read."""


class Reception:
    """Takes posts in while the account is ours."""

    def __init__(
        self,
        account: Account,
        config: WhatsAppConfig,
        api: GraphApi,
        notes: Notes,
        inbox: Inbox,
        services: Services,
    ) -> None:
        self._account = account
        self._number = config.phone_number_id
        self._api = api
        self._notes = notes
        self._inbox = inbox
        self._clock = services.clock
        self._count = services.count
        self._files = Files(
            services.blobs, "WhatsApp", limit=config.file_limit, timeout=config.file_timeout
        )

    async def take(self, body: bytes) -> None:
        """When it returns, Meta may be told that we have all of it.

        Raises `Retryable` when part of it could not be stored: the post comes again as a whole,
        and what is stored already is known then.
        """
        try:
            post = read_post(body)
        except Unreadable as problem:
            self._skip("post", problem)
            return
        for entry in post.entry:
            for change in entry.changes:
                if change.field != "messages":
                    continue
                try:
                    value = read_value(change.value)
                except Unreadable as problem:
                    self._skip("change", problem)
                    continue
                await self._take_value(value)

    async def _take_value(self, value: Value) -> None:
        if value.metadata.phone_number_id != self._number:
            self._count("foreign_number")
            log.warning(
                "post_for_another_number",
                account=self._account.key,
                number=value.metadata.phone_number_id[:32],
                remedy="give that number a callback URL of its own",
            )
            return
        for raw in value.statuses:
            try:
                await self._note(read_status(raw))
            except Unreadable as problem:
                self._skip("status", problem)
        chats: dict[str, list[Parsed]] = {}
        for parsed in self._messages(value):
            chats.setdefault(parsed.event.place.chat, []).append(parsed)
        # A slow file delays its own chat only; all are waited for, so that each is tried.
        results = await asyncio.gather(
            *(self._hand_in(each) for each in chats.values()), return_exceptions=True
        )
        problems = [one for one in results if isinstance(one, BaseException)]
        if problems:
            raise next((one for one in problems if not isinstance(one, Retryable)), problems[0])

    def _messages(self, value: Value) -> Sequence[Parsed]:
        found = []
        for raw in value.messages:
            try:
                message = read_message(raw)
            except Unreadable as problem:
                self._skip("message", problem)
                continue
            parsed = parse(message, value.contacts, self._account, self._number)
            if parsed is None:
                self._count("ignored")
                log.debug("message_ignored", kind=message.type)
            else:
                found.append(parsed)
        return found

    async def _hand_in(self, messages: Sequence[Parsed]) -> None:
        """Messages of one chat, in order."""
        for parsed in messages:
            now = self._clock.now()
            event = msgspec.structs.replace(parsed.event, received_at=now)
            note = None
            if event.kind in _OPENS:
                at = event.sent_at or now
                event = msgspec.structs.replace(event, headers={WROTE_AT: repr(at)})
                note = functools.partial(self._wrote, at)
            fetch = _Fetch(parsed.media, self._files, self._api)
            try:
                await self._inbox.accept(event, fetch.files if parsed.media else None, note)
            except (BadConfig, Retryable):
                raise
            except GatewayError as problem:
                log.error("event_rejected", message_id=event.id, reason=str(problem))

    async def _wrote(self, at: float, event: Inbound) -> None:
        await self._notes.wrote(event.place.chat, at, event.native_id)

    async def _note(self, status: Status) -> None:
        code = status.errors[0].code if status.errors else 0
        if status.status == "failed":
            label = code if code in LABELS else "other"
            self._count(f"failed_{label}")
            log.error(
                "message_not_delivered",
                account=self._account.key,
                native_id=status.id,
                key=status.biz_opaque_callback_data,
                code=code,
                reason=WORDS.get(code) or (status.errors[0].title[:200] if status.errors else ""),
            )
        if not status.biz_opaque_callback_data:
            return
        if status.status == "failed":
            sent = Sent(id=status.id, failed=code or -1)
            await self._notes.told(status.biz_opaque_callback_data, sent)
        elif status.status in ("sent", "delivered"):
            await self._notes.told(status.biz_opaque_callback_data, Sent(id=status.id))

    def _skip(self, what: str, problem: Unreadable) -> None:
        self._count("unreadable")
        log.error("post_unreadable", what=what, reason=str(problem), account=self._account.key)


class _Fetch:
    """The files of one message, fetched once it is let in."""

    def __init__(self, media: Sequence[str], files: Files, api: GraphApi) -> None:
        self._media = media
        self._files = files
        self._api = api

    async def files(self, event: Inbound) -> Inbound:
        pairs = zip(event.attachments, self._media, strict=True)
        kept = await asyncio.gather(*(self._one(one, id) for one, id in pairs))
        return msgspec.structs.replace(event, attachments=tuple(kept))

    async def _one(self, attachment: Attachment, id: str) -> Attachment:
        return await self._files.fetch(attachment, self._chunks(id))

    async def _chunks(self, id: str) -> AsyncIterator[bytes]:
        try:
            url, _ = await self._api.media(id)
        except (Busy, Retryable, Uncertain) as later:
            raise Failed(str(later)) from later
        async for chunk in self._api.chunks(url):
            yield chunk
