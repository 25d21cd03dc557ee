"""What a voice message turns out to be once it was read: a question, a command, or nothing to us.

The gateway reads voice messages as soon as they are stored, so that a spoken "stop" stops the turn
that runs; the worker reads them when their turn comes. Either may find out first, and either may
die on the way. What counts is one step in the store, `Lanes.settle`: it takes the message out of
its lane and says the answer, and whoever comes second finds nothing to settle. What a command
changed before is noted under the event's id, as for typed ones (`gateway.sessions.commands`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from gateway.access.config import AccountRules
from gateway.access.pairing import Approvals
from gateway.errors import GatewayError
from gateway.message import ConversationId, Inbound, Outbound, reply_id
from gateway.ports import Enricher, Lanes
from gateway.sessions.commands import Caller, Command, Commands
from gateway.sessions.spoken import meant, spoken

log = structlog.get_logger(__name__)

EARLY = 16
"""Voice messages a gateway reads at once before their turn; others are read in it."""

Splits = Callable[[Outbound], Sequence[Outbound]]


def is_spoken(event: Inbound) -> bool:
    """Whether it may turn out to be a command, or not to be meant for us, once it was read."""
    if event.overheard:
        return True
    voices = any(one.kind == "voice" for one in event.attachments)
    return voices and event.kind == "message" and not event.text.strip()


def caller_of(event: Inbound, rules: AccountRules, approvals: Approvals) -> Caller:
    async def owns() -> bool:
        sender = event.sender.id
        return sender in rules.access.owners or await approvals.owns(event.account, sender)

    return Caller(
        event=event,
        policy=rules.policy,
        owner_commands=rules.access.owner_commands,
        owns=owns,
    )


class Heard:
    """Settles stored voice messages that need no turn. `accounts` is by `Account.key`."""

    def __init__(
        self,
        lanes: Lanes,
        commands: Commands,
        accounts: Mapping[str, AccountRules],
        approvals: Approvals,
        split: Splits,
        *,
        stop_words: Sequence[str] = (),
    ) -> None:
        self._lanes = lanes
        self._commands = commands
        self._accounts = accounts
        self._approvals = approvals
        self._split = split
        self._stop_words = frozenset(stop_words)

    def is_meant(self, event: Inbound) -> bool:
        """Whether an overheard message names us. What could not be read does not."""
        return meant(_transcript(event), self._names(event))

    async def settle(self, event: Inbound) -> bool:
        """Whether a message that was read is dealt with, by us or by somebody before us.

        Repeating it is harmless. Raises `Unavailable` and `Busy`.
        """
        if not is_spoken(event):
            return False
        if event.overheard and not self.is_meant(event):
            await self._lanes.settle(event, (), "cancelled")
            log.info("voice_not_for_us", account=event.account.key)
            return True
        rules = self._accounts.get(event.account.key)
        command = spoken(_transcript(event), self._stop_words, self._names(event))
        if command is None or rules is None:
            return False
        await self._obey(command, event, rules)
        return True

    async def _obey(self, command: Command, event: Inbound, rules: AccountRules) -> None:
        if not await self._lanes.waits(event):
            return  # stopped, deleted or answered meanwhile: it must not touch what came after it
        reply = await self._commands.run(command, caller_of(event, rules, self._approvals))
        if reply.forward:
            asked = msgspec.structs.replace(
                event, text=reply.forward, attachments=(), addressed=True, overheard=False
            )
            fresh = await self._lanes.settle(event, (), "answered", instead=asked)
        else:
            fresh = await self._lanes.settle(event, self._parts(event, reply.text), "answered")
        log.info("command_spoken", command=command.name, account=event.account.key, fresh=fresh)

    def _names(self, event: Inbound) -> tuple[str, ...]:
        rules = self._accounts.get(event.account.key)
        return () if rules is None else rules.heard_as

    def _parts(self, event: Inbound, text: str) -> Sequence[Outbound]:
        whole = Outbound(
            reply=reply_id(event.id, "notice"),
            conversation=event.conversation,
            account=event.account,
            place=event.place,
            kind="notice",
            text=text,
            reply_to=event.native_id,
            headers=event.headers,
        )
        return self._split(whole)


class Early:
    """Reads voice messages before their turn. Best effort: what it leaves out the turn does."""

    def __init__(self, enricher: Enricher, heard: Heard, *, most: int = EARLY) -> None:
        self._enricher = enricher
        self._heard = heard
        self._most = most
        self._tasks: dict[asyncio.Task[None], ConversationId] = {}

    def begin(self, event: Inbound) -> None:
        """A message was stored."""
        if is_spoken(event) and len(self._tasks) < self._most:
            task = asyncio.create_task(self._listen(event))
            self._tasks[task] = event.conversation
            task.add_done_callback(self._tasks.pop)

    def drop(self, conversation: ConversationId) -> None:
        """What waited there was stopped: nobody wants to know any more what was said."""
        for task, where in self._tasks.items():
            if where == conversation:
                task.cancel()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _listen(self, event: Inbound) -> None:
        try:
            await self._heard.settle(await self._enricher.enrich(event))
        except GatewayError as problem:
            log.debug("voice_left_to_its_turn", reason=str(problem))
        except Exception:
            log.exception("listening_failed")


def _transcript(event: Inbound) -> str:
    return " ".join(one.text for one in event.attachments if one.kind in ("voice", "audio")).strip()
