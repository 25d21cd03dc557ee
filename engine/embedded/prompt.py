"""From chat messages to the one string the built-in model reads, which no user text can forge.

The layout is ChatML with hermes-style tools. `weights/hf/tokenizer_config.json` carries the same
layout as a Jinja template for other servers; a test compares the two.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

START, END = "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = (
    START,
    END,
    "<|endoftext|>",
    "<tools>",
    "</tools>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
TOOLS_INTRODUCTION = "You can use these tools:"
TOOLS_RULE = (
    'To use one, answer only with:\n<tool_call>\n{"name": NAME, "arguments": {...}}\n</tool_call>'
)

_FORGERY = re.compile("|".join(re.escape(token) for token in CONTROL_TOKENS))


def harmless(text: str) -> str:
    """The text with every control token broken up, so that the tokenizer sees plain characters."""
    return _FORGERY.sub(lambda token: "< " + token.group()[1:], text)


def words(content: Any) -> str:
    """What a message says, as text: parts are joined, and those that are no text are marked."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, Iterable):
        return str(content)
    return "\n".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        if isinstance(part.get("text"), str):
            return str(part["text"])
        return f"[{part.get('type', 'attachment')} left out]"
    return "[attachment left out]"


def render(messages: Sequence[Message], tools: Sequence[Message] = ()) -> str:
    """The prompt up to where the model's answer begins."""
    opening, turns = split(messages, tools)
    return opening + "".join(turns) + opening_of_answer()


def split(messages: Sequence[Message], tools: Sequence[Message] = ()) -> tuple[str, list[str]]:
    """The system part and the turns apart, so that old turns can be left out where room is short.

    System messages are gathered in front wherever they stand.
    """
    system = "\n".join(
        harmless(words(message.get("content"))).strip()
        for message in messages
        if message.get("role") in {"system", "developer"}
    ).strip()
    if tools:
        system = f"{system}\n\n{_tools(tools)}".strip()
    opening = _turn("system", system) if system else ""
    return opening, [
        _message(message)
        for message in messages
        if message.get("role") not in {"system", "developer"}
    ]


def opening_of_answer() -> str:
    """What stands in front of the model's own words."""
    return f"{START}assistant\n"


def tool_call(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as the model writes it."""
    call = json.dumps({"name": name, "arguments": dict(arguments)}, ensure_ascii=False)
    return f"<tool_call>\n{harmless(call)}\n</tool_call>"


def _tools(tools: Sequence[Message]) -> str:
    lines = (
        harmless(json.dumps(tool.get("function", tool), ensure_ascii=False, default=str))
        for tool in tools
    )
    return "\n".join((TOOLS_INTRODUCTION, "<tools>", *lines, "</tools>", TOOLS_RULE))


def _turn(role: str, text: str) -> str:
    return f"{START}{role}\n{text}{END}\n"


def _message(message: Message) -> str:
    text = harmless(words(message.get("content"))).strip()
    role = message.get("role")
    if role == "tool":
        return _turn("user", f"<tool_response>\n{text}\n</tool_response>")
    if role == "assistant":
        calls = [_call(call) for call in message.get("tool_calls") or ()]
        return _turn("assistant", "\n".join(filter(None, (text, *calls))))
    return _turn("user", text)


def _call(call: Message) -> str:
    function = call.get("function", call)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {"text": arguments}
    if not isinstance(arguments, Mapping):
        arguments = {"value": arguments}
    return tool_call(str(function.get("name", "")), arguments)
