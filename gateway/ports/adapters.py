"""What an adapter is, what it may be able to do besides, and what it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from gateway.message import (
    Account,
    Attachment,
    ConversationId,
    Inbound,
    InboundId,
    Outbound,
    Place,
    ReplyId,
)
from gateway.ports.stores import Blobs, Clock, EventLog, Keep


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
        """Receive until cancelled. Called only while this process owns the account, unless it
        `ReceivesEverywhere` or is a channel of our own.

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
        """Look for our own part on the platform, by its key, after an uncertain send; what it says
        may be an earlier preview of the part. None: it is not there, and may be sent.

        Raises `Unavailable` or `Busy` when nobody can say now: it is asked again. `Uncertain` when
        nobody ever will, e.g. it would lie beyond what the platform shows: then it is not sent.
        """


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


@runtime_checkable
class ReceivesEverywhere(Protocol):
    """Runs in every process and not only where the account is owned, because HTTP brings its events
    to any. Sending stays the owner's alone."""

    everywhere: bool
    """Whether it does, as it is configured."""


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
        """Check the secret before the body is read; where the platform signs the body, whether
        there is a signature, well formed and of now. Header names are lower case; one that came
        more than once is left out. No waiting."""

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Take the event in; 200 only after the inbox accepted it. A signature is checked on these
        bytes before anything else: 401 when it is wrong, which counts as a guess. 503 while
        nothing can be taken in, or `run` is not running."""


@runtime_checkable
class HasHandshake(Protocol):
    """A webhook that is asked by GET, once, whether it is the right one."""

    async def handshake(self, query: Mapping[str, str]) -> WebhookAnswer:
        """Answer a GET at the webhook's address. A parameter that came more than once is left
        out. 403 when it is not who it should be, which counts as a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a live check found: shown by ``moltgate init`` and ``moltgate doctor``."""

    ok: bool
    summary: str
    """One line, e.g. ``signed in as @ada_bot``; with what to do when not ok."""
    advice: Sequence[str] = ()
    """What works but could be better, or could not be checked from here: one line each, with what
    to click where, e.g. ``the message content intent is off: ...``."""


@runtime_checkable
class Probes(Protocol):
    async def probe(self) -> Probe:
        """Check credentials and reachability without changing anything."""


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


def ignored(event: str) -> None:
    """Counts nothing."""


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
    keep: Keep
    """The account's own durable facts."""
    folder: Path
    """A folder of the account's own, for what a platform's library keeps in files. It may not be
    there yet. It is only as durable and as shared as the data folder: what must follow the account
    to another host belongs into `keep`."""
    count: Callable[[str], None] = ignored
    """Counts something that happened on the account's connection, by a word of low cardinality:
    ``reconnected``, ``unreadable``, ``backfill_capped``. Shown as `moltgate_adapter_events_total`.
    """


def renders(attachment: Attachment) -> str:
    """The line that stands for an attachment where only text can go."""
    label = attachment.name or attachment.kind
    if attachment.problem:
        return f"[{attachment.kind} not available: {attachment.problem}]"
    if attachment.text:
        return f"[{attachment.kind} {label}: {attachment.text}]"
    return f"[{attachment.kind}: {label}]"
