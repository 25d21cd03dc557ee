"""The worker role: claims conversations and answers them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import msgspec
import structlog

from engine.config import EngineConfig, FallbackConfig
from engine.pictures import LARGEST
from engine.registry import build as build_engines
from engine.service import EngineService
from gateway.app.media import desk_of
from gateway.app.road import (
    channels,
    fewer_collections,
    heard,
    live_channel,
    watch_loop,
)
from gateway.blobs import FolderBlobs, read_whole
from gateway.clock import SystemClock
from gateway.errors import GatewayError
from gateway.metrics import Metrics
from gateway.ports import (
    Lease,
    Live,
)
from gateway.queues.channels import listen, publish
from gateway.queues.claims import Claims
from gateway.sessions.config import SessionConfig
from gateway.sessions.prompt import Prompts
from gateway.settings import Settings
from gateway.storage import (
    OpenStore,
    open_store,
    ready_store,
)
from gateway.turn import Speech, TurnConfig, Turns
from gateway.worker import Worker
from multimodal.config import MediaConfig
from multimodal.desk import Desk
from multimodal.pipeline import NoReaders, Readers
from multimodal.speech import Speaker

log = structlog.get_logger(__name__)

METRICS_SECONDS = 5.0
WORKER_DRAIN = 5.0


def engines(settings: Settings) -> EngineService:
    """The configured engines as one; the built-in model where none is configured."""
    configured = {
        name: config
        for name, config in settings.engines.items()
        if isinstance(config, EngineConfig)
    }
    return build_engines(
        configured,
        SystemClock(),
        settings.section(FallbackConfig),
        pictures=partial(read_whole, FolderBlobs(settings.blobs), limit=LARGEST),
    )


async def run_worker(settings: Settings, *, announce: Callable[[], None] | None = None) -> None:
    """Claim conversations and answer them. `announce` is called once it does."""
    fewer_collections()
    config = settings.section(TurnConfig)
    async with open_store(settings) as opened, contextlib.AsyncExitStack() as stack:
        await ready_store(settings, opened.store)
        store, metrics = opened.store, Metrics()
        clock, claims = SystemClock(), Claims(store)
        desk, media = await desk_of(settings, stack), settings.section(MediaConfig)
        engine = engines(settings)
        name = f"worker-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

        async def show(live: Live) -> None:
            await publish(store, live_channel(store), msgspec.json.encode(live))

        async def reset(lease: Lease) -> None:
            await opened.lanes.reset(lease.conversation)
            session = lease.session
            lease.session = replace(session, generation=session.generation + 1)
            lease.history = ()

        turns = Turns(
            engine,
            Readers(desk, opened.records, clock, media, metrics) if desk else NoReaders(),
            Prompts(settings.section(SessionConfig), clock),
            channels(settings),
            show,
            reset,
            opened.lanes.promote,
            clock,
            config,
            metrics,
            heard=heard(settings, opened, clock, desk),
            speech=_speech(desk, clock, media, metrics),
        )
        wakes = listen(store.address, [f"{partition}:wake" for partition in store.partitions])
        worker = Worker(claims, turns, wakes, concurrency=config.concurrency)
        async with asyncio.TaskGroup() as group:
            side = [
                group.create_task(watch_loop(metrics)),
                group.create_task(_report(opened, metrics, worker, name)),
            ]
            running = group.create_task(worker.run())
            log.info("worker_started", process=name)
            if announce is not None:
                announce()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await worker.drain(WORKER_DRAIN)
                for task in (*side, running):
                    task.cancel()
                await engine.close()
                with contextlib.suppress(GatewayError):
                    await opened.records.remove("metrics", name)


def _speech(
    desk: Desk | None, clock: SystemClock, media: MediaConfig, metrics: Metrics
) -> Speech | None:
    if desk is None:
        return None
    return Speech(voice=Speaker(desk, clock, media, metrics), mode=media.speech.mode)


async def _report(opened: OpenStore, metrics: Metrics, worker: Worker, name: str) -> None:
    while True:
        metrics.running(worker.busy)
        with contextlib.suppress(GatewayError):
            await opened.records.set("metrics", name, metrics.exposition(), ttl=METRICS_SECONDS * 3)
        await asyncio.sleep(METRICS_SECONDS)
