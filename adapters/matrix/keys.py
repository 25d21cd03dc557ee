"""Encrypted rooms: what is sealed, what is opened, and which devices take part.

nio keeps the keys in its own store in the account's folder. People's devices are trusted as the
setting `trust` says; there is nobody on our side who could compare emoji.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from nio import MegolmEvent, SyncResponse
from nio.events import Event, ForwardedRoomKeyEvent, RoomKeyEvent

from adapters.matrix.client import Door, State, room_path
from adapters.matrix.errors import FOREIGN, translate
from gateway.errors import BadConfig, Failed, GatewayError, Unavailable
from gateway.message import Grade

log = structlog.get_logger(__name__)

ALGORITHM = "m.megolm.v1.aes-sha2"


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in an encrypted event, and how sure it is who wrote it."""

    event: Mapping[str, Any]
    grade: Grade


@dataclass(frozen=True, slots=True)
class Locked:
    """There is no key for it, yet."""

    session: str


@dataclass(frozen=True, slots=True)
class Spoilt:
    """It will never be read."""

    reason: Literal["unreadable", "untrusted_device", "replayed"]


class Keys:
    def __init__(
        self, door: Door, state: State, *, trust: Literal["all", "listed"], trusted: Collection[str]
    ) -> None:
        self._door = door
        self._state = state
        self._trust = trust
        self._trusted = frozenset(trusted)
        self._locks: dict[str, asyncio.Lock] = {}

    @property
    def on(self) -> bool:
        return self._state.olm is not None

    @property
    def fingerprint(self) -> str:
        """Of this device; empty without encryption."""
        olm = self._state.olm
        return str(olm.account.identity_keys["ed25519"]) if olm is not None else ""

    async def seal(
        self, room_id: str, kind: str, content: Mapping[str, Any], beside: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The event to send: encrypted where the room is. `beside` stays readable for the server.

        Nothing was sent when it raises: `Unavailable`, `Busy`, `Failed`, `BadConfig`.
        """
        if not await self.encrypted(room_id):
            return kind, {**content, **beside}
        if not self.on:
            raise Failed("the room is encrypted, and encryption is switched off")
        async with self._locks.setdefault(room_id, asyncio.Lock()):
            try:
                await self._share(room_id)
                sealed = self._encrypted(room_id, kind, content)
            except FOREIGN as error:
                raise translate(error, repeatable=True) from error
        relation = content.get("m.relates_to")
        related = {"m.relates_to": relation} if relation else {}
        return "m.room.encrypted", {**sealed, **related, **beside}

    async def encrypted(self, room_id: str) -> bool:
        """Never forgotten once it was so. Raises `Unavailable` while nobody knows."""
        room = self._state.rooms.get(room_id)
        if room is not None:
            return bool(room.encrypted)
        if room_id in self._state.encrypted_rooms:
            raise Unavailable("the room's members are not known yet", after=1.0)
        try:
            await self._door.ask("GET", room_path(room_id, "state", "m.room.encryption", ""))
        except Failed as failure:
            if "(404)" in str(failure):
                return False
            raise
        raise Unavailable("the room's members are not known yet", after=1.0)

    def open(self, room_id: str, event: Mapping[str, Any]) -> Opened | Locked | Spoilt:
        """What an encrypted event says."""
        olm = self._state.olm
        if olm is None:
            return Spoilt("unreadable")
        parsed = Event.parse_event(deepcopy(dict(event)))
        if not isinstance(parsed, MegolmEvent):
            return Spoilt("unreadable")
        parsed.room_id = room_id
        known = olm.inbound_group_store.get(room_id, parsed.sender_key, parsed.session_id)
        try:
            found = olm.decrypt_megolm_event(parsed)
        except FOREIGN as error:
            if known is None:
                return Locked(str(parsed.session_id))
            return Spoilt("replayed" if "replay" in str(error) else "unreadable")
        source = found.source
        if not isinstance(source.get("content"), dict) or source.get("type") == "m.room.encrypted":
            return Spoilt("unreadable")
        grade = self._grade(parsed, known.ed25519)
        if (
            self._trust == "listed"
            and (grade != "verified" or known.ed25519 not in self._trusted)
            and parsed.sender != self._state.user_id
        ):
            return Spoilt("untrusted_device")
        outer = {name: event[name] for name in _OUTER if name in event}
        return Opened({**source, **outer}, grade)

    def _grade(self, event: MegolmEvent, signing_key: str) -> Grade:
        """Verified where the key is of a device of the sender. A device that nobody knows may be
        one that was signed out since: the homeserver says who wrote, as it does in other rooms.
        A key of somebody else's device under the sender's name was put there."""
        olm = self._state.olm
        assert olm is not None
        for device in olm.device_store:
            if device.curve25519 == event.sender_key:
                own = device.user_id == event.sender and device.ed25519 == signing_key
                return "verified" if own else "unverified"
        return "asserted"

    async def know(self, user: str) -> None:
        """Ask for somebody's devices, when theirs are not known or have changed. Best effort."""
        olm = self._state.olm
        if olm is None:
            return
        if user not in olm.tracked_users:
            olm.users_for_key_query.add(user)
        if user in olm.users_for_key_query:
            await self._attempt(self._query)

    def has(self, room_id: str, session: str) -> bool:
        """Whether the key of a session has come."""
        olm = self._state.olm
        if olm is None:
            return False
        return any((one.room_id, one.id) == (room_id, session) for one in olm.inbound_group_store)

    def fresh(self, response: SyncResponse) -> list[tuple[str, str]]:
        """Rooms and sessions whose keys came with a sync."""
        return [
            (event.room_id, event.session_id)
            for event in response.to_device_events
            if isinstance(event, RoomKeyEvent | ForwardedRoomKeyEvent)
        ]

    async def maintain(self) -> None:
        """What the server and other devices wait for: our keys, answers, new sessions. Best
        effort; what fails comes up again after the next sync."""
        state = self._state
        if state.should_upload_keys:
            await self._attempt(state.keys_upload)
        if state.should_query_keys:
            await self._attempt(self._query)
        if state.should_claim_keys:
            users = state.get_users_for_key_claiming()
            await self._attempt(lambda: state.keys_claim(users))
        for message in list(state.outgoing_to_device_messages):
            await self._attempt(lambda message=message: state.to_device(message))

    async def _attempt(self, step: Any) -> None:
        try:
            await step()
        except BadConfig:
            raise
        except (*FOREIGN, GatewayError) as problem:
            log.info("keys_not_exchanged", reason=str(problem))

    async def _query(self) -> None:
        if self._state.should_query_keys:
            await self._state.keys_query()
            self._judge()

    def _judge(self) -> None:
        """Devices that are not on the list get no keys."""
        olm = self._state.olm
        if self._trust == "all" or olm is None:
            return
        for device in olm.device_store:
            if device.ed25519 in self._trusted:
                self._state.verify_device(device)
            else:
                self._state.blacklist_device(device)

    async def _share(self, room_id: str) -> None:
        """Give the room's key to everybody who may read there."""
        state, olm = self._state, self._state.olm
        assert olm is not None
        room = state.rooms[room_id]
        if not room.members_synced:
            await state.joined_members(room_id)
        await self._query()
        if not olm.should_share_group_session(room_id):
            return
        state.not_shared = None
        try:
            everybody = self._trust == "all"
            await state.share_group_session(room_id, ignore_unverified_devices=everybody)
        finally:
            # nio leaves it behind where claiming keys fails, and then waits for ever.
            state.sharing_session.pop(room_id, None)
        if state.not_shared is not None:
            olm.outbound_group_sessions.pop(room_id, None)
            raise state.not_shared

    def _encrypted(self, room_id: str, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """As nio does, but with letters as they are: as escapes they take three times the room."""
        olm = self._state.olm
        assert olm is not None
        session = olm.outbound_group_sessions[room_id]
        plain = {"room_id": room_id, "type": kind, "content": dict(content)}
        return {
            "algorithm": ALGORITHM,
            "sender_key": olm.account.identity_keys["curve25519"],
            "ciphertext": session.encrypt(json.dumps(plain, ensure_ascii=False)),
            "session_id": session.id,
            "device_id": self._state.device_id,
        }


_OUTER = ("event_id", "sender", "origin_server_ts", "unsigned")
"""What the server says about an event, whatever its sender wrote into it."""
