"""From bytes to a `Mail`. Runs in the reading child only."""

from __future__ import annotations

import binascii
import email.utils
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from adapters.email.reading import reports, text
from adapters.email.reading.lines import address_safe, header_safe, id_safe
from adapters.email.reading.mail import AuthResults, File, Limits, Mail, Report, Told, Unreadable
from adapters.email.reading.manners import automatic
from adapters.email.reading.results import auth_results
from adapters.email.reading.structure import Header, Part, cut
from adapters.email.reading.tokens import Mailbox, Malformed, mailboxes
from adapters.email.reading.words import base64_bytes, decode, decode_words, preload

_IDS = re.compile(r"<[^<>\s]{1,500}>")
_REFERENCES = 50
_ADDRESSES = 200
_FORWARDED = re.compile(r"(?:fwd?|wg|tr|rv|enc|i|vs|vb|pd|转发)\s?:", re.IGNORECASE)
_MEMO = re.compile(
    r"voice|recording|memo|\bptt\b|sprach|aufnahme|enregistrement|grabaci|audio.?message"
    r"|^audio-?\d|^msg\d",
    re.IGNORECASE,
)
_SPEECH = ("audio/amr", "audio/3gpp", "audio/x-caf", "audio/opus", "audio/gsm")
_STATUS_TYPES = (
    "message/delivery-status",
    "message/global-delivery-status",
    "message/disposition-notification",
)
_NOT_KEPT = ("application/pgp-signature", "application/pkcs7-signature", "text/x-amp-html")
_EXTENSIONS = {
    "m4a": "audio", "mp3": "audio", "ogg": "audio", "opus": "audio", "wav": "audio", "amr": "audio",
    "jpg": "image", "jpeg": "image", "png": "image", "gif": "image", "webp": "image",
    "heic": "image", "mp4": "video", "mov": "video", "webm": "video",
}  # fmt: skip


def assemble(raw: bytes, limits: Limits) -> Mail:
    """Raises `Unreadable` when the mail is beyond the limits."""
    root = cut(raw, limits)
    heads = _Heads(root.headers)
    body = _Body(raw, limits, heads.one("message-context").lower() == "voice-message")
    body.take(root)
    full = text.tidy("\n\n".join(said for said, _ in body.said if said.strip()))
    if len(full) > limits.text:
        full = full[: limits.text]
        body.problems.append("text_cut")
    subject = header_safe(decode_words(heads.one("subject")), 500)
    said, slow = text.tell_apart(full, forwarded=_FORWARDED.match(subject) is not None)
    if slow:
        body.problems.append("history_slow")
    mail = Mail(
        message_id=_message_id(root.headers),
        in_reply_to=next(iter(_ids(heads.one("in-reply-to"))), ""),
        references=_ids(" ".join(heads.all("references"))),
        from_address=heads.author.address,
        from_name=heads.author.name,
        sender=heads.address("sender"),
        reply_to=heads.addresses("reply-to"),
        return_path=_return_path(heads),
        subject=subject,
        date=_date(heads.one("date")),
        to=heads.addresses("to"),
        cc=heads.addresses("cc"),
        text=said.text,
        quoted=said.quoted,
        signature=said.signature,
        full_text=full,
        html_only=bool(body.said) and all(was_html for _, was_html in body.said),
        attachments=tuple(body.files),
        report=body.report,
        auth=_auth(root.headers),
        headers=tuple((name, header_safe(value, limits.header)) for name, value in root.headers),
        problems=tuple(dict.fromkeys(heads.problems + body.problems)),
        body_hash=_hash(raw, root),
    )
    mail = msgspec.structs.replace(mail, auto=automatic(mail))
    if mail.report is None and mail.auto in ("null_sender", "robot_sender", "report"):
        failed = heads.one("x-failed-recipients")
        mail = msgspec.structs.replace(mail, report=reports.from_prose(full, subject, failed))
    return mail


class _Heads:
    def __init__(self, headers: Sequence[Header]) -> None:
        self._headers = headers
        self.problems: list[str] = []
        self.author = self._author()

    def all(self, name: str) -> list[str]:
        return [value for known, value in self._headers if known == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    def addresses(self, name: str) -> tuple[str, ...]:
        found: list[str] = []
        for value in self.all(name):
            try:
                found += [address_safe(each.address) for each in mailboxes(value)[:_ADDRESSES]]
            except Malformed:
                self.problems.append(f"bad_{name.replace('-', '_')}")
        return tuple(dict.fromkeys(each for each in found if each))[:_ADDRESSES]

    def address(self, name: str) -> str:
        found = self.addresses(name)
        if len(found) > 1:
            self.problems.append(f"several_{name}")
        return found[0] if len(found) == 1 else ""

    def _author(self) -> Mailbox:
        """Nobody, unless it is exactly one and everybody would read it so."""
        values = self.all("from")
        if len(values) > 1:
            return self._nobody("several_from")
        try:
            found = mailboxes(values[0], groups=False) if values else []
        except Malformed:
            return self._nobody("bad_from")
        if len(found) > 1:
            return self._nobody("several_from")
        if not found:
            return self._nobody("no_from")
        address = address_safe(found[0].address)
        if not address:
            return self._nobody("bad_from")
        return Mailbox(header_safe(found[0].name, 200), address)

    def _nobody(self, why: str) -> Mailbox:
        self.problems.append(why)
        return Mailbox("", "")


@dataclass(slots=True)
class _Body:
    """Goes through the parts, and keeps what is said and what came along."""

    raw: bytes
    limits: Limits
    voice: bool
    """It says of itself that it is a voice message."""
    said: list[tuple[str, bool]] = field(default_factory=list)
    """Texts, and whether each was HTML."""
    files: list[File] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    report: Report | None = None

    def take(self, part: Part, *, related: bool = False) -> None:
        if part.parts:
            self._take_several(part, related)
        elif part.type.startswith("multipart/") and part.type != "multipart/report":
            self.problems.append("no_parts")
            self._say(part)
        elif _is_text(part):
            self._say(part)
        else:
            self._keep(part, related)

    def _take_several(self, part: Part, related: bool) -> None:
        kind = part.type.partition("/")[2]
        if kind == "alternative":
            self._alternative(part, related)
        elif kind == "report":
            self._take_report(part)
        elif kind == "signed":
            self.take(part.parts[0], related=related)
            self.problems.append("signed")
        elif kind == "encrypted":
            self.problems.append("encrypted")
        else:
            for each in part.parts:
                self.take(each, related=related or kind == "related")

    def _alternative(self, part: Part, related: bool) -> None:
        """Plain text where it says anything, else what is nearest to text; files of all."""
        found: list[_Body] = []
        for each in part.parts:
            body = _Body(self.raw, self.limits, self.voice)
            body.take(each, related=related)
            found.append(body)
        saying = [body for body in found if any(said.strip() for said, _ in body.said)]
        plain = [body for body in saying if not any(was_html for _, was_html in body.said)]
        chosen = next(iter(plain or saying), None)
        if chosen is not None:
            self.said += chosen.said
        for body in found:
            self.files += body.files
            self.problems += [each for each in body.problems if each != "html_slow"]
            self.report = self.report or body.report

    def _take_report(self, part: Part) -> None:
        groups: list[list[Header]] = []
        original = ""
        for number, each in enumerate(part.parts):
            if each.type in _STATUS_TYPES:
                groups += reports.fields(self._text(each))
            elif each.type in ("message/rfc822", "message/global", "text/rfc822-headers"):
                original = original or self._text(each)
            elif number == 0 or each.parts:
                self.take(each)
        self.report = reports.report(groups, original)

    def _say(self, part: Part) -> None:
        room = self.limits.text + 1 - sum(len(said) for said, _ in self.said)
        if room <= 0:
            return
        written = self._text(part)
        if part.type == "text/html":
            written, slow = text.from_html(written)
            if slow:
                self.problems.append("html_slow")
            self.said.append((written[:room], True))
            return
        written = written[: room + 1_000]
        if part.parameter("format").lower() == "flowed":
            delete_space = part.parameter("delsp").lower() == "yes"
            written = text.unflow(written, delete_space=delete_space)
        self.said.append((text.tidy(written)[:room], False))

    def _keep(self, part: Part, related: bool) -> None:
        if part.type in _NOT_KEPT:
            return
        if part.type == "application/pkcs7-mime":
            self.problems.append("encrypted")
        name = _name(part)
        kind = self._kind(part, name)
        content_id = header_safe(part.header("content-id").strip("<> "), 200)
        shown = part.disposition == "inline" or (related and bool(content_id))
        self.files.append(
            File(
                kind=kind,
                name=name or ("message.eml" if part.type == "message/rfc822" else ""),
                claimed=part.type,
                content=self._content(part),
                inline=shown and kind == "image",
                content_id=content_id,
            )
        )

    def _kind(
        self, part: Part, name: str
    ) -> Literal["image", "voice", "audio", "video", "document"]:
        major = part.type.partition("/")[0]
        if major not in ("image", "audio", "video"):
            known = _EXTENSIONS.get(name.rpartition(".")[2].lower(), "")
            major = known if part.type == "application/octet-stream" else ""
        if major == "audio":
            spoken = self.voice or part.type in _SPEECH or _MEMO.search(name)
            return "voice" if spoken or (part.disposition == "inline" and not name) else "audio"
        if major == "image":
            return "image"
        return "video" if major == "video" else "document"

    def _content(self, part: Part) -> bytes:
        raw = memoryview(self.raw)[part.begin : part.end]  # large files are not copied once more
        if part.encoding == "base64":
            return base64_bytes(raw)
        if part.encoding == "quoted-printable":
            return binascii.a2b_qp(raw)
        if part.encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            return _uudecoded(raw)
        return bytes(raw)

    def _text(self, part: Part) -> str:
        """As much as can matter: four bytes for a character, and HTML has many that do not show."""
        content = self._content(part)[: 4 * max(self.limits.text, 1_000_000)]
        return decode(content, part.parameter("charset"))


_NOT_PROSE = frozenset(
    "text/calendar text/vcard text/x-vcard text/directory text/css text/csv text/xml "
    "text/rfc822-headers text/javascript text/x-amp-html".split()
)


def _is_text(part: Part) -> bool:
    """What is to be read at once, not opened."""
    if not part.type.startswith("text/") or part.type in _NOT_PROSE:
        return False
    named = _name(part) != ""
    if part.type not in ("text/plain", "text/html"):
        return not part.disposition and not named
    return part.disposition != "attachment" and (not named or part.disposition == "inline")


def _name(part: Part) -> str:
    name = part.parameter("filename", "content-disposition") or part.parameter("name")
    label = header_safe(decode_words(name), 1_000)
    return re.split(r"[/\\]", label)[-1].strip(". ")[-200:]


def _uudecoded(raw: bytes | memoryview) -> bytes:
    found = bytearray()
    for line in io.BytesIO(raw):
        line = line.rstrip(b"\r\n")
        if line.startswith((b"begin ", b"end")) or not line:
            continue
        try:
            found += binascii.a2b_uu(line)
        except binascii.Error:
            # Some programs write a length that does not fit the line.
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                found += binascii.a2b_uu(line[:length])
            except binascii.Error:
                break
    return bytes(found)


def _message_id(headers: Sequence[Header]) -> str:
    found = [value for name, value in headers if name == "message-id"]
    return id_safe(found[0]) if len(found) == 1 else ""


def _ids(value: str) -> tuple[str, ...]:
    """The first one, where the thread begins, and the last ones."""
    found = tuple(dict.fromkeys(each for each in _IDS.findall(value) if id_safe(each)))
    return found if len(found) <= _REFERENCES else (found[0], *found[1 - _REFERENCES :])


def _return_path(heads: _Heads) -> str | None:
    """The topmost is the last server's. One that is no address is like none to answer to."""
    found = heads.all("return-path")
    return address_safe(found[0].strip("<> \t")) if found else None


def _date(value: str) -> float:
    try:
        parsed = email.utils.parsedate_tz(value[:200])
        return max(0.0, float(email.utils.mktime_tz(parsed))) if parsed else 0.0
    except (ValueError, IndexError, TypeError, OverflowError):
        return 0.0


def _auth(headers: Sequence[Header]) -> tuple[AuthResults, ...]:
    found: list[AuthResults] = []
    received = 0
    for name, value in headers:
        if name == "received":
            received += 1
        elif name == "authentication-results":
            found.append(auth_results(value, received))
    return tuple(found)


def _hash(raw: bytes, root: Part) -> str:
    """In pieces: a copy of a large mail would be half of what there is of memory."""
    end = root.end
    while end > root.begin and raw[end - 1] in b" \t\r\n":
        end -= 1
    digest, piece = hashlib.sha256(), 2**20
    for at in range(root.begin, end, piece):
        lines = raw[at : min(at + piece, end)].replace(b"\r\n", b"\n")
        # A line end that was cut in two: its other half comes with the next piece.
        digest.update(
            lines.removesuffix(b"\r") if raw[at + piece : at + piece + 1] == b"\n" else lines
        )
    return digest.hexdigest()


def answer(raw: bytes, limits: Limits) -> Told:
    try:
        return Told(mail=assemble(raw, limits))
    except Unreadable as problem:
        return Told(problem=problem.reason)
    except (RecursionError, ArithmeticError, LookupError, ValueError, TypeError, OSError) as fault:
        # Ours or a library's: this mail is not answered, and the next one is read.
        return Told(problem=f"its reader failed: {type(fault).__name__}")


_EVERYTHING = """\
From: =?utf-8?q?A?= <a@b\u00fc.example>
Date: Mon, 3 Nov 2025 10:00:00 +0100
Authentication-Results: mx.example; dkim=pass header.d=example.org
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p style="display:none">x</p><a href="https://example.org">y</a>
--b
Content-Type: text/plain; format=flowed; charset=iso-2022-jp

On 3 Nov 2025, A wrote:
> x

Best regards
--b
Content-Type: application/pdf; name*0*=utf-8''%41; name*1=b
Content-Transfer-Encoding: base64

QUI=
--b--
"""


def warm_up() -> None:
    """Load and compile all that a mail may need: later nothing can be opened."""
    preload()
    told = answer(_EVERYTHING.encode(), Limits())
    assert told.mail is not None
    assert not told.mail.problems
