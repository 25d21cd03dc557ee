"""The gateway role: receives, admits, stores, delivers, serves HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
import structlog

from gateway.accounts import AccountRunner
from gateway.app.media import desk_of
from gateway.app.road import (
    account_rules,
    commands,
    fewer_collections,
    heard,
    live_channel,
    splits,
    watch_loop,
)
from gateway.blobs import FolderBlobs
from gateway.clock import SystemClock
from gateway.delivery import Delivery, DeliveryConfig
from gateway.drafts import Drafts
from gateway.errors import GatewayError, Retryable
from gateway.failpoints import ACKED, RECEIVED, STORED, failpoint, failpoint_soon
from gateway.heard import EARLY, Early
from gateway.intake import Intake
from gateway.message import ConversationId, Inbound
from gateway.metrics import CountedInbox, Metrics, merged
from gateway.ports import (
    Accepted,
    Adapter,
    Enricher,
    HasWebhook,
    Inbox,
    Live,
    NarrowsCapabilities,
    Prepare,
    Services,
    Show,
)
from gateway.queues.accounts import Owners
from gateway.queues.channels import listen
from gateway.queues.guard import check
from gateway.queues.outbox import Outbox, Ownership
from gateway.queues.records import AccountKeep
from gateway.queues.topology import Store
from gateway.sessions.commands import MENU
from gateway.sessions.config import SessionConfig
from gateway.settings import AdapterEntry, Settings
from gateway.storage import (
    OpenStore,
    keep_guard,
    open_store,
    ready_store,
)
from gateway.web import auth
from gateway.web.deps import WebDeps
from gateway.web.server import build_app, serve
from gateway.web.settings import WebSettings
from gateway.web.surface import ChatSurface
from multimodal.config import MediaConfig
from multimodal.desk import Desk
from multimodal.pipeline import NoReaders, Readers

log = structlog.get_logger(__name__)

GATEWAY_DRAIN = 4.0


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
    fewer_collections()
    async with open_store(settings) as opened, contextlib.AsyncExitStack() as stack:
        await ready_store(settings, opened.store)
        metrics = Metrics()
        desk = await desk_of(settings, stack)
        runners = await _runners(settings, opened, metrics, desk, stack)
        app = build_app(_web_deps(settings, opened, runners, metrics, desk))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(job)
                for job in (
                    *(runner.run() for runner in runners),
                    _dispatch(opened.store, runners),
                    keep_guard(settings, opened),
                    watch_loop(metrics),
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
    early = Early(enricher, heard(settings, opened, clock, desk), most=EARLY if desk else 0)
    stack.push_async_callback(early.close)
    return Intake(
        opened.lanes,
        opened.records,
        account_rules(settings, listens=desk is not None),
        clock,
        splits(settings),
        commands=commands(settings, opened, clock, desk),
        stop_words=settings.section(SessionConfig).stop_words,
        stored=early.begin,
        stopped=early.drop,
    )


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


async def _dispatch(store: Store, runners: Sequence[AccountRunner]) -> None:
    """Pass notices of new outbox parts and live text on to the accounts they are for."""
    by_account = {runner.account.key: runner for runner in runners}
    previews = live_channel(store)
    names = [previews, *(f"{partition}:out" for partition in store.partitions)]
    async for item in listen(store.address, names):
        if item is None:
            for runner in runners:
                runner.notice(None)
        elif item[0] == previews:
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
