"""What is done with one update, however it came: read, handed in, confirmed. Its files are fetched
when the inbox has let it in: a stranger makes us fetch nothing."""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from adapters.telegram.client import BotApi
from adapters.telegram.media import Files
from adapters.telegram.native import Unreadable, Update, read, update_id
from adapters.telegram.parse import Parsed, Self, parse
from gateway.errors import BadConfig, GatewayError, Retryable
from gateway.message import Attachment, Inbound
from gateway.ports import Clock, Inbox

log = structlog.get_logger(__name__)

TRIES = 3
"""How often an update is tried that makes us fail in a way nobody foresaw."""


class Arrival:
    """An event on its way in. Its files are fetched once, however often it is handed in."""

    def __init__(self, parsed: Parsed, files: Files, at: float) -> None:
        self.event = msgspec.structs.replace(parsed.event, received_at=at)
        self.callback_id = parsed.callback_id
        self.files = parsed.files
        self._store = files
        self._fetched: tuple[Attachment, ...] | None = None

    async def fetch(self, event: Inbound) -> Inbound:
        """The event with its files stored. Raises `Retryable` when the blob store takes nothing."""
        if self._fetched is None:
            pairs = zip(event.attachments, self.files, strict=True)
            fetched = await asyncio.gather(*(self._store.fetch(*pair) for pair in pairs))
            self._fetched = tuple(fetched)
        return msgspec.structs.replace(event, attachments=self._fetched)


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

    def meet(self, update: Update) -> Arrival | None:
        """The event in an update; None when it is no business of ours."""
        parsed = parse(update, self._me)
        if parsed is None:
            log.debug("update_ignored", update_id=update.update_id)
            return None
        return Arrival(parsed, self._files, self._clock.now())

    async def hand_in(self, arrival: Arrival) -> None:
        """When it returns, Telegram may be told that we have it.

        Raises `Retryable`, also when the blob store takes nothing, and `BadConfig` when Telegram
        refuses the token while a file is fetched.
        """
        try:
            fetch = arrival.fetch if arrival.files else None
            await self._inbox.accept(arrival.event, fetch)
        except (BadConfig, Retryable):
            raise
        except GatewayError as problem:
            self.rejected += 1
            log.error("event_rejected", message_id=arrival.event.id, reason=str(problem))
        if arrival.callback_id:
            await self._confirm(arrival.callback_id)

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
