"""RFC 3834 as tables: bounces, auto-replies, lists and ourselves; and the people in between."""

from __future__ import annotations

import itertools

import pytest

from adapters.email.reading import Manners, loop_count, why_not_answered
from tests.adapters.email.reading.builders import US, mail, multipart

LOOSE = Manners(lists=True, bulk=True, only_addressed=False)
"""As lenient as can be: no robot may come through for a policy's sake."""

DAEMONS = {
    "postfix": ("MAILER-DAEMON@mx.example.net (Mail Delivery System)", "Undelivered Mail"),
    "exim": ("Mail Delivery System <Mailer-Daemon@mx.example.net>", "Mail delivery failed"),
    "qmail": ("MAILER-DAEMON@mx.example.net", "failure notice"),
    "sendmail": ("Mail Delivery Subsystem <MAILER-DAEMON@example.net>", "Returned mail: see"),
    "exchange": ("postmaster@example.net", "Undeliverable: the engine"),
    "gmail": ("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "Delivery Status"),
    "courier": ("Courier mail server <postmaster@example.net>", "NOTICE: mail status"),
    "notes": ("Postmaster <Mail.Delivery@example.net>", "DELIVERY FAILURE: no such user"),
    "mdaemon": ("MDaemon@example.net", "Permanent Delivery Failure"),
    "groupwise": ("Mailer-Daemon@gw.example.net", "Message status - undeliverable"),
    "ses": ("MAILER-DAEMON@eu-west-1.amazonses.com", "Delivery Status Notification (Failure)"),
    "gateway": ("Anti-Virus Gateway <antivirus-scanner@example.net>", "Rejected"),
}
STATES = [
    ("failed", "5.1.1", "no such user"),
    ("failed", "5.2.2", "mailbox full"),
    ("failed", "5.7.1", "message refused"),
    ("failed", "4.4.7", "message expired"),
    ("delayed", "4.4.1", "no answer from host"),
    ("delivered", "2.0.0", "delivered"),
]
SHAPES = ("report", "prose", "forwarded by a server that knows no null sender")


def bounces() -> list[tuple[str, str, tuple[str, str, str], str]]:
    """12 servers, 6 states, 3 shapes, and one more: 217."""
    named = itertools.product(DAEMONS, STATES, SHAPES)
    return [
        *((f"{name} {state[1]} {shape}", name, state, shape) for name, state, shape in named),
        ("null sender only", "", STATES[0], "null"),
    ]


@pytest.mark.parametrize(
    ("server", "state", "shape"), [each[1:] for each in bounces()], ids=[b[0] for b in bounces()]
)
def test_no_bounce_is_answered(server: str, state: tuple[str, str, str], shape: str) -> None:
    author, subject = DAEMONS.get(server, ("Ada <ada@example.net>", "the engine"))
    action, status, told = state
    headers = {"From": author, "Subject": subject, "Return-Path": "<>"}
    if shape == "report":
        bounce = multipart(
            "\nYour mail could not be delivered.",
            "Content-Type: message/delivery-status\n\n"
            "Reporting-MTA: dns; mx.example.net\n\n"
            "Final-Recipient: rfc822; charles@example.net\n"
            f"Action: {action}\nStatus: {status}\nDiagnostic-Code: smtp; 550 {told}\n",
            "Content-Type: message/rfc822\n\n"
            "Message-ID: <ours@example.org>\nSubject: Re: the engine\n\nIt does.",
            kind="report; report-type=delivery-status",
            headers={**headers, "Return-Path": f"<{author.split('<')[-1].rstrip('>')}>"},
        )
        assert bounce.report is not None
        assert (bounce.report.action, bounce.report.status) == (action, status)
        assert bounce.report.recipients == ("charles@example.net",)
        assert bounce.report.original_id == "<ours@example.org>"
        assert bounce.report.diagnostic == f"550 {told}"
    elif shape == "prose":
        bounce = mail(
            headers, f"<charles@example.net>:\n{told}\n\nMessage-ID: <ours@example.org>\n"
        )
    else:
        sent_by = {"Return-Path": "<relay@example.net>"} if server else {}
        bounce = mail({**headers, **sent_by}, told)

    assert why_not_answered(bounce, US, LOOSE) != ""
    assert bounce.auto != ""


def test_there_are_as_many_bounces_as_promised() -> None:
    assert len(bounces()) == 217


AUTOMATIC: list[tuple[dict[str, str | list[str] | None], str]] = [
    ({"Auto-Submitted": "auto-replied"}, "auto_submitted"),
    ({"Auto-Submitted": "auto-generated"}, "auto_submitted"),
    ({"Auto-Submitted": 'auto-notified; owner-email="a@b"'}, "auto_submitted"),
    ({"Auto-Submitted": "AUTO-REPLIED (vacation)"}, "auto_submitted"),
    ({"Auto-Submitted": "auto-forwarded"}, "auto_submitted"),
    ({"Auto-Submitted": "yes"}, "auto_submitted"),
    ({"Auto-Submitted": ""}, "auto_submitted"),
    ({"Auto-Submitted": ["no", "auto-replied"]}, "auto_submitted"),
    ({"Auto-Submitted": "something-new"}, "auto_submitted"),
    ({"Return-Path": "<>"}, "null_sender"),
    ({"Return-Path": ""}, "null_sender"),
    ({"Return-Path": "<>", "Auto-Submitted": "auto-replied"}, "null_sender"),
    ({"Return-Path": ["<>", "<ada@example.net>"]}, "null_sender"),
    ({"X-Auto-Response-Suppress": "All"}, "asked_not_to"),
    ({"X-Auto-Response-Suppress": "OOF"}, "asked_not_to"),
    ({"X-Auto-Response-Suppress": "DR, OOF, AutoReply"}, "asked_not_to"),
    ({"X-Auto-Response-Suppress": "autoreply"}, "asked_not_to"),
    ({"X-Auto-Response-Suppress": "-1"}, "asked_not_to"),
    ({"Precedence": "auto_reply"}, "auto_reply"),
    ({"Precedence": "Auto-Reply"}, "auto_reply"),
    ({"X-Autoreply": "yes"}, "auto_reply"),
    ({"X-Autorespond": "vacation"}, "auto_reply"),
    ({"X-Autoresponder": "3.1"}, "auto_reply"),
    ({"X-AutoReply-From": "ada@example.net"}, "auto_reply"),
    ({"X-Mail-Autoreply": "1"}, "auto_reply"),
    ({"X-Vacation": "1"}, "auto_reply"),
    ({"X-Out-Of-Office": "1"}, "auto_reply"),
    ({"X-Failed-Recipients": "charles@example.net"}, "auto_reply"),
    ({"X-Loop": "ada@example.net"}, "loop_mark"),
    ({"X-Loop": "bot@example.org"}, "loop_mark"),
    ({"Content-Type": "multipart/report; report-type=disposition-notification"}, "report"),
    ({"Content-Type": "Multipart/Report"}, "report"),
    ({"From": "MAILER-DAEMON@example.net"}, "robot_sender"),
    ({"From": "Mailer.Daemon@example.net"}, "robot_sender"),
    ({"From": "postmaster@example.net"}, "robot_sender"),
    ({"From": "noreply@example.net"}, "robot_sender"),
    ({"From": "no-reply@example.net"}, "robot_sender"),
    ({"From": "No_Reply@example.net"}, "robot_sender"),
    ({"From": "do-not-reply@example.net"}, "robot_sender"),
    ({"From": "DoNotReply@example.net"}, "robot_sender"),
    ({"From": "noreply+ab12@example.net"}, "robot_sender"),
    ({"From": "shop-noreply@example.net"}, "robot_sender"),
    ({"From": "calendar.no-reply@example.net"}, "robot_sender"),
    ({"From": "friends-request@example.net"}, "robot_sender"),
    ({"From": "owner-friends@example.net"}, "robot_sender"),
    ({"From": "friends-bounces@example.net"}, "robot_sender"),
    ({"From": "bounce+ada=example.org@example.net"}, "robot_sender"),
    ({"From": "majordomo@example.net"}, "robot_sender"),
    ({"From": "auto-reply@example.net"}, "robot_sender"),
    ({"From": "root@example.net"}, "robot_sender"),
    ({"Sender": "no-reply@example.net"}, "robot_sender"),
    ({"Reply-To": "noreply@example.net"}, "robot_sender"),
    ({"Return-Path": "<MAILER-DAEMON@example.net>"}, "robot_sender"),
    ({"Return-Path": "<owner-friends@example.net>"}, "robot_sender"),
    ({"Subject": "Automatic reply: the engine"}, "auto_subject"),
    ({"Subject": "Out of Office"}, "auto_subject"),
    ({"Subject": "Out of Office AutoReply: the engine"}, "auto_subject"),
    ({"Subject": "=?utf-8?q?R=C3=A9ponse_automatique_:_the_engine?="}, "auto_subject"),
    ({"Subject": "Abwesenheitsnotiz: the engine"}, "auto_subject"),
    ({"Subject": "自動応答: the engine"}, "auto_subject"),
    ({"Subject": "Auto-Reply Re: the engine"}, "auto_subject"),
    ({"From": "bot@example.org"}, "from_ourselves"),
    ({"From": "Assistant@Example.ORG"}, "from_ourselves"),
    ({"From": "bot+orders@example.org"}, "from_ourselves"),
    ({"Sender": "bot@example.org"}, "from_ourselves"),
    ({"Reply-To": "bot@example.org"}, "from_ourselves"),
    ({"Return-Path": "<bot@example.org>"}, "from_ourselves"),
    ({"From": None}, "no_sender"),
    ({"From": "ada@example.net, eve@example.net"}, "no_sender"),
    ({"From": ["ada@example.net", "eve@example.net"]}, "no_sender"),
    ({"From": "undisclosed:;"}, "no_sender"),
    ({"From": "Us: ada@example.net;"}, "no_sender"),
    ({"From": "Ada"}, "no_sender"),
]


@pytest.mark.parametrize(("headers", "reason"), AUTOMATIC)
def test_what_no_policy_can_make_us_answer(
    headers: dict[str, str | list[str] | None], reason: str
) -> None:
    assert why_not_answered(mail(headers), US, LOOSE) == reason


def test_there_are_as_many_auto_replies_as_promised() -> None:
    assert len(AUTOMATIC) >= 60


BY_POLICY: list[tuple[dict[str, str | list[str] | None], str, Manners]] = [
    ({"List-Id": "<friends.example.net>"}, "list", Manners(lists=True)),
    ({"List-Post": "<mailto:friends@example.net>"}, "list", Manners(lists=True)),
    ({"List-Something-New": "x"}, "list", Manners(lists=True)),
    ({"Precedence": "list"}, "list", Manners(lists=True)),
    ({"X-Mailman-Version": "3"}, "list", Manners(lists=True)),
    ({"X-BeenThere": "friends@example.net"}, "list", Manners(lists=True)),
    (
        {"List-Id": "<friends.example.net>", "List-Unsubscribe": "<https://x>"},
        "list",
        Manners(lists=True),
    ),
    ({"Precedence": "bulk"}, "bulk", Manners(bulk=True)),
    ({"Precedence": "Junk"}, "bulk", Manners(bulk=True)),
    ({"List-Unsubscribe": "<https://example.net/u>"}, "bulk", Manners(bulk=True)),
    ({"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}, "bulk", Manners(bulk=True)),
    ({"Feedback-ID": "1:campaign:shop"}, "bulk", Manners(bulk=True)),
    ({"X-Campaign-ID": "7"}, "bulk", Manners(bulk=True)),
    ({"To": "Ada <ada@example.net>"}, "not_addressed", Manners(only_addressed=False)),
    ({"To": None}, "not_addressed", Manners(only_addressed=False)),
    ({"To": "undisclosed-recipients:;"}, "not_addressed", Manners(only_addressed=False)),
    ({"To": "robot@example.org"}, "not_addressed", Manners(only_addressed=False)),
]


@pytest.mark.parametrize(("headers", "reason", "manners"), BY_POLICY)
def test_what_is_answered_only_where_the_account_says_so(
    headers: dict[str, str | list[str] | None], reason: str, manners: Manners
) -> None:
    assert why_not_answered(mail(headers), US) == reason
    assert why_not_answered(mail(headers), US, manners) == ""


PEOPLE: list[dict[str, str | list[str] | None]] = [
    {},
    {"Return-Path": None},
    {"Auto-Submitted": "no"},
    {"Auto-Submitted": "No (a person)"},
    {"X-Auto-Response-Suppress": "DR, RN, NRN"},
    {"X-Auto-Response-Suppress": "None"},
    {"Precedence": "normal"},
    {"Feedback-ID": "i0a1b2c3:Fastmail"},
    {"Feedback-ID": "1234:user:proton"},
    {"To": "Our bot <BOT@example.org>, charles@example.net"},
    {"To": "charles@example.net", "Cc": "assistant@example.org"},
    {"To": "bot+orders@example.org"},
    {"To": "Friends: charles@example.net, bot@example.org;"},
    {"Return-Path": "<prvs=123456=ada@example.net>"},
    {"Return-Path": "<bounces+123-ab=example.org@mailer.example.net>"},
    {"Return-Path": "<SRS0=ab=cd=example.net=ada@relay.example>"},
    {"From": "Nora Replyson <nora.reply@example.net>"},
    {"From": "owner@example.net"},
    {"From": "request@example.net"},
    {"From": "hr-admin@example.net"},
    {"From": "bouncer@example.net"},
    {"Subject": "Who is out of office next week?"},
    {"Subject": "Out of office policy"},
    {"Subject": "Re: Undeliverable: the engine"},
    {"Subject": "Fwd: Automatic reply: the engine"},
    {"Reply-To": "Ada <ada+home@example.net>"},
    {"Reply-To": "bot@example.org, ada@example.net"},
    {"Sender": "secretary@example.net"},
]


@pytest.mark.parametrize("headers", PEOPLE)
def test_people_are_answered(headers: dict[str, str | list[str] | None]) -> None:
    assert why_not_answered(mail(headers), US) == ""


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (None, 0),
        ("1", 1),
        ("17", 17),
        ("999999", 9999),
        ("²", 1),
        ("", 1),
        ("x", 1),
        (["1", "5", "x"], 5),
    ],
)
def test_loops_are_counted_by_our_mark(said: str | list[str] | None, count: int) -> None:
    assert loop_count(mail({"X-Moltgate-Loop": said})) == count
