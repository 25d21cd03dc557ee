"""What the HTTP server is handed, and where its handlers find it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from gateway.ports import Blobs, HasWebhook, Records
from gateway.web.settings import WebSettings
from gateway.web.surface import ChatSurface

OK = "ok"

ReadyChecks = Callable[[], Awaitable[Mapping[str, str]]]
"""Each part that must work, with ``ok`` or the reason why not."""

Exposition = Callable[[], Awaitable[bytes]]
"""The metrics in Prometheus' text format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    records: Records
    blobs: Blobs
    chat: ChatSurface | None
    """None when web chat is switched off: its routes are not there then."""
    ready: ReadyChecks
    metrics: Exposition
    webhooks: Mapping[str, HasWebhook] = field(default_factory=dict)
    """By ``<kind>/<account id>``."""
    settings: WebSettings = field(default_factory=WebSettings)


DEPS: web.AppKey[WebDeps] = web.AppKey("deps", WebDeps)
