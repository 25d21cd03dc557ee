"""One part of a reply becomes one mail: sent, put into Drafts, or taken for a label.

SMTP knows no keys. What tells an attempt from a repetition is noted here: a mail is ``leaving``
once its content is on its way, and ``done`` when the server took it. Only what was cut between the
two is uncertain, unless a copy in Sent tells.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping

import structlog

from adapters.email import sorting
from adapters.email.config import EmailConfig
from adapters.email.desk import Desk
from adapters.email.door import Door
from adapters.email.reading import address_safe
from adapters.email.render import Attached, Question, Style, compose, message_id
from adapters.email.standing import DAY, Standing
from gateway.errors import Failed, GatewayError, Retryable, Unavailable, Uncertain
from gateway.message import Outbound
from gateway.ports import Keep, Receipt, Services

log = structlog.get_logger(__name__)

SETTLES = 120.0
"""Seconds after which a provider that files copies by itself has done so."""
AGAIN = 10.0
_LEAVING, _DONE = "leaving", "done"
_ROBOTIC = re.compile(
    rb"^(?:auto-submitted|x-auto-response-suppress|x-moltgate-loop|precedence)"
    rb":[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)


class Post:
    """What the adapter's `send` and `find` do."""

    def __init__(
        self, config: EmailConfig, door: Door, desk: Desk, standing: Standing, services: Services
    ) -> None:
        self._config = config
        self._door = door
        self._desk = desk
        self._standing = standing
        self._blobs = services.blobs
        self._keep = services.keep
        self._clock = services.clock
        self._count = services.count
        self._secret = b""

    async def send(self, outbound: Outbound) -> Receipt:
        if outbound.kind == "refusal" and outbound.headers.get("Grade") == "unverified":
            # Whoever forges an address would make us write to it.
            self._count("refusal_not_sent")
            log.info("refusal_not_sent", reply=outbound.reply)
            return Receipt(native_id="")
        if self._config.mode == "reply":
            return await self._mailed(outbound)
        if outbound.kind != "answer":
            log.info("notice_not_sent", mode=self._config.mode, reply=outbound.reply)
            return Receipt(native_id="")
        if self._config.mode == "draft":
            return await self._drafted(outbound)
        return await self._sorted(outbound)

    async def find(self, outbound: Outbound) -> Receipt | None:
        if self._config.mode == "triage":
            return None  # doing it again changes nothing
        ours = message_id(outbound.key, await self._style())
        state, _, at = (await self._standing.sending(ours)).partition(" ")
        if self._config.mode == "draft":
            drawn = state == _DONE or (state and await self._desk.has("drafts", ours))
            return Receipt(native_id=ours) if drawn else None
        if not state:
            return None
        if state == _LEAVING and not await self._desk.has("sent", ours):
            await self._check_nobody_knows(float(at or 0))
            return None
        await self._note_done(ours)
        if self._config.append_sent and state == _DONE:
            await self._file_copy(await self._composed(outbound), ours, again=True)
        return Receipt(native_id=ours)

    async def _check_nobody_knows(self, since: float) -> None:
        """Sent has no copy of what was cut. Returns when that means that there was no mail, or
        when it may be sent again all the same."""
        if not self._config.append_sent:
            self._wait_for_copies(since)
            if await self._provider_files_copies():
                return  # and where there is none, there was no mail
        if self._config.smtp.after_cut == "hold":
            raise Uncertain("the send was cut, and Sent tells nothing of it")

    async def _provider_files_copies(self) -> bool:
        """Seen of a mail that surely went out; the setting alone may be wrong, and some providers
        give mails another Message-ID."""
        witness = (await self._keep.get("witness") or b"").decode("ascii", "replace")
        if not witness:
            return False
        known, _, at = witness.partition(" ")
        if await self._desk.has("sent", known):
            return True
        self._wait_for_copies(float(at))
        return False

    def _wait_for_copies(self, since: float) -> None:
        if self._clock.now() - since < SETTLES:
            raise Unavailable("Sent may still get its copy of the mail", after=AGAIN)

    # --- the three modes ------------------------------------------------------------------------

    async def _mailed(self, outbound: Outbound) -> Receipt:
        to = self._recipient(outbound)
        ours = message_id(outbound.key, await self._style())
        raw = await self._composed(outbound)
        await self._standing.belongs(ours, outbound.headers.get("Root", ""))

        async def leaving() -> None:
            await self._standing.note_sending(ours, f"{_LEAVING} {self._clock.now():.0f}")

        try:
            await self._door.send(raw, sender=self._envelope(outbound), to=to, leaving=leaving)
        except Uncertain:
            self._count("send_cut")
            raise
        except GatewayError:
            await self._forget(ours)
            raise
        await self._note_done(ours)
        if self._config.append_sent:
            await self._file_copy(raw, ours)
        return Receipt(native_id=ours)

    async def _drafted(self, outbound: Outbound) -> Receipt:
        ours = message_id(outbound.key, await self._style())
        raw = await self._composed(outbound)
        await self._standing.belongs(ours, outbound.headers.get("Root", ""))
        await self._standing.note_sending(ours, f"{_LEAVING} {self._clock.now():.0f}")
        try:
            await self._desk.append("drafts", by_a_person(raw), r"(\Draft)")
        except Retryable as cut:
            # It may lie there: it is looked for before it is put there again.
            raise Uncertain(f"putting it into Drafts was cut: {cut}") from cut
        await self._note_done(ours)
        return Receipt(native_id=ours)

    async def _sorted(self, outbound: Outbound) -> Receipt:
        label = sorting.chosen(outbound.text, self._config.labels)
        if not label:
            self._count("no_label")
            log.info("mail_left_unsorted", reply=outbound.reply)
            return Receipt(native_id="")
        where = _where(outbound.headers)
        if where is None:
            raise Failed("nobody knows which mail this label is for")
        folder, validity, uid = where
        native = outbound.headers.get("Message-ID", "")
        done = await self._desk.act(folder, validity, uid, native, self._config.labels[label])
        self._count("labelled" if done else "mail_gone")
        log.info("mail_labelled", label=label, done=done, reply=outbound.reply)
        return Receipt(native_id="")

    # --- what it takes --------------------------------------------------------------------------

    async def _composed(self, outbound: Outbound) -> bytes:
        files = [
            Attached(
                name=file.name,
                media_type=file.media_type,
                content=b"".join([chunk async for chunk in self._blobs.read(file.digest)]),
            )
            for file in outbound.files
            if file.digest
        ]
        question = _question(outbound.headers)
        style, now = await self._style(), self._clock.now()
        raw = compose(outbound, self._recipient(outbound), style, question, files, now=now)
        if len(raw) > self._config.max_size:
            raise Failed(f"a mail of {len(raw)} bytes is too large")
        return raw

    def _recipient(self, outbound: Outbound) -> str:
        to = address_safe(outbound.headers.get("To", "") or outbound.place.chat)
        if not to:
            raise Failed("there is no address to send this to")
        return to

    def _envelope(self, outbound: Outbound) -> str:
        wanted = self._config.smtp.envelope_sender
        null = wanted == "null" or (wanted == "notices" and outbound.kind != "answer")
        return "" if null else self._config.address

    async def _style(self) -> Style:
        config = self._config
        self._secret = self._secret or await _secret(self._keep)
        return Style(
            address=config.address,
            name=config.name,
            signature=config.signature,
            quoting=config.quoting,
            secret=self._secret,
        )

    async def _note_done(self, ours: str) -> None:
        """The server has it. Whatever the store does now, it is not sent again for that."""
        try:
            await self._standing.note_sending(ours, _DONE)
            if not self._config.append_sent:
                at = f"{self._clock.now():.0f}"
                await self._keep.add("witness", f"{ours} {at}".encode(), ttl=DAY)
        except Retryable as problem:
            log.warning("sent_not_noted", reason=str(problem))

    async def _forget(self, ours: str) -> None:
        try:
            await self._standing.forget_sending(ours)
        except Retryable as problem:
            log.warning("sending_not_forgotten", reason=str(problem))

    async def _file_copy(self, raw: bytes, ours: str, *, again: bool = False) -> None:
        """Best effort: the mail itself is out."""
        try:
            if not (again and await self._desk.has("sent", ours)):
                await self._desk.append("sent", raw, r"(\Seen)")
        except GatewayError as problem:
            self._count("copy_not_filed")
            log.warning("copy_not_filed", reason=str(problem))


def by_a_person(raw: bytes) -> bytes:
    """Without the marks of a machine: who sends a draft has read it."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    return _ROBOTIC.sub(b"", head + b"\r\n").removesuffix(b"\r\n") + separator + body


def quotation(text: str) -> str:
    """Text as one header line that `_question` reads."""
    for limit in (5000, 2500, 1000):
        line = json.dumps(text[:limit], ensure_ascii=False)
        if len(line) <= 8000:
            return line
    return ""


def _question(headers: Mapping[str, str]) -> Question | None:
    if not headers.get("Root"):
        return None
    try:
        text = json.loads(headers.get("Quote", '""'))
    except ValueError:
        text = ""
    return Question(
        message_id=headers.get("Message-ID", ""),
        references=tuple(headers.get("References", "").split()),
        subject=headers.get("Subject", ""),
        text=str(text),
        author=headers.get("Author", ""),
        date=_number(headers.get("Date", "")),
        loop=int(_number(headers.get("Loop", ""))),
    )


def _where(headers: Mapping[str, str]) -> tuple[str, int, int] | None:
    try:
        folder, validity, uid = json.loads(headers.get("Where", ""))
        return str(folder), int(validity), int(uid)
    except (ValueError, TypeError):
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


async def _secret(keep: Keep) -> bytes:
    """Of this account, the same for every process that ever has it."""
    await keep.add("secret", secrets.token_hex(32).encode())
    return await keep.get("secret") or b""
