"""Sound of any usual kind to 16 kHz mono, and our own speech to ogg/opus.

`pcm` runs in a confined child: what it is given comes from strangers. It opens bytes in memory and
nothing else, with lists of what may be parsed and decoded, and counts what really comes out. What
a file says of its own length is never believed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
from av.audio.resampler import AudioResampler

from multimodal.errors import Unreadable

RATE = 16_000
"""Samples a second of what `pcm` yields: signed 16 bit, one channel."""

SOUND, END = b"s", b"e"
"""First byte of each piece of `pcm`: samples, or the last piece with a note in words."""

PIECE = 2 * 2 * RATE
"""Bytes of one piece: two seconds."""

MOST_CHANNELS = 8
LEAST_RATE, MOST_RATE = 4_000, 192_000
FAULTS = 200
"""Broken packets after which nothing more is expected of a file."""

FORMATS = (
    "aac ac3 aiff amr amrnb amrwb asf au avi caf eac3 flac flv gsm m4a matroska mov mp3 mpeg mpegts"
    " ogg w64 wav webm wv"
).split()
CODECS = frozenset(
    "aac aac_latm ac3 adpcm_ima_qt adpcm_ima_wav adpcm_ms alac amrnb amrwb eac3 flac gsm gsm_ms mp1"
    " mp1float mp2 mp2float mp3 mp3float opus libopus pcm_alaw pcm_f32be pcm_f32le pcm_f64le"
    " pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32be pcm_s32le pcm_s8 pcm_u8 speex"
    " libspeex vorbis libvorbis wavpack wmav1 wmav2 libopencore_amrnb libopencore_amrwb".split()
)

_OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "codec_whitelist": ",".join(sorted(CODECS)),
    "protocol_whitelist": "",
    "probesize": "1000000",
    "analyzeduration": "5000000",
    "max_streams": "32",
}

# What ffmpeg and PyAV raise over files that lie; anything else is a fault of ours.
_BROKEN = (av.error.FFmpegError, ValueError, ArithmeticError, EOFError)


def warm_up() -> None:
    """Decode once what we encoded ourselves, so that every library is loaded."""
    spoken, _ = opus(_silence(), seconds=1.0)
    for _ in pcm(spoken, seconds=1.0):
        pass


def pcm(content: bytes, *, seconds: float, rate: int = RATE) -> Iterator[bytes]:
    """Raises `Unreadable`; the length is looked at before the first piece where packets tell it."""
    _refuse_long(content, seconds)
    most = int((seconds + 1.0) * rate)
    made = 0
    note = ""
    piece = bytearray(SOUND)
    with _open(content) as container:
        stream = _stream(container)
        claimed = _claimed(container, stream)
        frames = _Frames(container, stream, most)
        for samples in _resampled(frames, rate):
            made += len(samples) // 2
            if made > most:
                raise Unreadable(f"it is longer than {length(seconds)}")
            piece += samples
            if len(piece) > PIECE:
                yield bytes(piece)
                piece = bytearray(SOUND)
        if made == 0:
            raise Unreadable("it is damaged" if frames.broken else "it holds no sound")
        if len(piece) > 1:
            yield bytes(piece)
        heard = made / rate
        if frames.broken:
            note = f"the recording is damaged; {clock(heard)} of it could be heard"
        elif claimed > heard * 1.05 + 2.0:
            note = f"the recording breaks off after {clock(heard)}"
    yield END + note.encode()


def opus(content: bytes, *, seconds: float, bit_rate: int = 24_000) -> tuple[bytes, float]:
    """A WAV of ours as a voice message, ogg/opus in one channel, and its seconds. Of a longer one
    the beginning. Raises `Unreadable`."""
    target = io.BytesIO()
    most = int(seconds * 48_000)
    made = 0
    with (
        _open(content) as source,
        # The same text gives the same bytes: no random serial number.
        av.open(target, "w", format="ogg", container_options={"fflags": "+bitexact"}) as container,
    ):
        voice = container.add_stream("libopus", rate=48_000, options={"application": "voip"})
        voice.codec_context.layout = "mono"
        voice.codec_context.bit_rate = bit_rate
        voice.codec_context.thread_count = 1
        frames = _Frames(source, _stream(source), most)
        for samples in _resampled(frames, 48_000):
            samples = samples[: 2 * (most - made)]
            if not samples:
                break
            frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
            frame.planes[0].update(samples)
            frame.sample_rate = 48_000
            frame.pts = made
            made += frame.samples
            container.mux(voice.encode(frame))
        if made == 0:
            raise Unreadable("it holds no sound")
        container.mux(voice.encode(None))
    return target.getvalue(), made / 48_000


def length(seconds: float) -> str:
    """A limit in words: ``2 hours``, ``90 seconds``."""
    for unit, name in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= unit * 2 and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:g} seconds"


def clock(seconds: float) -> str:
    """``2:05``, ``1:02:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _open(content: bytes) -> av.container.InputContainer:
    try:
        return av.open(io.BytesIO(content), "r", options=_OPTIONS, metadata_errors="ignore")
    except _BROKEN as problem:
        raise Unreadable("it is damaged") from problem


def _stream(container: av.container.InputContainer) -> av.AudioStream:
    if not container.streams.audio:
        raise Unreadable("it holds no sound")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None or context.codec.name not in CODECS:
        raise Unreadable("its sound is of a kind that is not read here")
    context.thread_count = 1
    if context.sample_rate and not LEAST_RATE <= context.sample_rate <= MOST_RATE:
        raise Unreadable("it is damaged")
    if context.channels > MOST_CHANNELS:
        raise Unreadable(f"it has more than {MOST_CHANNELS} channels")
    return stream


def _claimed(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Only good for saying that something is missing."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.duration is None else container.duration / av.time_base


def _refuse_long(content: bytes, seconds: float) -> None:
    """Adds up the packets without decoding them: two hours must not be heard to learn that there
    is a third one. In ogg, AMR, MP3 and FLAC a packet's length is in its own first bytes."""
    with _open(content) as container:
        stream = _stream(container)
        if stream.time_base is None:
            return
        most = int((seconds + 1.0) / stream.time_base)
        total = 0
        try:
            for packet in container.demux(stream):
                total += max(0, packet.duration or 0)
                if total > most:
                    raise Unreadable(f"it is longer than {length(seconds)}")
        except _BROKEN:
            return  # decoding will say what is wrong with it


class _Frames:
    """Decodes what can be decoded, and counts what cannot."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.AudioStream, most: int
    ) -> None:
        self._container = container
        self._stream = stream
        # The shortest packets in use hold 2.5 ms. A file of empty ones is not worth more time.
        self._packets = most // (RATE // 1000) + 10_000
        self.broken = 0

    def __iter__(self) -> Iterator[av.AudioFrame]:
        packets = self._container.demux(self._stream)
        while self.broken < FAULTS and self._packets > 0:
            self._packets -= 1
            try:
                packet = next(packets)
            except StopIteration:
                return
            except _BROKEN:
                self.broken += 1
                return
            try:
                frames = packet.decode()
            except _BROKEN:
                self.broken += 1
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and self._sane(frame):
                    yield frame

    def _sane(self, frame: av.AudioFrame) -> bool:
        """A stream may change its mind in the middle."""
        sane = (
            LEAST_RATE <= frame.sample_rate <= MOST_RATE
            and 1 <= frame.layout.nb_channels <= MOST_CHANNELS
        )
        self.broken += not sane
        return sane


def _resampled(frames: _Frames, rate: int) -> Iterator[bytes]:
    """Samples in one channel, signed 16 bit."""
    resampler, form = None, None
    for frame in frames:
        frame.pts = None  # time stamps lie, and the resampler believes them
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != form:
            if resampler is not None:
                yield from _samples(resampler, None)
            resampler, form = AudioResampler(format="s16", layout="mono", rate=rate), now
        if resampler is not None:
            yield from _samples(resampler, frame)
    if resampler is not None:
        yield from _samples(resampler, None)


def _samples(resampler: AudioResampler, frame: av.AudioFrame | None) -> Iterator[bytes]:
    for made in resampler.resample(frame):
        yield bytes(made.planes[0])[: 2 * made.samples]


def _silence() -> bytes:
    """A tenth of a second as WAV."""
    samples = bytes(2 * RATE // 10)
    size = len(samples)
    return b"".join(
        (
            b"RIFF", (36 + size).to_bytes(4, "little"), b"WAVEfmt ", (16).to_bytes(4, "little"),
            (1).to_bytes(2, "little"), (1).to_bytes(2, "little"), RATE.to_bytes(4, "little"),
            (2 * RATE).to_bytes(4, "little"), (2).to_bytes(2, "little"),
            (16).to_bytes(2, "little"), b"data", size.to_bytes(4, "little"), samples,
        )
    )  # fmt: skip
