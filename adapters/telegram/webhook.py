"""Webhook: Telegram posts each update to us and repeats it until we say 200."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping

import structlog

from adapters.telegram.client import BotApi
from adapters.telegram.native import ALLOWED_UPDATES, Unreadable, decode
from adapters.telegram.reception import Reception
from gateway.errors import BadConfig, Failed, Retryable
from gateway.message import Account
from gateway.ports import WebhookAnswer

log = structlog.get_logger(__name__)

HEADER = "x-telegram-bot-api-secret-token"
MAX_BODY = 2**20
_CONNECTIONS = 40


class Webhook:
    """Nothing is taken in before `run`: until then Telegram keeps what it has."""

    def __init__(self, account: Account, secret: str) -> None:
        self._account = account
        self._secret = secret.encode()
        self._reception: Reception | None = None

    async def run(self, api: BotApi, reception: Reception, public_url: str) -> None:
        """Until cancelled. `BadConfig` when Telegram does not take the address."""
        self._reception = reception
        try:
            if public_url:
                await self._register(api, f"{public_url}/webhooks/telegram/{self._account.id}")
            else:
                log.warning("webhook_not_registered", remedy="set http.public_url")
            await asyncio.Event().wait()
        finally:
            self._reception = None

    async def _register(self, api: BotApi, url: str) -> None:
        try:
            await api.call(
                "setWebhook",
                repeatable=True,
                url=url,
                secret_token=self._secret.decode(),
                allowed_updates=ALLOWED_UPDATES,
                max_connections=_CONNECTIONS,
            )
        except Failed as refused:
            raise BadConfig(
                "http.public_url",
                f"Telegram does not take it for a webhook ({refused})",
                "it needs https on port 443, 80, 88 or 8443; or use mode: polling",
            ) from refused
        log.info("webhook_registered", account=self._account.key)

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Without a secret of our own nobody is admitted."""
        given = headers.get(HEADER, "").encode("utf-8", "replace")
        return bool(self._secret) and hmac.compare_digest(given, self._secret)

    async def receive(self, body: bytes) -> WebhookAnswer:
        reception = self._reception
        if reception is None:
            return WebhookAnswer(status=503)
        try:
            update = reception.read(decode(body))
        except Unreadable as problem:
            reception.skip(None, str(problem))
            return WebhookAnswer(status=200)
        if update is None:
            return WebhookAnswer(status=200)  # asking for it again would only block its chat
        try:
            arrival = reception.meet(update)
            if arrival is not None:
                await reception.hand_in(arrival)
        except Retryable as later:
            log.warning("update_not_taken", update_id=update.update_id, reason=str(later))
            return WebhookAnswer(status=503)
        except Exception as problem:  # noqa: BLE001 - Telegram would hold the chat back for it
            return WebhookAnswer(status=200 if reception.gives_up_on(update, problem) else 503)
        return WebhookAnswer(status=200)
