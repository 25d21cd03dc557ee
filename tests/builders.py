"""Short ways to say what a test is about."""

from __future__ import annotations

from gateway.message import (
    Account,
    Inbound,
    Outbound,
    Place,
    Sender,
    conversation_id,
    inbound_id,
    reply_id,
)

ACCOUNT = Account(kind="fake", id="one")


def message(
    native: str, who: str = "ada", text: str = "hello", *, event: str = "m", **more: object
) -> Inbound:
    """A direct message of `who`, with native id `native`."""
    place = Place(kind="direct", chat=who)
    sender = Sender(id=who, name=who.title())
    return Inbound(
        id=inbound_id(ACCOUNT, who, native, event),
        conversation=conversation_id(ACCOUNT, place, sender),
        account=ACCOUNT,
        place=place,
        sender=sender,
        text=text,
        native_id=native,
        **more,  # type: ignore[arg-type]
    )


def answer(to: Inbound, text: str = "hi", *, part: int = 0, parts: int = 1) -> Outbound:
    return Outbound(
        reply=reply_id(to.id),
        conversation=to.conversation,
        account=to.account,
        place=to.place,
        part=part,
        parts=parts,
        text=text,
        reply_to=to.native_id,
    )
