"""What the roles on a message's road share."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import structlog

from gateway.access.config import AccessConfig, AccountRules, authenticated
from gateway.access.pairing import Approvals
from gateway.clock import SystemClock
from gateway.heard import Heard
from gateway.message import Account, Outbound
from gateway.metrics import LoopWatch, Metrics
from gateway.queues.topology import Store
from gateway.sessions.commands import Commands
from gateway.sessions.config import SessionConfig, lane_policy
from gateway.settings import AdapterEntry, Settings
from gateway.storage import OpenStore
from gateway.turn import Channel
from multimodal.config import MediaConfig
from multimodal.desk import Desk

log = structlog.get_logger(__name__)

VERSION = version("moltgate")


def heard(settings: Settings, opened: OpenStore, clock: SystemClock, desk: Desk | None) -> Heard:
    return Heard(
        opened.lanes,
        commands(settings, opened, clock, desk),
        account_rules(settings, listens=desk is not None),
        Approvals(opened.records, clock),
        splits(settings),
        stop_words=settings.section(SessionConfig).stop_words,
    )


def commands(
    settings: Settings, opened: OpenStore, clock: SystemClock, desk: Desk | None
) -> Commands:
    engines = tuple(settings.engines) or ("builtin",)
    mode = settings.section(MediaConfig).speech.mode
    ours = channels(settings)

    def speech(account: Account) -> str:
        channel = ours.get(account.kind)
        return mode if desk and channel and channel.capabilities.voice_out else ""

    return Commands(
        opened.lanes,
        opened.records,
        clock,
        models=lambda: engines,
        version=VERSION,
        speech=speech,
    )


def splits(settings: Settings) -> Callable[[Outbound], Sequence[Outbound]]:
    ours = channels(settings)
    return lambda outbound: ours[outbound.account.kind].split(outbound)


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


def channels(settings: Settings) -> Mapping[str, Channel]:
    return {
        entry.account.kind: Channel(
            capabilities=entry.spec.capabilities, split=entry.spec.splitter()
        )
        for entry in settings.adapters
    }


def live_channel(store: Store) -> str:
    return f"{store.namespace}:live"


def fewer_collections() -> None:
    """What is loaded by now stays; the rest dies by reference count. Measured at a quarter less
    CPU per message in the queue benchmark."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def watch_loop(metrics: Metrics) -> None:
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
