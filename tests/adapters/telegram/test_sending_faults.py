"""What a failed send leads to: nothing stands twice, and what may be repeated is."""

from __future__ import annotations

import pytest

from adapters.telegram.adapter import TelegramAdapter
from gateway.errors import BadConfig, Busy, Failed, Unavailable, Uncertain
from tests.adapters.telegram.scene import Build, part
from tests.fakes.telegram import FakeTelegram

CHAT = 7


@pytest.fixture(autouse=True)
def known_chat(telegram: FakeTelegram) -> None:
    telegram.say(CHAT, CHAT, "hello")


@pytest.mark.parametrize(
    ("kind", "more", "error", "stands"),
    [
        ("cut", {}, Uncertain, 0),
        ("cut_after", {}, Uncertain, 1),
        ("garbage", {}, Uncertain, 1),
        ("status", {"status": 500}, Uncertain, 0),
        ("status", {"status": 502}, Uncertain, 0),
        ("status", {"status": 504}, Uncertain, 0),
        ("status", {"status": 503}, Unavailable, 0),
        ("status", {"status": 302}, Unavailable, 0),
        ("status", {"status": 413}, Failed, 0),
        ("status", {"status": 418}, Failed, 0),
        ("status", {"status": 400, "description": "Bad Request: what?"}, Failed, 0),
        ("status", {"status": 403, "description": "Forbidden: bot was kicked"}, Failed, 0),
        ("status", {"status": 401, "description": "Unauthorized"}, BadConfig, 0),
        ("status", {"status": 404, "description": "Not Found"}, BadConfig, 0),
    ],
)
async def test_every_fault_of_a_send_leads_to_one_named_outcome_and_one_request(
    telegram: FakeTelegram,
    adapter: TelegramAdapter,
    kind: str,
    more: dict[str, object],
    error: type[Exception],
    stands: int,
) -> None:
    telegram.fault("sendMessage", kind, **more)

    with pytest.raises(error) as raised:
        await adapter.send(part("once"))

    assert type(raised.value) is error
    assert len(telegram.calls("sendMessage")) == 1
    assert len(telegram.texts(CHAT)) == stands


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("cut", {}),
        ("cut_after", {}),
        ("garbage", {}),
        ("status", {"status": 500}),
        ("status", {"status": 504}),
    ],
)
async def test_a_cut_edit_may_be_repeated(
    telegram: FakeTelegram, adapter: TelegramAdapter, kind: str, more: dict[str, object]
) -> None:
    first = await adapter.send(part("Once"))
    telegram.fault("editMessageText", kind, **more)

    with pytest.raises(Unavailable):
        await adapter.edit(part("Once upon"), first.native_id)
    await adapter.edit(part("Once upon"), first.native_id)

    assert telegram.texts(CHAT) == ["Once upon"]


async def test_a_server_that_is_not_there_was_surely_not_sent_to(build: Build) -> None:
    with pytest.raises(Unavailable):
        await build(base_url="http://127.0.0.1:9").send(part("x"))


async def test_a_closed_adapter_surely_sends_nothing(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    await adapter.close()

    with pytest.raises(Unavailable):
        await adapter.send(part("x"))


@pytest.mark.parametrize("seconds", [1, 60, 3600])
async def test_a_flood_limit_says_how_long_to_wait_and_leaves_other_chats_alone(
    telegram: FakeTelegram, adapter: TelegramAdapter, seconds: int
) -> None:
    telegram.say(8, 8, "hello")
    telegram.fault("sendMessage", "flood", seconds=seconds, chat=CHAT)

    with pytest.raises(Busy) as busy:
        await adapter.send(part("x"))
    await adapter.send(part("x", chat=8))

    assert busy.value.after == seconds
    assert telegram.texts(8) == ["x"]


async def test_a_flood_limit_without_a_time_is_still_one(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    telegram.fault("sendMessage", "status", status=429)

    with pytest.raises(Busy) as busy:
        await adapter.send(part("x"))

    assert busy.value.after is None


async def test_what_will_never_work_fails_with_telegrams_words(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    telegram.world.blocked.add(8)
    telegram.world.chat(8)
    telegram.world.chat(-50, migrated_to=-100050)

    for chat, words in ((8, "blocked by the user"), (99, "hat not found"), (-50, "-100050")):
        with pytest.raises(Failed, match=words):
            await adapter.send(part("x", chat=chat))


async def test_a_message_too_long_fails_and_is_not_cut_silently(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    with pytest.raises(Failed, match="too long"):
        await adapter.send(part("x" * 4097))
    await adapter.send(part("😀" * 2048))

    assert len(telegram.texts(CHAT)) == 1


async def test_no_error_shows_the_token(telegram: FakeTelegram, build: Build) -> None:
    secret = telegram.token.partition(":")[2]
    telegram.fault("sendMessage", "cut")
    adapters = (build(), build(base_url="http://127.0.0.1:9"), build(base_url="http://[::1]:9"))
    for adapter in adapters:
        with pytest.raises((Uncertain, Unavailable)) as raised:
            await adapter.send(part("x"))
        error: BaseException | None = raised.value
        while error is not None:
            assert secret not in f"{error} {error!r}"
            error = error.__cause__
