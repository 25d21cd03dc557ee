"""What there is on the fake Discord: people, channels, messages, sessions; and faults to order."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.platforms import Journal, due

TOKEN = "MTAwMDAx.fake.discord-token"
BOT, APPLICATION = "100001", "100002"
GUILD, GENERAL, OTHER, THREAD = "200001", "300001", "300002", "300003"
"""A server with two channels and, in the first, a thread."""

VOICE, LOADING, NO_EMBEDS = 1 << 13, 1 << 7, 1 << 2
CONTENT_INTENT = 1 << 15
_EPOCH = 1_420_070_400_000
ALL_PERMISSIONS = (1 << 50) - 1
_THREADS = (10, 11, 12)
_MEMBER = {
    "roles": [],
    "joined_at": "2024-01-01T00:00:00+00:00",
    "deaf": False,
    "mute": False,
    "flags": 0,
    "nick": None,
    "permissions": "0",
}


class Refusal(Exception):
    """An answer of Discord's that is no success."""

    def __init__(self, status: int, code: int, message: str, errors: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message, "code": code}
        if errors:
            self.body["errors"] = errors


def invalid(where: str, code: str, message: str) -> Refusal:
    errors = {where: {"_errors": [{"code": code, "message": message}]}}
    return Refusal(400, 50035, "Invalid Form Body", errors)


@dataclass
class Fault:
    """`kind`: status, limited (429), cut, cut_after, delay, garbage. `route` is a beginning of
    ``METHOD /path``, with ``*`` for ids; `channel` narrows it; `times` None is for good."""

    route: str
    kind: str
    status: int = 500
    code: int = 0
    seconds: float = 0.0
    channel: str | None = None
    times: int | None = 1
    rate: float = 1.0
    everything: bool = False
    """A 429 that is about all routes."""
    until: float | None = None


@dataclass
class Call:
    """One request, as it was answered."""

    route: str
    path: str
    body: Any
    query: dict[str, str]
    at: float
    status: int = 200
    outcome: str = ""


@dataclass
class Session:
    """What was dispatched in a session, so that it can be resumed."""

    id: str
    intents: int
    events: list[tuple[int, str, Any]] = field(default_factory=list)
    seq: int = 0
    acked: int = 0
    """What its client said to have received, by a heartbeat or a resume."""
    push: Callable[[int, str, Any], None] | None = None
    """Of its live connection."""
    invalid: bool = False


class World:
    def __init__(self, journal: Path | None = None) -> None:
        self.cdn = ""
        """Where attachments are handed out; set by the server."""
        self.token = TOKEN
        self.revoked = False
        self.content_allowed = True
        self.nonce_seconds = 300.0
        self.patience = 3.0
        """Seconds within which an interaction has to be acknowledged."""
        self.interaction_life = 900.0
        self.upload_limit = 10 * 2**20
        self.permissions = ALL_PERMISSIONS
        self.forbidden: set[str] = set()
        """Channels in which the bot may not write."""
        self.unreadable: set[str] = set()
        """Channels whose history it may not read."""
        self.users: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.edits: dict[str, list[str]] = {}
        """Texts a message had before."""
        self.pings: list[tuple[str, str]] = []
        """Messages that called somebody, and whom."""
        self.typed: list[str] = []
        self.files: dict[str, bytes] = {}
        self.commands: list[dict[str, Any]] = []
        self.sessions: dict[str, Session] = {}
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.interactions: dict[str, dict[str, Any]] = {}
        self._nonces: dict[tuple[str, str], tuple[str, float]] = {}
        self._last = 0
        self._chance = random.Random()
        self.journal = Journal(journal)
        self.person(BOT, "fake_bot", bot=True)
        for number, name in ((GENERAL, "general"), (OTHER, "other")):
            self.channel(number, 0, name=name, guild_id=GUILD)
        self.channel(THREAD, 11, name="a thread", guild_id=GUILD, parent_id=GENERAL)

    # --- things ---------------------------------------------------------------------------------

    def snowflake(self, at: float | None = None) -> str:
        made = (int((at or time.time()) * 1000) - _EPOCH) << 22
        self._last = max(made, self._last + 1)
        return str(self._last)

    def person(self, number: str, name: str = "", *, bot: bool = False) -> dict[str, Any]:
        return self.users.setdefault(
            number,
            {
                "id": number,
                "username": name or f"user{number}",
                "global_name": None if bot else f"User {number}",
                "discriminator": "0",
                "avatar": None,
                "bot": bot,
            },
        )

    def channel(self, number: str, kind: int, **more: Any) -> dict[str, Any]:
        made = {
            "id": number,
            "type": kind,
            "position": 0,
            "permission_overwrites": [],
            "topic": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "last_message_id": None,
            "parent_id": None,
            **more,
        }
        if kind in _THREADS:
            made |= {
                "owner_id": BOT,
                "message_count": 0,
                "member_count": 1,
                "thread_metadata": {
                    "archived": False,
                    "auto_archive_duration": 60,
                    "archive_timestamp": _iso(time.time()),
                    "locked": False,
                },
                "member": {"id": number, "user_id": BOT, "join_timestamp": _iso(time.time()),
                           "flags": 0},
            }  # fmt: skip
        self.channels[number] = made
        self.messages[number] = []
        return made

    def direct(self, user: str) -> str:
        """The id of the direct channel with a person: theirs, with a 9 before it."""
        number = f"9{user}"
        if number not in self.channels:
            person = self.person(user)
            self.channel(number, 1, recipients=[person])
            self.dispatch("CHANNEL_CREATE", self.channels[number])
        return number

    def message(self, channel: str, number: str) -> dict[str, Any]:
        for one in self.messages.get(channel, ()):
            if one["id"] == number:
                return one
        raise Refusal(404, 10008, "Unknown Message")

    def stand(
        self, channel: str, author: str, content: str, *, at: float | None = None, **more: Any
    ) -> dict[str, Any]:
        """A message that stands from now on. Nothing is told."""
        number = self.snowflake(at)
        made = {
            "id": number,
            "channel_id": channel,
            "author": self.users[author],
            "content": content,
            "timestamp": _iso(at or time.time()),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": self._mentioned(content),
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            **more,
        }
        self.messages[channel].append(made)
        self.messages[channel].sort(key=lambda each: int(each["id"]))
        self.channels[channel]["last_message_id"] = number
        return made

    def _mentioned(self, content: str) -> list[dict[str, Any]]:
        return [user for user in self.users.values() if f"<@{user['id']}>" in content]

    def told(self, message: dict[str, Any], nonce: str | None = None) -> dict[str, Any]:
        """As the gateway tells of it."""
        guild = self.channels[message["channel_id"]].get("guild_id")
        more: dict[str, Any] = {"nonce": nonce} if nonce else {}
        if guild:
            more |= {"guild_id": guild, "member": dict(_MEMBER)}
        return message | more

    # --- people -----------------------------------------------------------------------------------

    def say(
        self,
        channel: str,
        user: str,
        text: str = "",
        *,
        reply_to: str | None = None,
        files: list[dict[str, Any]] | None = None,
        voice: bool = False,
        bot: bool = False,
        at: float | None = None,
        silent: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """`files` have name, media_type, content, and duration for recordings. `silent`: it
        stands there and no session is told, as in a gap."""
        self.person(user, bot=bot)
        more["attachments"] = [self._attached(channel, each) for each in files or ()]
        if voice:
            more["flags"] = VOICE
        if reply_to is not None:
            more["type"] = 19
            more["message_reference"] = {"message_id": reply_to, "channel_id": channel, "type": 0}
            answered = self.message(channel, reply_to)
            more["referenced_message"] = answered
            more["mentions"] = [answered["author"]]
        made = self.stand(channel, user, text, at=at, **more)
        if not silent:
            self.dispatch("MESSAGE_CREATE", self.told(made))
        return made

    def attach(self, channel: str, name: str, content: bytes, **about: Any) -> dict[str, Any]:
        number = self.snowflake()
        path = f"attachments/{channel}/{number}/{name}"
        self.files[path] = content
        return {
            "id": number,
            "filename": name,
            "size": len(content),
            "url": f"{self.cdn}/{path}?ex=1&is=2&hm=3",
            "proxy_url": f"{self.cdn}/{path}",
            **about,
        }

    def _attached(self, channel: str, file: dict[str, Any]) -> dict[str, Any]:
        about: dict[str, Any] = {"content_type": file.get("media_type")}
        if file.get("duration"):
            about |= {"duration_secs": file["duration"], "waveform": "AAAA"}
        return self.attach(channel, file["name"], file["content"], **about)

    def change(self, channel: str, number: str, text: str) -> dict[str, Any]:
        """Its author edits a message."""
        message = self.message(channel, number)
        message["content"] = text
        message["edited_timestamp"] = _iso(time.time())
        self.dispatch("MESSAGE_UPDATE", self.told(message))
        return message

    def remove(self, channel: str, number: str) -> None:
        self.messages[channel].remove(self.message(channel, number))
        guild = self.channels[channel].get("guild_id")
        self.dispatch(
            "MESSAGE_DELETE",
            {"id": number, "channel_id": channel} | ({"guild_id": guild} if guild else {}),
        )

    def react(self, channel: str, user: str, number: str, emoji: str) -> None:
        about: dict[str, Any] = {
            "user_id": user,
            "channel_id": channel,
            "message_id": number,
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
            "message_author_id": self.message(channel, number)["author"]["id"],
        }
        if guild := self.channels[channel].get("guild_id"):
            about |= {"guild_id": guild, "member": {"user": self.person(user), **_MEMBER}}
        self.dispatch("MESSAGE_REACTION_ADD", about)

    def slash(self, channel: str, user: str, name: str, text: str = "") -> dict[str, Any]:
        options = [{"name": "text", "type": 3, "value": text}] if text else []
        data = {"id": "1", "name": name, "type": 1, "options": options}
        return self._interact(channel, user, 2, data)

    def press(self, channel: str, user: str, number: str, custom_id: str) -> dict[str, Any]:
        data = {"custom_id": custom_id, "component_type": 2}
        return self._interact(channel, user, 3, data, message=self.message(channel, number))

    def _interact(
        self, channel: str, user: str, kind: int, data: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        where = self.channels[channel]
        person = self.person(user)
        given: dict[str, Any] = {
            "id": self.snowflake(),
            "application_id": APPLICATION,
            "token": secrets.token_urlsafe(80),
            "type": kind,
            "data": data,
            "channel": where,
            "channel_id": channel,
            "version": 1,
            "locale": "en-GB",
            "app_permissions": "0",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "context": 0,
            "attachment_size_limit": 10 * 2**20,
            **more,
        }
        if guild := where.get("guild_id"):
            given |= {"guild_id": guild, "member": {"user": person, **_MEMBER}}
        else:
            given["user"] = person
        self.interactions[given["token"]] = {
            "given": given,
            "user": person,
            "at": time.time(),
            "original": None,
            "acknowledged": 0,
        }
        self.dispatch("INTERACTION_CREATE", given)
        return given

    def seen(self, channel: str) -> list[dict[str, Any]]:
        """What stands there, oldest first, as people see it."""
        return [
            {
                "id": one["id"],
                "text": one["content"],
                "from_bot": one["author"]["id"] == BOT,
                "loading": bool(one["flags"] & LOADING),
                "edits": self.edits.get(one["id"], []),
                "reply_to": (one.get("message_reference") or {}).get("message_id"),
                "files": [each["filename"] for each in one["attachments"]],
                "embeds": len(one["embeds"]),
                "flags": one["flags"],
                "components": one["components"],
            }
            for one in self.messages.get(channel, ())
        ]

    # --- nonces, sessions, faults, journal ---------------------------------------------------

    def known_nonce(self, channel: str, nonce: str) -> str | None:
        found = self._nonces.get((channel, nonce))
        if found is None or time.time() - found[1] > self.nonce_seconds:
            return None
        return found[0]

    def note_nonce(self, channel: str, nonce: str, message: str) -> None:
        self._nonces[channel, nonce] = (message, time.time())

    def dispatch(self, event: str, data: Any) -> None:
        """To every session, connected or resumable."""
        for session in self.sessions.values():
            if not session.invalid:
                self.dispatch_to(session, event, data)

    def dispatch_to(self, session: Session, event: str, data: Any) -> None:
        session.seq += 1
        told = json.loads(json.dumps(data))
        if event in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and self._is_secret(session, told):
            told |= {"content": "", "attachments": [], "embeds": [], "components": []}
        session.events.append((session.seq, event, told))
        if session.push is not None:
            session.push(session.seq, event, told)

    def _is_secret(self, session: Session, told: dict[str, Any]) -> bool:
        if session.intents & CONTENT_INTENT or "guild_id" not in told:
            return False
        mentioned = any(user["id"] == BOT for user in told.get("mentions", ()))
        return not mentioned and told.get("author", {}).get("id") != BOT

    def pending(self) -> int:
        """Events that no live connection has said to have received."""
        live = [session for session in self.sessions.values() if session.push is not None]
        if not live:
            return 1
        return sum(session.seq - session.acked for session in live)

    def fault_for(self, route: str, channel: str | None) -> Fault | None:
        def hits(fault: Fault) -> bool:
            here = fault.channel in (None, channel)
            return here and (fault.everything or route.startswith(fault.route))

        return due(self.faults, hits, self._chance)

    def begin_call(self, route: str, path: str, body: Any, query: dict[str, str]) -> Call:
        call = Call(route, path, body, query, time.time())
        self.calls.append(call)
        return call


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
