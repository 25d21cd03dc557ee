from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.matrix.outgoing import KEY
from adapters.matrix.parse import AT
from gateway.errors import BadConfig, Busy, Failed, Unavailable, Uncertain
from gateway.message import Attachment
from gateway.ports import Services
from tests.adapters.matrix.scene import Scene, until
from tests.adapters.matrix.test_receiving import OGG, PNG
from tests.servers.synapse import Proxy


async def stored(given: Services, content: bytes, **more: Any) -> Attachment:
    async def chunks() -> Any:
        yield content

    digest, size, _ = await given.blobs.store(chunks(), limit=1 << 30)
    return Attachment(**{"kind": "document", "digest": digest, "size": size, **more})


async def test_a_text_mentions_nobody_and_is_formatted(scene: Scene) -> None:
    async with scene.running() as adapter:
        text = "**Hello** @room and @ada:matrix.test, [Bob](https://matrix.to/#/@bob:matrix.test)"
        receipt = await adapter.send(scene.part(text))
    (shown,) = await scene.seen()

    assert shown["event_id"] == receipt.native_id
    assert shown["msgtype"] == "m.notice"
    assert shown["m.mentions"] == {}
    assert shown["format"] == "org.matrix.custom.html"
    assert "<strong>Hello</strong>" in shown["formatted_body"]
    assert "<a " not in shown["formatted_body"]
    assert shown["body"].startswith("Hello @room")
    assert shown[KEY] == "r1.0"


async def test_answers_stand_where_the_question_stands(scene: Scene) -> None:
    root = await scene.person.say(scene.room, "root")
    async with scene.running(message_type="text") as adapter:
        await adapter.send(scene.part("inside", thread=root, reply_to=root))
        await adapter.send(scene.part("answer", reply="r2", reply_to=root))
        await adapter.send(scene.part("plain", reply="r3"))
    inside, answer, plain = await scene.seen()

    assert inside["m.relates_to"] == {
        "rel_type": "m.thread",
        "event_id": root,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": root},
    }
    assert answer["m.relates_to"] == {"m.in_reply_to": {"event_id": root}}
    assert "m.relates_to" not in plain
    assert plain["msgtype"] == "m.text"


async def test_a_growing_answer_is_one_message(scene: Scene) -> None:
    async with scene.running() as adapter:
        receipt = await adapter.send(scene.part("one"))
        for text in ("one *two*", "one", "one *two* three", "x" * 15_000):
            await adapter.edit(scene.part(text), receipt.native_id)
    (shown,) = await scene.seen()

    assert shown["body"] == "x" * 15_000
    assert shown["edits"] == ["one", "one two", "one", "one two three"]
    assert shown["m.mentions"] == {}


async def test_an_edit_of_a_message_that_was_removed_says_so(scene: Scene) -> None:
    async with scene.running() as adapter:
        first = await adapter.send(scene.part("one"))
        before = await adapter.send(scene.part("two", reply="r2"))
        await scene.person.ask(
            "PUT", f"/rooms/{scene.room}/redact/{first.native_id}/t1", {"reason": "no"}
        )
        await scene.person.say(scene.room, "removed")
        await scene.taken()
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(scene.part("one more"), first.native_id)
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(scene.part("one more"), "$never-was")
    await scene.person.redact(scene.room, before.native_id)
    async with scene.running() as adapter:
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(scene.part("two more", reply="r2"), before.native_id)


async def test_files_are_sent_as_what_they_are(scene: Scene) -> None:
    given = scene.services()
    async with scene.running(given) as adapter:
        picture = await stored(given, PNG, kind="image", media_type="image/png", name="a/cat.png")
        voice = await stored(given, OGG, kind="voice", media_type="audio/ogg", duration=3.0)
        paper = await stored(given, b"%PDF-1", media_type="application/pdf")
        for number, file in enumerate((picture, voice, paper)):
            await adapter.send(scene.part(files=(file,), reply=f"r{number}"))
        with pytest.raises(Failed, match="no bytes"):
            await adapter.send(scene.part(files=(Attachment(kind="image"),), reply="r9"))
        large = await stored(given, b"\0" * (3 * 2**20), name="large")
        with pytest.raises(Failed, match="too large"):
            await adapter.send(scene.part(files=(large,), reply="r8"))
    seen = await scene.seen()

    assert [one["msgtype"] for one in seen] == ["m.image", "m.audio", "m.file"]
    assert [one["body"] for one in seen] == ["acat.png", "voice.ogg", "document.pdf"]
    assert seen[1]["org.matrix.msc3245.voice"] == {}
    assert seen[1]["info"]["duration"] == 3000
    assert await scene.person.download(seen[0]["url"]) == PNG


async def test_a_reaction_is_put_changed_and_taken_away(scene: Scene) -> None:
    event = await scene.person.say(scene.room, "well?")
    place = scene.part().place

    async def reactions() -> list[str]:
        return [
            one["content"]["m.relates_to"]["key"]
            for one in await scene.person.events(scene.room)
            if one["type"] == "m.reaction" and one["content"]
        ]

    async with scene.running() as adapter:
        for emoji in ("👀", "👀", "✅"):
            await adapter.react(place, event, emoji)
        assert await reactions() == ["✅"]
        await adapter.react(place, event, "")
        assert await reactions() == []
        await adapter.react(place, "$nothing", "👀")


@pytest.mark.parametrize("kind", ["cut", "cut_after"])
async def test_a_send_that_is_cut_is_found_or_sent_again_and_stands_once(
    scene: Scene, proxy: Proxy, kind: str
) -> None:
    part = scene.part("once")
    async with scene.running() as adapter:
        proxy.fault("PUT", "/send/", kind)
        with pytest.raises(Uncertain):
            await adapter.send(part)
        found = await adapter.find(part)
        assert (found is None) == (kind == "cut")
        again = await adapter.send(part)
        assert found is None or found == again
        assert await adapter.find(part) == again
        assert await adapter.find(scene.part("other", reply="r2")) is None
        assert proxy.calls["PUT send"] == 2

    assert await scene.texts() == ["once"]


async def test_an_answer_is_shown_where_its_preview_was_cut_and_came_late(
    scene: Scene, proxy: Proxy
) -> None:
    async with scene.running() as adapter:
        proxy.fault("PUT", "/send/", "cut_after")
        with pytest.raises(Uncertain):
            await adapter.send(scene.part("It is"))
        await adapter.send(scene.part("It is done."))

    assert await scene.texts() == ["It is done."]


async def test_an_answer_is_shown_where_its_preview_was_removed_or_was_no_file(
    scene: Scene,
) -> None:
    given = scene.services()
    async with scene.running(given) as adapter:
        first = await adapter.send(scene.part("It is"))
        await scene.person.ask(
            "PUT", f"/rooms/{scene.room}/redact/{first.native_id}/t1", {"reason": "no"}
        )
        await scene.person.say(scene.room, "removed")
        await scene.taken()
        with pytest.raises(Failed, match="gone"):
            await adapter.edit(scene.part("It is d"), first.native_id)
        again = await adapter.send(scene.part("It is done."))
        assert await adapter.send(scene.part("It is done.")) == again
        await adapter.send(scene.part("a film", reply="r2"))
        paper = await stored(given, b"%PDF-1", media_type="application/pdf")
        await adapter.send(scene.part(files=(paper,), reply="r2"))

    assert await scene.texts() == ["It is done.", "a film", "document.pdf"]


async def test_what_is_older_than_the_question_is_no_answer(scene: Scene) -> None:
    async with scene.running() as adapter:
        await scene.person.say(scene.room, "well?")
        (question,) = await scene.taken()
        sent = await adapter.send(scene.part("yes"))
        assert await adapter.find(scene.part("yes", headers=question.headers)) == sent
        await adapter.send(scene.part("and no", reply="r2"))
        later = {AT: str(float(question.headers[AT]) + 2 * 3600)}
        assert await adapter.find(scene.part("yes", headers=later)) is None


async def test_a_send_is_found_by_another_gateway_behind_many_others(scene: Scene) -> None:
    async with scene.running() as adapter:
        first = await adapter.send(scene.part("first", reply="r0"))
        for number in range(105):
            await adapter.edit(scene.part(str(number), reply="r0"), first.native_id)
    async with scene.running() as adapter:
        assert await adapter.find(scene.part("again", reply="r0")) == first


@pytest.mark.parametrize(
    ("status", "body", "ours"),
    [
        (500, {}, Uncertain),
        (502, {}, Uncertain),
        (504, {}, Uncertain),
        (503, {}, Unavailable),
        (302, {}, Unavailable),
        (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500}, Busy),
        (403, {"errcode": "M_FORBIDDEN", "error": "not here"}, Failed),
        (413, {"errcode": "M_TOO_LARGE"}, Failed),
        (401, {"errcode": "M_UNKNOWN_TOKEN"}, BadConfig),
    ],
)
async def test_what_a_refusal_leads_to_and_that_nothing_is_tried_twice(
    scene: Scene, proxy: Proxy, status: int, body: dict[str, Any], ours: type[Exception]
) -> None:
    async with scene.running() as adapter:
        proxy.fault("PUT", "/send/", "status", status=status, body=body)
        with pytest.raises(ours) as raised:
            await adapter.send(scene.part("hello"))
        assert proxy.calls["PUT send"] == 1
        if isinstance(raised.value, Busy):
            assert raised.value.after == 2.5


async def test_a_homeserver_that_is_away_takes_nothing_for_sure(scene: Scene, proxy: Proxy) -> None:
    async with scene.running() as adapter:
        await adapter.send(scene.part("one"))
        scene_url = adapter._door.homeserver
        adapter._door.homeserver = "http://127.0.0.1:1"
        with pytest.raises(Unavailable):
            await adapter.send(scene.part("two", reply="r2"))
        adapter._door.homeserver = scene_url


async def test_the_homeservers_own_limit_is_told(scene: Scene) -> None:
    await scene.server.limit(scene.bot.id, 1, 1)
    async with scene.running() as adapter:
        sends = [adapter.send(scene.part("x", reply=f"r{number}")) for number in range(6)]
        results = await asyncio.gather(*sends, return_exceptions=True)
    refused = [one for one in results if isinstance(one, Busy)]
    assert refused
    assert all(0 < (one.after or 0) <= 10 for one in refused)
    assert len(await scene.texts()) + len(refused) == 6


async def test_where_we_may_not_write_it_never_will(scene: Scene) -> None:
    elsewhere = await scene.person.room()
    async with scene.running() as adapter:
        with pytest.raises(Failed, match="M_FORBIDDEN"):
            await adapter.send(scene.part("hello", room=elsewhere))
        await scene.person.kick(scene.room, scene.bot.id)
        await until(lambda: scene.counts["left"])
        with pytest.raises(Failed, match="M_FORBIDDEN"):
            await adapter.send(scene.part("hello"))


async def test_nothing_is_sent_before_rooms_are_known(scene: Scene, proxy: Proxy) -> None:
    proxy.fault("GET", "/sync", "status", status=503, times=1)
    async with scene.running() as adapter:
        await adapter.send(scene.part("hello"))
    assert proxy.paths.index(next(one for one in proxy.paths if "/send/" in one)) > 1
    assert await scene.texts() == ["hello"]


async def test_a_password_signs_in_once(scene: Scene) -> None:
    settings = {"access_token": None, "user": scene.bot.id, "password": "correct horse"}
    for number in range(2):
        async with scene.running(**settings) as adapter:
            await adapter.send(scene.part("x", reply=f"r{number}"))
    devices = (await scene.bot.ask("GET", "/devices"))["devices"]
    assert len(devices) == 2  # the scene's own, and one


async def test_a_password_that_is_refused_stops_the_account(scene: Scene) -> None:
    settings = {"access_token": None, "user": scene.bot.id, "password": "wrong"}
    with pytest.raises(BadConfig, match="password"):
        async with scene.running(**settings):
            await scene.taken()
