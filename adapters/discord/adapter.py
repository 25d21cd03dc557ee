"""One Discord bot: receives by the gateway, sends, edits, reacts, looks back."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from discord.errors import Forbidden

from adapters.discord import lookback, outgoing
from adapters.discord.api import Api, Upload
from adapters.discord.backfill import Backfill
from adapters.discord.capabilities import CAPABILITIES
from adapters.discord.channels import Channels
from adapters.discord.check import check
from adapters.discord.config import DiscordConfig
from adapters.discord.connection import Connection
from adapters.discord.errors import is_over
from adapters.discord.interactions import Interactions, Open
from adapters.discord.lanes import Lanes
from adapters.discord.lookback import Sent
from adapters.discord.media import Files
from adapters.discord.native import Application, Unreadable, is_snowflake, read
from adapters.discord.pace import channel, pace
from adapters.discord.parse import Self
from adapters.discord.position import Position
from adapters.discord.reception import Reception
from adapters.discord.voice import Recording, look
from gateway.errors import BadConfig, Failed, GatewayError, Uncertain
from gateway.message import Account, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services

log = structlog.get_logger(__name__)

MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = "/channels/{channel_id}/messages/{message_id}"
ORIGINAL = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
FOLLOW_UP = "/webhooks/{webhook_id}/{webhook_token}"
_MINE = "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me"


class DiscordAdapter:
    """`Adapter` with a pace, editing, typing, reactions, a look back and a live check."""

    def __init__(self, account: Account, config: DiscordConfig, services: Services) -> None:
        self.account = account
        self.capabilities: Capabilities = replace(CAPABILITIES, streams=config.streaming)
        self._config = config
        self._services = services
        self._api = Api(config, services.clock)
        self._pace = pace(config.rate)
        self._interactions = Interactions(self._api, services.clock)
        self._sent = Sent(services.clock)
        self._files = Files(
            services.blobs, config.cdn, limit=config.file_limit, timeout=config.file_timeout
        )

    async def run(self, inbox: Inbox) -> None:
        services, config = self._services, self._config
        bot = await self._api.me()
        me = Self(account=self.account, id=bot.id, patterns=config.mention_patterns)
        position = Position(services.keep, services.clock, me.id)
        await position.load()
        log.info("discord_signed_in", account=self.account.key, bot=me.id)
        await self._show_menu()
        try:
            async with asyncio.TaskGroup() as group:
                reception = Reception(
                    me=me,
                    inbox=inbox,
                    clock=services.clock,
                    files=self._files,
                    lanes=Lanes(group, services.clock, services.count),
                    position=position,
                    channels=Channels(self._api),
                    interactions=self._interactions,
                    sent=self._sent,
                    backfill=Backfill(self._api, config.backfill.messages, services.count),
                    limits=config.backfill,
                    count=services.count,
                )
                connection = Connection(
                    self._api,
                    reception,
                    position,
                    services.keep,
                    services.clock,
                    services.count,
                    gateway_url=config.gateway_url,
                    message_content=config.message_content,
                )
                group.create_task(position.keep_saved())
                try:
                    await connection.run()
                finally:
                    await reception.close()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the others only followed it

    async def pace(self, outbound: Outbound) -> None:
        await self._pace.wait(channel(outbound.place))

    async def spare(self, outbound: Outbound) -> bool:
        return await self._pace.spare(channel(outbound.place))

    async def send(self, outbound: Outbound) -> Receipt:
        opened = self._interactions.of(outbound)
        if opened is not None and outbound.part == 0:
            try:
                return await self._fill_in(opened, outbound)
            except Failed as over:
                if not is_over(over):
                    raise
                log.info("interaction_over", reason=str(over))
                opened = None
        self._sent.trying(outbound.key)
        upload = await self._upload(outbound)
        sending = outgoing.sending(outbound, _recording(outbound, upload))
        try:
            answer = await self._post(MESSAGES, sending.body, upload, outbound)
        except Failed as refused:
            if opened is None or not isinstance(refused.__cause__, Forbidden):
                raise
            return await self._follow_up(opened, outbound, upload)
        found = _id_of(answer)
        self._sent.note(outbound.key, found)
        if upload is None and (answer.get("content") or "").strip() != sending.content.strip():
            # Known by its nonce: it stands there as an earlier preview, or somewhat tidied up.
            await self._change(outbound, found)
        return Receipt(native_id=found)

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        if outgoing.may_be_voice(outbound):
            raise Failed("gone: a text cannot become a voice message by an edit")
        if not is_snowflake(native_id):
            raise Failed(f"gone: {native_id!r} is no message id")
        opened = self._interactions.of(outbound)
        if opened is not None and opened.message == native_id:
            try:
                return await self._fill_in(opened, outbound)
            except Failed as over:
                if not is_over(over):
                    raise
        await self._change(outbound, native_id)
        if opened is not None and opened.message != native_id and outbound.part == 0:
            await self._interactions.withdraw(opened)  # its answer has grown elsewhere
        return Receipt(native_id=native_id)

    async def find(self, outbound: Outbound) -> Receipt | None:
        found = await lookback.find(self._api, self._sent, outbound)
        return Receipt(native_id=found) if found is not None else None

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        path = "/channels/{channel_id}/typing"
        await self._best_effort("POST", path, channel_id=channel(place))

    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        where = {"channel_id": channel(place), "message_id": native_id}
        if emoji:
            await self._best_effort("PUT", _MINE, emoji=emoji, **where)
            return
        message = await self._best_effort("GET", MESSAGE, **where)
        for name in _our_reactions(message):
            await self._best_effort("DELETE", _MINE, emoji=name, **where)

    async def probe(self) -> Probe:
        return await check(self._api, message_content=self._config.message_content)

    async def close(self) -> None:
        await self._api.close()
        await self._files.close()

    # --- sending ----------------------------------------------------------------------------------

    async def _fill_in(self, opened: Open, outbound: Outbound) -> Receipt:
        """The announcement of an answer becomes the answer. Repeating it is harmless."""
        upload = await self._upload(outbound)
        answer = await self._api.call(
            "PATCH",
            ORIGINAL,
            repeatable=True,
            body=outgoing.editing(outbound).body,
            upload=upload,
            webhook_id=opened.application,
            webhook_token=opened.token,
        )
        found = str(answer.get("id") or "") if isinstance(answer, dict) else ""
        return Receipt(native_id=found or opened.message)

    async def _follow_up(self, opened: Open, outbound: Outbound, upload: Upload | None) -> Receipt:
        """For a part of an answer where the bot may not write, but was called."""
        answer = await self._api.call(
            "POST",
            FOLLOW_UP,
            body=outgoing.following(outbound),
            query={"wait": "true"},
            upload=upload,
            webhook_id=opened.application,
            webhook_token=opened.token,
        )
        return Receipt(native_id=_id_of(answer))

    async def _post(
        self, path: str, body: dict[str, Any], upload: Upload | None, outbound: Outbound
    ) -> dict[str, Any]:
        answer = await self._api.call(
            "POST", path, body=body, upload=upload, channel_id=channel(outbound.place)
        )
        if not isinstance(answer, dict):
            raise Uncertain("the answer to a message is not JSON")
        return answer

    async def _change(self, outbound: Outbound, native_id: str) -> None:
        upload = await self._upload(outbound)
        await self._api.call(
            "PATCH",
            MESSAGE,
            repeatable=True,
            body=outgoing.editing(outbound).body,
            upload=upload,
            channel_id=channel(outbound.place),
            message_id=native_id,
        )

    async def _upload(self, outbound: Outbound) -> Upload | None:
        """The file that goes along. Refused before its bytes are read when too big."""
        outgoing.check(outbound)
        if not outbound.files:
            return None
        (file,) = outbound.files
        size = await self._services.blobs.size(file.digest)
        if size is not None and size > self._config.upload_limit:
            raise Failed(f"a file of {size} bytes is larger than adapters.discord.upload_limit")
        content = b"".join([chunk async for chunk in self._services.blobs.read(file.digest)])
        if not content:
            raise Failed("an empty file cannot be sent on Discord")
        return Upload(content=content, filename=outgoing.filename(file), media_type=file.media_type)

    async def _best_effort(self, method: str, path: str, **ids: Any) -> Any:
        try:
            return await self._api.call(method, path, repeatable=True, **ids)
        except GatewayError as problem:
            log.debug("discord_call_failed", method=method, path=path, reason=str(problem))
            return None

    # --- commands ---------------------------------------------------------------------------------

    async def _show_menu(self) -> None:
        """Tell Discord the gateway's commands, when they are not the ones it was told."""
        menu = [_slash(name, text) for name, text in self._services.commands]
        bot = (await self._api.me()).id
        digest = hashlib.sha256(f"{bot} ".encode() + msgspec.json.encode(menu)).digest()
        try:
            if await self._services.keep.get("menu") == digest:
                return
            application = read(await self._application(), Application)
            await self._api.call(
                "PUT",
                "/applications/{application_id}/commands",
                repeatable=True,
                body=menu,
                application_id=application.id,
            )
            await self._services.keep.set("menu", digest)
        except BadConfig:
            raise
        except (GatewayError, Unreadable) as problem:
            log.warning("command_menu_not_set", reason=str(problem))

    async def _application(self) -> Any:
        return await self._api.call("GET", "/applications/@me", repeatable=True)


def _slash(name: str, text: str) -> dict[str, Any]:
    """In servers and direct messages, with whatever else is written behind it."""
    option = {
        "type": 3,
        "name": "text",
        "description": "what else you want to say",
        "required": False,
    }
    return {
        "type": 1,
        "name": name.lower()[:32],
        "description": text[:100] or name,
        "contexts": [0, 1],
        "integration_types": [0],
        "options": [option],
    }


def _recording(outbound: Outbound, upload: Upload | None) -> Recording | None:
    if upload is None or not outgoing.may_be_voice(outbound):
        return None
    return look(upload.content)


def _id_of(answer: Any) -> str:
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise Uncertain("the answer to a message names no message")
    found: str = answer["id"]
    return found


def _our_reactions(message: Any) -> list[str]:
    """Emojis of ours on a message, as their address needs them."""
    found = message.get("reactions") if isinstance(message, dict) else None
    names = []
    for each in found if isinstance(found, list) else []:
        emoji = each.get("emoji") or {}
        if each.get("me") and emoji.get("name"):
            names.append(f"{emoji['name']}:{emoji['id']}" if emoji.get("id") else emoji["name"])
    return names
