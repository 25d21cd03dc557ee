"""What must hold whoever writes: the gate, the strangers, the previews."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.slack.render import split
from gateway.access.config import AccessConfig, AccountRules
from gateway.access.pairing import PENDING, list_pending
from gateway.intake import STRANGERS, Intake
from gateway.message import Button
from gateway.sessions.commands import Commands
from tests.adapters.slack.scene import ACCOUNT, Build, part
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.lanes import MemoryLanes
from tests.fakes.slack import FakeSlack
from tests.fakes.stores import MemoryRecords


def gate(lanes: MemoryLanes, records: MemoryRecords, **access: Any) -> Intake:
    """The inbox as the gateway has it."""
    clock = HastyClock()
    rules = AccountRules(account=ACCOUNT, access=AccessConfig(**access))
    return Intake(
        lanes,
        records,
        {ACCOUNT.key: rules},
        clock,
        split,
        commands=Commands(lanes, records, clock, models=lambda: (), version="1"),
    )


async def test_every_kind_of_event_goes_through_the_gate_once(
    slack: FakeSlack, build: Build
) -> None:
    box, adapter = MemoryInbox(), build()
    async with running(adapter, box):
        first = slack.say("D7", "U7", "message")["ts"]
        slack.say("D7", "U7", "edited", edit=first)
        slack.say("D7", "U7", "in a thread", thread=first)
        slack.say("D7", "U7", "", files=[{"content": b"text"}])
        slack.say("D7", "U7", "", files=[{"content": b"OggS", "subtype": "slack_audio"}])
        shared = {"attachments": [{"text": "forwarded", "is_share": True}]}
        slack.say("D7", "U7", "see", fields=shared)
        slack.react("D7", "U7", first, "+1")
        slack.delete("D7", first)
        asked = await adapter.send(part("well?", buttons=((Button(label="Yes", data="y"),),)))
        slack.press("D7", "U7", asked.native_id, "y")
        slack.slash("D7", "U7", "stop")
        sent = len(slack.calls("chat.postMessage"))
        await slack.all_confirmed()

    kinds = sorted(each.kind for each in box.offered)
    assert kinds == sorted(["message"] * 5 + ["edit", "reaction", "delete", "button", "command"])
    assert len({each.id for each in box.offered}) == len(kinds)
    assert len(slack.calls("chat.postMessage")) == sent


async def test_a_thousand_strangers_reach_no_lane_and_fill_no_store(
    slack: FakeSlack, build: Build
) -> None:
    lanes, records = MemoryLanes(), MemoryRecords()
    async with running(build(), gate(lanes, records)):
        for number in range(1000):
            chat, user = f"D{number}", f"U1{number}"
            ts = slack.say(chat, user, f"let me in {number}", files=[{"content": b"x"}])["ts"]
            if number % 3 == 0:
                slack.say(chat, user, "edited", edit=ts)
                slack.react(chat, user, ts, "+1")
                slack.delete(chat, ts)
        await slack.all_confirmed()

    assert lanes.waiting == {}
    assert lanes.calls["put"] == 0
    assert not slack.calls("download")
    assert len(lanes.outbox) == STRANGERS
    assert len(await list_pending(records)) == PENDING
    assert sum(len(table) for table in records._tables.values()) <= STRANGERS + PENDING


async def test_somebody_who_takes_a_friends_name_or_comes_from_elsewhere_is_a_stranger(
    slack: FakeSlack, build: Build
) -> None:
    lanes, records = MemoryLanes(), MemoryRecords()
    rules = gate(lanes, records, allow_from=["T01/U7"], dm_policy="allowlist", allow_bots=True)
    slack.world.user("U7", profile={"display_name": "ada", "real_name": "ada"})
    slack.world.user("U8", profile={"display_name": "T01/U7", "real_name": "ada"}, name="U7")
    async with running(build(), rules):
        slack.say("D8", "U8", "I am ada")
        slack.say("D9", "U7", "same id, other team", fields={"team": "T02", "user_team": "T02"})
        slack.say("D8", "U8", "a bot says", fields={"bot_id": "B7", "username": "T01/U7"})
        slack.slash("D8", "U8", "the real ada")
        await slack.all_confirmed()
        assert lanes.waiting == {}
        slack.say("D7", "U7", "it is me")
        await slack.all_confirmed()

    ((stored,),) = lanes.waiting.values()
    assert stored.text == "it is me"


async def test_channels_need_a_mention_and_their_place_in_the_list(
    slack: FakeSlack, build: Build
) -> None:
    lanes, records = MemoryLanes(), MemoryRecords()
    async with running(build(), gate(lanes, records, groups=["C5"], allow_from=["T01/U7"])):
        slack.say("C5", "U9", "just talking")
        slack.say("C6", "U7", "<@U0BOT> elsewhere")
        slack.say("D9", "U9", "directly")
        slack.say("C5", "U9", "<@U0BOT> here")
        await slack.all_confirmed()

    stored = [event.text for lane in lanes.waiting.values() for event in lane]
    assert stored == ["here"]


@pytest.mark.parametrize(
    "text",
    [
        "http://evil.example/?q=secret",
        "[a](http://evil.example/?q=secret)",
        "![a](http://evil.example/?q=secret)",
        "[a]: http://evil.example/?q=secret\n\n[a]",
        "<http://evil.example/?q=secret>",
        "<!channel> <@U7> @here",
    ],
)
async def test_no_call_that_shows_text_lets_slack_fetch_its_links_or_calls_anybody(
    slack: FakeSlack, build: Build, text: str
) -> None:
    adapter = build()
    rows = ((Button(label=text, data="b"),),)
    sent = await adapter.send(part(text))
    await adapter.edit(part(text + " more"), sent.native_id)
    slack.fault("chat.postMessage", "error", error="invalid_blocks")
    await adapter.send(part(text, reply="r2", buttons=rows))
    slack.fault("chat.update", "error", error="invalid_blocks")
    await adapter.edit(part(text, reply="r2", buttons=rows), sent.native_id)
    await adapter.send(part(text, reply="r3", buttons=rows))

    shown = [call for call in slack.world.calls if "text" in call.params]
    assert len(shown) == 7
    for call in shown:
        assert call.params["unfurl_links"] is call.params["unfurl_media"] is False
    for message in slack.seen("D7"):
        assert message.pings == []


async def test_neither_token_nor_text_is_logged(
    slack: FakeSlack, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter, box = build(), MemoryInbox()
    box.rejects = lambda event: event.text == "secret words three"
    slack.fault("users.info", "error", error="fatal_error")
    async with running(adapter, box):
        slack.say("D7", "U7", "secret words")
        slack.say("D7", "U7", "secret words three")
        slack.world.push({"type": "message", "text": "secret words", "ts": 1})
        await slack.all_confirmed()
        slack.fault("chat.postMessage", "error", error="invalid_blocks")
        await adapter.send(part("secret words", buttons=((Button(label="a", data="b"),),)))
        slack.server.drop()

    logged = capsys.readouterr()
    assert "event_rejected" in logged.out
    assert "secret words" not in logged.out + logged.err
    assert slack.bot_token not in logged.out + logged.err
    assert slack.app_token not in logged.out + logged.err
