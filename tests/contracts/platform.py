"""What the adapters' contract asks of a platform's test bench: an adapter connected to it, and a
person there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.message import ConversationId, Outbound, Place, ReplyId, Sender, conversation_id
from gateway.ports import Adapter


@dataclass
class Platform:
    """One adapter, a person on its platform, and what that person sees."""

    adapter: Adapter
    place: Place
    """A direct chat with the person."""
    sender: Sender
    say: Callable[[str], object]
    """The person writes; may return an awaitable."""
    texts: Callable[[], Awaitable[list[str]]]
    """Our messages as the person sees them, oldest first, without markup or quotes."""
    again: bool = False
    """Whether the person's client repeats what was not confirmed: a channel of our own, or a
    webhook, of which the sender has to try again."""
    headers: Callable[[], dict[str, str]] = dict
    """Of the person's last message, as `Inbound.headers` holds them: what an answer needs."""

    @property
    def conversation(self) -> ConversationId:
        return conversation_id(self.adapter.account, self.place, self.sender)

    def part(self, text: str, *, reply: str = "r1", part: int = 0, parts: int = 1) -> Outbound:
        return Outbound(
            reply=ReplyId(reply),
            conversation=self.conversation,
            account=self.adapter.account,
            place=self.place,
            text=text,
            part=part,
            parts=parts,
            headers=self.headers(),
        )

    async def write(self, text: str) -> None:
        said = self.say(text)
        if asyncio.iscoroutine(said):
            with contextlib.suppress(Exception):  # a refused door is what some scenes are about
                await said
