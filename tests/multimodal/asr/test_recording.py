from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from multimodal.asr.recording import Recording
from multimodal.confined.sound import END, RATE, SOUND


def seconds(count: int, level: int = 1000) -> bytes:
    return SOUND + np.full(count * RATE, level, np.int16).tobytes()


def test_pieces_are_read_to_their_end() -> None:
    """One that is left waiting for a last word is a child that is ended with every recording."""
    ended = []

    def pieces() -> Iterator[bytes]:
        yield seconds(1)
        yield END + b"it breaks off"
        ended.append(True)

    recording = Recording(pieces())
    recording.fill(5.0)

    assert (recording.over, recording.note, ended) == (True, "it breaks off", [True])
    assert recording.seconds == 1.0


def test_only_what_is_asked_for_is_held() -> None:
    recording = Recording(seconds(2) for _ in range(1000))

    recording.fill(3.0)
    recording.take(RATE)

    assert (recording.start, recording.seconds) == (1.0, 4.0)
    assert not recording.over


def test_it_is_cut_where_it_is_quiet() -> None:
    recording = Recording(iter([seconds(6), seconds(1, 0), seconds(3), seconds(9)]))
    recording.fill(10.0)

    assert 6.0 < recording.pause(5.0) / RATE < 7.0


def test_the_rest_is_not_cut() -> None:
    recording = Recording(iter([seconds(2), END]))
    recording.fill(10.0)

    assert recording.pause(5.0) == 2 * RATE
