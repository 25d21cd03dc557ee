"""Settings of the media road: what is read, by which reader, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from config.fields import Duration, Phrases, Section, Size
from gateway.message import Attachment

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}(_[a-z_]{2,12})?$")]
"""As Tesseract names it: eng, deu, chi_sim."""


class OcrConfig(Section):
    """Text in pictures and scanned pages, by Tesseract."""

    reader: Literal["auto", "tesserocr", "pytesseract"] = Field(
        default="auto",
        description="auto keeps a resident handle by tesserocr where it is installed, else it "
        "starts the tesseract program by pytesseract.",
    )
    languages: tuple[Language, ...] = Field(
        default=("eng",),
        min_length=1,
        max_length=8,
        description="Languages to expect, by Tesseract's names; each needs its data, e.g. the "
        "package tesseract-ocr-deu.",
    )
    detect: bool = Field(
        default=False,
        description="Find out the script of a picture first, and read it with those installed "
        "languages that are written in it.",
    )
    tessdata: Path | None = Field(
        default=None, description="Folder of Tesseract's data. By default the system's."
    )
    least_confidence: int = Field(
        default=60,
        ge=0,
        le=100,
        description="Below this mean confidence the text is marked as doubtful.",
    )
    picture: int = Field(
        default=1568,
        ge=256,
        le=4096,
        description="Longest side of the copy shown to models that see.",
    )


class AsrConfig(Section):
    """Speech in voice messages, recordings and films."""

    reader: Literal["auto", "whisper", "sphinx"] = Field(
        default="auto",
        description="auto takes faster-whisper where a model is set and there, else the small "
        "built-in recogniser (English only, for quiet and clear speech).",
    )
    model: str = Field(
        default="",
        description="For faster-whisper: a folder in CTranslate2 format, or a name such as small.",
    )
    download: bool = Field(
        default=False, description="Fetch a model given by name from the hub when it is not there."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the model runs."
    )
    compute_type: str = Field(
        default="default", description="Number format of the model, e.g. int8, float16."
    )
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of one recogniser.")
    batch: int = Field(
        default=4, ge=1, le=64, description="Pieces of a long recording heard at once."
    )
    language: str = Field(
        default="",
        pattern=r"^([a-z]{2,3})?$",
        description="Spoken language, e.g. de. Empty: detected.",
    )
    vad: bool = Field(default=True, description="Leave out what is silent.")
    timestamps: bool = Field(
        default=True,
        description="Begin paragraphs of recordings longer than two minutes with their time.",
    )
    language_model: Path | None = Field(
        default=None,
        description="For the built-in recogniser: a language model (ARPA) of what people say to "
        "you, which makes it far better.",
    )


class DocumentsConfig(Section):
    """PDF, office files, web pages, mails, tables and archives of those."""

    max_text: int = Field(
        default=40_000,
        ge=1_000,
        le=400_000,
        description="Longest text of one file in characters. Of a longer one the first three "
        "quarters and the last quarter of it are kept, and it is said what was left out.",
    )
    pages: int = Field(
        default=200, ge=1, le=5_000, description="Most pages of one file that are read."
    )
    scanned_pages: int = Field(
        default=20, ge=0, le=500, description="Most pages without text that are read by OCR."
    )
    rows: int = Field(default=2_000, ge=10, description="Most rows of one sheet that are read.")
    members: int = Field(
        default=50, ge=1, le=1_000, description="Most files read from one archive."
    )


class SpeechConfig(Section):
    """Voice answers."""

    mode: Literal["off", "request", "mirror", "always"] = Field(
        default="request",
        description="off: never. request: where somebody asked for it by /voice on. mirror: voice "
        "is answered by voice, too. always: every answer. /voice changes it in one conversation.",
    )
    reader: Literal["espeak", "command"] = Field(
        default="espeak", description="espeak-ng, or a program of yours."
    )
    voice: str = Field(default="en-us", description="Voice of espeak-ng, e.g. de, en-us+f2.")
    speed: int = Field(default=160, ge=80, le=450, description="Words per minute of espeak-ng.")
    command: tuple[str, ...] = Field(
        default=(),
        description="Program that reads text from its input and writes a WAV file to its output, "
        "e.g. [piper, --model, /models/de.onnx, --output_file, '-'].",
    )
    max_text: int = Field(
        default=1_500, ge=50, le=20_000, description="Longer answers are sent as text alone."
    )
    timeout: Duration = Field(
        default=20.0, gt=0, le=300, description="Longest time an answer waits for its voice."
    )

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not value[0].strip():
            raise ValueError("begins with the name of a program")
        return value


class MediaLimits(Section):
    """What one file may cost before it is refused."""

    size: Size = Field(default=100 * 2**20, gt=0, description="Bytes of a file that is opened.")
    pixels: int = Field(
        default=50_000_000, ge=10_000, le=200_000_000, description="Pixels of a picture, unpacked."
    )
    seconds: Duration = Field(
        default=7200.0, gt=0, description="Length of a recording. Of a longer one nothing is read."
    )
    unpacked: Size = Field(
        default=200 * 2**20, gt=0, description="Bytes that come out of one archive or office file."
    )
    memory: Size = Field(
        default=768 * 2**20, ge=128 * 2**20, description="Memory of a process that unpacks a file."
    )
    cpu: Duration = Field(default=20.0, gt=0, le=600, description="CPU time to unpack one file.")


class TenantLimits(Section):
    """What one tenant may have read within an hour; 0 for no limit. What was read before counts
    only once."""

    files: int = Field(default=600, ge=0, description="Files an hour.")
    audio: Duration = Field(default=7200.0, ge=0, description="Seconds of speech an hour.")
    pages: int = Field(default=1_000, ge=0, description="Pictures and pages an hour.")


Readable = Literal["image", "voice", "audio", "video", "document"]


class MediaConfig(Section):
    """Voice, pictures and documents: read before the model is asked."""

    read: tuple[Readable, ...] = Field(
        default=("image", "voice", "audio", "video", "document"),
        description="What is read. Of anything else user and model are told that it was not.",
    )
    deadline: Duration = Field(
        default=180.0,
        gt=0,
        le=3600,
        description="Longest time a message waits for its files to be read.",
    )
    remember: Duration = Field(
        default=86_400.0,
        ge=0,
        description="How long what was read from a file is kept, for when it comes again.",
    )
    processes: int = Field(
        default=1, ge=1, le=64, description="Readers that one moltgate media runs at once."
    )
    idle: Duration = Field(
        default=300.0, gt=0, description="After so long without work moltgate run ends its reader."
    )
    broker: str = Field(
        default="",
        repr=False,
        description="Redis server of the jobs, redis://… or unix:///…. By default the gateway's "
        "own; needed with Redis Cluster.",
    )
    heard_as: Phrases = Field(
        default=(),
        description="Names by which people call the bot when they speak: a voice message in a "
        "group that holds one is meant for it. Empty: voice messages in groups are not heard.",
    )
    ocr: OcrConfig = OcrConfig()
    asr: AsrConfig = AsrConfig()
    documents: DocumentsConfig = DocumentsConfig()
    speech: SpeechConfig = SpeechConfig()
    limits: MediaLimits = MediaLimits()
    per_tenant: TenantLimits = TenantLimits()

    @field_validator("broker")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("begins with redis://, rediss:// or unix://")
        return value

    def reads(self, attachment: Attachment) -> bool:
        return attachment.kind in self.read
