"""The fake's REST interface: strict about what it takes, in Discord's words when it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.fakes.discord.world import (
    APPLICATION,
    BOT,
    GUILD,
    LOADING,
    NO_EMBEDS,
    VOICE,
    Refusal,
    World,
    invalid,
)

_CREATE = frozenset(
    "content nonce enforce_nonce tts embeds allowed_mentions message_reference components flags "
    "attachments sticker_ids".split()
)
_EDIT = frozenset("content embeds flags allowed_mentions components attachments tts".split())
_NO_CONTENT = object()
"""204."""


@dataclass
class Request:
    ids: dict[str, str]
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """By form field: name and content."""


Handler = Callable[[Request], Any]


class Rest:
    def __init__(self, world: World) -> None:
        self.world = world
        self.routes: list[tuple[str, str, Handler, bool]] = [
            ("GET", "/users/@me", self._me, True),
            ("GET", "/users/@me/guilds", self._guilds, True),
            ("POST", "/users/@me/channels", self._direct, True),
            ("GET", "/applications/@me", self._application, True),
            ("GET", "/oauth2/applications/@me", self._application, True),
            ("GET", "/gateway/bot", self._gateway, True),
            ("PUT", "/applications/{application}/commands", self._commands, True),
            ("GET", "/channels/{channel}", self._channel, True),
            ("GET", "/channels/{channel}/messages", self._history, True),
            ("POST", "/channels/{channel}/messages", self._create, True),
            ("GET", "/channels/{channel}/messages/{message}", self._message, True),
            ("PATCH", "/channels/{channel}/messages/{message}", self._edit, True),
            ("DELETE", "/channels/{channel}/messages/{message}", self._delete, True),
            ("POST", "/channels/{channel}/typing", self._typing, True),
            ("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me",
             self._react, True),
            ("DELETE", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me",
             self._unreact, True),
            ("POST", "/interactions/{id}/{token}/callback", self._callback, False),
            ("POST", "/webhooks/{application}/{token}", self._follow_up, False),
            ("GET", "/webhooks/{application}/{token}/messages/@original", self._original, False),
            ("PATCH", "/webhooks/{application}/{token}/messages/@original", self._fill_in, False),
            ("DELETE", "/webhooks/{application}/{token}/messages/@original",
             self._withdraw, False),
        ]  # fmt: skip
        self._patterns = [
            (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), path, handler, own)
            for method, path, handler, own in self.routes
        ]
        self.gateway_url = ""

    def find(self, method: str, path: str) -> tuple[str, Handler | None, dict[str, str], bool]:
        """The route in general form, its handler, the ids, and whether it wants the bot's token."""
        for wanted, pattern, template, handler, own in self._patterns:
            if wanted == method and (found := pattern.fullmatch(path)):
                ids = {name: unquote(value) for name, value in found.groupdict().items()}
                return f"{method} {re.sub(r'{[a-z]+}', '*', template)}", handler, ids, own
        return f"{method} {path}", None, {}, True

    # --- who and where ----------------------------------------------------------------------------

    def _me(self, _: Request) -> Any:
        return self.world.users[BOT] | {"flags": 0, "mfa_enabled": False, "verified": True}

    def _guilds(self, _: Request) -> Any:
        return [{"id": GUILD, "name": "a server", "permissions": str(self.world.permissions),
                 "icon": None, "owner": False, "features": []}]  # fmt: skip

    def _direct(self, request: Request) -> Any:
        return self.world.channels[self.world.direct(str(request.body["recipient_id"]))]

    def _application(self, _: Request) -> Any:
        return {
            "id": APPLICATION,
            "name": "fake",
            "description": "",
            "icon": None,
            "flags": 1 << 19 if self.world.content_allowed else 0,
            "bot_public": True,
            "bot_require_code_grant": False,
            "verify_key": "0",
            "owner": self.world.person("42"),
            "summary": "",
            "interactions_endpoint_url": None,
            "approximate_guild_count": 1,
        }

    def _gateway(self, _: Request) -> Any:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return {"url": self.gateway_url, "shards": 1, "session_start_limit": limit}

    def _commands(self, request: Request) -> Any:
        if request.ids["application"] != APPLICATION:
            raise Refusal(403, 20012, "You are not authorized to perform this action")
        for one in request.body:
            if not re.fullmatch(r"[-_\w]{1,32}", one.get("name", "")):
                raise invalid("name", "STRING_TYPE_REGEX", "String value did not match")
            if not 1 <= len(one.get("description", "")) <= 100:
                raise invalid("description", "BASE_TYPE_BAD_LENGTH", "Must be 1 to 100 in length")
        self.world.commands = request.body
        about = {"application_id": APPLICATION, "version": "1", "default_member_permissions": None}
        return [{"id": self.world.snowflake(), "nsfw": False} | about | one for one in request.body]

    def _channel(self, request: Request) -> Any:
        found = self.world.channels.get(request.ids["channel"])
        if found is None:
            raise Refusal(404, 10003, "Unknown Channel")
        return found

    # --- messages -----------------------------------------------------------------------------

    def _history(self, request: Request) -> Any:
        channel = self._channel(request)["id"]
        if channel in self.world.unreadable:
            raise Refusal(403, 50001, "Missing Access")
        limit = int(request.query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be less than 101")
        found = [one for one in self.world.messages[channel]]
        if "after" in request.query:
            after = int(request.query["after"])
            found = [one for one in found if int(one["id"]) > after][:limit]
        elif "before" in request.query:
            before = int(request.query["before"])
            found = [one for one in found if int(one["id"]) < before]
        return found[-limit:][::-1]

    def _create(self, request: Request) -> Any:
        channel = self._channel(request)["id"]
        if channel in self.world.forbidden:
            raise Refusal(403, 50013, "Missing Permissions")
        body = request.body or {}
        _known(body, _CREATE)
        nonce = body.get("nonce")
        if nonce is not None and len(str(nonce)) > 25:
            raise invalid("nonce", "NONCE_TYPE_TOO_LONG", "Nonce must be 25 or fewer in length.")
        if nonce is not None and body.get("enforce_nonce"):
            known = self.world.known_nonce(channel, str(nonce))
            if known is not None:
                return self.world.message(channel, known) | {"nonce": nonce}
        made = self._made(channel, request, {})
        if nonce is not None:
            self.world.note_nonce(channel, str(nonce), made["id"])
        self.world.dispatch("MESSAGE_CREATE", self.world.told(made, nonce))
        return made | ({"nonce": nonce} if nonce else {})

    def _made(self, channel: str, request: Request, more: dict[str, Any]) -> dict[str, Any]:
        body = request.body or {}
        flags = body.get("flags", 0)
        if flags & ~(NO_EMBEDS | VOICE | 1 << 12):
            raise invalid("flags", "MESSAGE_FLAGS_INVALID", "Invalid flags")
        attached = self._uploads(channel, request)
        content = body.get("content") or ""
        _check_content(content)
        if flags & VOICE:
            _check_voice(content, attached)
        elif not content.strip() and not attached and not body.get("embeds"):
            raise Refusal(400, 50006, "Cannot send an empty message")
        _check_mentions(body)
        _check_components(body.get("components", []))
        reference = self._reference(channel, body.get("message_reference"))
        made = self.world.stand(
            channel,
            BOT,
            content,
            flags=flags,
            attachments=attached,
            components=body.get("components", []),
            embeds=_embeds(content, flags),
            **reference,
            **more,
        )
        self._call_out(made, body)
        return made

    def _reference(self, channel: str, given: dict[str, Any] | None) -> dict[str, Any]:
        if given is None:
            return {}
        if not str(given.get("message_id", "")).isdecimal():
            raise invalid("message_reference", "NUMBER_TYPE_COERCE", "Value is not snowflake.")
        try:
            answered = self.world.message(channel, str(given["message_id"]))
        except Refusal:
            if given.get("fail_if_not_exists", True):
                raise invalid(
                    "message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message"
                ) from None
            return {}
        reference = {"message_id": answered["id"], "channel_id": channel, "type": 0}
        return {"type": 19, "message_reference": reference, "referenced_message": answered}

    def _uploads(self, channel: str, request: Request) -> list[dict[str, Any]]:
        about = {str(each["id"]): each for each in (request.body or {}).get("attachments", [])}
        if set(about) != {name[6:-1] for name in request.files}:
            raise invalid("attachments", "ATTACHMENT_NOT_FOUND", "Uploaded files do not match")
        made = []
        for name, (filename, content) in request.files.items():
            if len(content) > self.world.upload_limit:
                raise Refusal(413, 40005, "Request entity too large")
            given = about[name[6:-1]]
            kept = {key: given[key] for key in ("duration_secs", "waveform") if key in given}
            made.append(
                self.world.attach(channel, given.get("filename", filename), content, **kept)
            )
        return made

    def _call_out(self, made: dict[str, Any], body: dict[str, Any]) -> None:
        """Who is called by a message: everybody it names, unless it says otherwise."""
        allowed = body.get("allowed_mentions")
        parse = ["everyone", "users", "roles"] if allowed is None else allowed.get("parse", [])
        text = made["content"]
        if "everyone" in parse and re.search(r"@everyone|@here", text):
            self.world.pings.append((made["id"], "everyone"))
        if "users" in parse and (found := re.search(r"<@!?(\d+)>", text)):
            self.world.pings.append((made["id"], found[1]))
        answered = made.get("referenced_message")
        if answered is not None and (allowed or {}).get("replied_user", True):
            self.world.pings.append((made["id"], answered["author"]["id"]))

    def _message(self, request: Request) -> Any:
        return self.world.message(self._channel(request)["id"], request.ids["message"])

    def _edit(self, request: Request) -> Any:
        channel = self._channel(request)["id"]
        return self._changed(self.world.message(channel, request.ids["message"]), request)

    def _changed(self, message: dict[str, Any], request: Request) -> Any:
        body = request.body or {}
        _known(body, _EDIT)
        if message["author"]["id"] != BOT:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        if message["flags"] & VOICE:
            raise Refusal(400, 50173, "Cannot edit a voice message")
        flags = body.get("flags", 0)
        if flags & ~NO_EMBEDS:
            raise invalid("flags", "MESSAGE_FLAGS_INVALID", "Invalid flags")
        content = body.get("content", message["content"]) or ""
        _check_content(content)
        _check_mentions(body)
        _check_components(body.get("components", []))
        attached = self._uploads(message["channel_id"], request) or message["attachments"]
        if not content.strip() and not attached:
            raise Refusal(400, 50006, "Cannot send an empty message")
        if not message["flags"] & LOADING:
            self.world.edits.setdefault(message["id"], []).append(message["content"])
        message |= {
            "content": content,
            "flags": flags,
            "attachments": attached,
            "components": body.get("components", message["components"]),
            "embeds": _embeds(content, flags),
            "edited_timestamp": "2026-01-01T00:00:00+00:00",
        }
        self._call_out(message | {"referenced_message": None}, body)
        self.world.dispatch("MESSAGE_UPDATE", self.world.told(message))
        return message

    def _delete(self, request: Request) -> Any:
        channel = self._channel(request)["id"]
        self.world.message(channel, request.ids["message"])
        self.world.remove(channel, request.ids["message"])
        return _NO_CONTENT

    def _typing(self, request: Request) -> Any:
        self.world.typed.append(self._channel(request)["id"])
        return _NO_CONTENT

    def _react(self, request: Request) -> Any:
        message = self._message(request)
        name = request.ids["emoji"]
        if re.fullmatch(r"[\w ]+", name):
            raise Refusal(400, 10014, "Unknown Emoji")
        about = {"emoji": {"id": None, "name": name}, "count": 1, "me": True}
        message["reactions"] = [*message.get("reactions", []), about]
        return _NO_CONTENT

    def _unreact(self, request: Request) -> Any:
        message = self._message(request)
        message["reactions"] = [
            each
            for each in message.get("reactions", [])
            if each["emoji"]["name"] != request.ids["emoji"]
        ]
        return _NO_CONTENT

    # --- interactions -------------------------------------------------------------------------

    def _callback(self, request: Request) -> Any:
        found = self.world.interactions.get(request.ids["token"])
        late = found is not None and time.time() - found["at"] > self.world.patience
        if found is None or late or found["given"]["id"] != request.ids["id"]:
            raise Refusal(404, 10062, "Unknown interaction")
        if found["acknowledged"]:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        kind = request.body["type"]
        if kind not in (4, 5, 6, 7):
            raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of (4, 5, 6, 7)")
        found["acknowledged"] = kind
        given = found["given"]
        message = None
        if kind == 5:
            message = self.world.stand(
                given["channel_id"], BOT, "", type=20, flags=LOADING, application_id=APPLICATION,
                webhook_id=APPLICATION,
                interaction_metadata={"id": given["id"], "type": 2, "user": found["user"]},
            )  # fmt: skip
            found["original"] = message["id"]
            self.world.dispatch("MESSAGE_CREATE", self.world.told(message))
        if request.query.get("with_response") not in ("true", "1"):
            return _NO_CONTENT
        resource = {"type": kind} | ({"message": message} if message else {})
        return {"interaction": {"id": given["id"], "type": given["type"]}, "resource": resource}

    def _alive(self, request: Request) -> dict[str, Any]:
        found = self.world.interactions.get(request.ids["token"])
        if request.ids["application"] != APPLICATION or found is None:
            raise Refusal(404, 10015, "Unknown Webhook")
        if time.time() - found["at"] > self.world.interaction_life:
            raise Refusal(401, 50027, "Invalid Webhook Token")
        return found

    def _original(self, request: Request) -> Any:
        found = self._alive(request)
        return self.world.message(found["given"]["channel_id"], found["original"] or "")

    def _fill_in(self, request: Request) -> Any:
        return self._changed(self._original(request), request)

    def _withdraw(self, request: Request) -> Any:
        message = self._original(request)
        self.world.remove(message["channel_id"], message["id"])
        return _NO_CONTENT

    def _follow_up(self, request: Request) -> Any:
        found = self._alive(request)
        if not found["acknowledged"]:
            raise Refusal(404, 10015, "Unknown Webhook")
        _known(request.body or {}, _CREATE - {"nonce", "enforce_nonce", "message_reference"})
        made = self._made(found["given"]["channel_id"], request, {"webhook_id": APPLICATION})
        self.world.dispatch("MESSAGE_CREATE", self.world.told(made))
        return made if request.query.get("wait") == "true" else _NO_CONTENT


def is_nothing(result: Any) -> bool:
    return result is _NO_CONTENT


def _known(body: dict[str, Any], names: frozenset[str]) -> None:
    """Discord leaves out what it does not know; here it is a slip of ours."""
    for name in body:
        if name not in names:
            raise invalid(name, "UNKNOWN_FIELD", f"{name} has no place here")


def _check_content(content: Any) -> None:
    if not isinstance(content, str):
        raise invalid("content", "STRING_TYPE_CONVERT", "Could not interpret as string.")
    if len(content) > 2000:
        words = "Must be 2000 or fewer in length."
        raise invalid("content", "BASE_TYPE_MAX_LENGTH", words)


def _check_mentions(body: dict[str, Any]) -> None:
    given = body.get("allowed_mentions")
    if given is None:
        return
    if not isinstance(given, dict) or set(given) - {"parse", "users", "roles", "replied_user"}:
        raise invalid("allowed_mentions", "MODEL_TYPE_CONVERT", "Not well formed")
    if set(given.get("parse", [])) - {"everyone", "users", "roles"}:
        raise invalid("allowed_mentions", "BASE_TYPE_CHOICES", "Unknown kind of mention")


def _check_components(rows: list[dict[str, Any]]) -> None:
    if len(rows) > 5:
        raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    ids: list[str] = []
    for row in rows:
        if row.get("type") != 1 or not 1 <= len(row.get("components", [])) <= 5:
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Rows have 1 to 5 components.")
        for one in row["components"]:
            if one.get("type") != 2 or not 1 <= len(one.get("label", "")) <= 80:
                raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Labels have 1 to 80.")
            if one["style"] == 5:
                if not one.get("url", "").startswith(("http://", "https://", "discord://")):
                    raise invalid("components", "URL_TYPE_INVALID_SCHEME", "Unsupported scheme")
                continue
            if not 1 <= len(one.get("custom_id", "")) <= 100:
                raise invalid("components", "BASE_TYPE_BAD_LENGTH", "custom_id has 1 to 100.")
            ids.append(one["custom_id"])
    if len(set(ids)) != len(ids):
        words = "Component custom id cannot be duplicated"
        raise invalid("components", "COMPONENT_CUSTOM_ID_DUPLICATED", words)


def _check_voice(content: str, attached: list[dict[str, Any]]) -> None:
    if content:
        raise Refusal(400, 50159, "Voice messages do not support additional content.")
    if len(attached) != 1:
        raise Refusal(400, 50160, "Voice messages must have a single audio attachment.")
    if not attached[0].get("waveform") or not attached[0].get("duration_secs"):
        raise Refusal(400, 50161, "Voice messages must have supporting metadata.")


def _embeds(content: str, flags: int) -> list[dict[str, Any]]:
    """A preview for each address that is not in angle brackets."""
    if flags & NO_EMBEDS:
        return []
    return [{"type": "link", "url": url} for url in re.findall(r"(?<!<)https?://[^\s>)]+", content)]
