"""What answers, and what reads attachments before it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from gateway.message import Attachment, ConversationId, Inbound


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str
    pictures: tuple[str, ...] = ()
    """Digests of PNG or JPEG blobs, for a model that sees; for any other `content` is enough."""


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
        """Attachments with their `text` filled in; a failure becomes a visible `problem`.

        Repeating it is cheap: what was read is remembered.
        """


class Voice(Protocol):
    async def speak(self, text: str, tenant: str) -> Attachment | None:
        """A voice message (ogg/opus) that says a text given in CommonMark; None when there is none
        to be had, which is logged and never keeps an answer back."""
