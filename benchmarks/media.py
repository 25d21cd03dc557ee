"""Media beside text: what readers at work cost those who only write, and what a repeat costs.

Real processes on one machine, as `road` has them; speech by espeak-ng, the built-in recogniser and
Tesseract. The same open loop of text messages runs before, while 50 voice notes that came at once
are read, and after; what is compared is the time it adds.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Mapping, Sequence

import uvloop

from benchmarks.road import EACH, Chat, Load, connect, disconnect, open_loop
from benchmarks.system import machine, running
from tests.media import pictures, speech

CHATS = 50
"""Conversations that only write."""
RATE = 20
"""Their messages a second."""
PIECES = ("what time is it", "how are you", "where are my keys", "do you like music", "stop it")
REPEATS = 20
MOST_MOVED = 1.5
MOST_REPEAT_MS = 20.0


def notes(count: int) -> Sequence[bytes]:
    """Voice notes of a few seconds, no two the same."""
    orders = itertools.islice(itertools.permutations(PIECES, 4), count)
    return [speech.encoded(speech.joined(*map(speech.say, order))) for order in orders]


async def upload(chat: Chat, content: bytes) -> str:
    async with chat.session.post("/api/v1/files", data=content) as answer:
        answer.raise_for_status()
        return str((await answer.json())["digest"])


async def sends(chat: Chat, digest: str, word: str, *, voice: bool) -> asyncio.Future[float]:
    """One message with a file; a future of the moment of its reply."""
    future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    chat.waiting[word] = future
    file = {"digest": digest, "voice": voice}
    body = {"conversation": chat.name, "text": word, "attachments": [file]}
    async with chat.session.post("/api/v1/messages", json=body) as answer:
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {await answer.text()}")
    return future


async def beside(arguments: argparse.Namespace) -> Mapping[str, object]:
    """Text alone, text while voice notes are read, text alone."""
    with running(config=EACH) as system:
        load = await connect(system, CHATS + arguments.notes)
        writers = Load(system, load.chats[:CHATS], load.direct)
        speakers = load.chats[CHATS:]
        made = await asyncio.to_thread(notes, arguments.notes + 1)
        (first, *digests) = [
            await upload(chat, content)
            for chat, content in zip((speakers[0], *speakers), made, strict=True)
        ]
        await (await sends(speakers[0], first, "warmup", voice=True))  # the readers are there
        await open_loop(writers, RATE, 3)

        seconds = arguments.seconds
        before = await open_loop(writers, RATE, seconds)
        used = system.cpu()
        began = time.perf_counter()
        answers = [
            await sends(chat, digest, f"note{number}", voice=True)
            for number, (chat, digest) in enumerate(zip(speakers, digests, strict=True))
        ]
        during = await open_loop(writers, RATE, seconds)
        left = sum(not answer.done() for answer in answers)
        await asyncio.wait(answers, timeout=300)
        took = max(answer.result() for answer in answers if answer.done()) - began
        reading = {role: round(sum_, 1) for role, sum_ in _since(used, system.cpu()).items()}
        after = await open_loop(writers, RATE, seconds)
        await disconnect(load)
    alone = statistics.mean((_p95(before), _p95(after)))
    return {
        "voice_notes": arguments.notes,
        "answered": sum(answer.done() for answer in answers),
        "still_reading_when_the_text_was_answered": left,
        "all_answered_after_s": round(took, 1),
        "cpu_s_by_role": reading,
        "text_alone_before": before,
        "text_beside": during,
        "text_alone_after": after,
        "p95_moved_by": round(_p95(during) / alone, 2),
        "target": MOST_MOVED,
    }


async def repeat(arguments: argparse.Namespace) -> Mapping[str, object]:
    """The same picture again, by itself and to the answer, against a message without one."""
    page = pictures.page(pictures.sentences(12))
    with running(config=EACH) as system:
        load = await connect(system, 1)
        (chat,) = load.chats
        # Somebody else's first picture starts the readers.
        other = await upload(chat, pictures.as_png(pictures.page(pictures.sentences(2, seed=2))))
        await (await sends(chat, other, "warmup", voice=False))
        digest = await upload(chat, pictures.as_png(page))
        took = [await _answered(chat, digest, f"picture{number}x") for number in range(REPEATS + 1)]
        bare = [await _answered(chat, "", f"text{number}x") for number in range(REPEATS)]
        await disconnect(load)
    again = statistics.median(took[1:]) - statistics.median(bare)
    return {
        "first_ms": round(1000 * took[0], 1),
        "repeat_to_answer_ms": round(1000 * statistics.median(took[1:]), 1),
        "text_to_answer_ms": round(1000 * statistics.median(bare), 1),
        "repeat_adds_ms": round(1000 * again, 1),
        "target_ms": MOST_REPEAT_MS,
        "first_to_repeat": round(took[0] / statistics.median(took[1:]), 1),
    }


async def _answered(chat: Chat, digest: str, word: str) -> float:
    began = time.perf_counter()
    if digest:
        answer = await sends(chat, digest, word, voice=False)
    else:
        _, answer = await chat.say(word)
    return await asyncio.wait_for(answer, 60) - began


def _p95(result: Mapping[str, object]) -> float:
    added = result["added_ms"]
    assert isinstance(added, dict)
    return float(added["p95"])


def _since(before: Mapping[str, float], after: Mapping[str, float]) -> Mapping[str, float]:
    return {role: used - before.get(role, 0.0) for role, used in after.items()}


SCENES = {"beside": beside, "repeat": repeat}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks media")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each open loop")
    parser.add_argument("--notes", type=int, default=50, help="voice notes at once")
    parser.add_argument("--only", choices=sorted(SCENES), action="append")
    arguments = parser.parse_args(argv)
    result: dict[str, object] = {"machine": machine()}
    for name in arguments.only or SCENES:
        result[name] = uvloop.run(SCENES[name](arguments))
    print(json.dumps(result, indent=None if arguments.json else 2))
