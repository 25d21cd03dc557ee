"""Voice answers: CommonMark to what a person would say, and that to a voice message."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterator, Sequence

import structlog
from markdown_it.token import Token

from gateway.errors import GatewayError
from gateway.markup.text import clean
from gateway.markup.tree import parse
from gateway.message import Attachment
from gateway.ports import Clock
from multimodal.config import MediaConfig
from multimodal.jobs import TooLate, to_speak
from multimodal.pipeline import Asks, Watcher

log = structlog.get_logger(__name__)

AT_ONCE = 4_000
"""Characters of an answer that are made speakable without leaving the loop."""
_ADDRESS = re.compile(r"(?:https?://|mailto:|www\.)\S+", re.IGNORECASE)
_MARKS = re.compile(r"[*_`~|<>#\\]+")
_LEFT_OUT = frozenset({"fence", "code_block", "html_block", "hr"})
_CELLS = frozenset({"th_close", "td_close"})


class Speaker:
    """`ports.Voice`. A voice that fails or is late is left out: the answer stands as text."""

    def __init__(self, desk: Asks, clock: Clock, config: MediaConfig, watcher: Watcher) -> None:
        self._desk = desk
        self._clock = clock
        self._config = config
        self._watcher = watcher

    async def speak(self, text: str, tenant: str) -> Attachment | None:
        if len(text) <= AT_ONCE:
            words = speakable(text)
        else:
            words = await asyncio.to_thread(speakable, text)
        if not words or len(words) > self._config.speech.max_text:
            return None
        job = to_speak(words, tenant, self._config)
        began = self._clock.monotonic()
        outcome, voice = "failed", None
        try:
            reading = await self._desk.ask(job, seconds=self._config.speech.timeout)
        except TooLate:
            outcome, reason = "late", "it took too long"
        except GatewayError as problem:
            reason = str(problem)
        else:
            reason = reading.problem or "no voice came back"
            if reading.digest and not reading.problem:
                outcome, voice = "read", _message(reading.digest, reading.size, reading.audio)
                self._watcher.media_worked("tts", reading.seconds, reading.audio, 0)
        self._watcher.media_ended("tts", outcome, self._clock.monotonic() - began)
        if voice is None:
            log.warning("voice_left_out", outcome=outcome, reason=reason)
        return voice


def _message(digest: str, size: int, seconds: float) -> Attachment:
    return Attachment(
        kind="voice",
        digest=digest,
        media_type="audio/ogg",
        name="answer.ogg",
        size=size,
        duration=seconds,
    )


def speakable(markdown: str) -> str:
    """What of an answer can be said: without code, addresses and marks; each block a sentence.
    Empty when nothing is left."""
    source = clean(markdown)
    tokens = parse(source)
    said = _blocks(tokens) if tokens else iter([source])
    return " ".join(sentence for block in said if (sentence := _sentence(block)))


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    row: list[str] = []
    cell = False
    for token in tokens:
        if token.type in _LEFT_OUT:
            continue
        if token.type in ("th_open", "td_open"):
            cell = True
        elif token.type in _CELLS:
            cell = False
        elif token.type == "tr_close":
            yield ", ".join(each for each in row if each.strip())
            row = []
        elif token.type == "inline":
            text = "".join(_words(token.children or ()))
            if cell:
                row.append(text)
            else:
                yield text


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type in ("text", "code_inline", "image"):
            yield token.content


def _is_mail(word: str) -> bool:
    """By two looks: a pattern takes a minute for a word made to be hard, as models can be made to
    write."""
    at = word.find("@", 1)
    return at > 0 and word.find(".", at + 2, -1) > 0


def _sentence(block: str) -> str:
    plain = " ".join(word for word in _ADDRESS.sub(" ", block).split() if not _is_mail(word))
    text = "".join(char for char in plain if unicodedata.category(char) not in ("So", "Cf"))
    text = " ".join(_MARKS.sub(" ", text).split())
    if not any(char.isalnum() for char in text):
        return ""
    return text if unicodedata.category(text[-1]) == "Po" else f"{text}."
