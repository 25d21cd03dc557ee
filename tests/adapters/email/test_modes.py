"""Drafts, sorting, vacation; and machines that write to machines."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.email.vacation import TRIES
from gateway.errors import Uncertain
from gateway.message import Account, Inbound
from gateway.ports import Accepted, Prepare, Show
from tests.adapters.email.scene import Desk, Hurried, Person, answer, plain, until
from tests.fakes.inbox import MemoryInbox
from tests.servers.choppy import Choppy
from tests.servers.mail import MailServer


async def one(inbox: MemoryInbox, number: int = 1) -> Inbound:
    await until(lambda: len(inbox.events) >= number)
    return inbox.events[number - 1]


async def test_a_draft_waits_for_a_person_and_nothing_is_sent(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, mode="draft") as adapter:
        await ada.writes(desk.address, "question", subject="Hello")
        event = await one(inbox)
        part = answer(event, "a proposal")
        assert await adapter.find(part) is None
        receipt = await adapter.send(part)
        found = await adapter.find(part)
        await adapter.send(answer(event, "slow down", reply="r2", kind="refusal"))

    (draft,) = desk.mails("Drafts")
    assert plain(draft) == "a proposal"
    assert draft["To"] == ada.address
    assert draft["In-Reply-To"] == event.native_id
    assert draft["Auto-Submitted"] is None
    assert "D" in desk.server.flags(desk.address, "Drafts")[0]
    assert found is not None
    assert found.native_id == receipt.native_id == draft["Message-ID"]
    assert await ada.inbox() == []


@pytest.mark.parametrize("before", [True, False], ids=["not taken", "taken"])
async def test_a_draft_that_was_cut_is_looked_for_before_it_is_put_there_again(
    desk: Desk, ada: Person, inbox: MemoryInbox, before: bool
) -> None:
    wire = Choppy(desk.server.plain_imap_port)
    async with wire.running() as port:
        imap = {"port": port, "tls": "none"}
        async with desk.running(inbox, mode="draft", imap=imap) as adapter:
            await ada.writes(desk.address, "question", subject="Hello")
            part = answer(await one(inbox), "a proposal")
            wire.cut_at(b"a proposal", before=before)
            with pytest.raises(Uncertain):
                await adapter.send(part)
            found = await adapter.find(part)
            if found is None:
                await adapter.send(part)
    assert (found is None) is before
    assert len(desk.mails("Drafts")) == 1


RULES = [
    {"from": ["boss@*"], "flag": True, "stop": False},
    {"subject": "invoice", "has_attachment": True, "move": "Paper", "keywords": ["Invoice"]},
    {"list": True, "move": "Lists", "seen": True},
]


async def test_rules_sort_before_any_model_is_asked(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    files = [("i.pdf", "application/pdf", b"%PDF-1.4")]
    async with desk.running(inbox, rules=RULES):
        await ada.writes(desk.address, "pay", subject="Your INVOICE", files=files)
        await ada.writes(desk.address, "news", headers={"List-Id": "<l.test>"})
        await ada.writes(desk.address, "a question", subject="invoice without one")
        await one(inbox)
        await until(lambda: len(desk.mails("Paper")) == 1 and len(desk.mails("Lists")) == 1)

    assert inbox.texts == ["Subject: invoice without one\n\na question"]
    assert "S" in desk.server.flags(desk.address, "Lists")[0]
    assert desk.counts["rule"] == 2


LABELS = {
    "invoice": {"about": "somebody wants money", "move": "Paper"},
    "urgent": {"flag": True, "keywords": ["Urgent"]},
}


async def test_the_models_label_moves_a_mail_and_nothing_is_sent(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    async with desk.running(inbox, mode="triage", labels=LABELS, authserv_id="") as adapter:
        await ada.writes(desk.address, "pay me", subject="Money", headers={"List-Id": "<l.test>"})
        event = await one(inbox)
        assert "- invoice: somebody wants money" in event.text
        assert event.text.endswith("Subject: Money\n\npay me")
        for _ in range(2):  # a repetition changes nothing
            await adapter.send(answer(event, "Label: **Invoice**."))
        await ada.writes(desk.address, "help", subject="Fire")
        second = await one(inbox, 2)
        await adapter.send(answer(second, "I cannot decide.", reply="r2"))
        await adapter.send(answer(second, "urgent", reply="r3"))

    assert [plain(mail) for mail in desk.mails("Paper")] == ["pay me"]
    (left,) = desk.mails()
    assert plain(left) == "help"
    assert "F" in desk.server.flags(desk.address)[0]
    assert desk.counts["no_label"] == 1
    assert desk.counts["labelled"] == 2
    assert await ada.inbox() == []


async def test_while_somebody_is_away_each_person_is_told_once_and_no_model_is_asked(
    desk: Desk, ada: Person, bob: Person, inbox: MemoryInbox
) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    away = [{"from": str(today), "to": str(today + datetime.timedelta(1)), "text": "I am *away*."}]
    async with desk.running(inbox, vacation=away):
        await ada.writes(desk.address, "one", subject="Hi")
        await ada.gets(1)
    async with desk.running(inbox, vacation=away):
        await ada.writes(desk.address, "two")
        await bob.writes(desk.address, "forged", signed_in=False)
        await bob.writes(desk.address, "hello")
        (to_bob,) = await bob.gets(1)
        await until(lambda: desk.counts["left_vacation"] == 4)

    (to_ada,) = await ada.inbox()
    assert (plain(to_ada), to_ada["Subject"]) == ("I am away.", "Re: Hi")
    assert plain(to_bob) == "I am away."
    assert to_ada["Auto-Submitted"] == "auto-replied"
    assert to_ada["Return-Path"] == "<>"
    assert inbox.events == []


class Eager(MemoryInbox):
    """Answers every mail at once, whoever it is from: the worst neighbour."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.adapter: Any = None

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        accepted = await super().accept(event, prepare, show)
        if accepted.outcome == "stored":
            reply = f"r{len(self.events)}"
            await self.adapter.send(answer(event, "Thank you for your mail!", reply=reply))
        return accepted


@contextlib.asynccontextmanager
async def eager(desk: Desk, **more: Any) -> AsyncIterator[Eager]:
    inbox = Eager(desk)
    inbox.adapter = desk.adapter()
    async with desk.running(inbox, **more):
        yield inbox
    await inbox.adapter.close()


async def test_two_gateways_that_answer_everything_stop_by_themselves(
    mail_server: MailServer, ada: Person
) -> None:
    """S45: at most two mails between them."""
    left = Desk(mail_server, mail_server.person(), account=Account(kind="email", id="left"))
    right = Desk(mail_server, mail_server.person(), account=Account(kind="email", id="right"))
    async with eager(left) as one_side, eager(right) as other_side:
        # As if a person of the left one had written to the right one by hand.
        await Person(mail_server, left.address).writes(right.address, "hello")
        await until(lambda: len(left.mails()) >= 1)
        await ada.writes(left.address, "are you idle now?")
        await ada.gets(1)
        await ada.writes(right.address, "and you?")
        await ada.gets(2)
        between = len(left.mails()) + len(right.mails()) - 2
    assert between <= 2
    assert len(one_side.events) + len(other_side.events) == between + 1


async def test_a_robot_without_any_mark_is_answered_a_few_times_only(
    desk: Desk, ada: Person
) -> None:
    """S46: a machine that hides what it is, and says the same each time."""
    async with eager(desk, limits={"repeats": 3}) as inbox:
        await ada.writes(desk.address, "We have received your message 0 and will come back to it.")
        for number in range(1, 8):
            got = await ada.gets(min(number, 3))
            text = f"We have received your message {number} and will come back to it."
            await ada.writes(desk.address, text, answers=got[-1])
            await until(lambda number=number: len(desk.mails()) > number)
        await until(lambda: desk.counts["left_repeats"] == 5)
        assert len(await ada.inbox()) == 3
    assert len(inbox.events) == 3


async def test_nobody_is_answered_more_often_than_the_settings_say_and_strangers_use_up_nothing(
    desk: Desk, ada: Person, bob: Person
) -> None:
    async with eager(desk, limits={"per_correspondent": 3, "per_thread": 2}) as inbox:
        for number in range(3):
            await ada.writes(desk.address, f"forged {number}", signed_in=False)
        await until(lambda: len(inbox.events) == 3)
        for number in range(5):
            await ada.writes(desk.address, f"another matter {number} " * number)
        await until(lambda: desk.counts["left_per_correspondent"] == 2)
        await bob.writes(desk.address, "hello")
        await bob.gets(1)
    hers = [one.sender.grade for one in inbox.events if one.sender.id == ada.address]
    assert sorted(hers) == ["unverified"] * 3 + ["verified"] * 3


def away_today() -> list[dict[str, str]]:
    today = datetime.datetime.now(datetime.UTC).date()
    return [{"from": str(today), "to": str(today + datetime.timedelta(1)), "text": "I am away."}]


async def test_mails_of_one_person_in_two_folders_get_one_word_of_absence(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    folders = ["INBOX", "Junk"]
    await ada.writes(desk.address, "one")
    await until(lambda: desk.mails())
    (raw,) = desk.server.raw(desk.address)
    desk.server.put(desk.address, raw.replace(b"one", b"two"), "Junk")
    async with desk.running(inbox, mailboxes=folders, backlog="1h", vacation=away_today()):
        await until(lambda: desk.counts["left_vacation"] == 2)
    assert len(await ada.inbox()) == 1


async def test_who_cannot_be_told_of_an_absence_holds_up_nobody(
    desk: Desk, ada: Person, bob: Person, inbox: MemoryInbox
) -> None:
    wire = Choppy(desk.server.smtp_port)
    async with wire.running() as port:
        wire.answer_to(f"RCPT TO:<{ada.address}".encode(), b"451 4.3.0 later\r\n", times=1000)
        smtp = {"port": port, "tls": "none"}
        clock = {"clock": Hurried()}
        async with desk.running(inbox, smtp=smtp, vacation=away_today(), given=clock):
            await ada.writes(desk.address, "one")
            await until(lambda: desk.mails())
            await bob.writes(desk.address, "two")
            await bob.gets(1)
    assert wire.cuts == TRIES
    assert await ada.inbox() == []


async def test_what_people_sort_stays_unread_unless_its_rule_says_seen(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    rules = [{"subject": "invoice", "flag": True}]
    async with desk.running(inbox, mode="triage", labels=LABELS, rules=rules):
        await ada.writes(desk.address, "pay", subject="invoice")
        await ada.writes(desk.address, "help", subject="Fire")
        await one(inbox)
        await until(lambda: sorted(desk.server.flags(desk.address)) == ["", "F"])
        await ada.writes(desk.address, "more", subject="Fire")
        await one(inbox, 2)  # so that the first one is done with
    assert sorted(desk.server.flags(desk.address))[:2] == ["", ""]
