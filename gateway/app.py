"""The composition root: reads settings, builds everything, runs it, closes it.

The only module that knows every other one. Roles are coroutines that run until cancelled and
leave nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import msgspec
import structlog

from engine.config import EngineConfig, FallbackConfig
from engine.pictures import LARGEST
from engine.registry import build as build_engines
from engine.service import EngineService
from gateway.access.config import AccessConfig, AccountRules, authenticated
from gateway.access.pairing import Approvals
from gateway.accounts import AccountRunner
from gateway.blobs import FolderBlobs, read_whole
from gateway.clock import SystemClock
from gateway.delivery import Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.errors import BadConfig, GatewayError, Retryable, Unavailable
from gateway.failpoints import ACKED, RECEIVED, STORED, failpoint, failpoint_soon
from gateway.heard import EARLY, Early, Heard
from gateway.intake import Intake
from gateway.message import Account, ConversationId, Inbound, Outbound
from gateway.metrics import CountedInbox, LoopWatch, Metrics, merged
from gateway.ports import (
    Accepted,
    Adapter,
    Clock,
    Enricher,
    HasWebhook,
    Inbox,
    Lease,
    Live,
    NarrowsCapabilities,
    Prepare,
    Services,
    Show,
)
from gateway.process import ring
from gateway.queues.accounts import Owners
from gateway.queues.channels import Subscriptions, listen, publish
from gateway.queues.claims import Claims
from gateway.queues.guard import check
from gateway.queues.outbox import Outbox, Ownership
from gateway.queues.records import AccountKeep
from gateway.queues.topology import Store
from gateway.queues.wire import Address
from gateway.sessions.commands import MENU, Commands
from gateway.sessions.config import SessionConfig, lane_policy
from gateway.sessions.prompt import Prompts
from gateway.settings import AdapterEntry, Settings
from gateway.storage import (
    START_SECONDS,
    OpenStore,
    keep_guard,
    open_store,
    ready_store,
    redis_url,
)
from gateway.turn import Channel, Speech, TurnConfig, Turns
from gateway.web import auth
from gateway.web.deps import WebDeps
from gateway.web.server import build_app, serve
from gateway.web.settings import WebSettings
from gateway.web.surface import ChatSurface
from gateway.worker import Worker
from multimodal.config import MediaConfig
from multimodal.desk import Desk, by_celery
from multimodal.jobs import QUEUES, JobKind
from multimodal.pipeline import NoReaders, Readers
from multimodal.speech import Speaker

log = structlog.get_logger(__name__)

VERSION = version("moltgate")
METRICS_SECONDS = 5.0
GATEWAY_DRAIN = 4.0
WORKER_DRAIN = 5.0


# --- gateway --------------------------------------------------------------------------------


class _Gate:
    """The inbox adapters see: counts, and has the fail points around storing."""

    def __init__(self, intake: Inbox, metrics: Metrics) -> None:
        self._inbox = CountedInbox(intake, metrics)

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        await failpoint(RECEIVED, event.conversation)
        accepted = await self._inbox.accept(event, prepare, show)
        await failpoint(STORED, event.conversation)
        failpoint_soon(ACKED, event.conversation)
        return accepted


async def run_gateway(settings: Settings, *, announce: Callable[[str], None] | None = None) -> None:
    """Receive, admit, store, deliver, serve HTTP. `announce` is given the one-time login link."""
    _fewer_collections()
    async with open_store(settings) as opened, contextlib.AsyncExitStack() as stack:
        await ready_store(settings, opened.store)
        metrics = Metrics()
        desk = await _desk(settings, stack)
        runners = await _runners(settings, opened, metrics, desk, stack)
        app = build_app(_web_deps(settings, opened, runners, metrics, desk))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(job)
                for job in (
                    *(runner.run() for runner in runners),
                    _dispatch(opened.store, runners),
                    keep_guard(settings, opened),
                    _watch_loop(metrics),
                )
            ]
            try:
                async with serve(app, settings.http.host, settings.http.port) as port:
                    if announce is not None:
                        announce(await _patient_link(settings, opened, port))
                    await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.gather(*(runner.drain(GATEWAY_DRAIN) for runner in runners))
                for task in tasks:
                    task.cancel()


async def login_link(settings: Settings, opened: OpenStore, port: int | None = None) -> str:
    """A link that signs its first user in to web chat, once."""
    base = settings.http.public_url or settings.local_url(port)
    return f"{base}/login#{await auth.issue_login(opened.records)}"


async def _patient_link(settings: Settings, opened: OpenStore, port: int) -> str:
    """The same, however long the store stays away: nobody dies of a link."""
    while True:
        try:
            return await login_link(settings, opened, port)
        except Retryable as problem:
            log.warning("login_link_postponed", reason=str(problem))
            await asyncio.sleep(1.0)


async def _runners(
    settings: Settings,
    opened: OpenStore,
    metrics: Metrics,
    desk: Desk | None,
    stack: contextlib.AsyncExitStack,
) -> Sequence[AccountRunner]:
    clock = SystemClock()
    blobs = FolderBlobs(settings.blobs)
    inbox = _Gate(_intake(settings, opened, clock, metrics, desk, stack), metrics)
    owners = Owners(opened.store)
    outbox = Outbox(opened.store)
    runners = []
    for entry in settings.adapters:
        services = Services(
            blobs=blobs,
            log=opened.log,
            clock=clock,
            public_url=settings.http.public_url,
            commands=MENU,
            keep=AccountKeep(opened.records, entry.account),
            folder=settings.folder_of(entry.account),
            count=partial(metrics.happened, entry.account.key),
        )
        adapter = entry.spec.build(entry.account, entry.config, services)
        stack.push_async_callback(adapter.close)
        deliveries = _deliveries(settings, entry, adapter, outbox, clock, metrics)
        runners.append(AccountRunner(adapter, inbox, owners, deliveries, metrics))
    return runners


def _deliveries(
    settings: Settings,
    entry: AdapterEntry,
    adapter: Adapter,
    outbox: Outbox,
    clock: SystemClock,
    metrics: Metrics,
) -> Callable[[Ownership], Delivery]:
    split = entry.spec.splitter()
    capabilities = entry.spec.capabilities
    if isinstance(adapter, NarrowsCapabilities):
        capabilities = adapter.capabilities

    def begin(own: Ownership) -> Delivery:
        drafts = Drafts(own, adapter, capabilities, outbox, split)
        return Delivery(
            own,
            adapter,
            capabilities,
            outbox,
            drafts,
            clock,
            metrics,
            settings.section(DeliveryConfig),
        )

    return begin


def _intake(
    settings: Settings,
    opened: OpenStore,
    clock: SystemClock,
    metrics: Metrics,
    desk: Desk | None,
    stack: contextlib.AsyncExitStack,
) -> Intake:
    media = settings.section(MediaConfig)
    enricher: Enricher = NoReaders()
    if desk is not None:
        enricher = Readers(desk, opened.records, clock, media, metrics, early=True)
    early = Early(enricher, _heard(settings, opened, clock, desk), most=EARLY if desk else 0)
    stack.push_async_callback(early.close)
    return Intake(
        opened.lanes,
        opened.records,
        account_rules(settings, listens=desk is not None),
        clock,
        _splits(settings),
        commands=_commands(settings, opened, clock, desk),
        stop_words=settings.section(SessionConfig).stop_words,
        stored=early.begin,
        stopped=early.drop,
    )


def _heard(settings: Settings, opened: OpenStore, clock: SystemClock, desk: Desk | None) -> Heard:
    return Heard(
        opened.lanes,
        _commands(settings, opened, clock, desk),
        account_rules(settings, listens=desk is not None),
        Approvals(opened.records, clock),
        _splits(settings),
        stop_words=settings.section(SessionConfig).stop_words,
    )


def _commands(
    settings: Settings, opened: OpenStore, clock: SystemClock, desk: Desk | None
) -> Commands:
    engines = tuple(settings.engines) or ("builtin",)
    mode = settings.section(MediaConfig).speech.mode
    channels = _channels(settings)

    def speech(account: Account) -> str:
        channel = channels.get(account.kind)
        return mode if desk and channel and channel.capabilities.voice_out else ""

    return Commands(
        opened.lanes,
        opened.records,
        clock,
        models=lambda: engines,
        version=VERSION,
        speech=speech,
    )


def _splits(settings: Settings) -> Callable[[Outbound], Sequence[Outbound]]:
    channels = _channels(settings)
    return lambda outbound: channels[outbound.account.kind].split(outbound)


def account_rules(settings: Settings, *, listens: bool) -> Mapping[str, AccountRules]:
    """Who may talk on which account; `listens` where voice messages can be read."""
    sessions = settings.section(SessionConfig)
    return {
        entry.account.key: AccountRules(
            account=entry.account,
            access=_access(entry),
            policy=lane_policy(sessions, entry.account),
            heard_as=_names(settings, entry) if listens else (),
            **entry.spec.id_rules,
        )
        for entry in settings.adapters
    }


def _access(entry: AdapterEntry) -> AccessConfig:
    access = entry.access if isinstance(entry.access, AccessConfig) else AccessConfig()
    if entry.account.kind == "web":
        return authenticated(access)  # whoever gets here has signed in
    return access


def _names(settings: Settings, entry: AdapterEntry) -> tuple[str, ...]:
    """By which a voice message in a group calls us; the account's own count as well."""
    media = settings.section(MediaConfig)
    if not media.heard_as or "voice" not in media.read:
        return ()
    return (*media.heard_as, *getattr(entry.config, "mention_patterns", ()))


def _channels(settings: Settings) -> Mapping[str, Channel]:
    return {
        entry.account.kind: Channel(
            capabilities=entry.spec.capabilities, split=entry.spec.splitter()
        )
        for entry in settings.adapters
    }


def _web_deps(
    settings: Settings,
    opened: OpenStore,
    runners: Sequence[AccountRunner],
    metrics: Metrics,
    desk: Desk | None,
) -> WebDeps:
    http = settings.http
    web = next((one.adapter for one in runners if one.account.kind == "web"), None)
    chat: ChatSurface | None = web  # type: ignore[assignment]  # structural, checked by its tests
    accounts = [runner.account for runner in runners]

    async def ready() -> Mapping[str, str]:
        try:
            await check(opened.store, fsync=settings.redis.fsync)
            store = opened.lanes.closed or "ok"
        except GatewayError as problem:
            store = str(problem)
        return {
            "store": store,
            **{one.account.key: "ok" if one.ready else one.state for one in runners},
        }

    async def exposition() -> bytes:
        if desk is not None:
            with contextlib.suppress(GatewayError):
                for kind, depth in (await desk.depths()).items():
                    metrics.media_queue(kind, depth.waiting, depth.oldest)
        processes = {**await opened.processes(), "gateway": metrics.exposition()}
        return merged(processes, await opened.ledger(), await opened.depths(accounts))

    return WebDeps(
        records=opened.records,
        blobs=FolderBlobs(settings.blobs),
        chat=chat,
        ready=ready,
        metrics=exposition,
        webhooks={
            f"{one.account.kind}/{one.account.id}": one.adapter
            for one in runners
            if isinstance(one.adapter, HasWebhook)
        },
        settings=WebSettings(
            public_url=http.public_url,
            hosts=http.allowed_hosts,
            origins=http.allowed_origins,
            trusted_proxies=http.trusted_proxies,
        ),
    )


_live = msgspec.json.Decoder(Live)


def _live_channel(store: Store) -> str:
    return f"{store.namespace}:live"


async def _dispatch(store: Store, runners: Sequence[AccountRunner]) -> None:
    """Pass notices of new outbox parts and live text on to the accounts they are for."""
    by_account = {runner.account.key: runner for runner in runners}
    live_channel = _live_channel(store)
    channels = [live_channel, *(f"{partition}:out" for partition in store.partitions)]
    async for item in listen(store.address, channels):
        if item is None:
            for runner in runners:
                runner.notice(None)
        elif item[0] == live_channel:
            live = _readable(item[1])
            if live and (runner := by_account.get(live.account.key)):  # type: ignore[assignment]
                await runner.live(live)
        else:
            account, _, conversation = item[1].decode().partition("\n")
            if (runner := by_account.get(account)) is not None:  # type: ignore[assignment]
                runner.notice(ConversationId(conversation))


def _readable(payload: bytes) -> Live | None:
    """None for what a newer worker shows: previews are best effort."""
    try:
        return _live.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        log.debug("preview_unreadable", reason=str(problem))
        return None


def _fewer_collections() -> None:
    """What is loaded by now stays; the rest dies by reference count. Measured at a quarter less
    CPU per message in the queue benchmark."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _watch_loop(metrics: Metrics) -> None:
    watch = LoopWatch()
    beats = 0
    while True:
        late = watch.tick()
        if late > 0.25:
            log.warning("loop_blocked", seconds=round(late, 3))
        beats += 1
        if beats % 50 == 0:
            metrics.loop_lag(watch.longest())
        await asyncio.sleep(LoopWatch.PERIOD)


# --- media ----------------------------------------------------------------------------------


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


async def _desk(settings: Settings, stack: contextlib.AsyncExitStack) -> Desk | None:
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


# --- worker ---------------------------------------------------------------------------------


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
    _fewer_collections()
    config = settings.section(TurnConfig)
    async with open_store(settings) as opened, contextlib.AsyncExitStack() as stack:
        await ready_store(settings, opened.store)
        store, metrics = opened.store, Metrics()
        clock, claims = SystemClock(), Claims(store)
        desk, media = await _desk(settings, stack), settings.section(MediaConfig)
        engine = engines(settings)
        name = f"worker-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

        async def show(live: Live) -> None:
            await publish(store, _live_channel(store), msgspec.json.encode(live))

        async def reset(lease: Lease) -> None:
            await opened.lanes.reset(lease.conversation)
            session = lease.session
            lease.session = replace(session, generation=session.generation + 1)
            lease.history = ()

        turns = Turns(
            engine,
            Readers(desk, opened.records, clock, media, metrics) if desk else NoReaders(),
            Prompts(settings.section(SessionConfig), clock),
            _channels(settings),
            show,
            reset,
            opened.lanes.promote,
            clock,
            config,
            metrics,
            heard=_heard(settings, opened, clock, desk),
            speech=_speech(desk, clock, media, metrics),
        )
        wakes = listen(store.address, [f"{partition}:wake" for partition in store.partitions])
        worker = Worker(claims, turns, wakes, concurrency=config.concurrency)
        async with asyncio.TaskGroup() as group:
            side = [
                group.create_task(_watch_loop(metrics)),
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
