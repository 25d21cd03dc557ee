"""The growing text of replies that are not finished, shown by editing one message.

Previews are best effort with one exception: which message shows a reply is noted in the store
before and after its first send, so that after a crash the final text replaces it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from gateway.errors import Busy, GatewayError, Retryable, Superseded, Unavailable, Uncertain
from gateway.failpoints import ANSWERED, SENDING, failpoint
from gateway.message import ConversationId, Outbound, ReplyId
from gateway.ports import (
    Adapter,
    Capabilities,
    EditsMessages,
    Live,
    Paces,
    Receipt,
    ShowsTyping,
)
from gateway.queues.outbox import Head, Outbox, Ownership

log = structlog.get_logger(__name__)

FORGET_SECONDS = 600.0
"""A preview nobody updates for so long is forgotten (its turn died with its worker)."""


AT_ONCE = 4_000
"""Characters of a text that is cut into parts without leaving the loop."""
_BEGINNING = 3
"""Lengths of a message that are looked at for its preview: markup takes room and is not seen."""
PAUSE_SECONDS = 2.0
"""Between two tries of an update where nobody says how long to wait."""

_CUT = "?"
"""Noted before a preview is sent first, with what it says; stays when the send is cut."""

_HELD = "!"
"""Between the noted native id and the moment until which the platform wants nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """What a preview left on the platform."""

    native_id: str = ""
    """The message that shows it; empty when there is none, or nobody knows it."""
    cut: bool = False
    """Its first send was cut: it may stand there."""
    complete: bool = False
    """It was cut, and said all that the final part says."""


@dataclass(slots=True, eq=False)
class _Draft:
    live: Live
    wanted: str = ""
    shown: str = ""
    native_id: str = ""
    dead: bool = False
    """No more previews for this reply: the platform does not want them."""
    held_until: float = 0.0
    """Seconds since the epoch: before, the platform wants nothing in this chat."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Drafts:
    """Previews of one account. `split` cuts a text to what fits into one message."""

    def __init__(
        self,
        own: Ownership,
        adapter: Adapter,
        capabilities: Capabilities,
        outbox: Outbox,
        split: Callable[[Outbound], Sequence[Outbound]],
    ) -> None:
        self._own = own
        self._adapter = adapter
        self._capabilities = capabilities
        self._outbox = outbox
        self._split = split
        self._drafts: dict[ConversationId, _Draft] = {}

    def show(self, live: Live) -> None:
        """Take note of where a turn stands; shows it when the platform's pace allows."""
        draft = self._drafts.get(live.conversation)
        if draft is not None and live.fence < draft.live.fence:
            return
        if draft is not None and draft.live.reply != live.reply:
            self._drop(draft)
            draft = None
        if draft is None:
            if live.kind == "ended":
                return
            draft = self._drafts[live.conversation] = _Draft(live)
            draft.task = asyncio.create_task(self._keep(draft))
        draft.live = live
        if live.kind == "ended":
            self._drop(draft)
        elif live.kind == "text" and self._streams:
            draft.wanted = live.text
            draft.changed.set()

    async def finish(self, head: Head, outbound: Outbound) -> Visible:
        """Stop the preview this part replaces; what of it is to be seen.

        Raises `Busy` for as long as the preview was told to wait.
        """
        reply = ReplyId(outbound.headers.get("replaces", outbound.reply))
        draft = self._drafts.get(outbound.conversation)
        if draft is not None:
            self._drop(draft)
            if draft.task is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await draft.task
        if outbound.part != 0:
            return Visible()
        if reply != outbound.reply or draft is not None:
            noted = await self._outbox.visible(outbound.conversation, reply)
        else:
            noted = head.visible
        known, until = _noted(noted)
        if draft is not None and draft.live.reply == reply:
            known, until = draft.native_id or known, max(until, draft.held_until)
        _check_patience(until)
        if known.startswith(_CUT):
            return Visible(cut=True, complete=known == _cut_note(outbound))
        return Visible(native_id=known)

    async def close(self) -> None:
        for draft in list(self._drafts.values()):
            self._drop(draft)
            if draft.task is not None:
                with contextlib.suppress(asyncio.CancelledError):
                    await draft.task

    @property
    def _streams(self) -> bool:
        return self._capabilities.streams and isinstance(self._adapter, EditsMessages)

    def _drop(self, draft: _Draft) -> None:
        if self._drafts.get(draft.live.conversation) is draft:
            del self._drafts[draft.live.conversation]
        draft.dead = True
        draft.changed.set()

    async def _keep(self, draft: _Draft) -> None:
        """Typing until there is text, then the text as it grows; ends when the draft is dropped."""
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                await self._type(draft)
                while not draft.dead:
                    await draft.changed.wait()
                    draft.changed.clear()
                    if not draft.dead and draft.wanted != draft.shown:
                        await self._update(draft)
                        await self._pause(draft, self._capabilities.edit_interval)
        except TimeoutError:
            self._drop(draft)
        except Superseded as gone:
            log.info("preview_stopped", reason=str(gone))
            self._drop(draft)

    async def _type(self, draft: _Draft) -> None:
        if not self._capabilities.typing or not isinstance(self._adapter, ShowsTyping):
            return
        while not draft.changed.is_set():
            try:
                await self._adapter.typing(draft.live.conversation, draft.live.place)
            except GatewayError as problem:
                log.debug("typing_not_shown", reason=str(problem))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._capabilities.typing_interval):
                    await draft.changed.wait()

    async def _pause(self, draft: _Draft, seconds: float) -> None:
        """Keep the platform's pace, but do not keep a finished draft waiting."""
        end = asyncio.get_running_loop().time() + seconds
        while not draft.dead and (left := end - asyncio.get_running_loop().time()) > 0:
            draft.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await draft.changed.wait()
        if draft.wanted != draft.shown:
            draft.changed.set()

    async def _update(self, draft: _Draft) -> None:
        text = draft.wanted
        first = await self._first_part(draft.live, text)
        try:
            if draft.native_id:
                await self._edited(first, draft.native_id)
            else:
                await self._first(draft, first)
            draft.shown = text
        except Busy as busy:
            seconds = busy.after or PAUSE_SECONDS
            await self._hold(draft, time.time() + seconds)
            await self._pause(draft, seconds)
        except Retryable as later:
            await self._pause(draft, later.after or PAUSE_SECONDS)
        except Superseded:
            raise
        except GatewayError as problem:
            log.info("preview_given_up", reason=str(problem))
            draft.dead = True

    async def _first_part(self, live: Live, text: str) -> Outbound:
        """What one message shows. Only the beginning is looked at, and in a thread when it is
        long: a text can be made to take long to cut up, and it comes anew with every word."""
        beginning = self._outbound(live, text[: _BEGINNING * self._capabilities.text_limit])
        if len(beginning.text) <= AT_ONCE:
            return self._split(beginning)[0]
        return (await asyncio.to_thread(self._split, beginning))[0]

    async def _first(self, draft: _Draft, outbound: Outbound) -> None:
        noted = await self._outbox.visible(outbound.conversation, outbound.reply)
        known, until = _noted(noted)
        _check_patience(until)
        if known.startswith(_CUT):
            draft.dead = True  # a predecessor's preview was cut: another one would stand beside it
            return
        if not await self._outbox.awaited(outbound.conversation, outbound.reply):
            draft.dead = True  # a straggler: the final text is on its way, or stands there already
            return
        if not known:
            if await self._outbox.waits(outbound.conversation):
                raise Unavailable("earlier parts wait: a preview would overtake them", after=0.5)
            await self._check_spare(outbound)
            note = _cut_note(outbound)
            await self._outbox.note_visible(self._own, outbound.conversation, outbound.reply, note)
            await failpoint(SENDING, outbound.conversation)
            known = (await self._sent(outbound)).native_id
            await failpoint(ANSWERED, outbound.conversation)
            draft.native_id = known
            await self._outbox.note_visible(self._own, outbound.conversation, outbound.reply, known)
        else:
            draft.native_id = known
            await self._edited(outbound, known)

    async def _edited(self, outbound: Outbound, native_id: str) -> None:
        assert isinstance(self._adapter, EditsMessages)
        await self._check_spare(outbound)
        await self._adapter.edit(outbound, native_id)

    async def _check_spare(self, outbound: Outbound) -> None:
        """Left out where final texts need the platform's rate: the next one shows all of it."""
        if isinstance(self._adapter, Paces) and not await self._adapter.spare(outbound):
            raise Unavailable("final texts go first", after=self._capabilities.edit_interval)

    async def _sent(self, outbound: Outbound) -> Receipt:
        try:
            return await self._adapter.send(outbound)
        except Retryable:  # surely not there: the next update may be the first
            await self._outbox.note_visible(self._own, outbound.conversation, outbound.reply, "")
            raise
        except Uncertain:
            log.warning("preview_uncertain", reply=outbound.reply)
            raise

    async def _hold(self, draft: _Draft, until: float) -> None:
        """Noted in the store, too: whoever comes after us must be as patient."""
        draft.held_until = until
        live, note = draft.live, f"{draft.native_id}{_HELD}{until}"
        with contextlib.suppress(Retryable):
            await self._outbox.note_visible(self._own, live.conversation, live.reply, note)

    def _outbound(self, live: Live, text: str) -> Outbound:
        return Outbound(
            reply=live.reply,
            conversation=live.conversation,
            account=live.account,
            place=live.place,
            text=text,
            reply_to=live.reply_to,
        )


def _noted(note: str) -> tuple[str, float]:
    """The native id of a noted preview, and until when it may not be touched."""
    known, _, until = note.partition(_HELD)
    return known, float(until or 0.0)


def _cut_note(outbound: Outbound) -> str:
    digest = hashlib.blake2b(outbound.text.strip().encode(), digest_size=8)
    return _CUT + digest.hexdigest()


def _check_patience(until: float) -> None:
    if (left := until - time.time()) > 0:
        raise Busy("the platform asked for patience when the preview was shown", after=left)
