"""The decision who may talk: no store, no clock, one table that the tests show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.access.config import AccessConfig
from gateway.message import Inbound

_GRADES = {"unverified": 0, "asserted": 1, "verified": 2}
_TALKING = frozenset({"message", "command", "button"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with an event, and why."""

    verdict: Literal["admit", "overhear", "ignore", "refuse", "pair"]
    """``refuse``: told politely. ``pair``: told a code. ``ignore``: nothing is shown.
    ``overhear``: admitted until its words are known."""
    reason: str = ""
    """Low-cardinality label."""


_ADMIT = Decision("admit")
_OVERHEAR = Decision("overhear")


def asks_for_pairing(event: Inbound, config: AccessConfig) -> bool:
    """Whether the decision hangs on the sender having been paired: a look-up is needed."""
    return (
        event.place.kind == "direct"
        and config.dm_policy == "pairing"
        and not _listed(event, config)
    )


def decide(
    event: Inbound, config: AccessConfig, *, paired: bool = False, listens: bool = False
) -> Decision:
    """Who may talk. Group rights are not rights in direct chats, nor the other way round.

    `paired` is only looked at where `asks_for_pairing` says so. `listens` admits voice messages
    in groups of which only the words can tell whether we are meant. Ids are compared as they are.
    """
    if event.sender.is_bot and not config.allow_bots:
        return Decision("ignore", "bot")
    if _GRADES[event.sender.grade] < _GRADES[config.min_grade]:
        return Decision("ignore", "identity")
    if event.place.kind == "direct":
        return _direct(event, config, paired)
    return _group(event, config, listens)


def _direct(event: Inbound, config: AccessConfig, paired: bool) -> Decision:
    if config.dm_policy == "disabled":
        return Decision("ignore", "dm_disabled")
    if config.dm_policy == "open" or _listed(event, config):
        return _ADMIT
    if config.dm_policy == "pairing" and paired:
        return _ADMIT
    if event.sender.is_bot or event.kind not in _TALKING:
        return Decision("ignore", "stranger")
    return Decision("pair" if config.dm_policy == "pairing" else "refuse", "stranger")


def _group(event: Inbound, config: AccessConfig, listens: bool) -> Decision:
    if config.group_policy == "disabled":
        return Decision("ignore", "groups_disabled")
    if config.group_policy == "allowlist" and event.place.chat not in config.groups:
        return Decision("ignore", "group_not_listed")
    heard = {*config.group_allow_from, *config.owners}
    if config.group_allow_from and event.sender.id not in heard:
        return Decision("ignore", "group_sender")
    if event.kind in _TALKING and config.require_mention and not event.addressed:
        if listens and event.kind == "message" and _speaks(event):
            return _OVERHEAR
        return Decision("ignore", "not_addressed")
    return _ADMIT


def _speaks(event: Inbound) -> bool:
    """Nobody calls us by a song or a recording that is passed on."""
    return any(one.kind == "voice" for one in event.attachments)


def _listed(event: Inbound, config: AccessConfig) -> bool:
    return event.sender.id in config.allow_from or event.sender.id in config.owners
