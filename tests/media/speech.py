"""Speech made by espeak-ng, with noise and in the containers people send; the same each time."""

from __future__ import annotations

import functools
import io
import struct
import subprocess
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

CLEAR = "en-us+klatt4"
"""The voice that the small recogniser understands best."""


@dataclass(frozen=True)
class Sound:
    """One channel of signed 16 bit samples."""

    samples: npt.NDArray[np.int16]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@functools.lru_cache(maxsize=64)
def say(text: str, voice: str = CLEAR, speed: int = 130) -> Sound:
    command = ["espeak-ng", "--stdin", "--stdout", "-b1", f"-v{voice}", f"-s{speed}"]
    made = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    rate = int.from_bytes(made[24:28], "little")
    return Sound(np.frombuffer(made[44:], np.int16), rate)


def silence(seconds: float, rate: int = 16_000) -> Sound:
    return Sound(np.zeros(int(seconds * rate), np.int16), rate)


def hiss(seconds: float, level: int, rate: int = 16_000) -> Sound:
    """Noise alone; `level` is its standard deviation."""
    noise = np.random.default_rng(2).normal(0.0, level, int(seconds * rate))
    return Sound(noise.astype(np.int16), rate)


def joined(*sounds: Sound) -> Sound:
    rate = sounds[0].rate
    assert all(sound.rate == rate for sound in sounds)
    return Sound(np.concatenate([sound.samples for sound in sounds]), rate)


def noisy(sound: Sound, decibels: float, seed: int = 1) -> Sound:
    """White noise so many decibels below the mean power of the speech."""
    clean = sound.samples.astype(np.float64)
    power = np.mean(clean**2) / 10 ** (decibels / 10)
    noise = np.random.default_rng(seed).normal(0.0, np.sqrt(power), len(clean))
    return Sound(np.clip(clean + noise, -32768, 32767).astype(np.int16), sound.rate)


KINDS = {
    "ogg": ("ogg", "libopus", 48_000, 24_000),
    "mp3": ("mp3", "libmp3lame", 44_100, 48_000),
    "m4a": ("ipod", "aac", 44_100, 48_000),
    "aac": ("adts", "aac", 44_100, 48_000),
    "wav": ("wav", "pcm_s16le", 16_000, 0),
    "flac": ("flac", "flac", 16_000, 0),
    "webm": ("webm", "libopus", 48_000, 24_000),
    "mkv": ("matroska", "libopus", 48_000, 24_000),
    "amr": ("amr", "libopencore_amrnb", 8_000, 12_200),
    "mp4": ("mp4", "aac", 44_100, 48_000),
}
"""Container, codec, rate and bits a second by the ending of the name. A ``mp4`` has a picture."""


def encoded(sound: Sound, kind: str = "ogg") -> bytes:
    form, codec, rate, bits = KINDS[kind]
    target = io.BytesIO()
    flags = {"fflags": "+bitexact"}  # no random serial numbers, no dates
    with av.open(target, "w", format=form, container_options=flags) as container:
        voice: Any = container.add_stream(codec, rate=rate)
        voice.codec_context.layout = "mono"
        if bits:
            voice.codec_context.bit_rate = bits
        film: Any = None
        if kind == "mp4":
            film = container.add_stream("mpeg4", rate=10)
            film.width = film.height = 64
            film.pix_fmt = "yuv420p"
        frame = av.AudioFrame.from_ndarray(
            sound.samples.reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = sound.rate
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
        if film is not None:
            for number in range(int(sound.seconds * 10)):
                grey = np.full((64, 64, 3), number % 256, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
                picture.pts = number
                container.mux(film.encode(picture))
            container.mux(film.encode(None))
    return target.getvalue()


def hurried(sound: Sound) -> bytes:
    """An MP4 whose tables say that all of it is over in no time."""
    source, target = io.BytesIO(encoded(sound, "m4a")), io.BytesIO()
    options = {"use_editlist": "0"}
    with (
        av.open(source) as container,
        av.open(target, "w", format="ipod", container_options=options) as made,
    ):
        stream = container.streams.audio[0]
        copy = made.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if packet.size:
                packet.pts = packet.dts = 2 * number
                packet.duration = 2
                packet.stream = copy
                made.mux(packet)
    return target.getvalue()


def silent_film(frames: int = 10) -> bytes:
    """A film without sound."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        film: Any = container.add_stream("mpeg4", rate=10)
        film.width = film.height = 64
        film.pix_fmt = "yuv420p"
        for _ in range(frames):
            container.mux(film.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(film.encode(None))
    return target.getvalue()


def wav_header(
    *, rate: int = 16_000, channels: int = 1, bits: int = 16, size: int = 0, form: int = 1
) -> bytes:
    """What it says need not be true."""
    frame = max(channels * bits // 8, 1)
    inner = struct.pack(
        "<HHIIHH", form, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", len(inner)) + inner + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", (len(body) + size) & 0xFFFFFFFF) + body


def silent_ogg(seconds: float) -> bytes:
    """Opus packets of 120 ms of nothing, two bytes each: ten hours in a megabyte."""
    quiet = bytes((31 << 3 | 3, 6))  # six frames of 20 ms, none with content
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    packets = max(1, int(seconds / 0.12))
    pages = [_page([head], 0, 0, begin=True), _page([tags], 0, 1)]
    for first in range(0, packets, 255):
        count = min(255, packets - first)
        last = first + count == packets
        granule = (first + count) * 5_760
        pages.append(_page([quiet] * count, granule, len(pages), end=last))
    return b"".join(pages)


def with_granule(ogg: bytes, seconds: float) -> bytes:
    """The same recording, whose last page says that it ends at `seconds`."""
    at = ogg.rindex(b"OggS")
    page = bytearray(ogg[at:])
    page[6:14] = struct.pack("<q", int(seconds * 48_000))
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", _checksum(bytes(page)))
    return ogg[:at] + bytes(page)


def _page(
    packets: list[bytes], granule: int, number: int, *, begin: bool = False, end: bool = False
) -> bytes:
    flags = 2 * begin + 4 * end
    head = b"OggS" + struct.pack("<BBqIIIB", 0, flags, granule, 1, number, 0, len(packets))
    page = head + bytes(map(len, packets)) + b"".join(packets)
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


@functools.cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


def _checksum(page: bytes) -> int:
    """Ogg's own: the polynomial of CRC-32, but not reflected."""
    table, value = _table(), 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value
