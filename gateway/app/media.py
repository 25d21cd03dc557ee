"""The media role, and how the others hand it files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.util import find_spec

import structlog

from gateway.blobs import FolderBlobs
from gateway.clock import SystemClock
from gateway.errors import BadConfig, Unavailable
from gateway.ports import Clock
from gateway.process import ring
from gateway.queues.channels import Subscriptions
from gateway.queues.wire import Address
from gateway.settings import Settings
from gateway.storage import START_SECONDS, redis_url
from multimodal.config import MediaConfig
from multimodal.desk import Desk, by_celery
from multimodal.jobs import QUEUES, JobKind

log = structlog.get_logger(__name__)


def media_store(settings: Settings) -> tuple[str, str]:
    """Address and password of the Redis with the jobs of the media road. Raises `BadConfig`."""
    broker = settings.section(MediaConfig).broker
    if broker:
        return broker, ""
    if "+cluster://" in settings.redis.url:
        raise BadConfig(
            "media.broker",
            "is needed, because jobs cannot be kept in a Redis Cluster",
            "name a single Redis server, e.g. redis://localhost:6379/0",
        )
    password = settings.redis.password
    return redis_url(settings), password.get_secret_value() if password else ""


def reads_files(settings: Settings) -> bool:
    """Whether there is anybody to hand files to. Messages without files need none of it, so that
    nothing is refused here that used to run."""
    if find_spec("celery") is None:
        return False
    try:
        media_store(settings)
    except BadConfig as problem:
        log.warning("files_not_read", reason=str(problem))
        return False
    return True


async def desk_of(settings: Settings, stack: contextlib.AsyncExitStack) -> Desk | None:
    """Closed with the stack; None where files are read by nobody."""
    if not reads_files(settings):
        return None
    return await stack.enter_async_context(open_desk(settings, SystemClock()))


@contextlib.asynccontextmanager
async def open_desk(settings: Settings, clock: Clock) -> AsyncIterator[Desk]:
    """Where jobs are handed in. Holds no connection while there are none."""
    url, password = media_store(settings)
    namespace = settings.redis.namespace
    notices = Subscriptions(Address(url, password), deadline=settings.redis.timeout)
    desk = Desk(notices, by_celery(url, namespace, password), clock, namespace=namespace, ring=ring)
    try:
        yield desk
    finally:
        await desk.close()
        await notices.close()


def run_media(
    settings: Settings,
    *,
    queues: Sequence[JobKind] = QUEUES,
    processes: int | None = None,
    idle: float | None = None,
    announce: Callable[[], None] | None = None,
) -> int:
    """Read files, in processes of their own. The exit status; `announce` is called once it does."""
    url, password = media_store(settings)
    try:
        from multimodal.worker import run
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in ("celery", "kombu", "billiard", "redis"):
            raise
        raise BadConfig(
            "media", f"{missing.name} is not installed", "pip install 'moltgate[media]'"
        ) from missing
    asyncio.run(_answering(url, password))
    config = settings.section(MediaConfig)
    return run(
        url,
        password,
        settings.redis.namespace,
        config,
        FolderBlobs(settings.blobs),
        queues=queues,
        processes=processes or config.processes,
        idle=idle,
        announce=announce or (lambda: None),
    )


async def _answering(url: str, password: str) -> None:
    """Wait for the Redis of the jobs as other roles do for theirs. Raises `Unavailable`."""
    address = Address(url, password)
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            (await address.connect()).abort()
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return
