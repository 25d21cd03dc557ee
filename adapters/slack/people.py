"""People's names, for display only, looked up once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from adapters.slack.client import WebApi
from adapters.slack.parse import Known
from gateway.errors import BadConfig, GatewayError, Retryable
from gateway.ports import Clock

log = structlog.get_logger(__name__)

MOST = 4096
"""People whose names are remembered."""
FRESH = 3600.0
"""Seconds after which a name is looked up again."""
PATIENCE = 1.0
"""Seconds for names: an event has to be stored within three."""
_PAUSE = 5.0
"""Seconds without look-ups after one that failed."""
AT_ONCE = 4
"""Look-ups under way; beyond it, names are done without: strangers can cause them."""


class People:
    def __init__(self, api: WebApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: dict[str, tuple[float, Known]] = {}
        """Oldest first."""
        self._until = 0.0
        """Until when Slack wants no look-ups."""
        self._busy = 0

    async def named(self, ids: Iterable[str]) -> Mapping[str, Known]:
        """Those that are known, or are found quickly. Never fails, except for a refused token."""
        wanted = tuple(ids)
        missing = [id for id in wanted if not self._is_fresh(id)]
        if missing and self._clock.monotonic() >= self._until and self._busy < AT_ONCE:
            self._busy += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    for id in missing:
                        await self._look_up(id)
            except TimeoutError:
                self._until = self._clock.monotonic() + _PAUSE
                log.debug("names_took_too_long")
            finally:
                self._busy -= 1
        return {id: self._known[id][1] for id in wanted if id in self._known}

    def _is_fresh(self, id: str) -> bool:
        return id in self._known and self._known[id][0] > self._clock.monotonic() - FRESH

    async def _look_up(self, id: str) -> None:
        try:
            answer = await self._api.read("users.info", user=id)
        except BadConfig:
            raise
        except Retryable as later:
            self._until = self._clock.monotonic() + (later.after or _PAUSE)
        except GatewayError as problem:
            log.debug("name_not_found", reason=str(problem))
            self._note(id, Known(name=""))
        else:
            self._note(id, _known(answer.data.get("user")))

    def _note(self, id: str, known: Known) -> None:
        self._known.pop(id, None)
        self._known[id] = (self._clock.monotonic(), known)
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]


def _known(user: Any) -> Known:
    if not isinstance(user, dict):
        return Known(name="")
    profile = user.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    names = (profile.get("display_name"), profile.get("real_name"), user.get("name"))
    name = next((each for each in names if isinstance(each, str) and each.strip()), "")
    team = user.get("team_id")
    return Known(name=name, team=team if isinstance(team, str) else "")
