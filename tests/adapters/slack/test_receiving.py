"""What people do on (the fake) Slack arrives in the inbox, over Socket Mode."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.client import WebApi
from adapters.slack.config import SlackConfig
from adapters.slack.media import Files
from adapters.slack.parse import Self
from adapters.slack.people import People
from adapters.slack.reception import TRIES, Reception
from gateway.errors import BadConfig
from gateway.message import Button, Place
from tests.adapters.slack.scene import ACCOUNT, Build, part
from tests.fakes.clock import HastyClock
from tests.fakes.inbox import MemoryInbox, running
from tests.fakes.services import Counts, services
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.fakes.stores import MemoryBlobs

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 100
MESSAGE = {"type": "message", "channel": "D7", "user": "U7", "ts": "1700000000.5", "text": "hi"}
PICTURE = {"name": "a.png", "mimetype": "image/png", "content": PNG}


@contextlib.asynccontextmanager
async def reception(
    inbox: MemoryInbox, blobs: MemoryBlobs, counts: Counts, **limits: Any
) -> AsyncIterator[Reception]:
    """One that is in a hurry; its Slack cannot be reached."""
    clock, keep = HastyClock(), services(ACCOUNT).keep
    api = WebApi(
        SlackConfig(
            bot_token=BOT_TOKEN,  # type: ignore[arg-type]
            app_token=APP_TOKEN,  # type: ignore[arg-type]
            base_url="http://127.0.0.1:9/",
        )
    )
    me = Self(account=ACCOUNT, team="T01", user="U0BOT")
    files = Files(api, blobs, limit=1000, timeout=1.0)
    door = Reception(
        me, People(api, clock), files, inbox, clock, keep, counts.happened, follow=True, **limits
    )
    try:
        yield door
    finally:
        await door.close()
        await api.close()


async def test_an_envelope_is_confirmed_only_after_its_event_was_stored(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    inbox.open.clear()
    slack.say("D7", "U7", "hello")
    await slack.until(lambda: inbox.offered)
    assert slack.world.deliveries[0].open

    inbox.open.set()
    await slack.all_confirmed()
    assert inbox.texts == ["hello"]
    assert len(inbox.offered) == 1
    assert slack.server.strays == []


async def test_what_takes_too_long_is_not_confirmed_and_found_by_its_repetition(
    slack: FakeSlack, counts: Counts, slack_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    box.open.clear()
    payload = slack.world.push({**MESSAGE, "text": "slow"})
    async with reception(box, slack_blobs, counts, patience=0.05) as door:
        assert not await door.take("events_api", payload)
        assert not await door.take("events_api", payload)
        assert counts["late"] == 2
        box.open.set()
        await slack.until(lambda: box.events)
        await taken(door, payload)

    assert box.texts == ["slow"]


async def taken(door: Reception, payload: dict[str, Any]) -> None:
    """As Slack does it: again until it is confirmed."""
    async with asyncio.timeout(30):
        while not await door.take("events_api", payload):
            await asyncio.sleep(0.01)


async def test_after_its_end_nothing_new_is_begun(
    slack: FakeSlack, counts: Counts, slack_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    payload = slack.world.push(MESSAGE)
    async with reception(box, slack_blobs, counts, patience=30.0) as door:
        pass
    assert not await door.take("events_api", payload)
    assert box.offered == []


async def test_with_too_much_on_its_way_nothing_more_is_taken(
    slack: FakeSlack, counts: Counts, slack_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    box.open.clear()
    payloads = [
        slack.world.push({**MESSAGE, "channel": f"D{number}", "text": f"{number}"})
        for number in range(3)
    ]
    async with reception(box, slack_blobs, counts, patience=0.05, most=2) as door:
        answers = [await door.take("events_api", payload) for payload in payloads]
        assert (answers, counts["crowded"]) == ([False] * 3, 1)
        box.open.set()
        await slack.until(lambda: len(box.events) == 2)
        assert len(box.offered) == 2
        await taken(door, payloads[2])

    assert sorted(box.texts) == ["0", "1", "2"]


async def test_what_the_store_does_not_take_is_handed_in_again_without_slack(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    inbox.down = True
    slack.say("D7", "U7", "hello")
    await slack.until(lambda: len(inbox.offered) >= 3)
    assert slack.world.deliveries[0].attempts == 1
    assert slack.world.deliveries[0].open

    inbox.down = False
    await slack.all_confirmed()
    assert inbox.texts == ["hello"]


async def test_a_message_and_its_mention_are_stored_once_however_often_they_come(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    ts = slack.say("C5", "U7", "<@U0BOT> hello")["ts"]
    for _ in range(4):
        slack.world.again(f"C5/{ts}")
    await slack.all_confirmed()

    assert len(slack.world.deliveries) > 8
    assert inbox.texts == ["hello"]


async def test_a_command_that_was_not_stored_fails_visibly_and_is_not_done_later(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    inbox.down = True
    slack.slash("D7", "U7", "new")
    await slack.until(lambda: inbox.offered)
    slack.server.drop()
    await slack.all_confirmed()
    inbox.down = False
    slack.say("D7", "U7", "after")
    await slack.all_confirmed()

    assert inbox.texts == ["after"]
    assert [each.outcome for each in slack.world.deliveries] == ["failed", "acked"]


async def test_a_command_that_was_not_stored_is_given_up_at_once(
    slack: FakeSlack, counts: Counts, slack_blobs: MemoryBlobs
) -> None:
    box = MemoryInbox()
    box.down = True
    slack.slash("D7", "U7", "new")
    async with reception(box, slack_blobs, counts, patience=600.0) as door, asyncio.timeout(30):
        assert not await door.take("slash_commands", slack.world.deliveries[0].payload)
    assert len(box.offered) == 1


async def test_messages_of_one_conversation_come_in_order_and_one_holds_up_no_other(
    slack: FakeSlack, inbox: MemoryInbox, slack_blobs: MemoryBlobs
) -> None:
    slack_blobs.open.clear()
    slack.say("D7", "U7", "with a picture", files=[PICTURE])
    slack.say("D7", "U7", "after it")
    for number in range(20):
        slack.say("D8", "U8", f"{number}")
    await slack.until(lambda: len(inbox.events) == 20)
    assert inbox.texts == [str(number) for number in range(20)]

    slack_blobs.open.set()
    await slack.all_confirmed()
    assert inbox.texts[20:] == ["with a picture", "after it"]


async def test_a_command_goes_past_what_a_slow_file_holds_up(
    slack: FakeSlack, inbox: MemoryInbox, slack_blobs: MemoryBlobs
) -> None:
    slack_blobs.open.clear()
    slack.say("D7", "U7", "with a picture", files=[PICTURE])
    slack.slash("D7", "U7", "stop")
    await slack.until(lambda: inbox.texts == ["/stop"])
    assert slack.world.deliveries[0].open
    slack_blobs.open.set()
    await slack.all_confirmed()


async def test_everything_arrives_when_much_comes_at_once(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    for number in range(300):
        slack.say(f"D{number % 40}", f"U{number % 40}", f"{number}")
    await slack.all_confirmed()

    assert sorted(inbox.texts, key=int) == [str(number) for number in range(300)]
    for chat in range(40):
        heard = [int(each.text) for each in inbox.events if each.place.chat == f"D{chat}"]
        assert heard == sorted(heard)


async def test_our_own_messages_and_edits_are_not_heard(
    slack: FakeSlack, adapter: SlackAdapter, inbox: MemoryInbox
) -> None:
    receipt = await adapter.send(part("hello"))
    await adapter.edit(part("hello again"), receipt.native_id)
    await slack.all_confirmed()

    assert len(slack.world.deliveries) == 2
    assert inbox.offered == []


async def test_names_are_for_display_and_looked_up_once(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    slack.world.user("U7", profile={"display_name": "Ada", "real_name": "Ada L."})
    slack.world.user("U8", profile={"display_name": "", "real_name": "Bob"})
    slack.say("D7", "U7", "ask <@U8>")
    slack.say("D7", "U7", "again")
    await slack.all_confirmed()

    assert [each.sender.name for each in inbox.events] == ["Ada", "Ada"]
    assert inbox.texts == ["ask @Bob", "again"]
    assert len(slack.calls("users.info")) == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "error": "missing_scope"},
        {"kind": "flood", "seconds": 60.0},
        {"kind": "status", "status": 500},
        {"kind": "cut"},
        {"kind": "garbage"},
        {"kind": "delay", "seconds": 30.0},
    ],
)
async def test_without_a_name_a_message_is_taken_all_the_same(
    slack: FakeSlack, inbox: MemoryInbox, fault: dict[str, Any]
) -> None:
    slack.fault("users.info", times=None, **fault)
    slack.say("D7", "U7", "hello")
    slack.say("D7", "U7", "again")
    await slack.all_confirmed()

    assert [each.sender.id for each in inbox.events] == ["T01/U7", "T01/U7"]
    assert inbox.events[0].sender.name == ""


async def test_a_flooded_look_up_is_left_alone(slack: FakeSlack, inbox: MemoryInbox) -> None:
    slack.fault("users.info", "flood", seconds=60.0)
    for number in range(10):
        slack.say(f"D{number}", f"U{number}", "hello")
        await slack.all_confirmed()

    assert len(slack.calls("users.info")) == 1


async def test_a_picture_is_fetched_with_the_token(slack: FakeSlack, inbox: MemoryInbox) -> None:
    slack.say("D7", "U7", "look", files=[PICTURE])
    await slack.all_confirmed()

    (event,) = inbox.events
    (found,) = event.attachments
    assert (found.kind, found.media_type, found.name) == ("image", "image/png", "a.png")
    assert found.digest == hashlib.sha256(PNG).hexdigest()


async def test_what_is_not_let_in_has_no_file_fetched(slack: FakeSlack, inbox: MemoryInbox) -> None:
    inbox.ignores = lambda event: event.sender.id == "T01/U666"
    slack.say("D6", "U666", "look", files=[PICTURE])
    slack.say("D7", "U7", "look", files=[PICTURE])
    await slack.all_confirmed()

    assert len(inbox.offered) == 2
    assert len(slack.calls("download")) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/steal",
        "https://evil.example/F001",
        "http://files.slack.com.evil.example/F001",
        "file:///etc/passwd",
        "ftp://files.slack.com/F001",
        "http://[::1/F001",
        "",
    ],
)
async def test_the_token_goes_to_slacks_host_only(
    slack: FakeSlack, inbox: MemoryInbox, url: str
) -> None:
    file = {**PICTURE, "url_private": url, "url_private_download": url}
    slack.say("D7", "U7", "look", files=[file])
    await slack.all_confirmed()

    assert inbox.events[0].attachments[0].problem == "it could not be fetched from Slack"
    assert not slack.calls("download")


@contextlib.asynccontextmanager
async def eavesdropper() -> AsyncIterator[tuple[str, list[str]]]:
    """Another server on this machine: its address, and what it was asked."""
    asked: list[str] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", asked


async def test_another_host_is_not_even_asked(slack: FakeSlack, inbox: MemoryInbox) -> None:
    async with eavesdropper() as (url, asked):
        slack.say("D7", "U7", "at once", files=[{**PICTURE, "url_private_download": url}])
        await slack.all_confirmed()
        slack.fault("download", "status", status=302, error=url)
        slack.say("D7", "U7", "by a redirect", files=[PICTURE])
        await slack.all_confirmed()

    assert [bool(each.attachments[0].problem) for each in inbox.events] == [True, True]
    assert asked == []


async def test_a_redirect_within_slack_is_followed(slack: FakeSlack, inbox: MemoryInbox) -> None:
    slack.fault("download", "status", status=302, error="/files/F001")
    slack.say("D7", "U7", "look", files=[PICTURE])
    await slack.all_confirmed()

    assert inbox.events[0].attachments[0].digest == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    ("given", "fault", "words"),
    [
        ({"mode": "external"}, None, "stands outside of Slack"),
        ({"mode": "hidden_by_limit"}, None, "at its limit"),
        ({"size": 30 * 2**20}, None, "larger than 20 MB"),
        ({}, {"kind": "status", "status": 404}, "could not be fetched from Slack"),
        ({}, {"kind": "cut", "times": None}, "could not be fetched from Slack"),
        ({}, {"kind": "delay", "seconds": 60.0}, "within 0.2 seconds"),
    ],
)
async def test_a_file_that_is_not_to_be_had_is_told_and_holds_up_nothing(
    slack: FakeSlack, build: Build, given: dict[str, Any], fault: Any, words: str
) -> None:
    box = MemoryInbox()
    if fault:
        slack.fault("download", **fault)
    timeout = 0.2 if "0.2" in words else 60.0
    async with running(build(file_timeout=timeout), box):
        slack.say("D7", "U7", "look", files=[{**PICTURE, **given}])
        await slack.all_confirmed()

    assert box.texts == ["look"]
    assert words in box.events[0].attachments[0].problem


async def test_a_login_page_is_no_file(slack: FakeSlack, inbox: MemoryInbox) -> None:
    file = {**PICTURE, "url_private_download": f"{slack.server.url}/files/F404"}
    slack.say("D7", "U7", "look", files=[file])
    await slack.all_confirmed()
    assert inbox.events[0].attachments[0].problem


async def test_a_file_of_another_workspace_is_looked_up(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    slack.say("D7", "U7", "look", files=[PICTURE])
    await slack.all_confirmed()
    shared = {"id": "F001", "mode": "file_access", "file_access": "check_file_info"}
    slack.world.push(
        {
            "type": "message",
            "subtype": "file_share",
            "channel": "D7",
            "user": "U9",
            "ts": slack.world.ts(),
            "text": "shared",
            "files": [shared],
        }
    )
    await slack.all_confirmed()

    assert inbox.events[1].attachments[0].digest == hashlib.sha256(PNG).hexdigest()


async def test_while_files_cannot_be_kept_their_message_is_not_confirmed(
    slack: FakeSlack, inbox: MemoryInbox, slack_blobs: MemoryBlobs
) -> None:
    slack_blobs.down = True
    slack.say("D7", "U7", "look", files=[PICTURE])
    await slack.until(lambda: len(inbox.offered) >= 2)
    assert inbox.events == []

    slack_blobs.down = False
    await slack.all_confirmed()
    assert inbox.events[0].attachments[0].digest


async def test_edits_deletes_reactions_presses_and_commands_arrive(
    slack: FakeSlack, adapter: SlackAdapter, inbox: MemoryInbox
) -> None:
    first = slack.say("D7", "U7", "frist")["ts"]
    slack.say("D7", "U7", "first", edit=first)
    slack.world.unfurled("D7", first)
    slack.react("D7", "U7", first, "+1")
    slack.delete("D7", first)
    asked = await adapter.send(part("well?", buttons=((Button(label="Yes", data="yes"),),)))
    slack.press("D7", "U7", asked.native_id, "yes")
    slack.slash("D7", "U7", "stop")
    await slack.all_confirmed()

    kinds = [(each.kind, each.text) for each in inbox.events]
    assert sorted(kinds) == [
        ("button", "yes"),
        ("command", "/stop"),
        ("delete", ""),
        ("edit", "first"),
        ("message", "frist"),
        ("reaction", "👍"),
    ]
    edit = next(each for each in inbox.events if each.kind == "edit")
    assert edit.target == first
    assert len({each.conversation for each in inbox.events}) == 1


async def test_in_a_thread_in_which_we_were_addressed_nobody_has_to_say_our_name_again(
    slack: FakeSlack, build: Build
) -> None:
    box = MemoryInbox()
    async with running(build(), box):
        opened = slack.say("C5", "U7", "<@U0BOT> hello")["ts"]
        await slack.all_confirmed()
        slack.say("C5", "U8", "and?", thread=opened)
        other = slack.say("C5", "U7", "just talking")["ts"]
        slack.say("C5", "U8", "really", thread=other)
        await slack.all_confirmed()
    async with running(build(), after := MemoryInbox()):
        slack.say("C5", "U8", "after a restart", thread=opened)
        await slack.all_confirmed()
    async with running(build(follow_threads=False), never := MemoryInbox()):
        slack.say("C5", "U8", "switched off", thread=opened)
        await slack.all_confirmed()

    addressed = {each.text: each.addressed for each in box.events}
    assert addressed == {"hello": True, "and?": True, "just talking": False, "really": False}
    assert box.events[0].place == Place(kind="thread", chat="C5", thread=opened)
    assert after.events[0].addressed
    assert not never.events[0].addressed


async def test_a_stranger_makes_no_thread_ours(slack: FakeSlack, inbox: MemoryInbox) -> None:
    inbox.ignores = lambda event: event.sender.id == "T01/U666"
    opened = slack.say("C5", "U666", "<@U0BOT> hello")["ts"]
    slack.say("C5", "U8", "not you", thread=opened)
    await slack.all_confirmed()

    assert [each.addressed for each in inbox.events] == [False]


async def test_a_payload_nobody_can_read_is_counted_and_blocks_nothing(
    slack: FakeSlack, inbox: MemoryInbox, counts: Counts
) -> None:
    slack.world.push({"type": "message", "channel": "D7", "ts": 5})
    slack.world.push({"type": "something_new", "channel": "D7"})
    slack.say("D7", "U7", "hello")
    await slack.all_confirmed()

    assert inbox.texts == ["hello"]
    assert counts["unreadable"] == 1


async def test_an_event_the_gateway_will_never_take_and_one_that_meets_a_bug_are_passed_over(
    slack: FakeSlack, inbox: MemoryInbox, counts: Counts
) -> None:
    inbox.rejects = lambda event: event.text == "rejected"
    inbox.breaks = lambda event: event.text == "broken"
    for text in ("rejected", "broken", "fine"):
        slack.say("D7", "U7", text)
    await slack.all_confirmed()

    assert inbox.texts == ["fine"]
    assert counts["rejected"] == 2
    assert [each.text for each in inbox.offered].count("broken") == TRIES


async def test_what_a_stop_left_open_comes_again(slack: FakeSlack, build: Build) -> None:
    first, second = MemoryInbox(), MemoryInbox()
    first.open.clear()
    async with running(build(), first):
        slack.say("D7", "U7", "hello")
        await slack.until(lambda: first.offered)
    async with running(build(), second):
        await slack.all_confirmed()

    assert second.texts == ["hello"]


# --- the connection ---------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_connection_is_replaced_before_it_ends_and_nothing_is_lost(
    slack: FakeSlack, inbox: MemoryInbox, reason: str
) -> None:
    for round_ in range(3):
        going = asyncio.create_task(slack.server.disconnect(reason, after=0.2, gently=True))
        for number in range(10):
            slack.say("D7", "U7", f"{round_} {number}")
            await asyncio.sleep(0.01)
        await asyncio.wait_for(going, 30)
    await slack.all_confirmed()

    assert inbox.texts == [f"{round_} {number}" for round_ in range(3) for number in range(10)]
    assert all(each.attempts == 1 for each in slack.world.deliveries)


async def test_the_old_connection_is_read_and_confirmed_to_its_end(
    slack: FakeSlack, inbox: MemoryInbox
) -> None:
    inbox.open.clear()
    slack.say("D7", "U7", "on the old one")
    await slack.until(lambda: inbox.offered)
    going = asyncio.create_task(slack.server.disconnect("warning", after=1.0, gently=True))
    await slack.until(lambda: len(slack.server.connections) == 2)
    inbox.open.set()
    await slack.all_confirmed()
    await asyncio.wait_for(going, 30)

    assert slack.world.deliveries[0].attempts == 1
    assert slack.server.strays == []


async def test_a_connection_that_is_cut_is_opened_again(
    slack: FakeSlack, inbox: MemoryInbox, counts: Counts
) -> None:
    for number in range(5):
        slack.server.drop()
        slack.say("D7", "U7", f"{number}")
        await slack.until(lambda number=number: f"{number}" in inbox.texts)  # type: ignore[misc]
    assert inbox.texts == [str(number) for number in range(5)]
    assert counts["reconnected"] >= 4


async def test_the_next_connection_does_not_wait_for_the_last_ones_events(
    slack: FakeSlack, inbox: MemoryInbox, counts: Counts
) -> None:
    inbox.open.clear()
    slack.say("D7", "U7", "hello")
    await slack.until(lambda: inbox.offered)
    slack.server.drop()
    await slack.until(lambda: slack.world.deliveries[0].attempts == 2)

    assert not counts["late"]
    inbox.open.set()
    await slack.all_confirmed()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500},
        {"kind": "cut"},
        {"kind": "garbage"},
        {"kind": "error", "error": "internal_error"},
        {"kind": "flood", "seconds": 0.05},
    ],
)
async def test_while_slack_opens_no_socket_it_is_asked_again_with_patience(
    slack: FakeSlack, build: Build, slack_clock: HastyClock, fault: dict[str, Any]
) -> None:
    slack.fault("apps.connections.open", times=3, **fault)
    async with running(build(), box := MemoryInbox()):
        slack.say("D7", "U7", "hello")
        await slack.all_confirmed()

    assert box.texts == ["hello"]
    assert slack_clock.slept
    assert len(slack.calls("apps.connections.open")) >= 2


async def test_another_program_on_the_same_app_is_noticed(
    slack: FakeSlack, build: Build, counts: Counts
) -> None:
    async with running(build(), MemoryInbox()):
        await slack.connected()
        assert not counts["other_connections"]
        async with running(build(), MemoryInbox()):
            await slack.until(lambda: counts["other_connections"])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"method": "auth.test", "error": "invalid_auth"}, "does not accept the token"),
        ({"method": "auth.test", "error": "account_inactive"}, "account_inactive"),
        ({"method": "apps.connections.open", "error": "token_revoked"}, "token_revoked"),
        ({"method": "apps.connections.open", "error": "forbidden"}, "switch Socket Mode on"),
    ],
)
async def test_a_refused_token_ends_the_account_at_once(
    slack: FakeSlack, build: Build, fault: dict[str, str], words: str
) -> None:
    slack.fault(fault["method"], "error", error=fault["error"], times=None)

    with pytest.raises(BadConfig, match=words):
        await asyncio.wait_for(build().run(MemoryInbox()), 30)

    assert len(slack.world.calls) <= 2


async def test_a_token_that_is_revoked_while_we_listen_ends_the_account(
    slack: FakeSlack, build: Build
) -> None:
    task = asyncio.create_task(build().run(MemoryInbox()))
    await slack.connected()
    slack.world.revoked = True
    slack.server.drop()

    with pytest.raises(BadConfig, match="token_revoked"):
        await asyncio.wait_for(task, 30)
    assert len([call for call in slack.world.calls if call.error]) == 1


async def test_socket_mode_switched_off_ends_the_account(slack: FakeSlack, build: Build) -> None:
    task = asyncio.create_task(build().run(MemoryInbox()))
    await slack.connected()
    await slack.server.disconnect("link_disabled", after=0)

    with pytest.raises(BadConfig, match="Socket Mode was switched off"):
        await asyncio.wait_for(task, 30)


async def test_without_the_scope_to_write_the_account_does_not_start(
    slack: FakeSlack, build: Build
) -> None:
    slack.world.scopes.discard("chat:write")

    with pytest.raises(BadConfig, match="chat:write"):
        await asyncio.wait_for(build().run(MemoryInbox()), 30)
