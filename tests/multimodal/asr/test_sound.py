"""Sound of any kind to samples, and nothing else out of what strangers send."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from multimodal.confined import Confined, sound
from multimodal.errors import Unreadable
from tests.media import speech

QUESTION = "What is the capital of France"

HOURS = 2 * 3600.0


@pytest.fixture(scope="module")
def unpacker() -> Iterator[Confined]:
    with Confined("multimodal.confined.sound", memory=512 * 2**20, cpu=60, wall=120) as confined:
        yield confined


def unpacked(content: bytes, seconds: float = HOURS) -> tuple[np.ndarray[Any, Any], str]:
    """The samples and the note, decoded in this process."""
    return _gathered(sound.pcm(content, seconds=seconds))


def _gathered(pieces: Iterator[bytes]) -> tuple[np.ndarray[Any, Any], str]:
    *samples, last = pieces
    assert all(piece.startswith(sound.SOUND) for piece in samples)
    assert last.startswith(sound.END)
    joined = b"".join(piece[1:] for piece in samples)
    return np.frombuffer(joined, np.int16), last[1:].decode()


def loudness(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of each tenth of a second."""
    tenths = samples[: len(samples) // 1600 * 1600].reshape(-1, 1600).astype(np.float64)
    return np.sqrt((tenths**2).mean(axis=1))


@pytest.mark.parametrize("kind", speech.KINDS)
def test_every_usual_container_gives_the_same_sound(kind: str, unpacker: Confined) -> None:
    said = speech.say(QUESTION)
    wanted, _ = unpacked(speech.encoded(said, "wav"))

    samples, note = _gathered(unpacker.stream("pcm", speech.encoded(said, kind), seconds=HOURS))

    assert note == ""
    assert len(samples) / sound.RATE == pytest.approx(said.seconds, abs=0.1)
    least = min(len(samples), len(wanted)) // 1600 * 1600
    assert np.corrcoef(loudness(samples[:least]), loudness(wanted[:least]))[0, 1] > 0.85


def test_two_channels_become_one() -> None:
    said = speech.say(QUESTION)
    both = np.repeat(said.samples, 2)
    head = speech.wav_header(rate=said.rate, channels=2, size=2 * len(both))

    samples, _ = unpacked(head + both.tobytes())

    assert len(samples) / sound.RATE == pytest.approx(said.seconds, abs=0.1)


def test_pieces_are_small() -> None:
    content = speech.encoded(speech.joined(*[speech.say(QUESTION)] * 8))

    assert max(map(len, sound.pcm(content, seconds=60))) < 2 * sound.PIECE


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is damaged"),
        (b"OggS" + bytes(500), "it is damaged"),
        (random.Random(4).randbytes(100_000), "it is damaged"),
        (speech.wav_header(rate=0) + bytes(32_000), "it is damaged"),
        (speech.wav_header(rate=1) + bytes(32_000), "it is damaged"),
        (speech.wav_header(rate=2**31 - 1) + bytes(32_000), "it is damaged"),
        (speech.wav_header(channels=0) + bytes(32_000), "it is damaged"),
        (speech.wav_header(channels=255) + bytes(32_000), "it has more than 8 channels"),
        (speech.wav_header(bits=0) + bytes(32_000), "its sound is of a kind that is not read here"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n", "it is damaged"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "it is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_sane_recording_is_refused(
    content: bytes, problem: str, unpacker: Confined
) -> None:
    with pytest.raises(Unreadable) as caught:
        list(unpacker.stream("pcm", content, seconds=HOURS))

    assert caught.value.problem == problem


def test_a_film_without_sound_says_so(unpacker: Confined) -> None:
    with pytest.raises(Unreadable, match=r"^it holds no sound$"):
        list(unpacker.stream("pcm", speech.silent_film(), seconds=HOURS))


@pytest.mark.parametrize("kind", ["ogg", "mp3", "webm", "flac", "aac", "wav"])
def test_what_was_there_before_a_recording_breaks_off_is_heard(kind: str) -> None:
    said = speech.say("What is the capital of France? Please tell me now.")
    content = speech.encoded(said, kind)

    samples, note = unpacked(content[: len(content) // 2])

    assert 0.1 < len(samples) / sound.RATE / said.seconds < 0.9
    if kind not in ("ogg", "wav"):  # these do not know how long they were
        assert "of it could be heard" in note or "breaks off after" in note


def test_a_broken_place_in_the_middle_does_not_end_a_recording() -> None:
    content = bytearray(speech.encoded(speech.say(QUESTION), "mp3"))
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)

    samples, _ = unpacked(bytes(content))

    assert len(samples) / sound.RATE > 0.8 * speech.say(QUESTION).seconds


def test_ten_hours_of_silence_are_refused_before_they_are_decoded(unpacker: Confined) -> None:
    content = speech.silent_ogg(36_000)

    with pytest.raises(Unreadable, match=r"^it is longer than 2 hours$"):
        next(iter(unpacker.stream("pcm", content, seconds=HOURS)))


def test_a_limit_is_not_passed_by_its_own_length() -> None:
    samples, note = unpacked(speech.silent_ogg(12.0), seconds=12.0)

    assert (len(samples), note) == (12 * sound.RATE, "")
    with pytest.raises(Unreadable, match=r"^it is longer than 10 seconds$"):
        unpacked(speech.silent_ogg(12.0), seconds=10.0)


def test_what_comes_out_counts_where_packets_do_not_tell_their_length() -> None:
    said = speech.joined(*[speech.say(QUESTION)] * 4)
    content = speech.hurried(said)

    with pytest.raises(Unreadable, match=r"^it is longer than 5 seconds$"):
        unpacked(content, seconds=5.0)
    samples, _ = unpacked(content)
    assert len(samples) / sound.RATE == pytest.approx(said.seconds, abs=0.2)


@pytest.mark.parametrize("claimed", [36_000.0, 0.0, -5.0])
def test_a_recording_that_lies_about_its_length_is_heard_for_what_it_is(claimed: float) -> None:
    said = speech.say(QUESTION)

    samples, _ = unpacked(speech.with_granule(speech.encoded(said), claimed))

    assert len(samples) / sound.RATE == pytest.approx(said.seconds, abs=1.1)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_does_not_know_its_size(size: int) -> None:
    samples, note = unpacked(speech.wav_header(size=size) + bytes(64_000), seconds=60)

    assert (len(samples), note) == (32_000, "")


def test_hurt_files_of_all_kinds_are_heard_or_refused_and_the_child_lives(
    unpacker: Confined,
) -> None:
    said = speech.say(QUESTION)
    unpacker.close()
    chance = random.Random(11)
    heard = 0
    problems = []
    for kind in speech.KINDS:
        for share in (0.001, 0.02):
            content = bytearray(speech.encoded(said, kind))
            for _ in range(max(1, int(len(content) * share))):
                content[chance.randrange(len(content))] = chance.randrange(256)
            try:
                with closing(unpacker.stream("pcm", bytes(content), seconds=60)) as pieces:  # type: ignore[type-var]
                    heard += len(list(pieces)) > 1
            except Unreadable as refused:
                problems.append(refused.problem)
    assert heard >= 5
    assert all(problem.startswith(("it ", "its ")) for problem in problems)
    samples, _ = _gathered(unpacker.stream("pcm", speech.encoded(said), seconds=60))
    assert len(samples) > sound.RATE


def test_a_voice_message_is_what_telegram_takes_for_one() -> None:
    said = speech.say(QUESTION)

    spoken, seconds = sound.opus(speech.encoded(said, "wav"), seconds=60)

    assert spoken.startswith(b"OggS")
    head = spoken[spoken.index(b"OpusHead") :]
    assert (head[8], head[9]) == (1, 1)  # version, one channel
    assert seconds == pytest.approx(said.seconds, abs=0.01)
    assert len(spoken) < 24_000 / 8 * 1.5 * seconds
    samples, note = unpacked(spoken)
    assert len(samples) / sound.RATE == pytest.approx(said.seconds, abs=0.01)
    assert note == ""


def test_the_same_speech_gives_the_same_bytes() -> None:
    said = speech.encoded(speech.say(QUESTION), "wav")

    assert sound.opus(said, seconds=60) == sound.opus(said, seconds=60)


def test_speech_is_cut_at_its_limit() -> None:
    _, seconds = sound.opus(speech.encoded(speech.say(QUESTION), "wav"), seconds=1.0)

    assert seconds == 1.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7200.0, "2 hours"), (600.0, "10 minutes"), (90.0, "90 seconds"), (60.0, "60 seconds")],
)
def test_limits_are_told_in_words(seconds: float, words: str) -> None:
    assert sound.length(seconds) == words


def test_made_speech_is_always_the_same() -> None:
    noisy = speech.noisy(speech.say(QUESTION), 10)

    for kind in speech.KINDS:
        assert speech.encoded(noisy, kind) == speech.encoded(noisy, kind)
