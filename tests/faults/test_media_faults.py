"""Media workers killed while they read: every job ends once, and nothing stays behind.

Between an ask and its end stand a worker's main process and its children. Either is killed
at random moments; who was asked for must come back with a reading, or say why not.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from multimodal.jobs import Job, Reading
from tests.faults.programs import Program
from tests.multimodal.bench import Place, until

PATIENCE = 240.0


async def kills(
    redis_url: str, folder: Path, *, asks: int, mains: int, childs: int, processes: int, seed: int
) -> None:
    chance = random.Random(seed)
    async with Place.opened(redis_url, folder) as place:
        workers = [await place.worker("--processes", str(processes))]
        for worker in workers:
            worker.kept = True
        desks = [place.desk(), place.desk()]
        jobs = [
            await place.job(f"sleep {chance.uniform(0.05, 0.4):.2f}", journal=True)
            for _ in range(asks)
        ]
        asking = [
            asyncio.create_task(chance.choice(desks).ask(job, seconds=PATIENCE)) for job in jobs
        ]
        await until(lambda: any(map(place.turns, jobs)))
        seen: set[int] = set()
        orders = ["main"] * mains + ["child"] * childs
        chance.shuffle(orders)
        for order in orders:
            await asyncio.sleep(chance.uniform(0.05, 0.5))
            worker = chance.choice(workers)
            await until(lambda worker=worker: bool(_children(worker)))  # type: ignore[misc]
            victims = _children(worker)
            seen.update(one.pid for one in victims)
            victim = worker.pid if order == "main" else chance.choice(victims).pid
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        readings = await asyncio.gather(*asking)

        await _all_ended_well(place, jobs, readings)
        [worker] = workers
        assert (await place.ask(desks[0], "say alive")).text == "alive"
        await until(lambda: len(_children(worker)) == processes)
        ours = {one.pid for one in _children(worker)}
        await until(lambda: not {pid for pid in seen - ours if _lives(pid)})


async def _all_ended_well(place: Place, jobs: Sequence[Job], readings: Sequence[Reading]) -> None:
    for job, reading in zip(jobs, readings, strict=True):
        assert bool(reading.text) != bool(reading.problem), reading
        assert reading.text == "slept" or reading.passing
        assert 1 <= len(place.turns(job)) <= 6
        again = await place.desk().ask(job, seconds=PATIENCE)  # what is known is known
        assert again.text == reading.text or reading.problem


def _children(worker: Program) -> Sequence[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        if worker.running:
            return psutil.Process(worker.pid).children(recursive=True)
    return []


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_every_job_ends_though_its_worker_is_killed(redis_url: str, tmp_path: Path) -> None:
    await kills(redis_url, tmp_path, asks=30, mains=1, childs=3, processes=2, seed=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10))
async def test_many_jobs_and_many_kills(redis_url: str, tmp_path: Path, seed: int) -> None:
    await kills(redis_url, tmp_path, asks=200, mains=10, childs=20, processes=3, seed=seed)
