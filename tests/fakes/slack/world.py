"""What stands on the fake Slack: people, channels, messages, files, events on their way, faults."""

from __future__ import annotations

import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.platforms import Journal, due

TEAM = "T01"
APP = "A01"
BOT_USER = "U0BOT"
BOT_ID = "B0BOT"
BOT_TOKEN = "xoxb-fake-bot-token"
APP_TOKEN = "xapp-fake-app-token"
SECRET = "fake-signing-secret-0123456789"
SCOPES = (
    "app_mentions:read channels:history chat:write commands files:read files:write groups:history "
    "im:history mpim:history reactions:read reactions:write users:read"
)

_PING = re.compile(r"<(?:!(?:channel|here|everyone|subteam\^[^>]*)|@[UW][A-Z0-9]*)[^>]*>")
_REFERENCE = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def visible(text: str) -> str:
    """What a person reads in a text without formats."""
    shown = _REFERENCE.sub(lambda found: found[2] or found[1], text.replace("\u00ad", ""))
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@dataclass(slots=True)
class Shown:
    """A message as people see it now, and what it said before."""

    channel: str
    ts: str
    user: str
    from_bot: bool
    text: str = ""
    thread: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    """Earlier texts, oldest first."""
    edited: str = ""
    deleted: bool = False

    @property
    def pings(self) -> list[str]:
        """Who is called by it. Texts of the kind ``plain_text`` call nobody."""
        sections = [block["text"]["text"] for block in self.blocks if block["type"] == "section"]
        return _PING.findall("\n".join([self.text, *sections]))


@dataclass(slots=True)
class Fault:
    """Something that goes wrong, with calls of one method or of all (``*``).

    status   answered with `status` and not applied
    error    answered with ``ok: false`` and `error`, not applied
    flood    429 for so many `seconds`; what comes before they have passed is counted early
    cut      the connection is cut before anything is done
    cut_after  done, then the connection is cut: the caller cannot know
    garbage  done, then answered with something of `content_type` that is not Slack's
    delay    done after `seconds`
    """

    method: str
    kind: str
    status: int = 500
    error: str = "internal_error"
    content_type: str = "text/html"
    seconds: float = 0.0
    times: int | None = 1
    """How often; None for always."""
    rate: float = 1.0
    """Share of the matching calls that it hits."""
    channel: str | None = None
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
    error: str = ""


@dataclass(slots=True)
class Channel:
    id: str
    kind: str
    """``im``, ``channel``, ``group`` or ``mpim``."""
    joined: bool = True
    archived: bool = False
    shared: bool = False
    """With another workspace, by Slack Connect."""


@dataclass(slots=True, eq=False)
class Delivery:
    """An event, a command or a press on its way to the app."""

    kind: str
    payload: dict[str, Any]
    about: str = ""
    """The message it brings: channel and ts."""
    attempts: int = 0
    outcome: str = ""
    """``acked``, or ``failed`` where Slack does not try again."""

    @property
    def open(self) -> bool:
        return not self.outcome


class World:
    def __init__(self, journal: Path | None = None, seed: int = 1) -> None:
        self.url = ""
        self.users: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Shown]] = defaultdict(dict)
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.uploads: dict[str, tuple[str, int]] = {}
        """Addresses given out: name and length."""
        self.responses: dict[str, list[dict[str, Any]]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.scopes = set(SCOPES.split())
        self.revoked = False
        self.webhook = ""
        """Where events are posted; empty for Socket Mode."""
        self.secret = SECRET
        self.echo = True
        """Whether our own messages come back as events, as they do."""
        self.deliveries: list[Delivery] = []
        self.on_delivery: Callable[[Delivery], None] = lambda delivery: None
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self._last = 0
        self._events = 0
        self._chance = random.Random(seed)
        self.journal = Journal(journal)
        self.user(BOT_USER, name="moltgate")

    # --- people and places ----------------------------------------------------------------------

    def user(self, user: str, **known: Any) -> dict[str, Any]:
        if user not in self.users:
            name = f"User {user}"
            self.users[user] = {
                "id": user,
                "team_id": TEAM,
                "name": user.lower(),
                "profile": {"display_name": name, "real_name": name},
                "is_bot": user == BOT_USER,
            }
        self.users[user].update(known)
        return self.users[user]

    def channel(self, channel: str, **known: Any) -> Channel:
        if channel not in self.channels:
            kind = {"D": "im", "G": "mpim"}.get(channel[0], "channel")
            self.channels[channel] = Channel(channel, kind)
        for name, value in known.items():
            setattr(self.channels[channel], name, value)
        return self.channels[channel]

    def ts(self) -> str:
        """Of now, and of nothing else."""
        self._last = max(self._last + 1, int(time.time() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    # --- what people do -------------------------------------------------------------------------

    def say(
        self,
        channel: str,
        user: str,
        text: str = "",
        *,
        thread: str = "",
        files: Sequence[Mapping[str, Any]] = (),
        edit: str = "",
        fields: Mapping[str, Any] | None = None,
        ts: str = "",
    ) -> dict[str, Any]:
        """A person writes (or edits) a message; the event is on its way. The message as Slack
        describes it."""
        where, who = self.channel(channel), self.user(user)
        if edit:
            shown = self.messages[channel][edit]
            before = self.described(shown)
            shown.edits.append(shown.text)
            shown.text, shown.edited = text, self.ts()
            self._changed(where, shown, before)
            return self.described(shown)
        shown = Shown(channel, ts or self.ts(), user, from_bot=False, text=text, thread=thread)
        shown.files = [self._file(one) for one in files]
        self.messages[channel][shown.ts] = shown
        message = self.described(shown) | {"team": who["team_id"]} | dict(fields or {})
        if shown.files:
            message["subtype"] = "file_share"
        if where.shared:
            message |= {"user_team": who["team_id"], "source_team": who["team_id"]}
        about = f"{channel}/{shown.ts}"
        event = {**message, "channel": channel, "channel_type": where.kind, "event_ts": shown.ts}
        self.push(event, about)
        if where.kind != "im" and f"<@{BOT_USER}" in text:
            mention = {key: value for key, value in event.items() if key != "channel_type"}
            self.push({**mention, "type": "app_mention"}, about)
        self.journal.write({"event": "said", "channel": channel, "ts": shown.ts, "text": text})
        return message

    def delete(self, channel: str, ts: str) -> None:
        shown = self.messages[channel][ts]
        before = self.described(shown)
        shown.deleted = True
        self.push(
            {
                "type": "message",
                "subtype": "message_deleted",
                "hidden": True,
                "channel": channel,
                "channel_type": self.channel(channel).kind,
                "ts": (now := self.ts()),
                "event_ts": now,
                "deleted_ts": ts,
                "previous_message": before,
            }
        )

    def unfurled(self, channel: str, ts: str) -> None:
        """Slack adds a link preview: the message "changes", and nobody edited it."""
        shown = self.messages[channel][ts]
        self._changed(self.channel(channel), shown, self.described(shown))

    def react(self, channel: str, user: str, ts: str, name: str) -> None:
        shown = self.messages[channel][ts]
        shown.reactions.setdefault(name, []).append(self.user(user)["id"])
        self.push(
            {
                "type": "reaction_added",
                "user": user,
                "reaction": name,
                "item_user": shown.user,
                "item": {"type": "message", "channel": channel, "ts": ts},
                "event_ts": self.ts(),
            }
        )

    def press(self, channel: str, user: str, ts: str, value: str) -> None:
        """A person presses a button under one of our messages."""
        shown, who = self.messages[channel][ts], self.user(user)
        buttons = [
            each
            for block in shown.blocks
            if block["type"] == "actions"
            for each in block["elements"]
        ]
        (button,) = [each for each in buttons if value in (each.get("value"), each.get("url"))]
        action = {key: button[key] for key in ("type", "action_id", "value") if key in button}
        container = {"type": "message", "message_ts": ts, "channel_id": channel}
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": who["name"], "team_id": who["team_id"]},
            "team": {"id": TEAM, "domain": "fake"},
            "api_app_id": APP,
            "container": {**container, **({"thread_ts": shown.thread} if shown.thread else {})},
            "trigger_id": f"trigger.{self.ts()}",
            "channel": {"id": channel, "name": "somewhere"},
            "message": self.described(shown),
            "response_url": self._response_url(),
            "actions": [{**action, "action_ts": self.ts()}],
        }
        self._deliver(Delivery("interactive", payload))

    def slash(self, channel: str, user: str, text: str = "", command: str = "/moltgate") -> str:
        """The address at which it may be answered."""
        self.channel(channel)
        url = self._response_url()
        payload = {
            "command": command,
            "text": text,
            "team_id": TEAM,
            "team_domain": "fake",
            "channel_id": channel,
            "channel_name": "directmessage" if channel[0] == "D" else "somewhere",
            "user_id": user,
            "user_name": self.user(user)["name"],
            "api_app_id": APP,
            "trigger_id": f"trigger.{self.ts()}",
            "response_url": url,
        }
        self._deliver(Delivery("slash_commands", payload))
        return url

    def seen(self, channel: str) -> list[Shown]:
        """What stands in a channel and its threads, oldest first."""
        return [each for _, each in sorted(self.messages[channel].items()) if not each.deleted]

    def _changed(self, where: Channel, shown: Shown, before: dict[str, Any]) -> None:
        now = self.ts()
        self.push(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "channel": where.id,
                "channel_type": where.kind,
                "ts": now,
                "event_ts": now,
                "message": self.described(shown),
                "previous_message": before,
            }
        )

    def _file(self, given: Mapping[str, Any]) -> dict[str, Any]:
        number = f"F{len(self.files) + 1:03d}"
        content = given.get("content", b"")
        self.contents[number] = content
        url = f"{self.url}/files/{number}"
        self.files[number] = {
            "id": number,
            "name": given.get("name", "file"),
            "mimetype": given.get("mimetype", "application/octet-stream"),
            "size": len(content),
            "mode": "hosted",
            "url_private": url,
            "url_private_download": url,
            **{key: given[key] for key in given.keys() - {"content", "name", "mimetype"}},
        }
        return self.files[number]

    def _response_url(self) -> str:
        url = f"{self.url}/respond/{len(self.responses) + 1}"
        self.responses[url] = []
        return url

    # --- events ---------------------------------------------------------------------------------

    def push(self, event: dict[str, Any], about: str = "") -> dict[str, Any]:
        """The callback that holds the event, on its way."""
        self._events += 1
        where = event.get("channel") or event.get("item", {}).get("channel") or ""
        callback = {
            "token": "unused",
            "team_id": TEAM,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{self._events:06d}",
            "event_time": int(time.time()),
            "is_ext_shared_channel": bool(where) and self.channel(where).shared,
            "authorizations": [{"team_id": TEAM, "user_id": BOT_USER, "is_bot": True}],
        }
        self._deliver(Delivery("events_api", callback, about))
        return callback

    def again(self, about: str) -> None:
        """Everything that brought this message, once more under the same ids."""
        for known in [each for each in self.deliveries if each.about == about]:
            self._deliver(Delivery(known.kind, known.payload))

    def _deliver(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self.on_delivery(delivery)

    def described(self, shown: Shown) -> dict[str, Any]:
        """A message in Slack's words."""
        message: dict[str, Any] = {
            "type": "message",
            "user": shown.user,
            "ts": shown.ts,
            "text": shown.text,
        }
        if shown.from_bot:
            message |= {"bot_id": BOT_ID, "app_id": APP, "team": TEAM}
        if shown.thread:
            message["thread_ts"] = shown.thread
            parent = self.messages[shown.channel].get(shown.thread)
            if parent is not None:
                message["parent_user_id"] = parent.user
        if shown.edited:
            message["edited"] = {"user": shown.user, "ts": shown.edited}
        if shown.files:
            message["files"] = [dict(each) for each in shown.files]
        if shown.blocks:
            message["blocks"] = shown.blocks
        return message

    def post(self, shown: Shown) -> None:
        """A message of ours stands, and comes back as an event."""
        self.messages[shown.channel][shown.ts] = shown
        if self.echo:
            where = self.channel(shown.channel)
            event = self.described(shown) | {"channel": shown.channel, "event_ts": shown.ts}
            self.push({**event, "channel_type": where.kind})

    def updated(self, shown: Shown, before: dict[str, Any]) -> None:
        if self.echo:
            self._changed(self.channel(shown.channel), shown, before)

    # --- faults and records ---------------------------------------------------------------------

    def fault_for(self, method: str, channel: str) -> Fault | None:
        def hits(fault: Fault) -> bool:
            return fault.method in (method, "*") and fault.channel in (None, channel)

        return due(self.faults, hits, self._chance)

    def begin_call(self, method: str, params: dict[str, Any]) -> Call:
        call = Call(len(self.calls) + 1, time.time(), method, params)
        self.calls.append(call)
        return call
