"""One WhatsApp number: Meta posts to us, we call the Graph API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import structlog

from adapters.whatsapp import outgoing, webhook
from adapters.whatsapp.capabilities import CAPABILITIES
from adapters.whatsapp.client import GraphApi
from adapters.whatsapp.config import WhatsAppConfig
from adapters.whatsapp.errors import WORDS
from adapters.whatsapp.notes import WINDOW, WROTE_AT, Notes
from adapters.whatsapp.pace import pace
from adapters.whatsapp.reception import Reception
from gateway.errors import BadConfig, Failed, GatewayError, Retryable, Unavailable, Uncertain
from gateway.message import Account, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services, WebhookAnswer

log = structlog.get_logger(__name__)

_LATE = (
    "the person last wrote more than 24 hours ago, and WhatsApp takes only templates then: "
    "set template to an approved one, or wait until they write"
)


class WhatsAppAdapter:
    """`Adapter` with a webhook, its handshake, a pace, typing, reactions, read-back and a check."""

    max_body = webhook.MAX_BODY
    everywhere = True

    def __init__(self, account: Account, config: WhatsAppConfig, services: Services) -> None:
        if not config.secrets or not all(config.secrets):
            raise BadConfig(
                "adapters.whatsapp.app_secret",
                "the number does not start without it",
                "it stands in App settings, Basic",
            )
        self.account = account
        self.capabilities: Capabilities = CAPABILITIES
        self._config = config
        self._services = services
        self._api = GraphApi(config)
        self._notes = Notes(services.keep)
        self._pace = pace(config.rate)
        self._reception: Reception | None = None
        self._refused: asyncio.Future[None] | None = None

    async def run(self, inbox: Inbox) -> None:
        """Until cancelled. Nothing is taken in before: Meta posts again for days."""
        number = await self._api.number()
        log.info("whatsapp_signed_in", account=self.account.key, number=_shown(number))
        self._reception = Reception(
            self.account, self._config, self._api, self._notes, inbox, self._services
        )
        self._refused = asyncio.get_running_loop().create_future()
        try:
            await self._refused
        finally:
            self._reception = None

    def admits(self, headers: Mapping[str, str]) -> bool:
        return webhook.admits(headers)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        if not webhook.is_signed(headers, body, self._config.secrets):
            self._services.count("bad_signature")
            return WebhookAnswer(status=401)
        if self._reception is None:
            return WebhookAnswer(status=503)
        try:
            await self._reception.take(body)
        except Retryable as later:
            log.warning("post_not_taken", account=self.account.key, reason=str(later))
            return WebhookAnswer(status=503)
        except BadConfig as refused:  # of the token, while a file was fetched: the account stops
            if self._refused is not None and not self._refused.done():
                self._refused.set_exception(refused)
            return WebhookAnswer(status=503)
        return WebhookAnswer(status=200)

    async def handshake(self, query: Mapping[str, str]) -> WebhookAnswer:
        return webhook.handshake(query, self._config.verify_token.get_secret_value())

    async def pace(self, outbound: Outbound) -> None:
        await self._pace.wait(outbound.place.chat)

    async def spare(self, outbound: Outbound) -> bool:
        return await self._pace.spare(outbound.place.chat)

    async def send(self, outbound: Outbound) -> Receipt:
        known = await self._check_window(outbound)
        media = await self._uploaded(outbound) if outbound.files else ""
        answer = await self._api.send(outgoing.message(outbound, media))
        messages = answer.get("messages")
        if not known:
            await self._note_stranger(outbound)
        first = messages[0] if isinstance(messages, list) and messages else None
        native_id = first.get("id") if isinstance(first, dict) else None
        return Receipt(native_id=native_id if isinstance(native_id, str) else "")

    async def find(self, outbound: Outbound) -> Receipt | None:
        """WhatsApp shows us no chats, but every status brings back the key of its message. Without
        one nobody can say that it was not sent, so it is never sent again."""
        now = self._services.clock.now()
        sent = await self._notes.sent(outbound.key)
        if sent is not None and sent.failed:
            raise Failed(f"WhatsApp could not deliver it: {WORDS.get(sent.failed, sent.failed)}")
        if sent is not None:
            return Receipt(native_id=sent.id)
        left = await self._notes.asked_since(outbound.key, now) + self._config.status_wait - now
        if left > 0:
            raise Unavailable("its status may still come", after=min(left, 2.0))
        raise Uncertain("the send was cut, and no status of it came")

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        if not self._config.read_marks:
            return
        try:
            chat = await self._notes.chat(place.chat)
            if chat is not None:
                await self._api.send(outgoing.read(chat.message), repeatable=True)
        except GatewayError as problem:
            log.debug("typing_not_shown", reason=str(problem))

    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        try:
            told = outgoing.reaction(place.chat, native_id, emoji)
            await self._api.send(told, repeatable=True)
        except GatewayError as problem:
            log.debug("reaction_not_shown", reason=str(problem))

    async def probe(self) -> Probe:
        try:
            number = await self._api.number()
        except Unavailable as problem:
            return Probe(ok=False, summary=f"{problem}; is there a network, is base_url right?")
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        advice = []
        path = f"/webhooks/whatsapp/{self.account.id}"
        if not self._services.public_url:
            advice.append(
                "http.public_url is not set: Meta has to reach this server by https; the callback "
                f"URL ends in {path}"
            )
        elif not self._services.public_url.startswith("https://"):
            advice.append("http.public_url is not https: Meta posts to https only")
        else:
            advice.append(
                "whether Meta posts here shows in App dashboard, WhatsApp, Configuration: callback "
                f"URL {self._services.public_url}{path}, messages subscribed"
            )
        if number.get("quality_rating") in ("YELLOW", "RED"):
            advice.append("the number's quality is low: people block it; see WhatsApp Manager")
        return Probe(ok=True, summary=f"signed in as {_shown(number)}", advice=tuple(advice))

    async def close(self) -> None:
        await self._api.close()

    async def _check_window(self, outbound: Outbound) -> bool:
        """Whether the person has been noted before."""
        chat = await self._notes.chat(outbound.place.chat)
        noted = chat.at if chat is not None else 0.0
        asked = float(outbound.headers.get(WROTE_AT, 0.0))
        if self._services.clock.now() - max(noted, asked) < WINDOW:
            return chat is not None
        self._services.count("outside_window")
        if self._config.template:
            await self._send_template(outbound.place.chat)
        raise Failed(_LATE)

    async def _note_stranger(self, outbound: Outbound) -> None:
        """Who was answered may be written to for a day: that they were let in is told without a
        message of theirs at hand. Strangers are answered once a day, and few of them."""
        with contextlib.suppress(Retryable):
            at = float(outbound.headers.get(WROTE_AT, 0.0))
            await self._notes.wrote(outbound.place.chat, at, outbound.reply_to)

    async def _send_template(self, chat: str) -> None:
        """Asks the person to write, once a day. The answer itself stays on the operator's list."""
        try:
            if await self._notes.template_due(chat):
                told = outgoing.template(
                    chat, self._config.template, self._config.template_language
                )
                await self._api.send(told)
                log.info("template_sent", account=self.account.key)
        except BadConfig:
            raise
        except GatewayError as problem:
            log.warning("template_not_sent", reason=str(problem))

    async def _uploaded(self, outbound: Outbound) -> str:
        blobs = self._services.blobs
        digest = outbound.files[0].digest
        size = await blobs.size(digest) if digest else None
        file = outgoing.check_file(outbound, size)
        content = b"".join([chunk async for chunk in blobs.read(file.digest)])
        return await self._api.upload(content, file.media_type, outgoing.filename(file))


def _shown(number: Any) -> str:
    name, phone = number.get("verified_name"), number.get("display_phone_number")
    return f"{name or '?'} ({phone or '?'})"
