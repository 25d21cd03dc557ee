"""Who owns a platform account: exactly one process receives for it and sends as it."""

from __future__ import annotations

import os
import secrets
import socket

from gateway.errors import Superseded
from gateway.message import Account
from gateway.queues.outbox import Ownership
from gateway.queues.scripts import script
from gateway.queues.topology import Store

OWN, RAISE, DISOWN = map(script, ("own", "own_raise", "disown"))


class Owners:
    """Leases on accounts for this process.

    The lease lives in the first partition; its fence is copied to all of them before it is used,
    and every send is checked against the copy beside the conversation.
    """

    def __init__(self, store: Store, *, lease_seconds: float = 6.0, who: str = "") -> None:
        self._store = store
        self._lease = int(lease_seconds * 1000)
        self.lease_seconds = lease_seconds
        self._owner = secrets.token_hex(12)
        self._who = who or f"process {os.getpid()} on {socket.gethostname()}"

    async def acquire(self, account: Account) -> tuple[Ownership | None, str]:
        """The ownership, or None and who holds it."""
        fence, holder = await self._own(account)
        if not fence:
            return None, holder
        for partition in self._store.partitions:
            await self._store.run(RAISE, partition, account.key, fence)
        return Ownership(account=account, fence=fence), ""

    async def renew(self, own: Ownership) -> None:
        """Keep it. Raises `Superseded` when somebody else has it."""
        fence, holder = await self._own(own.account)
        if fence != own.fence:
            raise Superseded(f"{own.account.key} is held by {holder or 'a newer lease'}")

    async def release(self, own: Ownership) -> None:
        await self._store.run(DISOWN, self._store.partitions[0], own.account.key, self._owner)

    async def _own(self, account: Account) -> tuple[int, str]:
        fence, holder = await self._store.run(
            OWN, self._store.partitions[0], account.key, self._owner, self._lease, self._who
        )
        return fence, holder.decode()


async def holder(store: Store, account: Account) -> str:
    """Who holds it, as people read it; empty when nobody does. Changes nothing."""
    first = store.partitions[0]
    who: bytes | None = await store.call(first, "HGET", f"{first}:hold:{account.key}", "who")
    return who.decode() if who else ""
