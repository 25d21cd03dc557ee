"""One Telegram bot: receives by polling or webhook, sends, edits, reacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from adapters.telegram import outgoing
from adapters.telegram.capabilities import CAPABILITIES, UPLOAD_LIMIT
from adapters.telegram.client import BotApi, Upload
from adapters.telegram.config import TelegramConfig
from adapters.telegram.media import Files
from adapters.telegram.native import User
from adapters.telegram.pace import pace
from adapters.telegram.parse import Self
from adapters.telegram.polling import Polling
from adapters.telegram.reception import Reception
from adapters.telegram.webhook import MAX_BODY, Webhook
from gateway.errors import BadConfig, Failed, GatewayError, Unavailable
from gateway.message import Account, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services, WebhookAnswer

log = structlog.get_logger(__name__)

_UNCHANGED = "message is not modified"
_UNREADABLE = "can't parse entities"
_EMPTY = ("text is empty", "must be non-empty")
_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
_UPLOAD_PATIENCE = 120.0


class TelegramAdapter:
    """`Adapter` with a pace, editing, typing, reactions, webhook and a live check."""

    max_body = MAX_BODY

    def __init__(self, account: Account, config: TelegramConfig, services: Services) -> None:
        secret = config.webhook_secret.get_secret_value() if config.webhook_secret else ""
        if config.mode == "webhook" and not secret:
            raise BadConfig(
                "adapters.telegram.webhook_secret",
                "mode webhook does not start without it",
                "make one with: openssl rand -hex 32",
            )
        self.account = account
        self.everywhere = config.mode == "webhook"
        self.capabilities: Capabilities = replace(CAPABILITIES, streams=config.streaming)
        self._config = config
        self._services = services
        self._api = BotApi(config)
        self._pace = pace(config.rate)
        self._webhook = Webhook(account, secret if config.mode == "webhook" else "")

    async def run(self, inbox: Inbox) -> None:
        me = await self._sign_in()
        log.info("telegram_signed_in", account=self.account.key, bot=me.id, mode=self._config.mode)
        await self._show_menu()
        files = Files(
            self._api,
            self._services.blobs,
            limit=self._config.file_limit,
            timeout=self._config.file_timeout,
        )
        reception = Reception(me, self._api, files, inbox, self._services.clock)
        if self._config.mode == "webhook":
            await self._webhook.run(self._api, reception, self._services.public_url)
        # Pending updates stay: what came while nobody listened is answered too.
        await self._api.call("deleteWebhook", repeatable=True)
        timeout = self._config.poll_timeout
        await Polling(self._api, reception, self._services.clock, timeout).run()

    async def pace(self, outbound: Outbound) -> None:
        await self._pace.wait(outbound.place.chat)

    async def spare(self, outbound: Outbound) -> bool:
        return await self._pace.spare(outbound.place.chat)

    async def send(self, outbound: Outbound) -> Receipt:
        return await self._perform(outgoing.sending(outbound), repeatable=False)

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        try:
            await self._perform(outgoing.editing(outbound, native_id), repeatable=True)
        except Failed as failure:
            words = str(failure).lower()
            if _UNCHANGED in words:
                return Receipt(native_id=native_id)
            if any(each in words for each in _GONE):
                raise Failed(f"gone: {failure}") from failure
            raise
        return Receipt(native_id=native_id)

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        await self._best_effort("sendChatAction", action="typing", **outgoing.where(place))

    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        reaction = [{"type": "emoji", "emoji": emoji}] if emoji else []
        await self._best_effort(
            "setMessageReaction", chat_id=place.chat, message_id=native_id, reaction=reaction
        )

    async def probe(self) -> Probe:
        try:
            me = await self._me()
        except Unavailable as problem:
            return Probe(ok=False, summary=f"{problem}; is there a network, is base_url right?")
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        hint = "" if me.can_read_all_group_messages else "; in groups it sees what is meant for it"
        return Probe(ok=True, summary=f"signed in as @{me.username}{hint}")

    def admits(self, headers: Mapping[str, str]) -> bool:
        return self._webhook.admits(headers)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        return await self._webhook.receive(body)

    async def close(self) -> None:
        await self._api.close()

    async def _sign_in(self) -> Self:
        me = await self._me()
        return Self(
            account=self.account,
            id=me.id,
            username=me.username,
            patterns=self._config.mention_patterns,
        )

    async def _me(self) -> User:
        answer = await self._api.call("getMe", repeatable=True)
        try:
            return msgspec.convert(answer, User)
        except msgspec.ValidationError as problem:
            raise Unavailable(f"getMe gave something unknown: {problem}") from problem

    async def _show_menu(self) -> None:
        menu = self._services.commands
        commands = [{"command": name, "description": text} for name, text in menu]
        try:
            await self._api.call("setMyCommands", repeatable=True, commands=commands)
        except BadConfig:
            raise
        except GatewayError as problem:
            log.warning("command_menu_not_set", reason=str(problem))

    async def _perform(self, call: outgoing.Call, *, repeatable: bool) -> Receipt:
        file = await self._upload(call) if call.file is not None else {}
        try:
            result = await self._call(call, call.data, file, repeatable=repeatable)
        except Failed as failure:
            words = str(failure).lower()
            if _UNREADABLE in words:
                log.warning("markup_refused", reason=str(failure))
                fallback = dict(call.plain)
            elif any(each in words for each in _EMPTY) and "text" in call.plain:
                fallback = {**call.plain, "text": outgoing.NOTHING}
            else:
                raise
            result = await self._call(call, fallback, file, repeatable=repeatable)
        number = result.get("message_id") if isinstance(result, dict) else None
        return Receipt(native_id=str(number or ""))

    async def _call(
        self,
        call: outgoing.Call,
        data: Mapping[str, Any],
        file: Mapping[str, Any],
        *,
        repeatable: bool,
    ) -> Any:
        sent = {**data, **file}
        if "media" in data and "upload" in file:
            sent["media"] = {**data["media"], "media": file["upload"].attach_uri}
        patience = _UPLOAD_PATIENCE if file else 20.0
        return await self._api.call(call.method, repeatable=repeatable, patience=patience, **sent)

    async def _upload(self, call: outgoing.Call) -> dict[str, Any]:
        """The file as a parameter of its call. Refused before its bytes are read when too big."""
        assert call.file is not None
        assert call.field is not None
        size = await self._services.blobs.size(call.file.digest)
        if size is not None and size > UPLOAD_LIMIT:
            raise Failed(f"a file of {size} bytes is too large for Telegram")
        content = b"".join([chunk async for chunk in self._services.blobs.read(call.file.digest)])
        if not content:
            raise Failed("an empty file cannot be sent on Telegram")
        if call.method == "editMessageMedia":
            return {"upload": Upload(content, filename=call.filename, attach=True)}
        return {call.field: Upload(content, filename=call.filename)}

    async def _best_effort(self, method: str, **data: Any) -> None:
        try:
            await self._api.call(method, repeatable=True, **data)
        except GatewayError as problem:
            log.debug("telegram_call_failed", method=method, reason=str(problem))
