"""What the webhook tests share besides fixtures."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

from adapters.webhook.adapter import WebhookAdapter
from adapters.webhook.config import WebhookConfig
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id
from gateway.ports import WebhookAnswer
from tests.fakes.inbox import MemoryInbox

ACCOUNT = Account(kind="webhook", id="desk")
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(100, 132))).decode()
PLAIN = "a-long-enough-shared-secret"
_ids = count()


class SetClock:
    """`Clock` that stands where a test puts it."""

    def __init__(self, now: float | None = None) -> None:
        self.at = now or time.time()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def config(url: str = "http://127.0.0.1:9/answers", **settings: Any) -> WebhookConfig:
    given: dict[str, Any] = {"secret": SECRET, "url": url, "timeout": 60} | settings
    if given.get("preset") in ("github", "grafana", "alertmanager"):
        given = {"url_secret": SECRET} | given | {"secret": settings.get("secret", PLAIN)}
    return WebhookConfig.model_validate(given)


def signed(
    body: bytes, *, id: str = "", at: float | None = None, secrets: tuple[str, ...] = (SECRET,)
) -> dict[str, str]:
    """Headers as the Standard Webhooks specification has them, made without our own code."""
    id = id or f"msg_{next(_ids)}"
    stamp = str(int(time.time() if at is None else at))
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    data = f"{id}.{stamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode()
        for key in keys
    ]
    return {
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signatures),
    }


def message(text: str = "hello", **more: Any) -> bytes:
    return json.dumps({"conversation": "c1", "sender": "ada", "text": text, **more}).encode()


async def post(
    adapter: WebhookAdapter, body: bytes, headers: Mapping[str, str] | None = None, **given: Any
) -> WebhookAnswer:
    """As the HTTP server hands it in."""
    headers = signed(body, **given) if headers is None else headers
    if not adapter.admits(headers):
        return WebhookAnswer(status=403)
    return await adapter.receive(headers, body)


def said(answer: WebhookAnswer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


@contextlib.asynccontextmanager
async def running(adapter: WebhookAdapter, inbox: MemoryInbox) -> AsyncIterator[None]:
    task = asyncio.create_task(adapter.run(inbox))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await adapter.close()


def part(text: str = "", **more: Any) -> Outbound:
    place = Place(kind="direct", chat="c1")
    return Outbound(
        reply=more.pop("reply", ReplyId("r1")),
        conversation=conversation_id(ACCOUNT, place, Sender(id="webhook:desk:ada")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
