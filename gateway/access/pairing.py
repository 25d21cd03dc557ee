"""Strangers become known: a code in the chat, approved by the operator on the machine.

Tables: ``pairing`` holds a few slots per account, each with one pending request; ``approved`` the
people let in; ``owners`` the one person per account whom the first approval made its owner.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from gateway.errors import Failed, Refused
from gateway.message import (
    Account,
    ConversationId,
    Inbound,
    Outbound,
    Place,
    Sender,
    reply_id,
)
from gateway.ports import Clock, Records

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's 32: no I, L, O, U. Read back with the look-alikes folded."""
LENGTH = 8
PENDING = 3
"""Most requests that wait per account."""
VALID = 3600.0
GUESSES = 20
"""Most codes tried per `GUESS_WINDOW`, right or wrong, over all accounts."""
GUESS_WINDOW = 3600.0

_FOLD = str.maketrans({"I": "1", "L": "1", "O": "0", " ": "", "-": "", "`": ""})


class Pairing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A person on an account, asking to be let in or let in."""

    account: Account
    sender: Sender
    place: Place
    conversation: ConversationId
    code: str = ""
    """Empty once approved."""
    at: float = 0.0
    """When it was asked for, later when it was approved; seconds since the epoch."""
    owner: bool = False


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Pairing)


def _decode(raw: bytes) -> Pairing:
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as problem:
        raise Failed(f"not a stored pairing: {problem}") from problem


def fold(code: str) -> str:
    """A code as people type it, in the form it is stored in."""
    return code.strip().upper().translate(_FOLD)


async def request(records: Records, event: Inbound, now: float) -> Pairing | None:
    """The pending request of the event's sender, made if there is none. None: too many wait.

    Repeating it gives the same code.
    """
    account = event.account.key
    fresh = Pairing(
        account=event.account,
        sender=event.sender,
        place=event.place,
        conversation=event.conversation,
        code="".join(secrets.choice(ALPHABET) for _ in range(LENGTH)),
        at=now,
    )
    for _, raw in await records.items("pairing"):
        waiting = _decode(raw)
        if waiting.account == event.account and waiting.sender.id == event.sender.id:
            return waiting
    for slot in range(PENDING):
        if await records.add("pairing", f"{account}#{slot}", _encode(fresh), ttl=VALID):
            return fresh
        raw_taken = await records.get("pairing", f"{account}#{slot}")
        if raw_taken is not None and _decode(raw_taken).sender.id == event.sender.id:
            return _decode(raw_taken)
    return None


async def list_pending(records: Records) -> Sequence[Pairing]:
    """Who waits to be let in, longest wait first."""
    waiting = [_decode(raw) for _, raw in await records.items("pairing")]
    return sorted(waiting, key=lambda one: one.at)


async def approve(records: Records, code: str, now: float, *, owned: bool = False) -> Pairing:
    """Let in whoever holds this code. The first one approved on an account becomes its owner.

    `owned`: the configuration already names owners, so nobody becomes one by being approved.
    Interrupted anywhere, it can be repeated. Raises `Refused`.
    """
    slot, pending = await _find(records, code)
    person = await _admit(records, pending, now, owned=owned)
    await _clear(records, slot, pending.code)
    return person


async def deny(records: Records, code: str) -> Pairing:
    """Forget a request. Its sender is not told. Raises `Refused` when there is none."""
    slot, pending = await _find(records, code)
    await _clear(records, slot, pending.code)
    return pending


async def list_approved(records: Records) -> Sequence[Pairing]:
    """Everybody let in by pairing, by account and id."""
    return [_decode(raw) for _, raw in await records.items("approved")]


async def revoke(records: Records, account: Account, sender: str) -> bool:
    """Shut somebody out again; a few seconds later nothing of theirs is taken in.

    Whether they had been let in. An owner by first approval ceases to be one, and the next
    approval makes a new one.
    """
    if await records.get("owners", account.key) == sender.encode():
        await records.remove("owners", account.key)
    return await records.remove("approved", _key(account, sender))


def welcome(person: Pairing) -> Outbound:
    """Tells the person that they were let in; repeatable."""
    text = "You have been let in. What can I do for you?"
    if person.owner:
        text = "You have been let in, and you are this bot's owner. /help shows what I can do."
    about = f"{_key(person.account, person.sender.id)}/{person.at}"
    return Outbound(
        reply=reply_id(about, "welcome"),
        conversation=person.conversation,
        account=person.account,
        place=person.place,
        kind="notice",
        text=text,
    )


class Approvals:
    """Looks up who was let in, remembering for some seconds who was.

    Who was not is looked up each time: the first message after an approval must not be missed.
    """

    _KNOWN = 5.0
    _KEYS = 10_000

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._cache: OrderedDict[str, float] = OrderedDict()

    async def approved(self, account: Account, sender: str) -> bool:
        """Raises `Unavailable` when it cannot be found out."""
        key = _key(account, sender)
        now = self._clock.monotonic()
        if now < self._cache.get(key, 0.0):
            return True
        if await self._records.get("approved", key) is None:
            self._cache.pop(key, None)
            return False
        self._cache[key] = now + self._KNOWN
        self._cache.move_to_end(key)
        while len(self._cache) > self._KEYS:
            self._cache.popitem(last=False)
        return True

    async def owns(self, account: Account, sender: str) -> bool:
        """Whether the first approval made this person the account's owner."""
        return await self._records.get("owners", account.key) == sender.encode()


async def _find(records: Records, code: str) -> tuple[str, Pairing]:
    wait = await records.hit("pairing_guess", "code", limit=GUESSES, window=GUESS_WINDOW)
    if wait > 0:
        minutes = max(1, round(wait / 60))
        raise Refused(f"too many codes were tried; wait {minutes} min", reason="pairing_guesses")
    wanted = fold(code).encode(errors="replace")
    found: tuple[str, Pairing] | None = None
    for slot, raw in await records.items("pairing"):
        pending = _decode(raw)
        if hmac.compare_digest(pending.code.encode(), wanted):
            found = (slot, pending)
    if found is None:
        raise Refused("no request waits with this code; codes are valid for one hour")
    return found


async def _admit(records: Records, pending: Pairing, now: float, *, owned: bool) -> Pairing:
    account, sender = pending.account, pending.sender
    owner = False
    if not owned:
        mine = sender.id.encode()
        owner = (
            await records.add("owners", account.key, mine)
            or await records.get("owners", account.key) == mine
        )
    person = msgspec.structs.replace(pending, code="", at=now, owner=owner)
    await records.set("approved", _key(account, sender.id), _encode(person))
    return person


async def _clear(records: Records, slot: str, code: str) -> None:
    raw = await records.get("pairing", slot)
    if raw is not None and _decode(raw).code == code:
        await records.remove("pairing", slot)


def _key(account: Account, sender: str) -> str:
    return f"{account.key}/{quote(sender, safe='')}"
