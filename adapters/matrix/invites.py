"""Invitations, accepted by policy, and rooms we were put out of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import structlog

from adapters.matrix.client import Door, room_path
from adapters.matrix.config import MatrixConfig
from adapters.matrix.errors import NotDone, Slower
from gateway.errors import Failed
from gateway.ports import Keep

log = structlog.get_logger(__name__)

MOST = 200
"""Invitations that are remembered besides those that were accepted."""
PATIENCE = 30 * 86_400.0
_PREFIX = "invite/"


def accepts(config: MatrixConfig, inviter: str) -> bool:
    """Whether this person's invitations are accepted. Ids and servers are compared as they are,
    servers without regard to case."""
    match config.invites:
        case "all":
            return True
        case "none":
            return False
    if inviter in config.owners:
        return True
    if config.invites == "owners":
        return False
    server = inviter.partition(":")[2].lower()
    return any(
        one == inviter if one.startswith("@") else one.lower() == server
        for one in config.invite_from
    )


def inviter_of(room: Mapping[str, Any], me: str) -> str:
    """Who asks us into a room; empty where nobody can be named."""
    state = room.get("invite_state")
    events = state.get("events") if isinstance(state, Mapping) else None
    for event in events if isinstance(events, list) else []:
        if not isinstance(event, Mapping) or event.get("type") != "m.room.member":
            continue
        content = event.get("content")
        invited = isinstance(content, Mapping) and content.get("membership") == "invite"
        sender = event.get("sender")
        if invited and event.get("state_key") == me and isinstance(sender, str):
            return sender
    return ""


class Invites:
    def __init__(
        self,
        door: Door,
        me: str,
        config: MatrixConfig,
        keep: Keep,
        count: Callable[[str], None],
    ) -> None:
        self._door = door
        self._keep = keep
        self._me = me
        self._config = config
        self._count = count

    async def answer(self, room_id: str, room: Mapping[str, Any]) -> None:
        """Go in, or leave the invitation where it is: it is looked at again after a restart, with
        the settings of then. Raises `Retryable`, `BadConfig`."""
        inviter = inviter_of(room, self._me)
        if inviter and accepts(self._config, inviter):
            # Where it does not work now, it is tried again after a restart.
            await self._keep.set(_PREFIX + room_id, inviter.encode(), ttl=PATIENCE)
            await self._go_in(room_id, inviter)
            await self._keep.remove(_PREFIX + room_id)
            return
        if inviter and len(await self.left()) < MOST:
            await self._keep.set(_PREFIX + room_id, inviter.encode(), ttl=PATIENCE)
        self._count("invite_ignored")
        log.info("invite_ignored", room=room_id, inviter=inviter)

    async def again(self, invitations: Sequence[tuple[str, str]]) -> None:
        """Those of `left`, with the settings of now. Raises `Retryable`, `BadConfig`."""
        for room_id, inviter in invitations:
            if accepts(self._config, inviter):
                try:
                    await self._go_in(room_id, inviter)
                except (NotDone, Slower) as problem:
                    log.warning("invite_waits", room=room_id, reason=str(problem))
                    continue
                await self._keep.remove(_PREFIX + room_id)

    async def left(self) -> Sequence[tuple[str, str]]:
        """Invitations that were left where they are: room and inviter. Raises `Retryable`."""
        return [
            (key.removeprefix(_PREFIX), raw.decode())
            for key, raw in await self._keep.items()
            if key.startswith(_PREFIX)
        ]

    async def _go_in(self, room_id: str, inviter: str) -> None:
        try:
            await self._door.ask("POST", f"/join/{quote(room_id, safe='')}", {}, patience=120.0)
        except Failed as failure:
            self._count("invite_failed")
            log.warning("invite_failed", room=room_id, reason=str(failure))
            return
        self._count("joined")
        log.info("room_joined", room=room_id, inviter=inviter)

    async def forget(self, room_id: str) -> None:
        """A room we are no longer in. Raises `Retryable`, `BadConfig`."""
        self._count("left")
        log.info("room_left", room=room_id)
        await self._keep.remove(_PREFIX + room_id)
        try:
            await self._door.ask("POST", room_path(room_id, "forget"), {})
        except Failed as failure:
            log.debug("room_not_forgotten", reason=str(failure))
