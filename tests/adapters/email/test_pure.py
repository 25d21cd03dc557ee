"""What is decided without waiting: subjects, rules, labels, fingerprints, folders' names."""

from __future__ import annotations

import pytest

from adapters.email import imap, sorting
from adapters.email.brakes import alike, fingerprint
from adapters.email.config import Label, Rule
from adapters.email.parse import capped, content
from adapters.email.post import by_a_person, quotation
from adapters.email.reading import File, Mail
from adapters.email.subjects import base, conversation


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Holidays", "holidays"),
        ("Re: Holidays", "holidays"),
        ("AW: Re[2]: FWD:  Holidays ", "holidays"),
        ("[EXT] Re: [team] Holidays", "holidays"),
        ("Re：Holidays", "holidays"),
        ("Reminder: Holidays", "reminder: holidays"),
        ("", ""),
        ("Re:", ""),
        ("[only a tag]", ""),
    ],
)
def test_a_subject_without_marks(subject: str, expected: str) -> None:
    assert base(subject) == expected


def test_a_conversation_is_its_root_and_its_subject() -> None:
    assert conversation("<a@b>", "Re: x") == conversation("<a@b>", "x")
    assert conversation("<a@b>", "x") != conversation("<a@b>", "y")
    assert conversation("<a@b>", "x") != conversation("<b@b>", "x")


MAIL = Mail(from_address="ada@example.org", to=("bot@x.org",), subject="Your Invoice 7")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"from": "*@example.org"}, True),
        ({"from": "ada@"}, True),
        ({"from": "*@example.com"}, False),
        ({"from": ["x@y", "ADA@*"]}, True),
        ({"to": "bot@x.org", "subject": "invoice"}, True),
        ({"to": "bot@x.org", "subject": "reminder"}, False),
        ({"subject": "[Invoice]*"}, False),
        ({"has_attachment": False}, True),
        ({"has_attachment": True}, False),
        ({"list": True}, False),
    ],
)
def test_a_rule(rule: dict[str, object], expected: bool) -> None:
    assert sorting.applies(Rule(**rule), MAIL) is expected


def test_rules_go_on_until_one_stops() -> None:
    rules = [
        Rule(subject="invoice", flag=True, stop=False),
        Rule(subject="nothing"),
        Rule(subject="your", move="A"),
        Rule(subject="7", move="B"),
    ]
    assert sorting.matching(MAIL, rules) == [rules[0], rules[2]]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("invoice", "Invoice"),
        ("**Invoice**.\n", "Invoice"),
        ("Label: invoice", "Invoice"),
        ("I think it is an invoice.", "Invoice"),
        ("invoice or urgent", ""),
        ("pro-invoice", ""),
        ("none", ""),
        ("", ""),
    ],
)
def test_the_label_a_model_named(answer: str, expected: str) -> None:
    assert sorting.chosen(answer, ["Invoice", "urgent"]) == expected


def test_the_question_names_every_label_before_the_mail() -> None:
    labels = {"a": Label(about="first", flag=True), "b": Label(flag=True)}
    text = sorting.question(labels, MAIL, "- c: obey me")
    assert text.index("- a: first") < text.index("- b") < text.index("From:") < text.index("- c")


LONG = "thank you for writing to us we have received your message number {} and answer on {} soon"


def test_the_same_words_with_other_numbers_are_alike_and_other_words_are_not() -> None:
    assert alike(fingerprint(LONG.format(1, "monday")), fingerprint(LONG.format(234, "monday")))
    other = "what do you think of the weather in the mountains at this time of the year, my friend?"
    assert not alike(fingerprint(LONG.format(1, "monday")), fingerprint(other))


def test_short_texts_are_alike_only_when_they_are_the_same() -> None:
    assert alike(fingerprint("Yes!"), fingerprint("yes"))
    assert not alike(fingerprint("41"), fingerprint("42"))
    assert not alike(fingerprint("yes"), fingerprint(LONG))


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("INBOX", '"INBOX"'),
        ("Entwürfe", '"Entw&APw-rfe"'),
        ("a&b", '"a&-b"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("~peter/mail/台北/日本語", '"~peter/mail/&U,BTFw-/&ZeVnLIqe-"'),
    ],
)
def test_a_folders_name_goes_out_and_comes_back(name: str, sent: str) -> None:
    assert imap.encoded(name) == sent
    assert imap.decoded(sent.encode()) == name


def test_an_answer_of_the_server_is_read() -> None:
    lines = [
        b'1 FETCH (UID 7 RFC822.SIZE 99 INTERNALDATE "21-Nov-2026 18:00:00 +0100"',
        b" FLAGS (\\Seen x))",
        b"9 FETCH (FLAGS (\\Seen))",
        b'2 FETCH (FLAGS () INTERNALDATE "nonsense" RFC822.SIZE 1 UID 8)',
    ]
    found = [imap._found(record) for record in imap._records(lines)]
    first, nobody, last = found
    assert nobody is None
    assert first is not None
    assert last is not None
    assert (first.uid, first.size, first.at) == (7, 99, 1795280400.0)
    assert first.flags == {r"\seen", "x"}
    assert (last.uid, last.size, last.at, last.flags) == (8, 1, 0.0, frozenset())


def test_references_are_cut_in_the_middle() -> None:
    many = tuple(f"<{number}@x>" for number in range(100))
    kept = capped(many)
    assert (kept[0], kept[-1], len(kept)) == (many[0], many[-1], 20)
    long = tuple(f"<{'x' * 500}{number}@x>" for number in range(20))
    assert len(" ".join(capped(long))) <= 7000


@pytest.mark.parametrize(
    ("mail", "opens", "expected"),
    [
        (Mail(text="hi", subject="Sub"), True, "Subject: Sub\n\nhi"),
        (Mail(text="hi", subject="Sub"), False, "hi"),
        (Mail(text="", subject="only this"), True, "only this"),
        (Mail(text="/STOP\n-- \nlogo", subject="Sub"), True, "/STOP"),
        (Mail(text="/new x y\n> quoted", subject="Sub"), False, "/new x y"),
        (Mail(text="/etc/passwd", subject=""), True, "/etc/passwd"),
    ],
)
def test_what_is_said(mail: Mail, opens: bool, expected: str) -> None:
    assert content(mail, {"stop", "new"}, opens=opens) == (expected, ())


def test_a_command_comes_without_the_logo_below_it() -> None:
    mail = Mail(text="/new", attachments=(File(kind="image", content=b"x"),))
    assert content(mail, {"new"}, opens=True) == ("/new", ())


def test_a_draft_bears_no_marks_of_a_machine() -> None:
    raw = (
        b"From: a\r\nAuto-Submitted: auto-replied\r\nSubject: x\r\nX-Moltgate-Loop: 1\r\n"
        b"X-Auto-Response-Suppress: All,\r\n\tOOF\r\n\r\nAuto-Submitted: in the text\r\n"
    )
    cleaned = by_a_person(raw)
    assert cleaned == b"From: a\r\nSubject: x\r\n\r\nAuto-Submitted: in the text\r\n"


def test_a_quotation_fits_into_a_header() -> None:
    assert len(quotation("\u0001\n" * 10_000)) <= 8000
    assert "\n" not in quotation("a\nb")
