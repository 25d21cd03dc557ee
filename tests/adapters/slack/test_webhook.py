"""Only Slack itself gets in by the webhook, and each of its requests counts once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.signature import Claim, claim, holds, sign
from gateway.message import Button
from gateway.web.settings import Limits
from tests.adapters.slack.scene import Build, part
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.server import signed
from tests.fakes.stores import MemoryRecords
from tests.fakes.web import House, house

SECRET, OLD, OTHER = b"right-secret-0123456789", b"old-secret-0123456789abc", b"0" * 24
NOW = 1_700_000_000
BODY = b'{"type":"event_callback","event":{"type":"message","text":"\xc3\xa4"}}'
SETTINGS = {"mode": "webhook", "signing_secret": SECRET.decode()}


def headers(
    *, secret: bytes = SECRET, at: float = NOW, body: bytes = BODY, version: str = "v0"
) -> dict[str, str]:
    stamp = str(int(at))
    signature = sign(secret, stamp, body).replace("v0=", f"{version}=")
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}


def passes(given: dict[str, str], body: bytes = BODY, secrets: tuple[bytes, ...] = ()) -> bool:
    claimed = claim(given, NOW)
    return claimed is not None and holds(claimed, body, secrets or (SECRET,))


def test_the_example_of_slacks_own_documentation() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
        b"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
        b"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121"
        b".803a0bc887a14d10d2c447fce8b6703c"
    )
    right = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert sign(b"8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body) == right


@pytest.mark.parametrize("minutes", [0, 4, -4, 5, -5])
def test_a_right_signature_passes_within_five_minutes(minutes: int) -> None:
    assert passes(headers(at=NOW + 60 * minutes))


def test_while_secrets_change_both_count() -> None:
    assert passes(headers(secret=SECRET), secrets=(SECRET, OLD))
    assert passes(headers(secret=OLD), secrets=(SECRET, OLD))
    assert not passes(headers(secret=OLD), secrets=(SECRET,))
    assert not passes(headers(secret=OTHER), secrets=(SECRET, OLD))


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in headers().items() if key != name}


RIGHT = headers()["x-slack-signature"]
REFUSED: dict[str, tuple[dict[str, str], bytes]] = {
    "nothing": ({}, BODY),
    "no signature": (without("x-slack-signature"), BODY),
    "no timestamp": (without("x-slack-request-timestamp"), BODY),
    "empty": ({**headers(), "x-slack-signature": ""}, BODY),
    "version alone": ({**headers(), "x-slack-signature": "v0="}, BODY),
    "wrong": ({**headers(), "x-slack-signature": "v0=" + "0" * 64}, BODY),
    "truncated": ({**headers(), "x-slack-signature": RIGHT[:-1]}, BODY),
    "one more": ({**headers(), "x-slack-signature": RIGHT + "0"}, BODY),
    "upper case": ({**headers(), "x-slack-signature": RIGHT.upper()}, BODY),
    "no version": ({**headers(), "x-slack-signature": RIGHT[3:]}, BODY),
    "other version": (headers(version="v1"), BODY),
    "two in one": ({**headers(), "x-slack-signature": f"{RIGHT},{RIGHT}"}, BODY),
    "a line feed": ({**headers(), "x-slack-signature": RIGHT + "\n"}, BODY),
    "other secret": (headers(secret=OTHER), BODY),
    "no secret": (headers(secret=b""), BODY),
    "one byte changed": (headers(), BODY.replace(b"message", b"messagE")),
    "one byte more": (headers(), BODY + b" "),
    "one byte less": (headers(), BODY[:-1]),
    "no body": (headers(), b""),
    "6 minutes old": (headers(at=NOW - 360), BODY),
    "6 minutes ahead": (headers(at=NOW + 360), BODY),
    "301 seconds old": (headers(at=NOW - 301), BODY),
    "301 seconds ahead": (headers(at=NOW + 301), BODY),
    "another time": ({**headers(), "x-slack-request-timestamp": str(NOW + 1)}, BODY),
    "time in words": ({**headers(), "x-slack-request-timestamp": "now"}, BODY),
    "time as a fraction": ({**headers(), "x-slack-request-timestamp": f"{NOW}.0"}, BODY),
    "time with a sign": ({**headers(), "x-slack-request-timestamp": f"+{NOW}"}, BODY),
    "time in other digits": (
        {**headers(), "x-slack-request-timestamp": "１７０００００００0"},
        BODY,
    ),
    "time with a blank": ({**headers(), "x-slack-request-timestamp": f" {NOW}"}, BODY),
    "endless time": ({**headers(), "x-slack-request-timestamp": "9" * 5000}, BODY),
}


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_does_not(name: str) -> None:
    given, body = REFUSED[name]
    assert not passes(given, body)


def test_without_a_secret_of_ours_nothing_holds() -> None:
    empty = Claim(str(NOW), sign(b"", str(NOW), BODY))
    assert not holds(empty, BODY, ())
    assert not holds(empty, BODY, (b"",))


@contextlib.asynccontextmanager
async def posted(
    slack: FakeSlack, adapter: SlackAdapter, inbox: MemoryInbox
) -> AsyncIterator[House]:
    """The adapter behind the real server, which Slack posts to."""
    slack.world.secret = SECRET.decode()
    async with house(webhooks={"slack/default": adapter}, limits=Limits(guesses=200)) as home:
        slack.world.webhook = f"{home.url}/webhooks/slack/default"
        async with running(adapter, inbox):
            await slack.until(lambda: slack.calls("auth.test"))
            yield home


async def test_slacks_posts_arrive_and_forged_ones_do_not(slack: FakeSlack, build: Build) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with posted(slack, adapter, box) as home:
        for name, (given, body) in REFUSED.items():
            if any("\n" in value or not value.isascii() for value in given.values()):
                continue
            stale = {key: value for key, value in given.items()}
            async with home.client.post(slack.world.webhook, data=body, headers=stale) as answer:
                assert (name, answer.status) in ((name, 401), (name, 403))
        stamp = str(int(time.time()))
        for body, given in (
            (BODY + b" ", signed(SECRET.decode(), stamp, BODY)),
            (BODY, signed(OTHER.decode(), stamp, BODY)),
        ):
            async with home.client.post(slack.world.webhook, data=body, headers=given) as answer:
                assert answer.status == 401
        assert await doubled(home.port) == 403
        assert box.offered == []
        slack.say("D7", "U7", "hello")
        slack.say("C5", "U7", "<@U0BOT> there")
        slack.slash("D7", "U7", "new")
        await slack.all_confirmed()

    assert sorted(box.texts) == ["/new", "hello", "there"]
    assert {each.outcome for each in slack.world.deliveries} == {"acked"}


async def doubled(port: int) -> int:
    """The status for a header in two spellings, which a client library would not send."""
    stamp = str(int(time.time()))
    right = signed(SECRET.decode(), stamp, BODY)["X-Slack-Signature"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        "POST /webhooks/slack/default HTTP/1.1\r\nHost: x\r\n"
        f"X-Slack-Request-Timestamp: {stamp}\r\n"
        f"X-Slack-Signature: {right}\r\nx-slack-signature: {right}\r\n"
        f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + BODY)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def test_a_pressed_button_arrives_as_a_form(slack: FakeSlack, build: Build) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with posted(slack, adapter, box):
        asked = await adapter.send(part("well?", buttons=((Button(label="Yes", data="ja"),),)))
        slack.press("D7", "U7", asked.native_id, "ja")
        await slack.all_confirmed()
    assert [(each.kind, each.text) for each in box.events] == [("button", "ja")]


async def test_a_replayed_request_does_nothing_more_inside_and_after_the_window(
    slack: FakeSlack, build: Build, slack_clock: HastyClock
) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with posted(slack, adapter, box) as home:
        body = json.dumps(slack.world.push(_message())).encode()
        await slack.all_confirmed()
        given = signed(SECRET.decode(), str(int(time.time())), body)

        async def post() -> int:
            async with home.client.post(slack.world.webhook, data=body, headers=given) as answer:
                return answer.status

        first = await post()
        offered = len(box.offered)
        inside = await post()
        slack_clock.ahead = 240.0
        later = await post()
        slack_clock.ahead = 301.0
        after = await post()

    assert (first, inside, later, after) == (200, 200, 200, 403)
    assert len(box.offered) == offered
    assert len(box.events) == 1


async def test_a_request_that_was_not_stored_may_come_again_as_it_is(
    slack: FakeSlack, build: Build
) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with posted(slack, adapter, box) as home:
        body = (
            b'{"type":"event_callback","team_id":"T01","event":%s}'
            % json.dumps(_message()).encode()
        )
        given = signed(SECRET.decode(), str(int(time.time())), body)
        box.down = True

        async def post() -> int:
            async with home.client.post(slack.world.webhook, data=body, headers=given) as answer:
                return answer.status

        refused = await post()
        assert box.events == []
        box.down = False
        await slack.until(lambda: box.events)  # handed in again without Slack
        taken = await post()

    assert (refused, taken) == (503, 200)
    assert box.texts == ["hello"]


async def test_every_process_takes_what_slack_posts_and_counts_it_once(
    slack: FakeSlack, build: Build
) -> None:
    one, other, box = build(**SETTINGS), build(**SETTINGS), MemoryInbox()
    assert (one.everywhere, other.everywhere, build().everywhere) == (True, True, False)
    body = b'{"type":"event_callback","team_id":"T01","event":%s}' % json.dumps(_message()).encode()
    stamp = str(int(time.time()))
    given = {key.lower(): value for key, value in signed(SECRET.decode(), stamp, body).items()}

    async def post(adapter: SlackAdapter) -> int:
        async with asyncio.timeout(30):
            while (answer := await adapter.receive(given, body)).status == 503:
                await asyncio.sleep(0.01)  # it signs in
        return answer.status

    async with running(one, box), running(other, box):
        both = await asyncio.gather(post(one), post(other))
        offered = len(box.offered)
        again = await asyncio.gather(post(one), post(other))

    assert {*both, *again} == {200}
    assert box.texts == ["hello"]
    assert len(box.offered) == offered


async def test_a_request_that_waits_while_we_stop_is_told_to_come_again(
    slack: FakeSlack, build: Build
) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    box.open.clear()
    body = b'{"type":"event_callback","team_id":"T01","event":%s}' % json.dumps(_message()).encode()
    given = signed(SECRET.decode(), str(int(time.time())), body)
    lower = {key.lower(): value for key, value in given.items()}
    async with posted(slack, adapter, box):
        waiting = asyncio.create_task(adapter.receive(lower, body))
        await slack.until(lambda: box.offered)
    assert (await waiting).status == 503


async def test_while_the_store_is_away_slack_is_told_to_come_again(
    slack: FakeSlack, build: Build, slack_records: MemoryRecords
) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with posted(slack, adapter, box):
        slack_records.down = True
        slack.say("D7", "U7", "hello")
        await slack.until(lambda: len(slack.calls("webhook")) > 2)
        assert {call.status for call in slack.calls("webhook")} <= {0, 503}
        slack_records.down = False
        await slack.all_confirmed()

    assert box.texts == ["hello"]
    assert slack.world.deliveries[0].attempts > 2, "the retry header is no reason to drop it"


async def test_before_and_after_run_nothing_is_taken_but_the_address_is_confirmed(
    slack: FakeSlack, build: Build
) -> None:
    adapter = build(**SETTINGS)
    stamp = str(int(time.time()))

    async def post(body: dict[str, Any]) -> tuple[int, bytes]:
        raw = json.dumps(body).encode()
        given = {key.lower(): value for key, value in signed(SECRET.decode(), stamp, raw).items()}
        answer = await adapter.receive({**given, "content-type": "application/json"}, raw)
        return answer.status, answer.body

    assert await post({"type": "url_verification", "challenge": "3eZbrw1"}) == (200, b"3eZbrw1")
    assert await post({"type": "url_verification", "challenge": 5}) == (200, b"")
    assert await post(slack.world.push(_message())) == (503, b"")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""),
        ("application/json", b"[]"),
        ("application/json", b"{" * 100_000),
        ("application/json", b'{"type":"event_callback"}'),
        ("application/json", b'{"type":"event_callback","event":{"type":"message","ts":[]}}'),
        ("application/json", b'{"type":"app_rate_limited","minute_rate_limited":1}'),
        ("application/json", b'{"type":["x"]}'),
        ("application/x-www-form-urlencoded", b"payload=%7B"),
        ("application/x-www-form-urlencoded", b"payload=1&payload=2"),
        ("application/x-www-form-urlencoded", b"command=/moltgate"),
        ("application/x-www-form-urlencoded", b"ssl_check=1&token=x"),
        ("application/x-www-form-urlencoded", b"\xff"),
        ("", b"\x00"),
    ],
)
async def test_what_slack_signed_and_nobody_can_read_is_never_asked_for_again(
    slack: FakeSlack, build: Build, kind: str, body: bytes
) -> None:
    adapter, box = build(**SETTINGS), MemoryInbox()
    async with running(adapter, box):
        await slack.until(lambda: slack.calls("auth.test"))
        await asyncio.sleep(0)
        stamp = str(int(time.time()))
        given = {key.lower(): value for key, value in signed(SECRET.decode(), stamp, body).items()}
        answer = await adapter.receive({**given, "content-type": kind}, body)
        while answer.status == 503:  # it has just signed in
            await asyncio.sleep(0.01)
            answer = await adapter.receive({**given, "content-type": kind}, body)
    assert answer.status == 200
    assert box.offered == []


def _message() -> dict[str, Any]:
    return {
        "type": "message",
        "channel": "D7",
        "channel_type": "im",
        "user": "U7",
        "text": "hello",
        "ts": "1700000000.000001",
    }
