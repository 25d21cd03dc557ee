"""A program of the operator's: text in, WAV out."""

from __future__ import annotations

from pathlib import Path

from multimodal.config import SpeechConfig
from multimodal.errors import NotSetUp
from multimodal.tts import program

REMEDY = "install it, or correct media.speech.command"


class Command:
    def __init__(self, config: SpeechConfig) -> None:
        """Raises `NotSetUp`."""
        if not config.command:
            raise NotSetUp(
                "media.speech.command names no program", "name one, or set reader: espeak"
            )
        self._config = config
        self.name = Path(config.command[0]).name

    def speak(self, text: str, *, most: int) -> bytes:
        try:
            made, said = program.run(
                self._config.command, text, seconds=self._config.timeout, most=most, remedy=REMEDY
            )
        except program.Failed as problem:
            raise NotSetUp(f"{self.name} failed ({_line(str(problem))})", REMEDY) from problem
        if not made.startswith(b"RIFF"):
            wrong = _line(said) or "it wrote something else"
            raise NotSetUp(f"{self.name} wrote no WAV file ({wrong})", REMEDY)
        return made


def _line(said: str) -> str:
    """The last one is the one that tells."""
    return said.rpartition("\n")[2][:200]
