"""Short ways to write down events."""

from __future__ import annotations

from typing import Any

from gateway.message import (
    Account,
    Inbound,
    Place,
    PlaceKind,
    Sender,
    conversation_id,
    inbound_id,
)

BOT = Account(kind="chat", id="default")


def event(
    native: str,
    text: str = "hello",
    *,
    sender: str = "ada",
    chat: str = "",
    place: PlaceKind = "direct",
    account: Account = BOT,
    is_bot: bool = False,
    grade: Any = "asserted",
    name: str = "",
    **fields: Any,
) -> Inbound:
    """An event of `sender`: in their own direct chat unless `chat` and `place` say otherwise."""
    where = Place(kind=place, chat=chat or sender)
    who = Sender(id=sender, name=name, is_bot=is_bot, grade=grade)
    what = fields.get("kind", "message")
    return Inbound(
        id=inbound_id(account, where.chat, native, "m" if what == "message" else what),
        conversation=conversation_id(account, where, who),
        account=account,
        place=where,
        sender=who,
        text=text,
        native_id=native,
        **fields,
    )
