"""Handing jobs in and awaiting them: real Redis, Celery's own messages, a worker by hand."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from multimodal.desk import SILENCE_SECONDS, Course
from multimodal.jobs import Job, Reading, TooLate, decode_job, encode
from tests.fakes.clock import QuickClock
from tests.gateway.queues.redis_servers import redis
from tests.multimodal.bench import PATIENCE, Place, Telling, until

HELLO = Reading(text="hello")
QUICK = QuickClock(50)


async def test_a_job_is_sent_to_its_queue_and_its_reading_comes_back(place: Place) -> None:
    desk, job, told = place.desk(), await place.job("x", kind="asr"), Telling()
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE, told=told))

    message = await place.taken("asr")
    headers = message["headers"]
    assert (headers["id"], headers["task"]) == (job.id, "moltgate.media.read")
    assert headers["timelimit"] == [1800.0, 1790.0]
    assert headers["sent_at"] <= time.time()
    assert message["content-type"] == "application/json"
    assert decode_job(_arguments(message)[0]) == job
    assert place.rings == 1
    await place.say(job, "PROGRESS")
    await until(lambda: "started" in told.stages)
    await place.say(job, "SUCCESS", encode(HELLO))

    assert await asking == HELLO
    assert told.stages == ["sent", "started"]


async def test_the_same_asked_at_once_is_one_job_with_one_wait(place: Place) -> None:
    desk, job = place.desk(), await place.job("x")
    asking = [asyncio.create_task(desk.ask(job, seconds=PATIENCE)) for _ in range(20)]
    await place.taken()
    await place.say(job, "SUCCESS", encode(HELLO))

    assert await asyncio.gather(*asking) == [HELLO] * 20
    assert await place.length() == 0


async def test_several_processes_share_a_job(place: Place) -> None:
    job, told = await place.job("x"), Telling()
    first = asyncio.create_task(place.desk().ask(job, seconds=PATIENCE))
    await until(lambda: place.rings == 1)
    second = asyncio.create_task(place.desk().ask(job, seconds=PATIENCE, told=told))
    await until(lambda: told.stages == ["sent"])

    assert await place.length() == 1
    await place.say(job, "SUCCESS", encode(HELLO))
    assert await asyncio.gather(first, second) == [HELLO, HELLO]


async def test_what_is_known_is_not_sent(place: Place) -> None:
    job = await place.job("x")
    await place.say(job, "SUCCESS", encode(HELLO))

    assert await place.desk().ask(job, seconds=PATIENCE) == HELLO
    assert await place.length() == 0


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (
            {"exc_type": "NotRead", "exc_message": ["this gateway has no reader for it"]},
            "this gateway has no reader for it",
        ),
        (
            {"exc_type": "TimeLimitExceeded", "exc_message": [120.0]},
            "it takes too long to read",
        ),
        ({"exc_type": "WorkerLostError", "exc_message": ["signal 9"]}, "reading it failed"),
        ({}, "reading it failed"),
    ],
)
async def test_a_failure_is_told_and_not_served_again(
    place: Place, result: dict[str, object], problem: str
) -> None:
    desk, job = place.desk(), await place.job("x")
    for _ in range(2):
        asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
        await place.taken()
        await place.say(job, "PROGRESS")
        await place.call("DEL", place.names.sent(job.id))  # as a worker does
        await place.say(job, "FAILURE", result)

        assert await asking == Reading(problem=problem, passing=True)


async def test_a_result_of_another_version_is_a_problem(place: Place) -> None:
    job = await place.job("x")
    await place.say(job, "SUCCESS", '{"text": 3}')

    reading = await place.desk().ask(job, seconds=PATIENCE)
    assert (reading.problem, reading.passing) == ("reading it failed", True)


async def test_a_reader_that_falls_silent_is_replaced_at_most_twice(place: Place) -> None:
    desk, job = place.desk(QUICK), await place.job("x")
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
    ids = []
    for _ in range(3):
        ids.append((await place.taken())["headers"]["id"])
        await place.say(job, "PROGRESS")

    assert await asking == Reading(problem="its reader broke down three times", passing=True)
    assert ids == [job.id] * 3
    assert await place.length() == 0


async def test_where_nobody_reads_and_nobody_can_be_woken_it_is_said_early(place: Place) -> None:
    place.woken = False
    desk, job, served = place.desk(QUICK), await place.job("x"), await place.job("x", kind="asr")
    await place.call("SET", place.names.served("asr"), "somebody")
    waiting = asyncio.create_task(desk.ask(served, seconds=PATIENCE))

    reading = await desk.ask(job, seconds=PATIENCE)

    assert reading == Reading(problem="no reader is running", passing=True)
    assert not waiting.done()
    await place.say(served, "SUCCESS", encode(HELLO))
    assert await waiting == HELLO


async def test_a_job_nobody_begins_is_rung_for_and_sent_again(place: Place) -> None:
    desk, job = place.desk(QUICK), await place.job("x")
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
    for _ in range(3):
        await place.taken()
    assert place.rings >= 3
    await place.say(job, "SUCCESS", encode(HELLO))

    assert await asking == HELLO


async def test_a_job_that_is_given_back_is_rung_for_at_once(place: Place) -> None:
    desk, job, told = place.desk(), await place.job("x"), Telling()
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE, told=told))
    await place.taken()
    await place.say(job, "PROGRESS")
    await until(lambda: "started" in told.stages)
    await place.say(job, "RETRY")

    await until(lambda: place.rings == 2)
    await place.say(job, "SUCCESS", encode(HELLO))
    assert await asking == HELLO


async def test_who_waits_too_long_is_told_and_the_others_go_on(place: Place) -> None:
    desk, job = place.desk(), await place.job("x")
    patient = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
    with pytest.raises(TooLate):
        await desk.ask(job, seconds=0.2)
    await place.taken()
    assert await place.call("EXISTS", place.names.unwanted(job.id)) == 0
    await place.say(job, "SUCCESS", encode(HELLO))

    assert await patient == HELLO


async def test_a_job_that_nobody_waits_for_is_marked_until_it_is_wanted_again(
    place: Place,
) -> None:
    desk, job, told = place.desk(), await place.job("x"), Telling()
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE, told=told))
    await until(lambda: told.stages == ["sent"])
    asking.cancel()
    async with asyncio.timeout(PATIENCE):
        while not await place.call("EXISTS", place.names.unwanted(job.id)):
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
    await place.taken()
    await place.taken()
    assert await place.call("EXISTS", place.names.unwanted(job.id)) == 0
    await place.say(job, "SUCCESS", encode(HELLO))
    assert await asking == HELLO


async def test_what_was_skipped_for_others_is_sent_again_at_once(place: Place) -> None:
    desk, job, told = place.desk(), await place.job("x"), Telling()
    asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE, told=told))
    await place.taken()
    await until(lambda: told.stages == ["sent"])
    await place.call("SET", place.names.unwanted(job.id), 1)
    await place.say(job, "REVOKED")

    await place.taken()
    assert await place.call("EXISTS", place.names.unwanted(job.id)) == 0
    await place.say(job, "SUCCESS", encode(HELLO))
    assert await asking == HELLO


async def test_a_result_told_while_the_connection_was_away_is_found(tmp_path: Path) -> None:
    with redis() as server:
        async with Place.opened(server.url, tmp_path) as place:
            desk, job, told = place.desk(), await place.job("x"), Telling()
            asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE, told=told))
            await place.taken()
            await place.say(job, "SUCCESS", encode(HELLO), publish=False)
            server.tell("CLIENT", "KILL", "TYPE", "pubsub")

            assert await asking == HELLO


async def test_a_store_that_stays_away_is_told_and_one_that_restarts_is_not(
    tmp_path: Path,
) -> None:
    with redis() as server:
        async with Place.opened(server.url, tmp_path) as place:
            slow, quick, told = place.desk(), place.desk(QUICK), Telling()
            job, other = await place.job("x"), await place.job("y")
            staying = asyncio.create_task(slow.ask(job, seconds=PATIENCE, told=told))
            leaving = asyncio.create_task(quick.ask(other, seconds=PATIENCE))
            await until(lambda: place.rings >= 2)
            server.kill()
            with pytest.raises(Unavailable):
                await leaving
            server.start()
            await place.say(job, "SUCCESS", encode(HELLO), publish=False)

            assert await staying == HELLO


async def test_a_job_that_cannot_be_sent_is_told(place: Place) -> None:
    def away(job: Job) -> None:
        raise Unavailable("the job could not be sent")

    desk = place.desk(send=away)
    with pytest.raises(Unavailable, match="could not be sent"):
        await desk.ask(await place.job("x"), seconds=PATIENCE)


async def test_depth_and_age_of_each_queue(place: Place) -> None:
    desk = place.desk()
    assert {(one.waiting, one.oldest) for one in (await desk.depths()).values()} == {(0, 0.0)}
    jobs = [await place.job(f"{number}", kind="doc") for number in range(3)]
    before = time.time()
    asking = [asyncio.create_task(desk.ask(job, seconds=PATIENCE)) for job in jobs]
    await until(lambda: place.rings == 3)
    depths = await desk.depths()

    assert depths["doc"].waiting == 3
    assert 0 < depths["doc"].oldest <= time.time() - before
    assert depths["ocr"].waiting == 0
    await place.call("RPUSH", place.names.queue("ocr"), "rubbish")
    assert (await desk.depths())["ocr"].oldest == 0.0
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


def test_silence_before_the_start_is_no_breakdown() -> None:
    course = Course(0.0)
    course.sent(0.0)
    sent = [at for at in range(1, 1000) if course.due(float(at)) == "send"]

    assert sent[0] == 20
    assert not course.started
    assert "give up" not in [course.due(float(at)) for at in range(1000, 2000)]


def test_who_skips_for_ever_is_not_sent_to_for_ever() -> None:
    course = Course(0.0)
    skipped = json.dumps({"status": "REVOKED", "result": None}).encode()

    assert [course.take(skipped, 0.0)[1] for _ in range(6)].count(True) == 3


def test_beats_keep_a_long_job_alive() -> None:
    course = Course(0.0)
    beat = json.dumps({"status": "PROGRESS", "result": None}).encode()
    for at in range(0, 3600, 3):
        assert course.take(beat, float(at)) == (None, False)
        assert course.due(at + 2.9) == ""
    assert course.next(3600.0) == pytest.approx(SILENCE_SECONDS - 3)


def _arguments(message: dict[str, object]) -> list[str]:
    import base64

    body = json.loads(base64.b64decode(str(message["body"])))
    arguments: list[str] = body[0]
    return arguments
