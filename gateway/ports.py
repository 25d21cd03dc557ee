"""What the stations of the road ask of each other and of the outside.

Written from the caller's side. Unless a docstring says otherwise a method may wait, may be
cancelled at any await, and raises only what `gateway.errors` knows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from gateway.message import (
    Account,
    Attachment,
    ConversationId,
    Inbound,
    InboundId,
    Outbound,
    Place,
    ReplyId,
    Turn,
)

# --- adapters -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a platform can do, as data: `split` and delivery read it, the README prints it."""

    text_limit: int
    """Longest text of one part, in the platform's own units (see the adapter's README)."""
    dialect: str
    """What `render` produces, e.g. ``html``, ``markdown``, ``plain``."""
    edits: bool = False
    streams: bool = False
    """Whether partial text is shown while the model writes."""
    edit_interval: float = 1.0
    """Least seconds between two updates of one growing message."""
    typing: bool = False
    typing_interval: float = 4.0
    """Seconds after which a typing indicator fades and has to be renewed."""
    threads: bool = False
    buttons: bool = False
    reactions: bool = False
    files_in: bool = False
    files_out: bool = False
    voice_out: bool = False
    file_limit: int = 20 * 2**20
    """Bytes of the largest file that can be sent or received."""
    idempotent_send: bool = False
    """A send repeated with the same key shows nothing twice: no send can end uncertain."""
    read_back: bool = False
    groups: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of an event handed to the inbox. The platform may be told "got it" for all."""

    outcome: Literal["stored", "duplicate", "answered", "refused", "ignored", "changed"]
    """``answered``: a command, dealt with at once. ``changed``: an edit or delete took effect."""
    id: InboundId
    reason: str = ""


Prepare = Callable[[Inbound], Awaitable[Inbound]]
"""What costs something and is done only for an event that is taken: fetching its files."""

Show = Callable[[Inbound], Awaitable[None]]
"""Puts an event where its answer will stand, on a channel of our own."""


class Inbox(Protocol):
    """The one gate for every event kind (station 2 and 3)."""

    async def accept(
        self, event: Inbound, prepare: Prepare | None = None, show: Show | None = None
    ) -> Accepted:
        """Admit and store. When it returns, the outcome is durable.

        `prepare` is called once the sender is let in, the rates are kept and the sizes that the
        platform tells are within limits; what it returns is stored. It must keep the event's id,
        conversation, sender and text. `show` is called before an event is stored or refused in
        words, so that a reply never stands above its question; never for a stranger, nor for what
        exceeds a rate once its sender was told so. An edit or delete calls neither. Both must be
        repeatable; what they raise comes out here.

        Raises `Unavailable` or `Busy` when the event could not be stored: the platform must then
        *not* be told that we have it, and the adapter hands the event in again later.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A part stands on the platform."""

    native_id: str
    """Id of the (last) message it became; empty where the platform gives none."""


class Adapter(Protocol):
    """A connection to one account of one platform. Built once, run once, closed once."""

    account: Account

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled. Called only while this process owns the account.

        Raises `BadConfig` when credentials are refused or the account is used elsewhere (not
        retried), `Retryable` when the platform is not there (run again with backoff).
        Reconnecting within a session is the adapter's own business.
        """

    async def send(self, outbound: Outbound) -> Receipt:
        """Show one part, once.

        Raises `Busy` (with ``after``), `Unavailable` when it surely did not happen, `Uncertain`
        when it may have, `Failed` when it never will, `BadConfig` when the credentials are
        refused (the account stops, the part is kept). May be called concurrently for different
        conversations, never for the same one.
        """

    async def close(self) -> None:
        """Release everything. Called once, also when `run` never was."""


@runtime_checkable
class NarrowsCapabilities(Protocol):
    """Has settings that switch off what its platform could do, e.g. streaming."""

    capabilities: Capabilities


@runtime_checkable
class EditsMessages(Protocol):
    """Shows a growing answer, and turns it into the final one, in the same visible message."""

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        """Replace the text of our own message. Repeating it is harmless. Errors as `send`.

        `Failed` with "gone" in it means that the message no longer exists.
        """


@runtime_checkable
class ShowsTyping(Protocol):
    async def typing(self, conversation: ConversationId, place: Place) -> None:
        """Show that an answer is being written, for `typing_interval` seconds. Best effort."""


@runtime_checkable
class Reacts(Protocol):
    async def react(self, place: Place, native_id: str, emoji: str) -> None:
        """Put our reaction on a message; an empty emoji takes it away. Best effort."""


@runtime_checkable
class ShowsPartial(Protocol):
    """Takes partial text without making a message of it (a channel of our own)."""

    async def partial(self, live: Live) -> None:
        """Show where the answer stands. Best effort, never raises `Uncertain`."""


@runtime_checkable
class ReadsBack(Protocol):
    async def find(self, outbound: Outbound) -> Receipt | None:
        """Look for our own part on the platform after an uncertain send. None: it is not there."""


@runtime_checkable
class Paces(Protocol):
    """Keeps its platform's rates by waiting, instead of finding them out by being refused."""

    async def pace(self, outbound: Outbound) -> None:
        """Wait until this part may be sent or edited. Before it nothing has been attempted, so
        being cancelled here is harmless.

        Raises `Busy` (with ``after``) where very many wait for the same chat: those who wait take
        up room that other chats need.
        """

    async def spare(self, outbound: Outbound) -> bool:
        """Whether a preview may be shown now without making any final part wait; if so, it is
        counted. Never waits: a preview that is left out is made up for by the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    status: int
    body: bytes = b""
    content_type: str = "application/json"


@runtime_checkable
class HasWebhook(Protocol):
    """Events arrive by HTTP. The server mounts it at ``/webhooks/<kind>/<account id>``."""

    max_body: int
    """Bytes; longer bodies are refused while they are read."""

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Check the secret before the body is read. Header names are lower case. No waiting."""

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Take the event in; 200 only after the inbox accepted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a live check found: shown by ``moltgate init`` and ``moltgate doctor``."""

    ok: bool
    summary: str
    """One line, e.g. ``signed in as @ada_bot``; with what to do when not ok."""


@runtime_checkable
class Probes(Protocol):
    async def probe(self) -> Probe:
        """Check credentials and reachability without changing anything."""


# --- live: what is seen while a turn runs, never relied on -----------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where a running turn stands. `text` is all of the answer so far, so any one may be lost."""

    conversation: ConversationId
    account: Account
    place: Place
    reply: ReplyId
    kind: Literal["started", "text", "ended"]
    text: str = ""
    reply_to: str = ""
    fence: int = 0
    """Of the lane's lease; a lower one than already seen is out of date."""


# --- queue ----------------------------------------------------------------------------------

Mode = Literal["collect", "each", "interrupt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePolicy:
    """How what arrives in a conversation becomes turns."""

    mode: Mode = "collect"
    debounce: float = 0.0
    """Seconds of quiet before waiting messages become a turn."""
    priority: int = 1
    """0 is served first, 2 last."""
    depth: int = 100
    """Most messages that may wait in one conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The conversation's current run of history."""

    generation: int = 0
    active_at: float = 0.0
    """Seconds since the epoch of its last turn; 0 when new."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Per-session settings by command: ``model``, ``queue``."""


class Lease(Protocol):
    """One conversation, held by us, with what waits in it. Settled exactly once."""

    conversation: ConversationId
    fence: int
    attempt: int
    """1 at the first delivery of the head message."""
    messages: Sequence[Inbound]
    history: Sequence[Turn]
    session: Session

    @property
    def lost(self) -> bool:
        """Whether the lease is known to have gone to somebody else, or was cancelled."""

    async def commit(
        self, parts: Sequence[Outbound], history: Sequence[Turn], *, outcome: str = "answered"
    ) -> None:
        """Outbox, history and the consumed messages in one step. `Superseded` when too old."""

    async def retry(self, after: float, *, counted: bool) -> None:
        """Give it back for later. `counted` false: waiting for the other side is no attempt."""

    async def bury(self, reason: str, parts: Sequence[Outbound]) -> None:
        """Quarantine the messages with the reason and tell the sender by `parts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A conversation as ``/status`` shows it."""

    waiting: int
    running: bool
    attempt: int
    session: Session
    turns: int
    """Lines of hot history."""


class Lanes(Protocol):
    """The intake's side of the queue. Every method is one atomic step in the store.

    All raise `Unavailable` when the store does not answer in time, `Busy` when it is full.
    """

    async def put(
        self, event: Inbound, policy: LanePolicy
    ) -> Literal["stored", "duplicate", "full"]:
        """Dedupe by id, append to the lane, make the lane ready. ``full``: the lane's depth."""

    async def say(
        self, event: Inbound, parts: Sequence[Outbound], outcome: Literal["answered", "refused"]
    ) -> bool:
        """Settle an event without a turn: dedupe, count, and put the parts into the outbox.

        False when the event was seen before (nothing happens then). Without parts the event is
        only remembered and counted.
        """

    async def tell(self, parts: Sequence[Outbound]) -> None:
        """Put parts of our own accord into the outbox (notices, ``moltgate send``); repeatable."""

    async def replace(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        """An edit: new text for a message that still waits, found by ``event.target``."""

    async def withdraw(self, event: Inbound) -> Literal["changed", "late", "unknown", "duplicate"]:
        """A delete: takes a waiting message out of its lane, cancels its turn when it runs."""

    async def stop(self, conversation: ConversationId) -> int:
        """Cancel the running turn and everything that waits; how many messages that were."""

    async def reset(self, conversation: ConversationId) -> None:
        """Start a new session: the next turn sees no history. Overrides stay."""

    async def override(self, conversation: ConversationId, name: str, value: str) -> None:
        """Keep a per-session setting (``model``, ``queue``); an empty value removes it."""

    async def view(self, conversation: ConversationId) -> LaneView: ...


class Records(Protocol):
    """Small durable facts: pairings, tokens, web sessions, owners; and counters with a window."""

    async def get(self, table: str, key: str) -> bytes | None: ...

    async def set(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """`ttl` in seconds; None keeps it for good."""

    async def add(self, table: str, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        """Set unless it is there already; whether it was set."""

    async def remove(self, table: str, key: str) -> bool: ...

    async def take(self, table: str, key: str) -> bytes | None:
        """Get and remove in one step, for things that count once."""

    async def items(self, table: str) -> Sequence[tuple[str, bytes]]:
        """All live records of a table, sorted by key. Tables are small."""

    async def hit(self, table: str, key: str, *, limit: int, window: float) -> float:
        """Count one event in a sliding window of seconds. 0 when within the limit, else the
        seconds until the next one fits; a refused event is not counted."""


# --- the engine -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request to a model, before an engine has been chosen."""

    messages: Sequence[ChatMessage]
    conversation: ConversationId | None = None
    tenant: str = "main"
    model: str = ""
    """Name of an engine or alias the user pinned; empty for the configured order."""
    max_tokens: int | None = None
    temperature: float | None = None
    stream: bool = True
    """Whether somebody sees partial text; without it the engine may answer in one piece."""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """Another engine took over: everything before this is void and must be replaced."""

    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete: a finish reason and a clean end were both seen."""

    reason: str
    """``stop``, ``length``, ``tool_calls`` or ``content_filter``."""
    engine: str
    model: str = ""
    usage: Usage = Usage()
    first_token: float = 0.0
    """Seconds from request to first text."""


EngineEvent = Text | Restarted | Finished


class Engine(Protocol):
    def generate(self, prompt: Prompt) -> AsyncIterator[EngineEvent]:
        """Stream an answer; the last event is `Finished`. Closing the iterator stops the engine.

        Raises `Refused` (the request itself is at fault), `Busy`, `Unavailable`, `Failed`
        (misconfigured: nothing will help but an operator).
        """

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    name: str
    ok: bool
    detail: str
    models: Sequence[str] = ()


@runtime_checkable
class ListsEngines(Protocol):
    async def status(self) -> Sequence[EngineStatus]:
        """Ask every engine whether it is there and what it serves."""


class Enricher(Protocol):
    async def enrich(self, inbound: Inbound) -> Inbound:
        """Attachments with their `text` filled in; a failure becomes a visible `problem`."""


# --- stores ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One event of a conversation's log, as a channel of our own shows it."""

    seq: int
    """Starts at 1, without gaps, per conversation."""
    key: str
    at: float
    """Seconds since the epoch by the store's clock."""
    body: bytes
    """JSON, the channel's own."""


class EventLog(Protocol):
    """Durable, ordered log per conversation: what web chat and the HTTP API show and resume."""

    async def append(
        self, conversation: ConversationId, key: str, body: bytes, *, though_full: bool = False
    ) -> int:
        """Append once per key and return its `seq`; repeating a key changes nothing.

        Raises `Unavailable`, and `Busy` when the store is full. `though_full` is for replies: what
        was taken in is answered even then, or nothing would ever drain.
        """

    async def read(
        self, conversation: ConversationId, *, after: int = 0, limit: int = 200
    ) -> Sequence[LogEntry]:
        """Entries with ``seq > after``, oldest first."""

    async def tail(self, conversation: ConversationId, *, limit: int = 200) -> Sequence[LogEntry]:
        """The newest entries, oldest of them first."""

    async def conversations(self, prefix: str) -> Sequence[ConversationId]:
        """Conversations whose id begins so, most recently used first."""

    def watch(self) -> AsyncIterator[tuple[ConversationId, LogEntry | None]]:
        """Every entry appended by any process from now on.

        ``None`` for an entry means that some may have been missed: read again.
        """


class Blobs(Protocol):
    """Bytes under their SHA-256."""

    async def store(self, chunks: AsyncIterator[bytes], *, limit: int) -> tuple[str, int, bytes]:
        """Digest, size and the first 4 KiB. `Refused` as soon as more than `limit` bytes came."""

    def read(self, digest: str) -> AsyncIterator[bytes]:
        """Chunks; `Failed` when there is no such blob."""

    async def size(self, digest: str) -> int | None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What an adapter may use, handed to its factory."""

    blobs: Blobs
    log: EventLog
    clock: Clock
    public_url: str = ""
    """Where strangers reach our HTTP server, for webhooks; empty when not configured."""
    commands: Sequence[tuple[str, str]] = ()
    """Names and descriptions of the gateway's own commands, for platforms with a menu."""


def renders(attachment: Attachment) -> str:
    """The line that stands for an attachment where only text can go."""
    label = attachment.name or attachment.kind
    if attachment.problem:
        return f"[{attachment.kind} not available: {attachment.problem}]"
    if attachment.text:
        return f"[{attachment.kind} {label}: {attachment.text}]"
    return f"[{attachment.kind}: {label}]"
