"""Settings of one mailbox. Who may talk to it is the section ``access``, not here."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from config.fields import Duration, SecretStr, Section, Size

LARGEST = 50 * 2**20
"""Bytes of a mail that fits into the reader's memory, with what it becomes."""
_ADDRESS = re.compile(r"[^\s@<>\",;:\\()\[\]]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_KEYWORD = re.compile(r"\$?[A-Za-z][A-Za-z0-9_-]{0,40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""One string, or several."""


class Server(Section):
    host: str = Field(min_length=1, max_length=253, description="e.g. mail.example.org")
    user: str = Field("", description="Who signs in; empty for the address.")
    ca_file: str = Field(
        "", description="PEM file of whom to trust besides the system, for a server of your own."
    )
    timeout: Duration = Field(
        30.0, gt=0, le=600, description="Longest wait for one answer of the server."
    )

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @field_validator("host", "user")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        return _line(value)


class ImapConfig(Server):
    """Where mail is read."""

    port: int = Field(993, ge=1, le=65535)
    tls: Literal["implicit", "none"] = Field(
        "implicit",
        description="implicit is TLS from the first byte, with its certificate checked; none "
        "sends password and mail in the clear. There is no STARTTLS: port 993 is everywhere.",
    )
    idle: Duration = Field(
        540.0,
        ge=1,
        le=1680,
        description="IDLE is begun anew after this time, which also finds dead connections. "
        "Servers end it after 30 minutes, many routers after 10.",
    )
    poll: Duration = Field(
        60.0, ge=0.1, le=3600, description="Between two looks where the server has no IDLE."
    )


class SmtpConfig(Server):
    """Where mail is sent."""

    port: int = Field(0, ge=0, le=65535, description="0: 465 with tls implicit, 587 otherwise.")
    tls: Literal["implicit", "starttls", "none"] = Field(
        "implicit", description="With its certificate checked; none sends in the clear."
    )
    login: bool = Field(True, description="false for a relay that knows us by our address.")
    busy_wait: Duration = Field(
        60.0, ge=0.1, le=3600, description="Until the next try where the server is full or busy."
    )
    envelope_sender: Literal["notices", "address", "null"] = Field(
        "notices",
        description="Null envelope senders get no bounces (RFC 3834): notices uses one for "
        "refusals, notices and vacation mails; null for answers, too; address never.",
    )
    after_cut: Literal["hold", "resend"] = Field(
        "hold",
        description="A send that was cut after the mail's content had left and of which Sent "
        "shows no copy: hold lists it as uncertain, resend sends it again under the same "
        "Message-ID, which many mailboxes show once.",
    )


class OAuthConfig(Section):
    """XOAUTH2 instead of a password: a token, a file with one that somebody keeps fresh, or what
    is needed to get one."""

    token: SecretStr | None = Field(
        default=None, description="An access token; these live for an hour."
    )
    token_file: str = Field(
        default="", description="A file with the access token, read at each sign-in."
    )
    token_url: str = Field(default="", description="e.g. https://oauth2.googleapis.com/token")
    client_id: str = Field(default="", description="Of your app at the provider.")
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = Field(
        default=None, description="Of the mailbox, for your app."
    )
    scope: str = Field(default="", description="Where the provider asks for it, as Microsoft does.")

    @model_validator(mode="after")
    def _one_way(self) -> OAuthConfig:
        ways = [bool(self.token), bool(self.token_file), bool(self.token_url)]
        others = self.client_id or self.client_secret or self.refresh_token or self.scope
        if sum(ways) > 1 or (others and not any(ways)):
            raise ValueError("give one of token, token_file and token_url")
        if self.token_url:
            if not self.token_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
                raise ValueError("token_url begins with https://")
            if not (self.client_id and self.refresh_token):
                raise ValueError("token_url needs client_id and refresh_token")
        return self

    @property
    def given(self) -> bool:
        return bool(self.token or self.token_file or self.token_url)


class LimitsConfig(Section):
    """Brakes, so that no two machines write to each other for ever."""

    per_correspondent: int = Field(default=10, ge=1, le=10_000)
    """Most mails of one address answered per `window`."""
    per_thread: int = Field(default=10, ge=1, le=10_000)
    """Most mails of one thread answered per `window`."""
    window: Annotated[Duration, Field(ge=1, le=7 * 86_400)] = 3600.0
    repeats: int = Field(default=5, ge=1, le=1000)
    """So many mails of one address that say (nearly) the same are answered a day."""
    loop: int = Field(default=3, ge=1, le=100)
    """Most answers of our kind that a thread may hold already."""


class Vacation(Section):
    """While somebody is away: one fixed answer to each person, and no model is asked."""

    from_: datetime.date = Field(alias="from", description="First day, UTC, e.g. 2026-12-24.")
    to: datetime.date = Field(description="Last day.")
    text: str = Field(min_length=1, max_length=20_000, description="CommonMark.")

    @model_validator(mode="after")
    def _in_order(self) -> Vacation:
        if self.to < self.from_:
            raise ValueError("to is not before from")
        return self


class Action(Section):
    """What is done with a mail."""

    move: str = Field("", description="Folder it goes to; it is made where it is missing.")
    keywords: Words = Field((), description="IMAP keywords it gets, e.g. [Invoice].")
    flag: bool = Field(False, description="Flag it for people.")
    seen: bool = Field(False, description="Mark it as read.")

    @field_validator("move")
    @classmethod
    def _folder(cls, value: str) -> str:
        return _line(value)

    @field_validator("keywords")
    @classmethod
    def _atoms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _keywords(value)


class Rule(Action):
    """All conditions that are given must hold. Texts are looked for without regard to case; with a
    * they are patterns of the whole."""

    from_: Words = Field((), alias="from", description="Addresses, e.g. *@example.org.")
    to: Words = Field((), description="Addresses in To or Cc.")
    subject: Words = ()
    has_attachment: bool | None = None
    list: bool | None = Field(None, description="Whether it came through a mailing list.")
    stop: bool = Field(True, description="Whether it is done with: no model sees it.")

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        conditions = (self.from_, self.to, self.subject)
        if not any(conditions) and self.has_attachment is None and self.list is None:
            raise ValueError("give a condition: from, to, subject, has_attachment or list")
        if not (self.move or self.keywords or self.flag or self.seen or self.stop):
            raise ValueError("give something to do: move, keywords, flag, seen or stop")
        return self


class Label(Action):
    """What the model may say of a mail in mode triage."""

    about: str = Field("", max_length=300, description="When it applies, for the model.")

    @model_validator(mode="after")
    def _does_something(self) -> Label:
        if not (self.move or self.keywords or self.flag or self.seen):
            raise ValueError("give something to do: move, keywords, flag or seen")
        return self


class EmailConfig(Section):
    """One mailbox. The shortest form: ``email: {address: bot@example.org, password:
    "${env:EMAIL_PASSWORD}", authserv_id: mx.example.org, imap: {host: imap.example.org}, smtp:
    {host: smtp.example.org}}``."""

    address: str = Field(description="Ours, e.g. bot@example.org.")
    name: str = Field("", max_length=100, description="Shown beside the address.")
    aliases: Words = Field(
        (),
        description="Other addresses of ours: what is sent to them is answered, what "
        "comes from them never.",
    )
    password: SecretStr | None = Field(None, description="Where possible an app password.")
    oauth: OAuthConfig = OAuthConfig()
    imap: ImapConfig
    smtp: SmtpConfig

    authserv_id: str = Field(
        "",
        description="Name of the server whose Authentication-Results are believed: the first word "
        "after the topmost such header of a mail you received. Without it every sender is "
        "unverified, and by default (access.min_grade) nobody is answered.",
    )
    alignment: Literal["relaxed", "strict"] = Field(
        "relaxed", description="relaxed: mail.example.org vouches for example.org."
    )
    several_results: bool = Field(
        False, description="The server writes one Authentication-Results for each check."
    )
    received_above: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Most Received headers that stand above the server's Authentication-Results in "
        "mails you received: one that lies lower came with the mail and is a forgery. Needed where "
        "the server lets such headers in its own name pass; most take them away.",
    )
    known: Words = Field(
        (),
        description="Addresses that have rights, e.g. the owners': who only looks like one of them "
        "is unverified.",
    )

    mode: Literal["reply", "draft", "triage"] = Field(
        "reply",
        description="reply sends answers; draft puts them into Drafts for a person to send; "
        "triage sends nothing and sorts by rules and labels.",
    )
    mailboxes: Words = Field(("INBOX",), min_length=1, description="Folders that are watched.")
    sent: str = Field("", description="Folder of sent mails; empty: the one marked so, or Sent.")
    drafts: str = Field("", description="Folder of drafts; empty: the one marked so, or Drafts.")
    append_sent: bool = Field(
        True,
        description="Put a copy of what was sent into Sent. false where the provider does so by "
        "itself, as Gmail and Microsoft 365.",
    )
    mark_seen: bool = Field(
        True,
        description="Mark as read what was handed to the assistant. In mode triage, and of what a "
        "rule stopped, only the mails whose rule or label says seen.",
    )
    skipped_keyword: str = Field(
        "", description="IMAP keyword for mails that are not answered, e.g. NotAnswered."
    )
    backlog: Duration = Field(
        0.0,
        ge=0,
        le=90 * 86_400,
        description="At the very first start, unread mails of this age are answered, too. "
        "0: only what comes from now on.",
    )
    rescan: Duration = Field(
        3 * 86_400.0,
        ge=0,
        le=30 * 86_400,
        description="How far back is looked when the server has numbered all mails anew.",
    )
    max_size: Size = Field(
        25 * 2**20,
        ge=10_000,
        le=LARGEST,
        description="Larger mails are not read; the reader's memory ends at 50 MiB.",
    )
    answer_lists: bool = Field(False, description="Answer what came through a mailing list.")
    answer_bulk: bool = Field(False, description="Answer what is marked as mass mail.")
    only_addressed: bool = Field(
        True, description="Be silent where none of our addresses is in To or Cc."
    )
    limits: LimitsConfig = LimitsConfig()
    signature: str = Field("", max_length=2000, description="Below every answer.")
    quoting: Literal["none", "top"] = Field(
        "none", description="top quotes the question below the answer."
    )
    vacation: tuple[Vacation, ...] = Field(
        (),
        description="Windows, each with from and to (days, e.g. 2026-12-24) and text: one fixed "
        "answer to each person, and no model is asked.",
    )
    rules: tuple[Rule, ...] = Field(
        (),
        description="What is done before anything else, in any mode: each has conditions (from, "
        "to, subject, has_attachment, list) and actions (move, keywords, flag, seen; stop: false "
        "goes on). See the adapter's README.",
    )
    labels: dict[str, Label] = Field({}, description="By the word the model says; mode triage.")

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        return _address(value)

    @field_validator("aliases", "known")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_address(each) for each in value)

    @field_validator("password")
    @classmethod
    def _is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _line(value.get_secret_value())
        return value

    @field_validator("sent", "drafts", "name", "authserv_id")
    @classmethod
    def _are_lines(cls, value: str) -> str:
        return _line(value).strip()

    @field_validator("mailboxes")
    @classmethod
    def _are_folders(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _line(each).strip() for each in value):
            raise ValueError("each is the name of a folder, e.g. INBOX")
        if len(set(value)) != len(value):
            raise ValueError("names a folder twice")
        return value

    @field_validator("skipped_keyword")
    @classmethod
    def _is_an_atom(cls, value: str) -> str:
        return _keywords((value,))[0] if value else ""

    @model_validator(mode="after")
    def _can_sign_in(self) -> EmailConfig:
        if bool(self.password) == self.oauth.given:
            raise ValueError("give password or oauth")
        if self.mode == "triage" and not (self.rules or self.labels):
            raise ValueError("mode triage needs rules or labels")
        if self.vacation and self.mode != "reply":
            raise ValueError("vacation is for mode reply: in the others nothing is sent")
        if self.labels and self.mode != "triage":
            raise ValueError("labels are for mode triage")
        return self

    @property
    def own(self) -> tuple[str, ...]:
        return (self.address, *self.aliases)


def _line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("is one line without control characters")
    return value


def _address(value: str) -> str:
    value = value.strip().lower()
    if len(value) > 254 or not _ADDRESS.fullmatch(value):
        raise ValueError("is an address alone, e.g. bot@example.org")
    return value


def _keywords(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(not _KEYWORD.fullmatch(each) for each in value):
        raise ValueError("a keyword is letters, digits, - and _, e.g. Invoice")
    return value
