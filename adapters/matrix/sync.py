"""The stream of a homeserver: where we stand in it is written down only after everything before was
stored.

Events of one room are taken in one after the other, those of different rooms side by side, so that
a slow file keeps nobody else waiting. While the inbox takes nothing, nothing more is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from adapters.matrix.client import Door, State, room_path
from adapters.matrix.errors import FOREIGN, NotDone, Slower
from adapters.matrix.gaps import Gaps, after_we_came
from adapters.matrix.invites import Invites
from adapters.matrix.keys import Keys
from adapters.matrix.locked import Waiting
from adapters.matrix.login import Me
from adapters.matrix.reception import Reception
from adapters.matrix.rooms import Rooms
from gateway.errors import BadConfig, Failed, GatewayError, Retryable
from gateway.ports import Clock, Keep

log = structlog.get_logger(__name__)

SETTLE = 0.25
"""Seconds that what a sync brought is waited for before the next one is asked for."""
BEHIND = 32
"""Syncs that may be under way at once; what they brought is in memory."""
TIMELINE = 50
"""Most events of one room in one sync; what lies before them is a gap."""
_BEHIND_STUCK = 2_000
"""The same while the oldest ones wait for a room with which the homeserver has trouble."""
_ROOM_PATIENCE = 3600.0
"""Seconds for which one room's history or event is asked for while the homeserver works."""
_INVITE_PATIENCE = 60.0
_SMALL = ("invite", "leave")
"""Jobs that come again after a restart, or do not matter."""
_LONGEST = 30.0
_GRACE = 30.0
"""Seconds beyond the request's own time after which its connection counts as dead."""
_STAND = "sync"

_TYPES = [
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.reaction",
    "m.room.redaction",
    "m.room.member",
    "m.room.encryption",
    "m.room.name",
]
_NOTHING: dict[str, Any] = {"types": []}
_FILTER = json.dumps(
    {
        "presence": _NOTHING,
        "account_data": _NOTHING,
        "room": {
            "timeline": {"limit": TIMELINE, "types": _TYPES},
            "state": {"types": _TYPES},
            "ephemeral": _NOTHING,
            "account_data": _NOTHING,
        },
    }
)

Job = Callable[[], Awaitable[None]]


class Stand(msgspec.Struct, frozen=True):
    """Where an account stands, whatever its device. Another account's place means nothing to us."""

    user: str
    token: str


class _Batch:
    """One sync, until all it brought is stored."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.left = 1
        """Jobs that have not ended; one stands for the sync itself while it is looked through."""


class Syncing:
    """One run. Raises `BadConfig` when the token is refused."""

    def __init__(
        self,
        door: Door,
        state: State,
        me: Me,
        *,
        rooms: Rooms,
        keys: Keys,
        waiting: Waiting,
        gaps: Gaps,
        invites: Invites,
        reception: Reception,
        keep: Keep,
        clock: Clock,
        timeout: float,
        receipts: bool,
        count: Callable[[str], None],
        ready: asyncio.Event,
    ) -> None:
        """`ready` is set once rooms and members are known."""
        self._door = door
        self._state = state
        self._me = me
        self._rooms = rooms
        self._keys = keys
        self._waiting = waiting
        self._gaps = gaps
        self._invites = invites
        self._reception = reception
        self._keep = keep
        self._clock = clock
        self._timeout = timeout
        self._receipts = receipts
        self._count = count
        self._ready = ready
        self._lanes: dict[str, deque[tuple[_Batch, str, Job]]] = {}
        self._batches: deque[_Batch] = deque()
        self._held: set[str] = set()
        """Lanes whose next event the inbox did not take."""
        self._stuck: set[str] = set()
        """Lanes for which the homeserver does not do what it is asked."""
        self._looked_at_locked = False
        self._read: dict[str, str] = {}
        """The last event of each room that was taken in, for its receipt."""
        self._changed = asyncio.Event()
        self._reachable = True
        self._reached = ""
        self._written = ""
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._waiting.load()
                token = await self._begin(group)
                while True:
                    answer = await self._sync(token, full=False)
                    token = await self._arrived(answer, token, group)
                    await self._settle()
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the others only followed it

    async def _begin(self, group: asyncio.TaskGroup) -> str:
        """The first sync: every room with its members, and what came while we were away. At the
        very first start there is no such thing: old messages are not answered."""
        token = await self._stand()
        try:
            answer = await self._sync(token, full=True, timeout=0)
        except Failed as refused:
            if not token:
                raise
            log.error("sync_token_refused", reason=str(refused))
            self._count("history_lost")
            token = ""
            answer = await self._sync(token, full=True, timeout=0)
        if not token:
            log.info("matrix_first_start", rooms=len(_rooms(answer, "join")))
        invitations = await self._invites.left()
        token = await self._arrived(answer, token, group)
        self._ready.set()
        group.create_task(self._enter_rooms(invitations))
        await self._settle()
        return token

    async def _enter_rooms(self, invitations: Sequence[tuple[str, str]]) -> None:
        """Invitations of earlier. Entering a room may take minutes, and nobody waits for it."""
        try:
            await self._invites.again(invitations)
        except Retryable as problem:
            log.warning("invites_wait", reason=str(problem))

    async def _stand(self) -> str:
        raw = await self._keep.get(_STAND)
        stand = msgspec.json.decode(raw, type=Stand) if raw else Stand("", "")
        mine = stand.user == self._me.user
        self._reached = self._written = stand.token if mine else ""
        return self._written

    async def _sync(
        self, token: str, *, full: bool, timeout: float | None = None
    ) -> dict[str, Any]:
        wait = 1.0
        timeout = self._timeout if timeout is None else timeout
        query = {"timeout": str(int(timeout * 1000)), "filter": _FILTER}
        if token:
            query["since"] = token
        if full:
            query["full_state"] = "true"
        patience = timeout + _GRACE if not full else 300.0
        while True:
            try:
                answer = await self._door.ask("GET", "/sync", query=query, patience=patience)
            except Retryable as problem:
                self._note(reachable=False, reason=str(problem))
                await self._clock.sleep(max(problem.after or 0.0, wait * random.uniform(0.7, 1.0)))
                wait = min(wait * 2, _LONGEST)
                continue
            self._note(reachable=True)
            return answer

    async def _arrived(
        self, answer: Mapping[str, Any], since: str, group: asyncio.TaskGroup
    ) -> str:
        """Take note of a sync and queue what it brought; the token of the next one."""
        token = answer.get("next_batch")
        if not isinstance(token, str):
            raise Failed("a sync without its token")
        batch = _Batch(token)
        self._batches.append(batch)
        for room_id, session in await self._take_state(answer):
            for event_id in self._waiting.of(room_id, session):
                self._queue(batch, room_id, event_id, self._unlocked(room_id, event_id), group)
        if not self._looked_at_locked:
            self._looked_at_locked = True
            # Their keys may have come just before our end.
            for room_id, session, event_id in self._waiting.all():
                if self._keys.has(room_id, session):
                    self._queue(batch, room_id, event_id, self._unlocked(room_id, event_id), group)
        await self._keys.maintain()
        for room_id, found in _rooms(answer, "invite").items():
            job = self._invited(room_id, found)
            self._queue(batch, room_id, "invite", job, group)
        for room_id in _rooms(answer, "leave"):
            self._rooms.left(room_id)
            self._queue(batch, room_id, "leave", self._left(room_id), group)
        for room_id, found in _rooms(answer, "join").items():
            self._joined(batch, room_id, _map(found.get("timeline")), since, group)
        self._ended(batch)
        await self._write()
        return token

    async def _take_state(self, answer: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Rooms, members and keys, by nio. What it cannot read must not make us deaf."""
        try:
            response = await self._state.take_sync(answer)
        except (
            *FOREIGN,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            AssertionError,
        ) as problem:
            log.error("sync_not_understood", exc_info=problem)
            self._count("state_unreadable")
            return []
        return self._keys.fresh(response)

    def _joined(
        self,
        batch: _Batch,
        room_id: str,
        timeline: Mapping[str, Any],
        since: str,
        group: asyncio.TaskGroup,
    ) -> None:
        if not since:
            return  # the very first start
        before = timeline.get("prev_batch")
        events, came = after_we_came(_list(timeline.get("events")), self._me.user)
        if timeline.get("limited") is True and isinstance(before, str) and not came:
            self._queue(batch, room_id, "gap", self._missed(room_id, before, since), group)
        for event in events:
            name = str(event.get("event_id"))
            self._queue(batch, room_id, name, self._event(room_id, event), group)

    # --- jobs ---------------------------------------------------------------------------------

    def _event(self, room_id: str, event: Mapping[str, Any]) -> Job:
        async def take() -> None:
            if await self._reception.take(room_id, event):
                self._read[room_id] = str(event["event_id"])

        return take

    def _unlocked(self, room_id: str, event_id: str) -> Job:
        async def take() -> None:
            event = await self._rooms.event(room_id, event_id)
            if event is not None:
                await self._reception.take(room_id, event)
                self._count("decrypted_late")

        return take

    def _missed(self, room_id: str, before: str, since: str) -> Job:
        async def fill() -> None:
            for event in await self._gaps.fill(room_id, before, since):
                await self._done(room_id, str(event.get("event_id")), self._event(room_id, event))

        return fill

    def _invited(self, room_id: str, found: Mapping[str, Any]) -> Job:
        async def answer() -> None:
            await self._invites.answer(room_id, found)

        return answer

    def _left(self, room_id: str) -> Job:
        async def forget() -> None:
            await self._invites.forget(room_id)

        return forget

    # --- lanes --------------------------------------------------------------------------------

    def _queue(
        self, batch: _Batch, room_id: str, name: str, job: Job, group: asyncio.TaskGroup
    ) -> None:
        batch.left += 1
        lane = self._lanes.get(room_id)
        if lane is None:
            lane = self._lanes[room_id] = deque()
            group.create_task(self._drain(room_id, lane))
        lane.append((batch, name, job))

    async def _drain(self, room_id: str, lane: deque[tuple[_Batch, str, Job]]) -> None:
        """Take in what came for one room, in order."""
        while lane:
            batch, name, job = lane.popleft()
            await self._done(room_id, name, job)
            self._ended(batch)
            await self._write()
            if not lane:
                await self._show_read(room_id)
        del self._lanes[room_id]

    async def _done(self, room_id: str, name: str, job: Job) -> None:
        wait, waited = 0.5, 0.0
        while True:
            try:
                await job()
            except BadConfig:
                raise
            except (NotDone, Slower) as problem:
                # One room's trouble: the others go on.
                self._stuck.add(room_id)
                self._held.discard(room_id)
                self._changed.set()
                if self._reachable and isinstance(problem, NotDone):
                    waited += wait
                if waited > (_INVITE_PATIENCE if name in _SMALL else _ROOM_PATIENCE):
                    self._count("room_given_up")
                    log.error("room_given_up", room=room_id, name=name, reason=str(problem))
                    break
                seconds = max(problem.after or 0.0, wait * random.uniform(0.7, 1.0))
                await self._clock.sleep(seconds)
                wait = min(wait * 2, _LONGEST)
            except Retryable as later:
                if not self._held:
                    log.warning("events_wait", reason=str(later))
                self._held.add(room_id)
                await self._clock.sleep(max(later.after or 0.0, wait * random.uniform(0.7, 1.0)))
                wait = min(wait * 2, _LONGEST)
            except Exception as problem:  # noqa: BLE001 - one event must not make us deaf
                if self._reception.gives_up_on(name, problem):
                    break
                await self._clock.sleep(wait)
            else:
                break
        self._held.discard(room_id)
        self._stuck.discard(room_id)

    def _ended(self, batch: _Batch) -> None:
        batch.left -= 1
        while self._batches and not self._batches[0].left:
            self._reached = self._batches.popleft().token
        self._changed.set()

    async def _write(self) -> None:
        """Note where we stand: the last sync up to which everything is stored. While the store is
        away the place is not noted, and what came since then comes again after a restart."""
        async with self._writing:
            token = self._reached
            if token == self._written:
                return
            stand = msgspec.json.encode(Stand(self._me.user, token))
            try:
                await self._keep.set(_STAND, stand)
            except Retryable as problem:
                log.info("sync_token_not_noted", reason=str(problem))
            else:
                self._written = token

    async def _show_read(self, room_id: str) -> None:
        """Best effort."""
        event_id = self._read.pop(room_id, "")
        if not self._receipts or not event_id:
            return
        try:
            path = room_path(room_id, "receipt", "m.read", event_id)
            await self._door.ask("POST", path, {})
        except BadConfig:
            raise
        except GatewayError as problem:
            log.debug("receipt_not_sent", reason=str(problem))

    async def _settle(self) -> None:
        """Let what came be stored; a slow room is waited for a moment only, one that is not taken
        for as long as it needs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while self._lanes:
                    await self._next_change()
        while self._held or len(self._batches) > (_BEHIND_STUCK if self._stuck else BEHIND):
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _note(self, *, reachable: bool, reason: str = "") -> None:
        """Availability is logged when it changes."""
        if reachable and not self._reachable:
            log.info("matrix_reachable")
            self._count("reconnected")
        elif not reachable and self._reachable:
            log.warning("matrix_not_reachable", reason=reason)
        self._reachable = reachable


def _rooms(answer: Mapping[str, Any], kind: str) -> Mapping[str, Mapping[str, Any]]:
    found = _map(_map(answer.get("rooms")).get(kind))
    return {name: room for name, room in found.items() if isinstance(room, Mapping)}


def _map(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _list(found: object) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
