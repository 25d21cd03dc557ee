"""Posts come in: signed, once, answered 200 only when they are stored."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.webhook.adapter import WebhookAdapter
from gateway.message import inbound_id
from tests.adapters.webhook.scene import (
    ACCOUNT,
    OTHER,
    PLAIN,
    SECRET,
    SetClock,
    config,
    message,
    post,
    running,
    said,
    signed,
)
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services
from tests.fakes.stores import MemoryBlobs, MemoryRecords

PAYLOADS = Path(__file__).parent / "payloads"
ALERT = (PAYLOADS / "alertmanager_firing.json").read_bytes()
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
BEARER = {"authorization": f"Bearer {PLAIN}"}


class Desk:
    """An adapter, its inbox, and everything that outlives it."""

    def __init__(self, **settings: Any) -> None:
        self.clock = SetClock()
        self.records = MemoryRecords(self.clock.now)
        self.blobs = MemoryBlobs()
        self.counts = Counts()
        self.inbox = MemoryInbox()
        self.settings = settings
        self.adapter = self.anew()

    def anew(self) -> WebhookAdapter:
        """Another process takes over."""
        self.adapter = WebhookAdapter(
            ACCOUNT,
            config(**self.settings),
            services(
                ACCOUNT,
                records=self.records,
                blobs=self.blobs,
                clock=self.clock,
                count=self.counts.happened,
            ),
        )
        return self.adapter


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    async with running(made.adapter, made.inbox):
        yield made


async def test_a_signed_post_is_taken_in(desk: Desk) -> None:
    answer = await post(desk.adapter, message("hello", name="Ada"), id="msg_a")

    assert (answer.status, said(answer)) == (200, {"outcome": "accepted"})
    (event,) = desk.inbox.events
    assert (event.text, event.native_id, event.sender.name) == ("hello", "msg_a", "Ada")
    assert event.received_at == desk.clock.at
    assert (event.account, event.place.kind, event.addressed) == (ACCOUNT, "direct", True)


async def test_a_repeated_post_is_answered_the_same_and_done_once(desk: Desk) -> None:
    body = message("hello")
    first = await post(desk.adapter, body, id="msg_a")
    desk.clock.at += 240
    again = await post(desk.adapter, body, id="msg_a", at=desk.clock.at)
    async with running(desk.anew(), desk.inbox):
        after_a_restart = await post(desk.adapter, body, id="msg_a", at=desk.clock.at)

    assert first == again == after_a_restart
    assert len(desk.inbox.offered) == 1
    assert desk.counts["replayed"] == 2


async def test_copies_that_come_at_once_are_one_message(desk: Desk) -> None:
    body = message("hello")
    answers = await asyncio.gather(*(post(desk.adapter, body, id="msg_a") for _ in range(5)))

    assert {(one.status, one.body) for one in answers} == {(200, b'{"outcome":"accepted"}')}
    assert len(desk.inbox.events) == 1


async def test_every_process_takes_posts_and_counts_them_once(desk: Desk) -> None:
    first = desk.adapter
    async with running(second := desk.anew(), desk.inbox):
        body = message("hello")
        answers = await asyncio.gather(*(post(each, body, id="msg_a") for each in (first, second)))
        again = [await post(each, body, id="msg_a") for each in (first, second)]

    assert first.everywhere
    assert {(each.status, each.body) for each in (*answers, *again)} == {
        (200, b'{"outcome":"accepted"}')
    }
    assert desk.inbox.texts == ["hello"]


async def test_each_edit_counts_whatever_id_it_comes_under(desk: Desk) -> None:
    await post(desk.adapter, message("one", id="m1"))
    for text, number in (("two", "msg_b"), ("three", "msg_c"), ("three", "msg_c")):
        edit = message(text, id="m1", kind="edit", target="m1")
        assert (await post(desk.adapter, edit, id=number)).status == 200

    first, *edits = desk.inbox.events
    assert [each.text for each in edits] == ["two", "three"]
    assert {inbound_id(ACCOUNT, "c1", each.target) for each in edits} == {first.id}


async def test_a_refusal_is_remembered_too(desk: Desk) -> None:
    desk.inbox.ignores = lambda event: True
    first = await post(desk.adapter, message(), id="msg_a")
    desk.inbox.ignores = lambda event: False
    again = await post(desk.adapter, message(), id="msg_a")

    assert said(first) == said(again) == {"outcome": "ignored", "reason": "stranger"}
    assert desk.inbox.events == []


async def test_an_id_that_was_used_for_something_else_is_refused(desk: Desk) -> None:
    await post(desk.adapter, message("one"), id="msg_a")
    assert (await post(desk.adapter, message("two"), id="msg_a")).status == 409
    assert desk.inbox.texts == ["one"]


async def test_a_replayed_post_is_refused_once_it_is_old(desk: Desk) -> None:
    body, headers = message(), signed(message())
    assert (await post(desk.adapter, body, headers)).status == 200
    desk.clock.at += 301
    assert (await post(desk.adapter, body, headers)).status == 403
    assert len(desk.inbox.offered) == 1


async def test_a_wrong_signature_is_401_and_counted_and_nothing_is_read(desk: Desk) -> None:
    answer = await post(desk.adapter, b"not even JSON", secrets=(OTHER,))

    assert answer.status == 401
    assert desk.counts["bad_signature"] == 1
    assert desk.inbox.offered == []


async def test_both_secrets_count_during_a_rotation() -> None:
    desk = Desk(secret=OTHER, previous_secret=SECRET)
    async with running(desk.adapter, desk.inbox):
        for secret in (SECRET, OTHER):
            assert (await post(desk.adapter, message(), secrets=(secret,))).status == 200


async def test_what_cannot_be_stored_is_to_come_again(desk: Desk) -> None:
    desk.inbox.down = True
    assert (await post(desk.adapter, message(), id="msg_a")).status == 503
    desk.inbox.down, desk.records.down = False, True
    assert (await post(desk.adapter, message(), id="msg_a")).status == 503
    desk.records.down = False
    assert said(await post(desk.adapter, message(), id="msg_a")) == {"outcome": "accepted"}
    assert len(desk.inbox.events) == 1


async def test_before_it_runs_nothing_is_taken_in() -> None:
    desk = Desk()
    assert (await post(desk.adapter, message())).status == 503
    assert (await post(desk.adapter, message(), secrets=(OTHER,))).status == 401


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "JSON"),
        (b'{"text": "a", "text": "b"}', 400, "twice"),
        (b"[" * 70 + b"]" * 70, 400, "nested"),
        (b"[]", 422, "object"),
        (b"{}", 422, "conversation"),
        (b'{"conversation": "c", "sender": "s", "secret": 1}', 422, "secret"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_words(
    desk: Desk, body: bytes, status: int, words: str
) -> None:
    answer = await post(desk.adapter, body)

    assert answer.status == status
    assert words in said(answer)["error"]
    assert desk.inbox.offered == []
    assert desk.counts["unreadable" if status == 400 else "unmapped"] == 1


async def test_what_was_refused_may_come_again_corrected_under_a_new_id(desk: Desk) -> None:
    assert (await post(desk.adapter, b"{}", id="msg_a")).status == 422
    assert (await post(desk.adapter, message(), id="msg_b")).status == 200


async def test_files_come_inline_and_are_kept_once_the_sender_is_let_in(desk: Desk) -> None:
    files = [
        {"content": base64.b64encode(PNG).decode(), "name": "a.exe"},
        {"content": base64.b64encode(b"OggS" + bytes(30)).decode(), "voice": True},
    ]
    desk.inbox.ignores = lambda event: True
    await post(desk.adapter, message("look", attachments=files))
    assert not desk.blobs._blobs

    desk.inbox.ignores = lambda event: False
    await post(desk.adapter, message("look", attachments=files))

    (event,) = desk.inbox.events
    assert [(one.kind, one.media_type) for one in event.attachments] == [
        ("image", "image/png"),
        ("voice", "audio/ogg"),
    ]
    assert desk.blobs._blobs[event.attachments[0].digest] == PNG


async def test_a_large_body_is_read_as_strictly(desk: Desk) -> None:
    text = "x" * 60_000
    large = message(text, quote="y" * 4_000, name="z" * 100, reply_to="w" * 200)
    assert len(large) < 65_536 < len(large) + 2_000
    padded = large[:-1] + b" " * 5_000 + b"}"
    twice = padded[:-1] + b', "sender": "eve"}'

    assert (await post(desk.adapter, padded)).status == 200
    assert "twice" in said(await post(desk.adapter, twice))["error"]
    assert desk.inbox.texts == [text]


async def test_an_event_the_gateway_never_takes_is_said_to_be_refused(desk: Desk) -> None:
    desk.inbox.rejects = lambda event: True
    assert said(await post(desk.adapter, message())) == {
        "outcome": "refused",
        "reason": "rejected",
    }


async def test_an_alert_that_is_posted_again_is_known_for_an_hour_and_then_new() -> None:
    desk = Desk(preset="alertmanager")
    async with running(desk.adapter, desk.inbox):
        assert (await post(desk.adapter, ALERT, {})).status == 403
        assert (await post(desk.adapter, ALERT, {"authorization": "Bearer no"})).status == 403
        for _ in range(3):
            assert said(await post(desk.adapter, ALERT, BEARER)) == {"outcome": "accepted"}
        assert len(desk.inbox.events) == 1
        desk.clock.at += 3601
        assert said(await post(desk.adapter, ALERT, BEARER)) == {"outcome": "accepted"}

    first, second = desk.inbox.events
    assert first.id != second.id
    assert first.conversation == second.conversation


async def test_a_crash_between_storing_and_remembering_doubles_nothing() -> None:
    desk = Desk(preset="alertmanager")
    desk.inbox.down = True
    async with running(desk.adapter, desk.inbox):
        assert (await post(desk.adapter, ALERT, BEARER)).status == 503
        desk.clock.at += 60
        desk.inbox.down = False
        assert (await post(desk.adapter, ALERT, BEARER)).status == 200

    first, second = desk.inbox.offered
    assert first.id == second.id


async def test_github_posts_are_known_by_what_is_signed() -> None:
    desk = Desk(preset="github")
    body = (PAYLOADS / "github_issue_opened.json").read_bytes()
    ping = (PAYLOADS / "github_ping.json").read_bytes()

    def headers(body: bytes, delivery: str) -> dict[str, str]:
        digest = hmac.new(PLAIN.encode(), body, hashlib.sha256).hexdigest()
        return {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": delivery}

    async with running(desk.adapter, desk.inbox):
        assert said(await post(desk.adapter, ping, headers(ping, "1")))["reason"] == "map"
        for delivery in ("2", "3"):  # whoever replays it may change what is not signed
            answer = await post(desk.adapter, body, headers(body, delivery))
            assert said(answer) == {"outcome": "accepted"}
        wrong = await post(desk.adapter, body + b" ", headers(body, "4"))
        assert wrong.status == 401

    (event,) = desk.inbox.events
    assert event.text.startswith("Issue #12 opened")


async def test_no_text_and_no_secret_is_in_the_log(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    await post(desk.adapter, message("a private matter"))
    await post(desk.adapter, message("a private matter", model="x"))
    shown = "".join(capsys.readouterr())

    assert "payload_not_mapped" in shown
    assert "private" not in shown
    assert SECRET not in shown
