"""Answers as voice messages, by the real espeak-ng and by programs that misbehave."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multimodal.asr.reader import SoundReader
from multimodal.config import MediaConfig
from multimodal.confined import sound
from multimodal.jobs import Job, Reading
from multimodal.readers import NotSetUp, Unreadable
from multimodal.tts.reader import SpeechReader
from tests.media import arpa

Speak = Callable[..., tuple[Reading, bytes]]


@pytest.fixture
def speak() -> Speak:
    def speak(text: str, **settings: Any) -> tuple[Reading, bytes]:
        stored: list[bytes] = []

        def store(content: bytes) -> str:
            stored.append(content)
            return "digest"

        reader = SpeechReader(MediaConfig.model_validate({"speech": settings}), store)
        reading = reader.read(Job(id="1", kind="tts", tenant="t", text=text), b"")
        reader.close()
        return reading, stored[0]

    return speak


def program(path: Path, source: str) -> tuple[str, ...]:
    path.write_text(source)
    return (sys.executable, str(path))


def test_an_answer_becomes_a_voice_message(speak: Speak) -> None:
    reading, spoken = speak("The capital of France is Paris.")

    assert spoken.startswith(b"OggS")
    assert (reading.digest, reading.size) == ("digest", len(spoken))
    assert reading.reader == "espeak-ng (en-us)"
    samples = sum(len(piece) - 1 for piece in sound.pcm(spoken, seconds=60))
    assert reading.audio == pytest.approx(samples / 2 / sound.RATE, abs=0.05)
    assert 1.0 < reading.audio < 5.0


def test_the_same_answer_is_the_same_blob(speak: Speak) -> None:
    assert speak("Good morning.")[1] == speak("Good morning.")[1]


def test_what_is_spoken_is_heard(speak: Speak, tmp_path: Path) -> None:
    sentence = "open the door and turn on the light"
    model = tmp_path / "door.arpa"
    model.write_text(arpa.bigrams([sentence]))
    config = MediaConfig.model_validate({"asr": {"reader": "sphinx", "language_model": str(model)}})
    _, spoken = speak(sentence.capitalize() + ".", voice="en-us+klatt4", speed=130)

    ear = SoundReader(config, lambda content: "")
    reading = ear.read(Job(id="2", kind="asr", tenant="t"), spoken)
    ear.close()

    assert reading.text == sentence


def test_speed_and_voice_are_used(speak: Speak) -> None:
    slow, _ = speak("One two three four five.", speed=100)
    fast, _ = speak("One two three four five.", speed=300)
    german, _ = speak("One two three four five.", voice="de")

    assert fast.audio < 0.6 * slow.audio
    assert german.reader == "espeak-ng (de)"


@pytest.mark.parametrize(
    "text",
    ["-f /etc/passwd", "--version", "`id` $(id)", "a\0b", "x [[h@'loU]] y", "äöü 你好 🙂 ok"],
)
def test_no_text_is_taken_for_an_option_or_breaks_it(text: str, speak: Speak) -> None:
    reading, spoken = speak(text)

    assert spoken.startswith(b"OggS")
    assert reading.audio > 0.1


@pytest.mark.parametrize("text", ["", " \n", "...", "🙂", "\0\x1b"])
def test_what_cannot_be_said_is_told(text: str, speak: Speak) -> None:
    with pytest.raises(Unreadable, match="nothing to say"):
        speak(text)


def test_an_unknown_voice_is_named(speak: Speak) -> None:
    with pytest.raises(NotSetUp, match=r"no voice xx-none: correct media\.speech\.voice"):
        speak("Hello.", voice="xx-none")


def test_a_missing_espeak_comes_with_its_package(
    speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(NotSetUp, match="espeak-ng is not installed: apt-get install espeak-ng"):
        speak("Hello.")


SAYS = """
import subprocess, sys
text = sys.stdin.read()
sys.stderr.write("loaded\\n" * 100_000)
subprocess.run(["espeak-ng", "--stdout", "--stdin"], input=text.encode(), check=True)
"""


def test_any_program_can_speak(speak: Speak, tmp_path: Path) -> None:
    command = program(tmp_path / "says.py", SAYS)

    reading, spoken = speak("Good morning.", reader="command", command=command)

    assert spoken.startswith(b"OggS")
    assert reading.audio > 0.5


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import sys; sys.exit('no such model')", "failed \\(no such model\\)"),
        ("print('hello')", "wrote no WAV file"),
        ("import os; os.write(1, b'RIFF'); os.kill(os.getpid(), 9)", "ended with -9"),
        ("", "wrote no WAV file"),
    ],
)
def test_a_program_that_fails_is_the_operators_matter(
    source: str, problem: str, speak: Speak, tmp_path: Path
) -> None:
    command = program(tmp_path / "fails.py", source)

    with pytest.raises(NotSetUp, match=problem):
        speak("Hello.", reader="command", command=command)


@pytest.mark.parametrize("command", [(), ("no-such-program",)])
def test_a_missing_program_is_named(command: tuple[str, ...], speak: Speak) -> None:
    with pytest.raises(NotSetUp, match=r"media\.speech\.command"):
        speak("Hello.", reader="command", command=command)


def test_a_program_that_hangs_is_ended_with_its_children(speak: Speak, tmp_path: Path) -> None:
    note = tmp_path / "child"
    command = ("sh", "-c", f"sleep 600 & echo $! > {note}; wait")

    with pytest.raises(Unreadable, match="takes too long"):
        speak("Hello.", reader="command", command=command, timeout=2.0)

    state = Path(f"/proc/{note.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_program_that_talks_without_end_is_cut_off(speak: Speak, tmp_path: Path) -> None:
    source = "import sys\nwhile True: sys.stdout.write('RIFF' * 100_000)"
    command = program(tmp_path / "endless.py", source)

    with pytest.raises(Unreadable, match="too long"):
        speak("Hello.", reader="command", command=command)


def test_programs_do_not_get_our_secrets(
    speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOLTGATE_TELEGRAM__TOKEN", "12345:secret")
    monkeypatch.setenv("PIPER_VOICES", "/models")
    names = {"MOLTGATE_TELEGRAM__TOKEN", "PIPER_VOICES"}
    source = f"import os, sys; sys.exit(str({names} & {{*os.environ}}))"
    command = program(tmp_path / "looks.py", source)

    with pytest.raises(NotSetUp) as caught:
        speak("Hello.", reader="command", command=command)

    assert "{'PIPER_VOICES'}" in str(caught.value)
