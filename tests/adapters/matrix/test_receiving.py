from __future__ import annotations

import asyncio

import pytest

from adapters.matrix.gaps import PAGE
from adapters.matrix.sync import TIMELINE
from gateway.errors import BadConfig, Unavailable
from gateway.message import inbound_id
from tests.adapters.matrix.scene import ACCOUNT, Scene, until
from tests.servers import synapse
from tests.servers.synapse import Proxy

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


async def test_a_message_an_edit_a_reaction_and_a_removal_name_the_same_event(scene: Scene) -> None:
    async with scene.running():
        first = await scene.person.say(scene.room, "what is the capital of Fraance?")
        await scene.person.edit(scene.room, first, "what is the capital of France?")
        await scene.person.react(scene.room, first, "👍")
        await scene.person.redact(scene.room, first)
        said, edited, reacted, removed = (await scene.taken(4))[:4]

    assert (said.kind, edited.kind, reacted.kind, removed.kind) == (
        "message",
        "edit",
        "reaction",
        "delete",
    )
    assert said.id == inbound_id(ACCOUNT, scene.room, first)
    assert edited.text == "what is the capital of France?"
    assert edited.target == reacted.target == removed.target == said.native_id == first
    assert reacted.text == "👍"
    assert len({said.id, edited.id, reacted.id, removed.id}) == 4
    assert said.sender.grade == "verified"
    assert said.sent_at > 0


async def test_what_was_said_before_the_very_first_start_is_not_answered(scene: Scene) -> None:
    scene.records = type(scene.records)()
    await scene.person.say(scene.room, "old")
    async with scene.running() as adapter:
        await adapter.typing(scene.part().conversation, scene.part().place)
        await adapter.send(scene.part("here I am"))
        await scene.person.say(scene.room, "new")
        await scene.taken()

    assert scene.inbox.texts == ["new"]


async def test_after_a_restart_it_goes_on_where_it_stood(scene: Scene) -> None:
    async with scene.running():
        await scene.person.say(scene.room, "one")
        await scene.taken()
    for word in ("two", "three"):
        await scene.person.say(scene.room, word)
    async with scene.running():
        await scene.taken(3)

    assert scene.inbox.texts == ["one", "two", "three"]
    assert len(scene.inbox.offered) <= 4  # the place was noted, or the last one came twice


async def test_the_place_is_not_noted_before_everything_is_stored(scene: Scene) -> None:
    scene.inbox.down = True
    async with scene.running():
        await scene.person.say(scene.room, "hold on")
        await until(lambda: scene.inbox.offered)
    assert scene.inbox.events == []
    scene.inbox.down = False
    async with scene.running():
        await scene.taken()

    assert scene.inbox.texts == ["hold on"]


async def test_a_gap_is_filled_in_order_page_by_page(scene: Scene) -> None:
    absent = TIMELINE + PAGE + 5
    async with scene.running():
        await scene.person.say(scene.room, "before")
        await scene.taken()
    for number in range(absent):
        await scene.person.say(scene.room, str(number))
    async with scene.running():
        await scene.taken(absent + 1)

    assert scene.inbox.texts == ["before", *map(str, range(absent))]
    assert scene.counts["backfilled"] == 1
    assert scene.counts["backfill_capped"] == 0


async def test_a_gap_is_filled_up_to_a_limit_and_the_rest_counted(scene: Scene) -> None:
    for number in range(80):
        await scene.person.say(scene.room, str(number))
    async with scene.running(backfill=10):
        await scene.taken(60)

    assert scene.inbox.texts == [*map(str, range(20, 80))]
    assert scene.counts["backfill_capped"] == 1


async def test_a_stand_that_the_homeserver_does_not_know_is_told_and_survived(scene: Scene) -> None:
    keep = scene.services().keep
    raw = await keep.get("sync")
    assert raw is not None
    await keep.set("sync", raw.replace(b'"token":"s', b'"token":"nonsense'))
    async with scene.running() as adapter:
        await adapter.send(scene.part("here again"))
        await scene.person.say(scene.room, "good")
        await scene.taken()

    assert scene.counts["history_lost"] == 1
    assert scene.inbox.texts == ["good"]


async def test_files_come_with_what_they_are(scene: Scene) -> None:
    person = scene.person
    picture, voice = await person.upload(PNG), await person.upload(OGG)
    given = scene.services()
    async with scene.running(given):
        await person.send(
            scene.room,
            {"msgtype": "m.image", "body": "what is it?", "filename": "cat.png", "url": picture},
        )
        await person.send(
            scene.room,
            {
                "msgtype": "m.audio",
                "body": "Voice message",
                "url": voice,
                "info": {"duration": 3000, "size": len(OGG)},
                "org.matrix.msc3245.voice": {},
            },
        )
        await person.send(
            scene.room, {"msgtype": "m.file", "body": "x", "url": "mxc://elsewhere.test/none"}
        )
        await person.send(
            scene.room, {"msgtype": "m.file", "body": "x", "url": "http://127.0.0.1:1/x"}
        )
        seen, heard, foreign, web = await scene.taken(4)

    assert seen.text == "what is it?"
    assert seen.attachments[0].name == "cat.png"
    assert (seen.attachments[0].kind, seen.attachments[0].media_type) == ("image", "image/png")
    assert (heard.attachments[0].kind, heard.attachments[0].duration) == ("voice", 3.0)
    assert heard.text == ""
    stored = b"".join([chunk async for chunk in given.blobs.read(seen.attachments[0].digest)])
    assert stored == PNG
    assert foreign.attachments[0].problem
    assert "no file" in web.attachments[0].problem


async def test_nothing_is_fetched_for_strangers_or_beyond_the_limit(
    scene: Scene, proxy: Proxy
) -> None:
    large = await scene.person.upload(b"\0" * 200_000)
    content = {"msgtype": "m.file", "body": "x", "url": large}
    scene.inbox.ignores = lambda event: not event.text.startswith("now")
    async with scene.running(file_limit="64KB"):
        await scene.person.send(scene.room, content)
        await until(lambda: scene.inbox.offered)
        assert not any("download" in path for path in proxy.calls)
        scene.inbox.ignores = lambda event: False
        await scene.person.send(scene.room, {**content, "filename": "x", "body": "now"})
        (event,) = await scene.taken()

    assert "larger than" in event.attachments[0].problem
    assert not event.attachments[0].digest


async def test_in_a_group_it_listens_to_what_is_meant_for_it(scene: Scene) -> None:
    other = await scene.server.user()
    room = await scene.person.room(scene.bot.id, other.id)
    await scene.bot.join(room)
    await other.join(room)
    mention = {"m.mentions": {"user_ids": [scene.bot.id]}}
    async with scene.running() as adapter:
        ours = (await adapter.send(scene.part("an answer", room=room))).native_id
        await other.say(room, "has anybody seen my keys?", **{"m.mentions": {}})
        await other.say(room, "where are my keys?", **mention)
        answer = {"m.relates_to": {"m.in_reply_to": {"event_id": ours}}, "m.mentions": {}}
        await other.say(room, "really?", **answer)
        events = await scene.taken(3)

    assert [(one.text, one.addressed) for one in events] == [
        ("has anybody seen my keys?", False),
        ("where are my keys?", True),
        ("really?", True),
    ]
    assert {one.place.kind for one in events} == {"group"}
    assert events[2].reply_to == ours
    assert events[2].quote == "an answer"
    assert events[0].conversation == events[1].conversation


async def test_a_direct_chat_that_a_third_one_enters_is_a_group(scene: Scene) -> None:
    other = await scene.server.user()
    async with scene.running():
        await scene.person.say(scene.room, "between us")
        await scene.taken(1)
        await scene.person.invite(scene.room, other.id)
        await scene.person.say(scene.room, "not any more")
        private, public = await scene.taken(2)

    assert (private.place.kind, public.place.kind) == ("direct", "group")
    assert private.conversation != public.conversation


async def test_a_thread_is_a_conversation_of_its_own_and_its_edits_are_in_it(scene: Scene) -> None:
    root = await scene.person.say(scene.room, "root")
    relation = {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": root},
    }
    async with scene.running():
        inside = await scene.person.say(scene.room, "inside", **{"m.relates_to": relation})
        await scene.person.edit(scene.room, inside, "well inside")
        await scene.taken(3)
    first, second, third = scene.inbox.events
    assert first.place.thread == ""
    assert second.place.thread == third.place.thread == root
    assert second.reply_to == ""
    assert third.conversation == second.conversation != first.conversation


async def test_nobody_edits_what_somebody_else_said(scene: Scene) -> None:
    other = await scene.server.user()
    room = await scene.person.room(scene.bot.id, other.id)
    await scene.bot.join(room)
    await other.join(room)
    async with scene.running():
        asked = await scene.person.say(room, "pay 1 coin")
        await other.edit(room, asked, "pay 1,000 coins")
        await other.say(room, "done")
        await scene.taken(2)

    assert scene.inbox.texts == ["pay 1 coin", "done"]


async def test_other_bots_and_we_ourselves_are_not_heard(scene: Scene) -> None:
    async with scene.running() as adapter:
        await adapter.send(scene.part("mine"))
        await scene.person.send(scene.room, {"msgtype": "m.notice", "body": "beep"})
        await scene.person.say(scene.room, "hello")
        await scene.taken()

    assert scene.inbox.texts == ["hello"]


async def test_an_event_that_nobody_can_read_blocks_nothing(scene: Scene) -> None:
    async with scene.running():
        for content in (
            {"msgtype": "m.image", "body": "x", "url": 5, "info": "none"},
            {"msgtype": "m.text", "body": "x", "info": "nothing", "format": 5},
            {"msgtype": "m.text", "body": "y", "m.new_content": 3, "formatted_body": {}},
        ):
            await scene.person.send(scene.room, content)
        await scene.person.say(scene.room, "hello")
        await until(lambda: "hello" in scene.inbox.texts)

    assert scene.inbox.texts == ["", "x", "y", "hello"]


async def test_what_the_gateway_breaks_on_is_passed_over_and_counted(scene: Scene) -> None:
    scene.inbox.breaks = lambda event: event.text == "bad"
    scene.inbox.rejects = lambda event: event.text == "worse"
    async with scene.running():
        for word in ("bad", "worse", "good"):
            await scene.person.say(scene.room, word)
        await scene.taken()

    assert scene.inbox.texts == ["good"]
    assert (scene.counts["broken"], scene.counts["rejected"]) == (1, 1)


async def test_people_see_that_they_were_read_unless_that_is_off(
    scene: Scene, proxy: Proxy
) -> None:
    async with scene.running(read_receipts=False):
        await scene.person.say(scene.room, "one")
        await scene.taken()
    async with scene.running():
        event = await scene.person.say(scene.room, "two")
        await until(lambda: any(event.strip("$") in path for path in proxy.paths))

    assert sum("/receipt/" in path for path in proxy.paths) == 1


@pytest.mark.parametrize("seconds", [2.0])
async def test_a_line_that_is_cut_for_a_while_loses_nothing(
    scene: Scene, proxy: Proxy, seconds: float
) -> None:
    async with scene.running():
        await scene.person.say(scene.room, "before")
        await scene.taken()
        proxy.down = True
        proxy.cut()
        for number in range(60):
            await scene.person.say(scene.room, str(number))
        await asyncio.sleep(seconds)
        proxy.heal()
        await scene.taken(61)

    assert scene.inbox.texts == ["before", *map(str, range(60))]
    assert scene.counts["reconnected"] == 1


async def test_a_token_that_is_refused_stops_the_account(scene: Scene, proxy: Proxy) -> None:
    adapter = scene.adapter()
    running = asyncio.create_task(adapter.run(scene.inbox))
    await adapter.send(scene.part("still here"))
    await scene.bot.ask("POST", "/logout", {})
    with pytest.raises(BadConfig, match="access_token"):
        await adapter.send(scene.part("gone", reply="r2"))
    proxy.cut()
    with pytest.raises(BadConfig, match="does not accept it"):
        await running
    await adapter.close()

    assert await scene.texts() == ["still here"]


async def test_a_connection_that_ended_is_begun_again_and_sends_meanwhile(
    scene: Scene, proxy: Proxy
) -> None:
    adapter = scene.adapter()
    first = asyncio.create_task(adapter.run(scene.inbox))
    await adapter.send(scene.part("one"))
    proxy.fault("GET", "/sync", "status", status=404)
    proxy.cut()
    with pytest.raises(Unavailable, match="is homeserver right"):
        await first
    await adapter.send(scene.part("two", reply="r2"))
    again = asyncio.create_task(adapter.run(scene.inbox))
    await scene.person.say(scene.room, "hello")
    await scene.taken()
    again.cancel()
    await asyncio.wait([again])
    await adapter.close()

    assert await scene.texts() == ["one", "two"]


async def test_people_see_that_an_answer_is_being_written(scene: Scene) -> None:
    async with scene.running() as adapter:
        await adapter.send(scene.part("hello"))
        await adapter.typing(scene.part().conversation, scene.part().place)
        answer = await scene.person.ask("GET", "/sync", timeout="0")
    told = answer["rooms"]["join"][scene.room]["ephemeral"]["events"]
    assert scene.bot.id in str([one["content"] for one in told if one["type"] == "m.typing"])


async def test_invitations_are_accepted_from_those_who_are_named(scene: Scene) -> None:
    stranger = await scene.server.user()
    refused = await stranger.room(scene.bot.id)
    wanted = await scene.person.room(scene.bot.id)
    await scene.person.say(wanted, "are you there?")
    async with scene.running(owners=[scene.person.id]):
        await scene.taken()
        await until(lambda: scene.counts["invite_ignored"])
    assert scene.inbox.texts == ["are you there?"]
    assert await stranger.members(refused) == [stranger.id]

    async with scene.running(invite_from=synapse.SERVER_NAME):
        await until(lambda: scene.counts["joined"] == 2)
    assert scene.bot.id in await stranger.members(refused)


async def test_being_put_out_of_a_room_is_survived_and_the_room_forgotten(scene: Scene) -> None:
    async with scene.running():
        await scene.person.kick(scene.room, scene.bot.id)
        await until(lambda: scene.counts["left"])
        again = await scene.person.room(scene.bot.id)
        await scene.bot.join(again)
        await scene.person.say(again, "come back")
        await scene.taken()

    assert scene.inbox.texts == ["come back"]


@pytest.mark.parametrize("status", [502, 429])
async def test_a_room_that_cannot_be_entered_stops_no_other(
    scene: Scene, proxy: Proxy, status: int
) -> None:
    body = {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 600_000} if status == 429 else {}
    proxy.fault("POST", "/join/", "status", times=10_000, status=status, body=body)
    async with scene.running(invites="all"):
        await scene.person.room(scene.bot.id)
        await until(lambda: proxy.struck)
        for number in range(3):
            await scene.person.say(scene.room, str(number))
            await scene.taken(number + 1)
    proxy.heal()
    async with scene.running(invites="all"):
        await until(lambda: scene.counts["joined"])


async def test_a_history_that_cannot_be_read_stops_no_other_room(
    scene: Scene, proxy: Proxy
) -> None:
    other = await scene.person.room(scene.bot.id)
    await scene.bot.join(other)
    async with scene.running():
        await scene.person.say(scene.room, "before")
        await scene.taken()
    for number in range(TIMELINE + 2):
        await scene.person.say(scene.room, str(number))
    proxy.fault("GET", "/messages", "status", times=10_000, status=500)
    async with scene.running():
        await until(lambda: proxy.struck)
        for number in range(2):
            await scene.person.say(other, f"other {number}")
            await until(lambda wanted=f"other {number}": wanted in scene.inbox.texts)
        assert "0" not in scene.inbox.texts
        proxy.heal()
        await scene.taken(TIMELINE + 5)
    here = [one.text for one in scene.inbox.events if one.place.chat == scene.room]
    assert here == ["before", *map(str, range(TIMELINE + 2))]
