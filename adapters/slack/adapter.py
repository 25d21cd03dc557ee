"""One Slack app: receives by socket or webhook, sends, edits, reacts, finds its own messages."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import structlog

from adapters.slack import outgoing
from adapters.slack.capabilities import CAPABILITIES, NEEDED, UPLOAD_LIMIT
from adapters.slack.client import Answer, WebApi
from adapters.slack.config import SlackConfig
from adapters.slack.emoji import name_of
from adapters.slack.errors import UNREACHED, Refusal
from adapters.slack.media import Files
from adapters.slack.pace import SlackPace
from adapters.slack.parse import RESPOND, Self
from adapters.slack.people import People
from adapters.slack.reception import ASKED, Reception
from adapters.slack.socket import Socket
from adapters.slack.webhook import MAX_BODY, Webhook
from gateway.errors import BadConfig, Failed, GatewayError, Unavailable, Uncertain
from gateway.message import Account, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services, WebhookAnswer

log = structlog.get_logger(__name__)

SETTLE = 3.0
"""Seconds after a cut send before its absence means something: Slack may be at it still."""
SETTLE_FILE = 15.0
"""The same for a file: Slack shows it some time after it has confirmed it."""
PAGES = 10
PAGE = 200
"""Messages looked at for one of ours: as many pages of so many."""
_KEPT = 8 * 86_400.0
"""Seconds for which a file's id is known, and that are looked back where nobody knows when the
question came: a gateway that was cut may be away for days."""
_REMEMBERED = 1000

_TS = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)
_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_NO_STATUS = frozenset("missing_scope unknown_method not_allowed feature_not_enabled".split())
_ALIASES = ("reset", "start", "commands")
"""Words that the gateway takes for commands and does not list."""


class SlackAdapter:
    """`Adapter` with a pace, editing, read-back, typing, reactions, webhook and a live check."""

    max_body = MAX_BODY

    def __init__(self, account: Account, config: SlackConfig, services: Services) -> None:
        if config.mode == "webhook" and not config.secrets:
            raise BadConfig(
                "adapters.slack.signing_secret",
                "mode webhook does not start without it",
                "it is on the app's page Basic Information",
            )
        self.account = account
        self.everywhere = config.mode == "webhook"
        self.capabilities: Capabilities = replace(
            CAPABILITIES, streams=config.streaming, typing=config.typing
        )
        self._config = config
        self._services = services
        self._api = WebApi(config)
        self._pace = SlackPace(config.rate)
        self._people = People(self._api, services.clock)
        secrets = config.secrets if config.mode == "webhook" else ()
        self._webhook = Webhook(account, secrets, services.keep, services.clock)
        self._self: Self | None = None
        self._cut: dict[str, float] = {}
        """When sends were cut, by key: what is not there yet may still come."""
        self._reacted: dict[tuple[str, str], str] = {}
        self._no_status = False

    async def run(self, inbox: Inbox) -> None:
        me = await self._sign_in()
        log.info("slack_signed_in", account=self.account.key, team=me.team, mode=self._config.mode)
        files = Files(
            self._api,
            self._services.blobs,
            limit=self._config.file_limit,
            timeout=self._config.file_timeout,
        )
        reception = Reception(
            me,
            self._people,
            files,
            inbox,
            self._services.clock,
            self._services.keep,
            self._services.count,
            follow=self._config.follow_threads,
        )
        try:
            if self._config.mode == "webhook":
                await self._webhook.run(reception)
            clock, count = self._services.clock, self._services.count
            await Socket(self._api, reception, clock, count).run()
        finally:
            await reception.close()

    async def pace(self, outbound: Outbound) -> None:
        await self._pace.wait(outbound.place.chat)

    async def spare(self, outbound: Outbound) -> bool:
        return await self._pace.spare(outbound.place.chat)

    async def send(self, outbound: Outbound) -> Receipt:
        try:
            if outbound.files:
                return await self._send_file(outbound)
            return await self._send_text(outbound)
        except Uncertain:
            self._cut[outbound.key] = self._services.clock.monotonic()
            _forget(self._cut)
            raise

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        if not _TS.fullmatch(native_id):
            raise Failed(f"gone: {native_id!r} is no message of Slack's")
        call = outgoing.editing(outbound, native_id)
        await self._show("chat.update", call, repeatable=True)
        return Receipt(native_id=native_id)

    async def find(self, outbound: Outbound) -> Receipt | None:
        cut = self._cut.pop(outbound.key, None)
        if cut is not None:
            since = self._services.clock.monotonic() - cut
            settle = SETTLE_FILE if outbound.files else SETTLE
            await self._services.clock.sleep(max(0.0, settle - since))
        file = b""
        if outbound.files:
            file = await self._services.keep.get(_file_key(outbound)) or b""
            if not file:
                return None  # it was never handed over
        me = self._self or await self._who()
        try:
            async for message in self._since(outbound):
                ours = message.get("user") == me.user or message.get("bot_id") == me.bot
                if not ours or not isinstance(message.get("ts"), str):
                    continue
                held = _holds(message, file.decode()) if file else None
                if held or (held is None and outgoing.key_of(message) == outbound.key):
                    return Receipt(native_id=message["ts"])
        except Failed as refused:
            raise Uncertain(f"Slack does not show what stands there: {refused}") from refused
        return None

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        if not place.thread or self._no_status or not self._config.typing:
            return
        given = {"channel_id": place.chat, "thread_ts": place.thread, "status": "is typing..."}
        try:
            await self._api.call("assistant.threads.setStatus", repeatable=True, **given)
        except Refusal as refused:
            self._no_status = refused.code in _NO_STATUS
            log.debug("typing_not_shown", reason=str(refused))
        except GatewayError as problem:
            log.debug("typing_not_shown", reason=str(problem))

    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        about = (place.chat, native_id)
        before, name = self._reacted.pop(about, ""), name_of(emoji)
        if before and before != name:
            await self._best_effort("reactions.remove", about, before)
        elif not emoji:
            for each in await self._own_reactions(about):
                await self._best_effort("reactions.remove", about, each)
        if name:
            await self._best_effort("reactions.add", about, name)
            self._reacted[about] = name
            _forget(self._reacted)

    async def probe(self) -> Probe:
        try:
            answer = await self._api.read("auth.test")
            if self._config.mode == "socket":
                await self._api.open_socket()
        except Unavailable as problem:
            return Probe(ok=False, summary=f"{problem}; is there a network, is base_url right?")
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))
        who = f"signed in as @{answer.data.get('user')} in {answer.data.get('team')}"
        missing = _missing(answer)
        advice = [
            f"the scope {each} is missing ({NEEDED[each]}): add it under OAuth & Permissions, "
            "Bot Token Scopes, then Install App, Reinstall"
            for each in missing
        ]
        if "chat:write" in missing:
            return Probe(ok=False, summary=f"{who}, but it may not write", advice=advice)
        if self._config.mode == "webhook":
            advice.append(self._where_to_post())
        return Probe(ok=True, summary=who, advice=advice)

    def admits(self, headers: Mapping[str, str]) -> bool:
        return self._webhook.admits(headers)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        return await self._webhook.receive(headers, body)

    async def close(self) -> None:
        await self._api.close()

    # --- who we are -----------------------------------------------------------------------------

    async def _sign_in(self) -> Self:
        answer = await self._api.read("auth.test")
        missing = _missing(answer)
        if "chat:write" in missing:
            raise BadConfig(
                "adapters.slack.bot_token",
                "the app may not write: it lacks the scope chat:write",
                "add it under OAuth & Permissions, then Install App, Reinstall",
            )
        if missing:
            log.warning("slack_scopes_missing", account=self.account.key, scopes=missing)
        return self._is(answer)

    async def _who(self) -> Self:
        return self._is(await self._api.read("auth.test"))

    def _is(self, answer: Answer) -> Self:
        data = answer.data
        team, user = data.get("team_id"), data.get("user_id")
        if not isinstance(team, str) or not isinstance(user, str):
            raise Unavailable("auth.test gave something unknown")
        names = {name for name, _ in self._services.commands} | set(_ALIASES)
        self._self = Self(
            account=self.account,
            team=team,
            user=user,
            bot=str(data.get("bot_id") or ""),
            threads=self._config.threads,
            commands=frozenset(names),
            patterns=self._config.mention_patterns,
        )
        return self._self

    def _where_to_post(self) -> str:
        if not self._services.public_url:
            return "set http.public_url: Slack needs an address to post to"
        url = f"{self._services.public_url}/webhooks/slack/{self.account.id}"
        return (
            f"could not be checked from here: Event Subscriptions, Interactivity & Shortcuts and "
            f"the slash command {self._config.command} have to name {url}"
        )

    # --- sending --------------------------------------------------------------------------------

    async def _send_text(self, outbound: Outbound) -> Receipt:
        call = outgoing.sending(outbound)
        try:
            answer = await self._show("chat.postMessage", call, repeatable=False)
        except Refusal as refused:
            url = outbound.headers.get(RESPOND)
            if url is None or refused.code not in UNREACHED:
                raise
            await self._api.respond(url, outgoing.responding(outbound))
            return Receipt(native_id="")
        ts = answer.data.get("ts")
        return Receipt(native_id=ts if isinstance(ts, str) else "")

    async def _show(self, method: str, call: outgoing.Call, *, repeatable: bool) -> Answer:
        try:
            return await self._api.call(method, repeatable=repeatable, **call.data)
        except Refusal as refused:
            if refused.code in _BLOCKS:
                log.warning("blocks_refused", reason=str(refused))
                given: Mapping[str, Any] = call.plain
            elif refused.code == "no_text":
                given = {**call.plain, "text": outgoing.NOTHING}
            else:
                raise
        return await self._api.call(method, repeatable=repeatable, **given)

    async def _send_file(self, outbound: Outbound) -> Receipt:
        """Handed over first, seen by nobody; then shown. Its id, kept in between, is what it is
        found by."""
        file = outbound.files[0]
        if len(outbound.files) > 1 or outbound.text:
            raise Failed("one file per message on Slack, without a text: split the reply first")
        if not file.digest:
            raise Failed(f"there are no bytes to send ({file.problem or 'no digest'})")
        size = await self._services.blobs.size(file.digest)
        if size is not None and size > UPLOAD_LIMIT:
            raise Failed(f"a file of {size} bytes is too large to be sent to Slack")
        content = b"".join([chunk async for chunk in self._services.blobs.read(file.digest)])
        if not content:
            raise Failed("an empty file cannot be sent on Slack")
        name = outgoing.filename(file)
        place = await self._api.read(
            "files.getUploadURLExternal", filename=name, length=len(content)
        )
        url, number = place.data.get("upload_url"), place.data.get("file_id")
        if not isinstance(url, str) or not isinstance(number, str):
            raise Unavailable("files.getUploadURLExternal gave something unknown")
        await self._api.upload(url, content)
        await self._services.keep.set(_file_key(outbound), number.encode(), ttl=_KEPT)
        await self._api.form(
            "files.completeUploadExternal",
            files=json.dumps([{"id": number, "title": name}]),
            channel_id=outbound.place.chat,
            thread_ts=outbound.place.thread or None,
        )
        return Receipt(native_id="")

    async def _since(self, outbound: Outbound) -> AsyncIterator[Mapping[str, Any]]:
        """Messages at a part's place since its question."""
        place = outbound.place
        oldest = outbound.headers.get(ASKED) or outbound.reply_to
        if not _TS.fullmatch(oldest):
            oldest = f"{self._services.clock.now() - _KEPT:.6f}"
        given: dict[str, Any] = {"channel": place.chat, "oldest": oldest, "limit": PAGE}
        method = "conversations.history"
        if place.thread:
            method, given = "conversations.replies", {**given, "ts": place.thread}
        for _ in range(PAGES):
            answer = await self._api.read(method, include_all_metadata="true", **given)
            messages = answer.data.get("messages")
            for message in messages if isinstance(messages, list) else ():
                if isinstance(message, dict):
                    yield message
            meta = answer.data.get("response_metadata")
            cursor = meta.get("next_cursor") if isinstance(meta, dict) else None
            if not cursor:
                return
            given["cursor"] = cursor
        raise Uncertain("too much was written since: the message may lie beyond what is looked at")

    # --- reactions ------------------------------------------------------------------------------

    async def _own_reactions(self, about: tuple[str, str]) -> list[str]:
        channel, ts = about
        try:
            me = self._self or await self._who()
            answer = await self._api.read(
                "reactions.get", channel=channel, timestamp=ts, full="true"
            )
        except GatewayError as problem:
            log.debug("reactions_not_read", reason=str(problem))
            return []
        message = answer.data.get("message")
        found = message.get("reactions") if isinstance(message, dict) else None
        return [each["name"] for each in found or () if me.user in each.get("users", ())]

    async def _best_effort(self, method: str, about: tuple[str, str], name: str) -> None:
        channel, ts = about
        try:
            await self._api.call(method, repeatable=True, channel=channel, timestamp=ts, name=name)
        except GatewayError as problem:
            log.debug("slack_call_failed", method=method, reason=str(problem))


def _missing(answer: Answer) -> list[str]:
    """Scopes that the token lacks; none where Slack (or a proxy) does not say."""
    given = answer.headers.get("x-oauth-scopes", "")
    granted = {each.strip() for each in given.split(",") if each.strip()}
    return sorted(NEEDED.keys() - granted) if granted else []


def _holds(message: Mapping[str, Any], file: str) -> bool:
    files = message.get("files")
    return any(
        isinstance(each, dict) and each.get("id") == file
        for each in (files if isinstance(files, list) else ())
    )


def _file_key(outbound: Outbound) -> str:
    return f"file/{outbound.key}"


def _forget(known: dict[Any, Any]) -> None:
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]
