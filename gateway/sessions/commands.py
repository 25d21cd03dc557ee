"""What people type to the gateway itself: executed at once, past the queue and the model.

A command may be delivered again after a crash. Those that change something do so first, note it
under the event's id, and are then answered; the note keeps a redelivery from doing it twice:

======== =============================================== ==========================================
command  done twice, at once (crash before the note)     done again much later (the note forbids it)
======== =============================================== ==========================================
/stop    stops what is stopped already                   would stop newer turns
/new     resets a session that is new already            would forget newer turns
/model   sets the same value                             would undo a later choice
/queue   sets the same value                             would undo a later choice
/voice   sets the same value                             would undo a later choice
others   show something                                  show something; answered once by the store
======== =============================================== ==========================================
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec

from gateway.errors import Failed
from gateway.message import Account, Inbound, PlaceKind
from gateway.ports import Clock, LanePolicy, Lanes, Mode, Records
from gateway.reading import Being, noted

MENU: tuple[tuple[str, str], ...] = (
    ("help", "what I can do"),
    ("new", "start a new conversation"),
    ("stop", "stop the answer that is being written, and what waits"),
    ("status", "what is going on here"),
    ("model", "show or choose the model"),
    ("queue", "what happens to messages that come while I answer"),
    ("voice", "whether I answer by voice, too"),
    ("whoami", "show your id"),
)
"""Names and descriptions, for platforms with a command menu."""

NOTE_TTL = 8 * 86_400.0
"""As long as the queue remembers events."""

ALIASES = {"reset": "new", "start": "help", "commands": "help", "tts": "voice"}
_NAMES = frozenset({name for name, _ in MENU} | ALIASES.keys())
_SLASH = re.compile(r"/([a-z]{1,16})(?:@\w{1,64})?(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_MODES: tuple[str, ...] = get_args(Mode)
_VOICES = ("on", "off", "mirror")
_UNSET = ("default", "reset", "auto")


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who gave a command, and under what settings of the account."""

    event: Inbound
    policy: LanePolicy
    owner_commands: Collection[str]
    owns: Callable[[], Awaitable[bool]]
    """Whether the sender is an owner; asked only when it matters."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a command leads to."""

    text: str
    """The answer, in CommonMark; empty when `forward` is answered instead."""
    forward: str = ""
    """Text for the model, once the command is done: ``/new and a question``."""


_decoder = msgspec.json.Decoder(Reply)


def parse(text: str, stop_words: Collection[str] = ()) -> Command | None:
    """The command in a message, or None when it is meant for the model.

    A word after ``/`` that is no command of ours is text: people paste paths.
    """
    stripped = text.strip()
    if found := _SLASH.fullmatch(stripped):
        name = found[1].lower()
        if name in _NAMES:
            return Command(ALIASES.get(name, name), (found[2] or "").strip())
        return None
    if len(stripped) <= 32 and stripped.lower().rstrip(".! ") in stop_words:
        return Command("stop")
    return None


def needs_owner(command: Command, place: PlaceKind, owner_commands: Collection[str]) -> bool:
    """Settings of a shared chat are its owner's; everybody may look at them."""
    if command.name in owner_commands:
        return True
    return (
        place != "direct" and command.name in ("model", "queue", "voice") and bool(command.argument)
    )


class Commands:
    """Executes commands against the queue.

    `models` gives the names that can be pinned; `speech` when answers are spoken on an account, by
    the setting's words, empty where they cannot be.
    """

    def __init__(
        self,
        lanes: Lanes,
        records: Records,
        clock: Clock,
        *,
        models: Callable[[], Sequence[str]],
        version: str,
        speech: Callable[[Account], str] = lambda account: "",
    ) -> None:
        self._lanes = lanes
        self._records = records
        self._clock = clock
        self._models = models
        self._version = version
        self._speech = speech

    async def run(self, command: Command, caller: Caller) -> Reply:
        """Do it. Repeating it for the same event is harmless. Raises `Unavailable`, `Busy`."""
        event = caller.event
        guarded = needs_owner(command, event.place.kind, caller.owner_commands)
        if guarded and not await caller.owns():
            return Reply(_only_owners(command.name, event))
        match command.name:
            case "stop":
                return await self._noted(event, lambda: self._stop(event))
            case "new":
                return await self._noted(event, lambda: self._new(event, command.argument))
            case "model" if command.argument:
                return await self._noted(event, lambda: self._pin(event, command.argument))
            case "queue" if command.argument:
                return await self._noted(event, lambda: self._mode(event, command.argument))
            case "voice" if command.argument and self._speaks(event):
                return await self._noted(event, lambda: self._voice(event, command.argument))
            case "voice":
                return await self._show_voice(event)
            case "model":
                return await self._show_models(event)
            case "queue":
                return await self._show_mode(event, caller.policy)
            case "status":
                return await self._status(event, caller.policy)
            case "whoami":
                return await self._whoami(caller)
            case _:
                return Reply(_help())

    async def _noted(self, event: Inbound, effect: Callable[[], Awaitable[Reply]]) -> Reply:
        if (note := await self._records.get("effect", event.id)) is not None:
            try:
                return _decoder.decode(note)
            except msgspec.DecodeError as problem:
                raise Failed(f"not a noted command: {problem}") from problem
        reply = await effect()
        await self._records.set("effect", event.id, msgspec.json.encode(reply), ttl=NOTE_TTL)
        return reply

    async def _stop(self, event: Inbound) -> Reply:
        stopped = await self._lanes.stop(event.conversation, but=event.id)
        if stopped == 0:
            return Reply("There was nothing to stop.")
        return Reply("Stopped." if stopped == 1 else f"Stopped: {stopped} messages.")

    async def _new(self, event: Inbound, question: str) -> Reply:
        # What was asked before belongs to the old conversation, so it is not answered in the new.
        await self._lanes.stop(event.conversation, but=event.id)
        await self._lanes.reset(event.conversation)
        if question:
            return Reply("", forward=question)
        return Reply("A new conversation. I have put aside what we talked about before.")

    async def _pin(self, event: Inbound, wanted: str) -> Reply:
        if wanted.lower() in _UNSET:
            await self._lanes.override(event.conversation, "model", "")
            return Reply("The model is chosen automatically again.")
        names = {name.lower(): name for name in self._models()}
        if (name := names.get(wanted.lower())) is None:
            return Reply(f"There is no such model.\n\n{_listing(sorted(names.values()))}")
        await self._lanes.override(event.conversation, "model", name)
        return Reply(f"From now on `{name}` answers here. `/model default` undoes it.")

    async def _mode(self, event: Inbound, wanted: str) -> Reply:
        mode = wanted.lower()
        if mode in _UNSET:
            await self._lanes.override(event.conversation, "queue", "")
            return Reply("The queue mode is as configured again.")
        if mode not in _MODES:
            return Reply(f"There is no such mode. There are: {_codes(_MODES)}.")
        await self._lanes.override(event.conversation, "queue", mode)
        return Reply(f"The queue mode here is now `{mode}`. `/queue default` undoes it.")

    def _speaks(self, event: Inbound) -> bool:
        return self._speech(event.account) not in ("", "off")

    async def _voice(self, event: Inbound, wanted: str) -> Reply:
        how = wanted.lower()
        if how in _UNSET:
            await self._lanes.override(event.conversation, "voice", "")
            return Reply("Voice answers are as configured again.")
        if how not in _VOICES:
            return Reply(f"There is no such choice. There are: {_codes((*_VOICES, 'default'))}.")
        await self._lanes.override(event.conversation, "voice", how)
        return Reply(f"Voice answers here are now `{how}`. `/voice default` undoes it.")

    async def _show_voice(self, event: Inbound) -> Reply:
        configured = self._speech(event.account)
        if not configured:
            return Reply("I cannot send voice messages here.")
        if configured == "off":
            return Reply("Voice answers are switched off.")
        now = {"request": "off", "always": "on"}.get(configured, configured)
        overrides = (await self._lanes.view(event.conversation)).session.overrides
        return Reply(
            f"Voice answers: `{overrides.get('voice', now)}`.\n\n"
            "- `/voice on`: every answer comes as a voice message, too\n"
            "- `/voice mirror`: when you sent a voice message\n"
            "- `/voice off`: never\n"
            "- `/voice default`: as configured"
        )

    async def _show_models(self, event: Inbound) -> Reply:
        pinned = (await self._lanes.view(event.conversation)).session.overrides.get("model", "")
        now = f"`{pinned}` answers here." if pinned else "The model is chosen automatically."
        return Reply(f"{now}\n\n{_listing(self._models())}")

    async def _show_mode(self, event: Inbound, policy: LanePolicy) -> Reply:
        overrides = (await self._lanes.view(event.conversation)).session.overrides
        return Reply(
            f"Queue mode: `{overrides.get('queue', policy.mode)}`.\n\n"
            "- `/queue collect`: what you send while I answer becomes one next question\n"
            "- `/queue each`: every message gets its own answer, one after the other\n"
            "- `/queue interrupt`: a new message ends the answer I am writing\n"
            "- `/queue default`: as configured"
        )

    async def _status(self, event: Inbound, policy: LanePolicy) -> Reply:
        view = await self._lanes.view(event.conversation)
        session = view.session
        now = "writing an answer" if view.running else "idle"
        if view.running and view.attempt > 1:
            now += f" (attempt {view.attempt})"
        age = "no answer yet"
        if session.active_at > 0:
            age = f"last answer {_ago(self._clock.now() - session.active_at)} ago"
        being = await noted(self._records, event.conversation)
        reading = [f"Reading: {_shown(being, self._clock.now())}"] if being else []
        lines = (
            f"Now: {now}, messages not yet answered: {view.waiting}",
            *reading,
            f"Model: {session.overrides.get('model') or 'chosen automatically'}",
            f"Queue mode: {session.overrides.get('queue') or policy.mode}",
            f"Conversation: {view.turns} lines of history, {age}",
            f"Moltgate {self._version}",
        )
        return Reply("\n".join(f"- {line}" for line in lines))

    async def _whoami(self, caller: Caller) -> Reply:
        event = caller.event
        lines = [
            f"You: {_code(event.sender.id)} ({event.sender.grade})",
            f"Chat: {_code(event.place.chat)} ({event.place.kind})",
            f"Account: {_code(event.account.key)}",
            f"Owner: {'yes' if await caller.owns() else 'no'}",
        ]
        if event.place.thread:
            lines.insert(2, f"Thread: {_code(event.place.thread)}")
        return Reply("\n".join(f"- {line}" for line in lines))


def _help() -> str:
    lines = "\n".join(f"- `/{name}`: {about}" for name, about in MENU)
    return f"Write to me and I answer. Besides, you can use:\n\n{lines}"


def _only_owners(name: str, event: Inbound) -> str:
    return (
        f"`/{name}` is for this bot's owners here. To become one, have the person who runs it add "
        f"your id {_code(event.sender.id)} to `owners` in the `access` settings of "
        f"{_code(event.account.key)}; where nobody owns it yet, the first person let in with "
        "`moltgate pair approve` does."
    )


def _listing(names: Sequence[str]) -> str:
    if not names:
        return "There are no models to choose from."
    return "You can choose with `/model NAME`:\n\n" + "\n".join(f"- `{name}`" for name in names)


_THINGS = {
    "image": ("a picture", "pictures"),
    "voice": ("a voice message", "voice messages"),
    "audio": ("a recording", "recordings"),
    "video": ("a video", "videos"),
    "document": ("a document", "documents"),
}


def _shown(being: Sequence[Being], now: float) -> str:
    """What is being read, and for how long."""
    counts = Counter(one.kind for one in being)
    things = [
        one if number == 1 else f"{number} {many}"
        for kind, number in counts.items()
        for one, many in (_THINGS.get(kind, ("a file", "files")),)
    ]
    since = min(one.since for one in being)
    return f"{', '.join(things)} (for {_ago(now - since)})"


def _codes(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _code(text: str) -> str:
    return f"`{text.replace('`', '')}`"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"
