"""One Matrix account: receives by sync, sends under keys of its own, edits, reacts, reads back."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import structlog

from adapters.matrix import outgoing
from adapters.matrix.capabilities import CAPABILITIES
from adapters.matrix.client import Door, State, room_path
from adapters.matrix.config import MatrixConfig
from adapters.matrix.gaps import Gaps
from adapters.matrix.invites import Invites
from adapters.matrix.keys import Keys
from adapters.matrix.locked import Waiting
from adapters.matrix.login import Me, SignIn
from adapters.matrix.media import Files
from adapters.matrix.outgoing import KEY
from adapters.matrix.pace import pace
from adapters.matrix.parse import AT, Known, Self
from adapters.matrix.reception import Reception
from adapters.matrix.rooms import Rooms
from adapters.matrix.sync import Syncing
from gateway.errors import BadConfig, Failed, GatewayError, Retryable, Unavailable, Uncertain
from gateway.message import Account, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services

log = structlog.get_logger(__name__)

PAGES = 10
"""Pages of our own events, newest first, that are looked through for one that was cut."""
_PAGE = 100
_TYPING = 8_000
"""Milliseconds after which it fades."""
_PATIENCE = 15.0
"""Seconds that a send waits for the first sync."""
_LEEWAY = 3600.0
"""Seconds by which clocks may differ."""
_SHOWN = 5_000
"""Messages of ours of which is remembered that they stand there."""


class MatrixAdapter:
    """`Adapter` with a pace, editing, typing, reactions, reading back and a live check."""

    def __init__(self, account: Account, config: MatrixConfig, services: Services) -> None:
        self.account = account
        self.capabilities: Capabilities = replace(CAPABILITIES, streams=config.streaming)
        self._config = config
        self._services = services
        self._door = Door(config.homeserver)
        self._login = SignIn(self._door, config, services.keep)
        self._pace = pace(config.rate)
        self._files = Files(
            self._door, services.blobs, limit=config.file_limit, timeout=config.file_timeout
        )
        self._states: list[State] = []
        self._line: _Line | None = None
        self._ready = asyncio.Event()
        """Set once rooms and members are known. It stays so where a run ends and another begins:
        what is known is still true enough to send."""

    async def run(self, inbox: Inbox) -> None:
        try:
            await self._run(inbox)
        except Failed as failure:
            raise Unavailable(f"{failure}; is homeserver right?") from failure

    async def _run(self, inbox: Inbox) -> None:
        line = await self._sign_in()
        me, keys, rooms = line.me, line.keys, line.rooms
        log.info("matrix_signed_in", account=self.account.key, user=me.user, device=me.device)
        config, keep, count = self._config, self._services.keep, self._services.count
        waiting = Waiting(keep)
        reception = Reception(
            await self._self(me),
            rooms,
            keys,
            self._files,
            waiting,
            inbox,
            self._services.clock,
            count,
        )
        syncing = Syncing(
            self._door,
            line.state,
            me,
            rooms=rooms,
            keys=keys,
            waiting=waiting,
            gaps=Gaps(self._door, me.user, config.backfill, count),
            invites=Invites(self._door, me.user, config, keep, count),
            reception=reception,
            keep=keep,
            clock=self._services.clock,
            timeout=config.sync_timeout,
            receipts=config.read_receipts,
            count=count,
            ready=self._ready,
        )
        await syncing.run()

    async def pace(self, outbound: Outbound) -> None:
        await self._pace.wait(outbound.place.chat)

    async def spare(self, outbound: Outbound) -> bool:
        return await self._pace.spare(outbound.place.chat)

    async def send(self, outbound: Outbound) -> Receipt:
        line = await self._connected()
        room = outbound.place.chat
        if outbound.files:
            content = await self._file(line, outbound)
        else:
            content = outgoing.text(outbound, self._message_type)
        kind, sealed = await line.keys.seal(room, "m.room.message", content, {KEY: outbound.key})
        event_id = await self._said(line, outbound, kind, sealed)
        line.shows(event_id, outgoing.thread_of(outbound.place))
        return Receipt(native_id=event_id)

    async def _said(
        self, line: _Line, outbound: Outbound, kind: str, sealed: Mapping[str, Any]
    ) -> str:
        """A repeated key shows what it showed first, and only that: an earlier preview, or what
        was removed meanwhile."""
        room, key = outbound.place.chat, outbound.key
        if outbound.files:  # never what a preview was
            return await self._put(room, kind, f"{key}.file", sealed, repeatable=False)
        earlier = line.tried.get(key)
        line.tries(key, outbound.text)
        event_id = await self._put(room, kind, key, sealed, repeatable=False)
        if line.rooms.is_gone(event_id):
            return await self._put(room, kind, f"{key}.again", sealed, repeatable=False)
        if earlier not in (None, outbound.text):
            await self.edit(outbound, event_id)
        return event_id

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        line = await self._connected()
        room = outbound.place.chat
        content = outgoing.edit(outbound, native_id, self._message_type)
        await self._check_shown(line, room, native_id)
        kind, sealed = await line.keys.seal(room, "m.room.message", content, {})
        # A key of its own each time: the same text may have to be shown again after another.
        key = f"{outbound.key}.{secrets.token_hex(6)}"
        await self._put(room, kind, key, sealed, repeatable=True)
        return Receipt(native_id=native_id)

    async def find(self, outbound: Outbound) -> Receipt | None:
        line = await self._connected()
        since = float(outbound.headers.get(AT, "0"))
        wanted = json.dumps({"senders": [line.me.user], "types": list(_SAYING)})
        query = {"dir": "b", "limit": str(_PAGE), "filter": wanted}
        path = room_path(outbound.place.chat, "messages")
        for _ in range(PAGES):
            answer = await self._door.ask("GET", path, query=query)
            chunk = answer.get("chunk")
            for event in chunk if isinstance(chunk, list) else []:
                if _key_of(event) == outbound.key and event.get("sender") == line.me.user:
                    return Receipt(native_id=str(event.get("event_id", "")))
                if 0 < _moment(event) < since - _LEEWAY:
                    return None  # what answers is younger than the question
            end = answer.get("end")
            if not isinstance(end, str) or end == query.get("from"):
                return None
            query["from"] = end
        raise Uncertain("it would lie further back than is looked")

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        line = self._line
        if line is not None:
            path = room_path(place.chat, "typing", line.me.user)
            body = {"typing": True, "timeout": _TYPING}
            await self._best_effort(self._door.ask("PUT", path, body))

    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        await self._best_effort(self._react(place.chat, native_id, emoji))

    async def probe(self) -> Probe:
        try:
            return await self._look()
        except Unavailable as problem:
            return Probe(ok=False, summary=f"{problem}; is there a network, is homeserver right?")
        except GatewayError as problem:
            return Probe(ok=False, summary=str(problem))

    async def close(self) -> None:
        await self._door.close()
        for state in self._states:
            state.close_store()

    # --- signing in ---------------------------------------------------------------------------

    async def _sign_in(self) -> _Line:
        me = await self._login.sign_in()
        if self._line is None or self._line.me != me:
            me, state = await self._open(me)
            config = self._config
            keys = Keys(self._door, state, trust=config.trust, trusted=config.trusted_devices)
            self._ready.clear()
            self._line = _Line(me, state, keys, Rooms(self._door, state))
        return self._line

    async def _open(self, me: Me) -> tuple[Me, State]:
        """Rooms and keys of our device. Where its keys are lost, others would write to a device
        that cannot read: then it is another device, or nothing."""
        if not self._config.encryption:
            state = State(self._door, me.user, me.device, None)
            self._states.append(state)
            return me, state
        state = self._load(me)
        known = await self._login.knows_keys(me)
        if known and known != _fingerprint(state):
            self._services.count("keys_lost")
            log.error("matrix_keys_lost", device=me.device)
            if self._config.password is None:
                raise BadConfig(
                    "adapters.matrix.access_token",
                    f"the keys of its device {me.device} are not in the data folder any more",
                    "sign in anew as the bot and take that access token; encryption: false does "
                    "without encrypted rooms",
                )
            await self._login.sign_out()
            me = await self._login.anew()
            state = self._load(me)
        await self._login.remember_keys(me, _fingerprint(state))
        return me, state

    def _load(self, me: Me) -> State:
        folder = self._services.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = State(self._door, me.user, me.device, folder)
        self._states.append(state)
        return state

    async def _self(self, me: Me) -> Self:
        name = ""
        try:
            answer = await self._door.ask("GET", f"/profile/{quote(me.user, safe='')}/displayname")
            name = str(answer.get("displayname") or "")
        except (Failed, Retryable) as problem:
            log.debug("display_name_not_known", reason=str(problem))
        return Self(
            account=self.account,
            id=me.user,
            name=name,
            patterns=self._config.mention_patterns,
            commands=frozenset(name for name, _ in self._services.commands),
        )

    async def _connected(self) -> _Line:
        """Once rooms and members are known; before, nobody could tell which room is encrypted."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable("not signed in to Matrix yet", after=1.0) from None
        assert self._line is not None
        return self._line

    async def _look(self) -> Probe:
        versions = await self._door.ask("GET", "/versions", api="/_matrix/client")
        if not isinstance(versions.get("versions"), list):
            return Probe(ok=False, summary="that is no Matrix homeserver; is homeserver right?")
        if self._config.access_token is not None:
            me = await self._login.sign_in()
        else:
            kept = await self._kept_token()
            if not kept:
                words = f"the homeserver answers; {self._config.user} signs in at the first start"
                return Probe(ok=True, summary=words, advice=self._advice())
            self._door.token = kept
            me = await self._login.whoami()
        joined = await self._door.ask("GET", "/joined_rooms")
        rooms = len(joined.get("joined_rooms") or ())
        summary = f"signed in as {me.user}, in {rooms} room{'' if rooms == 1 else 's'}"
        return Probe(ok=True, summary=summary, advice=self._advice())

    async def _kept_token(self) -> str:
        try:
            login = await self._login.kept()
        except GatewayError:
            return ""  # whoever only looks has no store
        return login.token if login is not None else ""

    def _advice(self) -> tuple[str, ...]:
        config = self._config
        nobody = (config.invites == "owners" and not config.owners) or (
            config.invites == "allowed" and not (config.owners or config.invite_from)
        )
        if nobody:
            return (
                "invitations are accepted from nobody: put your Matrix id into owners, or servers "
                "into invite_from",
            )
        return ()

    # --- sending ------------------------------------------------------------------------------

    @property
    def _message_type(self) -> str:
        return f"m.{self._config.message_type}"

    async def _file(self, line: _Line, outbound: Outbound) -> dict[str, Any]:
        if len(outbound.files) > 1 or outbound.text.strip():
            raise Failed("one file per message on Matrix, without text: split the reply first")
        sealed = await line.keys.encrypted(outbound.place.chat)
        uploaded = await self._files.upload(outbound.files[0], sealed=sealed)
        return outgoing.file(outbound, outbound.files[0], uploaded)

    async def _put(
        self, room: str, kind: str, key: str, content: Mapping[str, Any], *, repeatable: bool
    ) -> str:
        """Raises as `send`. The homeserver knows a repeated key, for as long as it likes."""
        path = room_path(room, "send", kind, key)
        answer = await self._door.ask("PUT", path, content, repeatable=repeatable)
        event_id = answer.get("event_id")
        return event_id if isinstance(event_id, str) else ""

    async def _check_shown(self, line: _Line, room: str, native_id: str) -> None:
        """A homeserver takes edits of messages that were removed; nobody sees them."""
        if native_id not in line.shown:
            event = await line.rooms.event(room, native_id)
            if event is None or not event.get("content"):
                line.rooms.gone(native_id)
            else:
                line.shows(native_id, "")
        if line.rooms.is_gone(native_id):
            raise Failed("gone: the message was removed")

    async def _react(self, room: str, native_id: str, emoji: str) -> None:
        line = await self._connected()
        path = room_path(room, "relations", native_id, "m.annotation", "m.reaction")
        found = await self._door.ask("GET", path, query={"limit": "100"}, api="/_matrix/client/v1")
        for event in found.get("chunk") or ():
            if event.get("sender") == line.me.user:
                key = (event.get("content", {}).get("m.relates_to") or {}).get("key")
                if key == emoji:
                    return
                old = room_path(room, "redact", event["event_id"], secrets.token_hex(8))
                await self._door.ask("PUT", old, {})
        if emoji:
            relation = {"rel_type": "m.annotation", "event_id": native_id, "key": emoji}
            content = {"m.relates_to": relation}
            await self._put(room, "m.reaction", secrets.token_hex(8), content, repeatable=True)

    async def _best_effort(self, step: Any) -> None:
        try:
            await step
        except GatewayError as problem:
            log.debug("matrix_call_failed", reason=str(problem))


class _Line:
    """A connection that stands: who we are, and what is known."""

    def __init__(self, me: Me, state: State, keys: Keys, rooms: Rooms) -> None:
        self.me = me
        self.state = state
        self.keys = keys
        self.rooms = rooms
        self.shown: OrderedDict[str, None] = OrderedDict()
        """Messages of ours that stood there when they were last looked at."""

        self.tried: OrderedDict[str, str] = OrderedDict()
        """What was said first under a key, for as long as it matters."""

    def tries(self, key: str, text: str) -> None:
        self.tried.setdefault(key, text)
        if len(self.tried) > _TRIED:
            self.tried.popitem(last=False)

    def shows(self, event_id: str, thread: str) -> None:
        self.shown[event_id] = None
        self.shown.move_to_end(event_id)
        if len(self.shown) > _SHOWN:
            self.shown.popitem(last=False)
        if self.rooms.known(event_id) is None:
            self.rooms.remember(event_id, Known(self.me.user, thread, ours=True))


_TRIED = 500
_SAYING = ("m.room.message", "m.room.encrypted")


def _fingerprint(state: State) -> str:
    assert state.olm is not None
    return str(state.olm.account.identity_keys["ed25519"])


def _moment(event: Any) -> float:
    at = event.get("origin_server_ts") if isinstance(event, Mapping) else None
    return at / 1000 if isinstance(at, int) else 0.0


def _key_of(event: Any) -> str:
    content = event.get("content") if isinstance(event, Mapping) else None
    key = content.get(KEY) if isinstance(content, Mapping) else None
    return key if isinstance(key, str) else ""
