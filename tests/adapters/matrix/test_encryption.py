from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.matrix.keys import Opened
from adapters.matrix.outgoing import KEY
from gateway.errors import BadConfig, Failed, Retryable, Uncertain
from gateway.message import Attachment
from tests.adapters.matrix.encrypted import SecretPerson
from tests.adapters.matrix.scene import Scene, until
from tests.adapters.matrix.test_receiving import OGG, PNG
from tests.servers.synapse import Proxy


@pytest.fixture
async def person(secret: Scene, tmp_path: Path) -> AsyncIterator[SecretPerson]:
    async with SecretPerson.signed_in(secret.person, tmp_path / "person") as found:
        yield found


async def reads(person: SecretPerson, scene: Scene, text: str) -> None:
    async def there() -> bool:
        return text in [one["body"] for one in await person.sees(scene.room, scene.bot.id)]

    await until(there, f"{text!r} is read")


async def test_a_conversation_that_the_server_cannot_read(
    secret: Scene, person: SecretPerson
) -> None:
    async with secret.running() as adapter:
        await adapter.send(secret.part("welcome", reply="r0"))
        asked = await person.say(secret.room, "a secret question")
        await person.edit(secret.room, asked, "a better question")
        said, edited = await secret.taken(2)
        receipt = await adapter.send(secret.part("a **secret** answer", reply_to=asked))
        await reads(person, secret, "a secret answer")
        for text in ("a longer answer", "ä" * 7_000):
            await adapter.edit(secret.part(text), receipt.native_id)
        await reads(person, secret, "ä" * 7_000)
        assert await adapter.find(secret.part()) == receipt
        assert await adapter.send(secret.part("a **secret** answer")) == receipt

    assert (said.text, said.sender.grade) == ("a secret question", "verified")
    assert (edited.kind, edited.text, edited.target) == ("edit", "a better question", asked)
    written = str(await secret.person.events(secret.room))
    assert "secret question" not in written
    assert "secret answer" not in written
    assert KEY in written
    (shown,) = [
        one
        for one in await person.sees(secret.room, secret.bot.id)
        if one["event_id"] == receipt.native_id
    ]
    assert shown["m.mentions"] == {}


async def test_files_are_opened_and_sealed(secret: Scene, person: SecretPerson) -> None:
    given = secret.services()

    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        yield content

    async with secret.running(given) as adapter:
        await adapter.send(secret.part("welcome", reply="r0"))
        await person.send_file(secret.room, PNG, msgtype="m.image", filename="cat.png")
        await person.send_file(
            secret.room, OGG, msgtype="m.audio", **{"org.matrix.msc3245.voice": {}}
        )
        picture, voice = await secret.taken(2)
        digest, size, _ = await given.blobs.store(chunks(b"%PDF-1"), limit=100)
        paper = Attachment(
            kind="document", digest=digest, size=size, media_type="application/pdf", name="p.pdf"
        )
        await adapter.send(secret.part(files=(paper,)))
        await reads(person, secret, "p.pdf")

    stored = b"".join([one async for one in given.blobs.read(picture.attachments[0].digest)])
    assert stored == PNG
    assert picture.text == "a file"
    assert (voice.attachments[0].kind, voice.attachments[0].media_type) == ("voice", "audio/ogg")
    shown = (await person.sees(secret.room, secret.bot.id))[-1]
    assert "url" not in shown
    assert await person.fetch(shown["file"]) == b"%PDF-1"


async def test_a_file_that_was_changed_on_its_way_is_not_kept(
    secret: Scene, person: SecretPerson
) -> None:
    async with secret.running() as adapter:
        await adapter.send(secret.part("welcome"))
        mxc = await secret.person.upload(b"something else")
        wrong = {"kty": "oct", "k": "A" * 43, "alg": "A256CTR"}
        for sealed in (
            {"url": mxc, "key": wrong, "iv": "A" * 22, "hashes": {"sha256": "B" * 43}},
            {"url": mxc, "key": {"k": "short"}, "iv": "A", "hashes": {}},
        ):
            await person.send(secret.room, {"msgtype": "m.file", "body": "x", "file": sealed})
        events = await secret.taken(2)

    assert all(one.attachments[0].problem for one in events)
    assert not any(one.attachments[0].digest for one in events)


async def test_after_a_restart_both_sides_still_understand_each_other(
    secret: Scene, person: SecretPerson
) -> None:
    async with secret.running() as adapter:
        await adapter.send(secret.part("one"))
        await person.say(secret.room, "first")
        await secret.taken()
    for number in range(3):
        await person.say(secret.room, f"while away {number}")
    async with secret.running() as adapter:
        await secret.taken(4)
        await adapter.send(secret.part("two", reply="r2"))
        await reads(person, secret, "two")

    assert secret.inbox.texts == ["first", *(f"while away {number}" for number in range(3))]


@pytest.mark.parametrize("stored", [True, False], ids=["at-once", "after-a-restart"])
async def test_what_cannot_be_read_yet_is_kept_and_answered_when_its_key_comes(
    secret: Scene, person: SecretPerson, stored: bool
) -> None:
    async with Proxy.before(secret.server.url) as proxy:
        person.client.homeserver = proxy.url
        async with secret.running() as adapter:
            await adapter.send(secret.part("welcome"))
            # The server loses the key on its way to us.
            proxy.fault("PUT", "/sendToDevice/", "status", status=200)
            await person.say(secret.room, "for later")
            await until(lambda: secret.counts["undecryptable"])
            await person.say(secret.room, "this too")
            await until(lambda: secret.counts["undecryptable"] == 2)
        assert secret.inbox.texts == []

        async with secret.running() as adapter:
            await adapter.send(secret.part("still here", reply="r2"))
            ((path, key),) = proxy.kept
            secret.inbox.down = not stored
            await secret.person.repeat(path, key)
            await until(lambda: secret.inbox.offered)
            if stored:
                await secret.taken(2)
        secret.inbox.down = False
        async with secret.running():
            await secret.taken(2)
        person.client.homeserver = secret.server.url

    assert secret.inbox.texts == ["for later", "this too"]
    assert secret.counts["decrypted_late"] == 2
    assert [key for key, _ in await secret.services().keep.items() if "locked" in key] == []


async def test_another_device_under_somebodys_name_is_not_taken_for_them(
    secret: Scene, person: SecretPerson
) -> None:
    """Who may write as somebody on the server does not have the keys of their devices."""
    async with secret.running() as adapter:
        await adapter.send(secret.part("welcome"))
        await person.say(secret.room, "it is me")
        (said,) = await secret.taken()
        sealed = (await secret.person.events(secret.room))[-1]["content"]
        other = await secret.server.user()
        await secret.person.invite(secret.room, other.id)
        await other.join(secret.room)
        await other.send(secret.room, sealed, "m.room.encrypted")
        await until(lambda: secret.counts["replayed"] or len(secret.inbox.events) > 1)

    assert said.sender.grade == "verified"
    assert secret.inbox.texts == ["it is me"]


async def test_a_homeserver_that_puts_words_into_somebodys_mouth_is_not_believed(
    secret: Scene, person: SecretPerson, tmp_path: Path
) -> None:
    """What one person sealed, shown to us under another one's name."""
    other = await secret.server.user()
    await secret.person.invite(secret.room, other.id)
    await other.join(secret.room)
    async with (
        SecretPerson.signed_in(other, tmp_path / "other") as forger,
        secret.running() as adapter,
    ):
        await adapter.send(secret.part("welcome"))
        await person.say(secret.room, "mine")
        await forger.say(secret.room, "not mine")
        await secret.taken(2)
        line = adapter._line
        assert line is not None
        sealed = (await secret.person.events(secret.room))[-1]
        forged = line.keys.open(secret.room, {**sealed, "sender": secret.person.id})

    assert [one.sender.grade for one in secret.inbox.events] == ["verified", "verified"]
    assert isinstance(forged, Opened)
    assert forged.grade == "unverified"


async def test_only_listed_devices_are_heard_where_it_is_set_so(
    secret: Scene, person: SecretPerson, tmp_path: Path
) -> None:
    listed = person.client.olm.account.identity_keys["ed25519"]
    settings = {"trust": "listed", "trusted_devices": [listed]}
    other = await secret.server.user()
    await secret.person.invite(secret.room, other.id)
    await other.join(secret.room)
    async with (
        SecretPerson.signed_in(other, tmp_path / "other") as stranger,
        secret.running(**settings) as adapter,
    ):
        await adapter.send(secret.part("for the listed"))
        await reads(person, secret, "for the listed")
        await stranger.say(secret.room, "me too")
        await until(lambda: secret.counts["untrusted_device"])
        await person.say(secret.room, "hello")
        await secret.taken()
        assert await stranger.sees(secret.room, secret.bot.id) == []

    assert secret.inbox.texts == ["hello"]


async def test_a_key_that_does_not_reach_people_keeps_the_answer_back(
    secret: Scene, person: SecretPerson
) -> None:
    async with Proxy.before(secret.server.url) as proxy:
        secret.url = proxy.url
        async with secret.running() as adapter:
            proxy.fault("PUT", "/sendToDevice/", "status", status=502)
            proxy.fault("POST", "/keys/claim", "cut_after")
            for _ in range(2):
                with pytest.raises(Retryable):
                    await adapter.send(secret.part("answer"))
            proxy.fault("PUT", "/send/", "cut_after")
            with pytest.raises(Uncertain):
                await adapter.send(secret.part("answer"))
            assert await adapter.find(secret.part("answer")) is not None
            await adapter.send(secret.part("answer"))
            await reads(person, secret, "answer")

    shown = await person.sees(secret.room, secret.bot.id)
    assert [one["body"] for one in shown] == ["answer"]


async def test_without_encryption_nothing_goes_in_the_clear(secret: Scene) -> None:
    async with secret.running(encryption=False) as adapter:
        with pytest.raises(Failed, match="encryption is switched off"):
            await adapter.send(secret.part("not in the clear"))
    assert await secret.texts() == []


async def test_lost_keys_are_told_or_a_new_device_is_made(
    secret: Scene, person: SecretPerson
) -> None:
    async with secret.running() as adapter:
        await adapter.send(secret.part("one"))
    for file in secret.folder.iterdir():
        file.unlink()
    with pytest.raises(BadConfig, match="keys of its device"):
        async with secret.running():
            await secret.taken()
    assert secret.counts["keys_lost"] == 1

    settings = {"access_token": None, "user": secret.bot.id, "password": "correct horse"}
    async with secret.running(**settings) as adapter:
        await adapter.send(secret.part("two", reply="r2"))
    for file in secret.folder.iterdir():
        file.unlink()
    async with secret.running(**settings) as adapter:
        await adapter.send(secret.part("three", reply="r3"))
        await reads(person, secret, "three")
    devices = (await secret.bot.ask("GET", "/devices"))["devices"]
    assert len(devices) == 2
