"""The chat as the HTTP server sees it; the web chat adapter is one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from gateway.message import Attachment
from gateway.ports import Accepted, Live, LogEntry

Conversation = tuple[str, LogEntry | None, LogEntry | None]
"""Name, first and newest entry."""


class Feed(Protocol):
    """One reader of one conversation. Holds a bounded amount however slowly it is read."""

    async def next(self) -> LogEntry | Live:
        """The next entry in order, without gaps or repeats, or where a running answer stands.

        May be cancelled at any time without losing anything.
        """


class ChatSurface(Protocol):
    """Conversations of principals. A principal sees its own only, whatever name it gives."""

    @property
    def title(self) -> str:
        """What the page calls itself."""

    @property
    def page(self) -> Path:
        """Folder of the page's static files."""

    async def receive(
        self,
        *,
        principal: str,
        conversation: str,
        id: str,
        text: str,
        attachments: Sequence[Attachment] = (),
        kind: Literal["message", "button"] = "message",
    ) -> tuple[Accepted, int]:
        """Take a message in, and the number of its entry in the conversation.

        Taking the same id twice is one message. Raises `Refused` (``conflict`` when the id was
        used for another text, ``rate_limit`` when the conversation said so already), `Unavailable`,
        `Busy`.
        """

    async def entries(
        self, principal: str, conversation: str, *, after: int | None, limit: int
    ) -> Sequence[LogEntry]:
        """Entries with a number above `after`, oldest first; the newest ones for None."""

    async def conversations(self, principal: str) -> Sequence[Conversation]:
        """Most recently used first."""

    def follow(
        self, principal: str, conversation: str, *, after: int
    ) -> AbstractContextManager[Feed]: ...
