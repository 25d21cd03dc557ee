"""The fake is as strict as Telegram and keeps honest books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from telegram import Bot

from tests.fakes.telegram import FakeTelegram, Rates, RemoteTelegram
from tests.fakes.telegram.markup import BadMarkup, parse_html, parse_markdown_v2

Ask = Any


@pytest.fixture
async def ask(telegram: FakeTelegram) -> AsyncIterator[Ask]:
    """Calls the Bot API by plain HTTP."""
    telegram.say(7, 7, "hi")
    async with aiohttp.ClientSession() as session:

        async def one(method: str, **params: Any) -> dict[str, Any]:
            url = f"{telegram.base_url}{telegram.token}/{method}"
            async with session.post(url, json=params) as answer:
                body: dict[str, Any] = await answer.json()
                assert answer.status == (200 if body["ok"] else body["error_code"])
                return body

        yield one


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("sendMessage", {"text": ""}, 400, "message text is empty"),
        ("sendMessage", {"text": " \n\u200b"}, 400, "message text is empty"),
        ("sendMessage", {"text": "<b></b>", "parse_mode": "HTML"}, 400, "message text is empty"),
        ("sendMessage", {"text": "x" * 4097}, 400, "message is too long"),
        ("sendMessage", {"text": "😀" * 2049}, 400, "message is too long"),
        ("sendMessage", {"text": "x", "chat_id": 99}, 400, "chat not found"),
        (
            "sendMessage",
            {"text": "x", "reply_parameters": {"message_id": 9}},
            400,
            "message to be replied not found",
        ),
        ("sendMessage", {"text": "x", "message_thread_id": 5}, 400, "message thread not found"),
        (
            "sendMessage",
            {
                "text": "x",
                "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "x" * 65}]]},
            },
            400,
            "BUTTON_DATA_INVALID",
        ),
        ("editMessageText", {"message_id": 9, "text": "x"}, 400, "message to edit not found"),
        ("editMessageText", {"message_id": 1, "text": "x"}, 400, "message can't be edited"),
        ("answerCallbackQuery", {"callback_query_id": "1"}, 400, "query is too old"),
        (
            "setMessageReaction",
            {"message_id": 1, "reaction": [{"type": "emoji", "emoji": "x"}]},
            400,
            "REACTION_INVALID",
        ),
        ("getFile", {"file_id": "nope"}, 400, "invalid file_id"),
        ("noSuchMethod", {}, 404, "Not Found"),
    ],
)
async def test_what_telegram_refuses_is_refused_in_its_words(
    ask: Ask, method: str, params: dict[str, Any], code: int, words: str
) -> None:
    answer = await ask(method, **{"chat_id": 7} | params)

    assert (answer["ok"], answer["error_code"]) == (False, code)
    assert words in answer["description"]


async def test_lengths_count_after_the_markup_is_read(ask: Ask) -> None:
    assert (await ask("sendMessage", chat_id=7, text=f"<b>{'x' * 4096}</b>", parse_mode="HTML"))[
        "ok"
    ]
    assert (await ask("sendMessage", chat_id=7, text="😀" * 2048))["ok"]


async def test_an_edit_that_changes_nothing_is_refused(ask: Ask, telegram: FakeTelegram) -> None:
    sent = (await ask("sendMessage", chat_id=7, text="x"))["result"]["message_id"]

    again = await ask("editMessageText", chat_id=7, message_id=sent, text="x")
    other = await ask("editMessageText", chat_id=7, message_id=sent, text="y")

    assert "message is not modified" in again["description"]
    assert other["ok"]
    assert telegram.seen(7)[-1].edits == ["x"]


async def test_a_blocked_bot_is_forbidden(ask: Ask, telegram: FakeTelegram) -> None:
    telegram.world.blocked.add(7)

    answer = await ask("sendMessage", chat_id=7, text="x")

    assert (answer["error_code"], answer["description"]) == (
        403,
        "Forbidden: bot was blocked by the user",
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<x>", 'Unsupported start tag "x" at byte offset 0'),
        ("a < b", "Unclosed start tag at byte offset 2"),
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<a href>x</a>", "Expected equal sign in declaration of an attribute"),
        ("<b><code>x</code></b>", "inside"),
        ("<code><b>x</b></code>", "inside code"),
        ("<blockquote><blockquote>x</blockquote></blockquote>", "inside itself"),
        ("é<x>", "byte offset 2"),
    ],
)
def test_html_errors_read_as_telegrams(source: str, words: str) -> None:
    with pytest.raises(BadMarkup, match=words.replace("(", r"\(")):
        parse_html(source)


def test_html_entities_are_read() -> None:
    text, entities = parse_html(
        '&lt;&amp;&#128512;&nope; <b>x<i>y</i></b> <a href="http://a">z</a>'
    )

    assert text == "<&😀&nope; xy z"
    assert [(each.type, each.offset, each.length) for each in entities] == [
        ("bold", 11, 2),
        ("italic", 12, 1),
        ("text_link", 14, 1),
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1. one", "Character '.' is reserved and must be escaped with the preceding '\\\\'"),
        ("a - b", "Character '-' is reserved"),
        ("*a", "Can't find end of Bold entity at byte offset 0"),
        ("`a", "Can't find end of Code entity"),
        ("[a](b", "Can't find end of a URL"),
    ],
)
def test_markdown_errors_read_as_telegrams(source: str, words: str) -> None:
    with pytest.raises(BadMarkup, match=words):
        parse_markdown_v2(source)


def test_markdown_is_read() -> None:
    text, entities = parse_markdown_v2("*b* _i_ `c.` ```py\nx``` [l](http://a) \\.")

    assert text == "b i c. x l ."
    assert [each.type for each in entities] == ["bold", "italic", "code", "pre", "text_link"]


async def test_updates_come_until_they_are_confirmed(ask: Ask, telegram: FakeTelegram) -> None:
    telegram.say(7, 7, "two")
    first = (await ask("getUpdates"))["result"]
    same = (await ask("getUpdates", offset=first[0]["update_id"]))["result"]
    rest = (await ask("getUpdates", offset=first[0]["update_id"] + 1))["result"]

    assert [len(first), len(same), len(rest)] == [2, 2, 1]
    assert telegram.bot.confirmed == 1


async def test_the_second_poll_ends_the_first(ask: Ask, telegram: FakeTelegram) -> None:
    await ask("getUpdates", offset=10**9)
    first = asyncio.create_task(ask("getUpdates", timeout=20))
    await telegram.until(lambda: telegram.bot.poll and not telegram.bot.poll.done())
    second = asyncio.create_task(ask("getUpdates", timeout=20))

    assert "terminated by other getUpdates request" in (await first)["description"]
    telegram.say(7, 7, "x")
    assert (await second)["ok"]


async def test_a_webhook_excludes_polling(ask: Ask) -> None:
    await ask("setWebhook", url="http://127.0.0.1:9/")

    assert (
        "can't use getUpdates method while webhook is active"
        in (await ask("getUpdates"))["description"]
    )


async def test_https_can_be_asked_of_webhooks() -> None:
    async with FakeTelegram(https_only=True) as strict, aiohttp.ClientSession() as session:
        url = f"{strict.base_url}{strict.token}/setWebhook"
        async with session.post(url, data={"url": "http://x"}) as answer:
            assert "HTTPS URL must be provided" in (await answer.json())["description"]


async def test_faults_are_applied_as_often_as_asked_and_recorded(
    ask: Ask, telegram: FakeTelegram
) -> None:
    telegram.fault("sendMessage", "cut")
    telegram.fault("sendMessage", "cut_after")
    telegram.fault("sendMessage", "status", status=502)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientError):
            await ask("sendMessage", chat_id=7, text="x")
    refused = await ask("sendMessage", chat_id=7, text="x")
    good = await ask("sendMessage", chat_id=7, text="y")

    assert (refused["error_code"], good["ok"]) == (502, True)
    assert telegram.texts(7) == ["x", "y"]
    outcomes = [call.outcome for call in telegram.calls("sendMessage")]
    assert outcomes == ["cut", "cut_after", "error", "ok"]


async def test_requests_inside_a_flood_wait_are_noted_as_early(
    ask: Ask, telegram: FakeTelegram
) -> None:
    telegram.fault("sendMessage", "flood", seconds=30)

    first = await ask("sendMessage", chat_id=7, text="x")
    await ask("sendMessage", chat_id=7, text="x")

    assert first["parameters"] == {"retry_after": 30}
    assert [call.outcome for call in telegram.calls("sendMessage")] == ["error", "early"]


async def test_a_share_of_calls_can_fail_with_the_same_luck_every_time() -> None:
    outcomes = []
    for _ in range(2):
        async with FakeTelegram() as fake:
            fake.fault("x", "cut", times=None, rate=0.3)
            outcomes.append([fake.world.fault_for("x", None) is None for _ in range(100)])

    assert outcomes[0] == outcomes[1]
    assert 10 < outcomes[0].count(False) < 60


async def test_the_library_itself_is_content_with_the_fake(telegram: FakeTelegram) -> None:
    telegram.say(7, 7, "hi", media="photo", content=b"\xff\xd8\xff")
    async with Bot(telegram.token, base_url=telegram.base_url) as bot:
        (update,) = await bot.get_updates()
        assert update.message is not None
        assert update.message.photo[-1].width == 800
        sent = await bot.send_message(7, "<b>x</b>", parse_mode="HTML")
        edited = await bot.edit_message_text("y", 7, sent.message_id)
        picture = await bot.send_photo(7, b"\xff\xd8\xff", caption="z")

    assert (bot.username, sent.text, sent.entities[0].type) == ("fake_bot", "x", "bold")
    assert edited.text == "y"  # type: ignore[union-attr]
    assert picture.photo


async def test_a_fake_in_its_own_process_is_held_by_its_control_side(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    async with RemoteTelegram.start(journal=journal) as remote:
        await remote.say(7, 7, "hi")
        await remote.fault("sendMessage", "cut_after")
        async with Bot(remote.token, base_url=remote.base_url) as bot:
            with pytest.raises(Exception, match=r"RemoteProtocolError|ReadError"):
                await bot.send_message(7, "x")
            await bot.send_message(7, "y")
        seen = await remote.seen(7)
        calls = await remote.calls("sendMessage")
        state = await remote.state()

    assert [each["text"] for each in seen] == ["hi", "x", "y"]
    assert [each["outcome"] for each in calls] == ["cut_after", "ok"]
    assert (state["pending"], recorded(journal)) == (1, ["cut_after", "ok"])


def recorded(journal: Path) -> list[str]:
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line["outcome"] for line in lines if line.get("method") == "sendMessage"]


@pytest.mark.parametrize(
    ("rates", "chat", "fits"),
    [
        (Rates(overall=1, direct_burst=99), 7, 1),
        (Rates(direct=0.1), 7, 5),
        (Rates(group=3), -100, 3),
    ],
)
async def test_a_bot_that_writes_too_fast_is_told_to_wait(
    telegram: FakeTelegram, ask: Ask, rates: Rates, chat: int, fits: int
) -> None:
    telegram.say(chat, 7, "hi")
    telegram.world.rates = rates

    answers = await asyncio.gather(
        *(ask("sendMessage", chat_id=chat, text=str(n)) for n in range(10))
    )
    (await ask("sendChatAction", chat_id=chat, action="typing"))["result"]

    refused = [answer for answer in answers if not answer["ok"]]
    assert {answer["error_code"] for answer in refused} == {429}
    assert all(answer["parameters"]["retry_after"] >= 1 for answer in refused)
    assert len(telegram.texts(chat)) == 10 - len(refused) >= fits
