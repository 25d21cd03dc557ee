"""What is remembered of one mailbox, in the account's durable facts.

Where we stand in a folder is (UIDVALIDITY, UID); it moves on only after a mail was stored or left
for good. What a mail *is*, however it is numbered and wherever it lies, is its identity.
"""

from __future__ import annotations

import hashlib

import msgspec

from adapters.email.reading import Mail
from gateway.message import Grade
from gateway.ports import Keep

DAY = 86_400.0
REMEMBERED = 14 * DAY
"""At least so long a mail that was dealt with is known again."""
THREADS = 180 * DAY
"""Seconds for which a reply finds back into its conversation by its ids alone."""
SENDS = 30 * DAY
_GRADES: tuple[Grade, ...] = ("unverified", "asserted", "verified")
LOOKED_UP = 6
"""Most ids of a thread that are looked up."""


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How far a folder was read."""

    validity: int
    uid: int
    since: float = 0.0
    """When the server got the newest of the mails that lay there before us, by its clock: those
    are nobody's question to us, however they are numbered."""


class Standing:
    def __init__(self, keep: Keep, rescan: float) -> None:
        self._keep = keep
        self._remembered = max(REMEMBERED, rescan + 2 * DAY)

    async def stand(self, folder: str) -> Stand | None:
        found = await self._keep.get(f"stand/{folder}")
        try:
            return None if found is None else msgspec.json.decode(found, type=Stand)
        except msgspec.DecodeError:
            return None

    async def moved_to(self, folder: str, stand: Stand) -> None:
        await self._keep.set(f"stand/{folder}", msgspec.json.encode(stand))

    async def known(self, identity: str, grade: Grade) -> str:
        """What became of this mail; empty where it is new. A copy whose author was less sure says
        nothing of it: anybody can send one first."""
        for each in _GRADES[_GRADES.index(grade) :]:
            found = await self._keep.get(f"mail/{identity}/{each}")
            if found is not None:
                return found.decode("ascii", "replace")
        return ""

    async def dealt_with(self, identity: str, grade: Grade, how: str) -> None:
        await self._keep.set(f"mail/{identity}/{grade}", how.encode(), ttl=self._remembered)

    async def root(self, mail: Mail) -> tuple[str, bool]:
        """Message-ID of the mail that began its thread, and whether we took part in it; empty when
        the mail answers nothing.

        Some programs send no References, some cut them: what we have seen counts first.
        """
        named = [*mail.references, mail.in_reply_to]
        named = [each for each in dict.fromkeys(named) if each]
        for each in named[: -LOOKED_UP - 1 : -1]:
            found = await self._keep.get(f"thread/{_short(each)}")
            if found is not None:
                return found.decode("utf-8", "replace"), True
        return (named[0] if named else ""), False

    async def belongs(self, message_id: str, root: str) -> None:
        """Replies to this mail are of that thread."""
        if message_id and root:
            await self._keep.set(f"thread/{_short(message_id)}", root.encode(), ttl=THREADS)

    async def ours(self, message_id: str) -> bool:
        return await self._keep.get(f"sent/{_short(message_id)}") is not None

    async def sending(self, message_id: str) -> str:
        """``leaving`` while nobody knows, ``done`` when the server took it, empty before."""
        return (await self._keep.get(f"sent/{_short(message_id)}") or b"").decode(
            "ascii", "replace"
        )

    async def note_sending(self, message_id: str, state: str) -> None:
        await self._keep.set(f"sent/{_short(message_id)}", state.encode(), ttl=SENDS)

    async def forget_sending(self, message_id: str) -> None:
        await self._keep.remove(f"sent/{_short(message_id)}")


def identity(mail: Mail, raw: bytes) -> str:
    """By Message-ID, author and body: the same mail twice in the box is one, two different ones
    under one id are two, and what somebody passes on as their own hides no other's. Without an id
    nothing but all of its bytes tells it from others."""
    digest = hashlib.sha256()
    if mail.message_id:
        author = mail.from_address.lower()
        digest.update(f"{mail.message_id}\n{author}\n{mail.body_hash}".encode())
    else:
        digest.update(b"\n" + raw)
    return digest.hexdigest()[:40]


def _short(message_id: str) -> str:
    return hashlib.sha256(message_id.encode("utf-8", "replace")).hexdigest()[:24]
