"""Station 5: attachments to text, before the model is asked.

A message waits for its files once, for `media.deadline` as a whole; what is not read by then
becomes a problem that user and model both see. A message never fails because of a file: while the
store or the readers are away it waits for them, and in the end it goes on without.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

import msgspec
import structlog

from gateway.errors import GatewayError, Retryable
from gateway.message import Attachment, ConversationId, Inbound
from gateway.ports import Clock, Records
from gateway.reading import SECONDS as NOTE_SECONDS
from gateway.reading import Being, forget, note
from gateway.seldom import Seldom
from multimodal.config import MediaConfig
from multimodal.jobs import Job, JobKind, Reading, TooLate, decode_reading, encode, to_read

log = structlog.get_logger(__name__)
seldom = Seldom(log)

READINGS = "readings"
"""Table of what was read, by job."""
COUNTED = "readings/counted"
"""Table of the jobs that were counted within the hour: prefetched, and then asked for again."""
HOUR = 3600.0
NOTED_AFTER = 1.0
"""Seconds after which `/status` shows what is being read."""
LEAST = 2.0
"""Seconds a message waits that comes again when its time is over already."""
BEGUN = 10_000
"""Messages of which it is remembered when they began to wait."""

_NO_READER = {
    "image": "this gateway has no reader for pictures",
    "voice": "this gateway has no reader for voice messages",
    "audio": "this gateway has no reader for sound",
    "video": "this gateway has no reader for video",
    "document": "this gateway has no reader for documents",
}
_SWITCHED_OFF = {
    "image": "pictures are not read here",
    "voice": "voice messages are not read here",
    "audio": "sound is not read here",
    "video": "videos are not read here",
    "document": "documents are not read here",
}
_NOTHING: dict[JobKind, str] = {
    "ocr": "no text was found in it",
    "asr": "no speech was heard in it",
    "doc": "there is no text in it",
}
LATE = "it takes too long to read"
NOT_NOW = "it could not be read at the moment"
BROKEN = "reading it failed"
GONE = "its content is not there"


class Asks(Protocol):
    """`multimodal.desk.Desk`, as far as it is needed here."""

    async def ask(self, job: Job, *, seconds: float) -> Reading:
        """Raises `TooLate` when nobody has read it in time, and `Unavailable`."""


class Watcher(Protocol):
    """What reading reports to; metrics implement it."""

    def media_ended(self, kind: str, outcome: str, seconds: float) -> None: ...
    def media_worked(self, kind: str, seconds: float, audio: float, pages: int) -> None: ...
    def media_remembered(self, kind: str) -> None: ...


class NoReaders:
    """Where no readers are installed: user and model both see what could not be read, and why."""

    async def enrich(self, inbound: Inbound) -> Inbound:
        if not inbound.attachments:
            return inbound
        marked = tuple(map(_marked, inbound.attachments))
        return msgspec.structs.replace(inbound, attachments=marked)


class Readers:
    """`ports.Enricher`: asks the desk, once for the same content of one tenant."""

    def __init__(
        self,
        desk: Asks,
        records: Records,
        clock: Clock,
        config: MediaConfig,
        watcher: Watcher,
        *,
        early: bool = False,
    ) -> None:
        """`early`: the message's turn will ask for the same; only that is counted."""
        self._desk = desk
        self._records = records
        self._clock = clock
        self._config = config
        self._watcher = watcher
        self._early = early
        self._begun: OrderedDict[str, float] = OrderedDict()
        self._board = Board(records, clock)

    async def enrich(self, inbound: Inbound) -> Inbound:
        if all(map(_settled, inbound.attachments)):
            return inbound
        until = self._until(inbound)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._attachment(one, inbound, until))
                for one in inbound.attachments
            ]
        read = tuple(task.result() for task in tasks)
        return msgspec.structs.replace(inbound, attachments=read)

    def _until(self, inbound: Inbound) -> float:
        """When this message goes on without what is not read. It may come again while an engine is
        away: then it does not wait anew, unless an operator hands it in much later."""
        now = self._clock.monotonic()
        begun = self._begun.setdefault(inbound.id, now)
        if now - begun > HOUR + self._config.deadline:
            begun = self._begun[inbound.id] = now
        while len(self._begun) > BEGUN:
            self._begun.popitem(last=False)
        return max(begun + self._config.deadline, now + LEAST)

    async def _attachment(self, one: Attachment, inbound: Inbound, until: float) -> Attachment:
        if _settled(one):
            return one
        if not self._config.reads(one):
            return msgspec.structs.replace(one, problem=_SWITCHED_OFF[one.kind])
        if not one.digest:
            return msgspec.structs.replace(one, problem=GONE)
        job = to_read(one, inbound.tenant, self._config)
        async with self._board.shown(inbound.conversation, one.kind):
            reading = await self._read(job, one, until, self._kept(inbound))
        return _filled(one, job.kind, reading)

    def _kept(self, inbound: Inbound) -> float:
        """Seconds for which a reading is remembered. What people say to each other is none of our
        business: only as long as somebody may still be finding out whether we were meant."""
        config = self._config
        return min(config.remember, config.deadline) if inbound.overheard else config.remember

    async def _read(self, job: Job, one: Attachment, until: float, kept: float) -> Reading:
        began = self._clock.monotonic()
        outcome, reading = await self._tried(job, one, until, kept)
        if self._early:
            outcome = "early"
        elif outcome == "remembered":
            self._watcher.media_remembered(job.kind)
        else:
            self._watcher.media_ended(job.kind, outcome, self._clock.monotonic() - began)
        if outcome not in ("read", "remembered", "early"):
            log.info("file_not_read", kind=job.kind, outcome=outcome, job=job.id)
        return reading

    async def _tried(
        self, job: Job, one: Attachment, until: float, kept: float
    ) -> tuple[str, Reading]:
        """What became of it, by a word for the metrics, and what is to be shown."""
        tries = 0
        while True:
            try:
                return await self._once(job, one, until, kept)
            except TooLate:
                return "late", Reading(problem=LATE)
            except Retryable as away:
                seldom.warning("readers_awaited", reason=str(away))
                wait = max(away.after or 0.0, _backoff(tries))
            except GatewayError as failure:
                log.error("reading_failed", kind=job.kind, job=job.id, reason=str(failure))
                return "failed", Reading(problem=BROKEN)
            tries += 1
            if self._clock.monotonic() + wait >= until:
                return "unavailable", Reading(problem=NOT_NOW)
            await self._clock.sleep(wait)

    async def _once(
        self, job: Job, one: Attachment, until: float, kept: float
    ) -> tuple[str, Reading]:
        if (known := await self._known(job)) is not None:
            return "remembered", known
        if (wait := await self._over_limit(job, one)) > 0:
            return "limited", Reading(problem=_limited(wait))
        left = until - self._clock.monotonic()
        if left <= 0:
            raise TooLate
        reading = await self._desk.ask(job, seconds=left)
        with contextlib.suppress(Retryable):  # what was read is worth more than the note of it
            await self._remember(job, one, reading, kept)
        if reading.problem:
            return ("failed" if reading.passing else "unreadable"), reading
        return "read", reading

    async def _known(self, job: Job) -> Reading | None:
        if not self._config.remember:
            return None
        raw = await self._records.get(READINGS, _key(job))
        if raw is None:
            return None
        try:
            return decode_reading(raw)
        except msgspec.DecodeError:
            return None

    async def _remember(self, job: Job, one: Attachment, reading: Reading, kept: float) -> None:
        """Whoever notes it first counts what it took: others may have asked for it as well."""
        if kept and not reading.passing:
            raw = encode(reading).encode()
            if not await self._records.add(READINGS, _key(job), raw, ttl=kept):
                return
        self._watcher.media_worked(job.kind, reading.seconds, reading.audio, reading.pages)
        limits = self._config.per_tenant
        for table, more, limit in (
            ("audio", reading.audio - _seconds(job, one), limits.audio),
            ("pages", float(reading.pages - _pages(job)), limits.pages),
        ):
            if limit and more > 0:
                await self._spend(table, job.tenant, more, 0.0)

    async def _over_limit(self, job: Job, one: Attachment) -> float:
        """Seconds until this tenant may have more read; 0 when it may now, which is counted.

        Whoever is second while the first is being refused must not slip through, and what is
        refused counts nowhere: hence a look at all limits first.
        """
        key, costs = _key(job), self._costs(job, one)
        if await self._records.get(COUNTED, key) is not None:
            return 0.0
        for table, _, limit in costs:
            if (wait := await self._spend(table, job.tenant, 0.0, limit)) > 0:
                known = await self._records.get(COUNTED, key)  # the first one may have filled it
                return wait if known is None else 0.0
        if not await self._records.add(COUNTED, key, b"", ttl=HOUR):
            return 0.0
        for table, amount, limit in costs:
            if (wait := await self._spend(table, job.tenant, amount, limit)) > 0:
                await self._records.remove(COUNTED, key)
                return wait
        return 0.0

    def _costs(self, job: Job, one: Attachment) -> Sequence[tuple[str, float, float]]:
        """What a file counts for, as far as it is known before: table, amount, limit."""
        limits = self._config.per_tenant
        costs = [("files", 1.0, float(limits.files))]
        if job.kind == "asr":
            costs.append(("audio", _seconds(job, one), limits.audio))
        if pages := _pages(job):
            costs.append(("pages", float(pages), float(limits.pages)))
        return [cost for cost in costs if cost[2]]

    async def _spend(self, table: str, tenant: str, amount: float, limit: float) -> float:
        return await self._records.spend(
            f"readings/{table}", tenant, amount, limit=limit, window=HOUR
        )


class Board:
    """Says in the store what is being read in which conversation, once it takes a while."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._being: defaultdict[ConversationId, list[Being]] = defaultdict(list)
        self._tellers: dict[ConversationId, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def shown(self, conversation: ConversationId, kind: str) -> AsyncIterator[None]:
        being = Being(kind=kind, since=self._clock.now())
        self._being[conversation].append(being)
        if conversation not in self._tellers:
            self._tellers[conversation] = asyncio.create_task(self._tell(conversation))
        try:
            yield
        finally:
            left = self._being[conversation]
            left.remove(being)
            if not left:
                del self._being[conversation]
                teller = self._tellers.pop(conversation)
                teller.cancel()
                await asyncio.wait([teller])

    async def _tell(self, conversation: ConversationId) -> None:
        """Until nothing is read any more; only then is there something to take back."""
        await asyncio.sleep(NOTED_AFTER)
        try:
            while True:
                await _quietly(note(self._records, conversation, self._being[conversation]))
                await asyncio.sleep(NOTE_SECONDS / 3)
        finally:
            await _quietly(forget(self._records, conversation))


async def _quietly(noting: Awaitable[None]) -> None:
    try:
        await noting
    except GatewayError as problem:
        log.debug("reading_not_shown", reason=str(problem))


def _settled(one: Attachment) -> bool:
    return bool(one.text or one.problem)


def _marked(one: Attachment) -> Attachment:
    return one if _settled(one) else msgspec.structs.replace(one, problem=_NO_READER[one.kind])


def _filled(one: Attachment, kind: JobKind, reading: Reading) -> Attachment:
    note = reading.note
    if not (reading.text.strip() or reading.problem or note):
        note = _NOTHING[kind]
    return msgspec.structs.replace(
        one,
        text=reading.text.strip(),
        problem=reading.problem,
        note=note,
        reader=reading.reader,
        picture=reading.picture,
    )


def _key(job: Job) -> str:
    return f"{job.tenant}/{job.id}"


def _seconds(job: Job, one: Attachment) -> float:
    """Of sound, as the platform says; what it did not say is counted afterwards."""
    return max(one.duration, 0.0) if job.kind == "asr" else 0.0


def _pages(job: Job) -> int:
    """At least; how many a document has is known afterwards."""
    return 1 if job.kind in ("ocr", "doc") else 0


def _limited(wait: float) -> str:
    minutes = max(1, math.ceil(wait / 60))
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"too much was sent to be read within an hour; please send it again in about {when}"


def _backoff(tries: int) -> float:
    return float(min(0.5 * 2.0**tries, 5.0)) * random.uniform(0.75, 1.25)
