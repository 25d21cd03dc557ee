"""Mails come in: each once, in order, whatever the server forgets, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from adapters.email.subjects import conversation
from gateway.errors import BadConfig
from gateway.ports import Accepted
from tests.adapters.email.scene import Desk, Person, answer, until
from tests.fakes.inbox import MemoryInbox


async def test_a_mail_becomes_an_event_with_all_that_its_answer_needs(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox):
        mail = await ada.writes(desk.address, "How are you?", subject="Hello")
        await until(lambda: inbox.events)

    (event,) = inbox.events
    assert event.text == "Subject: Hello\n\nHow are you?"
    assert (event.sender.id, event.sender.name) == (ada.address, "Ada")
    assert event.sender.grade == "verified"
    assert event.place.chat == ada.address
    assert event.place.thread == conversation(mail["Message-ID"], "Hello")
    assert event.native_id == mail["Message-ID"]
    assert event.headers["To"] == ada.address
    assert event.headers["Subject"] == "Hello"
    assert event.sent_at > 0


async def test_who_did_not_sign_in_is_unverified_and_so_is_everybody_without_an_authserv_id(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox):
        await ada.writes(desk.address, "forged", signed_in=False)
        await until(lambda: len(inbox.events) == 1)
    async with desk.running(inbox, authserv_id=""):
        await ada.writes(desk.address, "signed in")
        await until(lambda: len(inbox.events) == 2)

    assert [one.sender.grade for one in inbox.events] == ["unverified"] * 2


async def test_what_lay_there_before_the_first_start_is_left_alone(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    await ada.writes(desk.address, "old")
    await until(lambda: desk.mails())
    async with desk.running(inbox):
        await ada.writes(desk.address, "new")
        await until(lambda: inbox.events)

    assert inbox.texts == ["new"]


async def test_what_waits_unread_is_answered_at_the_first_start_where_the_settings_say_so(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    await ada.writes(desk.address, "waits")
    await until(lambda: desk.mails())
    async with desk.running(inbox, backlog="1h"):
        await until(lambda: inbox.events)

    assert inbox.texts == ["waits"]


async def test_what_came_while_nobody_listened_is_taken_in_order_and_nothing_again(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox):
        await ada.writes(desk.address, "1")
        await until(lambda: len(inbox.events) == 1)
    for number in (2, 3, 4):
        await ada.writes(desk.address, str(number))
        await until(lambda number=number: len(desk.mails()) == number)
    async with desk.running(inbox):
        await until(lambda: len(inbox.events) == 4)

    assert inbox.texts == ["1", "2", "3", "4"]
    assert len(inbox.offered) == 4


async def test_a_mail_is_marked_as_read_after_it_was_stored_and_not_before(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    inbox.down = True
    async with desk.running(inbox):
        await ada.writes(desk.address, "hold on")
        await until(lambda: inbox.offered)
        assert desk.server.flags(desk.address) == [""]
        inbox.down = False
        await until(lambda: desk.server.flags(desk.address) == ["S"])

    assert inbox.texts == ["hold on"]


async def test_a_mail_that_is_not_answered_stays_unread_with_a_keyword(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, skipped_keyword="NotAnswered"):
        await ada.writes(desk.address, "robot", headers={"Auto-Submitted": "auto-replied"})
        await until(lambda: desk.server.flags(desk.address) == ["a"])  # the first keyword
        await ada.writes(desk.address, "person")
        await until(lambda: inbox.events)

    assert inbox.texts == ["person"]
    assert [name for name in desk.counts if name.startswith("left_")]


async def test_new_uids_for_old_mails_bring_nothing_twice_and_lose_nothing(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F28: UIDVALIDITY changed while nobody listened, with a new mail among the old."""
    await ada.writes(desk.address, "before we came")
    await until(lambda: desk.mails())
    await asyncio.sleep(1.1)  # the server's clock counts seconds
    async with desk.running(inbox):
        await ada.writes(desk.address, "known")
        await until(lambda: inbox.events)
        await until(lambda: "S" in desk.server.flags(desk.address))
    await ada.writes(desk.address, "new")
    await until(lambda: len(desk.mails()) == 3)
    desk.server.forget_uids(desk.address)
    async with desk.running(inbox):
        await until(lambda: len(inbox.events) == 2)
        await ada.writes(desk.address, "after")
        await until(lambda: len(inbox.events) == 3)

    assert inbox.texts == ["known", "new", "after"]
    assert len(inbox.offered) == 3
    assert desk.counts["renumbered"] == 1


async def test_the_same_mail_twice_in_the_box_is_one_and_others_under_its_id_are_not(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F28: the same Message-ID twice."""
    async with desk.running(inbox):
        mail = await ada.writes(desk.address, "one")
        await until(lambda: inbox.events)
        await ada.submits(mail.as_bytes(), desk.address)
        await ada.writes(desk.address, "another", message_id=mail["Message-ID"])
        await until(lambda: len(inbox.events) == 2)
        await until(lambda: desk.counts["known"] == 1)

    assert inbox.texts == ["one", "another"]
    assert inbox.events[0].id != inbox.events[1].id


async def test_mails_without_an_id_are_each_their_own(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F28: no Message-ID at all, also when the server numbers anew."""
    async with desk.running(inbox):
        for text in ("one", "two", "two"):
            await ada.writes(desk.address, text, message_id=None)
        await until(lambda: len(inbox.events) == 3)
    desk.server.forget_uids(desk.address)
    async with desk.running(inbox):
        await ada.writes(desk.address, "three", message_id=None)
        await until(lambda: len(inbox.events) == 4)

    assert sorted(inbox.texts) == ["one", "three", "two", "two"]
    assert len({one.id for one in inbox.events}) == 4


async def test_gaps_between_uids_are_no_gaps_between_mails(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F28: mails vanish before they are seen."""
    async with desk.running(inbox):
        await ada.writes(desk.address, "first")
        await until(lambda: inbox.events)
    for number in range(3):
        await ada.writes(desk.address, f"gone {number}")
        await until(lambda number=number: len(desk.mails()) == number + 2)
    root = desk.server.folder / "mail" / desk.address / "Maildir"
    for file in sorted((root / "new").iterdir()):
        file.unlink()
    await ada.writes(desk.address, "last")
    await until(lambda: len(desk.mails()) == 2)
    async with desk.running(inbox):
        await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["first", "last"]


async def test_several_folders_are_watched(desk: Desk, ada: Person, inbox: MemoryInbox) -> None:
    async with desk.running(inbox, mailboxes=["INBOX", "Junk"]):
        await ada.writes(desk.address, "into the inbox")
        await until(lambda: len(inbox.events) == 1)
        other = await ada.writes(desk.server.person(), "elsewhere")
        raw = other.as_bytes().replace(other["To"].encode(), desk.address.encode())
        desk.server.put(desk.address, raw, "Junk")
        await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["into the inbox", "elsewhere"]


async def test_a_folder_that_is_not_there_stops_the_account(desk: Desk, inbox: MemoryInbox) -> None:
    with pytest.raises(BadConfig, match=r"mailboxes.*no folder 'Nowhere'"):
        async with desk.running(inbox, mailboxes=["Nowhere"]):
            pass


async def test_without_idle_the_server_is_asked(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    from tests.servers.mail import MailServer

    capability = "IMAP4rev1 LITERAL+ UIDPLUS"
    with MailServer.running(capability=capability) as old:
        desk, ada = Desk(old, old.person()), Person(old, old.person())
        async with desk.running(inbox, imap={"poll": 0.1}):
            await ada.writes(desk.address, "no push")
            await until(lambda: inbox.events)

    assert inbox.texts == ["no push"]


async def test_idle_is_begun_anew_in_time(desk: Desk, ada: Person, inbox: MemoryInbox) -> None:
    async with desk.running(inbox, imap={"idle": 1}):
        await asyncio.sleep(2.5)  # so that it was begun at least twice
        await ada.writes(desk.address, "still there?")
        await until(lambda: inbox.events)

    assert inbox.texts == ["still there?"]
    assert "reconnected" not in desk.counts


async def test_a_command_is_the_first_line_whatever_stands_below(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    from gateway.sessions.commands import MENU

    async with desk.running(inbox, given={"commands": MENU}):
        await ada.writes(desk.address, "/new\n\nSent from my telephone", subject="Re: x")
        await ada.writes(desk.address, "/usr/bin is a folder")
        await until(lambda: len(inbox.events) == 2)

    assert inbox.texts == ["/new", "/usr/bin is a folder"]


async def test_replies_stay_in_their_conversation_and_new_subjects_begin_one(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox) as adapter:
        await ada.writes(desk.address, "one", subject="Holidays")
        await until(lambda: len(inbox.events) == 1)
        await adapter.send(answer(inbox.events[0], "the answer"))
        (answered,) = await ada.gets()
        await ada.writes(desk.address, "two", answers=answered)
        await until(lambda: len(inbox.events) == 2)
        # A program that sends no References, and one that marks subjects.
        bare = {"References": "", "Subject": "AW: [EXT] Re: Holidays"}
        await ada.writes(desk.address, "three", answers=answered, headers=bare)
        await until(lambda: len(inbox.events) == 3)
        await ada.writes(desk.address, "four", answers=answered, headers={"Subject": "Taxes"})
        await ada.writes(desk.address, "five", subject="Holidays")
        await until(lambda: len(inbox.events) == 5)

    first, second, third, fourth, fifth = (one.conversation for one in inbox.events)
    assert first == second == third
    assert len({first, fourth, fifth}) == 3


async def test_files_are_fetched_once_the_sender_is_let_in(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(64)
    files = [("a.png", "image/png", png), ("notes.txt", "text/plain", b"hello")]

    class Strict(MemoryInbox):
        async def accept(self, event, prepare=None, show=None):  # type: ignore[no-untyped-def]
            if "stranger" in event.text:
                return Accepted(outcome="ignored", id=event.id, reason="stranger")
            return await super().accept(event, prepare, show)

    strict = Strict()
    async with desk.running(strict):
        await ada.writes(desk.address, "stranger", files=files)
        await ada.writes(desk.address, "look", files=files)
        await until(lambda: strict.events)

    (event,) = strict.events
    assert [one.kind for one in event.attachments] == ["image", "document"]
    assert [one.media_type for one in event.attachments] == ["image/png", "text/plain"]
    assert all(one.digest for one in event.attachments)
    assert desk.counts["left_stranger"] == 1


async def test_a_mail_that_is_too_large_is_not_read_and_told_in_words(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, max_size=20_000):
        await ada.writes(desk.address, "big", files=[("x.bin", "application/x-y", bytes(40_000))])
        await until(lambda: inbox.events)

    (event,) = inbox.events
    (file,) = event.attachments
    assert "larger" in file.problem
    assert event.sender.grade == "verified"


async def test_a_mail_nobody_can_read_is_left_and_blocks_nothing(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox):
        await ada.submits(b"X: y\r\n" * 500 + b"\r\nx", desk.address)
        await ada.writes(desk.address, "fine")
        await until(lambda: inbox.events)

    assert inbox.texts == ["fine"]
    assert desk.counts["unreadable"] == 1


async def test_a_bounce_is_noted_and_answered_by_nobody(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    bounce = (
        b"From: MAILER-DAEMON@mail.test\r\nTo: %s\r\nSubject: Undelivered\r\n"
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        b"Final-Recipient: rfc822; x@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    ) % desk.address.encode()
    async with desk.running(inbox):
        await ada.submits(bounce, desk.address, sender="")
        await ada.writes(desk.address, "a person")
        await until(lambda: inbox.events)

    assert inbox.texts == ["a person"]
    assert desk.counts["report"] == 1


async def test_what_was_left_for_people_stays_unread_also_under_new_numbers(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox):
        await ada.writes(desk.address, "robot", headers={"Auto-Submitted": "auto-replied"})
        await until(lambda: desk.counts["left_auto_submitted"] == 1)
    desk.server.forget_uids(desk.address)
    async with desk.running(inbox):
        await until(lambda: desk.counts["known"] == 1)
        await ada.writes(desk.address, "person")
        await until(lambda: inbox.events)
        raws, flags = desk.server.raw(desk.address), desk.server.flags(desk.address)

    assert [letters for raw, letters in zip(raws, flags, strict=True) if b"robot" in raw] == [""]
    assert desk.counts["left_auto_submitted"] == 1


async def test_nobody_hides_a_mail_by_sending_its_copy_first(
    desk: Desk, ada: Person, bob: Person, inbox: MemoryInbox
) -> None:
    """Somebody in Cc forges it, and passes it on as their own, before it arrives itself."""
    inbox.ignores = lambda event: event.sender.grade == "unverified"
    same = "<same@people.test>"
    async with desk.running(inbox):
        await ada.writes(desk.address, "please", message_id=same, signed_in=False)
        await until(lambda: desk.counts["left_stranger"] == 1)
        await bob.writes(desk.address, "please", message_id=same)
        await until(lambda: len(inbox.events) == 1)
        await ada.writes(desk.address, "please", message_id=same)
        await until(lambda: len(inbox.events) == 2)
        await ada.writes(desk.address, "please", message_id=same, signed_in=False)
        await until(lambda: desk.counts["known"] == 1 or len(inbox.events) == 3)

    assert [one.sender.id for one in inbox.events] == [bob.address, ada.address]


async def test_what_lay_there_before_us_is_left_alone_also_under_new_numbers(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """Though the newest of it had vanished when we came."""
    for number in (1, 2):
        await ada.writes(desk.address, "old")
        await until(lambda number=number: len(desk.mails()) == number)
    root = desk.server.folder / "mail" / desk.address / "Maildir"
    max((root / "new").iterdir()).unlink()
    await asyncio.sleep(1.1)  # the server's clock counts seconds
    async with desk.running(inbox):
        pass
    desk.server.forget_uids(desk.address)
    async with desk.running(inbox):
        await ada.writes(desk.address, "new")
        await until(lambda: inbox.events)

    assert inbox.texts == ["new"]


async def test_memos_without_a_word_are_no_repetition(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, limits={"repeats": 1}):
        for number in range(3):
            memo = ("memo.ogg", "audio/ogg", b"OggS" + bytes([number]))
            await ada.writes(desk.address, "", files=[memo])
            await until(
                lambda number=number: len(inbox.events) + desk.counts["left_repeats"] > number
            )
        await ada.writes(desk.address, "", files=[memo])
        await until(lambda: desk.counts["left_repeats"])

    assert len(inbox.events) == 3


async def test_results_that_lie_too_low_came_with_the_mail(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """This server lets results in its own name pass."""
    forged = {
        "Received": "from x by y; Mon, 3 Nov 2025 10:00:00 +0100",
        "Authentication-Results": "mx.mail.test; dmarc=pass header.from=mail.test",
    }
    async with desk.running(inbox, received_above=1):
        await ada.writes(desk.address, "forged", signed_in=False, headers=forged)
        await until(lambda: len(inbox.events) == 1)
        await ada.writes(desk.address, "genuine", headers=forged)
        await until(lambda: len(inbox.events) == 2)

    assert [one.sender.grade for one in inbox.events] == ["unverified", "verified"]
