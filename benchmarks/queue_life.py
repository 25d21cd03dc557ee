"""One message's whole life on the queue, run many times: put, claim, commit, send, settled.

Producer, worker and sender are tasks of one process, each with the loop the real one has: claim
in batches, settle one by one, sleep until woken. The platform and the model answer at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from gateway.message import (
    Account,
    ConversationId,
    Inbound,
    Outbound,
    Place,
    Sender,
    Turn,
    conversation_id,
    inbound_id,
    reply_id,
)
from gateway.ports import LanePolicy
from gateway.queues.channels import listen
from gateway.queues.claims import Claims, RedisLease
from gateway.queues.lanes import RedisLanes
from gateway.queues.outbox import Outbox, Ownership
from gateway.queues.topology import Store

ACCOUNT = Account(kind="bench", id="one")
POLICY = LanePolicy(mode="each")
TEXT = "a message of the usual length, that is to say about two lines of text in a chat " * 4


@dataclass
class Clocks:
    """When each message was put, claimed and sent, by its native id (``perf_counter``)."""

    put: dict[str, float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)


class Life:
    """The three roles and what they share.

    Args:
        reply: without it a life ends when the turn is committed, with neither parts nor history:
            what a task queue does with a job.
    """

    def __init__(self, store: Store, total: int, *, reply: bool = True) -> None:
        self._store = store
        self._lanes = RedisLanes(store)
        self._claims = Claims(store)
        self._outbox = Outbox(store)
        self._total = total
        self._reply = reply
        self._committed = 0
        self._sending: dict[ConversationId, asyncio.Task[None]] = {}
        self._again: set[ConversationId] = set()
        self.clocks = Clocks()
        self.done = asyncio.Event()

    async def run(
        self, own: Ownership, events: Iterator[Inbound], *, writers: int, pause: float = 0.0
    ) -> float:
        """Seconds from the first put to the last settled part."""
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as roles:
            background = [
                roles.create_task(self._work(wake)),
                roles.create_task(self._listen(own, wake)),
            ]
            begin = time.perf_counter()
            for _ in range(writers):
                roles.create_task(self._produce(events, pause))
            await self.done.wait()
            seconds = time.perf_counter() - begin
            for task in background:
                task.cancel()
        return seconds

    async def _produce(self, events: Iterator[Inbound], pause: float) -> None:
        for event in events:
            self.clocks.put[event.native_id] = time.perf_counter()
            await self._lanes.put(event, POLICY)
            if pause:
                await asyncio.sleep(pause)

    async def _listen(self, own: Ownership, wake: asyncio.Event) -> None:
        channels = [f"{one}:{what}" for one in self._store.partitions for what in ("wake", "out")]
        async with aclosing(listen(self._store.address, channels)) as heard:
            async for item in heard:
                if item is None or item[0].endswith("wake"):
                    wake.set()
                if item is None:
                    for head in (await self._outbox.due(ACCOUNT, 100_000))[0]:
                        self._notice(own, head.conversation)
                elif item[0].endswith("out"):
                    self._notice(own, ConversationId(item[1].split(b"\n")[1].decode()))

    async def _work(self, wake: asyncio.Event) -> None:
        running: set[asyncio.Task[None]] = set()
        while True:
            wake.clear()
            leases = await self._claims.take(400)
            now = time.perf_counter()
            for lease in leases:
                self.clocks.claimed[lease.messages[0].native_id] = now
                task = asyncio.create_task(self._turn(lease))
                running.add(task)
                task.add_done_callback(running.discard)
            if not leases:
                await _woken(wake)

    async def _turn(self, lease: RedisLease) -> None:
        event = lease.messages[0]
        if not self._reply:
            await lease.commit([], [])
            self._committed += 1
            if self._committed == self._total:
                self.done.set()
            return
        part = Outbound(
            reply=reply_id(event.id),
            conversation=event.conversation,
            account=event.account,
            place=event.place,
            text=TEXT,
            reply_to=event.native_id,
        )
        history = (Turn(role="user", text=TEXT), Turn(role="assistant", text=TEXT))
        await lease.commit([part], history)

    def _notice(self, own: Ownership, conversation: ConversationId) -> None:
        if conversation in self._sending:
            self._again.add(conversation)
            return
        task = asyncio.create_task(self._deliver(own, conversation))
        self._sending[conversation] = task

    async def _deliver(self, own: Ownership, conversation: ConversationId) -> None:
        """As the sender role: part after part of one conversation, until none is due."""
        while True:
            self._again.discard(conversation)
            more = True
            while more and (head := await self._outbox.head(ACCOUNT, conversation)) is not None:
                await self._outbox.sending(own, head)
                more = await self._outbox.settle(own, head, "sent", native_id="1234567890")
                assert head.outbound is not None
                self.clocks.sent[head.outbound.reply_to] = time.perf_counter()
            if conversation not in self._again:
                break
        del self._sending[conversation]
        if len(self.clocks.sent) == self._total:
            self.done.set()


async def _woken(event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(0.05):
            await event.wait()
    except TimeoutError:
        return


def events(total: int, conversations: int) -> Iterator[Inbound]:
    """Messages of about 600 bytes, spread over conversations."""
    for number in range(total):
        who = f"user{number % conversations}"
        place = Place(kind="direct", chat=who)
        sender = Sender(id=who, name="Ada Lovelace")
        native = str(number)
        yield Inbound(
            id=inbound_id(ACCOUNT, who, native),
            conversation=conversation_id(ACCOUNT, place, sender),
            account=ACCOUNT,
            place=place,
            sender=sender,
            text=TEXT,
            native_id=native,
            received_at=time.time(),
        )
