"""Answers go out: once, to the right person, looked for before anything is repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.email.post import SETTLES
from gateway.errors import BadConfig, Failed, Retryable, Unavailable, Uncertain
from gateway.message import Attachment, Inbound
from tests.adapters.email.scene import Desk, Hurried, Person, answer, plain, until
from tests.fakes.inbox import MemoryInbox
from tests.servers.choppy import Choppy


async def asked(desk: Desk, ada: Person, inbox: MemoryInbox, text: str = "question") -> Inbound:
    number = len(inbox.events)
    await ada.writes(desk.address, text, subject="Hello")
    await until(lambda: len(inbox.events) > number)
    return inbox.events[-1]


async def test_an_answer_is_threaded_marked_as_automatic_and_filed_in_sent(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, name="Bot") as adapter:
        event = await asked(desk, ada, inbox)
        receipt = await adapter.send(answer(event, "**yes**"))
        (mail,) = await ada.gets()

    assert plain(mail) == "yes"
    assert mail["From"] == f"Bot <{desk.address}>"
    assert mail["To"] == ada.address
    assert mail["Subject"] == "Re: Hello"
    assert mail["In-Reply-To"] == event.native_id
    assert mail["References"].split() == [event.native_id]
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Return-Path"] == f"<{desk.address}>"
    assert receipt.native_id == mail["Message-ID"]
    (copy,) = desk.mails("Sent")
    assert copy["Message-ID"] == mail["Message-ID"]
    assert "S" in desk.server.flags(desk.address, "Sent")[0]


async def test_a_notice_has_no_envelope_sender_unless_the_settings_say_so(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox) as adapter:
        event = await asked(desk, ada, inbox)
        await adapter.send(answer(event, "notice", reply="r1", kind="notice"))
        await ada.gets(1)
    async with desk.running(inbox, smtp={"envelope_sender": "address"}) as adapter:
        await adapter.send(answer(event, "notice", reply="r2", kind="notice"))
        first, second = await ada.gets(2)

    assert first["Return-Path"] == "<>"
    assert second["Return-Path"] == f"<{desk.address}>"


async def test_starttls_is_spoken_too(desk: Desk, ada: Person, inbox: MemoryInbox) -> None:
    smtp = {"tls": "starttls", "port": desk.server.smtp_port}
    async with desk.running(inbox, smtp=smtp) as adapter:
        await adapter.send(answer(await asked(desk, ada, inbox), "over STARTTLS"))
        (mail,) = await ada.gets()

    assert plain(mail) == "over STARTTLS"


async def test_files_go_along(desk: Desk, ada: Person, inbox: MemoryInbox) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)

    async def chunks() -> AsyncIterator[bytes]:
        yield png

    digest, size, _ = await desk.blobs.store(chunks(), limit=1000)
    file = Attachment(kind="image", digest=digest, media_type="image/png", name="a.png", size=size)
    async with desk.running(inbox) as adapter:
        event = await asked(desk, ada, inbox)
        await adapter.send(answer(event, "look", files=(file,)))
        (mail,) = await ada.gets()

    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("a.png", png)


async def test_a_copy_is_not_filed_where_the_provider_does_so(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, append_sent=False) as adapter:
        await adapter.send(answer(await asked(desk, ada, inbox), "x"))
        await ada.gets()

    assert desk.mails("Sent") == []


async def test_what_was_never_sent_is_not_found_and_what_was_is_also_after_a_restart(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox) as adapter:
        part = answer(await asked(desk, ada, inbox), "x")
        assert await adapter.find(part) is None
        receipt = await adapter.send(part)
    async with desk.running(inbox) as adapter:
        found = await adapter.find(part)
        assert found is not None
        assert found.native_id == receipt.native_id
    assert len(desk.mails("Sent")) == 1


@pytest.fixture
async def choppy(desk: Desk) -> AsyncIterator[tuple[Choppy, int]]:
    wire = Choppy(desk.server.smtp_port)
    async with wire.running() as port:
        yield wire, port


def unencrypted(port: int, **more: object) -> dict[str, object]:
    return {"port": port, "tls": "none", **more}


@pytest.mark.parametrize("word", [b"EHLO", b"AUTH", b"MAIL FROM", b"RCPT TO"])
@pytest.mark.parametrize("before", [True, False])
async def test_what_is_cut_before_the_content_surely_was_not_sent(
    desk: Desk,
    ada: Person,
    inbox: MemoryInbox,
    choppy: tuple[Choppy, int],
    word: bytes,
    before: bool,
) -> None:
    wire, port = choppy
    async with desk.running(inbox, smtp=unencrypted(port)) as adapter:
        part = answer(await asked(desk, ada, inbox), "x")
        wire.cut_at(word, before=before)
        with pytest.raises(Unavailable):
            await adapter.send(part)
        assert await adapter.find(part) is None
        await adapter.send(part)
        assert len(await ada.gets()) == 1
    assert wire.cuts == 1


@pytest.mark.parametrize("before", [True, False], ids=["not taken", "taken"])
async def test_what_is_cut_after_data_is_uncertain_and_stays_so(
    desk: Desk, ada: Person, inbox: MemoryInbox, choppy: tuple[Choppy, int], before: bool
) -> None:
    """F24: nothing tells whether the server took it; our copy is filed afterwards."""
    wire, port = choppy
    async with desk.running(inbox, smtp=unencrypted(port)) as adapter:
        part = answer(await asked(desk, ada, inbox), "x")
        wire.cut_at(b"\r\n.\r\n", before=before)
        with pytest.raises(Uncertain):
            await adapter.send(part)
        with pytest.raises(Uncertain):
            await adapter.find(part)
        assert len(await ada.inbox()) == (0 if before else 1)
    assert desk.counts["send_cut"] == 1


async def test_what_was_cut_is_repeated_under_its_id_where_the_settings_say_so(
    desk: Desk, ada: Person, inbox: MemoryInbox, choppy: tuple[Choppy, int]
) -> None:
    wire, port = choppy
    smtp = unencrypted(port, after_cut="resend")
    async with desk.running(inbox, smtp=smtp) as adapter:
        part = answer(await asked(desk, ada, inbox), "x")
        wire.cut_at(b"\r\n.\r\n")
        with pytest.raises(Uncertain):
            await adapter.send(part)
        assert await adapter.find(part) is None
        await adapter.send(part)
        first, second = await ada.gets(2)
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_provider_that_files_copies_knows_what_became_of_a_cut(
    desk: Desk, ada: Person, inbox: MemoryInbox, choppy: tuple[Choppy, int]
) -> None:
    wire, port = choppy
    more = {"smtp": unencrypted(port), "append_sent": False}
    async with desk.running(inbox, **more) as adapter:
        part = answer(await asked(desk, ada, inbox), "x")
        wire.cut_at(b"\r\n.\r\n")
        with pytest.raises(Uncertain):
            await adapter.send(part)
        with pytest.raises(Retryable):  # it may still come
            await adapter.find(part)
        (mail,) = await ada.gets()
        desk.server.put(desk.address, mail.as_bytes(), "Sent")
        found = await adapter.find(part)
    assert found is not None
    assert found.native_id == mail["Message-ID"]


async def test_who_does_not_exist_is_a_failure_and_a_wrong_password_stops_the_account(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox) as adapter:
        event = await asked(desk, ada, inbox)
        nobody = answer(event, "x", headers={**event.headers, "To": "not-there@mail.test"})
        await adapter.send(nobody)  # a signed-in client may hand in anything here
        with pytest.raises(Failed, match="no address"):
            await adapter.send(answer(event, "x", reply="r2", headers={"To": "a b\r\nRCPT TO:<c>"}))
        desk.server.refuse(desk.address)
        with pytest.raises(BadConfig, match="password"):
            await adapter.send(answer(event, "x", reply="r3"))
        desk.server.refuse(desk.address, refused=False)


async def test_an_untrusted_certificate_is_refused_and_told(desk: Desk, ada: Person) -> None:
    adapter = desk.adapter(imap={"ca_file": ""})
    probe = await adapter.probe()
    await adapter.close()
    assert not probe.ok
    assert "certificate is not trusted" in probe.summary
    assert "ca_file" in probe.summary


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "may send"),
        ({"mode": "draft"}, "reads INBOX"),
        ({"password": "wrong"}, "does not let us in"),
        ({"mailboxes": ["Nowhere"]}, "no folder 'Nowhere'"),
        ({"imap": {"port": 1}}, "are host, port and tls right?"),
    ],
)
async def test_the_live_check_says_what_is_wrong(
    desk: Desk, change: dict[str, object], words: str
) -> None:
    adapter = desk.adapter(**change)
    probe = await adapter.probe()
    await adapter.close()
    assert words in probe.summary
    assert probe.ok is (words in ("may send", "reads INBOX"))
    assert not probe.ok or list(probe.advice) == []


async def test_the_live_check_advises(desk: Desk) -> None:
    adapter = desk.adapter(authserv_id="", sent="Elsewhere")
    probe = await adapter.probe()
    await adapter.close()
    assert probe.ok
    assert any("authserv_id is not set" in line for line in probe.advice)
    assert any("'Elsewhere'" in line for line in probe.advice)


async def test_nobody_unverified_is_refused_in_words(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """Whoever forges an address would make us write to it."""
    async with desk.running(inbox) as adapter:
        await ada.writes(desk.address, "forged", signed_in=False)
        await until(lambda: len(inbox.events) == 1)
        await adapter.send(answer(inbox.events[0], "your code", kind="refusal"))
        genuine = await asked(desk, ada, inbox)
        await adapter.send(answer(genuine, "too long", kind="refusal", reply="r2"))
        await ada.gets(1)
    assert [plain(mail) for mail in await ada.inbox()] == ["too long"]
    assert desk.counts["refusal_not_sent"] == 1


@pytest.mark.parametrize("files", [True, False])
async def test_only_a_provider_that_was_seen_to_file_copies_says_that_nothing_was_sent(
    desk: Desk, ada: Person, inbox: MemoryInbox, choppy: tuple[Choppy, int], files: bool
) -> None:
    wire, port = choppy
    clock = Hurried()
    more = {"smtp": unencrypted(port), "append_sent": False, "given": {"clock": clock}}
    async with desk.running(inbox, **more) as adapter:
        event = await asked(desk, ada, inbox)
        await adapter.send(answer(event, "first"))
        (mail,) = await ada.gets()
        if files:
            desk.server.put(desk.address, mail.as_bytes(), "Sent")
        part = answer(event, "second", reply="r2")
        wire.cut_at(b"\r\n.\r\n")
        with pytest.raises(Uncertain):
            await adapter.send(part)
        clock.ahead = SETTLES + 5
        if files:
            assert await adapter.find(part) is None
        else:
            with pytest.raises(Uncertain):
                await adapter.find(part)


@pytest.mark.parametrize("word", [b"MAIL FROM:<>", b"RCPT TO"])
async def test_a_server_that_wants_a_sender_gets_our_address_and_never_our_login(
    desk: Desk,
    ada: Person,
    bob: Person,
    inbox: MemoryInbox,
    choppy: tuple[Choppy, int],
    word: bytes,
) -> None:
    wire, port = choppy
    async with desk.running(inbox, smtp=unencrypted(port, user=bob.address)) as adapter:
        event = await asked(desk, ada, inbox)
        wire.answer_to(word, b"550 5.7.1 give a sender\r\n")
        await adapter.send(answer(event, "notice", kind="notice"))
        (mail,) = await ada.gets(1)
    assert mail["Return-Path"] == f"<{desk.address}>"
    assert wire.cuts == 1
