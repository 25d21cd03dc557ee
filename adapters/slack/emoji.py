"""Slack names its reactions; everybody else sends the sign."""

from __future__ import annotations

import re

NAMES = {
    "👍": "+1",
    "👎": "-1",
    "👀": "eyes",
    "✅": "white_check_mark",
    "❌": "x",
    "⏳": "hourglass_flowing_sand",
    "⌛": "hourglass",
    "❤": "heart",
    "🎉": "tada",
    "🤔": "thinking_face",
    "😂": "joy",
    "😀": "grinning",
    "🙂": "slightly_smiling_face",
    "😢": "cry",
    "🔥": "fire",
    "👏": "clap",
    "🙏": "pray",
    "🚀": "rocket",
    "💯": "100",
    "⚠": "warning",
    "❓": "question",
    "❗": "exclamation",
    "👌": "ok_hand",
    "🛑": "octagonal_sign",
    "⚡": "zap",
    "✍": "writing_hand",
    "🤖": "robot_face",
    "💤": "zzz",
}
_SIGNS = {name: sign for sign, name in NAMES.items()} | {
    "thumbsup": "👍",
    "thumbsdown": "👎",
    "thinking": "🤔",
}
_NAME = re.compile(r":?([a-z0-9_+'-]{1,100}):?")


def name_of(emoji: str) -> str:
    """What Slack calls a sign; empty when nobody here knows."""
    plain = emoji.replace("\N{VARIATION SELECTOR-16}", "")
    if plain in NAMES:
        return NAMES[plain]
    found = _NAME.fullmatch(emoji)
    return found[1] if found else ""


def sign_of(name: str) -> str:
    """The sign of a name, without the shade of skin; ``:name:`` when nobody here knows."""
    return _SIGNS.get(name.partition("::")[0]) or f":{name}:"
