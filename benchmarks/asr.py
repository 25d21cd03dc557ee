"""Hearing: error rates on made speech, and our reader's time against bare faster-whisper.

Speech by espeak-ng, changed one thing at a time from a clear voice, 130 words a minute, ogg/opus.
The language model of "known" was made of the same sentences, "general" is the recogniser's own.
Whisper is one of random weights: what it says is noise, what it costs is not.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.system import machine
from multimodal.asr.reader import SoundReader
from multimodal.config import MediaConfig
from multimodal.jobs import Job
from tests.media import arpa, rates, speech, whisper

SENTENCES = """\
What is the capital of France
How far is it from the earth to the moon
Please tell me what the weather will be tomorrow
When does the next train to Berlin leave
Who wrote the first book about computers
How many people live in New York city
Open the door and turn on the light
Send a message to my brother please
What time does the meeting start today
I would like to know more about this machine
Can you remember what I said yesterday
Show me the list of all open questions
The water in the river is very cold
My sister has a small dog and two cats
We are going home on the last day of July
Write a short letter to the bank
Where can I find a good hotel near the station
Do you know the answer to this question
Stop talking and start a new conversation
The old man walked slowly across the street
How much does a new telephone cost
Read the first page of the book again""".splitlines()

Spoken = Callable[[str], bytes]

CONDITIONS: Mapping[str, Spoken] = {
    "clear voice (klatt4)": lambda text: speech.encoded(speech.say(text)),
    "voice f2": lambda text: speech.encoded(speech.say(text, "en-us+f2")),
    "voice f3": lambda text: speech.encoded(speech.say(text, "en-us+f3")),
    "voice en-us": lambda text: speech.encoded(speech.say(text, "en-us")),
    "voice en-gb": lambda text: speech.encoded(speech.say(text, "en-gb")),
    "noise 20 dB": lambda text: speech.encoded(speech.noisy(speech.say(text), 20)),
    "noise 10 dB": lambda text: speech.encoded(speech.noisy(speech.say(text), 10)),
    "noise 5 dB": lambda text: speech.encoded(speech.noisy(speech.say(text), 5)),
    "mp3": lambda text: speech.encoded(speech.say(text), "mp3"),
    "m4a": lambda text: speech.encoded(speech.say(text), "m4a"),
    "amr, 8 kHz": lambda text: speech.encoded(speech.say(text), "amr"),
    "wav": lambda text: speech.encoded(speech.say(text), "wav"),
    "100 words a minute": lambda text: speech.encoded(speech.say(text, speed=100)),
    "160 words a minute": lambda text: speech.encoded(speech.say(text, speed=160)),
    "200 words a minute": lambda text: speech.encoded(speech.say(text, speed=200)),
}
QUICK = ("clear voice (klatt4)", "voice en-us", "noise 10 dB", "amr, 8 kHz")
"""Conditions of a quick run, with every third sentence."""

LENGTHS = (5.0, 20.0, 120.0, 900.0)
"""Seconds of the recordings that are timed."""
MOST_OVERHEAD = 1.10


def built(**asr: Any) -> SoundReader:
    return SoundReader(MediaConfig.model_validate({"asr": asr}), lambda content: "")


def heard(reader: SoundReader, content: bytes) -> str:
    return reader.read(Job(id="1", kind="asr", tenant="t"), content).text


def accuracy(folder: Path, *, quick: bool) -> Mapping[str, object]:
    """Wrong, missing and added words per word said, and so for characters; CPU seconds per second
    of speech."""
    sentences = SENTENCES[::3] if quick else SENTENCES
    model = folder / "known.arpa"
    model.write_text(arpa.bigrams(SENTENCES))
    readers = {
        "general": built(reader="sphinx"),
        "known": built(reader="sphinx", language_model=str(model)),
    }
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for condition in QUICK if quick else CONDITIONS:
        recordings = [(text, CONDITIONS[condition](text)) for text in sentences]
        found[condition] = {name: _wrong(reader, recordings) for name, reader in readers.items()}
    pace = {name: _pace(reader, sentences) for name, reader in readers.items()}
    for reader in readers.values():
        reader.close()
    return {"sentences": len(sentences), "error_rates": found, "cpu_per_second": pace}


def _wrong(reader: SoundReader, recordings: Sequence[tuple[str, bytes]]) -> Mapping[str, float]:
    words = characters = all_words = all_characters = 0
    for text, content in recordings:
        wanted, got = arpa.words(text), heard(reader, content).split()
        words += rates.edits(wanted, got)
        characters += rates.edits(" ".join(wanted), " ".join(got))
        all_words += len(wanted)
        all_characters += len(" ".join(wanted))
    return {
        "words": round(words / all_words, 3),
        "characters": round(characters / all_characters, 3),
    }


def _pace(reader: SoundReader, sentences: Sequence[str]) -> float:
    content = speech.encoded(speech.joined(*map(speech.say, sentences)))
    seconds = sum(speech.say(text).seconds for text in sentences)
    before = _cpu()
    heard(reader, content)
    return round((_cpu() - before) / seconds, 3)


def speed(folder: Path, *, quick: bool) -> Mapping[str, object]:
    """Our reader, with its confined child, and faster-whisper alone, in turns on one recording."""
    model = str(whisper.build(folder / "whisper", width=384 if not quick else 256, layers=4))
    reader = built(model=model)
    bare = _bare(model)
    found = {}
    for seconds in LENGTHS[:3] if quick else LENGTHS:
        content = recording(seconds)
        ours, alone, ours_cpu, alone_cpu = [], [], [], []
        heard(reader, content)  # the child comes up, libraries are loaded
        bare(content)
        for _ in range(3 if quick else 5):
            for times, costs, hear in (
                (ours, ours_cpu, partial(heard, reader, content)),
                (alone, alone_cpu, partial(bare, content)),
            ):
                before, began = _cpu(), time.perf_counter()
                hear()
                times.append(time.perf_counter() - began)
                costs.append(_cpu() - before)
        ratio = min(ours_cpu) / min(alone_cpu)
        found[f"{seconds:g} s"] = {
            "ours_s": round(statistics.median(ours), 3),
            "bare_s": round(statistics.median(alone), 3),
            "real_time_factor": round(statistics.median(ours) / seconds, 4),
            "time_ratio": round(min(ours) / min(alone), 3),
            "cpu_ratio": round(ratio, 3),
            "within": ratio <= MOST_OVERHEAD,
        }
    found_memory = {} if quick else {"held_mib": _held(reader, recording(3600.0))}
    reader.close()
    return {"lengths": found, **found_memory}


def recording(seconds: float) -> bytes:
    """Sentences with a pause after every fourth."""
    said = [speech.say(text) for text in SENTENCES]
    for at in range(len(said) - len(said) % 4, 0, -4):
        said.insert(at, speech.silence(1.2, said[0].rate))
    once = speech.joined(*said)
    whole = speech.joined(*[once] * (1 + int(seconds / once.seconds)))
    return speech.encoded(speech.Sound(whole.samples[: int(seconds * whole.rate)], whole.rate))


def _bare(model: str) -> Callable[[bytes], None]:
    """As its own documentation has it, with the settings that ours has."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    loaded = WhisperModel(model, device="cpu", cpu_threads=1, local_files_only=True)
    batched = BatchedInferencePipeline(loaded)

    def hear(content: bytes) -> None:
        if len(content) < 30 * 3_500:  # of opus at 24 kbit/s
            segments, _ = loaded.transcribe(io.BytesIO(content), vad_filter=True)
        else:
            segments, _ = batched.transcribe(io.BytesIO(content), batch_size=4)
        list(segments)

    return hear


def _cpu() -> float:
    """Of this process and its children, living and gone."""
    process = psutil.Process()
    own = process.cpu_times()
    used = own.user + own.system
    for child in process.children(recursive=True):
        times = child.cpu_times()
        used += times.user + times.system
    return used


def _held(reader: SoundReader, content: bytes) -> float:
    """Most memory above what there was before, while an hour is heard."""
    gc.collect()
    process = psutil.Process()
    before = most = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.05):
            most = max(most, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    heard(reader, content)
    done.set()
    watcher.join()
    return round((most - before) / 2**20, 1)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks asr")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="some conditions, fewer sentences")
    parser.add_argument("--only", choices=("accuracy", "speed"), action="append")
    arguments = parser.parse_args(argv)
    result: dict[str, object] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        for name, scene in (("accuracy", accuracy), ("speed", speed)):
            if name in (arguments.only or ("accuracy", "speed")):
                result[name] = scene(Path(folder), quick=arguments.quick)
    print(json.dumps(result, indent=None if arguments.json else 2))
