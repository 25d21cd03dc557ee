"""What stands on the fake Telegram: people, chats, messages, updates, files, faults, records."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.platforms import Journal, due
from tests.fakes.telegram.markup import Entity, utf16
from tests.fakes.telegram.rates import Rates

TOKEN = "4242:fake-telegram-token"
_DEFAULT_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member")
_ENTITY = re.compile(r"(?P<bot_command>(?<!\S)/\w+(?:@\w+)?)|(?P<mention>(?<!\w)@\w{3,})")


@dataclass(slots=True)
class Shown:
    """A message as people see it now, and what it said before."""

    chat: int
    message_id: int
    author: int
    from_bot: bool
    date: int
    text: str = ""
    entities: list[dict[str, Any]] = field(default_factory=list)
    media: str = ""
    file_id: str = ""
    reply_to: int | None = None
    thread: int | None = None
    buttons: list[list[dict[str, str]]] = field(default_factory=list)
    reaction: str = ""
    edits: list[str] = field(default_factory=list)
    """Earlier texts, oldest first."""
    deleted: bool = False


@dataclass(slots=True)
class Fault:
    """Something that goes wrong, with calls of one method or of all (``*``).

    status   answered with `status` and not applied
    flood    429 with `seconds`, for so long; what comes before it has passed is counted early
    cut      the connection is cut before anything is done
    cut_after  done, then the connection is cut: the caller cannot know
    garbage  done, then answered with something that is not JSON
    delay    done after `seconds`
    """

    method: str
    kind: str
    status: int = 500
    description: str = ""
    seconds: float = 0.0
    times: int | None = 1
    """How often; None for always."""
    rate: float = 1.0
    """Share of the matching calls that it hits."""
    chat: int | None = None
    until: float | None = None


@dataclass(slots=True)
class Call:
    """One request as it was answered. `outcome`: ok, error, cut, cut_after, garbage, early."""

    number: int
    at: float
    method: str
    params: dict[str, Any]
    outcome: str = ""
    status: int = 200
    message_id: int | None = None


@dataclass(slots=True, eq=False)
class Bot:
    token: str
    id: int
    username: str
    updates: list[dict[str, Any]] = field(default_factory=list)
    """Handed out until confirmed, oldest first."""
    next_update: int = 700_001
    confirmed: int = 0
    """Updates Telegram was told that we have."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    poll: asyncio.Future[str] | None = None
    """Set to a reason when the running poll is to give way."""
    webhook: dict[str, Any] = field(default_factory=dict)
    allowed: tuple[str, ...] = _DEFAULT_UPDATES
    commands: list[dict[str, str]] = field(default_factory=list)
    revoked: bool = False

    def push(self, update: dict[str, Any]) -> int:
        kind = next((key for key in update if key != "update_id"), "")
        if kind and kind not in self.allowed:
            return 0
        update.setdefault("update_id", self.next_update)
        self.next_update = max(self.next_update, update["update_id"]) + 1
        self.updates.append(update)
        self.changed.set()
        return int(update["update_id"])

    def confirm_below(self, offset: int) -> None:
        kept = [each for each in self.updates if each["update_id"] >= offset]
        self.confirmed += len(self.updates) - len(kept)
        self.updates = kept

    def confirm(self, update: dict[str, Any]) -> None:
        if update in self.updates:
            self.updates.remove(update)
            self.confirmed += 1

    @property
    def json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "is_bot": True,
            "first_name": self.username.replace("_", " ").title(),
            "username": self.username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }


class World:
    def __init__(self, journal: Path | None = None, seed: int = 1) -> None:
        self.bots: dict[str, Bot] = {}
        self.chats: dict[int, dict[str, Any]] = {}
        self.users: dict[int, dict[str, Any]] = {}
        self.threads: dict[int, set[int]] = defaultdict(set)
        self.messages: dict[int, dict[int, Shown]] = defaultdict(dict)
        self.blocked: set[int] = set()
        self.files: dict[str, bytes] = {}
        self.callbacks: dict[str, bool] = {}
        """Button presses; whether they were answered."""
        self.faults: list[Fault] = []
        self.rates: Rates | None = None
        """Without them a bot may write as fast as it can."""
        self.calls: list[Call] = []
        self._chance = random.Random(seed)
        self.journal = Journal(journal)
        self.bot(TOKEN, "fake_bot")

    def bot(self, token: str, username: str) -> Bot:
        made = Bot(token=token, id=int(token.partition(":")[0]), username=username)
        self.bots[token] = made
        return made

    @property
    def main(self) -> Bot:
        return self.bots[TOKEN]

    # --- what people do -------------------------------------------------------------------------

    def user(self, user: int, **known: Any) -> dict[str, Any]:
        if user not in self.users:
            self.users[user] = {"id": user, "is_bot": False, "first_name": f"User {user}"}
        self.users[user].update(known)
        return self.users[user]

    def chat(self, chat: int, **known: Any) -> dict[str, Any]:
        if chat not in self.chats:
            kind = {"type": "private", "first_name": f"User {chat}"}
            group = {"type": "supergroup", "title": f"Group {-chat}"}
            self.chats[chat] = {"id": chat, **(kind if chat > 0 else group)}
        self.chats[chat].update(known)
        return self.chats[chat]

    def say(
        self,
        chat: int,
        user: int,
        text: str = "",
        *,
        reply_to: int | None = None,
        thread: int | None = None,
        media: str = "",
        content: bytes = b"",
        fields: Mapping[str, Any] | None = None,
        edit: int | None = None,
        bot: Bot | None = None,
    ) -> dict[str, Any]:
        """A person writes (or edits) a message; the update, with its id, is on its way."""
        shown = self._said(chat, user, text, edit)
        shown.reply_to, shown.thread, shown.media = reply_to, thread, media
        message = self.message_json(shown, self.user(user))
        if media:
            message |= self._media(media, content, dict(fields or {}))
        else:
            message |= fields or {}
        if edit is not None:
            message["edit_date"] = int(time.time())
        update = {"edited_message" if edit is not None else "message": message}
        number = (bot or self.main).push(update)
        self.journal.write({"event": "said", "update_id": number, "chat": chat, "text": text})
        return update

    def press(self, chat: int, user: int, message_id: int, data: str) -> dict[str, Any]:
        """A person presses a button under one of our messages."""
        press = f"{chat}{message_id}{len(self.callbacks) + 1}"
        self.callbacks[press] = False
        update = {
            "callback_query": {
                "id": press,
                "from": self.user(user),
                "message": self.message_json(self.messages[chat][message_id], self.main.json),
                "chat_instance": str(chat),
                "data": data,
            }
        }
        self.main.push(update)
        return update

    def react(self, chat: int, user: int, message_id: int, emoji: str) -> dict[str, Any]:
        update = {
            "message_reaction": {
                "chat": self.chat(chat),
                "message_id": message_id,
                "user": self.user(user),
                "date": int(time.time()),
                "old_reaction": [],
                "new_reaction": [{"type": "emoji", "emoji": emoji}] if emoji else [],
            }
        }
        self.main.push(update)
        return update

    def seen(self, chat: int) -> list[Shown]:
        """What stands in a chat, oldest first, without what was deleted."""
        return [each for _, each in sorted(self.messages[chat].items()) if not each.deleted]

    def _said(self, chat: int, user: int, text: str, edit: int | None) -> Shown:
        self.chat(chat)
        if edit is None:
            shown = self.add(chat, user, from_bot=False)
        else:
            shown = self.messages[chat][edit]
            shown.edits.append(shown.text)
        shown.text, shown.entities = text, entities_of(text)
        return shown

    def _media(self, media: str, content: bytes, fields: dict[str, Any]) -> dict[str, Any]:
        file = {"file_id": self.store(content), "file_unique_id": f"u{len(self.files)}"}
        file |= {"file_size": len(content)} | fields
        if media == "photo":
            small = file | {"file_size": 1, "width": 90, "height": 90, "file_id": "thumb"}
            return {"photo": [small, file | {"width": 800, "height": 600}]}
        return {media: file}

    # --- what stands ----------------------------------------------------------------------------

    def add(self, chat: int, author: int, *, from_bot: bool) -> Shown:
        number = max(self.messages[chat], default=0) + 1
        shown = Shown(chat, number, author, from_bot, int(time.time()))
        self.messages[chat][number] = shown
        return shown

    def store(self, content: bytes) -> str:
        file_id = f"file{len(self.files) + 1}"
        self.files[file_id] = content
        return file_id

    def message_json(self, shown: Shown, author: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {
            "message_id": shown.message_id,
            "date": shown.date,
            "chat": self.chats[shown.chat],
            "from": author,
        }
        if shown.thread is not None:
            self.threads[shown.chat].add(shown.thread)
            message |= {"message_thread_id": shown.thread, "is_topic_message": True}
        answered = self.messages[shown.chat].get(shown.reply_to or 0)
        if answered is not None:
            of = self.main.json if answered.from_bot else self.user(answered.author)
            message["reply_to_message"] = {
                "message_id": answered.message_id,
                "date": answered.date,
                "chat": self.chats[shown.chat],
                "from": of,
                "text": answered.text,
            }
        text = {"text": shown.text, "entities": shown.entities}
        if shown.media:
            text = {"caption": shown.text, "caption_entities": shown.entities}
        if shown.text or not shown.from_bot:
            message |= text
        return message

    # --- faults and records ---------------------------------------------------------------------

    def fault_for(self, method: str, chat: int | None) -> Fault | None:
        def hits(fault: Fault) -> bool:
            return fault.method in (method, "*") and fault.chat in (None, chat)

        return due(self.faults, hits, self._chance)

    def begin_call(self, method: str, params: dict[str, Any]) -> Call:
        plain = {
            key: f"<{len(value)} bytes>" if isinstance(value, bytes) else value
            for key, value in params.items()
        }
        call = Call(len(self.calls) + 1, time.time(), method, plain)
        self.calls.append(call)
        return call


def entities_of(text: str) -> list[dict[str, Any]]:
    """Commands and mentions, as Telegram finds them in what people write."""
    return [
        Entity(found.lastgroup or "", utf16(text[: found.start()]), utf16(found[0])).json()
        for found in _ENTITY.finditer(text)
    ]
