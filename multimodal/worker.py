"""A media worker: Celery's, in this process, with its children; without its chatter."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import resource
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from billiard.util import get_logger as billiard_logger
from celery import Celery, platforms, signals
from celery.apps import worker as celery_worker
from celery.platforms import SecurityWarning
from celery.worker import state

from gateway.ports import Blobs
from multimodal.config import MediaConfig
from multimodal.jobs import QUEUES, JobKind
from multimodal.names import BEGUN, RUNNING_SECONDS, SERVED_SECONDS, Names
from multimodal.readers import READERS
from multimodal.tasks import RESULT_SECONDS, make_app
from multimodal.work import Bench, install

log = structlog.get_logger(__name__)

SOFT_SECONDS = 2.0
"""What runs when an end is asked for may finish within that; then it is given back."""
END_SECONDS = 7.5
"""Nothing keeps the process longer; the supervisor's patience is 8 seconds."""
SHOW_SECONDS = SERVED_SECONDS / 3
BEAT_SECONDS = 3.0
JOBS_PER_CHILD = 500
_CONTAINER = tuple(
    Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes")
)
"""Of control groups of the second and the first kind, as a container sees its own."""
_BEAT = json.dumps({"status": BEGUN, "result": None})


def run(
    broker_url: str,
    password: str,
    namespace: str,
    config: MediaConfig,
    blobs: Blobs,
    *,
    queues: Collection[JobKind] = QUEUES,
    processes: int = 1,
    idle: float | None = None,
    announce: Callable[[], None] = lambda: None,
    readers: Mapping[JobKind, str] = READERS,
    memory: int = 0,
) -> int:
    """Read until SIGTERM, or until there was nothing to read for `idle` seconds. The exit status.

    Args:
        readers: ``module:class`` by kind.
        memory: bytes that one child may take; 0 for three quarters of what this machine, or this
            container, has.
    """
    _house(config, queues)
    app = make_app(broker_url, namespace, password)
    bench = Bench(app, namespace, config, blobs, readers)
    memory = memory or room()
    install(app, bench, memory=memory)
    worker = _Worker(
        app=app,
        queues=list(queues),
        concurrency=processes,
        pool="prefork",
        loglevel="WARNING",
        quiet=True,
        task_events=False,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        max_tasks_per_child=JOBS_PER_CHILD,
        max_memory_per_child=memory * 3 // 4 // 1024,  # a large model alone is no reason to end
    )
    life = worker.life = _Life(app, worker, Names(namespace), queues, idle)

    def ready(**_: Any) -> None:
        life.begin()
        log.info("media_started", queues=",".join(queues), processes=processes)
        announce()

    signals.worker_ready.connect(ready, weak=False)
    gc.collect()
    gc.freeze()  # what is loaded by now stays, and stays shared with the children
    worker.start()
    life.end()
    if life.ending:
        return 0
    return int(worker.exitcode or 0)


def _house(config: MediaConfig, queues: Collection[JobKind]) -> None:
    """The process as its children inherit it: no dumps, no threads of libraries that were not
    asked for, Celery's log through ours."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threads = str(config.asr.threads if "asr" in queues else 1)
    for name in ("OMP_THREAD_LIMIT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, threads)
    signals.setup_logging.connect(_keep_ours, weak=False)
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Whoever runs a role as root is told by us, in one sentence.
    warnings.filterwarnings("ignore", category=SecurityWarning)


def _keep_ours(**_: Any) -> None:
    """A receiver of this signal is all that Celery needs to leave `logging` alone."""


def room(limits: Sequence[Path] = _CONTAINER) -> int:
    """Bytes for one child. `limits` are files that say how many a container may have, or `max`."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in limits:
        with contextlib.suppress(OSError, ValueError):
            whole = min(whole, int(path.read_text()))
    return max(whole * 3 // 4, 2**30)


class _Worker(celery_worker.Worker):  # type: ignore[misc]
    """Without Celery's signal handlers, which speak to the terminal."""

    life: _Life

    def register_with_event_loop(self, hub: Any) -> None:
        """With every connection anew: a lost one takes all readers along."""
        super().register_with_event_loop(hub)
        self.life.register(hub)

    def install_platform_tweaks(self, worker: Any) -> None:
        platforms.signals.ignore("HUP")

    def set_process_status(self, info: str) -> None:
        """The command line stays as it is."""


class _Life:
    """When a worker ends: by a signal, or by having nothing to do."""

    def __init__(
        self,
        app: Celery,
        worker: _Worker,
        names: Names,
        queues: Collection[JobKind],
        idle: float | None,
    ) -> None:
        self._app = app
        self._worker = worker
        self._names = names
        self._queues = queues
        self._idle = idle
        self._busy_at = time.monotonic()
        self._seen = 0
        self._asked_at = 0.0
        self._wake = os.pipe()
        for descriptor in self._wake:
            os.set_blocking(descriptor, False)
        self._finishing = False
        self.ending = False
        """It ends because it was asked to, or is not needed."""

    def register(self, hub: Any) -> None:
        hub.add_reader(self._wake[0], self._knocked)

    def begin(self) -> None:
        """It takes jobs from now on."""
        children = billiard_logger()  # set up for a terminal by Celery's start
        children.propagate = True
        children.setLevel(logging.WARNING)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked)
        signal.signal(signal.SIGCHLD, lambda *_: self._knock())
        self._show()
        self._worker.timer.call_repeatedly(SHOW_SECONDS, self._show)
        self._worker.timer.call_repeatedly(BEAT_SECONDS, self._beat)
        if self._idle is not None:
            self._busy_at = time.monotonic()
            pause = min(max(self._idle / 4, 0.1), 5.0)
            self._worker.timer.call_repeatedly(pause, self._look_for_work)

    def end(self) -> None:
        """Jobs that were abandoned are no fault of their files."""
        for descriptor in self._wake:
            os.close(descriptor)

    def _asked(self, *_: Any) -> None:
        if self.ending:
            return
        self.ending = True
        self._asked_at = time.monotonic()
        threading.Thread(target=_end_in_time, daemon=True).start()
        if not state.reserved_requests:
            state.should_stop = 0
        self._knock()

    def _knock(self) -> None:
        """From a signal handler: the rest is done by the loop, between two of its steps."""
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b"1")

    def _knocked(self, *_: Any) -> None:
        with contextlib.suppress(OSError):
            os.read(self._wake[0], 4096)
        if self.ending:
            self._begin_to_end()
        else:  # a child has ended: by itself Celery looks every 5 s
            self._worker.pool._pool.maintain_pool()

    def _begin_to_end(self) -> None:
        if self._finishing:
            return
        self._finishing = True
        consumer = self._worker.consumer.task_consumer
        if consumer is not None:
            consumer.cancel()
        self._worker.timer.call_repeatedly(0.05, self._finish)

    def _finish(self) -> None:
        if not state.reserved_requests:
            state.should_stop = 0
        elif time.monotonic() - self._asked_at > SOFT_SECONDS and not state.should_terminate:
            self._abandon()
            state.should_terminate = True

    def _abandon(self) -> None:
        redis = self._app.backend.client
        for request in tuple(state.active_requests):
            log.info("job_abandoned", job=request.id)
            tries = self._names.tries(request.id)
            if int(redis.get(tries) or 0) > 0:
                redis.decr(tries)
        self._worker.consumer.cancel_active_requests()

    def _look_for_work(self) -> None:
        if self._idle is None or self.ending:
            return
        total = sum(state.total_count.values())
        if state.reserved_requests or total != self._seen:
            self._seen, self._busy_at = total, time.monotonic()
        elif time.monotonic() - self._busy_at >= self._idle and not self._waiting():
            log.info("media_idle", seconds=self._idle)
            self.ending = True
            threading.Thread(target=_end_in_time, daemon=True).start()
            state.should_stop = 0

    def _show(self) -> None:
        backend = self._app.backend
        who = f"process {os.getpid()} on {socket.gethostname()}"
        with contextlib.suppress(*backend.connection_errors, *backend.channel_errors):
            for kind in self._queues:
                backend.client.set(self._names.served(kind), who, ex=SERVED_SECONDS)

    def _beat(self) -> None:
        """Signs of life of what is being read. Here and not in the children: a reader may keep its
        whole process busy for longer than anybody waits for a beat, and when a child is gone we
        know it at once. Only told, not stored: it must not replace an end."""
        backend = self._app.backend
        with contextlib.suppress(*backend.connection_errors, *backend.channel_errors):
            for request in tuple(state.active_requests):
                result = self._names.result(request.id)
                backend.client.expire(self._names.running(request.id), RUNNING_SECONDS)
                backend.client.expire(result, RESULT_SECONDS)
                backend.client.publish(result, _BEAT)

    def _waiting(self) -> bool:
        redis = self._app.backend.client
        return any(redis.llen(self._names.queue(kind)) for kind in self._queues)


def _end_in_time() -> None:
    """Celery may wait for a child that hears nothing: the kernel ends those with us."""
    time.sleep(END_SECONDS)
    os._exit(0)
