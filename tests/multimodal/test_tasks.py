"""What a real worker does around its readers: each job ends once, whatever a reader does."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from multimodal.jobs import LONGEST, TASK, Job, Reading
from multimodal.tasks import VISIBILITY_SECONDS, Post, celery_url
from tests.fakes.ports import free_port
from tests.gateway.queues.redis_servers import Redis, redis
from tests.multimodal.bench import PATIENCE, Place

MEMORY = 400 * 2**20


async def test_each_kind_of_end_is_a_reading_and_the_worker_lives_on(place: Place) -> None:
    worker, desk = await place.worker("--memory", str(MEMORY)), place.desk()

    said = await place.ask(desk, "say hello")
    assert (said.text, said.reader, said.problem) == ("hello", "told 1", "")
    assert said.seconds > 0
    assert (await place.ask(desk, "unreadable")).problem == "it is encrypted"
    eaten = await place.ask(desk, "eat")
    assert (eaten.problem, eaten.passing) == ("reading it failed", True)
    left = await place.ask(desk, "end")
    assert (left.problem, left.passing) == ("its reader broke down three times", True)
    lost = Job(id="lost", kind="doc", tenant="main", digest="0" * 64)
    gone = await desk.ask(lost, seconds=PATIENCE)
    assert (gone.problem, gone.passing) == ("its content is no longer there", True)
    for _ in range(2):
        none = await place.ask(desk, "not set up")
        assert (none.problem, none.passing) == ("this gateway has no reader for it", True)

    kept = await place.ask(desk, "note some words", kind="tts")
    assert b"".join([chunk async for chunk in place.blobs.read(kept.digest)]) == b"some words"
    spoken = Job(id="spoken", kind="tts", tenant="main", text="say this")
    assert (await desk.ask(spoken, seconds=PATIENCE)).text == "this"

    lines = [json.loads(line) for line in worker.log.splitlines()]
    assert [line["remedy"] for line in lines if line["event"] == "no_reader"] == [
        "set media.asr.model"
    ]
    assert "hello" not in worker.log
    assert "some words" not in worker.log
    keys = [key.decode() for key in await place.call("KEYS", f"*{place.namespace}*")]
    assert keys
    assert all(key.startswith(place.names.prefix) for key in keys)


async def test_faults_of_ours_are_tried_three_times_and_not_remembered(served: Place) -> None:
    desk = served.desk()
    healing, sick = (
        await served.job("fault 2", journal=True),
        await served.job("fault 3", journal=True),
    )

    assert (await desk.ask(healing, seconds=PATIENCE)).text == "turn 3"
    failed = await desk.ask(sick, seconds=PATIENCE)
    assert (failed.problem, failed.passing) == ("reading it failed", True)
    assert len(served.turns(sick)) == 3
    assert (await desk.ask(sick, seconds=PATIENCE)).text == "turn 4"


async def test_a_file_that_kills_its_reader_is_given_up_after_three_times(served: Place) -> None:
    desk = served.desk()
    healing, deadly = await served.job("die 2", journal=True), await served.job("die", journal=True)

    assert (await desk.ask(healing, seconds=PATIENCE)).text == "turn 3"
    for _ in range(2):
        end = await desk.ask(deadly, seconds=PATIENCE)
        assert (end.problem, end.passing) == ("its reader broke down three times", True)
    pids = {turn.split()[1] for turn in served.turns(deadly)}
    assert len(served.turns(deadly)) == len(pids) == 3


async def test_what_takes_too_long_is_ended_softly_and_if_need_be_hard(served: Place) -> None:
    patient, strict = dict.fromkeys(LONGEST, 61.0), dict.fromkeys(LONGEST, 1.5)
    soft = served.desk(send=Post(served.url, served.namespace, limits=patient, grace=60.0).send)
    hard = served.desk(send=Post(served.url, served.namespace, limits=strict, grace=0.5).send)

    late = await served.ask(soft, "sleep 60")
    assert (late.problem, late.passing) == ("it takes too long to read", False)
    between = await served.ask(soft, "fault")  # it comes while the next try is waited for
    assert (between.problem, between.passing) == ("it takes too long to read", True)
    deaf = await served.ask(hard, "hang")
    assert (deaf.problem, deaf.passing) == ("it takes too long to read", True)
    assert (await served.ask(served.desk(), "say on")).text == "on"


async def test_a_reader_that_keeps_its_process_to_itself_is_seen_to_live(served: Place) -> None:
    job, heard = await served.job("deaf 7"), []

    async def listen() -> None:
        async with served.notices.follow(served.names.result(job.id)) as notices:
            async for notice in notices:
                heard.append(json.loads(notice)["status"] if notice else "")

    listening = asyncio.create_task(listen())
    assert (await served.desk().ask(job, seconds=PATIENCE)).text == "slept"
    listening.cancel()

    assert heard.count("PROGRESS") >= 3


async def test_copies_and_what_nobody_wants_are_skipped(place: Place) -> None:
    post = Post(place.url, place.namespace)
    one, unwanted = (
        await place.job("sleep 0.3", journal=True),
        await place.job("say it", journal=True),
    )
    await place.call("SET", place.names.unwanted(unwanted.id), 1)
    post.send(unwanted)
    for _ in range(5):
        post.send(one)
    await place.worker("--processes", "2")

    assert (await place.desk().ask(one, seconds=PATIENCE)).text == "slept"
    async with asyncio.timeout(PATIENCE):
        while await place.length() or await place.call("HLEN", f"{place.names.prefix}unacked"):
            await asyncio.sleep(0.05)
    assert len(place.turns(one)) == 1
    assert place.turns(unwanted) == []
    assert (await place.desk().ask(unwanted, seconds=PATIENCE)).text == "it"


async def test_a_message_from_long_ago_is_skipped_and_its_job_can_still_be_asked_for(
    place: Place,
) -> None:
    job = await place.job("say it", journal=True)
    Post(place.url, place.namespace).send(job)
    message = await place.taken()
    message["headers"]["sent_at"] -= VISIBILITY_SECONDS
    await place.call("LPUSH", place.names.queue("ocr"), json.dumps(message))
    await place.worker()
    async with asyncio.timeout(PATIENCE):
        while await place.length() or await place.call("HLEN", f"{place.names.prefix}unacked"):
            await asyncio.sleep(0.05)

    assert place.turns(job) == []
    assert (await place.desk().ask(job, seconds=PATIENCE)).text == "it"


async def test_strange_messages_do_no_harm(place: Place, tmp_path: Path) -> None:
    job = await place.job("say here")
    trap = tmp_path / "trap"
    Post(place.url, place.namespace).send(job)
    message = await place.taken()
    bodies = {
        "application/x-python-serialize": pickle.dumps(((_Trap(trap),), {}, {})),
        "application/json": json.dumps([["{"], {}, {}]).encode(),
        "text/plain": b"hello",
    }
    for number, (kind, body) in enumerate(bodies.items()):
        strange = {
            **message,
            "content-type": kind,
            "body": base64.b64encode(body).decode(),
            "headers": {**message["headers"], "id": f"strange-{number}"},
            "properties": {**message["properties"], "delivery_tag": f"strange-{number}"},
        }
        await place.call("LPUSH", place.names.queue("ocr"), json.dumps(strange))

    await place.worker()

    assert (await place.desk().ask(job, seconds=PATIENCE)).text == "here"
    assert not trap.exists()


class _Trap:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self._path,))


@pytest.mark.parametrize(
    ("ours", "password", "celerys"),
    [
        ("redis://localhost", "", "redis://localhost:6379/0"),
        ("redis://:a%40b@host:1/3", "", "redis://:a%40b@host:1/3"),
        ("redis://me:x@host/3", "p/w", "redis://me:p%2Fw@host:6379/3"),
        ("redis://host?db=4", "", "redis://host:6379/4"),
        ("redis://[::1]:7", "", "redis://[::1]:7/0"),
        ("rediss://host", "", "rediss://host:6379/0?ssl_cert_reqs=CERT_REQUIRED"),
        ("unix:///run/r.sock", "", "redis+socket:///run/r.sock?virtual_host=0"),
        ("unix:///run/r.sock?db=2", "p@w", "redis+socket://:p%40w@/run/r.sock?virtual_host=2"),
    ],
)
def test_addresses_in_celerys_words(ours: str, password: str, celerys: str) -> None:
    assert celery_url(ours, password) == celerys


async def test_a_redis_with_password_and_database_by_socket_and_by_port(tmp_path: Path) -> None:
    port = free_port()
    with redis("--port", str(port)) as server:
        server.tell("CONFIG", "SET", "requirepass", "p@ss/word")
        by_socket = f"{server.url}?db=3"
        async with Place.opened(by_socket, tmp_path, "p@ss/word") as place:
            await place.worker()
            assert (await place.ask(place.desk(), "say in")).text == "in"
            place.url = f"redis://127.0.0.1:{port}/3"
            assert (await place.ask(place.desk(), "say by port")).text == "by port"


async def test_a_store_that_is_away_is_told_by_who_sends(own_redis: Redis, tmp_path: Path) -> None:
    own_redis.kill()
    post = Post(own_redis.url, "q")
    with pytest.raises(Unavailable):
        await asyncio.to_thread(post.send, Job(id="x", kind="ocr", tenant="main"))


async def test_a_full_store_is_told_by_who_sends(own_redis: Redis, tmp_path: Path) -> None:
    own_redis.tell("CONFIG", "SET", "maxmemory", "1")
    post = Post(own_redis.url, "q")
    with pytest.raises(Unavailable):
        await asyncio.to_thread(post.send, Job(id="x", kind="ocr", tenant="main"))


def test_the_tasks_name_is_in_the_contract() -> None:
    assert TASK == "moltgate.media.read"
    assert Reading() == Reading(text="")
