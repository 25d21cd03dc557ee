"""Prometheus metrics of all roles, served by the gateway.

Workers have no port: each leaves its exposition in the store every few seconds, and the gateway
adds them to its own with a ``process`` label. Names are listed in docs/operations.md, which a
test checks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.message import Inbound
from gateway.ports import Accepted, Inbox, Prepare, Show
from gateway.queues.ledger import Depths, Ledger

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters of one process; implements what turns, deliveries and intake report to."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "moltgate_events", "Events from platforms by what became of them.",
            ("account", "outcome"), registry=self.registry,
        )  # fmt: skip
        self._turns = Counter(
            "moltgate_turns", "Turns by outcome and engine.",
            ("outcome", "engine"), registry=self.registry,
        )  # fmt: skip
        self._stations = Histogram(
            "moltgate_station_seconds", "Time a message spends at each station of its road.",
            ("station",), buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._parts = Counter(
            "moltgate_parts", "Outbox parts by what became of them.",
            ("account", "outcome"), registry=self.registry,
        )  # fmt: skip
        self._happened = Counter(
            "moltgate_adapter_events", "What happened on an account's connection, by kind.",
            ("account", "event"), registry=self.registry,
        )  # fmt: skip
        self._account = Gauge(
            "moltgate_account_up", "Whether this process holds the account and is connected.",
            ("account",), registry=self.registry,
        )  # fmt: skip
        self._lag = Gauge(
            "moltgate_loop_lag_seconds", "Longest the event loop was blocked in the last period.",
            registry=self.registry,
        )  # fmt: skip
        self._busy = Gauge("moltgate_turns_running", "Turns under way.", registry=self.registry)

        self._media_jobs = Counter(
            "moltgate_media_jobs", "Files to be read and answers to be spoken, by their end.",
            ("kind", "outcome"), registry=self.registry,
        )  # fmt: skip
        self._media_wait = Histogram(
            "moltgate_media_wait_seconds", "Time a message waited for one of its files.",
            ("kind",), buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._media_work = Counter(
            "moltgate_media_work_seconds", "Time the readers worked.",
            ("kind",), registry=self.registry,
        )  # fmt: skip
        self._media_audio = Counter(
            "moltgate_media_audio_seconds", "Sound that was heard or spoken.",
            ("kind",), registry=self.registry,
        )  # fmt: skip
        self._media_pages = Counter(
            "moltgate_media_pages", "Pictures and pages that were looked at.",
            ("kind",), registry=self.registry,
        )  # fmt: skip
        self._media_remembered = Counter(
            "moltgate_media_remembered", "Files that had been read before.",
            ("kind",), registry=self.registry,
        )  # fmt: skip
        self._media_queue = Gauge(
            "moltgate_media_queue", "Jobs that nobody has taken yet.",
            ("queue",), registry=self.registry,
        )  # fmt: skip
        self._media_age = Gauge(
            "moltgate_media_queue_age_seconds", "Time since the oldest of them was sent.",
            ("queue",), registry=self.registry,
        )  # fmt: skip

    def event_taken(self, account: str, outcome: str) -> None:
        self._events.labels(account, outcome).inc()

    def turn_ended(self, outcome: str, engine: str, seconds: Mapping[str, float]) -> None:
        self._turns.labels(outcome, engine).inc()
        for station, value in seconds.items():
            if value > 0:
                self._stations.labels(station).observe(value)

    def part_settled(self, account: str, outcome: str) -> None:
        self._parts.labels(account, outcome).inc()

    def happened(self, account: str, event: str) -> None:
        self._happened.labels(account, event).inc()

    def part_paced(self, seconds: float) -> None:
        self._stations.labels("pace").observe(seconds)

    def account_up(self, account: str, up: bool) -> None:
        self._account.labels(account).set(1 if up else 0)

    def loop_lag(self, seconds: float) -> None:
        self._lag.set(seconds)

    def media_ended(self, kind: str, outcome: str, seconds: float) -> None:
        self._media_jobs.labels(kind, outcome).inc()
        self._media_wait.labels(kind).observe(seconds)

    def media_worked(self, kind: str, seconds: float, audio: float, pages: int) -> None:
        self._media_work.labels(kind).inc(seconds)
        if audio > 0:
            self._media_audio.labels(kind).inc(audio)
        if pages > 0:
            self._media_pages.labels(kind).inc(pages)

    def media_remembered(self, kind: str) -> None:
        self._media_remembered.labels(kind).inc()

    def media_queue(self, queue: str, waiting: int, oldest: float) -> None:
        self._media_queue.labels(queue).set(waiting)
        self._media_age.labels(queue).set(oldest)

    def running(self, turns: int) -> None:
        self._busy.set(turns)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class CountedInbox:
    """An inbox that counts what it is handed."""

    def __init__(self, inbox: Inbox, metrics: Metrics) -> None:
        self._inbox = inbox
        self._metrics = metrics

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        accepted = await self._inbox.accept(event, prepare, show)
        self._metrics.event_taken(event.account.key, accepted.outcome)
        return accepted


def merged(processes: Mapping[str, bytes], ledger: Ledger, depths: Depths) -> bytes:
    """One exposition of every process's, and of the store's own figures."""
    registry = CollectorRegistry()
    registry.register(_Collected(processes, ledger, depths))
    return generate_latest(registry)


class _Collected:
    def __init__(self, processes: Mapping[str, bytes], ledger: Ledger, depths: Depths) -> None:
        self._processes = processes
        self._ledger = ledger
        self._depths = depths

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._store()
        families: dict[str, Metric] = {}
        for process, text in self._processes.items():
            for found in text_string_to_metric_families(text.decode()):
                family = families.setdefault(
                    found.name, Metric(found.name, found.documentation, found.type)
                )
                for sample in found.samples:
                    labels = {**sample.labels, "process": process}
                    family.samples.append(sample._replace(labels=labels))
        yield from families.values()

    def _store(self) -> Iterator[Metric]:
        ledger = GaugeMetricFamily(
            "moltgate_ledger",
            "Messages by state; accepted = answered + refused + quarantined + cancelled + waiting.",
            labels=["state"],
        )
        for state in ("accepted", "answered", "refused", "quarantined", "cancelled", "waiting"):
            ledger.add_metric([state], getattr(self._ledger, state))
        yield ledger
        replies = GaugeMetricFamily(
            "moltgate_reply_parts", "Reply parts by final state.", labels=["state"]
        )
        for state in ("sent", "uncertain", "failed"):
            replies.add_metric([state], getattr(self._ledger, state))
        yield replies
        yield GaugeMetricFamily(
            "moltgate_ledger_difference", "Not 0: the ledger does not add up.",
            value=self._ledger.difference,
        )  # fmt: skip
        yield GaugeMetricFamily("moltgate_dead_letters", "Dead letters.", value=self._depths.dead)
        lanes = GaugeMetricFamily("moltgate_lanes", "Conversations by state.", labels=["state"])
        lanes.add_metric(["leased"], self._depths.leased)
        lanes.add_metric(["delayed"], self._depths.delayed)
        yield lanes
        outbox = GaugeMetricFamily(
            "moltgate_outbox", "Conversations with unsent parts.", labels=["account"]
        )
        for account, depth in self._depths.outbox.items():
            outbox.add_metric([account], depth)
        yield outbox


class LoopWatch:
    """Longest delay of the event loop since it was last asked."""

    PERIOD = 0.1

    def __init__(self) -> None:
        self._longest = 0.0
        self._expected = 0.0

    def tick(self) -> float:
        """Call this every `PERIOD`; seconds it came late."""
        now = time.monotonic()
        late = max(0.0, now - self._expected) if self._expected else 0.0
        self._expected = now + self.PERIOD
        self._longest = max(self._longest, late)
        return late

    def longest(self) -> float:
        longest, self._longest = self._longest, 0.0
        return longest
