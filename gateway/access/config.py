"""The ``access`` settings of an account, and the rules the intake applies with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from config.fields import Duration, Section, Size
from gateway.errors import BadConfig
from gateway.message import Account, Grade
from gateway.ports import LanePolicy

ANY_ID = r"[^\s@]\S*"
"""Ids of platforms that say nothing stricter: no blanks, and nothing that looks like ``@name``."""


LISTS: Mapping[str, str] = {
    "allow_from": "id_pattern",
    "group_allow_from": "id_pattern",
    "owners": "id_pattern",
    "groups": "chat_pattern",
}
"""Lists of ids in `AccessConfig`, and which rule of an adapter says what they look like."""


def _ids(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(
            str(item) if isinstance(item, int) and not isinstance(item, bool) else item
            for item in value
        )
    return value


Ids = Annotated[tuple[str, ...], BeforeValidator(_ids)]
"""Native ids; numbers may be written without quotes."""


class AccessTexts(Section):
    """What people who are not let in are told, in CommonMark."""

    pairing: str = (
        "Hello! I do not know you yet. The person who runs this bot can let you in:\n\n"
        "`moltgate pair approve {code}`\n\n"
        "The code is valid for one hour. Until then I do not read your messages."
    )
    """``{code}`` stands for the pairing code."""
    pairing_busy: str = (
        "Hello! I do not know you yet, and too many people are asking to be let in at the moment. "
        "Please try again tomorrow, or ask the person who runs this bot. Your id is `{id}`."
    )
    refused: str = (
        "Sorry, I only talk to people I was told about. Your id is `{id}`; the person who runs "
        "this bot can add it."
    )
    rate_limit: str = (
        "You are faster than I am. Please wait about {seconds} seconds; what you send until then "
        "is not answered."
    )
    full: str = (
        "Too many messages are already waiting here, so I did not take this one. "
        "Please send it again later, or use /stop to clear what waits."
    )
    too_long: str = (
        "This message is too long: {length} characters, and I take {limit} at most. "
        "Please shorten it, or send it as a file."
    )
    too_many_files: str = "These are too many files at once: {count}, and I take {limit} at most."
    file_too_large: str = "The file {name} is too large: I take {limit} MB at most."
    empty: str = "There was nothing in this message that I can read. Please send text or a file."
    late: str = (
        "This message reached me only {hours} hours after you sent it, so I did not answer it. "
        "Please send it again if it still matters."
    )


class AccessConfig(Section):
    """Who may talk through an account. Closed unless opened."""

    dm_policy: Literal["pairing", "allowlist", "open", "disabled"] = "pairing"
    """Direct messages: strangers get a pairing code, a refusal, an answer, or silence."""
    allow_from: Ids = ()
    """Native ids of people who may write directly. Never names: names change hands. In the section
    ``access`` an id that fits several configured platforms says which: ``telegram:12345678``."""
    group_policy: Literal["allowlist", "open", "disabled"] = "allowlist"
    groups: Ids = ()
    """Native ids of the groups the bot takes part in, under ``allowlist``."""
    group_allow_from: Ids = ()
    """Native ids of people it listens to in groups; empty for everybody there."""
    require_mention: bool = True
    """In groups, whether the bot has to be mentioned, replied to or commanded."""
    owners: Ids = ()
    """Native ids of people who may use owner-only commands. They may also write directly."""
    owner_commands: tuple[str, ...] = ()
    """Commands only for owners, also in direct chats, e.g. ``[model]``."""
    allow_bots: bool = False
    """Whether other bots may talk at all; they still need a place in the lists above."""
    min_grade: Grade = "asserted"
    """How sure the platform has to be of who writes: verified, asserted or unverified."""
    reactions: bool = False
    """Whether a reaction counts as a message."""
    per_sender: int = Field(default=20, ge=0)
    """Most messages of one person per `window`; 0 for no limit."""
    per_chat: int = Field(default=60, ge=0)
    """Most messages in one chat per `window`; 0 for no limit."""
    window: Annotated[Duration, Field(gt=0)] = 60.0
    max_text: int = Field(default=32_000, ge=1)
    """Characters of one message."""
    max_files: int = Field(default=10, ge=0)
    max_file: Size = 25 * 2**20
    late_after: Annotated[Duration, Field(ge=0)] = 86_400.0
    """Age at which a message counts as too late to be answered; 0 to answer however old."""
    texts: AccessTexts = AccessTexts()

    @model_validator(mode="after")
    def _somebody_may_talk(self) -> AccessConfig:
        if self.dm_policy == "allowlist" and not (self.allow_from or self.owners):
            raise ValueError(
                "dm_policy allowlist needs at least one id in allow_from "
                "(use disabled to turn direct messages off)"
            )
        return self


def authenticated(access: AccessConfig) -> AccessConfig:
    """The rules of a channel that lets nobody in without a login, as web chat: whoever writes is
    known, so there is nobody to be paired. Limits and texts stay as they are."""
    return access.model_copy(
        update={"dm_policy": "open", "group_policy": "disabled", "min_grade": "verified"}
    )


_FAIL_CLOSED = AccessConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """Everything the intake has to know about one account.

    Raises `BadConfig` when a list holds something that cannot be an immutable id there.
    """

    account: Account
    access: AccessConfig = _FAIL_CLOSED
    policy: LanePolicy = field(default_factory=LanePolicy)
    heard_as: tuple[str, ...] = ()
    """Names by which voice messages in groups call the bot; empty where they are not heard."""
    own_ids: frozenset[str] = frozenset()
    """Our own native ids, where the platform hands our messages back to us."""
    id_pattern: str = ANY_ID
    """What ids of people look like there, as a regular expression for the whole id."""
    chat_pattern: str = ANY_ID
    id_hint: str = "use the immutable id, which /whoami shows, not a name"

    def __post_init__(self) -> None:
        for name, pattern in LISTS.items():
            self._check(name, getattr(self.access, name), getattr(self, pattern))

    def _check(self, name: str, ids: Iterable[str], pattern: str) -> None:
        for position, native in enumerate(ids):
            if not re.fullmatch(pattern, native):
                where = f"adapters.{self.account.kind}.access.{name}[{position}]"
                reason = f"{native!r} is not an id on {self.account.kind}"
                raise BadConfig(where, reason, self.id_hint)
