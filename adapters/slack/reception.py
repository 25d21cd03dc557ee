"""What is done with one payload, however it came: read, put in line, handed in.

Slack waits three seconds for our word and then comes again. What takes longer goes on here and is
found by the repetition; what the store does not take is handed in again, also when Slack has given
up. Events of one conversation are taken in one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections import deque
from collections.abc import Callable

import msgspec
import structlog

from adapters.slack.media import Files
from adapters.slack.native import Payload, Unreadable, read
from adapters.slack.parse import Parsed, Self, parse
from adapters.slack.people import People
from gateway.errors import BadConfig, GatewayError, Retryable
from gateway.message import Attachment, Inbound, InboundId, Place
from gateway.ports import Clock, Inbox, Keep

log = structlog.get_logger(__name__)

ACK_SECONDS = 2.5
"""Slack gives three; the rest is for the way."""
MOST = 2000
"""Events on their way in. Beyond it nothing more is taken: Slack comes again."""
TRIES = 3
"""How often an event is tried that makes us fail in a way nobody foresaw."""
ASKED = "asked_at"
"""Header of a slash command, which has no place among the messages: since when to look for its
answer."""
_SKEW = 300.0
_LONGEST = 30.0
_FOLLOW = 30 * 86_400.0
"""Seconds for which a thread is remembered in which we were addressed."""
_THREADS = 4096


class Arrival:
    """An event on its way in. Its files are fetched once, however often it is handed in."""

    def __init__(self, payload: Payload, parsed: Parsed, at: float) -> None:
        self.payload = payload
        self.parsed = parsed
        self.at = at
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether Slack may be told that we have it."""
        self._fetched: tuple[Attachment, ...] | None = None

    async def fetch(self, files: Files, event: Inbound) -> Inbound:
        """The event with its files stored. Raises `Retryable` when the blob store takes nothing."""
        if self._fetched is None:
            pairs = zip(event.attachments, self.parsed.files, strict=True)
            fetched = await asyncio.gather(*(files.fetch(*pair) for pair in pairs))
            self._fetched = tuple(fetched)
        return msgspec.structs.replace(event, attachments=self._fetched)


class Reception:
    """Takes payloads in for one connection of the account."""

    def __init__(
        self,
        me: Self,
        people: People,
        files: Files,
        inbox: Inbox,
        clock: Clock,
        keep: Keep,
        count: Callable[[str], None],
        *,
        follow: bool,
        patience: float = ACK_SECONDS,
        most: int = MOST,
    ) -> None:
        """`patience` is how long Slack is kept waiting, `most` how many events may be on their way
        in."""
        self._me = me
        self._people = people
        self._files = files
        self._inbox = inbox
        self._clock = clock
        self._keep = keep
        self._count = count
        self._follow = follow
        self._patience = patience
        self._most = most
        self._pending: dict[InboundId, Arrival] = {}
        self._lanes: dict[str, deque[Arrival]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = False
        self._closed = False
        self._ours: dict[Place, None] = {}
        """Threads that are known to be noted, oldest first."""
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails when the account cannot go on."""

    async def take(self, kind: str, raw: object) -> bool:
        """Whether Slack may be told that we have it, within the time that it waits."""
        try:
            payload = read(kind, raw)
            parsed = None if payload is None else parse(payload, self._me, {})
        except Unreadable as problem:
            self._count("unreadable")
            log.error("payload_unreadable", kind=kind, reason=str(problem), account=self._account)
            return True  # asking for it again would change nothing
        if payload is None or parsed is None:
            log.debug("payload_ignored", kind=kind)
            return True
        arrival = self._pending.get(parsed.event.id)
        if self._closed:
            return False  # it would begin what nobody ends
        if arrival is None:
            if len(self._pending) >= self._most:
                self._count("crowded")
                return False
            arrival = self._line_up(Arrival(payload, parsed, self._clock.now()))
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(arrival.done)
        except TimeoutError:
            self._count("late")
            log.info("event_takes_longer", message_id=parsed.event.id)
            return False

    async def close(self) -> None:
        """What is on its way was not confirmed: Slack has it still."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for arrival in self._pending.values():
            if not arrival.done.done():
                arrival.done.set_result(False)
        if self.broken.done():
            self.broken.exception()
        else:
            self.broken.cancel()

    def _line_up(self, arrival: Arrival) -> Arrival:
        event = arrival.parsed.event
        self._pending[event.id] = arrival
        # Who gave a command waits for it: it goes past what a slow file holds up.
        name = event.id if arrival.parsed.once else event.conversation
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = deque()
            task = asyncio.create_task(self._drain(name, lane))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.append(arrival)
        return arrival

    async def _drain(self, name: str, lane: deque[Arrival]) -> None:
        try:
            while lane:
                done = await self._taken(lane[0])
                arrival = lane.popleft()
                del self._pending[arrival.parsed.event.id]
                if not arrival.done.done():
                    arrival.done.set_result(done)
            del self._lanes[name]
        except BadConfig as refused:
            if not self.broken.done():
                self.broken.set_exception(refused)

    async def _taken(self, arrival: Arrival) -> bool:
        wait, broke = 0.5, 0
        while True:
            try:
                await self._hand_in(arrival)
            except BadConfig:
                raise
            except Retryable as later:
                if not self._held:
                    log.warning("events_wait", reason=str(later), account=self._account)
                self._held = True
                if arrival.parsed.once:
                    return False
                await self._clock.sleep(max(later.after or 0.0, wait * random.uniform(0.7, 1.0)))
                wait = min(wait * 2, _LONGEST)
            except Exception as problem:  # one event must not make the bot deaf
                broke += 1
                name = arrival.parsed.event.id
                log.error("event_broke_us", message_id=name, tries=broke, exc_info=problem)
                if broke >= TRIES:
                    self._count("rejected")
                    return True
                await self._clock.sleep(wait)
            else:
                self._held = False
                return True

    async def _hand_in(self, arrival: Arrival) -> None:
        event = await self._readable(arrival)
        follows = self._follow and event.place.kind == "thread" and event.kind == "message"
        if follows and not event.addressed and await self._is_ours(event.place):
            event = msgspec.structs.replace(event, addressed=True)
        fetch = functools.partial(arrival.fetch, self._files) if arrival.parsed.files else None
        try:
            accepted = await self._inbox.accept(event, fetch)
        except (BadConfig, Retryable):
            raise
        except GatewayError as problem:
            self._count("rejected")
            log.error("event_rejected", message_id=event.id, reason=str(problem))
            return
        if follows and event.addressed and accepted.outcome in ("stored", "duplicate"):
            await self._follow_on(event.place)

    async def _is_ours(self, place: Place) -> bool:
        """Whether we were addressed in this thread."""
        return place in self._ours or await self._keep.get(_thread(place)) is not None

    async def _follow_on(self, place: Place) -> None:
        if place in self._ours:
            return
        await self._keep.set(_thread(place), b"", ttl=_FOLLOW)
        self._ours[place] = None
        if len(self._ours) > _THREADS:
            del self._ours[next(iter(self._ours))]

    async def _readable(self, arrival: Arrival) -> Inbound:
        """The event with people's names where they are to be had."""
        parsed = arrival.parsed
        if parsed.people and (people := await self._people.named(parsed.people)):
            with contextlib.suppress(Unreadable):
                parsed = parse(arrival.payload, self._me, people) or parsed
        event = msgspec.structs.replace(parsed.event, received_at=arrival.at)
        if event.kind == "command" and parsed.once:
            headers = {**event.headers, ASKED: f"{arrival.at - _SKEW:.6f}"}
            event = msgspec.structs.replace(event, headers=headers)
        return event

    @property
    def _account(self) -> str:
        return self._me.account.key


def _thread(place: Place) -> str:
    return f"thread/{place.chat}/{place.thread}"
