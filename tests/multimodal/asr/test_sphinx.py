"""The built-in recogniser on made speech."""

from __future__ import annotations

from pathlib import Path

import pytest

from multimodal.asr.reader import recogniser
from multimodal.config import AsrConfig
from multimodal.readers import NotSetUp, Unreadable
from tests.media import arpa, rates, speech
from tests.multimodal.asr.conftest import HOUSE, Hear, Make

PAUSE = speech.silence(2.5, 22_050)


@pytest.mark.parametrize("kind", ["ogg", "m4a", "mp3", "wav", "webm", "mp4"])
def test_a_spoken_question_is_understood(kind: str, heard: Hear) -> None:
    reading = heard(speech.encoded(speech.say(HOUSE[0]), kind))

    assert reading.text == "what is the capital of france"
    assert reading.language == "en"
    assert reading.reader.startswith("pocketsphinx 5")
    assert reading.note == "heard by the small built-in recogniser; it makes mistakes"
    assert 0.3 < reading.confidence <= 1.0
    assert reading.audio == pytest.approx(speech.say(HOUSE[0]).seconds, abs=0.1)


def test_with_a_language_model_nearly_every_word_is_right(heard: Hear) -> None:
    wrong = total = 0
    for sentence in HOUSE:
        text = heard(speech.encoded(speech.say(sentence, "en-us+f2"))).text
        wanted = arpa.words(sentence)
        wrong += rates.edits(wanted, text.split())
        total += len(wanted)

    assert wrong / total < 0.1


def test_without_one_it_gets_the_main_words_of_a_clear_voice(reader: Make) -> None:
    hear = reader(reader="sphinx")

    reading = hear(speech.encoded(speech.say("What is the capital of France")))

    assert "what is the capital of" in reading.text


def test_pauses_make_paragraphs_and_long_recordings_carry_times(heard: Hear) -> None:
    once = [speech.say(HOUSE[0]), PAUSE, speech.say(HOUSE[3]), PAUSE]

    reading = heard(speech.encoded(speech.joined(*once)))
    assert reading.text == "what is the capital of france\n\nopen the door and turn on the light"

    long = [*once, speech.silence(120.0, 22_050), *once]
    paragraphs = heard(speech.encoded(speech.joined(*long))).text.split("\n\n")
    assert len(paragraphs) == 4
    assert paragraphs[0] == "[00:00] what is the capital of france"
    assert paragraphs[2] == "[02:10] what is the capital of france"


@pytest.mark.parametrize("level", [0, 3, 300])
def test_silence_and_noise_say_nothing(level: int, heard: Hear) -> None:
    quiet = speech.silence(4.0)
    if level:
        quiet = speech.hiss(4.0, level)

    reading = heard(speech.encoded(quiet))

    assert (reading.text, reading.note, reading.problem) == ("", "nothing was said", "")
    assert (reading.language, reading.confidence, reading.audio) == ("", -1.0, 4.0)


def test_words_after_a_long_silence_are_heard(heard: Hear) -> None:
    said = speech.joined(speech.silence(45.0, 22_050), speech.say(HOUSE[3]))

    reading = heard(speech.encoded(said))

    assert reading.text == "open the door and turn on the light"


def test_what_breaks_off_is_heard_so_far_and_said(heard: Hear) -> None:
    content = speech.encoded(speech.joined(speech.say(HOUSE[0]), speech.say(HOUSE[3])), "mp3")

    reading = heard(content[: len(content) * 6 // 10])

    assert reading.text.startswith("what is the capital of france")
    assert reading.note.endswith("the recording breaks off after 0:03")


def test_a_refused_recording_leaves_the_reader_usable(reader: Make) -> None:
    hear = reader(reader="sphinx", limits={"seconds": 5.0})

    with pytest.raises(Unreadable, match="longer than 5 seconds"):
        hear(speech.silent_ogg(30.0))
    with pytest.raises(Unreadable, match="damaged"):
        hear(b"nothing of the kind")
    assert hear(speech.encoded(speech.silence(1.0))).note == "nothing was said"


def test_the_same_recording_reads_the_same(heard: Hear) -> None:
    content = speech.encoded(speech.noisy(speech.say(HOUSE[1]), 15))

    assert heard(content).text == heard(content).text


def test_other_languages_are_not_guessed_at(reader: Make) -> None:
    with pytest.raises(NotSetUp, match=r"hears English, not de: set media\.asr\.model"):
        reader(language="de")


def test_a_missing_language_model_is_named(reader: Make, tmp_path: Path) -> None:
    with pytest.raises(NotSetUp, match=r"language model .*none\.arpa cannot be read: correct"):
        reader(language_model=str(tmp_path / "none.arpa"))


def test_a_broken_language_model_is_named(reader: Make, tmp_path: Path) -> None:
    path = tmp_path / "broken.arpa"
    path.write_text("this is not one")

    with pytest.raises(NotSetUp, match="is no language model"):
        reader(language_model=str(path))


def test_a_word_that_it_cannot_pronounce_is_left_out(reader: Make, tmp_path: Path) -> None:
    path = tmp_path / "names.arpa"
    path.write_text(arpa.bigrams([*HOUSE, "ask moltgateway about the weather"]))

    reading = reader(language_model=str(path))(speech.encoded(speech.say(HOUSE[0])))

    assert reading.text == "what is the capital of france"


def test_auto_takes_it_where_the_model_is_missing(tmp_path: Path) -> None:
    found = recogniser(AsrConfig(model=str(tmp_path / "none")))

    assert found.name.startswith("pocketsphinx")
    found.close()
