"""espeak-ng: robotic and clear, in a hundred languages, from any distribution."""

from __future__ import annotations

from multimodal.config import SpeechConfig
from multimodal.errors import NotSetUp
from multimodal.tts import program

REMEDY = "apt-get install espeak-ng"


class Espeak:
    def __init__(self, config: SpeechConfig) -> None:
        self._config = config
        self.name = f"espeak-ng ({config.voice})"

    def speak(self, text: str, *, most: int) -> bytes:
        """A WAV file, whose header does not know its length."""
        config = self._config
        try:
            made, _ = program.run(
                (
                    "espeak-ng",
                    "--stdin",
                    "--stdout",
                    "-b1",  # UTF-8
                    f"-v{config.voice}",
                    f"-s{config.speed}",
                ),
                # Double brackets would be taken for names of sounds.
                text.replace("[[", "[ [").replace("]]", "] ]"),
                seconds=config.timeout,
                most=most,
                remedy=REMEDY,
            )
        except program.Failed as problem:
            if "voice" not in str(problem):
                raise
            raise NotSetUp(
                f"espeak-ng has no voice {config.voice}",
                "correct media.speech.voice; espeak-ng --voices lists them",
            ) from problem
        return made
