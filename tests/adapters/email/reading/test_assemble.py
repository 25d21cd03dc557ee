"""From bytes to what the adapter needs to know."""

from __future__ import annotations

import base64
import hashlib
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.email.reading import Limits
from adapters.email.reading.assemble import answer, assemble
from tests.adapters.email.reading.builders import mail, multipart, raw

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def test_a_plain_mail() -> None:
    read = mail(
        {
            "To": "Bot <bot@example.org>, Charles <charles@EXAMPLE.net>",
            "Cc": "everybody@example.net",
            "In-Reply-To": "<zero@example.net>",
            "References": "<first@example.net>\r\n <zero@example.net>",
            "Subject": "=?utf-8?q?the_=C3=A4ngine?=\r\n =?utf-8?q?_again?=",
        }
    )

    assert (read.from_address, read.from_name) == ("ada@example.net", "Ada Lovelace")
    assert read.to == ("bot@example.org", "charles@example.net")
    assert read.cc == ("everybody@example.net",)
    assert read.return_path == "ada@example.net"
    assert read.subject == "the ängine again"
    assert read.message_id == "<one@example.net>"
    assert read.in_reply_to == "<zero@example.net>"
    assert read.references == ("<first@example.net>", "<zero@example.net>")
    assert read.date == 1762164000.0
    assert read.text == read.full_text == "Does it weave?"
    assert read.problems == ()
    assert not read.html_only
    assert read.auto == ""
    assert read.report is None


def test_html_alone_is_told_apart_from_plain() -> None:
    html = mail({"Content-Type": "text/html"}, "<p>Does it <b>weave</b>?</p>")

    assert html.text == "Does it **weave**?"
    assert html.html_only


def test_of_alternatives_the_plain_one_is_read() -> None:
    read = multipart(
        "Content-Type: text/plain\n\nplain",
        "Content-Type: text/html\n\n<p>html</p>",
        kind="alternative",
    )

    assert read.text == "plain"
    assert not read.html_only
    assert read.attachments == ()


def test_an_empty_plain_alternative_is_none() -> None:
    read = multipart(
        "Content-Type: text/plain\n\n \n",
        "Content-Type: text/html\n\n<p>html</p>",
        kind="alternative",
    )

    assert read.text == "html"
    assert read.html_only


def test_texts_of_a_mixed_mail_follow_each_other() -> None:
    read = multipart("\none", "Content-Type: text/html\n\n<p>two</p>", "\nthree")

    assert read.text == "one\n\ntwo\n\nthree"


def test_pictures_in_the_text_are_marked() -> None:
    read = multipart(
        "Content-Type: multipart/related; boundary=c\n\n"
        '--c\nContent-Type: text/html\n\n<img src="cid:p">hi\n'
        "--c\nContent-Type: image/png\nContent-ID: <p>\n"
        f"Content-Transfer-Encoding: base64\n\n{PIXEL}\n--c--\n",
        f"Content-Type: image/png; name=a.png\nContent-Disposition: attachment\n"
        f"Content-Transfer-Encoding: base64\n\n{PIXEL}",
    )

    shown, attached = read.attachments
    assert (shown.kind, shown.inline, shown.content_id) == ("image", True, "p")
    assert (attached.kind, attached.inline, attached.name) == ("image", False, "a.png")
    assert attached.content == b"\x89PNG\r\n\x1a\n"
    assert read.text == "hi"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("Content-Type: audio/ogg; name=PTT-20251103.opus", "voice"),
        ('Content-Type: audio/mp4; name="New Recording 3.m4a"', "voice"),
        ('Content-Type: audio/x-m4a; name="Voice Memo.m4a"', "voice"),
        ("Content-Type: audio/amr; name=x.amr", "voice"),
        ("Content-Type: audio/wav\nContent-Disposition: inline", "voice"),
        ('Content-Type: application/octet-stream; name="Sprachnachricht.ogg"', "voice"),
        ("Content-Type: audio/mpeg; name=song.mp3", "audio"),
        ("Content-Type: video/mp4; name=film.mp4", "video"),
        ("Content-Type: application/pdf; name=a.pdf", "document"),
        ("Content-Type: application/octet-stream; name=a.jpg", "image"),
        ("Content-Type: text/plain; name=a.txt", "document"),
        ("Content-Type: text/plain\nContent-Disposition: attachment", "document"),
        ("Content-Type: text/calendar", "document"),
    ],
)
def test_files_have_kinds(headers: str, kind: str) -> None:
    read = multipart("\nhi", f"{headers}\n\nx")

    assert [file.kind for file in read.attachments] == [kind]
    assert read.attachments[0].content == b"x"
    assert read.text == "hi"


def test_a_voice_message_is_one_by_its_own_word() -> None:
    read = multipart(
        "Content-Type: audio/mpeg; name=1.mp3\n\nx", headers={"Message-Context": "voice-message"}
    )

    assert read.attachments[0].kind == "voice"


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ('filename="a b.pdf"', "a b.pdf"),
        ("filename*=utf-8''%C3%A4.pdf", "ä.pdf"),
        ("filename*0*=utf-8''%C3%A4; filename*1=b.pdf", "äb.pdf"),
        ('filename="=?utf-8?q?=C3=A4.pdf?="', "ä.pdf"),
        ('filename="ä.pdf"', "ä.pdf"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\Users\\\\a.pdf"', "a.pdf"),
        ("filename*=utf-8''a%0D%0AX:%20b.pdf", "a X: b.pdf"),
        ('filename=".."', ""),
        ("filename*=nonsense''%E4.pdf", "ä.pdf"),
        ("filename*=utf-8'%41", "utf-8'A"),
        ("filename*x*=1", ""),
    ],
)
def test_names_are_labels(parameter: str, name: str) -> None:
    read = multipart(
        f"Content-Type: application/pdf\nContent-Disposition: attachment; {parameter}\n\nx"
    )

    assert read.attachments[0].name == name


@pytest.mark.parametrize(
    ("encoding", "written", "content"),
    [
        ("base64", "aGk=", b"hi"),
        ("base64", "aGk", b"hi"),
        ("base64", "aG k=\nnot=base64!", None),
        ("quoted-printable", "h=\ni=21", b"hi!"),
        ("x-uuencode", 'begin 644 a\n"2&D`\n`\nend', None),
        ("8bit", "hi", b"hi"),
        ("nonsense", "hi", b"hi"),
    ],
)
def test_contents_are_decoded(encoding: str, written: str, content: bytes | None) -> None:
    read = multipart(
        f"Content-Type: application/pdf\nContent-Transfer-Encoding: {encoding}\n\n{written}"
    )

    if content is None:
        assert read.attachments[0].content[:1] in (b"h", b"H")
    else:
        assert read.attachments[0].content == content


@pytest.mark.parametrize(
    ("charset", "body", "text"),
    [
        ("utf-8", "ä€".encode(), "ä€"),
        ("us-ascii", "ä".encode(), "ä"),
        ("iso-8859-1", b"\x80\xe4", "€ä"),
        ("windows-1251", "да".encode("cp1251"), "да"),
        ("koi8-r", "да".encode("koi8-r"), "да"),
        ("gb2312", "镕".encode("gb18030"), "镕"),
        ("iso-2022-jp", "織".encode("iso2022_jp"), "織"),
        ("nonsense", "ä".encode(), "ä"),
        ("nonsense", b"\xe4", "ä"),
        ("rot13", b"abc", "abc"),
        ("utf-16", "hi".encode("utf-16"), "hi"),
    ],
)
def test_texts_are_decoded(charset: str, body: bytes, text: str) -> None:
    assert mail({"Content-Type": f"text/plain; charset={charset}"}, body).text == text


def test_a_forwarded_mail_is_a_file() -> None:
    read = multipart("\nsee", "Content-Type: message/rfc822\n\nSubject: x\n\ninner")

    assert read.attachments[0].name == "message.eml"
    assert read.attachments[0].content == b"Subject: x\r\n\r\ninner"


def test_what_is_signed_is_read_and_its_signature_is_no_file() -> None:
    read = multipart("\nhi", "Content-Type: application/pgp-signature\n\nx", kind="signed")

    assert (read.text, read.attachments) == ("hi", ())


def test_what_is_encrypted_is_told() -> None:
    assert "encrypted" in multipart("\nVersion: 1", "\nx", kind="encrypted").problems


def test_of_a_read_receipt_the_mail_is_known() -> None:
    receipt = multipart(
        "\nYour mail was displayed.",
        "Content-Type: message/disposition-notification\n\n"
        "Final-Recipient: rfc822; ada@example.net\nOriginal-Message-ID: <ours@example.org>\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\n",
        kind="report; report-type=disposition-notification",
    )

    assert receipt.auto == "report"
    assert receipt.report is not None
    assert receipt.report.original_id == "<ours@example.org>"
    assert receipt.report.action == ""


def test_the_worst_of_a_report_counts() -> None:
    report = multipart(
        "\nx",
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
        "Final-Recipient: rfc822; a@example.net\nAction: delivered\nStatus: 2.0.0\n\n"
        "Final-Recipient: rfc822;<b@example.net>\nAction: failed (gone)\nStatus: 5.1.1 (bad)\n"
        "Diagnostic-Code: smtp; 550-no\n 550 such user\n",
        kind="report",
    ).report

    assert report is not None
    assert (report.action, report.status) == ("failed", "5.1.1")
    assert report.recipients == ("b@example.net",)
    assert report.diagnostic == "550-no 550 such user"


@pytest.mark.parametrize(
    ("headers", "body", "action", "recipients"),
    [
        (
            {"Subject": "failure notice", "From": "MAILER-DAEMON@example.net"},
            "Hi. This is the qmail-send program.\n<charles@example.net>:\nno mailbox\n\n"
            "--- Below this line is a copy of the message.\nMessage-ID: <ours@example.org>\n",
            "failed",
            ("charles@example.net",),
        ),
        (
            {
                "Subject": "Mail delivery failed: returning message to sender",
                "Return-Path": "<>",
                "X-Failed-Recipients": "charles@example.net, dora@example.net",
            },
            "A message that you sent could not be delivered\nMessage-ID: <ours@example.org>",
            "failed",
            ("charles@example.net", "dora@example.net"),
        ),
        (
            {"Subject": "Warning: could not send message for past 4 hours", "Return-Path": "<>"},
            "It will be retried.\n> Message-Id: <ours@example.org>",
            "delayed",
            (),
        ),
    ],
)
def test_bounces_in_prose_are_understood(
    headers: dict[str, str | list[str] | None],
    body: str,
    action: str,
    recipients: tuple[str, ...],
) -> None:
    report = mail(headers, body).report

    assert report is not None
    assert (report.action, report.recipients) == (action, recipients)
    assert report.original_id == "<ours@example.org>"


def test_a_person_who_writes_of_failed_delivery_reports_nothing() -> None:
    assert mail({"Subject": "your mail delivery failed us"}, "why?").report is None


def test_the_body_has_one_hash_whatever_its_line_ends() -> None:
    one = mail({"Subject": "x"}, b"a\r\nb\r\n")
    other = mail({"Subject": "y"}, b"a\nb")

    assert one.body_hash == other.body_hash != mail({}, b"a\nc").body_hash


@pytest.mark.parametrize("length", range(2**20 - 3, 2**20 + 2))
def test_long_bodies_are_hashed_in_pieces(length: int) -> None:
    lines = b"x" * length + b"\ny\n\nz"

    assert mail({}, lines.replace(b"\n", b"\r\n")).body_hash == mail({}, lines).body_hash
    assert mail({}, lines).body_hash == hashlib.sha256(lines).hexdigest()


def test_long_threads_keep_where_they_began() -> None:
    ids = [f"<{number}@example.net>" for number in range(120)]

    read = mail({"References": "\r\n ".join(ids)})

    assert read.references == (ids[0], *ids[-49:])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["<a@b>", "<c@d>"], ""),
        ("nonsense", ""),
        ("<a@b> <c@d>", ""),
    ],
)
def test_a_message_id_is_one_or_none(value: str | list[str], problem: str) -> None:
    assert mail({"Message-ID": value}).message_id == problem


@pytest.mark.parametrize(
    "value", ["", "yesterday", "99 Foo 99999 99:99:99 +9999", "Mon, 3 Nov 999999999999", "0 Jan 0"]
)
def test_odd_dates_are_unknown(value: str) -> None:
    assert mail({"Date": value}).date == 0.0


def test_a_text_beyond_the_limit_is_cut_and_told() -> None:
    read = assemble(raw({}, "word " * 1_000), Limits(text=100))

    assert len(read.full_text) <= 100
    assert "text_cut" in read.problems


def test_what_breaks_the_reader_is_a_problem() -> None:
    told = answer(b"", Limits(parts=-2))

    assert told.mail is None
    assert told.problem == "too many parts"


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=80),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=300),
    st.lists(st.binary(max_size=200), max_size=3),
    st.booleans(),
)
def test_what_the_standard_library_writes_is_read(
    subject: str, text: str, files: list[bytes], html: bool
) -> None:
    written = EmailMessage(policy=SMTP)
    written["From"] = "Ada <ada@example.net>"
    written["Subject"] = subject
    written.set_content(text)
    if html:
        written.add_alternative("<p>other</p>", subtype="html")
    for number, content in enumerate(files):
        written.add_attachment(
            content, maintype="application", subtype="pdf", filename=f"ä {number}.pdf"
        )

    read = assemble(written.as_bytes(), Limits())

    assert read.subject.split() == subject.split()
    if text.strip():
        assert read.full_text.split() == text.replace("\xa0", " ").split()
    assert [file.content for file in read.attachments] == files
    assert [file.name for file in read.attachments] == [
        f"ä {number}.pdf" for number in range(len(files))
    ]
    assert not set(read.problems) - {"text_cut"}
