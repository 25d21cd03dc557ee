"""Where a job is handed in and its reading waited for. Celery is loaded by the first job only.

Nobody polls: states and results are published by the worker, and looked up only when some may have
been missed. What a worker does not say is told by its silence:

    sent ──(20 s, 40 s, …: again, in case the message was lost)──┐
     │                                                           │
     └→ started ─ beats every 3 s ─→ SUCCESS or FAILURE          │
          └─(15 s of silence: sent again, at most 3 times)───────┘

Copies cost nothing: a worker skips a job that is done, or being read by somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec
import structlog

from gateway.errors import GatewayError, Unavailable
from gateway.ports import Clock, Notices
from multimodal.jobs import QUEUES, Job, JobKind, Reading, TooLate, decode_reading
from multimodal.names import SENT_SECONDS, UNWANTED_SECONDS, Names

log = structlog.get_logger(__name__)

FAILED = "reading it failed"
BROKE_DOWN = "its reader broke down three times"
TOO_LONG = "it takes too long to read"
NOBODY = "no reader is running"

SILENCE_SECONDS = 15.0
"""Without a beat for so long, who read it is taken for dead."""
RESENDS = 3
RING_SECONDS = 10.0
"""How often somebody is woken for a job that nobody has begun."""
UNSTARTED_SECONDS = 20.0
"""First time after which a job nobody has begun is sent again; then twice as long each time."""
NOBODY_SECONDS = 30.0
"""How long somebody may take to serve a queue where no supervisor can be woken to do it."""
_AWAY = (0.5, 1.0, 2.0, 4.0)
"""Waits for a store that is restarting before it is said to be gone."""

Stage = Literal["sent", "started"]
Told = Callable[[Stage], None]


class Marks(Notices, Protocol):
    """The store of the jobs: `gateway.queues.channels.Subscriptions`. All raise `Unavailable`."""

    async def mark(self, key: str, seconds: int) -> None:
        """Set a flag that goes away by itself."""

    async def unmark(self, *keys: str) -> None: ...

    async def queue(self, key: str) -> tuple[int, bytes | None]:
        """Length and oldest message of a Celery queue."""


class _State(msgspec.Struct):
    """What Celery keeps and publishes of a task."""

    status: str
    result: Any = None


class _Error(msgspec.Struct):
    exc_type: str = ""
    exc_message: Any = ()


_states = msgspec.json.Decoder(_State)


@dataclass(slots=True)
class Course:
    """Pure: what has become of one job so far, and what is to be done now."""

    now: float
    """When it began."""
    sends: int = 0
    lost: int = 0
    """Readings that began and fell silent."""
    started: bool = False
    stale: bytes | None = None
    """An end from before we asked."""
    _skipped: int = 0
    _heard: float = 0.0
    _rung: float = 0.0
    _patience: float = UNSTARTED_SECONDS

    def __post_init__(self) -> None:
        self._heard = self._rung = self.now

    def sent(self, now: float) -> None:
        self.sends += 1
        self.started = False
        self._heard = self._rung = now

    def first(self, raw: bytes | None, now: float) -> Reading | None:
        """What was there before. An end that was none is not served again."""
        state = _decoded(raw)
        if state is not None and state.status in ("FAILURE", "REVOKED"):
            self.stale = raw
            return None
        return self.take(raw, now)[0]

    def take(self, raw: bytes | None, now: float) -> tuple[Reading | None, bool]:
        """Of a notice, or of what was looked up: the reading, and whether to send it (again)."""
        if raw is not None and raw == self.stale:
            return None, False
        state = _decoded(raw)
        if state is None:  # not begun, or the store was emptied: the wait for its start tells
            self.started = False
            return None, False
        if state.status == "SUCCESS":
            return _reading(state), False
        if state.status == "FAILURE":
            return _failed(state), False
        self._heard, self.stale = now, None
        self.started = state.status not in ("REVOKED", "RETRY", "PENDING")
        if not self.started:
            self._rung = float("-inf")
        if state.status != "REVOKED":
            return None, False
        self._skipped += 1  # because somebody else did not want it any more; once or twice
        return None, self._skipped <= RESENDS

    def due(self, now: float) -> Literal["send", "ring", "give up", ""]:
        """What time asks for."""
        silent = now - self._heard
        if self.started:
            if silent < SILENCE_SECONDS:
                return ""
            self.lost += 1
            return "give up" if self.lost > RESENDS - 1 else "send"
        if silent >= self._patience:
            self._patience *= 2
            return "send"
        if now - self._rung >= RING_SECONDS:
            self._rung = now
            return "ring"
        return ""

    def next(self, now: float) -> float:
        """Seconds until time asks for something."""
        if self.started:
            return max(self._heard + SILENCE_SECONDS - now, 0.01)
        first = min(self._heard + self._patience, self._rung + RING_SECONDS)
        return max(first - now, 0.01)


def _decoded(raw: bytes | None) -> _State | None:
    if raw is None:
        return None
    try:
        return _states.decode(raw)
    except msgspec.DecodeError:
        return None


def _reading(state: _State) -> Reading:
    try:
        return decode_reading(state.result)
    except (msgspec.DecodeError, TypeError):
        return Reading(problem=FAILED, passing=True)  # of another version of ours


def _failed(state: _State) -> Reading:
    """A failure's words for the user: our own, by the class that was raised."""
    with suppress(msgspec.ValidationError):
        error = msgspec.convert(state.result, _Error)
        if error.exc_type == "NotRead" and error.exc_message:
            return Reading(problem=str(error.exc_message[0]), passing=True)
        if error.exc_type == "TimeLimitExceeded":
            return Reading(problem=TOO_LONG, passing=True)
    return Reading(problem=FAILED, passing=True)


@dataclass(slots=True)
class _Wait:
    """One job, and everybody in this process who waits for it."""

    job: Job
    task: asyncio.Task[Reading] | None = None
    askers: int = 0
    stage: Stage | None = None
    told: list[Told] = field(default_factory=list)

    def tell(self, stage: Stage) -> None:
        if stage != self.stage:
            self.stage = stage
            for told in self.told:
                told(stage)


def by_celery(broker_url: str, namespace: str, password: str = "") -> Callable[[Job], None]:
    """`Desk`'s `send`. Celery is loaded in the thread that sends the first job."""
    posts: list[Any] = []

    def send(job: Job) -> None:
        if not posts:
            from multimodal.tasks import Post

            posts.append(Post(broker_url, namespace, password))
        posts[0].send(job)

    return send


class Desk:
    """Asks media workers. One for a process.

    Args:
        notices: the store of the jobs.
        send: puts a job into its queue; blocks, so it runs in a thread. Raises `Unavailable`.
        ring: wakes a sleeping media role; false where there is nobody to do it.
    """

    def __init__(
        self,
        notices: Marks,
        send: Callable[[Job], None],
        clock: Clock,
        *,
        namespace: str,
        ring: Callable[[], bool] = lambda: False,
    ) -> None:
        self._notices = notices
        self._send = send
        self._clock = clock
        self._names = Names(namespace)
        self._ring = ring
        self._waits: dict[str, _Wait] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="desk")

    async def ask(self, job: Job, *, seconds: float, told: Told | None = None) -> Reading:
        """Have a job done, or share in it when it is under way; everything known is one look.

        A job that cannot be done is a reading with a `problem`. When the last who waits has gone,
        it is skipped unless somebody has begun it. Raises `TooLate` and `Unavailable`.
        """
        wait = self._waits.get(job.id)
        if wait is None:
            wait = self._waits[job.id] = _Wait(job)
            wait.task = asyncio.create_task(self._await(wait), name=f"job-{job.id}")
            wait.task.add_done_callback(lambda task: self._ended(wait, task))
        assert wait.task is not None
        wait.askers += 1
        if told is not None:
            wait.told.append(told)
            if wait.stage is not None:
                told(wait.stage)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(wait.task)
        except TimeoutError:
            raise TooLate(f"not read within {seconds:.0f} s") from None
        finally:
            wait.askers -= 1
            if told is not None:
                wait.told.remove(told)
            if not wait.askers and not wait.task.done():
                self._give_up(wait)

    async def depths(self) -> Mapping[JobKind, Depth]:
        """How much waits in each queue, and for how long. Raises `Unavailable`."""
        found = await asyncio.gather(
            *(self._notices.queue(self._names.queue(kind)) for kind in QUEUES)
        )
        now = self._clock.now()
        return {kind: _depth(*one, now) for kind, one in zip(QUEUES, found, strict=True)}

    async def close(self) -> None:
        """Nobody asks any more; what was sent goes on."""
        tasks = [wait.task for wait in self._waits.values() if wait.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._dropping, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, wait: _Wait, task: asyncio.Task[Reading]) -> None:
        if self._waits.get(wait.job.id) is wait:
            del self._waits[wait.job.id]
        if not task.cancelled():
            task.exception()  # whoever still waits is told

    def _give_up(self, wait: _Wait) -> None:
        assert wait.task is not None
        if self._waits.get(wait.job.id) is wait:
            del self._waits[wait.job.id]
        wait.task.cancel()
        dropping = asyncio.create_task(self._drop(wait.job.id))
        self._dropping.add(dropping)
        dropping.add_done_callback(self._dropping.discard)

    async def _drop(self, job: str) -> None:
        with suppress(GatewayError):  # then it is read for nobody
            await self._notices.unmark(self._names.sent(job))
            await self._notices.mark(self._names.unwanted(job), UNWANTED_SECONDS)

    async def _await(self, wait: _Wait) -> Reading:
        key = self._names.result(wait.job.id)
        course = Course(self._clock.monotonic())
        async with self._notices.follow(key) as heard:
            notice: asyncio.Future[bytes | None] = asyncio.ensure_future(anext(heard))
            try:
                await asyncio.wait([notice], timeout=1.0)  # from the first one on nothing is missed
                if notice.done() and notice.result() is None:
                    notice = asyncio.ensure_future(anext(heard))
                if reading := await self._begin(wait, course, key):
                    return reading
                while True:
                    item, notice = await self._item(notice, heard, course)
                    if item == b"":
                        reading, again = None, False
                    else:
                        raw = item if item is not None else await self._value(key)
                        reading, again = course.take(raw, self._clock.monotonic())
                    if reading is not None:
                        return reading
                    if course.started:
                        wait.tell("started")
                    due = "send" if again else course.due(self._clock.monotonic())
                    if due == "give up":
                        log.warning("job_given_up", job=wait.job.id, kind=wait.job.kind)
                        return Reading(problem=BROKE_DOWN, passing=True)
                    if due and not course.started and await self._nobody(wait.job, course):
                        return Reading(problem=NOBODY, passing=True)
                    if due == "send":
                        if course.lost:
                            log.warning("job_sent_again", job=wait.job.id, lost=course.lost)
                        await self._put(wait, course)
            finally:
                notice.cancel()
                with suppress(asyncio.CancelledError, GatewayError, StopAsyncIteration):
                    await notice

    async def _nobody(self, job: Job, course: Course) -> bool:
        """Whether no worker takes such jobs, and none can be woken to."""
        waited = self._clock.monotonic() - course.now
        if self._ring() or course.lost or waited < NOBODY_SECONDS:
            return False
        if await self._value(self._names.served(job.kind)) is not None:
            return False
        log.warning("no_reader_runs", kind=job.kind, advice="start one: moltgate media")
        return True

    async def _begin(self, wait: _Wait, course: Course, key: str) -> Reading | None:
        """Look first; send it unless it is done, under way, or was sent by somebody just now."""
        reading = course.first(await self._value(key), self._clock.monotonic())
        if reading is not None:
            return reading
        if course.started:
            wait.tell("started")
        elif await self._notices.value(self._names.sent(wait.job.id)) is not None:
            wait.tell("sent")
            self._ring()
        else:
            await self._put(wait, course)
        return None

    async def _item(
        self, notice: asyncio.Future[bytes | None], heard: Any, course: Course
    ) -> tuple[bytes | None, asyncio.Future[bytes | None]]:
        """The next notice, or ``b""`` when time asks for something first."""
        if not notice.done():
            pause = course.next(self._clock.monotonic())
            sleeping = asyncio.ensure_future(self._clock.sleep(pause))
            either: list[asyncio.Future[Any]] = [notice, sleeping]
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
        if not notice.done():
            return b"", notice
        item = notice.result()
        return item, asyncio.ensure_future(anext(heard))

    async def _put(self, wait: _Wait, course: Course) -> None:
        job = wait.job
        await self._notices.unmark(self._names.unwanted(job.id))
        # Before it is sent: a worker takes the mark away when the job ends without a result.
        await self._notices.mark(self._names.sent(job.id), SENT_SECONDS)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._send, job)
        except GatewayError:
            with suppress(GatewayError):
                await self._notices.unmark(self._names.sent(job.id))
            raise
        course.sent(self._clock.monotonic())
        self._ring()
        wait.tell("sent")

    async def _value(self, key: str) -> bytes | None:
        """Raises `Unavailable` once the store has stayed away for a while."""
        for seconds in _AWAY:
            try:
                return await self._notices.value(key)
            except Unavailable:
                await self._clock.sleep(seconds)
        return await self._notices.value(key)


@dataclass(frozen=True, slots=True)
class Depth:
    waiting: int = 0
    oldest: float = 0.0
    """Seconds since the oldest of them was sent."""


class _Headers(msgspec.Struct):
    sent_at: float = 0.0


class _Message(msgspec.Struct):
    headers: _Headers


_messages = msgspec.json.Decoder(_Message)


def _depth(length: int, oldest: bytes | None, now: float) -> Depth:
    at = 0.0
    if oldest is not None:
        with suppress(msgspec.DecodeError):
            at = _messages.decode(oldest).headers.sent_at
    return Depth(length, max(now - at, 0.0) if at else 0.0)


__all__: Sequence[str] = ("Course", "Depth", "Desk", "Marks", "Stage", "Told")
