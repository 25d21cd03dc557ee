"""A platform in memory behind the adapter port: what a person would see, and faults to order."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from dataclasses import replace as changed

from gateway.errors import Failed, GatewayError
from gateway.message import Account, Attachment, ConversationId, Outbound, Place
from gateway.ports import Capabilities, Inbox, Receipt
from tests.builders import ACCOUNT

PLAIN = Capabilities(text_limit=1000, dialect="plain")
EDITING = Capabilities(
    text_limit=1000,
    dialect="plain",
    edits=True,
    streams=True,
    edit_interval=0.01,
    typing=True,
    typing_interval=0.05,
)
KEYED = changed(PLAIN, idempotent_send=True)


@dataclass
class Seen:
    """A message on the platform, with every text it ever had."""

    conversation: ConversationId
    key: str
    texts: list[str]
    kind: str = "answer"
    reply_to: str = ""
    files: tuple[Attachment, ...] = ()


@dataclass
class Fault:
    """Raised by the next send or edit; `applied`: after it took effect."""

    error: GatewayError
    applied: bool = False


@dataclass
class FakePlatform:
    """The platform itself: outlives the adapters connected to it."""

    messages: dict[str, Seen] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    sends: int = 0
    typed: int = 0
    gate: asyncio.Event | None = None
    """While it is not set, sends wait."""

    def texts(self) -> list[str]:
        return [seen.texts[-1] for seen in self.messages.values()]

    def of(self, conversation: ConversationId) -> list[str]:
        return [one.texts[-1] for one in self.messages.values() if one.conversation == conversation]


class PlainAdapter:
    """Sends and nothing else, like a platform without keys, edits or look-ups."""

    def __init__(self, platform: FakePlatform, account: Account = ACCOUNT) -> None:
        self.account = account
        self.platform = platform
        self.inbox: Inbox | None = None
        self.running = asyncio.Event()

    async def run(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.running.set()
        await asyncio.get_running_loop().create_future()

    async def send(self, outbound: Outbound) -> Receipt:
        self.platform.sends += 1
        if self.platform.gate is not None:
            await self.platform.gate.wait()
        fault = self.platform.faults.popleft() if self.platform.faults else None
        if fault is not None and not fault.applied:
            raise fault.error
        native = self._shown(outbound)
        if fault is not None:
            raise fault.error
        return Receipt(native_id=native)

    def _shown(self, outbound: Outbound) -> str:
        native = f"n{len(self.platform.messages) + 1}"
        self.platform.messages[native] = Seen(
            outbound.conversation,
            outbound.key,
            [outbound.text],
            outbound.kind,
            outbound.reply_to,
            outbound.files,
        )
        return native

    async def close(self) -> None:
        return None


class KeyedAdapter(PlainAdapter):
    """Shows a key once, however often it is sent."""

    def _shown(self, outbound: Outbound) -> str:
        for native, seen in self.platform.messages.items():
            if seen.key == outbound.key:
                return native
        return super()._shown(outbound)


class ReadingAdapter(PlainAdapter):
    """Can look for its own messages."""

    async def find(self, outbound: Outbound) -> Receipt | None:
        for native, seen in self.platform.messages.items():
            if seen.key == outbound.key:
                return Receipt(native_id=native)
        return None


class EditingAdapter(PlainAdapter):
    """Edits its messages and shows typing."""

    async def edit(self, outbound: Outbound, native_id: str) -> Receipt:
        fault = self.platform.faults.popleft() if self.platform.faults else None
        if fault is not None and not fault.applied:
            raise fault.error
        if native_id not in self.platform.messages:
            raise Failed("gone: there is no such message")
        seen = self.platform.messages[native_id]
        seen.texts.append(outbound.text)
        seen.key = outbound.key
        if fault is not None:
            raise fault.error
        return Receipt(native_id=native_id)

    async def typing(self, conversation: ConversationId, place: Place) -> None:
        self.platform.typed += 1


class ReadingEditor(ReadingAdapter, EditingAdapter):
    """Edits, and can look for its own messages."""


class KeyedEditor(KeyedAdapter, EditingAdapter):
    """Edits, and shows a key once: as it was first, however it is repeated."""


def split(outbound: Outbound) -> list[Outbound]:
    """Paragraphs become parts, and files the last one."""
    import msgspec

    contents: list[tuple[str, tuple[Attachment, ...]]] = [
        (text, ()) for text in outbound.text.split("\n\n")
    ]
    if outbound.files:
        contents.append(("", outbound.files))
    return [
        msgspec.structs.replace(outbound, text=text, files=files, part=number, parts=len(contents))
        for number, (text, files) in enumerate(contents)
    ]
