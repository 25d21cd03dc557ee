"""The Bot API's methods, as strict as the real ones and in their words."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.telegram.markup import BadMarkup, Entity, parse_html, parse_markdown_v2, utf16
from tests.fakes.telegram.world import Bot, Shown, World

MESSAGE_LIMIT = 4096
CAPTION_LIMIT = 1024
DOWNLOAD_LIMIT = 20 * 2**20
UPLOAD_LIMIT = 50 * 2**20
PHOTO_LIMIT = 10 * 2**20
_MEDIA = {
    f"send{kind.capitalize()}": kind for kind in ("photo", "voice", "audio", "document", "video")
}
_UNSEEN = {"\u2800", "\u3164", "\uffa0", "\u115f", "\u1160"}
_REACTIONS = set(
    "👍👎❤🔥🎉🤩😱😁😢💩🤮🙏👌🤡🥱😍🐳💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝🤗🫡"
)


@dataclass
class ApiError(Exception):
    code: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)


def bad(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


class Api:
    """Everything that answers at once; polling is the server's."""

    def __init__(self, world: World, *, https_only: bool = False) -> None:
        self._world = world
        self._https_only = https_only

    def method(self, name: str) -> Callable[[Bot, dict[str, Any]], Any] | None:
        if kind := _MEDIA.get(name):
            return lambda bot, params: self._send_media(bot, params, kind)
        found: Callable[[Bot, dict[str, Any]], Any] | None = getattr(self, f"_do_{name}", None)
        return found

    def _do_getMe(self, bot: Bot, params: dict[str, Any]) -> Any:
        return bot.json

    def _do_setMyCommands(self, bot: Bot, params: dict[str, Any]) -> Any:
        commands = _json(params, "commands") or []
        for each in commands:
            if not 1 <= len(each["command"]) <= 32 or each["command"].lower() != each["command"]:
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(each["description"]) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        bot.commands = commands
        return True

    def _do_sendMessage(self, bot: Bot, params: dict[str, Any]) -> Any:
        chat = self._chat(params)
        text, entities = _formatted(params, "text", MESSAGE_LIMIT)
        if _empty(text):
            raise bad("message text is empty")
        return self._stand(bot, chat, params, text, entities)

    def _send_media(self, bot: Bot, params: dict[str, Any], kind: str) -> Any:
        chat = self._chat(params)
        content = params.get(kind)
        if isinstance(content, str) and content in self._world.files:
            content = self._world.files[content]
        if not isinstance(content, bytes):
            raise bad(f"there is no {kind} in the request")
        _check_upload(content, kind)
        text, entities = _formatted(params, "caption", CAPTION_LIMIT)
        return self._stand(bot, chat, params, text, entities, kind, content)

    def _stand(
        self,
        bot: Bot,
        chat: int,
        params: dict[str, Any],
        text: str,
        entities: list[Entity],
        media: str = "",
        content: bytes = b"",
    ) -> Any:
        buttons, reply_to = _buttons(params), self._reply_to(chat, params)
        thread = int(params["message_thread_id"]) if params.get("message_thread_id") else None
        if thread is not None and thread not in self._world.threads[chat]:
            raise bad("message thread not found")
        shown = self._world.add(chat, bot.id, from_bot=True)
        shown.text, shown.entities = text, [each.json() for each in entities]
        shown.media, shown.buttons = media, buttons
        shown.reply_to, shown.thread = reply_to, thread
        message = self._world.message_json(shown, bot.json)
        if media:
            shown.file_id = self._world.store(content)
            file = {"file_id": shown.file_id, "file_unique_id": "u", "file_size": len(content)}
            message[media] = [file | {"width": 1, "height": 1}] if media == "photo" else file
        return message

    def _do_editMessageText(self, bot: Bot, params: dict[str, Any]) -> Any:
        shown = self._own(bot, params)
        if shown.media:
            raise bad("there is no text in the message to edit")
        text, entities = _formatted(params, "text", MESSAGE_LIMIT)
        if _empty(text):
            raise bad("message text is empty")
        return self._edit(bot, shown, params, text, entities, "", b"")

    def _do_editMessageMedia(self, bot: Bot, params: dict[str, Any]) -> Any:
        shown = self._own(bot, params)
        media = _json(params, "media") or {}
        content = params.get(str(media.get("media", "")).removeprefix("attach://"))
        if media.get("type") not in ("photo", "video", "audio", "document"):
            raise bad("wrong type of the media")
        if not isinstance(content, bytes):
            raise bad("there is no media in the request")
        _check_upload(content, media["type"])
        text, entities = _formatted(media, "caption", CAPTION_LIMIT)
        return self._edit(bot, shown, params, text, entities, media["type"], content)

    def _edit(
        self,
        bot: Bot,
        shown: Shown,
        params: dict[str, Any],
        text: str,
        entities: list[Entity],
        media: str,
        content: bytes,
    ) -> Any:
        buttons, formats = _buttons(params), [each.json() for each in entities]
        same = (text, formats, buttons, media) == (
            shown.text,
            shown.entities,
            shown.buttons,
            shown.media,
        )
        if same and (not media or content == self._world.files[shown.file_id]):
            raise bad(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        shown.edits.append(shown.text)
        shown.text, shown.entities, shown.buttons = text, formats, buttons
        if media:
            shown.media, shown.file_id = media, self._world.store(content)
        return self._world.message_json(shown, bot.json)

    def _do_deleteMessage(self, bot: Bot, params: dict[str, Any]) -> Any:
        chat = self._chat(params)
        shown = self._world.messages[chat].get(_int(params, "message_id"))
        if shown is None or shown.deleted:
            raise bad("message to delete not found")
        shown.deleted = True
        return True

    def _do_sendChatAction(self, bot: Bot, params: dict[str, Any]) -> Any:
        self._chat(params)
        if params.get("action") not in ("typing", "upload_photo", "upload_document"):
            raise bad("wrong parameter action in request")
        return True

    def _do_setMessageReaction(self, bot: Bot, params: dict[str, Any]) -> Any:
        chat = self._chat(params)
        shown = self._world.messages[chat].get(_int(params, "message_id"))
        if shown is None or shown.deleted:
            raise bad("message to react not found")
        reaction = _json(params, "reaction") or []
        emoji = reaction[0].get("emoji", "") if reaction else ""
        if emoji and emoji not in _REACTIONS:
            raise bad("REACTION_INVALID")
        shown.reaction = emoji
        return True

    def _do_answerCallbackQuery(self, bot: Bot, params: dict[str, Any]) -> Any:
        press = str(params.get("callback_query_id", ""))
        if self._world.callbacks.get(press, True):
            raise bad("query is too old and response timeout expired or query ID is invalid")
        self._world.callbacks[press] = True
        return True

    def _do_getFile(self, bot: Bot, params: dict[str, Any]) -> Any:
        content = self._world.files.get(str(params.get("file_id", "")))
        if content is None:
            raise bad("invalid file_id")
        if len(content) > DOWNLOAD_LIMIT:
            raise bad("file is too big")
        file_id = params["file_id"]
        return {
            "file_id": file_id,
            "file_unique_id": "u",
            "file_size": len(content),
            "file_path": f"files/{file_id}",
        }

    def _do_setWebhook(self, bot: Bot, params: dict[str, Any]) -> Any:
        url = str(params.get("url", ""))
        if not url:
            return self._do_deleteWebhook(bot, params)
        if self._https_only and not url.startswith("https://"):
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        if allowed := _json(params, "allowed_updates"):
            bot.allowed = tuple(allowed)
        if params.get("drop_pending_updates") in ("true", True):
            bot.updates.clear()
        bot.webhook = {
            "url": url,
            "secret": params.get("secret_token", ""),
            "max_connections": int(params.get("max_connections", 40)),
        }
        if bot.poll is not None and not bot.poll.done():
            bot.poll.set_result("terminated by setWebhook request")
        bot.changed.set()
        return True

    def _do_deleteWebhook(self, bot: Bot, params: dict[str, Any]) -> Any:
        bot.webhook = {}
        if params.get("drop_pending_updates") in ("true", True):
            bot.updates.clear()
        bot.changed.set()
        return True

    def _do_getWebhookInfo(self, bot: Bot, params: dict[str, Any]) -> Any:
        return {
            "url": bot.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(bot.updates),
            "max_connections": bot.webhook.get("max_connections", 40),
        }

    def _chat(self, params: dict[str, Any]) -> int:
        given = str(params.get("chat_id", ""))
        chat = int(given) if given.lstrip("-").isdecimal() else 0
        if not given:
            raise bad("chat_id is empty")
        if chat not in self._world.chats:
            raise bad("chat not found")
        if chat in self._world.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if moved := self._world.chats[chat].get("migrated_to"):
            raise ApiError(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": moved},
            )
        return chat

    def _own(self, bot: Bot, params: dict[str, Any]) -> Shown:
        chat = self._chat(params)
        shown = self._world.messages[chat].get(_int(params, "message_id"))
        if shown is None or shown.deleted:
            raise bad("message to edit not found")
        if shown.author != bot.id:
            raise bad("message can't be edited")
        return shown

    def _reply_to(self, chat: int, params: dict[str, Any]) -> int | None:
        reply = _json(params, "reply_parameters")
        if not reply:
            return None
        shown = self._world.messages[chat].get(int(reply["message_id"]))
        if shown is None or shown.deleted:
            if reply.get("allow_sending_without_reply"):
                return None
            raise bad("message to be replied not found")
        return shown.message_id


def _formatted(params: dict[str, Any], name: str, limit: int) -> tuple[str, list[Entity]]:
    text, entities = str(params.get(name, "")), list[Entity]()
    mode = str(params.get("parse_mode", "")).lower()
    try:
        if mode == "html":
            text, entities = parse_html(text)
        elif mode == "markdownv2":
            text, entities = parse_markdown_v2(text)
        elif mode:
            raise bad("unsupported parse_mode")
    except BadMarkup as problem:
        raise bad(f"can't parse entities: {problem}") from problem
    if utf16(text) > limit:
        what = "message caption" if name == "caption" else "message"
        raise bad(f"{what} is too long")
    return text, entities


def _empty(text: str) -> bool:
    unseen = ("Cc", "Cf", "Mn", "Me")
    return all(
        char in _UNSEEN or char.isspace() or unicodedata.category(char) in unseen for char in text
    )


def _buttons(params: dict[str, Any]) -> list[list[dict[str, str]]]:
    rows: list[list[dict[str, str]]] = (_json(params, "reply_markup") or {}).get(
        "inline_keyboard", []
    )
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise bad("can't parse inline keyboard button: Text buttons must be non-empty")
        if "url" in button:
            if not button["url"].startswith(("http://", "https://", "tg://")):
                raise bad(f"inline keyboard button URL '{button['url']}' is invalid")
        elif not 1 <= len(button.get("callback_data", "").encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
    return rows


def _check_upload(content: bytes, kind: str) -> None:
    if len(content) > UPLOAD_LIMIT:
        raise ApiError(413, "Request Entity Too Large")
    if not content:
        raise bad("file must be non-empty")
    if kind == "photo" and (len(content) > PHOTO_LIMIT or not _is_picture(content)):
        raise bad("IMAGE_PROCESS_FAILED")


def _is_picture(content: bytes) -> bool:
    return content.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF"))


def _json(params: dict[str, Any], name: str) -> Any:
    value = params.get(name)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as problem:
            raise bad(f"can't parse {name} JSON object") from problem
    return value


def _int(params: dict[str, Any], name: str) -> int:
    value = str(params.get(name, ""))
    if not value.isdecimal():
        raise bad(f"{name} is not specified")
    return int(value)
