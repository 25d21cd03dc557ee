"""What is done with one update, however it came: read, files fetched, handed in, confirmed."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from adapters.telegram.client import BotApi
from adapters.telegram.media import Files
from adapters.telegram.native import Unreadable, Update, read, update_id
from adapters.telegram.parse import Parsed, Self, parse
from gateway.errors import GatewayError, Retryable
from gateway.ports import Clock, Inbox

log = structlog.get_logger(__name__)

TRIES = 3
"""How often an update is tried that makes us fail in a way nobody foresaw."""


class Reception:
    """Takes updates in, one call each; calls for one chat must not overlap."""

    def __init__(self, me: Self, api: BotApi, files: Files, inbox: Inbox, clock: Clock) -> None:
        self._me = me
        self._api = api
        self._files = files
        self._inbox = inbox
        self._clock = clock
        self.unreadable = 0
        """Updates skipped because nobody could read them."""
        self.rejected = 0
        """Updates skipped because the gateway will never take them."""
        self._broken: dict[int, int] = {}

    def read(self, raw: object) -> Update | None:
        """The typed update; None, counted and logged, when it has no shape we know."""
        try:
            return read(raw)
        except Unreadable as problem:
            self.skip(update_id(raw), str(problem))
            return None

    def gives_up_on(self, update: Update, problem: Exception) -> bool:
        """After an error nobody foresaw: whether the update is left out now.

        It is tried a few times first; then it must not keep its chat, or its bot, waiting.
        """
        tries = self._broken.pop(update.update_id, 0) + 1
        log.error("update_broke_us", update_id=update.update_id, tries=tries, exc_info=problem)
        if tries < TRIES:
            self._broken[update.update_id] = tries
            return False
        self.rejected += 1
        return True

    def skip(self, number: int | None, reason: str) -> None:
        self.unreadable += 1
        log.error("update_unreadable", update_id=number, reason=reason, account=self._account)

    async def prepare(self, update: Update) -> Parsed | None:
        """The event with its files stored; None when it is no business of ours.

        Raises `Retryable` when the blob store takes nothing.
        """
        parsed = parse(update, self._me)
        if parsed is None:
            log.debug("update_ignored", update_id=update.update_id)
            return None
        event = parsed.event
        if parsed.files:
            pairs = zip(event.attachments, parsed.files, strict=True)
            fetched = await asyncio.gather(*(self._files.fetch(*pair) for pair in pairs))
            event = msgspec.structs.replace(event, attachments=tuple(fetched))
        event = msgspec.structs.replace(event, received_at=self._clock.now())
        return Parsed(event=event, callback_id=parsed.callback_id)

    async def hand_in(self, parsed: Parsed) -> None:
        """When it returns, Telegram may be told that we have it. Raises `Retryable`."""
        try:
            await self._inbox.accept(parsed.event)
        except Retryable:
            raise
        except GatewayError as problem:
            self.rejected += 1
            log.error("event_rejected", message_id=parsed.event.id, reason=str(problem))
        if parsed.callback_id:
            await self._confirm(parsed.callback_id)

    async def _confirm(self, callback_id: str) -> None:
        """Ends the waiting sign on a pressed button; one that is too old has none."""
        try:
            await self._api.call(
                "answerCallbackQuery", repeatable=True, callback_query_id=callback_id
            )
        except GatewayError as problem:
            log.debug("button_not_confirmed", reason=str(problem))

    @property
    def _account(self) -> str:
        return self._me.account.key
