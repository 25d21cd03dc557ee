"""Station 5: what becomes of a message's files, whatever the readers and the stores do."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Failed
from gateway.message import Attachment, Inbound
from gateway.ports import Enricher
from gateway.reading import noted
from multimodal.config import MediaConfig, Readable, TenantLimits
from multimodal.jobs import Job, Reading
from multimodal.pipeline import BROKEN, LATE, NOT_NOW, NoReaders, Readers
from tests.builders import message
from tests.fakes.clock import HastyClock, MovedClock
from tests.fakes.desk import Counts, FakeDesk
from tests.fakes.stores import MemoryRecords

DIGEST = "ab" * 32


def file(kind: str = "image", digest: str = DIGEST, **more: Any) -> Attachment:
    return Attachment(kind=kind, digest=digest, **more)  # type: ignore[arg-type]


def carrying(*files: Attachment, native: str = "1", tenant: str = "main") -> Inbound:
    return message(native, attachments=files, tenant=tenant)


class House:
    """Readers with everything they need, which may be started anew."""

    def __init__(self, **config: Any) -> None:
        self.clock = MovedClock()
        self.records = MemoryRecords(self.clock.now)
        self.desk = FakeDesk()
        self.counts = Counts()
        self.config = MediaConfig(**config)
        self.readers = self.start()

    def start(self) -> Readers:
        return Readers(self.desk, self.records, self.clock, self.config, self.counts)

    async def read(self, *files: Attachment, **more: Any) -> tuple[Attachment, ...]:
        return (await self.readers.enrich(carrying(*files, **more))).attachments

    async def problem(self, *files: Attachment, **more: Any) -> str:
        (one,) = await self.read(*files, **more)
        return one.problem


@pytest.fixture
def house() -> House:
    return House()


def test_both_are_enrichers(house: House) -> None:
    enrichers: list[Enricher] = [house.readers, NoReaders()]
    assert enrichers


async def test_what_was_read_goes_into_the_attachment(house: House) -> None:
    house.desk.reads = lambda job: Reading(
        text=" a cat\n", note="doubtful", reader="tesseract 5 (eng)", picture="cd" * 32
    )
    (one,) = await house.read(file(name="cat.png"))
    assert (one.text, one.note, one.reader, one.picture, one.problem) == (
        "a cat",
        "doubtful",
        "tesseract 5 (eng)",
        "cd" * 32,
        "",
    )
    assert (one.name, one.digest) == ("cat.png", DIGEST)


async def test_a_message_without_files_asks_nobody(house: House) -> None:
    house.records.down = True
    text = message("1")
    assert await house.readers.enrich(text) is text
    assert house.desk.asked == []


async def test_all_files_of_a_message_are_read_at_once(house: House) -> None:
    house.desk.open.clear()
    reading = asyncio.create_task(house.read(*(file(digest=str(n) * 64) for n in range(5))))
    async with asyncio.timeout(30):
        while len(house.desk.asked) < 5:
            await asyncio.sleep(0)
    house.desk.open.set()
    assert [one.text[-1] for one in await reading] == list("01234")


async def test_a_file_the_adapter_could_not_fetch_keeps_its_problem(house: House) -> None:
    assert await house.problem(file(digest="", problem="it is too large")) == "it is too large"
    assert await house.problem(file(digest="")) != ""
    assert house.desk.asked == []


@pytest.mark.parametrize("kind", get_args(Readable))
async def test_what_is_not_to_be_read_says_so(kind: str) -> None:
    others = tuple(one for one in get_args(Readable) if one != kind)
    house = House(read=others)
    assert "not read here" in await house.problem(file(kind))
    assert house.desk.asked == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [("image", "no text"), ("voice", "no speech"), ("document", "there is no text")],
)
async def test_a_file_with_nothing_in_it_says_so(house: House, kind: str, says: str) -> None:
    house.desk.reads = lambda job: Reading()
    (one,) = await house.read(file(kind))
    assert says in one.note
    assert one.problem == ""


# --- remembered ---------------------------------------------------------------------------------


async def test_the_same_content_is_read_once_and_by_a_tenant_alone(house: House) -> None:
    first = await house.read(file(), native="1")
    assert await house.read(file(), native="2") == first
    house.readers = house.start()
    assert await house.read(file(), native="3") == first
    assert len(house.desk.asked) == 1
    assert house.counts.remembered == ["ocr", "ocr"]
    await house.read(file(), native="4", tenant="other")
    assert len(house.desk.asked) == 2


async def test_a_files_own_problem_is_remembered_and_ours_is_not(house: House) -> None:
    house.desk.reads = lambda job: Reading(problem="it is encrypted")
    await house.read(file("document", name="a.pdf"))
    await house.read(file("document", name="a.pdf"))
    assert len(house.desk.asked) == 1

    house.desk.reads = lambda job: Reading(problem="there is no reader", passing=True)
    await house.read(file("voice"))
    house.desk.reads = lambda job: Reading(text="hello")
    (one,) = await house.read(file("voice"))
    assert one.text == "hello"
    outcomes = [outcome for _, outcome in house.counts.ended]
    assert outcomes == ["unreadable", "failed", "read"]


async def test_that_it_took_too_long_is_not_remembered(house: House) -> None:
    house.desk.late.add(DIGEST)
    assert await house.problem(file()) == LATE
    house.desk.late.clear()
    assert await house.problem(file(), native="2") == ""


async def test_what_was_read_is_forgotten_after_a_while() -> None:
    house = House(remember="1h")
    await house.read(file())
    house.clock.advance(3601)
    await house.read(file())
    assert len(house.desk.asked) == 2


async def test_what_was_overheard_is_forgotten_within_the_deadline() -> None:
    house = House(deadline=100)
    talk = carrying(file("voice"))
    await house.readers.enrich(msgspec.structs.replace(talk, overheard=True))
    house.clock.advance(101)
    assert await house.records.items("readings") == []


async def test_with_another_setting_it_is_read_again(house: House) -> None:
    await house.read(file())
    house.config = MediaConfig(ocr={"languages": ("deu",)})
    house.readers = house.start()
    await house.read(file())
    assert len(house.desk.asked) == 2


# --- waiting ------------------------------------------------------------------------------------


async def test_each_file_has_what_is_left_of_the_messages_time() -> None:
    house = House(deadline=100)
    house.desk.away = 3
    await house.read(file())
    assert len(house.desk.given) == 4
    assert house.desk.given[0] == 100
    assert house.desk.given == sorted(house.desk.given, reverse=True)
    assert house.desk.given[-1] < 100


async def test_while_the_readers_are_away_the_message_waits_and_then_goes_on_without() -> None:
    house = House(deadline=100)
    began = house.clock.monotonic()
    house.desk.away = 10_000
    assert await house.problem(file()) == NOT_NOW
    assert 90 < house.clock.monotonic() - began <= 100
    assert house.counts.ended == [("ocr", "unavailable")]


async def test_a_message_that_comes_again_after_its_time_does_not_wait_anew() -> None:
    house = House(deadline=100)
    house.desk.away = 10_000
    await house.read(file())
    began = house.clock.monotonic()
    assert await house.problem(file()) == NOT_NOW
    assert house.clock.monotonic() - began < 5
    house.desk.away = 0
    assert await house.problem(file()) == ""


async def test_a_message_handed_in_again_by_an_operator_waits_anew() -> None:
    house = House(deadline=100)
    house.desk.away = 10_000
    await house.read(file())
    house.clock.advance(2 * 3600)
    house.desk.away, house.desk.given = 0, []
    await house.read(file())
    assert house.desk.given == [100]


async def test_the_stores_trouble_loses_no_message() -> None:
    house = House(deadline=10)
    house.records.down = True
    assert await house.problem(file()) == NOT_NOW

    house.clock.advance(60)
    waits = HastyClock()
    readers = Readers(house.desk, house.records, waits, house.config, house.counts)
    reading = asyncio.create_task(readers.enrich(carrying(file(), native="2")))
    async with asyncio.timeout(30):
        while not waits.slept:
            await asyncio.sleep(0)
        house.records.down = False
        (one,) = (await reading).attachments
    assert one.text


async def test_what_cannot_be_noted_is_used_all_the_same(house: House) -> None:
    def read(job: Job) -> Reading:
        house.records.down = True
        return Reading(text="hello")

    house.desk.reads = read
    (one,) = await house.read(file())
    assert one.text == "hello"


async def test_a_failure_that_will_not_pass_is_a_problem_of_this_file_alone(house: House) -> None:
    def read(job: Job) -> Reading:
        if job.kind == "ocr":
            raise Failed("nothing but an operator helps")
        return Reading(text="hello")

    house.desk.reads = read
    image, voice = await house.read(file(), file("voice"))
    assert (image.problem, voice.text) == (BROKEN, "hello")


async def test_stopping_the_turn_stops_waiting(house: House) -> None:
    house.desk.open.clear()
    reading = asyncio.create_task(house.read(file(), file("voice")))
    async with asyncio.timeout(30):
        while len(house.desk.asked) < 2:
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


# --- limits -------------------------------------------------------------------------------------


async def test_a_tenants_files_are_counted_and_those_read_before_are_free() -> None:
    house = House(per_tenant=TenantLimits(files=2))
    assert await house.problem(file(digest="1" * 64)) == ""
    assert await house.problem(file(digest="1" * 64)) == ""
    assert await house.problem(file(digest="2" * 64)) == ""
    over = await house.problem(file(digest="3" * 64))
    assert "minutes" in over
    assert await house.problem(file(digest="3" * 64), tenant="other") == ""
    house.clock.advance(3900)
    assert await house.problem(file(digest="3" * 64)) == ""
    assert len(house.desk.asked) == 4


async def test_seconds_of_sound_count_as_the_platform_says_and_then_as_they_were() -> None:
    house = House(per_tenant=TenantLimits(audio=100))
    house.desk.reads = lambda job: Reading(text="so it is", audio=90.0)
    assert await house.problem(file("voice", digest="1" * 64, duration=60)) == ""
    assert await house.problem(file("voice", digest="2" * 64)) == ""
    assert "within an hour" in await house.problem(file("voice", digest="3" * 64))
    assert await house.problem(file("image", digest="3" * 64)) == ""


async def test_pages_count_as_they_were() -> None:
    house = House(per_tenant=TenantLimits(pages=10))
    house.desk.reads = lambda job: Reading(text="much", pages=10)
    assert await house.problem(file("document", digest="1" * 64)) == ""
    assert "within an hour" in await house.problem(file("document", digest="2" * 64))


async def test_two_who_ask_for_the_same_file_are_counted_once() -> None:
    """As the gateway, which reads a voice message early, and the worker."""
    house = House(per_tenant=TenantLimits(files=1, audio=100))
    house.desk.reads = lambda job: Reading(text="hello", audio=60.0)
    house.desk.open.clear()
    other = Readers(house.desk, house.records, house.clock, house.config, house.counts)
    both = [
        asyncio.create_task(one.enrich(carrying(file("voice", duration=60))))
        for one in (house.readers, other)
    ]
    async with asyncio.timeout(30):
        while len(house.desk.asked) < 2:
            await asyncio.sleep(0)
    house.desk.open.set()
    texts = [one.attachments[0].text for one in await asyncio.gather(*both)]
    assert texts == ["hello", "hello"]
    assert house.counts.worked == [("asr", 0.0, 60.0, 0)]
    assert await house.records.spend("readings/audio", "main", 1, limit=61, window=3600) == 0


async def test_nobody_slips_through_while_another_is_refused_the_same_file() -> None:
    class Slow(MemoryRecords):
        async def spend(self, *args: Any, **more: Any) -> float:
            await asyncio.sleep(0)
            return await super().spend(*args, **more)

    house = House(per_tenant=TenantLimits(files=1))
    house.records = Slow(house.clock.now)
    house.readers = house.start()
    assert await house.problem(file(digest="1" * 64)) == ""
    other = Readers(house.desk, house.records, house.clock, house.config, house.counts)
    both = [one.enrich(carrying(file("voice"))) for one in (house.readers, other)]
    for read in await asyncio.gather(*both):
        assert "within an hour" in read.attachments[0].problem


async def test_what_is_refused_counts_nowhere() -> None:
    house = House(per_tenant=TenantLimits(files=3, audio=100))
    assert await house.problem(file("voice", digest="1" * 64, duration=100)) == ""
    for n in range(5):
        assert "within an hour" in await house.problem(file("voice", digest=f"{n:064}"))
    assert await house.problem(file("image", digest="2" * 64)) == ""


async def test_no_limit_is_no_limit() -> None:
    house = House(per_tenant=TenantLimits(files=0, audio=0, pages=0))
    for n in range(30):
        assert await house.problem(file(digest=f"{n:064}")) == ""


# --- shown --------------------------------------------------------------------------------------


async def test_what_takes_a_while_is_noted_for_status_and_taken_back(house: House) -> None:
    here = carrying().conversation
    house.desk.open.clear()
    reading = asyncio.create_task(house.read(file("voice"), file("image")))
    async with asyncio.timeout(30):
        while not (being := await noted(house.records, here)):
            await asyncio.sleep(0.01)
    assert sorted(one.kind for one in being) == ["image", "voice"]
    assert being[0].since == house.clock.now()
    house.desk.open.set()
    await reading
    assert await noted(house.records, here) == ()


async def test_what_is_read_at_once_is_noted_nowhere(house: House) -> None:
    await house.read(file())
    assert house.records._tables["reading"] == {}


# --- whatever happens ---------------------------------------------------------------------------

FILES = st.lists(
    st.builds(
        Attachment,
        kind=st.sampled_from(get_args(Readable)),
        digest=st.sampled_from(["", "1" * 64, "2" * 64, "3" * 64]),
        name=st.sampled_from(["", "a.pdf", "b.txt"]),
        text=st.sampled_from(["", "", "read before"]),
        problem=st.sampled_from(["", "", "known before"]),
    ),
    max_size=6,
)
FATES = st.lists(st.sampled_from(["read", "unreadable", "late", "away", "failed"]), min_size=4)


@given(FILES, FATES, st.booleans(), st.integers(0, 3))
def test_no_file_is_lost_or_moved_and_each_has_its_end(
    files: list[Attachment], fates: list[str], down: bool, limit: int
) -> None:
    async def scene() -> None:
        house = House(deadline=3, per_tenant=TenantLimits(files=limit))
        house.records.down = down

        def read(job: Job) -> Reading:
            match fates[len(house.desk.asked) % len(fates)]:
                case "unreadable":
                    return Reading(problem="it is broken")
                case "failed":
                    raise Failed("no")
                case "away":
                    house.desk.away = 2
            return Reading(text=job.digest)

        house.desk.reads = read
        if "late" in fates:
            house.desk.late.add("2" * 64)
        read_files = (await house.readers.enrich(carrying(*files))).attachments
        same = [
            msgspec.structs.replace(one, text="", problem="", note="", reader="", picture="")
            for one in read_files
        ]
        assert same == [msgspec.structs.replace(one, text="", problem="") for one in files]
        for one, before in zip(read_files, files, strict=True):
            assert one.text or one.problem or one.note
            if before.text or before.problem:
                assert one == before
            elif one.text:
                assert one.text == one.digest

    asyncio.run(scene())


async def test_without_readers_every_file_says_so_and_nothing_else_changes() -> None:
    text = message("1")
    assert await NoReaders().enrich(text) is text
    known = file(problem="known before")
    marked = (await NoReaders().enrich(carrying(file(), known, file("voice")))).attachments
    assert ["picture" in marked[0].problem, marked[1], "voice" in marked[2].problem] == [
        True,
        known,
        True,
    ]
