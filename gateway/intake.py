"""Station 2: one gate for every kind of event, before anything is stored.

Nothing a stranger sends reaches a lane, is fetched or is shown. Effects are ordered so that a crash
anywhere, followed by a redelivery of the same event, shows and does everything once: the store
forgets no event it settled (`Lanes.put`, `Lanes.say`), and what is noted beside it carries the
event's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakValueDictionary

import msgspec
import structlog

from gateway.access.config import AccountRules
from gateway.access.contents import check, cleaned, fill, well_formed
from gateway.access.limits import Once, SlidingWindow
from gateway.access.loops import LoopGuard
from gateway.access.pairing import Approvals, request
from gateway.access.policy import Decision, asks_for_pairing, decide
from gateway.errors import Refused
from gateway.heard import caller_of
from gateway.message import ConversationId, Inbound, Outbound, OutboundKind, reply_id
from gateway.ports import Accepted, Clock, Lanes, Prepare, Records, Show
from gateway.sessions.commands import Command, Commands, parse

log = structlog.get_logger(__name__)

DAY = 86_400.0
STRANGERS = 50
"""Most strangers answered per account and hour; more are met with silence."""
_QUIET = 60.0
"""Seconds for which a stranger who was told is not looked up again."""

Splits = Callable[[Outbound], Sequence[Outbound]]
"""Cuts a whole reply into parts within its platform's limits."""


class Intake:
    """Implements `gateway.ports.Inbox`. `accounts` is by `Account.key`; `stored` is told of every
    message that waits for its turn now, `stopped` of every conversation in which none waits any
    more."""

    def __init__(
        self,
        lanes: Lanes,
        records: Records,
        accounts: Mapping[str, AccountRules],
        clock: Clock,
        split: Splits,
        *,
        commands: Commands,
        stop_words: Sequence[str] = (),
        stored: Callable[[Inbound], None] = lambda event: None,
        stopped: Callable[[ConversationId], None] = lambda conversation: None,
    ) -> None:
        self._lanes = lanes
        self._records = records
        self._accounts = accounts
        self._clock = clock
        self._split = split
        self._commands = commands
        self._stop_words = frozenset(stop_words)
        self._stored = stored
        self._stopped = stopped
        self._approvals = Approvals(records, clock)
        self._rates = SlidingWindow()
        self._told = Once()
        self._loops = LoopGuard()
        self._working: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        rules = self._accounts.get(event.account.key)
        if rules is None:
            log.warning("event_for_unknown_account", account=event.account.key)
            return _ignored(event, "unknown_account")
        if not well_formed(event):
            return _ignored(event, "malformed")
        if event.sender.id in rules.own_ids:
            return _ignored(event, "own")
        decision = await self._decide(event, rules)
        if decision.verdict == "ignore":
            return _ignored(event, decision.reason)
        if decision.verdict == "overhear":
            event = msgspec.structs.replace(event, overheard=True)
        elif decision.verdict != "admit":
            return await self._turn_away(event, rules, decision)
        if event.sender.is_bot and not self._within_loop_guard(event):
            return _ignored(event, "bot_loop")
        return await self._admit(event, rules, prepare, show)

    async def _decide(self, event: Inbound, rules: AccountRules) -> Decision:
        paired = asks_for_pairing(event, rules.access) and await self._approvals.approved(
            event.account, event.sender.id
        )
        return decide(event, rules.access, paired=paired, listens=bool(rules.heard_as))

    def _within_loop_guard(self, event: Inbound) -> bool:
        pair = (event.account.key, event.sender.id)
        return self._loops.admits(pair, event.id, self._clock.monotonic())

    async def _admit(
        self, event: Inbound, rules: AccountRules, prepare: Prepare | None, show: Show | None
    ) -> Accepted:
        match event.kind:
            case "join":
                return _ignored(event, "join")
            case "reaction" if not rules.access.reactions:
                return _ignored(event, "reaction")
            case "delete" | "edit":
                return await self._change(event, rules)
            case "reaction":
                shown = msgspec.structs.replace(event, text=f"[reaction: {event.text[:64]}]")
                return await self._take(shown, rules, prepare, show)
            case _:
                return await self._take(event, rules, prepare, show)

    async def _change(self, event: Inbound, rules: AccountRules) -> Accepted:
        """An edit or delete of something that may still wait."""
        if self._wait(event, rules, "changes")[0] > 0:
            return _ignored(event, "rate_limit")
        if event.kind == "delete":
            outcome = await self._lanes.withdraw(event)
        else:
            try:
                check(event, rules.access)
            except Refused as too_much:
                return await self._refuse(event, too_much.text, too_much.reason)
            outcome = await self._lanes.replace(cleaned(event))
        if outcome in ("changed", "duplicate"):
            return Accepted(outcome=outcome, id=event.id)
        return _ignored(event, outcome)

    async def _take(
        self, event: Inbound, rules: AccountRules, prepare: Prepare | None, show: Show | None
    ) -> Accepted:
        """Something that asks for an answer.

        Rates come before sizes, so that refusals are limited too, and both before `prepare`, so
        that nobody makes us fetch what is refused anyway.
        """
        # Nobody who talks to others uses up what they may say to us.
        wait, scope = self._wait(event, rules, "overheard" if event.overheard else "messages")
        if wait > 0:
            words = fill(rules.access.texts.rate_limit, seconds=max(1, round(wait)))
            window = rules.access.window
            return await self._refuse_once(event, words, "rate_limit", scope, window, show)
        try:
            check(event, rules.access)
            self._check_age(event, rules)
        except Refused as too_much:
            return await self._refuse(event, too_much.text, too_much.reason, show)
        event = cleaned(event)
        if not event.text.strip() and not event.attachments:
            return await self._refuse(event, rules.access.texts.empty, "empty", show)
        if prepare is not None:
            event = await prepare(event)
            try:
                check(event, rules.access)  # what nobody knew before the files were here
            except Refused as too_much:
                return await self._refuse(event, too_much.text, too_much.reason, show)
            event = cleaned(event)
        return await self._enter(event, rules, show)

    async def _enter(self, event: Inbound, rules: AccountRules, show: Show | None) -> Accepted:
        """Shown first: a reply must not stand above its question."""
        if show is not None:
            await show(event)
        if not event.attachments and (command := parse(event.text, self._stop_words)):
            return await self._command(command, event, rules)
        return await self._put(event, rules)

    def _wait(self, event: Inbound, rules: AccountRules, what: str) -> tuple[float, str]:
        access, account = rules.access, event.account.key
        limits = (
            (f"{account}/sender/{event.sender.id}", access.per_sender),
            (f"{account}/chat/{event.place.chat}", access.per_chat),
        )
        now = self._clock.monotonic()
        for key, limit in limits:
            wait = self._rates.hit(
                (what, key), event.id, limit=limit, window=access.window, now=now
            )
            if wait > 0:
                return wait, key
        return 0.0, ""

    def _check_age(self, event: Inbound, rules: AccountRules) -> None:
        limit = rules.access.late_after
        age = (event.received_at or self._clock.now()) - event.sent_at
        if limit and event.sent_at > 0 and age > limit:
            words = fill(rules.access.texts.late, hours=int(age // 3600))
            raise Refused(words, reason="late")

    async def _put(self, event: Inbound, rules: AccountRules) -> Accepted:
        outcome = await self._lanes.put(event, rules.policy)
        if outcome == "full":
            words = rules.access.texts.full
            return await self._refuse_once(event, words, "full", event.conversation, _QUIET)
        if outcome == "stored":
            self._stored(event)
        return Accepted(outcome=outcome, id=event.id)

    async def _command(self, command: Command, event: Inbound, rules: AccountRules) -> Accepted:
        caller = caller_of(event, rules, self._approvals)
        # One at a time, so that copies of one delivery do not both find it not yet done.
        lock = self._working.setdefault(event.conversation, asyncio.Lock())
        async with lock:
            reply = await self._commands.run(command, caller)
            if command.name in ("stop", "new"):
                self._stopped(event.conversation)
            if reply.forward:
                return await self._put(msgspec.structs.replace(event, text=reply.forward), rules)
            parts = self._parts(event, "notice", reply.text)
            fresh = await self._lanes.say(event, parts, "answered")
        log.info("command_executed", command=command.name, account=event.account.key, fresh=fresh)
        return Accepted(outcome="answered" if fresh else "duplicate", id=event.id)

    # --- those who are not let in ---------------------------------------------------------------

    async def _turn_away(self, event: Inbound, rules: AccountRules, decision: Decision) -> Accepted:
        """One polite message a day, for a limited number of strangers; bounded in the store."""
        person = f"{event.account.key}/{event.sender.id}"
        quiet = ("stranger", person)
        now = self._clock.monotonic()
        if not self._told.claim(quiet, event.id, window=_QUIET, now=now):
            return _ignored(event, decision.reason)
        with self._told.attempt(quiet):
            if not await self._may_be_told(event, person):
                return _ignored(event, decision.reason)
            words = await self._words_for_stranger(event, rules, decision)
            return await self._refuse(event, words, decision.reason)

    async def _may_be_told(self, event: Inbound, person: str) -> bool:
        mine = event.id.encode()
        known = await self._records.get("strangers", person)
        if known is not None:
            return known == mine
        account = event.account.key
        if await self._records.hit("strangers", account, limit=STRANGERS, window=3600.0) > 0:
            return False
        if await self._records.add("strangers", person, mine, ttl=DAY):
            return True
        return await self._records.get("strangers", person) == mine

    async def _words_for_stranger(
        self, event: Inbound, rules: AccountRules, decision: Decision
    ) -> str:
        texts = rules.access.texts
        if decision.verdict == "refuse":
            return fill(texts.refused, id=event.sender.id.replace("`", ""))
        pending = await request(self._records, cleaned(event), self._clock.now())
        if pending is None:
            return fill(texts.pairing_busy, id=event.sender.id.replace("`", ""))
        return fill(texts.pairing, code=pending.code)

    # --- refusals -------------------------------------------------------------------------------

    async def _refuse_once(
        self,
        event: Inbound,
        words: str,
        reason: str,
        scope: str,
        window: float,
        show: Show | None = None,
    ) -> Accepted:
        key = (reason, scope)
        now = self._clock.monotonic()
        # Who is not told must not use up what others are told.
        if event.overheard or not self._told.claim(key, event.id, window=window, now=now):
            return _ignored(event, reason)
        with self._told.attempt(key):
            return await self._refuse(event, words, reason, show)

    async def _refuse(
        self, event: Inbound, words: str, reason: str, show: Show | None = None
    ) -> Accepted:
        if event.sender.is_bot or event.overheard:
            return _ignored(event, reason)
        if show is not None:
            await show(event)
        fresh = await self._lanes.say(event, self._parts(event, "refusal", words), "refused")
        log.info("event_refused", reason=reason, account=event.account.key, fresh=fresh)
        return Accepted(outcome="refused" if fresh else "duplicate", id=event.id, reason=reason)

    def _parts(self, event: Inbound, kind: OutboundKind, text: str) -> Sequence[Outbound]:
        whole = Outbound(
            reply=reply_id(event.id, kind),
            conversation=event.conversation,
            account=event.account,
            place=event.place,
            kind=kind,
            text=text,
            reply_to=event.native_id,
            headers=event.headers,
        )
        return self._split(whole)


def _ignored(event: Inbound, reason: str) -> Accepted:
    log.debug("event_ignored", reason=reason, account=event.account.key, kind=event.kind)
    return Accepted(outcome="ignored", id=event.id, reason=reason)
