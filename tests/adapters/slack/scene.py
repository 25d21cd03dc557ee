"""What the Slack tests share besides fixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.slack.adapter import SlackAdapter
from gateway.message import Account, Outbound, Place, PlaceKind, ReplyId, Sender, conversation_id

Build = Callable[..., SlackAdapter]

ACCOUNT = Account(kind="slack", id="default")
DM, CHANNEL = "D7", "C5"
ADA = "U7"


def part(text: str = "", *, chat: str = DM, thread: str = "", **more: Any) -> Outbound:
    kind: PlaceKind = "direct" if chat.startswith("D") else "thread" if thread else "group"
    place = Place(kind=kind, chat=chat, thread=thread)
    return Outbound(
        reply=ReplyId(more.pop("reply", "r1")),
        conversation=conversation_id(ACCOUNT, place, Sender(id=f"T01/{ADA}")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
