"""The fake is as strict as the platform where it matters, and does what it was ordered."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.adapters.whatsapp.scene import ADA
from tests.fakes.whatsapp import NUMBER, TOKEN, FakeWhatsApp
from tests.fakes.whatsapp.server import signature

TEXT = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": ADA,
    "type": "text",
    "text": {"body": "hello"},
}


async def call(fake: FakeWhatsApp, body: Any, token: str = TOKEN) -> tuple[int, Any]:
    url = f"{fake.url}/v24.0/{NUMBER}/messages"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_good_message_stands_in_the_chat_and_has_statuses(whatsapp: FakeWhatsApp) -> None:
    posts: list[bytes] = []

    async def handler(headers: dict[str, str], body: bytes) -> int:
        assert headers == signature(body)
        posts.append(body)
        return 200

    whatsapp.handler = handler
    whatsapp.say(ADA, "hi")
    status, answer = await call(whatsapp, {**TEXT, "biz_opaque_callback_data": "key-1"})

    assert status == 200
    assert answer["messages"][0]["id"] == whatsapp.seen(ADA)[0].id
    await whatsapp.until(lambda: len(posts) == 3)
    assert sum(b"key-1" in post for post in posts) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"messaging_product": "sms"},
        {"type": "poll"},
        {"to": "ada"},
        {"to": "+49 151"},
        {"recipient_type": "group"},
        {"text": {"body": ""}},
        {"text": {"body": " "}},
        {"text": {"body": "x" * 4097}},
        {"text": {"body": "x", "color": "red"}},
        {"priority": "high"},
        {"type": "image", "image": {"id": "nonesuch"}},
        {"type": "image", "image": {"link": "https://example.org/x.png"}},
        {"context": {"message_id": "7"}},
        {"biz_opaque_callback_data": "x" * 513},
        {"status": "read", "message_id": "wamid.nonesuch"},
    ],
)
async def test_what_the_cloud_api_refuses(whatsapp: FakeWhatsApp, changed: dict[str, Any]) -> None:
    whatsapp.say(ADA, "hi")
    status, answer = await call(whatsapp, TEXT | changed)
    assert (status, answer["error"]["code"]) == (400, 100)
    assert whatsapp.seen(ADA) == []


async def test_the_window_and_the_token_are_looked_at(whatsapp: FakeWhatsApp) -> None:
    assert (await call(whatsapp, TEXT))[1]["error"]["code"] == 131047
    assert (await call(whatsapp, TEXT, token="other"))[0] == 401
    whatsapp.world.late_by_status = True
    assert (await call(whatsapp, TEXT))[0] == 200
    assert whatsapp.seen(ADA) == []


async def test_a_post_is_repeated_until_it_is_confirmed_and_in_order(
    whatsapp: FakeWhatsApp,
) -> None:
    answers, seen = [500, 0, 200, 200], []

    async def handler(headers: dict[str, str], body: bytes) -> int:
        seen.append(body)
        return answers[len(seen) - 1]

    whatsapp.say(ADA, "first")
    whatsapp.say(ADA, "second")
    assert whatsapp.pending == 2
    whatsapp.handler = handler
    await whatsapp.until(lambda: not whatsapp.pending)

    assert [b"first" in body for body in seen] == [True, True, True, False]


async def test_faults_come_as_ordered(whatsapp: FakeWhatsApp) -> None:
    whatsapp.say(ADA, "hi")
    whatsapp.fault("messages", "status", status=400, code=131056, times=2)
    whatsapp.fault("messages", "cut")
    whatsapp.fault("messages", "cut_after")
    for _ in range(2):
        assert (await call(whatsapp, TEXT))[1]["error"]["code"] == 131056
    for shown in (0, 1):
        with pytest.raises(aiohttp.ClientError):
            await call(whatsapp, TEXT)
        assert len(whatsapp.seen(ADA)) == shown
    assert (await call(whatsapp, TEXT))[0] == 200
    assert [one.outcome for one in whatsapp.of("messages")] == [
        "refused",
        "refused",
        "cut",
        "cut_after",
        "ok",
    ]
