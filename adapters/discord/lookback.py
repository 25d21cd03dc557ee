"""After a cut send: does our message stand there?

Discord knows a nonce for some minutes and then forgets it, and a channel's history does not tell
it. What is looked for is what the message says, and which message it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.discord.api import Api
from adapters.discord.backfill import PAGE
from adapters.discord.native import is_snowflake, moment
from adapters.discord.outgoing import content
from adapters.discord.pace import channel
from adapters.discord.parse import AFTER
from adapters.discord.render import TWIN
from gateway.errors import Failed, Uncertain
from gateway.message import Outbound
from gateway.ports import Clock

PAGES = 5
NONCE_SECONDS = 90.0
"""For so long Discord surely knows a repetition by its nonce. What it says is worth more than what
we find: two answers may say the same."""
_MOST = 5_000


class Sent:
    """Our own messages as the gateway tells of them, with their nonces; and what was tried."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids: dict[str, str] = {}
        self._nonces: dict[str, str] = {}
        self._tried: dict[str, float] = {}

    def note(self, nonce: str | int | None, message: str) -> None:
        if nonce is not None:
            _put(self._ids, str(nonce), message)
            _put(self._nonces, message, str(nonce))

    def trying(self, key: str) -> None:
        if key not in self._tried:
            _put(self._tried, key, self._clock.monotonic())

    def of(self, key: str) -> str | None:
        return self._ids.get(key)

    def is_of_another(self, message: str, key: str) -> bool:
        return self._nonces.get(message, key) != key

    def is_known_by_nonce(self, message: str) -> bool:
        """Whether Discord would answer a repetition with this message, if it was one."""
        return self._clock.now() - moment(message) < NONCE_SECONDS

    def is_recent(self, key: str) -> bool:
        """Whether the first attempt was so short ago that its nonce is known."""
        at = self._tried.get(key)
        return at is not None and self._clock.monotonic() - at < NONCE_SECONDS


def _put(known: dict[str, Any], key: str, value: Any) -> None:
    known[key] = value
    if len(known) > _MOST:
        del known[next(iter(known))]


async def find(api: Api, sent: Sent, outbound: Outbound) -> str | None:
    """Id of the message that the part became. Raises as `ReadsBack.find`."""
    if (known := sent.of(outbound.key)) is not None:
        return known
    me = (await api.me()).id
    try:
        found = await _look(api, sent, me, outbound)
    except Failed as refused:
        if sent.is_recent(outbound.key):
            return None
        raise Uncertain(f"the channel's history cannot be read: {refused}") from refused
    return None if found is not None and sent.is_known_by_nonce(found) else found


async def _look(api: Api, sent: Sent, me: str, outbound: Outbound) -> str | None:
    after = outbound.headers.get(AFTER) or outbound.reply_to
    ours: list[dict[str, Any]] = []
    for _ in range(PAGES if is_snowflake(after) else 1):
        page = await _page(api, channel(outbound.place), after)
        ours += [
            each
            for each in page
            if each["author"].get("id") == me
            and not sent.is_of_another(str(each["id"]), outbound.key)
        ]
        if (found := match(ours, outbound)) is not None:
            return found
        if len(page) < PAGE:
            return None
        after = page[-1]["id"] if is_snowflake(after) else after
    raise Uncertain("it would stand further back than is looked for")


async def _page(api: Api, where: str, after: str) -> list[dict[str, Any]]:
    """Oldest first: those behind a message, or the newest."""
    query = {"limit": str(PAGE)} | ({"after": after} if is_snowflake(after) else {})
    answer = await api.call(
        "GET", "/channels/{channel_id}/messages", repeatable=True, query=query, channel_id=where
    )
    if not isinstance(answer, list):
        raise Failed("the history of a channel is not a list")
    found = [
        each
        for each in answer
        if isinstance(each, dict) and isinstance(each.get("author"), dict) and "id" in each
    ]
    return sorted(found, key=lambda each: int(each["id"]))


def match(ours: Sequence[dict[str, Any]], outbound: Outbound) -> str | None:
    """The id among our messages, oldest first, that says what the part says. Pure."""
    written = content(outbound).strip()
    question = outbound.reply_to or outbound.headers.get(AFTER, "")
    same = []
    for message in ours:
        if str(message.get("nonce")) == outbound.key:
            return str(message["id"])
        if _reference(message) not in ("", question):
            continue
        if _content(message) == written and _files(message, outbound):
            same.append(str(message["id"]))
    twins = int(outbound.headers.get(TWIN, "0"))
    if len(same) > twins:
        return same[twins]
    if outbound.part == 0 and not outbound.files:
        return _preview(ours, outbound, written)
    return None


def _preview(ours: Sequence[dict[str, Any]], outbound: Outbound, written: str) -> str | None:
    """A message that answers the same, and says the beginning of it."""
    for message in ours:
        begun = _letters(_content(message))
        answers = outbound.reply_to and _reference(message) == outbound.reply_to
        if begun and answers and _letters(written).startswith(begun):
            return str(message["id"])
    return None


def _reference(message: dict[str, Any]) -> str:
    return str((message.get("message_reference") or {}).get("message_id") or "")


def _content(message: dict[str, Any]) -> str:
    return str(message.get("content") or "").strip()


def _files(message: dict[str, Any], outbound: Outbound) -> bool:
    sizes = [each.get("size") for each in message.get("attachments") or []]
    return sizes == [each.size for each in outbound.files]


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())
