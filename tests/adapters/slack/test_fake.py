"""The fake is as strict as Slack and keeps honest books."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, RemoteSlack, visible

Ask = Any


@pytest.fixture
async def ask(slack: FakeSlack) -> AsyncIterator[Ask]:
    """Calls the Web API by plain HTTP."""
    async with aiohttp.ClientSession() as session:

        async def one(method: str, *, token: str = BOT_TOKEN, **params: Any) -> dict[str, Any]:
            reads = method.startswith(("conversations", "users", "files", "reactions.get"))
            request = {"params": params} if reads else {"json": params}
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            url = f"{slack.base_url}{method}"
            async with session.post(url, headers=headers, **request) as answer:
                body: dict[str, Any] = await answer.json()
                return body

        yield one


def button(**fields: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": "Yes"}
    return {"type": "button", "action_id": "a", "text": label, "value": "y", **fields}


def actions(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "actions", "elements": list(elements)}]


def section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": "C9", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C8", "text": "x"}, "not_in_channel"),
        ("chat.postMessage", {"channel": "C7", "text": "x"}, "is_archived"),
        ("chat.postMessage", {"channel": "D7"}, "no_text"),
        ("chat.postMessage", {"channel": "D7", "text": " "}, "no_text"),
        ("chat.postMessage", {"channel": "D7", "text": "x" * 4001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "D7", "text": "x", "thread_ts": "1"}, "thread_not_found"),
        ("chat.postMessage", {"channel": "D7", "text": "x", "key": "1"}, "invalid_arguments"),
        (
            "chat.postMessage",
            {"channel": "D7", "text": "x", "metadata": {"event_type": "x"}},
            "invalid_metadata_format",
        ),
        (
            "chat.postMessage",
            {"channel": "D7", "text": "x", "metadata": {"event_type": "a b", "event_payload": {}}},
            "invalid_metadata_format",
        ),
        ("chat.postMessage", {"channel": "D7", "blocks": section("x" * 3001)}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "D7", "blocks": actions()}, "invalid_blocks"),
        (
            "chat.postMessage",
            {"channel": "D7", "blocks": actions(button(), button())},
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            {"channel": "D7", "blocks": actions(button(value="x" * 2001))},
            "invalid_blocks",
        ),
        ("chat.update", {"channel": "D7", "ts": "9.9", "text": "x"}, "message_not_found"),
        ("reactions.add", {"channel": "D7", "timestamp": "9.9", "name": "+1"}, "message_not_found"),
        ("reactions.add", {"channel": "D7", "timestamp": "9.9", "name": "👍"}, "invalid_name"),
        ("conversations.history", {"channel": "C9"}, "channel_not_found"),
        ("conversations.replies", {"channel": "C5", "ts": "9.9"}, "thread_not_found"),
        ("users.info", {"user": "U404"}, "user_not_found"),
        ("files.info", {"file": "F404"}, "file_not_found"),
        ("files.getUploadURLExternal", {"filename": "a", "length": 0}, "invalid_arguments"),
        (
            "files.completeUploadExternal",
            {"files": '[{"id":"F1"}]', "channel_id": "D7"},
            "file_not_found",
        ),
        ("chat.startStream", {}, "unknown_method"),
    ],
)
async def test_what_slack_refuses_is_refused_in_its_words(
    slack: FakeSlack, ask: Ask, method: str, params: dict[str, Any], error: str
) -> None:
    slack.world.channel("C8", joined=False)
    slack.world.channel("C7", archived=True)

    answer = await ask(method, **params)

    assert (answer["ok"], answer["error"]) == (False, error)
    assert not slack.texts("D7")


@pytest.mark.parametrize(
    ("token", "method", "error"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-another", "auth.test", "invalid_auth"),
        (APP_TOKEN, "auth.test", "not_allowed_token_type"),
        (BOT_TOKEN, "apps.connections.open", "not_allowed_token_type"),
    ],
)
async def test_every_call_needs_the_right_token(
    ask: Ask, token: str, method: str, error: str
) -> None:
    assert (await ask(method, token=token))["error"] == error


async def test_a_revoked_token_and_a_missing_scope_are_told(slack: FakeSlack, ask: Ask) -> None:
    slack.world.scopes.discard("chat:write")
    missing = await ask("chat.postMessage", channel="D7", text="x")
    slack.world.revoked = True

    assert (missing["error"], missing["needed"]) == ("missing_scope", "chat:write")
    assert (await ask("auth.test"))["error"] == "token_revoked"


async def test_people_edit_and_only_we_edit_ours(slack: FakeSlack, ask: Ask) -> None:
    theirs = slack.say("D7", "U7", "hello")["ts"]
    ours = (await ask("chat.postMessage", channel="D7", text="a"))["ts"]

    assert (await ask("chat.update", channel="D7", ts=theirs, text="b"))["error"] == (
        "cant_update_message"
    )
    assert (await ask("chat.update", channel="D7", ts=ours, text="b"))["ok"]
    assert slack.seen("D7")[-1].edits == ["a"]


async def test_history_comes_in_pages_with_metadata_where_it_is_asked_for(
    slack: FakeSlack, ask: Ask
) -> None:
    mark = {"event_type": "t", "event_payload": {"key": "k"}}
    stamps = [
        (await ask("chat.postMessage", channel="D7", text=f"{n}", metadata=mark))["ts"]
        for n in range(5)
    ]

    first = await ask("conversations.history", channel="D7", limit=2, include_all_metadata="true")
    cursor = first["response_metadata"]["next_cursor"]
    second = await ask("conversations.history", channel="D7", limit=2, cursor=cursor)
    later = await ask("conversations.history", channel="D7", oldest=stamps[3])

    assert [each["text"] for each in first["messages"]] == ["4", "3"]
    assert first["messages"][0]["metadata"] == mark
    assert [each["text"] for each in second["messages"]] == ["2", "1"]
    assert "metadata" not in second["messages"][0]
    assert [each["text"] for each in later["messages"]] == ["4"]


async def hello(stream: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((await stream.receive(30)).data)
    assert told["type"] == "hello"
    return told


async def test_an_envelope_comes_until_it_is_confirmed(slack: FakeSlack, ask: Ask) -> None:
    url = (await ask("apps.connections.open", token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as stream:
        assert (await hello(stream))["num_connections"] == 1
        slack.say("C5", "U7", "<@U0BOT> hi")
        first = [json.loads((await stream.receive(30)).data) for _ in range(2)]
        slack.server.drop()
    url = (await ask("apps.connections.open", token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as stream:
        await hello(stream)
        second = [json.loads((await stream.receive(30)).data) for _ in range(2)]
        for each in second:
            await stream.send_json({"envelope_id": each["envelope_id"]})
        await stream.send_str("what?")
        await slack.all_confirmed()
        await slack.until(lambda: slack.server.strays)

    assert {each["payload"]["event"]["type"] for each in first} == {"message", "app_mention"}
    assert {each["payload"]["event_id"] for each in first} == {
        each["payload"]["event_id"] for each in second
    }
    assert all(each["retry_attempt"] == 1 for each in second)
    assert slack.server.strays == ["what?"]


async def test_a_ticket_counts_once(ask: Ask) -> None:
    url = (await ask("apps.connections.open", token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as stream:
            await hello(stream)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_a_connection_that_is_told_to_go_gets_nothing_new(slack: FakeSlack, ask: Ask) -> None:
    url = (await ask("apps.connections.open", token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as stream:
        await hello(stream)
        going = asyncio.create_task(slack.server.disconnect("refresh_requested"))
        told = json.loads((await stream.receive(30)).data)
        slack.say("D7", "U7", "hello")
        last = await stream.receive(30)
        await going

    assert told == {"type": "disconnect", "reason": "refresh_requested"}
    assert last.type is aiohttp.WSMsgType.CLOSE
    assert [each.attempts for each in slack.world.deliveries] == [0]


async def test_faults_do_what_they_are_called(slack: FakeSlack, ask: Ask) -> None:
    slack.fault("chat.postMessage", "cut")
    with pytest.raises(aiohttp.ClientError):
        await ask("chat.postMessage", channel="D7", text="never")
    slack.fault("chat.postMessage", "cut_after")
    with pytest.raises(aiohttp.ClientError):
        await ask("chat.postMessage", channel="D7", text="done")
    slack.fault("chat.postMessage", "error", error="fatal_error")
    refused = await ask("chat.postMessage", channel="D7", text="refused")
    slack.fault("*", "flood", seconds=60.0, channel="D7")
    flooded = await ask("chat.postMessage", channel="D7", text="too much")
    early = await ask("chat.postMessage", channel="D7", text="too early")
    slack.world.channel("D8")
    other = await ask("chat.postMessage", channel="D8", text="elsewhere")

    assert slack.texts("D7") == ["done"]
    assert (refused["error"], flooded["error"]) == ("fatal_error", "ratelimited")
    assert (early["ok"], other["ok"]) == (False, True)
    outcomes = [call.outcome for call in slack.calls("chat.postMessage")]
    assert outcomes == ["cut", "cut_after", "error", "error", "early", "ok"]


@pytest.mark.parametrize(
    ("text", "pings"),
    [
        ("<!channel>", 1),
        ("<!here|here>", 1),
        ("<@U7>", 1),
        ("<!subteam^S1|@ops>", 1),
        ("&lt;!channel&gt;", 0),
        ("@channel", 0),
        ("<https://x.example|!here>", 0),
    ],
)
async def test_who_is_called_is_seen(slack: FakeSlack, ask: Ask, text: str, pings: int) -> None:
    await ask("chat.postMessage", channel="D7", text=text)
    assert len(slack.seen("D7")[0].pings) == pings


def test_what_a_person_reads() -> None:
    shown = "<https://x.example|here> &lt;b&gt; &amp;amp; *\u00adx"
    assert visible(shown) == "here <b> &amp; *x"


async def test_it_runs_as_a_process_of_its_own_with_a_journal(tmp_path: Path) -> None:
    journal = tmp_path / "slack.jsonl"
    async with RemoteSlack.start(journal=journal) as slack:
        said = await slack.say("D7", "U7", "hello")
        await slack.ask("fault", method="chat.postMessage", kind="cut")
        (shown,) = await slack.seen("D7")
        state = await slack.state()

    assert shown["ts"] == said["ts"]
    assert state["pending"] == 1
    assert json.loads(journal.read_text().splitlines()[0])["text"] == "hello"
