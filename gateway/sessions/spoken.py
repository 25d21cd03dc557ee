"""Commands that are spoken: a transcript has no slash, and often a comma too many. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gateway.mentions import called
from gateway.sessions.commands import ALIASES, MENU, Command, parse

_LEAD = re.compile(r"(?:forward\s+)?slash\b|command\b", re.IGNORECASE)
_WORDS = re.compile(r"[\w'-]+")
_NAMES = {name: name for name, _ in MENU} | ALIASES
_TAKES = frozenset({"new", "model", "queue", "voice"})
"""Commands that say more than their name."""
_HEARD_AS = (("who", "am", "i"), "whoami"), (("t", "t", "s"), "voice")


def spoken(
    transcript: str, stop_words: Collection[str] = (), names: Sequence[str] = ()
) -> Command | None:
    """The command somebody said, or None when they meant the model.

    A stop word alone, or ``slash NAME`` or ``command NAME``, after the bot's name or without it. A
    command that takes nothing must be all that was said: people talk about commands, too.
    """
    said = _without_name(transcript.strip(), names)
    if command := parse(said, stop_words):
        return command
    words = [found[0] for found in _WORDS.finditer(said)]
    if command := parse(" ".join(words), stop_words):
        return command
    if not (lead := _LEAD.match(said)):
        return None
    rest = said[lead.end() :].lstrip(" ,.:/")
    for pronounced, name in _HEARD_AS:
        head = [found[0].lower() for found in _WORDS.finditer(rest)][: len(pronounced)]
        if tuple(head) == pronounced:
            return _command(name, _after(rest, len(pronounced)))
    first = _WORDS.match(rest)
    if first is None or (name := _NAMES.get(first[0].lower(), "")) == "":
        return None
    return _command(name, _after(rest, 1))


def meant(transcript: str, names: Sequence[str]) -> bool:
    """Whether somebody who said this was talking to the bot."""
    return called(transcript, tuple(names))


def _command(name: str, argument: str) -> Command | None:
    if argument and name not in _TAKES:
        return None
    if name != "new":  # what follows it is a question, and stays as it was said
        argument = argument.rstrip(" .,!?")
    return Command(name, argument)


def _after(text: str, words: int) -> str:
    ends = [found.end() for found in _WORDS.finditer(text)]
    return text[ends[words - 1] :].lstrip(" ,.:;!?")


def _without_name(text: str, names: Sequence[str]) -> str:
    for name in names:
        if found := re.match(rf"{re.escape(name.strip())}(?!\w)[\s,.:!]*", text, re.IGNORECASE):
            return text[found.end() :]
    return text
