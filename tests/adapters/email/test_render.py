"""An answer as a mail: what the standard library's parser and our own reader make of it."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.reading import Limits, why_not_answered
from adapters.email.reading.assemble import assemble
from adapters.email.render import Attached, Question, Style, compose, message_id, split
from gateway.errors import Failed
from gateway.message import Account, Button, ConversationId, Outbound, Place, ReplyId

STYLE = Style(address="bot@example.org", name="Our bot", secret=b"secret")
QUESTION = Question(
    message_id="<two@example.net>",
    references=("<one@example.net>",),
    subject="the engine",
    text="Does it weave?\n> really?",
    author="Ada",
    date=1762164000.0,
)
NOW = 1762164060.0


def outbound(text: str = "It **does**.", **fields: object) -> Outbound:
    base: dict[str, object] = {
        "reply": ReplyId("r1"),
        "conversation": ConversationId("c"),
        "account": Account(kind="email"),
        "place": Place(kind="direct", chat="ada@example.net"),
        "text": text,
    }
    return Outbound(**(base | fields))  # type: ignore[arg-type]


def composed(
    text: str = "It **does**.",
    *,
    to: str = "ada@example.net",
    style: Style = STYLE,
    question: Question | None = QUESTION,
    files: tuple[Attached, ...] = (),
    **fields: object,
) -> bytes:
    return compose(outbound(text, **fields), to, style, question, files, now=NOW)


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_an_answer_is_threaded_and_marked_as_automatic() -> None:
    message = parsed(composed())

    assert message["From"] == "Our bot <bot@example.org>"
    assert message["To"] == "ada@example.net"
    assert message["Subject"] == "Re: the engine"
    assert message["Date"].datetime.timestamp() == NOW
    assert message["Message-ID"] == message_id("r1.0", STYLE)
    assert message["In-Reply-To"] == "<two@example.net>"
    assert message["References"] == "<one@example.net> <two@example.net>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["X-Moltgate-Loop"] == "1"
    assert not message.defects


def test_it_reads_as_text_and_as_html() -> None:
    message = parsed(composed("It **does**.\n\n- one\n- two"))

    assert message.get_content_type() == "multipart/alternative"
    assert body(message, "plain") == "It does.\n\n• one\n• two\n"
    assert "<p>It <strong>does</strong>.</p>" in body(message, "html")
    assert "<li>one</li>" in body(message, "html")


def test_files_go_along() -> None:
    files = (
        Attached(name="a b.pdf", media_type="application/pdf", content=b"%PDF" * 1_000),
        Attached(name="ä.png", media_type="image/png", content=b"\x89PNG"),
        Attached(name="a/b\r\nX: y.txt", media_type="text/plain", content=b"hi"),
        Attached(name="", media_type="multipart/mixed; x", content=b"\x00"),
    )

    message = parsed(composed(files=files))
    found = list(message.iter_attachments())

    assert message.get_content_type() == "multipart/mixed"
    assert [part.get_filename() for part in found] == ["a b.pdf", "ä.png", "a/b X: y.txt", "file"]
    assert [part.get_content_type() for part in found] == [
        "application/pdf",
        "image/png",
        "text/plain",
        "application/octet-stream",
    ]
    assert [part.get_payload(decode=True) for part in found] == [each.content for each in files]
    assert body(message, "plain") == "It does.\n"


def test_every_attempt_at_a_part_has_one_id_that_nobody_can_guess() -> None:
    assert message_id("r1.0", STYLE) == message_id("r1.0", STYLE)
    ids = {
        message_id("r1.0", STYLE),
        message_id("r1.1", STYLE),
        message_id("r1.0", Style(address="bot@example.org", secret=b"other")),
        message_id("r1.0", Style(address="bot@example.org", secret=b"secret", domain="mx.org")),
    }
    assert len(ids) == 4
    assert message_id("r1.0", STYLE).endswith("@example.org>")


def test_two_attempts_are_the_same_mail() -> None:
    assert composed() == composed()


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("the engine", "Re: the engine"),
        ("Re: the engine", "Re: the engine"),
        ("RE:the engine", "RE:the engine"),
        ("AW: the engine", "AW: the engine"),
        ("Re[2]: the engine", "Re[2]: the engine"),
        ("回复：the engine", "回复：the engine"),
        ("Fwd: the engine", "Re: Fwd: the engine"),
        ("Regarding: the engine", "Re: Regarding: the engine"),
        ("", "Re: your mail"),
        ("ä" * 400, "Re: " + "ä" * 296),
        ("=?utf-8?q?x?=", "Re: =?utf-8?q?x?="),
    ],
)
def test_subjects_are_answered_once(asked: str, answered: str) -> None:
    raw = composed(question=Question(message_id="<a@b>", subject=asked))

    assert assemble(raw, Limits()).subject == answered


def test_a_mail_of_our_own_accord_answers_nothing() -> None:
    message = parsed(composed(question=None))

    assert message["Subject"] == "Message from Our bot"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["In-Reply-To"] is None
    assert message["References"] is None


def test_loops_are_counted() -> None:
    assert parsed(composed(question=Question(loop=4)))["X-Moltgate-Loop"] == "5"


def test_long_threads_keep_where_they_began_and_what_is_answered() -> None:
    known = tuple(f"<{number}.{'x' * 100}@example.net>" for number in range(200))
    raw = composed(question=Question(message_id="<last@example.net>", references=known))

    references = parsed(raw)["References"].split()

    assert references[0] == known[0]
    assert references[-2:] == [known[-1], "<last@example.net>"]
    assert sum(map(len, references)) < 4_200
    assert assemble(raw, Limits()).references == tuple(references)


@pytest.mark.parametrize("odd", ["", "nonsense", "<a b@c>", "<a@b>\r\nBcc: <c@d>", "<ä@b>"])
def test_what_is_no_id_is_not_pointed_at(odd: str) -> None:
    message = parsed(composed(question=Question(message_id=odd, references=(odd, "<a@b>"))))

    assert message["In-Reply-To"] is None
    assert message["Bcc"] is None


def test_a_signature_stands_below() -> None:
    style = Style(address="bot@example.org", signature="Bot <of>\nExample")

    message = parsed(composed(style=style))

    assert body(message, "plain") == "It does.\n\n-- \nBot <of>\nExample\n"
    assert "Bot &lt;of&gt;<br />\nExample" in body(message, "html")
    assert assemble(composed(style=style), Limits()).text == "It does."


def test_the_question_is_quoted_where_wanted() -> None:
    style = Style(address="bot@example.org", quoting="top")

    message = parsed(composed(style=style))
    read = assemble(composed(style=style), Limits())

    assert body(message, "plain") == (
        "It does.\n\nOn 2025-11-03 10:00 UTC, Ada wrote:\n> Does it weave?\n> > really?\n"
    )
    assert '<blockquote type="cite">Does it weave?<br />\n&gt; really?' in body(message, "html")
    assert read.text == "It does."
    assert "Does it weave?" in read.quoted


def test_buttons_are_written_out() -> None:
    buttons = ((Button(label="yes"), Button(label="more", url="https://example.org/")),)

    text = body(parsed(composed(buttons=buttons)), "plain")

    assert "yes" in text
    assert "https://example.org/" in text


def test_an_empty_answer_says_so() -> None:
    assert body(parsed(composed(" \n")), "plain") == "(no text)\n"


def test_a_mail_is_one_part() -> None:
    long = outbound("word " * 100_000)

    assert split(long) == [long]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Our bot", "Our bot"),
        ("Bot, Our", "Bot, Our"),
        ('Our "bot"', "Our bot"),
        ("Bö", "Bö"),
        ("bot <eve@evil.example>", "bot <eve@evil.example>"),
        ("=?utf-8?q?Eve?=", "=?utf-8?q?Eve?="),
        ("Bot\r\nBcc: eve@evil.example", "Bot Bcc: eve@evil.example"),
    ],
)
def test_our_name_never_moves_our_address(name: str, shown: str) -> None:
    raw = composed(style=Style(address="bot@example.org", name=name))
    author = parsed(raw)["From"].addresses

    assert [each.addr_spec for each in author] == ["bot@example.org"]
    assert author[0].display_name == shown
    assert parsed(raw)["Bcc"] is None


@pytest.mark.parametrize(
    "to", ["", "ada", "ada@example.net, eve@evil.example", "ada@example.net\r\nBcc: eve@evil"]
)
def test_a_mail_has_one_recipient(to: str) -> None:
    with pytest.raises(Failed):
        composed(to=to)


LONG = st.text(max_size=400) | st.sampled_from(
    ["\r\n.\r\n", "\nFrom x", "x" * 5_000, "ä" * 3_000, "\x00\x85\u2028", "a\r\nBcc: b@c", "--=_"]
)


@given(LONG, LONG, LONG, LONG)
def test_no_text_breaks_the_mail(text: str, subject: str, name: str, label: str) -> None:
    style = Style(address="bot@example.org", name=name, signature=label, quoting="top")
    question = Question(message_id="<a@b>", subject=subject, author=name, text=text, date=1.0)
    files = (Attached(name=label, media_type=subject, content=text.encode("utf-8", "replace")),)

    raw = composed(text, style=style, question=question, files=files)

    assert raw.isascii()
    assert all(len(line) <= 998 and b"\n" not in line for line in raw.split(b"\r\n"))
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert not any(line == b"." or line.startswith(b"From ") for line in raw.split(b"\r\n"))
    head = raw.partition(b"\r\n\r\n")[0].decode()
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith(" ")]
    assert names == [
        *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
        *("Auto-Submitted", "X-Auto-Response-Suppress", "X-Moltgate-Loop"),
        *("MIME-Version", "Content-Type"),
    ]
    read = assemble(raw, Limits())
    assert read.from_address == "bot@example.org"
    assert read.to == ("ada@example.net",)
    assert [file.content for file in read.attachments] == [files[0].content]


def test_our_own_mails_are_answered_by_nobody() -> None:
    for question in (QUESTION, None):
        read = assemble(composed(question=question), Limits())

        assert why_not_answered(read, ["ada@example.net"]) == "auto_submitted"
