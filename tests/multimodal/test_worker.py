"""The life of a media worker: started, wanted, not needed, ended, killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from multimodal.worker import room
from tests.faults.programs import Program
from tests.gateway.queues.redis_servers import Redis
from tests.multimodal.bench import PATIENCE, Place, Telling, until


def children(worker: Program) -> Sequence[psutil.Process]:
    return psutil.Process(worker.pid).children(recursive=True)


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_its_processes_are_niced_and_end_with_it(place: Place) -> None:
    worker = await place.worker("--processes", "2")
    both = children(worker)
    assert len(both) == 2
    nicer = min(os.nice(0) + 10, 19)
    await until(lambda: {one.nice() for one in both} == {nicer})
    assert {one.rlimit(psutil.RLIMIT_CORE) for one in both} == {(0, 0)}
    assert (await place.ask(place.desk(), "environment OMP_THREAD_LIMIT")).text == "1"
    worker.kill()

    await until(lambda: not any(map(lives, both)))


async def test_killed_while_it_starts_it_leaves_nothing_behind(place: Place) -> None:
    seen: list[psutil.Process] = []
    for _ in range(2):
        worker = await place.worker("--processes", "6", ready=False)
        await until(lambda worker=worker: bool(children(worker)))  # type: ignore[misc]
        os.kill(worker.pid, signal.SIGSTOP)
        seen += children(worker)
        worker.kill()
        await worker.ended()

    await until(lambda: not any(map(lives, seen)))


async def test_it_ends_when_there_is_nothing_to_do_but_not_before(place: Place) -> None:
    jobs = [await place.job("sleep 1.5") for _ in range(2)]
    desk = place.desk()
    asking = [asyncio.create_task(desk.ask(job, seconds=PATIENCE)) for job in jobs]
    await until(lambda: place.rings >= 2)
    worker = await place.worker("--idle", "0.5")

    assert [one.text for one in await asyncio.gather(*asking)] == ["slept"] * 2
    assert await worker.ended() == 0
    events = [json.loads(line)["event"] for line in worker.log.splitlines()]
    assert events.count("job_done") == 2
    assert events[-1] == "media_idle"


async def test_it_ends_for_lack_of_work_whatever_its_readers_do(place: Place) -> None:
    """One that stayed would serve nobody, and no ring would start another."""
    asking = asyncio.create_task(place.ask(place.desk(), "say seen"))
    await until(lambda: place.rings >= 1)
    worker = await place.worker("--idle", "0.5", "--reader", "tests.fakes.readers:Stuck")

    assert (await asking).text == "seen"
    assert await worker.ended() == 0


async def test_it_serves_only_its_queues(place: Place) -> None:
    desk = place.desk()
    await place.worker("--queues", "asr,tts")
    waiting = asyncio.create_task(place.ask(desk, "say seen", kind="ocr"))
    assert (await place.ask(desk, "say heard", kind="asr")).text == "heard"
    assert await place.length("ocr") == 1
    await place.worker("--queues", "ocr")

    assert (await waiting).text == "seen"


async def test_asked_to_end_it_finishes_what_is_short(place: Place) -> None:
    worker, told = await place.worker(), Telling()
    job = await place.job("sleep 0.5", journal=True)
    asking = asyncio.create_task(place.desk().ask(job, seconds=PATIENCE, told=told))
    await until(lambda: "started" in told.stages)
    worker.signal(signal.SIGTERM)

    assert (await asking).text == "slept"
    assert await worker.ended() == 0
    assert await place.call("HLEN", f"{place.names.prefix}unacked") == 0


async def test_asked_to_end_it_gives_back_what_is_long(place: Place) -> None:
    worker, told = await place.worker(), Telling()
    job = await place.job("sleep 600", journal=True)
    asking = asyncio.create_task(place.desk().ask(job, seconds=PATIENCE, told=told))
    await until(lambda: bool(place.turns(job)))
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0
    assert await place.length() == 1

    message = json.loads(await place.call("LINDEX", place.names.queue("ocr"), 0))
    assert message["headers"]["id"] == job.id
    assert await place.call("GET", place.names.tries(job.id)) == b"0"
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_a_child_that_hears_nothing_does_not_keep_it(place: Place) -> None:
    worker = await place.worker()
    job = await place.job("hang", journal=True)
    asking = asyncio.create_task(place.desk().ask(job, seconds=PATIENCE))
    await until(lambda: bool(place.turns(job)))
    deaf = children(worker)
    worker.signal(signal.SIGTERM)

    assert await worker.ended() == 0
    await until(lambda: not any(map(lives, deaf)))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_it_outlives_its_redis(own_redis: Redis, tmp_path: Path) -> None:
    async with Place.opened(own_redis.url, tmp_path) as place:
        worker, desk = await place.worker(), place.desk()
        assert (await place.ask(desk, "say before")).text == "before"
        job = await place.job("sleep 1.5", journal=True)
        asking = asyncio.create_task(desk.ask(job, seconds=PATIENCE))
        await until(lambda: bool(place.turns(job)))
        own_redis.kill()
        own_redis.start()

        assert (await asking).text == "slept"
        assert (await place.ask(desk, "say after")).text == "after"
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0


async def test_everything_it_writes_is_one_json_object_a_line(place: Place) -> None:
    worker, desk = await place.worker(), place.desk()
    for told in ("die", "fault", "say x", "end"):
        await place.ask(desk, told)
    worker.signal(signal.SIGTERM)
    await worker.ended()

    assert [line for line in worker.log.splitlines() if not line.startswith("{")] == []


# --- the command ----------------------------------------------------------------------------


def moltgate(folder: Path, *words: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "moltgate.yaml").write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "gateway", "--home", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_command_runs_until_it_is_idle(redis_url: str, tmp_path: Path) -> None:
    settings = f"redis: {{url: '{redis_url}', namespace: cli{os.getpid()}}}\n"
    ended = moltgate(tmp_path, "media", "--queues", "tts", "--idle", "0.5", settings=settings)

    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in events] == ["media_started", "media_idle"]
    assert events[0]["queues"] == "tts"


def test_a_cluster_needs_a_server_for_the_jobs(tmp_path: Path) -> None:
    ended = moltgate(tmp_path, "media", settings="redis: {url: 'redis+cluster://localhost'}\n")

    assert ended.returncode == 78
    assert "media.broker: is needed" in ended.stderr


def test_a_queue_that_is_none_is_told(tmp_path: Path) -> None:
    ended = moltgate(tmp_path, "media", "--queues", "ocr,video")

    assert ended.returncode == 2
    assert "video is no queue" in ended.stderr


def test_without_celery_it_says_what_to_install(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "moltgate.yaml").write_text(f"redis: {{url: '{redis_url}'}}\n")
    without = (
        "import sys; sys.modules['celery'] = None; from gateway.cli import main; "
        f"main(['--home', {str(tmp_path)!r}, 'media'])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", without],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert ended.returncode == 78
    assert "celery is not installed (pip install 'moltgate[media]')" in ended.stderr


def test_a_container_has_less_room_than_its_machine(tmp_path: Path) -> None:
    small, open_end = tmp_path / "small", tmp_path / "max"
    small.write_text(f"{4 * 2**30}\n")
    open_end.write_text("max\n")
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    assert room([small]) == min(machine, 4 * 2**30) * 3 // 4
    assert room([tmp_path / "none", open_end]) == max(machine * 3 // 4, 2**30)
