"""faster-whisper on a model of random weights: its words are noise, the way they go is real."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from multimodal.asr.recording import Recording
from multimodal.asr.whisper import Whisper
from multimodal.config import AsrConfig
from multimodal.confined import sound
from multimodal.readers import NotSetUp
from tests.media import speech
from tests.multimodal.asr.conftest import Make

QUESTION = "What is the capital of France? Please tell me now."
PAUSE = speech.silence(2.5, 22_050)


def long(seconds: float) -> speech.Sound:
    once = speech.joined(speech.say(QUESTION), PAUSE)
    return speech.joined(*[once] * (1 + int(seconds / once.seconds)))


def recording(said: speech.Sound) -> Recording:
    return Recording(sound.pcm(speech.encoded(said, "wav"), seconds=7200))


def test_a_voice_message_goes_all_the_way(reader: Make, whisper_model: Path) -> None:
    hear = reader(model=str(whisper_model))

    reading = hear(speech.encoded(speech.say(QUESTION)))

    assert reading.text
    assert reading.language == "en"
    assert reading.reader.startswith("faster-whisper 1.")
    assert reading.reader.endswith("tiny (en)")
    assert 0.0 < reading.confidence < 1.0
    assert (reading.note, reading.problem) == ("", "")
    assert reading.audio == pytest.approx(speech.say(QUESTION).seconds, abs=0.1)
    assert hear(speech.encoded(speech.say(QUESTION))).text == reading.text


def test_the_language_is_found_or_set(reader: Make, many_tongues: Path) -> None:
    content = speech.encoded(speech.say(QUESTION))

    assert reader(model=str(many_tongues))(content).language
    assert reader(model=str(many_tongues), language="de")(content).language == "de"


@pytest.mark.parametrize("seconds", [3.0, 45.0])
def test_silence_says_nothing(seconds: float, reader: Make, many_tongues: Path) -> None:
    reading = reader(model=str(many_tongues))(speech.encoded(speech.silence(seconds)))

    assert (reading.text, reading.note, reading.language) == ("", "nothing was said", "")


@pytest.mark.parametrize("batch", [1, 3])
def test_long_recordings_are_heard_to_the_end_in_order(batch: int, whisper_model: Path) -> None:
    said = long(160.0)
    whisper = Whisper(AsrConfig(model=str(whisper_model), batch=batch), window=50.0)

    segments = list(whisper.hear(recording(said)))

    starts = [segment.start for segment in segments]
    assert starts == sorted(starts)
    assert starts[0] < 1.0
    assert said.seconds - 40 < segments[-1].end <= said.seconds
    # No piece is lost between two windows, and none is heard twice.
    gaps = [b.start - a.end for a, b in pairwise(segments)]
    assert max(gaps) < 4.0
    assert min(gaps) > -0.5
    whisper.close()


def test_little_of_a_long_recording_is_held(whisper_model: Path) -> None:
    whisper = Whisper(AsrConfig(model=str(whisper_model), batch=2), window=40.0)
    said = recording(long(150.0))
    most = 0
    for _ in whisper.hear(said):
        most = max(most, len(said.samples))

    assert said.over
    assert most / sound.RATE < 40 + 30 + 3
    whisper.close()


def test_a_long_silence_is_not_held_for_the_last_words_before_it(whisper_model: Path) -> None:
    whisper = Whisper(AsrConfig(model=str(whisper_model), batch=2), window=40.0)
    said = recording(speech.joined(speech.say(QUESTION), speech.silence(300.0, 22_050)))
    most = 0
    for _ in whisper.hear(said):
        most = max(most, said.passed + len(said.samples))

    assert said.over
    assert 0 < most / sound.RATE < 40 + 40 + 3
    whisper.close()


def test_paragraphs_of_long_recordings_carry_times(reader: Make, whisper_model: Path) -> None:
    content = speech.encoded(long(121.0))

    assert reader(model=str(whisper_model))(content).text.startswith("[00:0")
    assert not reader(model=str(whisper_model), timestamps=False)(content).text.startswith("[")


def test_without_vad_everything_is_heard(whisper_model: Path) -> None:
    said = long(70.0)
    whisper = Whisper(AsrConfig(model=str(whisper_model), vad=False), window=40.0)

    segments = list(whisper.hear(recording(said)))

    assert said.seconds - 40 < segments[-1].end <= said.seconds + 0.1
    whisper.close()


def test_no_model_says_what_to_set(reader: Make) -> None:
    with pytest.raises(NotSetUp, match=r"media\.asr\.model names no model: name a folder"):
        reader(reader="whisper")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "small"}, r"small is not here: set media\.asr\.download: true"),
        ({"model": "/no/such/folder"}, r"no folder or model /no/such/folder: correct"),
        ({"model": "smoll"}, r"no folder or model smoll: correct media\.asr\.model"),
        ({"device": "cuda"}, r"no CUDA for speech: .*: set media\.asr\.device: cpu"),
        ({"language": "de"}, r"hears English only, and media\.asr\.language is de"),
        ({"compute_type": "bogus"}, r"set media\.asr\.compute_type: default"),
    ],
)
def test_what_is_missing_is_told_with_the_remedy(
    settings: dict[str, str],
    words: str,
    reader: Make,
    whisper_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    with pytest.raises(NotSetUp, match=words):
        reader(reader="whisper", **{"model": str(whisper_model), **settings})


def test_a_language_that_does_not_exist_is_named(reader: Make, many_tongues: Path) -> None:
    with pytest.raises(NotSetUp, match=r"does not know it, and .* is xx"):
        reader(reader="whisper", model=str(many_tongues), language="xx")


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_half_a_model_is_not_completed_from_the_net(
    name: str, reader: Make, whisper_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "half"
    shutil.copytree(whisper_model, folder)
    (folder / name).unlink()

    with pytest.raises(NotSetUp, match=f"holds no {name}"):
        reader(reader="whisper", model=str(folder))


def test_a_damaged_model_is_named(reader: Make, whisper_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(whisper_model, folder)
    (folder / "model.bin").write_bytes(b"no model")

    with pytest.raises(NotSetUp, match="cannot be loaded"):
        reader(reader="whisper", model=str(folder))
