"""The Web API's methods, as strict as Slack is, and stricter where Slack would only warn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.slack.world import BOT_ID, BOT_USER, TEAM, Shown, World

Params = dict[str, Any]
Method = Callable[[Params], dict[str, Any]]

TEXT = 4000
_EMOJI = re.compile(r"[a-z0-9_+'-]+")
_KNOWN_EMOJI = (
    "+1 -1 eyes white_check_mark x hourglass_flowing_sand heart tada thinking_face fire".split()
)


class ApiError(Exception):
    """``ok: false`` with this word."""

    def __init__(self, code: str, status: int = 200, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.more = more


class Api:
    """`scope` of a method, its parameters, and whether it takes JSON."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._methods: dict[str, tuple[Method, str, str, bool]] = {
            "auth.test": (self._auth_test, "", "", True),
            "chat.postMessage": (
                self._post,
                "chat:write",
                "channel text thread_ts blocks metadata mrkdwn parse link_names unfurl_links "
                "unfurl_media",
                True,
            ),
            "chat.update": (
                self._update,
                "chat:write",
                "channel ts text blocks metadata parse link_names unfurl_links unfurl_media",
                True,
            ),
            "reactions.add": (self._add, "reactions:write", "channel timestamp name", True),
            "reactions.remove": (self._remove, "reactions:write", "channel timestamp name", True),
            "reactions.get": (self._reactions, "reactions:read", "channel timestamp full", False),
            "conversations.history": (
                self._history,
                ":history",
                "channel oldest latest limit cursor inclusive include_all_metadata",
                False,
            ),
            "conversations.replies": (
                self._replies,
                ":history",
                "channel ts oldest latest limit cursor inclusive include_all_metadata",
                False,
            ),
            "users.info": (self._user, "users:read", "user", False),
            "files.info": (self._file, "files:read", "file", False),
            "files.getUploadURLExternal": (self._place, "files:write", "filename length", False),
            "files.completeUploadExternal": (
                self._complete,
                "files:write",
                "files channel_id thread_ts initial_comment",
                False,
            ),
            "assistant.threads.setStatus": (
                self._status,
                "chat:write",
                "channel_id thread_ts status",
                True,
            ),
        }

    def call(self, name: str, params: Params, *, is_json: bool) -> dict[str, Any]:
        found = self._methods.get(name)
        if found is None:
            raise ApiError("unknown_method")
        method, scope, known, takes_json = found
        if is_json and not takes_json:
            raise ApiError("invalid_arguments", response_metadata={"messages": ["no JSON here"]})
        if odd := params.keys() - set(known.split()):
            raise ApiError("invalid_arguments", response_metadata={"messages": sorted(odd)})
        needed = self._history_scope(params) if scope == ":history" else scope
        if needed and needed not in self.world.scopes:
            granted = ",".join(sorted(self.world.scopes))
            raise ApiError("missing_scope", needed=needed, provided=granted)
        return method(params)

    def _history_scope(self, params: Params) -> str:
        channel = self.world.channels.get(str(params.get("channel")))
        kind = channel.kind if channel else "channel"
        return {"im": "im", "mpim": "mpim", "group": "groups"}.get(kind, "channels") + ":history"

    # --- who ------------------------------------------------------------------------------------

    def _auth_test(self, params: Params) -> dict[str, Any]:
        return {
            "url": "https://fake.slack.com/",
            "team": "Fake",
            "user": "moltgate",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    def _user(self, params: Params) -> dict[str, Any]:
        user = self.world.users.get(_text(params, "user"))
        if user is None:
            raise ApiError("user_not_found")
        return {"user": user}

    # --- messages -------------------------------------------------------------------------------

    def _post(self, params: Params) -> dict[str, Any]:
        channel = self._open_channel(_text(params, "channel"))
        thread = str(params.get("thread_ts") or "")
        if thread and thread not in self.world.messages[channel]:
            raise ApiError("thread_not_found")
        shown = Shown(channel, self.world.ts(), BOT_USER, from_bot=True, thread=thread)
        self._write(shown, params)
        self.world.post(shown)
        return {"channel": channel, "ts": shown.ts, "message": self.world.described(shown)}

    def _update(self, params: Params) -> dict[str, Any]:
        channel = self._open_channel(_text(params, "channel"))
        shown = self.world.messages[channel].get(_text(params, "ts"))
        if shown is None or shown.deleted:
            raise ApiError("message_not_found")
        if not shown.from_bot:
            raise ApiError("cant_update_message")
        before, said = self.world.described(shown), shown.text
        self._write(shown, params)
        if shown.text != said:
            shown.edits.append(said)
        shown.edited = self.world.ts()
        self.world.updated(shown, before)
        return {"channel": channel, "ts": shown.ts, "text": shown.text}

    def _write(self, shown: Shown, params: Params) -> None:
        text = params.get("text") or ""
        blocks = _json(params.get("blocks"), "invalid_blocks_format")
        if not isinstance(text, str) or not (text.strip() or blocks):
            raise ApiError("no_text")
        if len(text) > TEXT:
            raise ApiError("msg_too_long")
        _check_blocks(blocks or [])
        metadata = _json(params.get("metadata"), "invalid_metadata_format")
        if metadata is not None:
            _check_metadata(metadata)
            shown.metadata = metadata
        shown.text = text
        if blocks is not None:
            shown.blocks = blocks

    def _open_channel(self, name: str) -> str:
        channel = self.world.channels.get(name)
        if channel is None:
            raise ApiError("channel_not_found")
        if channel.archived:
            raise ApiError("is_archived")
        if not channel.joined:
            raise ApiError("channel_not_found" if channel.kind == "im" else "not_in_channel")
        return name

    def _history(self, params: Params) -> dict[str, Any]:
        channel = self._open_channel(_text(params, "channel"))
        found = [each for each in self.world.seen(channel) if not each.thread]
        return self._page(list(reversed(found)), params)

    def _replies(self, params: Params) -> dict[str, Any]:
        channel = self._open_channel(_text(params, "channel"))
        ts = _text(params, "ts")
        if ts not in self.world.messages[channel]:
            raise ApiError("thread_not_found")
        found = [each for each in self.world.seen(channel) if ts in (each.ts, each.thread)]
        return self._page(found, params, parent=ts)

    def _page(self, found: list[Shown], params: Params, parent: str = "") -> dict[str, Any]:
        oldest = float(params.get("oldest") or 0)
        found = [each for each in found if float(each.ts) > oldest or each.ts == parent]
        limit = int(params.get("limit") or 100)
        if not 1 <= limit <= 1000:
            raise ApiError("invalid_limit")
        start = int(params.get("cursor") or 0)
        page = found[start : start + limit]
        more = start + limit < len(found)
        told = str(params.get("include_all_metadata")).lower() in ("true", "1")
        return {
            "messages": [
                self.world.described(each)
                | ({"metadata": each.metadata} if told and each.metadata else {})
                for each in page
            ],
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }

    # --- reactions ------------------------------------------------------------------------------

    def _add(self, params: Params) -> dict[str, Any]:
        shown, name = self._reacted(params)
        who = shown.reactions.setdefault(name, [])
        if BOT_USER in who:
            raise ApiError("already_reacted")
        who.append(BOT_USER)
        return {}

    def _remove(self, params: Params) -> dict[str, Any]:
        shown, name = self._reacted(params)
        if BOT_USER not in shown.reactions.get(name, ()):
            raise ApiError("no_reaction")
        shown.reactions[name].remove(BOT_USER)
        return {}

    def _reactions(self, params: Params) -> dict[str, Any]:
        shown = self._message(params)
        found = [{"name": name, "users": who} for name, who in shown.reactions.items() if who]
        return {"type": "message", "message": self.world.described(shown) | {"reactions": found}}

    def _reacted(self, params: Params) -> tuple[Shown, str]:
        name = _text(params, "name")
        if not _EMOJI.fullmatch(name) or name not in _KNOWN_EMOJI:
            raise ApiError("invalid_name")
        return self._message(params), name

    def _message(self, params: Params) -> Shown:
        channel = self._open_channel(_text(params, "channel"))
        shown = self.world.messages[channel].get(_text(params, "timestamp"))
        if shown is None or shown.deleted:
            raise ApiError("message_not_found")
        return shown

    # --- files ----------------------------------------------------------------------------------

    def _file(self, params: Params) -> dict[str, Any]:
        file = self.world.files.get(_text(params, "file"))
        if file is None:
            raise ApiError("file_not_found")
        return {"file": file}

    def _place(self, params: Params) -> dict[str, Any]:
        name, length = _text(params, "filename"), int(params.get("length") or 0)
        if length <= 0:
            raise ApiError("invalid_arguments")
        number = f"F{len(self.world.uploads) + 901}"
        self.world.uploads[number] = (name, length)
        return {"upload_url": f"{self.world.url}/upload/{number}", "file_id": number}

    def _complete(self, params: Params) -> dict[str, Any]:
        files = _json(params.get("files"), "invalid_arguments")
        if not isinstance(files, list) or not files:
            raise ApiError("invalid_arguments")
        channel = self._open_channel(_text(params, "channel_id"))
        thread = str(params.get("thread_ts") or "")
        if thread and thread not in self.world.messages[channel]:
            raise ApiError("invalid_thread_ts")
        for file in files:
            if file["id"] not in self.world.contents:
                raise ApiError("file_not_found")
        shown = Shown(channel, self.world.ts(), BOT_USER, from_bot=True, thread=thread)
        shown.files = [{"id": file["id"], "name": file.get("title")} for file in files]
        self.world.post(shown)
        return {"files": [{"id": file["id"], "title": file.get("title")} for file in files]}

    def _status(self, params: Params) -> dict[str, Any]:
        channel = self._open_channel(_text(params, "channel_id"))
        if _text(params, "thread_ts") not in self.world.messages[channel]:
            raise ApiError("invalid_thread_ts")
        self.world.statuses.append(dict(params))
        return {}


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError("invalid_arguments", response_metadata={"messages": [f"missing {name}"]})
    return value


def _json(value: Any, code: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as problem:
        raise ApiError(code) from problem


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or metadata.keys() != {"event_type", "event_payload"}:
        raise ApiError("invalid_metadata_format")
    name, payload = metadata["event_type"], metadata["event_payload"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
        raise ApiError("invalid_metadata_format")
    if not isinstance(payload, dict) or len(json.dumps(metadata)) > 8192:
        raise ApiError("invalid_metadata_format")


def _check_blocks(blocks: Any) -> None:
    if not isinstance(blocks, list) or len(blocks) > 50:
        raise ApiError("invalid_blocks")
    for block in blocks:
        match block.get("type"):
            case "section":
                text = block.get("text", {})
                if text.get("type") not in ("mrkdwn", "plain_text"):
                    raise ApiError("invalid_blocks")
                if not 1 <= len(text.get("text", "")) <= 3000:
                    raise ApiError("invalid_blocks")
            case "actions":
                _check_actions(block.get("elements"))
            case _:
                raise ApiError("invalid_blocks")


def _check_actions(elements: Any) -> None:
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        raise ApiError("invalid_blocks")
    ids = [each.get("action_id") for each in elements]
    if len(set(ids)) != len(ids) or not all(each and len(each) <= 255 for each in ids):
        raise ApiError("invalid_blocks")
    for each in elements:
        label = each.get("text", {})
        fits = (
            each.get("type") == "button"
            and label.get("type") == "plain_text"
            and 1 <= len(label.get("text", "")) <= 75
            and len(each.get("value", "")) <= 2000
            and len(each.get("url", "")) <= 3000
            and ("value" in each or "url" in each)
        )
        if not fits:
            raise ApiError("invalid_blocks")
