"""What the Telegram tests share besides fixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.telegram.adapter import TelegramAdapter
from gateway.message import Account, Outbound, Place, ReplyId, Sender, conversation_id

Build = Callable[..., TelegramAdapter]

ACCOUNT = Account(kind="telegram", id="default")


def part(text: str = "", *, chat: int = 7, thread: str = "", **more: Any) -> Outbound:
    place = Place(kind="direct" if chat > 0 else "group", chat=str(chat), thread=thread)
    return Outbound(
        reply=ReplyId("r1"),
        conversation=conversation_id(ACCOUNT, place, Sender(id="7")),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,
    )
