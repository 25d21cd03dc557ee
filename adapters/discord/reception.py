"""What is done with one event of the gateway: read, put into its channel's line, handed in. Files
are fetched when the inbox has let it in: a stranger makes us fetch nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import structlog

from adapters.discord import parse
from adapters.discord.backfill import Backfill
from adapters.discord.channels import Channels
from adapters.discord.config import BackfillConfig
from adapters.discord.interactions import BUTTON, COMMAND, Interactions, Open
from adapters.discord.lanes import Lanes, Work
from adapters.discord.lookback import Sent
from adapters.discord.media import Files
from adapters.discord.native import (
    Channel,
    Guild,
    Interaction,
    Message,
    Reaction,
    Removed,
    Unreadable,
    channels,
    read,
    snowflake,
)
from adapters.discord.parse import Parsed, Self
from adapters.discord.position import Position
from gateway.errors import Failed
from gateway.message import Attachment, Inbound, Place, Sender
from gateway.ports import Accepted, Clock, Inbox, Prepare

log = structlog.get_logger(__name__)

MOST_WAITING = 2_000
"""Events in memory from which on no more are read from the gateway."""
_AUTHORS = 10_000
_ALL_HERE = 30.0
"""Seconds that servers may take to be described after a new session began."""

Jobs = Iterator[tuple[str, Work]]


class Reception:
    def __init__(
        self,
        *,
        me: Self,
        inbox: Inbox,
        clock: Clock,
        files: Files,
        lanes: Lanes,
        position: Position,
        channels: Channels,
        interactions: Interactions,
        sent: Sent,
        backfill: Backfill,
        limits: BackfillConfig,
        count: Callable[[str], None],
    ) -> None:
        self._me = me
        self._inbox = inbox
        self._clock = clock
        self._files = files
        self._lanes = lanes
        self._position = position
        self._channels = channels
        self._interactions = interactions
        self._sent = sent
        self._backfill = backfill
        self._limits = limits
        self._count = count
        self._authors: dict[str, tuple[Place, Sender]] = {}
        """Of recent messages: who removes one is not told, whose it was neither."""
        self._since = ""
        """Where the gap begins in channels that have no mark."""
        self._absent: set[str] = set()
        """Servers that are yet to be described, and then looked through."""
        self._all_here = asyncio.Event()
        self._left = 0
        """Channels that may still be looked at."""
        self._acknowledging: set[asyncio.Task[Open | None]] = set()
        self._handlers: dict[str, Callable[[object], Jobs]] = {
            "READY": self._ready,
            "GUILD_CREATE": self._guild,
            "CHANNEL_CREATE": self._channel,
            "CHANNEL_UPDATE": self._channel,
            "THREAD_CREATE": self._channel,
            "THREAD_UPDATE": self._channel,
            "CHANNEL_DELETE": self._no_channel,
            "THREAD_DELETE": self._no_channel,
            "MESSAGE_CREATE": self._created,
            "MESSAGE_UPDATE": self._updated,
            "MESSAGE_DELETE": self._removed,
            "MESSAGE_DELETE_BULK": self._removed,
            "MESSAGE_REACTION_ADD": self._reaction,
            "INTERACTION_CREATE": self._interaction,
        }

    async def room(self) -> None:
        """Wait while too many events are in memory: the gateway keeps what comes then."""
        while self._position.progress.waiting >= MOST_WAITING:
            await self._clock.sleep(0.1)

    def dispatch(self, event: str, seq: int, data: object) -> None:
        """Take note of an event; what it leads to is done in its channel's line."""
        progress = self._position.progress
        try:
            jobs = list(self._handlers[event](data)) if event in self._handlers else []
        except Unreadable as problem:
            self.unreadable(event, problem)
            jobs = []
        for lane, work in jobs:
            progress.begin(seq)
            done = partial(self._position.ended, progress, seq)
            self._lanes.put(lane, event, work, done)
        self._position.seen(seq)

    def unreadable(self, event: str, problem: Exception) -> None:
        self._count("unreadable")
        log.error("event_unreadable", gateway_event=event, reason=str(problem)[:300])

    async def close(self) -> None:
        for task in self._acknowledging:
            task.cancel()
        await asyncio.gather(*self._acknowledging, return_exceptions=True)

    # --- messages -------------------------------------------------------------------------------

    def _created(self, data: object) -> Jobs:
        message = read(data, Message)
        if message.author.id == self._me.id:
            self._sent.note(message.nonce, message.id)
            return
        yield message.channel_id, self._arrival(message)

    def _updated(self, data: object) -> Jobs:
        if not isinstance(data, dict) or "author" not in data:
            return  # a part of a message, sent when a preview of a link was added
        message = read(data, Message)
        yield message.channel_id, self._arrival(message, edited=True)

    def _arrival(self, message: Message, *, edited: bool = False) -> Work:
        at = self._clock.now()
        fetched: list[tuple[Attachment, ...]] = []

        async def take() -> None:
            place = await self._place(message.channel_id, message.guild_id)
            parsed = parse.message(message, place, self._me, edited=edited)
            if parsed is not None:
                self._remember(parsed.event)
                await self._accept(parsed.event, at, partial(self._fetch, parsed, fetched))
            if not edited:
                direct = place.kind == "direct"
                self._position.taken_in(message.channel_id, message.id, direct=direct)

        return take

    async def _fetch(
        self, parsed: Parsed, fetched: list[tuple[Attachment, ...]], event: Inbound
    ) -> Inbound:
        """The event with its files stored, once, however often it is handed in."""
        if not parsed.files:
            return event
        if not fetched:
            pairs = zip(event.attachments, parsed.files, strict=True)
            found = await asyncio.gather(*(self._files.fetch(*pair) for pair in pairs))
            fetched.append(tuple(found))
        return msgspec.structs.replace(event, attachments=fetched[0])

    def _removed(self, data: object) -> Jobs:
        removed = read(data, Removed)
        for number in removed.ids or (removed.id,):
            if number is not None:
                yield removed.channel_id, partial(self._remove, number, self._clock.now())

    async def _remove(self, number: str, at: float) -> None:
        if number in self._authors:
            place, sender = self._authors[number]
            await self._accept(parse.removed(number, place, sender, self._me), at)

    def _reaction(self, data: object) -> Jobs:
        reaction = read(data, Reaction)
        at = self._clock.now()

        async def take() -> None:
            place = await self._place(reaction.channel_id, reaction.guild_id)
            event = parse.reaction(reaction, place, self._me)
            if event is not None:
                await self._accept(event, at)

        yield reaction.channel_id, take

    def _remember(self, event: Inbound) -> None:
        self._authors[event.native_id] = (event.place, event.sender)
        if len(self._authors) > _AUTHORS:
            del self._authors[next(iter(self._authors))]

    # --- commands and buttons ---------------------------------------------------------------------

    def _interaction(self, data: object) -> Jobs:
        given = read(data, Interaction)
        channel = given.channel.id if given.channel is not None else given.channel_id
        if given.type not in (COMMAND, BUTTON) or channel is None:
            return
        if given.who is None or given.data is None:
            return
        if given.channel is not None:
            self._channels.note(given.channel)
        # At once, whatever waits in the channel: three seconds are all there is.
        acknowledging = asyncio.create_task(self._interactions.acknowledge(given))
        self._acknowledging.add(acknowledging)
        acknowledging.add_done_callback(self._acknowledged)
        at = self._clock.now()

        async def take() -> None:
            opened = await acknowledging
            place = await self._place(channel, given.guild_id)
            if given.type == BUTTON:
                await self._accept(parse.button(given, place, self._me), at)
                return
            answer, more = (opened.message, opened.header()) if opened else ("", {})
            event = parse.command(given, place, self._me, answer, more)
            accepted = await self._accept(event, at)
            if opened is not None and accepted.outcome == "ignored":
                await self._interactions.withdraw(opened)

        yield channel, take

    def _acknowledged(self, task: asyncio.Task[Open | None]) -> None:
        self._acknowledging.discard(task)
        if not task.cancelled():
            task.exception()  # who waits in the line sees it, too

    # --- where things are -------------------------------------------------------------------------

    def _channel(self, data: object) -> Jobs:
        self._channels.note(read(data, Channel))
        yield from ()

    def _no_channel(self, data: object) -> Jobs:
        channel = read(data, Channel)
        self._channels.forget(channel.id)
        self._position.forget(channel.id)
        yield from ()

    async def _place(self, channel: str, guild: str | None) -> Place:
        known = await self._channels.find(channel) if guild is not None else None
        return parse.place_of(channel, guild=guild, known=known)

    # --- gaps -------------------------------------------------------------------------------------

    def _ready(self, data: object) -> Jobs:
        """A new session: what came since the last one is looked for in the channels we know."""
        self._left = self._limits.channels
        self._since = self._position.latest
        self._position.begun(str(snowflake(self._clock.now())))
        self._absent = set()
        self._all_here.clear()
        if not self._limits.messages or not (self._since or self._position.marks):
            return
        self._count("backfilled")
        guilds = data.get("guilds") if isinstance(data, dict) else None
        for raw in guilds if isinstance(guilds, list) else []:
            with contextlib.suppress(Unreadable):
                self._absent.add(read(raw, Guild).id)
        marks = self._position.marks
        direct = [channel for channel, mark in marks.items() if mark.direct]
        for channel in sorted(direct, key=lambda each: -int(marks[each].message)):
            if self._may_look():
                yield channel, partial(self._catch_up, channel, None)
        if self._absent:
            # Until then the session counts as not begun, and the gap stays open for a successor.
            yield "servers", self._wait_for_servers

    async def _wait_for_servers(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ALL_HERE):
                await self._all_here.wait()

    def _guild(self, data: object) -> Jobs:
        found = list(channels(data))
        for channel in found:
            self._channels.note(channel)
        guild = read(data, Guild).id
        if guild not in self._absent:
            return
        for channel in sorted(found, key=lambda each: -int(each.last_message_id or 0)):
            mark = self._position.marks.get(channel.id)
            after = mark.message if mark is not None else self._since
            if after and int(channel.last_message_id or 0) > int(after) and self._may_look():
                yield channel.id, partial(self._catch_up, channel.id, guild)
        self._absent.discard(guild)
        if not self._absent:
            self._all_here.set()

    def _may_look(self) -> bool:
        self._left -= 1
        if self._left == -1:
            self._count("backfill_capped")
            log.warning("backfill_capped", channels=self._limits.channels)
        return self._left >= 0

    async def _catch_up(self, channel: str, guild: str | None) -> None:
        mark = self._position.marks.get(channel)
        after = mark.message if mark is not None else self._since
        if not after:
            return
        try:
            missed = await self._backfill.missed(channel, after)
        except Failed as refused:
            log.info("channel_not_readable", channel=channel, reason=str(refused))
            self._position.forget(channel)
            return
        for raw in missed:
            try:
                message = read({**raw, "channel_id": channel, "guild_id": guild}, Message)
            except Unreadable as problem:
                self.unreadable("history", problem)
                continue
            if message.author.id == self._me.id:
                self._sent.note(message.nonce, message.id)
            else:
                await self._arrival(message)()

    async def _accept(
        self,
        event: Inbound,
        at: float,
        prepare: Prepare | None = None,
    ) -> Accepted:
        event = msgspec.structs.replace(event, received_at=at)
        return await self._inbox.accept(event, prepare)
