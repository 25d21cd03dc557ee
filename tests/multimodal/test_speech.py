"""What of an answer is said, and what becomes of it when nobody can say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ports import Voice
from multimodal.config import MediaConfig
from multimodal.jobs import Job, Reading
from multimodal.speech import Speaker, speakable
from tests.fakes.clock import MovedClock
from tests.fakes.desk import Counts, FakeDesk

VOICE = Reading(digest="ab" * 32, size=1234, audio=2.5, seconds=0.3)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Hello, **Ada**!", "Hello, Ada!"),
        ("one\ntwo", "one two."),
        ("# Title\n\nText", "Title. Text."),
        ("- milk\n- *two* eggs", "milk. two eggs."),
        ("Run this:\n\n```sh\nrm -rf /\n```\n\nThen wait.", "Run this: Then wait."),
        ("    indented code", ""),
        ("Type `ls -l` there", "Type ls -l there."),
        ("See [the page](https://example.org/x) for more", "See the page for more."),
        ("See https://example.org/a?b=c for more.", "See for more."),
        ("Write to <ada@example.org>", "Write to."),
        ("![a cat](https://example.org/cat.png)", "a cat."),
        ("| a | b |\n| - | - |\n| 1 | 2 |", "a, b. 1, 2."),
        ("> quoted\n\n---\n\nanswered", "quoted. answered."),
        ("Well done 🎉", "Well done."),
        ("2 < 3 # really", "2 3 really."),
        ("你好。", "你好。"),
        ("🎉 ***", ""),
        ("   ", ""),
    ],
)
def test_what_is_said_of_an_answer_is_as_in_the_table(written: str, said: str) -> None:
    assert speakable(written) == said


@pytest.mark.parametrize("unit", ["a", "@", "a@", ".@", "a@a", "www", "*a_", "|a", "[a]("])
def test_what_is_made_to_be_hard_takes_no_minutes(unit: str) -> None:
    """A worker answers many; whoever holds it up has all their leases run out."""
    speakable(unit * 20_000)


@given(st.text(alphabet="ab *_`#[]()<>|\n-~!.\\1&é😀\u202e", max_size=200))
def test_nothing_breaks_it_and_no_marks_are_said(written: str) -> None:
    said = speakable(written)
    assert not set("*_`~|<>#\\") & set(said)
    assert said == " ".join(said.split())


class House:
    def __init__(self) -> None:
        self.desk = FakeDesk()
        self.desk.reads = lambda job: VOICE
        self.counts = Counts()
        config = MediaConfig(speech={"max_text": 60, "timeout": 7})  # type: ignore[arg-type]
        self.speaker = Speaker(self.desk, MovedClock(), config, self.counts)


async def test_a_voice_message_comes_back() -> None:
    house = House()
    voice: Voice = house.speaker
    said = await voice.speak("**Hello** Ada", "main")
    assert said is not None
    assert (said.kind, said.media_type, said.digest) == ("voice", "audio/ogg", VOICE.digest)
    assert (said.size, said.duration) == (1234, 2.5)
    (job,) = house.desk.asked
    assert (job.kind, job.text, job.tenant) == ("tts", "Hello Ada.", "main")
    assert house.desk.given == [7]
    assert house.counts.ended == [("tts", "read")]
    assert house.counts.worked == [("tts", 0.3, 2.5, 0)]


@pytest.mark.parametrize("text", ["word " * 20, "```\ncode\n```", ""])
async def test_what_is_too_long_or_cannot_be_said_asks_nobody(text: str) -> None:
    house = House()
    assert await house.speaker.speak(text, "main") is None
    assert house.desk.asked == []


async def test_a_voice_that_is_late_away_or_broken_is_left_out() -> None:
    house = House()
    house.desk.late.add("")
    assert await house.speaker.speak("hello", "main") is None
    house.desk.late.clear()
    house.desk.away = 1
    assert await house.speaker.speak("hello", "main") is None
    house.desk.reads = unable
    assert await house.speaker.speak("hello", "main") is None
    assert [outcome for _, outcome in house.counts.ended] == ["late", "failed", "failed"]


def unable(job: Job) -> Reading:
    return Reading(problem="there is no voice here", passing=True)
