"""Pictures on their way to a model that sees: loaded once for a request, and only so many.

The text of a message holds what was read from its pictures, so one that cannot go along is left
out instead of keeping the question back.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

import structlog

from gateway.errors import GatewayError
from gateway.ports import ChatMessage, Prompt
from gateway.sniff import media_type

log = structlog.get_logger(__name__)

MOST = 8
"""Pictures of one request; of more the newest."""
LARGEST = 6 * 2**20
"""Bytes of one picture. What the readers leave has far fewer."""
ALTOGETHER = 16 * 2**20
"""Bytes of all pictures of one request."""

Load = Callable[[str], Awaitable[bytes]]
"""The bytes of a picture by its digest. `GatewayError` when they are not to be had."""

Shown = Mapping[str, str]
"""What goes along with a request: pictures as ``data:`` addresses, by digest."""
NONE: Shown = MappingProxyType({})

_KINDS = ("image/png", "image/jpeg")


class Album:
    """The pictures of one request, however many engines are asked for an answer."""

    def __init__(self, prompt: Prompt, load: Load | None) -> None:
        self._wanted = _wanted(prompt.messages) if load is not None else ()
        self._load = load
        self._opened: Shown | None = None

    async def open(self) -> Shown:
        """Those that may go along. Never fails."""
        if self._opened is None:
            self._opened = await self._loaded() if self._wanted else NONE
        return self._opened

    async def _loaded(self) -> Shown:
        assert self._load is not None
        shown: dict[str, str] = {}
        room = ALTOGETHER
        for digest in self._wanted:
            if len(shown) == MOST:
                log.info("picture_left_out", reason="too many")
                continue
            try:
                content = await self._load(digest)
            except GatewayError as problem:
                log.warning("picture_left_out", reason=str(problem))
                continue
            if (kind := media_type(content[:64])) not in _KINDS:
                log.warning("picture_left_out", reason=f"it is {kind}")
            elif len(content) > min(LARGEST, room):
                log.info("picture_left_out", reason="too large", bytes=len(content))
            else:
                room -= len(content)
                shown[digest] = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        return shown


def _wanted(messages: Sequence[ChatMessage]) -> Sequence[str]:
    """Digests, the newest message's first."""
    backwards = (digest for one in reversed(messages) for digest in one.pictures)
    return tuple(dict.fromkeys(backwards))
