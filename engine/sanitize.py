"""Text on its way to a model, with everything taken out of it that would not be read as text.

Chat templates separate the speakers by control tokens, and some servers tokenise those wherever
they stand; characters nobody can see carry instructions nobody can read. Both are for the model
alone, so what users see and what is kept in history stays as it was written.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(
    r"<(?=[|\uff5c]"  # every family's <|…|>, and DeepSeek's with full-width bars
    r"|/?(?:s|bos|eos|pad|unk|cls|sep|mask|image|audio|video|img|think|tools?|tool_\w+"
    r"|function_\w+|start_of_\w+|end_of_\w+|fim_\w+|\w+_soft_token|extra_id_\d+|unused\d+"
    r"|reserved_\w+|vision_\w+|turn|channel|message)\|?>"
    r"|</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS"
    r"|IMG(?:_BREAK|_END)?|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX|THINK|CALL_ID"
    r"|[gs]?MASK|CLS|SEP|PAD|UNK|BOS|EOS)\])",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"(?<=[|\uff5c])>")

_HIDDEN = re.compile(
    "[\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"  # nothing to see
    "\u202a-\u202e\u2066-\u2069"  # turns the order of the text around
    "\U000e0000-\U000e0fff"  # tags and supplementary variation selectors
    "]"
    "|(?<=[\ufe00-\ufe0f\u200c\u200d])[\ufe00-\ufe0f\u200c\u200d]{2,}"  # more than any emoji has
)
_UNPAIRED = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """Without NUL, unpaired surrogates, and characters that hide text from a reader.

    Joiners and variation selectors stay where scripts and emoji need them.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    return _UNPAIRED.sub("\ufffd", _HIDDEN.sub("", text))


def harmless(text: str) -> str:
    """`readable`, and with every control token of a chat template broken up by a space."""
    text = readable(text)
    if "<" in text or "[" in text or "|>" in text:
        text = _CLOSING.sub(" >", _CONTROL.sub(lambda found: found.group() + " ", text))
    return text
