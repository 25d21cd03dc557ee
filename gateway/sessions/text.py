"""Text on its way to a model: nothing a person writes can open a role or hide from the reader.

Engines find their control tokens in plain text too, so each is broken by one blank where it
begins. Invisible characters are taken out, except joiners that scripts and emoji need.
"""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    "["
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff"  # tag block and variation selectors 17-256
    "]"
)
_JOINER = re.compile(
    "(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d])"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f]{2,}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")

_ANGLE = (
    r"\|",  # <|im_start|>, <|eot_id|>, <|user|>, <|vision_pad|>, <|channel|> and their kin
    "\uff5c",  # the full-width bar of DeepSeek
    r"/?(?:s|bos|eos|pad|unk|mask|sep|cls|sop|eop|img|ref|box|quad|think|tools?)>",
    r"/?(?:tool|function)_?(?:calls?|response|result)>",
    r"/?(?:image|video|audio|img|vision|speech)(?:_?(?:pad|soft_token|placeholder|context))?\d*/?>",
    r"/?(?:start|end)_of_(?:turn|image|audio|video|text|role|tool)\w*>",
    r"(?:begin|end)_of_\w+>",
    r"(?:bos|eos|pad|unk|sep|cls|mask)_token>",
    r"(?:unused|reserved_?|special_?|extra_id_|extra_)\d+>",
    r"/?[a-z]+:(?:bos|eos|pad|think|tool_call|begin|end)\w*>",
    r"/?\w+\|>",  # <turn|>
    r"fim_\w+>",
    r"</?sys>>",
)
_SQUARE = (
    r"/?(?:inst|system_prompt|available_tools|tool_calls|tool_results|tool_content|args|call_id)\]",
    r"/?(?:img|img_break|img_end|audio|begin_audio|think|transcribe|model_settings)\]",
    r"/?(?:prefix|suffix|middle|gmask|smask|mask|cls|sep|pad|unk|bos|eos|control_\d+)\]",
    "e~\\[",
)
_OPENING = re.compile(
    rf"(?P<angle>[<\uff1c\ufe64](?={'|'.join(_ANGLE)}))"
    rf"|(?P<square>\[(?={'|'.join(_SQUARE)}))"
    r"|(?P<minimax>\](?=~!?b[\[\]]|<\]))",
    re.IGNORECASE,
)


def neutralise(text: str) -> str:
    """The text without the power to mean anything but itself. Doing it twice changes nothing."""
    if not text.isascii():
        text = _visible(text)
    text = _CONTROL.sub("", _BREAKS.sub("\n", text))
    return _OPENING.sub(r"\g<0> ", text)


def _visible(text: str) -> str:
    text = _SURROGATE.sub("\ufffd", text)
    text = _SELECTORS.sub("", _INVISIBLE.sub("", text))
    return _JOINER.sub("", text)
