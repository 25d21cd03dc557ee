"""The one task, in a worker's child process: what is done around a reader, so that a job ends
once and in every case.

A job is claimed by the message that brought it; copies of it are skipped while the claim is kept
alive by the parent's beats (`multimodal.worker`). What ends in no orderly way (the process is gone)
stays counted, and after three times the job ends with a problem instead of taking down the next
process.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import structlog
from celery import Celery, signals
from celery.exceptions import Ignore, SoftTimeLimitExceeded

from gateway.errors import Failed
from gateway.ports import Blobs
from gateway.process import dies_with_parent
from multimodal import readers
from multimodal.config import MediaConfig
from multimodal.jobs import TASK, Job, JobKind, Reading, decode_job, encode
from multimodal.names import BEGUN, RUNNING_SECONDS, TRIES_SECONDS, Names
from multimodal.readers import NotSetUp, Reader, Unreadable
from multimodal.tasks import EXPIRES_SECONDS

log = structlog.get_logger(__name__)

TRIES = 3
NICE = 10
PAUSE_SECONDS = 0.5

NO_READER = "this gateway has no reader for it"
BROKE_DOWN = "its reader broke down three times"
FAILED = "reading it failed"
TOO_LONG = "it takes too long to read"
GONE = "its content is no longer there"


class NotRead(Exception):
    """Nothing came of it, and it is not the file's fault: asked again, it is tried again.

    The text is for the user; `multimodal.desk` knows the class by its name.
    """


class Bench:
    """What one child process works with: readers that stay, content, and the marks of jobs."""

    def __init__(
        self,
        app: Celery,
        namespace: str,
        config: MediaConfig,
        blobs: Blobs,
        table: Mapping[JobKind, str] = readers.READERS,
    ) -> None:
        self._app = app
        self._names = Names(namespace)
        self._config = config
        self._blobs = blobs
        self._table = table
        self._readers: dict[JobKind, Reader] = {}
        self._told: set[JobKind] = set()
        self._loop = asyncio.Runner()
        """For the blobs, which are async everywhere else. Made by its first use, in the child."""

    def work(self, raw: str, copy: str) -> str:
        """A job as JSON text to a reading as JSON text; `copy` names the message."""
        try:
            job = decode_job(raw)
        except msgspec.DecodeError as problem:
            log.error("job_unreadable", reason=str(problem))
            raise NotRead(FAILED) from problem
        marks = _Marks(self._app.backend, self._names, job.id, copy)
        marks.claim()
        began = time.monotonic()
        try:
            reading = self._once(job, marks)
        except NotRead:
            marks.release()
            raise
        took = time.monotonic() - began
        log.info("job_done", job=job.id, kind=job.kind, ms=int(took * 1000))
        return encode(msgspec.structs.replace(reading, seconds=took))

    def close(self) -> None:
        for kind in tuple(self._readers):
            self._forget(kind)
        self._loop.close()

    def _once(self, job: Job, marks: _Marks) -> Reading:
        if marks.tries() > TRIES:
            log.error("job_given_up", job=job.id, kind=job.kind, tries=TRIES)
            raise NotRead(BROKE_DOWN)
        marks.begun()
        try:
            reading = self._reading(job)
        except NotRead:
            marks.ended()
            raise
        except SoftTimeLimitExceeded:  # between two tries, so it is no fault of the file
            marks.ended()
            raise NotRead(TOO_LONG) from None
        marks.ended()
        return reading

    def _reading(self, job: Job) -> Reading:
        for attempt in range(1, TRIES + 1):
            try:
                return self._reader(job.kind).read(job, self._content(job))
            except Unreadable as why:
                return Reading(problem=why.problem)
            except NotSetUp as missing:
                self._tell(job.kind, missing)
                self._forget(job.kind)
                raise NotRead(NO_READER) from missing
            except SoftTimeLimitExceeded:
                self._forget(job.kind)  # who knows what it was in the middle of
                return Reading(problem=TOO_LONG)
            except Failed as missing:
                log.warning("job_without_content", job=job.id, kind=job.kind, reason=str(missing))
                raise NotRead(GONE) from missing
            except Exception:  # a reader may raise anything
                log.exception("reader_failed", job=job.id, kind=job.kind, attempt=attempt)
                self._forget(job.kind)
                if attempt < TRIES:
                    time.sleep(PAUSE_SECONDS * attempt)
        raise NotRead(FAILED)

    def _reader(self, kind: JobKind) -> Reader:
        if kind not in self._readers:
            began = time.monotonic()
            self._readers[kind] = readers.build(kind, self._config, self._store, self._table)
            log.info("reader_built", kind=kind, ms=int((time.monotonic() - began) * 1000))
        return self._readers[kind]

    def _forget(self, kind: JobKind) -> None:
        """The next job builds it anew."""
        if (reader := self._readers.pop(kind, None)) is not None:
            try:
                reader.close()
            except Exception:  # it is broken, that is why
                log.exception("reader_not_closed", kind=kind)

    def _tell(self, kind: JobKind, missing: NotSetUp) -> None:
        if kind not in self._told:
            self._told.add(kind)
            log.error("no_reader", kind=kind, reason=missing.what, remedy=missing.remedy)

    def _content(self, job: Job) -> bytes:
        return self._loop.run(self._read(job.digest)) if job.digest else b""

    async def _read(self, digest: str) -> bytes:
        limit = self._config.limits.size
        if (await self._blobs.size(digest) or 0) > limit:
            raise Unreadable(f"it is larger than {limit // 2**20} MB")
        return b"".join([chunk async for chunk in self._blobs.read(digest)])

    def _store(self, content: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        async def stored() -> str:
            return (await self._blobs.store(chunks(), limit=max(len(content), 1)))[0]

        return self._loop.run(stored())


class _Marks:
    """What is known of a job besides Celery's own, see `multimodal.names`."""

    def __init__(self, backend: Any, names: Names, job: str, copy: str) -> None:
        self._backend = backend
        self._redis = backend.client
        self._names = names
        self._job = job
        self._copy = copy

    def claim(self) -> None:
        """Raises `Ignore` when there is nothing to do: nobody wants it, it is done, or another
        message's reader is at it. The same message comes again only when its reader is gone."""
        if self._redis.exists(self._names.unwanted(self._job)):
            self._redis.delete(self._names.sent(self._job))
            self._backend.store_result(self._job, None, "REVOKED")
            raise Ignore
        if self._backend.get_state(self._job) == "SUCCESS":
            raise Ignore
        key = self._names.running(self._job)
        if not self._redis.set(key, self._copy, nx=True, ex=RUNNING_SECONDS):
            if self._redis.get(key) != self._copy.encode():
                raise Ignore
            self._redis.expire(key, RUNNING_SECONDS)

    def tries(self) -> int:
        """Counts this one; how many there were that did not end."""
        key = self._names.tries(self._job)
        tries = int(self._redis.incr(key))
        self._redis.expire(key, TRIES_SECONDS)
        return tries

    def begun(self) -> None:
        self._backend.store_result(self._job, None, BEGUN)

    def ended(self) -> None:
        """In an orderly way, by whatever: the process is still there."""
        self._redis.delete(self._names.tries(self._job))

    def release(self) -> None:
        """There is no result: whoever asks next begins anew. Where there is one, the claim stays
        until it is stored, as copies may be on their way."""
        self._redis.delete(self._names.running(self._job), self._names.sent(self._job))


def install(app: Celery, bench: Bench, *, memory: int) -> None:
    """The task, and what a child process does first and last. `memory` is its limit in bytes."""

    @app.task(name=TASK, bind=True, throws=(NotRead,))  # type: ignore[untyped-decorator]
    def read(task: Any, raw: str) -> str:
        headers = task.request.headers or {}
        if time.time() - float(headers.get("sent_at") or time.time()) > EXPIRES_SECONDS:
            raise Ignore
        return bench.work(raw, str(headers.get("copy") or task.request.id))

    arrange = dies_with_parent()

    def begin(**_: Any) -> None:
        if arrange is not None:
            arrange()  # Celery's own does not see a parent that has gone before it asked
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ours is for the parent
        os.nice(NICE)  # the reading only: a worker is started while somebody waits
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))

    def end(**_: Any) -> None:
        bench.close()

    signals.worker_process_init.connect(begin, weak=False)
    signals.worker_process_shutdown.connect(end, weak=False)
