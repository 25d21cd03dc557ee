"""Stations 4 to 8: claim a conversation, enrich, ask a model, commit.

A worker holds many conversations at once, one turn each. What it shows meanwhile is ephemeral;
the commit is one atomic step that only the current fence may take.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog
from pydantic import Field

from config.fields import Duration, Section
from gateway.errors import Failed, GatewayError, Refused, Retryable, Superseded, Unavailable
from gateway.failpoints import ASKED, CLAIMED, COMMITTED, RELEASED, STREAMING, failpoint
from gateway.heard import Heard, is_spoken
from gateway.message import (
    Attachment,
    ConversationId,
    Inbound,
    Outbound,
    OutboundKind,
    Turn,
    reply_id,
)
from gateway.outages import Blame, Waiting
from gateway.ports import (
    Capabilities,
    Clock,
    Engine,
    Enricher,
    Finished,
    Lease,
    Prompt,
    Restarted,
    Session,
    Text,
    Voice,
)
from gateway.seldom import Seldom
from gateway.sessions.remarks import remarks
from gateway.show import Publish, Show

log = structlog.get_logger(__name__)
seldom = Seldom(log)


COMMIT_SECONDS = 60.0
"""How long a finished answer is held while the store does not answer."""
AT_ONCE = 4_000
"""Characters of a text that is cut into parts without leaving the loop."""


class TurnConfig(Section):
    """Answering: how many at once, how often, how long."""

    concurrency: int = Field(256, ge=1, description="Conversations one worker answers at once.")
    attempts: int = Field(
        3, ge=1, le=10, description="Deliveries of a message before it is quarantined."
    )
    give_up_after: Duration = Field(
        600.0, gt=0, description="Age at which a message that no engine answers is quarantined."
    )
    show_every: Duration = Field(
        0.15, gt=0, description="Time between two updates of a growing answer, per conversation."
    )
    reply_deadline: Duration = Field(
        86400.0, gt=0, description="Age at which an unsent reply is quarantined instead of sent."
    )
    failure_text: str = Field(
        "I could not answer this. The operator has been told.",
        description="Shown when a message is quarantined.",
    )
    reply_limit: int = Field(
        250_000, ge=1000, description="Longest answer in characters; the rest is not asked for."
    )
    cut_text: str = Field(
        "(The answer was too long and ends here.)",
        description="Shown below an answer that was cut at the limit.",
    )
    empty_text: str = Field(
        "The model gave an empty answer.", description="Shown when a model says nothing."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What a turn needs to know of an adapter: what it can show and how it cuts replies."""

    capabilities: Capabilities
    split: Callable[[Outbound], Sequence[Outbound]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """Voice answers: who speaks them, and when, by the setting's words."""

    voice: Voice
    mode: str

    def wanted(self, session: Session, messages: Sequence[Inbound]) -> bool:
        if self.mode == "off":
            return False
        match session.overrides.get("voice", self.mode):
            case "on" | "always":
                return True
            case "mirror":
                return any(one.kind == "voice" for each in messages for one in each.attachments)
            case _:
                return False


class Prompts(Protocol):
    """Builds requests and remembers turns; see `gateway.sessions.prompt`."""

    def expired(self, session: Session, now: float) -> bool: ...

    def build(
        self, messages: Sequence[Inbound], history: Sequence[Turn], session: Session
    ) -> Prompt: ...

    def turns(self, messages: Sequence[Inbound], answer: str, now: float) -> Sequence[Turn]: ...


class Watchers(Protocol):
    """What a turn reports to; metrics implement it."""

    def turn_ended(self, outcome: str, engine: str, seconds: Mapping[str, float]) -> None: ...


Reset = Callable[[Lease], Awaitable[None]]
Promote = Callable[[Sequence[ConversationId]], Awaitable[int]]
"""Makes conversations ready now that wait after a failed turn."""


@dataclass(slots=True)
class _Progress:
    """One turn's stop watch and closing line."""

    started: float = field(default_factory=time.monotonic)
    queued: float = 0.0
    read: float = 0.0
    first_token: float = 0.0
    generate: float = 0.0
    commit: float = 0.0
    engine: str = ""
    model: str = ""
    tokens: int = 0
    messages: Sequence[Inbound] = ()
    """With their files read."""


class Turns:
    """Answers leases. Stateless between turns; safe to run any number of times at once."""

    def __init__(
        self,
        engine: Engine,
        enricher: Enricher,
        prompts: Prompts,
        channels: Mapping[str, Channel],
        publish: Publish,
        reset: Reset,
        promote: Promote,
        clock: Clock,
        config: TurnConfig,
        watchers: Watchers,
        *,
        heard: Heard | None = None,
        speech: Speech | None = None,
    ) -> None:
        self._engine = engine
        self._enricher = enricher
        self._prompts = prompts
        self._channels = channels
        self._publish = publish
        self._reset = reset
        self._promote = promote
        self._clock = clock
        self._config = config
        self._watchers = watchers
        self._heard = heard
        self._speech = speech
        self._blame = Blame()
        self._waiting = Waiting()

    async def answer(self, lease: Lease) -> None:
        """Bring one lease to an end, whatever happens; raises nothing but cancellation."""
        first = lease.messages[0]
        progress = _Progress()
        if first.received_at:
            progress.queued = max(0.0, self._clock.now() - first.received_at)
        show = Show(lease.messages, lease.fence, self._publish, self._config.show_every)
        with structlog.contextvars.bound_contextvars(
            message=first.id, conversation=lease.conversation, adapter=first.account.key
        ):
            outcome = await self._settled(lease, show, progress)
            await show.end(visible=outcome not in {"answered", "refused"})
            self._close(lease, outcome, progress)

    async def _settled(self, lease: Lease, show: Show, progress: _Progress) -> str:
        """Answer and settle; each way to fail leads to what happens next."""
        try:
            self._check_attempts(lease)
            try:
                return await self._answered(lease, show, progress)
            except Refused as refusal:
                return await self._commit(lease, refusal.text, "refused", progress)
        except Superseded as newer:
            log.debug("turn_dropped", reason=str(newer))
            return "superseded"
        except Retryable as later:
            return await self._later(lease, later)
        except GatewayError as failure:
            return await self._bury(lease, f"{type(failure).__name__}: {failure}")
        except asyncio.CancelledError:
            return await self._cancelled(lease)
        except Exception as unexpected:
            log.exception("turn_failed")
            return await self._counted(lease, unexpected)

    def _check_attempts(self, lease: Lease) -> None:
        if lease.attempt > self._config.attempts:
            raise Failed(f"given up after {lease.attempt - 1} deliveries")

    async def _answered(self, lease: Lease, show: Show, progress: _Progress) -> str:
        await failpoint(CLAIMED, lease.conversation)
        channel = self._channel(lease.messages[0])
        overheard = any(one.overheard for one in lease.messages)
        if not overheard:
            show.begin(channel.capabilities)
        if self._prompts.expired(lease.session, self._clock.now()):
            await self._reset(lease)
        messages = progress.messages = await self._enriched(lease.messages, progress)
        if await self._settled_as_heard(lease, messages):
            return "spoken"
        if overheard:
            show.begin(channel.capabilities)
        prompt = self._prompts.build(messages, lease.history, lease.session)
        prompt = replace(prompt, stream=channel.capabilities.streams)
        await failpoint(ASKED, lease.conversation)
        text = await self._generated(prompt, show, progress)
        answer = text.strip() or self._config.empty_text
        voice = await self._spoken(answer, lease.session, messages, channel)
        return await self._commit(lease, answer, "answered", progress, voice)

    async def _enriched(
        self, messages: Sequence[Inbound], progress: _Progress
    ) -> Sequence[Inbound]:
        """All files of all messages at once. Texts wait for nothing."""
        if not any(one.attachments for one in messages):
            return messages
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._enricher.enrich(one)) for one in messages]
        progress.read = time.monotonic() - began
        return [task.result() for task in tasks]

    async def _settled_as_heard(self, lease: Lease, messages: Sequence[Inbound]) -> bool:
        """Whether what was said was a command, or not meant for us. Then the lease is gone, and
        what else waits comes again; being told so must not end the settling half way."""
        if self._heard is None or not any(map(is_spoken, messages)):
            return False
        settling = asyncio.create_task(_any_settled(self._heard, messages))
        try:
            return await asyncio.shield(settling)
        except asyncio.CancelledError:
            settled = False
            with contextlib.suppress(GatewayError):  # it comes again
                settled = await settling
            task = asyncio.current_task()
            if settled and lease.lost and task is not None:
                task.uncancel()  # it was our own doing
                return True
            raise

    async def _spoken(
        self, answer: str, session: Session, messages: Sequence[Inbound], channel: Channel
    ) -> tuple[Attachment, ...]:
        """The answer as a voice message, where one is wanted and can be had."""
        speech = self._speech
        if speech is None or not channel.capabilities.voice_out:
            return ()
        if not speech.wanted(session, messages):
            return ()
        voice = await speech.voice.speak(answer, messages[0].tenant)
        return () if voice is None else (voice,)

    async def _generated(self, prompt: Prompt, show: Show, progress: _Progress) -> str:
        asked = time.monotonic()
        pieces: list[str] = []
        left = self._config.reply_limit
        async with contextlib.aclosing(self._engine.generate(prompt)) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Text):
                    if not pieces:
                        progress.first_token = time.monotonic() - asked
                        await failpoint(STREAMING, prompt.conversation or "")
                    text = event.text[:left]
                    pieces.append(text)
                    show.add(text)
                    left -= len(event.text)
                    if left < 0:  # it may never end
                        pieces.append(f"\n\n{self._config.cut_text}")
                        break
                elif isinstance(event, Restarted):
                    pieces.clear()
                    left = self._config.reply_limit
                    show.restart()
                elif isinstance(event, Finished):
                    progress.engine, progress.model = event.engine, event.model
                    progress.tokens = event.usage.completion_tokens
        progress.generate = time.monotonic() - asked
        return "".join(pieces)

    async def _commit(
        self,
        lease: Lease,
        text: str,
        outcome: str,
        progress: _Progress,
        files: tuple[Attachment, ...] = (),
    ) -> str:
        kind: OutboundKind = "answer" if outcome == "answered" else "refusal"
        messages = progress.messages or lease.messages
        history = self._prompts.turns(messages, text if kind == "answer" else "", self._clock.now())
        began = time.monotonic()
        shown = "\n\n".join(filter(None, (text, remarks(messages))))
        parts = await self._cut(lease, shown, kind, files)
        while True:
            try:
                await lease.commit(parts, history, outcome=outcome)
                break
            except Unavailable as problem:
                # The answer is worth more than a moment: the fence decides whether it still counts.
                if time.monotonic() - began > COMMIT_SECONDS:
                    raise
                seldom.warning("commit_repeated", reason=str(problem))
                await asyncio.sleep(0.5)
        progress.commit = time.monotonic() - began
        self._blame.answered(lease)
        self._waiting.forget(lease.conversation)
        await failpoint(COMMITTED, lease.conversation)
        await failpoint(RELEASED, lease.conversation)
        if outcome == "answered":
            await self._call_waiting()
        return outcome

    async def _call_waiting(self) -> None:
        """An engine works: let some of those try now who are to try later."""
        if called := self._waiting.called():
            with contextlib.suppress(GatewayError):  # they come by themselves, only later
                await self._promote(called)

    async def _later(self, lease: Lease, later: Retryable) -> str:
        """Wait and try again; being told to wait, or finding nobody, is no attempt."""
        if self._blame.on(lease, later):
            return await self._counted(lease, later)
        age = self._clock.now() - (lease.messages[0].received_at or self._clock.now())
        if age > self._config.give_up_after:
            return await self._bury(lease, f"no engine for {age:.0f} s: {later}")
        wait = min(later.after or 0.0, 60.0) or _backoff(age)
        log.info("turn_waits", reason=str(later), seconds=round(wait, 1))
        with contextlib.suppress(Superseded):
            await lease.retry(wait, counted=False)
            if isinstance(later, Unavailable):
                self._waiting.add(lease.conversation)
        return "retried"

    async def _counted(self, lease: Lease, unexpected: Exception) -> str:
        if lease.attempt >= self._config.attempts:
            return await self._bury(lease, f"{type(unexpected).__name__}: {unexpected}")
        with contextlib.suppress(GatewayError):
            await lease.retry(_backoff(lease.attempt), counted=True)
        return "retried"

    async def _bury(self, lease: Lease, reason: str) -> str:
        log.error("message_quarantined", reason=reason, attempt=lease.attempt)
        text = self._config.failure_text
        try:
            await lease.bury(reason, self._parts(lease, text, "notice"))
            self._waiting.forget(lease.conversation)
        except Superseded:
            return "superseded"
        except Retryable as problem:
            seldom.warning("quarantine_postponed", reason=str(problem))
            return "retried"  # the lease runs out and the message comes again
        return "quarantined"

    async def _cancelled(self, lease: Lease) -> str:
        """Void (stopped, interrupted, taken over), or the worker shuts down: give it back."""
        task = asyncio.current_task()
        if lease.lost and task is not None:
            task.uncancel()
        with contextlib.suppress(GatewayError):
            await lease.retry(0.0, counted=False)
        if lease.lost:
            return "stopped"
        raise asyncio.CancelledError

    def _channel(self, message: Inbound) -> Channel:
        channel = self._channels.get(message.account.kind)
        if channel is None:
            raise Failed(f"no adapter {message.account.kind} in this worker's configuration")
        return channel

    async def _cut(
        self, lease: Lease, text: str, kind: OutboundKind, files: tuple[Attachment, ...]
    ) -> Sequence[Outbound]:
        """A long text in a thread: models can be made to write what takes seconds to cut up, and
        meanwhile the leases of all other turns would run out."""
        if len(text) <= AT_ONCE:
            return self._parts(lease, text, kind, files)
        return await asyncio.to_thread(self._parts, lease, text, kind, files)

    def _parts(
        self, lease: Lease, text: str, kind: OutboundKind, files: tuple[Attachment, ...] = ()
    ) -> Sequence[Outbound]:
        first, last = lease.messages[0], lease.messages[-1]
        channel = self._channels.get(first.account.kind)
        reply = reply_id(first.id)
        whole = Outbound(
            reply=reply if kind != "notice" else reply_id(first.id, "notice"),
            conversation=lease.conversation,
            account=first.account,
            place=first.place,
            kind=kind,
            text=text,
            files=files,
            reply_to=last.native_id if first.place.kind != "direct" else "",
            headers={**last.headers, **({"replaces": reply} if kind == "notice" else {})},
            deadline=self._clock.now() + self._config.reply_deadline,
        )
        return channel.split(whole) if channel else [whole]

    def _close(self, lease: Lease, outcome: str, progress: _Progress) -> None:
        seconds = {
            "queue": progress.queued,
            "read": progress.read,
            "first_token": progress.first_token,
            "generate": progress.generate,
            "commit": progress.commit,
            "turn": time.monotonic() - progress.started,
        }
        log.info(
            "message_closed",
            outcome=outcome,
            attempt=lease.attempt,
            messages=len(lease.messages),
            engine=progress.engine,
            model=progress.model,
            tokens=progress.tokens,
            ms={name: round(value * 1000, 1) for name, value in seconds.items()},
        )
        self._watchers.turn_ended(outcome, progress.engine, seconds)


async def _any_settled(heard: Heard, messages: Sequence[Inbound]) -> bool:
    return any([await heard.settle(one) for one in messages])


def _backoff(age: float) -> float:
    """Seconds, with jitter: half the age so far, between 0.5 and 15."""
    return min(max(age / 2, 0.5), 15.0) * random.uniform(0.75, 1.25)
