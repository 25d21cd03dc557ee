"""Slash commands and pressed buttons: Discord wants a word within three seconds, and the answer
within fifteen minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from adapters.discord.api import Api
from adapters.discord.native import Interaction
from gateway.errors import BadConfig, GatewayError
from gateway.message import Outbound
from gateway.ports import Clock

log = structlog.get_logger(__name__)

COMMAND, BUTTON = 2, 3
LIFE = 15 * 60.0
MARGIN = 10.0
"""Seconds before its end from which on a token is not used."""
HEADER = "discord-interaction"
_THINKING, _SILENT = 5, 6
_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A command that was acknowledged and is to be answered."""

    application: str
    token: str
    until: float
    """Seconds since the epoch."""
    message: str = ""
    """Id of the message that says that an answer comes, and becomes it."""

    def header(self) -> Mapping[str, str]:
        return {HEADER: f"{self.application} {self.until:.0f} {self.message or '-'} {self.token}"}


def read(headers: Mapping[str, str]) -> Open | None:
    pieces = headers.get(HEADER, "").split(" ")
    if len(pieces) != 4 or not pieces[1].isdecimal():
        return None
    application, until, message, token = pieces
    known = "" if message == "-" else message
    return Open(application=application, token=token, until=float(until), message=known)


class Interactions:
    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._open: dict[str, Open] = {}
        """By the id of the message that becomes the answer: previews bring no headers."""

    async def acknowledge(self, given: Interaction) -> Open | None:
        """At once, before anything else is done. None: there is nothing to be filled in, also
        when it is too late, or was done by a process before us."""
        kind = _THINKING if given.type == COMMAND else _SILENT
        try:
            answer = await self._api.call(
                "POST",
                "/interactions/{webhook_id}/{webhook_token}/callback",
                repeatable=True,
                body={"type": kind},
                query={"with_response": "true"},
                webhook_id=given.id,
                webhook_token=given.token,
            )
        except BadConfig:
            raise
        except GatewayError as problem:
            log.info("interaction_not_acknowledged", reason=str(problem))
            return None
        if kind == _SILENT:
            return None
        until = self._clock.now() + LIFE - MARGIN
        made = Open(
            application=given.application_id,
            token=given.token,
            until=until,
            message=_message_of(answer),
        )
        if made.message:
            if len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[made.message] = made
        return made

    def of(self, outbound: Outbound) -> Open | None:
        """The command that a part answers, while its token lives."""
        found = read(outbound.headers) or self._open.get(outbound.reply_to)
        if found is not None and found.until > self._clock.now():
            return found
        return None

    async def withdraw(self, opened: Open) -> None:
        """Nothing will come: take back the announcement."""
        self._open.pop(opened.message, None)
        try:
            await self._api.call(
                "DELETE",
                "/webhooks/{webhook_id}/{webhook_token}/messages/@original",
                repeatable=True,
                webhook_id=opened.application,
                webhook_token=opened.token,
            )
        except BadConfig:
            raise
        except GatewayError as problem:
            log.debug("announcement_not_withdrawn", reason=str(problem))


def _message_of(answer: Any) -> str:
    """Its id in the answer to a callback; empty where the server tells none."""
    try:
        return str(answer["resource"]["message"]["id"])
    except (KeyError, TypeError):
        return ""
