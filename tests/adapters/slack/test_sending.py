"""What we send and edit stands on (the fake) Slack as meant, and is found there again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.slack.adapter import PAGE, PAGES, SETTLE, SlackAdapter
from adapters.slack.config import RateConfig
from adapters.slack.pace import SlackPace
from adapters.slack.render import split
from gateway.errors import BadConfig, Busy, Failed, Retryable, Unavailable, Uncertain
from gateway.message import Attachment, Button, Outbound, Place
from tests.adapters.slack.scene import CHANNEL, DM, Build, part
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.slack import FakeSlack, Shown
from tests.fakes.stores import MemoryBlobs


async def stored(blobs: MemoryBlobs, content: bytes, **fields: Any) -> Attachment:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    digest, size, _ = await blobs.store(chunks(), limit=2**30)
    return Attachment(digest=digest, size=size, **{"kind": "document"} | fields)


async def test_a_text_stands_where_the_question_stood(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    asked = slack.say(CHANNEL, "U7", "?")["ts"]

    there = await adapter.send(part("in the thread", chat=CHANNEL, thread=asked))
    here = await adapter.send(part("beside it", chat=CHANNEL))

    shown = {each.ts: each for each in slack.seen(CHANNEL)}
    assert (shown[there.native_id].text, shown[there.native_id].thread) == ("in the thread", asked)
    assert (shown[here.native_id].text, shown[here.native_id].thread) == ("beside it", "")


async def test_every_message_and_edit_carries_its_key_and_no_preview(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    outbound = part("see https://x.example", reply="abc", buttons=((Button(label="a", data="b"),),))

    receipt = await adapter.send(outbound)
    await adapter.edit(outbound, receipt.native_id)

    calls = slack.calls("chat.postMessage") + slack.calls("chat.update")
    assert len(calls) == 2
    for call in calls:
        assert call.params["unfurl_links"] is False
        assert call.params["unfurl_media"] is False
        assert call.params["parse"] == "none"
        assert call.params["link_names"] is False
        assert call.params["metadata"] == {
            "event_type": "moltgate_part",
            "event_payload": {"key": "abc.0"},
        }


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\u00ad"])
async def test_where_there_is_nothing_to_see_something_is_shown(
    slack: FakeSlack, adapter: SlackAdapter, text: str
) -> None:
    await adapter.send(part(text))
    assert slack.texts(DM) == ["(empty message)"]


async def test_buttons_stand_under_the_text_and_go_with_an_edit(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    rows = (
        (Button(label="Yes " * 30, data="y" * 2000), Button(label=" ", data="n")),
        (Button(label="Site", url="https://x.example"),),
    )
    receipt = await adapter.send(part("**well?**", buttons=rows))
    section, first, second = slack.seen(DM)[0].blocks
    labels = [each["text"]["text"] for each in first["elements"]]

    assert section["text"] == {"type": "mrkdwn", "text": "*well?*", "verbatim": True}
    assert len(labels[0]) == 75
    assert labels[1] == "…"
    assert second["elements"][0]["url"] == "https://x.example"

    await adapter.edit(part("done"), receipt.native_id)
    assert slack.seen(DM)[0].blocks == []


@pytest.mark.parametrize(
    ("buttons", "why"),
    [
        (((Button(label="x", data="y" * 2001),),), "2000 characters"),
        (((Button(label="x"),),), "2000 characters"),
        (((Button(label="x", url="https://" + "y" * 3000),),), "3000 characters"),
        ((tuple(Button(label="x", data="y") for _ in range(26)),), "rows of 25"),
        (tuple((Button(label="x", data="y"),) for _ in range(41)), "40 rows"),
    ],
)
async def test_buttons_slack_never_takes_fail_before_anything_is_sent(
    slack: FakeSlack, adapter: SlackAdapter, buttons: Any, why: str
) -> None:
    with pytest.raises(Failed, match=why):
        await adapter.send(part("well?", buttons=buttons))
    assert slack.calls("chat.postMessage") == []


async def test_blocks_that_slack_refuses_are_shown_as_text(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    slack.fault("chat.postMessage", "error", error="invalid_blocks")
    await adapter.send(part("well?", buttons=((Button(label="Yes", data="y"),),)))

    assert slack.texts(DM) == ["well?\n• Yes"]
    assert slack.seen(DM)[0].blocks == []


async def test_an_edit_may_be_repeated_and_says_gone_where_nothing_is_left(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    theirs = slack.say(DM, "U7", "hello")["ts"]
    receipt = await adapter.send(part("a"))
    for _ in range(2):
        assert await adapter.edit(part("ab"), receipt.native_id) == receipt
    assert slack.texts(DM) == ["ab"]

    for native_id in (theirs, "1.5", "", "x"):
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(part("new"), native_id)
    slack.fault("chat.update", "error", error="edit_window_closed")
    with pytest.raises(Failed, match="gone"):
        await adapter.edit(part("new"), receipt.native_id)


@pytest.mark.parametrize(
    ("fault", "sent", "edited"),
    [
        ({"kind": "cut"}, Uncertain, Unavailable),
        ({"kind": "cut_after"}, Uncertain, Unavailable),
        ({"kind": "garbage"}, Uncertain, Unavailable),
        ({"kind": "garbage", "content_type": "text/plain"}, Uncertain, Unavailable),
        ({"kind": "garbage", "content_type": "application/json"}, Uncertain, Unavailable),
        ({"kind": "garbage", "content_type": "application/gzip"}, Uncertain, Unavailable),
        ({"kind": "status", "status": 500}, Uncertain, Unavailable),
        ({"kind": "status", "status": 502}, Uncertain, Unavailable),
        ({"kind": "status", "status": 504}, Uncertain, Unavailable),
        ({"kind": "status", "status": 503}, Unavailable, Unavailable),
        ({"kind": "error", "error": "fatal_error"}, Uncertain, Unavailable),
        ({"kind": "error", "error": "service_unavailable"}, Unavailable, Unavailable),
        ({"kind": "flood", "seconds": 60.0}, Busy, Busy),
        ({"kind": "error", "error": "token_revoked"}, BadConfig, BadConfig),
        ({"kind": "error", "error": "is_archived"}, Failed, Failed),
        ({"kind": "error", "error": "msg_too_long"}, Failed, Failed),
        ({"kind": "error", "error": "channel_not_found"}, Failed, Failed),
    ],
)
async def test_what_a_failed_call_leads_to(
    slack: FakeSlack, adapter: SlackAdapter, fault: Any, sent: Any, edited: Any
) -> None:
    first = await adapter.send(part("first"))
    slack.fault("chat.postMessage", times=None, **fault)
    slack.fault("chat.update", times=None, **fault)

    with pytest.raises(sent) as send:
        await adapter.send(part("second", reply="r2"))
    with pytest.raises(edited):
        await adapter.edit(part("first!"), first.native_id)

    assert type(send.value) in (sent, *sent.__subclasses__())
    assert len(slack.calls("chat.postMessage")) == 2, "never tried twice"
    if isinstance(send.value, Busy):
        assert send.value.after == 60.0


async def test_a_gateway_that_cannot_be_reached_has_sent_nothing(build: Build) -> None:
    adapter = build(base_url="http://127.0.0.1:9/api/")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await adapter.send(part("x"))


# --- reading back -----------------------------------------------------------------------------


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(("fault", "there"), [("cut", False), ("cut_after", True)])
async def test_a_cut_send_is_found_where_it_stands_and_only_there(
    slack: FakeSlack, adapter: SlackAdapter, fault: str, there: bool, thread: bool
) -> None:
    asked = slack.say(CHANNEL, "U7", "?")["ts"]
    outbound = part("hm", chat=CHANNEL, thread=asked if thread else "", reply_to=asked)
    slack.fault("chat.postMessage", fault)
    with pytest.raises(Uncertain):
        await adapter.send(outbound)
    for number in range(5):
        await adapter.send(part("other", chat=CHANNEL, reply=f"r{number + 2}"))

    found = await adapter.find(outbound)

    standing = [each.ts for each in slack.seen(CHANNEL) if each.text == "hm"]
    assert [found.native_id] == standing if found else not standing
    assert (found is not None) is there
    looked = slack.calls("conversations.replies" if thread else "conversations.history")
    assert {each.params["oldest"] for each in looked} == {asked}


async def test_after_a_restart_it_is_found_as_well(slack: FakeSlack, build: Build) -> None:
    asked = slack.say(DM, "U7", "?")["ts"]
    sent = await build().send(part("hm", reply_to=asked))

    found = await build().find(part("hm", reply_to=asked))

    assert found == sent


async def test_right_after_a_cut_slack_is_given_time(
    slack: FakeSlack, adapter: SlackAdapter, slack_clock: HastyClock
) -> None:
    slack.fault("chat.postMessage", "cut_after")
    with pytest.raises(Uncertain):
        await adapter.send(part("hm"))
    assert await adapter.find(part("hm"))
    assert 2.0 < max(slack_clock.slept) <= 3.0


async def test_other_peoples_messages_with_our_key_are_not_ours(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    slack.say(DM, "U7", "?")
    forged = slack.seen(DM)[0]
    forged.metadata = {"event_type": "moltgate_part", "event_payload": {"key": "r1.0"}}
    assert await adapter.find(part("hm")) is None


async def test_it_is_looked_for_on_every_page_and_beyond_them_nobody_can_say(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    slack.world.echo = False
    asked = slack.say(CHANNEL, "U7", "?", ts="1700000000.000001")["ts"]
    outbound = part("hm", chat=CHANNEL, reply_to=asked)
    sent = await adapter.send(outbound)
    for number in range(PAGE * (PAGES - 1)):
        slack.world.channel(CHANNEL)
        _write(slack, f"{number}")
    assert await adapter.find(outbound) == sent
    for number in range(PAGE + 1):
        _write(slack, f"more {number}")

    with pytest.raises(Uncertain, match="too much"):
        await adapter.find(outbound)


def _write(slack: FakeSlack, text: str) -> None:
    shown = Shown(CHANNEL, slack.world.ts(), "U8", from_bot=False, text=text)
    slack.world.messages[CHANNEL][shown.ts] = shown


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 500}, Retryable),
        ({"kind": "cut", "times": None}, Retryable),
        ({"kind": "flood", "seconds": 60.0}, Busy),
        ({"kind": "error", "error": "missing_scope"}, Uncertain),
        ({"kind": "error", "error": "channel_not_found"}, Uncertain),
        ({"kind": "error", "error": "token_revoked"}, BadConfig),
    ],
)
async def test_where_slack_shows_nothing_nobody_says_it_is_not_there(
    slack: FakeSlack, adapter: SlackAdapter, fault: Any, kind: Any
) -> None:
    slack.fault("conversations.history", **fault)
    with pytest.raises(kind):
        await adapter.find(part("hm"))


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ({"name": "../../etc/pass\r\nwd"}, "....etcpasswd"),
        ({"kind": "voice", "media_type": "audio/ogg"}, "voice.ogg"),
        ({"kind": "image", "media_type": "image/png", "name": "a.png"}, "a.png"),
        ({"name": "..."}, "document"),
    ],
)
async def test_a_file_is_a_message_of_its_own(
    slack: FakeSlack,
    adapter: SlackAdapter,
    slack_blobs: MemoryBlobs,
    file: dict[str, Any],
    name: str,
) -> None:
    asked = slack.say(CHANNEL, "U7", "?")["ts"]
    attachment = await stored(slack_blobs, b"content", **file)

    await adapter.send(part(chat=CHANNEL, thread=asked, files=(attachment,)))

    shown = slack.seen(CHANNEL)[-1]
    assert (shown.files[0]["name"], shown.thread) == (name.strip("."), asked)
    assert slack.world.contents[shown.files[0]["id"]] == b"content"


async def test_a_text_and_files_are_parts_and_the_buttons_stand_under_the_text(
    slack: FakeSlack, adapter: SlackAdapter, slack_blobs: MemoryBlobs
) -> None:
    files = (await stored(slack_blobs, b"a"), await stored(slack_blobs, b"b"))
    rows = ((Button(label="Yes", data="y"),),)
    parts = split(part("two files", files=files, buttons=rows, reply_to="1.5"))
    for each in parts:
        await adapter.send(each)

    assert [(bool(each.text), len(each.files), bool(each.blocks)) for each in slack.seen(DM)] == [
        (True, 0, True),
        (False, 1, False),
        (False, 1, False),
    ]
    assert {each.reply_to for each in parts} == {"1.5"}
    assert [each.part for each in parts] == [0, 1, 2]
    alone = split(part("", files=files, buttons=rows))
    assert [bool(each.buttons) for each in alone] == [False, False, True]


@pytest.mark.parametrize(("fault", "there"), [("cut", False), ("cut_after", True)])
async def test_a_cut_file_is_found_by_its_id(
    slack: FakeSlack,
    build: Build,
    slack_blobs: MemoryBlobs,
    fault: str,
    there: bool,
) -> None:
    file = await stored(slack_blobs, b"content")
    outbound = part(files=(file,))
    slack.fault("files.completeUploadExternal", fault)
    with pytest.raises(Uncertain):
        await build().send(outbound)

    assert (await build().find(outbound) is not None) is there


async def test_a_file_is_given_more_time_to_appear(
    slack: FakeSlack, adapter: SlackAdapter, slack_blobs: MemoryBlobs, slack_clock: HastyClock
) -> None:
    slack.fault("files.completeUploadExternal", "cut_after")
    outbound = part(files=(await stored(slack_blobs, b"content"),))
    with pytest.raises(Uncertain):
        await adapter.send(outbound)
    assert await adapter.find(outbound)
    assert max(slack_clock.slept) > SETTLE


async def test_a_large_file_is_sent_without_a_word_of_warning(
    slack: FakeSlack, adapter: SlackAdapter, slack_blobs: MemoryBlobs
) -> None:
    content = bytes(2 * 2**20)
    await adapter.send(part(files=(await stored(slack_blobs, content),)))
    assert slack.world.contents[slack.seen(DM)[-1].files[0]["id"]] == content


async def test_where_nobody_knows_since_when_a_part_is_found_after_days(
    slack: FakeSlack, adapter: SlackAdapter, slack_clock: HastyClock
) -> None:
    sent = await adapter.send(part("a notice"))
    slack_clock.ahead = 5 * 86_400.0
    assert await adapter.find(part("a notice")) == sent


async def test_a_file_that_was_never_handed_over_is_not_there(adapter: SlackAdapter) -> None:
    outbound = part(files=(Attachment(kind="document", digest="00"),))
    assert await adapter.find(outbound) is None


@pytest.mark.parametrize(
    ("method", "fault", "kind"),
    [
        ("files.getUploadURLExternal", {"kind": "cut"}, Unavailable),
        ("files.getUploadURLExternal", {"kind": "error", "error": "missing_scope"}, Failed),
        ("upload", {"kind": "status", "status": 500}, Unavailable),
        ("upload", {"kind": "status", "status": 413}, Failed),
        ("upload", {"kind": "status", "status": 429}, Busy),
        ("files.completeUploadExternal", {"kind": "flood", "seconds": 5.0}, Busy),
        ("files.completeUploadExternal", {"kind": "error", "error": "is_archived"}, Failed),
    ],
)
async def test_until_a_file_is_shown_nothing_is_uncertain(
    slack: FakeSlack,
    adapter: SlackAdapter,
    slack_blobs: MemoryBlobs,
    method: str,
    fault: Any,
    kind: Any,
) -> None:
    slack.fault(method, **fault)
    with pytest.raises(kind):
        await adapter.send(part(files=(await stored(slack_blobs, b"content"),)))
    assert slack.seen(DM) == []


@pytest.mark.parametrize(
    ("size", "why"), [(0, "empty file"), (51 * 2**20, "too large to be sent to Slack")]
)
async def test_a_file_that_is_never_taken_fails_at_once(
    slack: FakeSlack, adapter: SlackAdapter, slack_blobs: MemoryBlobs, size: int, why: str
) -> None:
    file = await stored(slack_blobs, b"x" * size)
    with pytest.raises(Failed, match=why):
        await adapter.send(part(files=(file,)))
    assert slack.world.calls == []


async def test_a_text_does_not_become_a_file_by_an_edit(
    adapter: SlackAdapter, slack_blobs: MemoryBlobs
) -> None:
    receipt = await adapter.send(part("a"))
    with pytest.raises(Failed, match="gone"):
        await adapter.edit(part(files=(await stored(slack_blobs, b"x"),)), receipt.native_id)


# --- commands where the app is no member --------------------------------------------------------


async def test_where_the_app_is_no_member_who_gave_a_command_sees_the_answer(
    slack: FakeSlack, adapter: SlackAdapter
) -> None:
    box = MemoryInbox()
    slack.world.channel("D66", joined=False)
    async with running(adapter, box):
        url = slack.slash("D66", "U7", "help")
        await slack.all_confirmed()
        (event,) = box.events
        await adapter.send(
            Outbound(
                reply=part().reply,
                conversation=event.conversation,
                account=event.account,
                place=event.place,
                text="**help** <!channel>",
                headers=event.headers,
                reply_to=event.native_id,
            )
        )

    (answer,) = slack.world.responses[url]
    assert answer["response_type"] == "ephemeral"
    assert answer["text"] == "*help* &lt;!channel&gt;"
    assert answer["unfurl_links"] is False


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, Failed), (429, Busy), (500, Uncertain), (502, Uncertain), (503, Unavailable)],
)
async def test_what_a_failed_answer_to_a_command_leads_to(
    slack: FakeSlack, adapter: SlackAdapter, status: int, kind: Any
) -> None:
    slack.world.channel("D66", joined=False)
    url = slack.slash("D66", "U7", "help")
    slack.fault("respond", "status", status=status)
    with pytest.raises(kind) as refused:
        await adapter.send(part("help", chat="D66", headers={"response_url": url}))
    assert type(refused.value) is kind
    if isinstance(refused.value, Busy):
        assert refused.value.after == 7.0


@pytest.mark.parametrize("url", ["http://evil.example/x", "https://slack.com.evil.example/x", ""])
async def test_an_answer_goes_to_no_other_host(
    slack: FakeSlack, adapter: SlackAdapter, url: str
) -> None:
    slack.world.channel("D66", joined=False)
    with pytest.raises(Failed):
        await adapter.send(part("help", chat="D66", headers={"response_url": url}))


# --- reactions, typing, probe, pace -------------------------------------------------------------


async def test_reactions_come_and_go_and_an_unknown_one_is_no_error(
    slack: FakeSlack, build: Build
) -> None:
    first, place = build(), Place(kind="direct", chat=DM)
    ts = slack.say(DM, "U7", "hello")["ts"]

    async def shown() -> list[str]:
        reactions = slack.world.messages[DM][ts].reactions
        return sorted(name for name, who in reactions.items() if who)

    await first.react(place, ts, "👀")
    assert await shown() == ["eyes"]
    await first.react(place, ts, "👍")
    assert await shown() == ["+1"]
    await first.react(place, ts, "not an emoji")
    await first.react(place, "1.5", "👍")
    await first.react(place, ts, "✅")
    await build().react(place, ts, "")  # another process put it there
    assert await shown() == []


async def test_typing_is_shown_in_threads_and_not_asked_for_where_slack_has_none(
    slack: FakeSlack, build: Build
) -> None:
    asked = slack.say(CHANNEL, "U7", "?")["ts"]
    thread = Place(kind="thread", chat=CHANNEL, thread=asked)
    adapter = build()

    await adapter.typing(part().conversation, thread)
    await adapter.typing(part().conversation, Place(kind="direct", chat=DM))
    assert slack.world.statuses == [
        {"channel_id": CHANNEL, "thread_ts": asked, "status": "is typing..."}
    ]

    slack.fault("assistant.threads.setStatus", "error", error="missing_scope", times=None)
    for _ in range(3):
        await adapter.typing(part().conversation, thread)
    assert len(slack.calls("assistant.threads.setStatus")) == 2
    assert not build(typing=False).capabilities.typing
    assert not build(streaming=False).capabilities.streams


async def test_the_live_check_names_the_bot_or_what_to_do(slack: FakeSlack, build: Build) -> None:
    good = await build().probe()
    away = await build(base_url="http://127.0.0.1:9/api/").probe()
    bad_bot = await build(bot_token="xoxb-another").probe()
    bad_app = await build(app_token="xapp-another").probe()
    slack.fault("apps.connections.open", "error", error="forbidden")
    off = await build().probe()
    slack.world.scopes -= {"files:read", "users:read"}
    narrow = await build().probe()
    slack.world.scopes.discard("chat:write")
    mute = await build().probe()

    assert (good.ok, good.summary, list(good.advice)) == (
        True,
        "signed in as @moltgate in Fake",
        [],
    )
    assert not away.ok
    assert "is there a network" in away.summary
    assert not bad_bot.ok
    assert "install the app again" in bad_bot.summary
    assert not bad_app.ok
    assert "adapters.slack.app_token" in bad_app.summary
    assert not off.ok
    assert "switch Socket Mode on" in off.summary
    assert narrow.ok
    assert ["files:read" in each or "users:read" in each for each in narrow.advice] == [True, True]
    assert "OAuth & Permissions" in narrow.advice[0]
    assert not mute.ok
    assert "may not write" in mute.summary


async def test_the_live_check_of_a_webhook_says_where_slack_has_to_post(build: Build) -> None:
    settings = {"mode": "webhook", "signing_secret": "0123456789abcdef"}
    none = await build(**settings).probe()
    known = await build(**settings, public_url="https://chat.example.org").probe()

    assert "http.public_url" in none.advice[0]
    assert "https://chat.example.org/webhooks/slack/default" in known.advice[0]
    assert "/moltgate" in known.advice[0]


async def test_previews_share_the_workspaces_edits_and_a_busy_channel_holds_up_no_other() -> None:
    pace = SlackPace(RateConfig(channel=1, updates=10))
    allowed = [await pace.spare(f"C{number}") for number in range(20)]
    assert 1 <= sum(allowed) <= 8

    for _ in range(3):
        await pace.wait("C1")
    assert not await pace.spare("C1")
    await pace.wait("C2")
    free = SlackPace(RateConfig(channel=0, updates=0))
    assert all([await free.spare("C1") for _ in range(100)])
