"""The Celery side: the app on the gateway's Redis, and how a job is put into its queue.

The one task is `multimodal.work`'s; senders do not load it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import structlog
from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from gateway.errors import Unavailable
from multimodal.jobs import LONGEST, QUEUES, TASK, Job, encode
from multimodal.names import Names

log = structlog.get_logger(__name__)

VISIBILITY_SECONDS = 7200
"""After so long a message that nobody finished is given out again: well above the longest job."""
EXPIRES_SECONDS = 7000
"""Nobody waits for a job that long: what is given out again then is skipped. Not by Celery's own
``expires``, which would have the worker skip everything of that id for hours."""
RESULT_SECONDS = 600
POLL_SECONDS = 1
"""How long Redis holds an idle worker's question open; an end waits for its answer."""
GRACE_SECONDS = 10.0
"""A job is asked to end so long before it is ended."""


def celery_url(url: str, password: str = "") -> str:
    """Pure: one of our addresses in Celery's words."""
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    user = quote(unquote(parts.username or ""), safe="")
    secret = quote(password or unquote(parts.password or ""), safe="")
    # Redis takes a name only together with a password.
    place = f"{user}:{secret}@" if secret else ""
    if parts.scheme == "unix":
        database = query.get("db", ["0"])[0]
        return f"redis+socket://{place}{parts.path}?{urlencode({'virtual_host': database})}"
    host = parts.hostname or "localhost"
    where = f"[{host}]" if ":" in host else host
    database = query.get("db", [""])[0] or parts.path.strip("/") or "0"
    suffix = "?ssl_cert_reqs=CERT_REQUIRED" if parts.scheme == "rediss" else ""
    return f"{parts.scheme}://{place}{where}:{parts.port or 6379}/{database}{suffix}"


def make_app(broker_url: str, namespace: str, password: str = "") -> Celery:
    """Broker and results on one Redis, all keys under ``{namespace}:media:``, JSON only.

    Idle it does nothing but wait: no events, no gossip, no remote control.
    """
    url, prefix = celery_url(broker_url, password), Names(namespace).prefix
    app = Celery("moltgate.media", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        task_create_missing_queues=False,
        task_default_queue=QUEUES[0],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_store_errors_even_if_ignored=False,
        task_ignore_result=False,
        worker_prefetch_multiplier=1,
        broker_transport_options={
            "global_keyprefix": prefix,
            "visibility_timeout": VISIBILITY_SECONDS,
            "polling_interval": POLL_SECONDS,
            "priority_steps": [0],
            "socket_connect_timeout": 3.0,
            "socket_keepalive": True,
        },
        result_backend_transport_options={"global_keyprefix": prefix},
        result_expires=RESULT_SECONDS,
        redis_socket_timeout=10.0,
        redis_socket_connect_timeout=3.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )
    return app


class Post:
    """Puts jobs into their queues. From any thread; raises `Unavailable`."""

    def __init__(
        self,
        broker_url: str,
        namespace: str,
        password: str = "",
        *,
        limits: Mapping[str, float] = LONGEST,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._limits = limits
        self._grace = grace
        self._app = make_app(broker_url, namespace, password)
        # A sender does not read results by Celery: with a backend it would subscribe to each.
        self._app.conf.result_backend = None
        self._app.conf.broker_transport_options["socket_timeout"] = 5.0

    def send(self, job: Job) -> None:
        limit = self._limits[job.kind]
        try:
            self._app.send_task(
                TASK,
                args=[encode(job)],
                task_id=job.id,
                queue=job.kind,
                time_limit=limit,
                soft_time_limit=limit - self._grace,
                headers={"sent_at": time.time(), "copy": secrets.token_hex(8)},
                retry=True,
                retry_policy={"max_retries": 1, "interval_start": 0.2},
                argsrepr="",
                kwargsrepr="",
            )
        except self._errors() as problem:
            raise Unavailable(f"the job could not be sent: {problem}") from problem

    def close(self) -> None:
        self._app.close()

    def _errors(self) -> Any:
        transport = self._app.connection_for_write().transport
        return (
            OperationalError,
            OSError,
            *transport.connection_errors,
            *transport.channel_errors,
        )
