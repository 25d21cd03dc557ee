"""Webhook: Slack posts events, slash commands and presses to one address, each signed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from adapters.slack.native import Unreadable, decode, decode_form
from adapters.slack.reception import Reception
from adapters.slack.signature import WINDOW, Claim, claim, holds
from gateway.errors import GatewayError
from gateway.message import Account
from gateway.ports import Clock, Keep, WebhookAnswer

log = structlog.get_logger(__name__)

MAX_BODY = 2**20
_CHALLENGE = 1000
_GOT_IT = WebhookAnswer(status=200, content_type="text/plain")
_LATER = WebhookAnswer(status=503, content_type="text/plain")


class Webhook:
    """Nothing is taken in before `run`: until then Slack keeps what it has."""

    def __init__(
        self, account: Account, secrets: Sequence[bytes], keep: Keep, clock: Clock
    ) -> None:
        self._account = account
        self._secrets = tuple(secrets)
        self._keep = keep
        self._clock = clock
        self._reception: Reception | None = None

    async def run(self, reception: Reception) -> None:
        """Until cancelled, or until the account cannot go on."""
        self._reception = reception
        try:
            await asyncio.shield(reception.broken)
        finally:
            self._reception = None

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Without a secret of our own nobody is admitted."""
        return bool(self._secrets) and claim(headers, self._clock.now()) is not None

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        claimed = claim(headers, self._clock.now())
        if claimed is None or not holds(claimed, body, self._secrets):
            return WebhookAnswer(status=401, content_type="text/plain")
        try:
            kind, payload = _content(headers.get("content-type", ""), body)
        except Unreadable as problem:
            log.error("request_unreadable", reason=str(problem), account=self._account.key)
            return _GOT_IT  # asking for it again would change nothing
        if kind == "url_verification":
            challenge = payload.get("challenge")
            text = challenge[:_CHALLENGE] if isinstance(challenge, str) else ""
            return WebhookAnswer(status=200, body=text.encode(), content_type="text/plain")
        if kind == "app_rate_limited":
            log.warning("slack_withholds_events", account=self._account.key)
        if retry := headers.get("x-slack-retry-num"):
            # Never a reason to pass it over: the first try may not have reached the store.
            log.info("event_comes_again", attempt=retry[:8])
        return await self._once(claimed, kind, payload)

    async def _once(self, claimed: Claim, kind: str, payload: Mapping[str, Any]) -> WebhookAnswer:
        """A request that was confirmed once does nothing more, whoever sends it again."""
        reception = self._reception
        if reception is None:
            return _LATER
        key = f"signed/{claimed.signature}"
        try:
            if await self._keep.get(key) is not None:
                log.info("request_replayed", account=self._account.key)
                return _GOT_IT
            if not await reception.take(kind, payload):
                return _LATER
            await self._keep.set(key, b"", ttl=2 * WINDOW + 60.0)
        except GatewayError as problem:
            log.warning("event_not_taken", reason=str(problem), account=self._account.key)
            return _LATER
        return _GOT_IT


def _content(content_type: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of a payload, as Socket Mode would call it, and the payload."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        payload = decode(body)
        kind = payload.get("type")
        return ("events_api" if kind == "event_callback" else str(kind)), payload
    form = decode_form(body)
    if "payload" in form:
        return "interactive", decode(form["payload"])
    return ("slash_commands" if "command" in form else "other"), dict(form)
