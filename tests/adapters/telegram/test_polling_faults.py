"""Nothing is lost or taken twice while polling, and what cannot work stops at once and says why."""

from __future__ import annotations

import asyncio

import pytest

from adapters.telegram.adapter import TelegramAdapter
from gateway.errors import BadConfig, Unavailable
from tests.adapters.telegram.scene import Build
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.stores import MemoryBlobs
from tests.fakes.telegram import FakeTelegram


async def test_while_the_store_is_down_nothing_is_confirmed_and_nothing_more_is_asked_for(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    box = MemoryInbox()
    box.down = True
    async with running(adapter, box):
        telegram.say(7, 7, "one")
        telegram.say(8, 8, "two")
        await telegram.until(lambda: len(box.offered) > 8)
        polls = len(telegram.calls("getUpdates"))
        telegram.say(9, 9, "three")
        await telegram.until(lambda: len(box.offered) > 16)
        assert len(telegram.calls("getUpdates")) == polls
        assert telegram.bot.confirmed == 0

        box.down = False
        await telegram.all_confirmed()
    assert sorted(box.texts) == ["one", "three", "two"]


async def test_while_the_store_is_down_a_file_is_fetched_once(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    box = MemoryInbox()
    box.down = True
    async with running(adapter, box):
        telegram.say(7, 7, "look", media="photo", content=b"picture")
        await telegram.until(lambda: len(box.offered) > 4)
        box.down = False
        await telegram.all_confirmed()

    assert box.texts == ["look"]
    assert len(telegram.calls("getFile")) == 1


async def test_while_files_cannot_be_kept_their_messages_stay_with_telegram(
    telegram: FakeTelegram, adapter: TelegramAdapter, telegram_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    telegram_blobs.down = True
    async with running(adapter, box):
        telegram.say(7, 7, "look", media="photo", content=b"picture")
        telegram.say(7, 7, "after")
        await telegram.until(lambda: len(telegram.calls("download")) > 2)
        assert telegram.bot.confirmed == 0
        assert box.events == []
        telegram_blobs.down = False
        await telegram.all_confirmed()

    assert box.texts == ["look", "after"]
    assert box.events[0].attachments[0].digest


async def test_a_gateway_that_died_before_confirming_takes_the_same_in_again_under_the_same_id(
    telegram: FakeTelegram, build: Build
) -> None:
    first, second = MemoryInbox(), MemoryInbox()
    update = telegram.say(7, 7, "once")
    async with running(build(), first):
        await telegram.all_confirmed()
    telegram.again(update)
    async with running(build(), second):
        await telegram.all_confirmed()

    assert first.events[0].id == second.events[0].id


@pytest.mark.parametrize("copies", [2, 5])
async def test_copies_of_an_update_change_nothing(
    telegram: FakeTelegram, inbox: MemoryInbox, copies: int
) -> None:
    for _ in range(copies):
        telegram.again({"update_id": 10, **_message("copied")})
    telegram.say(7, 7, "after")
    await telegram.all_confirmed()

    assert inbox.texts == ["copied", "after"]


async def test_another_bot_under_the_same_account_counts_its_messages_anew(
    telegram: FakeTelegram, build: Build
) -> None:
    box = MemoryInbox()
    other = telegram.another_bot("5151:another-fake-token", "other_bot")
    telegram.push(_message("to the first"))
    async with running(build(), box):
        await telegram.all_confirmed()
    other.push({"update_id": 3, **_message("to the second")})
    async with running(build(token="5151:another-fake-token"), box):
        await telegram.until(lambda: len(box.events) == 2)

    assert box.texts == ["to the first", "to the second"]


@pytest.mark.parametrize(
    "poison",
    [
        {"message": {"message_id": "seven"}},
        {"message": "text"},
        {"message": {"message_id": 1, "chat": {"id": 1}, "date": 1}},
        {"message": None},
        {"callback_query": {"id": 5}},
        {"unheard_of": {"x": 1}},
        {"message": {"message_id": 1, "chat": {"id": 7, "type": "private"}, "entities": [{}]}},
    ],
)
async def test_an_update_nobody_can_read_is_skipped(
    telegram: FakeTelegram, inbox: MemoryInbox, poison: dict[str, object]
) -> None:
    telegram.bot.updates.append({"update_id": 5, **poison})
    telegram.push(_message("fine"))
    await telegram.all_confirmed()

    assert inbox.texts == ["fine"]


async def test_an_event_the_gateway_will_never_take_does_not_block_those_behind_it(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    box = MemoryInbox()
    box.rejects = lambda event: event.text == "poison"
    async with running(adapter, box):
        telegram.say(7, 7, "poison")
        telegram.say(7, 7, "fine")
        await telegram.all_confirmed()

    assert box.texts == ["fine"]
    assert len(box.offered) == 2


async def test_an_event_that_meets_a_bug_of_ours_is_tried_thrice_and_does_not_deafen_the_bot(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    box = MemoryInbox()
    box.breaks = lambda event: event.text == "poison"
    async with running(adapter, box):
        telegram.say(7, 7, "poison")
        telegram.say(7, 7, "fine")
        telegram.say(8, 8, "elsewhere")
        await telegram.all_confirmed()

    assert sorted(box.texts) == ["elsewhere", "fine"]
    assert [event.text for event in box.offered].count("poison") == 3


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 502}),
        ("status", {"status": 504}),
        ("cut", {}),
        ("cut_after", {}),
        ("garbage", {}),
    ],
)
async def test_polling_goes_on_after_the_platform_failed(
    telegram: FakeTelegram,
    inbox: MemoryInbox,
    telegram_clock: HastyClock,
    kind: str,
    more: dict[str, object],
) -> None:
    await telegram.until(lambda: telegram.calls("getUpdates"))
    telegram.fault("getUpdates", kind, times=3, **more)
    await telegram.until(lambda: not telegram.world.faults)
    telegram.say(7, 7, "hello")
    telegram.say(7, 7, "again")
    await telegram.all_confirmed()

    assert inbox.texts == ["hello", "again"]
    await telegram.until(lambda: len(telegram_clock.slept) == 3)
    assert telegram_clock.slept[0] < telegram_clock.slept[1] < telegram_clock.slept[2]


async def test_a_flood_limit_on_polling_is_waited_for(
    telegram: FakeTelegram, inbox: MemoryInbox, telegram_clock: HastyClock
) -> None:
    telegram.fault(
        "getUpdates", "status", status=429, description="Too Many Requests: retry after 5"
    )
    telegram.fault("getUpdates", "flood", seconds=0.5)
    telegram.say(7, 7, "hello")
    await telegram.all_confirmed()

    assert inbox.texts == ["hello"]


async def test_a_second_poller_ends_the_first_and_says_why(
    telegram: FakeTelegram, build: Build
) -> None:
    first = asyncio.create_task(build().run(MemoryInbox()))
    await telegram.until(lambda: telegram.calls("getUpdates"))
    box = MemoryInbox()
    async with running(build(), box):
        with pytest.raises(BadConfig, match="another program is polling") as refused:
            await first
        telegram.say(7, 7, "who hears me?")
        await telegram.all_confirmed()

    assert box.texts == ["who hears me?"]
    assert "give this gateway a bot of its own" in refused.value.remedy


async def test_a_webhook_set_by_somebody_else_is_explained(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    task = asyncio.create_task(adapter.run(MemoryInbox()))
    await telegram.until(lambda: telegram.calls("getUpdates"))
    telegram.bot.webhook = {"url": telegram.base_url, "secret": "", "max_connections": 1}
    telegram.bot.changed.set()
    telegram.say(7, 7, "x")

    with pytest.raises(BadConfig, match="webhook"):
        await task


@pytest.mark.parametrize("token", ["4242:wrong-secret-here", "999:unknown-bot-token"])
async def test_a_refused_token_stops_the_bot_after_one_request(
    telegram: FakeTelegram, build: Build, token: str
) -> None:
    adapter = build(token=token)

    with pytest.raises(BadConfig, match="token: Telegram does not accept it") as refused:
        await adapter.run(MemoryInbox())

    assert len(telegram.world.calls) == 1
    assert token not in str(refused.value)


async def test_a_token_revoked_while_polling_stops_the_bot(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    task = asyncio.create_task(adapter.run(MemoryInbox()))
    await telegram.until(lambda: telegram.calls("getUpdates"))
    telegram.bot.revoked = True
    before = len(telegram.world.calls)
    telegram.bot.changed.set()

    with pytest.raises(BadConfig):
        await task
    assert len(telegram.world.calls) - before <= 3


async def test_a_platform_that_is_not_there_at_the_start_is_tried_again_by_the_caller(
    build: Build,
) -> None:
    with pytest.raises(Unavailable):
        await build(base_url="http://127.0.0.1:9/bot").run(MemoryInbox())


async def test_a_webhook_left_over_is_taken_away_and_what_waited_is_kept(
    telegram: FakeTelegram, adapter: TelegramAdapter
) -> None:
    telegram.bot.webhook = {"url": "http://127.0.0.1:9/", "secret": "", "max_connections": 1}
    telegram.say(7, 7, "waited")
    box = MemoryInbox()
    async with running(adapter, box):
        await telegram.all_confirmed()

    assert box.texts == ["waited"]
    assert telegram.bot.webhook == {}
    assert "drop_pending_updates" not in telegram.calls("deleteWebhook")[0].params


def _message(text: str) -> dict[str, object]:
    return {
        "message": {
            "message_id": 1000,
            "date": 1_700_000_000,
            "chat": {"id": 7, "type": "private", "first_name": "Ada"},
            "from": {"id": 7, "is_bot": False, "first_name": "Ada"},
            "text": text,
        }
    }
