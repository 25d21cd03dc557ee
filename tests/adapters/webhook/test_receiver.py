"""The fake receiver checks what a careful one would, and does what it was ordered."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapters.webhook.render import body
from tests.adapters.webhook.scene import OTHER, SECRET, part, signed
from tests.fakes.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SECRET) as made:
        yield made


async def deliver(
    receiver: Receiver, raw: bytes, headers: dict[str, str], **more: Any
) -> tuple[int, str]:
    given = {"Content-Type": "application/json", "Idempotency-Key": "r1.0", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.post(receiver.url, data=raw, headers=given, **more) as answer,
    ):
        return answer.status, answer.headers.get("Retry-After", "")


GOOD = body(part("hello"), [])


async def test_a_good_post_is_shown_once_however_often_it_comes(receiver: Receiver) -> None:
    for _ in range(2):
        assert (await deliver(receiver, GOOD, signed(GOOD, id="r1.0")))[0] == 204
    assert receiver.texts("c1") == ["hello"]
    assert [one.outcome for one in receiver.posts] == ["shown", "repeated"]


async def test_what_it_refuses(receiver: Receiver) -> None:
    good = signed(GOOD, id="r1.0")
    changed = json.dumps({**json.loads(GOOD), "more": 1}).encode()
    for raw, headers, status in (
        (GOOD, signed(GOOD, id="r1.0", secrets=(OTHER,)), 401),
        (GOOD + b" ", good, 401),
        (GOOD, signed(GOOD, id="r1.0", at=1.0), 401),
        (GOOD, {}, 401),
        (GOOD, {**good, "Idempotency-Key": "other"}, 400),
        (GOOD, {**good, "Content-Type": "text/plain"}, 400),
        (changed, signed(changed, id="r1.0"), 400),
    ):
        assert (await deliver(receiver, raw, headers))[0] == status
    assert receiver.shown() == []


async def test_faults_come_as_ordered(receiver: Receiver) -> None:
    def headers() -> dict[str, str]:
        return signed(GOOD, id="r1.0")

    receiver.fault("status", status=429, retry_after="7", conversation="c1")
    receiver.fault("redirect")
    assert await deliver(receiver, GOOD, headers()) == (429, "7")
    assert (await deliver(receiver, GOOD, headers(), allow_redirects=False))[0] == 307
    for kind, shown in (("cut", 0), ("cut_after", 1)):
        receiver.fault(kind)
        with pytest.raises(aiohttp.ClientError):
            await deliver(receiver, GOOD, headers())
        assert len(receiver.shown()) == shown
    receiver.fault("status", conversation="elsewhere")
    assert (await deliver(receiver, GOOD, headers()))[0] == 204
