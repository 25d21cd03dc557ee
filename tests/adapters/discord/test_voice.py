"""What is read from a recording without hearing it."""

from __future__ import annotations

import base64

import pytest

from adapters.discord.voice import look
from tests.adapters.discord.ogg import opus


@pytest.mark.parametrize("seconds", [0.02, 1.0, 2.5, 60.0])
def test_it_is_as_long_as_it_sounds(seconds: float) -> None:
    found = look(opus(seconds))
    assert found is not None
    assert found.seconds == pytest.approx(seconds)
    assert 1 <= len(base64.b64decode(found.waveform)) <= 256


def test_it_looks_as_loud_as_its_packets_are_large() -> None:
    found = look(opus(0.08, sizes=(10, 40, 20, 300)))
    assert found is not None
    assert list(base64.b64decode(found.waveform)) == [8, 34, 17, 255]


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_a_cut_recording_breaks_nothing(length: int) -> None:
    look(opus(1.0)[:length])


@pytest.mark.parametrize(
    "content",
    [b"", b"OggS", b"OpusHead", opus(1.0).replace(b"OpusHead", b"vorbis__"), bytes(1000)],
)
def test_anything_else_is_no_recording(content: bytes) -> None:
    assert look(content) is None
