"""The supervisor with real processes: restarts, order of stopping, and a file that changes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.queues import owner
from gateway.roles import Restarts
from tests.fakes import program

_RUN = """
import asyncio, sys
from pathlib import Path
from gateway.lastgood import Launch
from gateway.logs import Diary, Redactor, Sink, as_json
from gateway.supervisor import supervise

diary = Diary(Sink(sys.stderr, Redactor()), as_json)
launch = Launch(home=Path(sys.argv[1]), program=(sys.executable, sys.argv[2]))
sys.exit(asyncio.run(supervise(launch, diary)))
"""


@dataclass
class Run:
    """A supervisor in a process of its own, and what it and its children said."""

    home: Path
    process: subprocess.Popen[bytes] | None = None
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.home / "said"

    def configure(self, **settings: Any) -> None:
        self.write(json.dumps(settings))

    def write(self, text: str) -> None:
        new = self.home / "new"
        new.write_text(text)
        new.replace(self.home / "moltgate.yaml")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN, str(self.home), program.__file__], stderr=log
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def said(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def told(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.said() if line["event"] == event]

    def events(self) -> list[tuple[str, str, int]]:
        try:
            lines = (self.home / "events").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(role, what, int(pid)) for role, what, pid in map(str.split, lines)]

    def pids(self, role: str, what: str = "began") -> list[int]:
        return [pid for who, did, pid in self.events() if (who, did) == (role, what)]

    async def until(self, condition: Callable[[], object], limit: float = 60.0) -> None:
        async with asyncio.timeout(limit):
            while not condition():
                await asyncio.sleep(0.02)

    async def ended(self, limit: float = 60.0) -> int:
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, limit)


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    found = Run(tmp_path)
    yield found
    if found.process is not None:
        found.process.kill()
        found.process.wait()


async def test_it_starts_the_roles_and_ends_them_when_asked(run: Run) -> None:
    run.configure(workers=2)
    run.start()
    await run.until(lambda: run.pids("gateway") and len(run.pids("worker")) == 2)

    os.kill(run.pid, signal.SIGTERM)

    assert await run.ended() == 0
    assert set(run.pids("worker", "ended")) == set(run.pids("worker"))
    assert run.pids("gateway", "ended") == run.pids("gateway")


async def test_what_dies_is_started_again(run: Run) -> None:
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))

    os.kill(run.pids("worker")[0], signal.SIGKILL)

    await run.until(lambda: len(run.pids("worker")) == 2)
    assert len(run.pids("gateway")) == 1
    (ended,) = run.told("role_ended")
    assert ended["status"] == "SIGKILL"


async def test_a_role_that_keeps_ending_makes_it_give_up_loudly(run: Run) -> None:
    run.configure(worker={"exit": 3})
    run.start()

    assert await run.ended() == 70

    assert len(run.pids("worker")) == 5
    (gave_up,) = run.told("gave_up")
    assert "worker-1 ended 5 times within 60 s, last with status 3" in gave_up["reason"]
    assert run.pids("gateway", "ended") == run.pids("gateway")


async def test_bad_configuration_found_by_a_role_ends_the_run_without_another_try(
    run: Run,
) -> None:
    run.configure(gateway={"exit": 78})
    run.start()

    assert await run.ended() == 78
    assert len(run.pids("gateway")) == 1


async def test_a_wrong_file_at_the_start_is_told_problem_by_problem(run: Run) -> None:
    run.write("{")
    run.start()

    assert await run.ended() == 78
    reasons = [line["reason"] for line in run.told("configuration_is_wrong")]
    assert reasons == ["line 1: not readable", "line 2: nor this"]
    assert run.events() == []


async def test_a_changed_file_is_rolled_out_workers_first(run: Run) -> None:
    run.configure(workers=1)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))
    before = len(run.events())

    run.configure(workers=1, title="new")

    await run.until(lambda: len(run.pids("gateway")) == 2)
    order = [(role, what) for role, what, _ in run.events()[before:] if what in ("began", "ended")]
    assert order == [
        ("worker", "ended"),
        ("worker", "began"),
        ("gateway", "ended"),
        ("gateway", "began"),
    ]
    assert run.told("configuration_changed")[0]["sections"] == "title"
    assert run.told("role_ended") == []


async def test_any_port_is_chosen_once_and_a_port_in_the_file_is_followed(run: Run) -> None:
    def ports() -> list[str]:
        return [what for _, what, _ in run.events() if what.startswith("at:")]

    def address() -> str:
        found = owner.read_owner(run.home)
        return found.http if found else ""

    run.configure(port=0)
    run.start()
    await run.until(lambda: run.pids("gateway"))
    chosen = ports()[0].removeprefix("at:")
    assert chosen != "0"
    assert address() == f"http://127.0.0.1:{chosen}"

    run.configure(port=0, public_url="https://chat.example.org:0")
    await run.until(lambda: len(run.pids("gateway")) == 2)
    run.configure(port=9)
    await run.until(lambda: len(run.pids("gateway")) == 3)

    assert ports() == [f"at:{chosen}", f"at:{chosen}", "at:9"]
    assert address() == "http://127.0.0.1:9"


async def test_the_number_of_workers_follows_the_file(run: Run) -> None:
    run.configure(workers=2)
    run.start()
    await run.until(lambda: len(run.pids("worker")) == 2)

    run.configure(workers=1)

    await run.until(lambda: len(run.pids("gateway")) == 2)
    living = [pid for pid in run.pids("worker") if psutil.pid_exists(pid)]
    assert len(living) == 1


async def test_a_wrong_change_is_told_once_and_the_last_good_file_serves_on(run: Run) -> None:
    run.configure(workers=1)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))

    run.write("{ wrong")
    await run.until(lambda: run.told("last_good_configuration_stays"))
    os.utime(run.home / "moltgate.yaml")
    os.kill(run.pids("gateway")[0], signal.SIGKILL)

    await run.until(lambda: len(run.pids("gateway")) == 2)
    assert len(run.told("last_good_configuration_stays")) == 1
    assert psutil.pid_exists(run.pids("gateway")[1])

    run.configure(workers=1, mended=True)
    await run.until(lambda: len(run.pids("gateway")) == 3)


async def test_a_role_that_does_not_end_is_killed_by_a_second_request(run: Run) -> None:
    run.configure(gateway={"stubborn": True})
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))
    os.kill(run.pid, signal.SIGINT)
    await run.until(lambda: run.pids("gateway", "asked"))

    os.kill(run.pid, signal.SIGINT)

    assert await run.ended() == 0
    assert not psutil.pid_exists(run.pids("gateway")[0])


async def test_a_role_that_does_not_end_is_killed(run: Run) -> None:
    run.configure(gateway={"stubborn": True}, private_redis=True)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))

    os.kill(run.pid, signal.SIGTERM)

    assert await run.ended() == 0


async def test_nothing_outlives_a_killed_supervisor(run: Run) -> None:
    run.configure(private_redis=True)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) == 3

    os.kill(run.pid, signal.SIGKILL)

    await run.until(lambda: not any(_lives(child) for child in children))


async def test_it_can_be_started_again_right_after_being_killed(run: Run) -> None:
    run.configure(private_redis=True)
    run.start()
    await run.until(lambda: run.pids("gateway"))
    os.kill(run.pid, signal.SIGKILL)
    await run.ended()

    run.start()

    await run.until(lambda: len(run.pids("gateway")) == 2)
    assert run.told("cannot_start") == []


async def test_a_killed_redis_comes_back_while_the_roles_live_on(run: Run) -> None:
    run.configure(private_redis=True)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))
    first = run.told("private_redis_ready")[0]["pid"]

    os.kill(first, signal.SIGKILL)

    await run.until(lambda: len(run.told("private_redis_ready")) == 2)
    assert len(run.pids("gateway")) == len(run.pids("worker")) == 1


async def test_a_second_run_on_the_same_folder_says_who_is_there(run: Run) -> None:
    run.start()
    await run.until(lambda: run.pids("gateway"))
    second = Run(run.home)

    second.start()

    assert await second.ended() == 1
    (told,) = run.told("cannot_start")
    assert f"process {run.pid}" in told["reason"]
    assert "http://127.0.0.1:9" in told["reason"]


# --- the media role, on demand -----------------------------------------------------------------


async def begun(run: Run) -> None:
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))


def ring(run: Run, role: str = "worker") -> None:
    os.kill(run.pids(role)[-1], signal.SIGUSR1)


@pytest.mark.parametrize("role", ["worker", "gateway"])
async def test_media_is_started_when_somebody_rings_and_not_before(run: Run, role: str) -> None:
    run.configure(media={"idle": 7})
    await begun(run)
    await run.until(lambda: run.told("roles_ready"))
    assert run.pids("media") == []

    ring(run, role)
    ring(run, role)

    await run.until(lambda: run.pids("media"))
    assert len(run.pids("media", "idle:7")) == 1
    os.kill(run.pid, signal.SIGTERM)
    assert await run.ended() == 0
    assert run.pids("media", "ended") == run.pids("media")


async def test_idle_media_sleeps_until_the_next_ring(run: Run) -> None:
    (run.home / "leave").touch()
    run.configure(media={"idle": 0.01})
    await begun(run)
    ring(run)
    await run.until(lambda: run.pids("media"))

    os.kill(run.pids("media")[0], signal.SIGUSR2)
    await run.until(lambda: run.told("role_sleeps"))
    assert len(run.pids("media")) == 1
    ring(run)

    await run.until(lambda: len(run.pids("media")) == 2)
    assert run.told("role_ended") == []


async def test_a_ring_while_media_is_leaving_starts_it_again(run: Run) -> None:
    await begun(run)
    ring(run)
    await run.until(lambda: run.pids("media"))
    os.kill(run.pids("media")[0], signal.SIGUSR2)
    await run.until(lambda: run.pids("media", "leaving"))

    ring(run)
    (run.home / "leave").touch()

    await run.until(lambda: len(run.pids("media")) == 2)


async def test_media_that_is_killed_goes_on_without_a_ring(run: Run) -> None:
    await begun(run)
    ring(run)
    await run.until(lambda: run.pids("media"))

    os.kill(run.pids("media")[0], signal.SIGKILL)

    await run.until(lambda: len(run.pids("media")) == 2)
    assert [ended["role"] for ended in run.told("role_ended")] == ["media"]


async def test_media_that_keeps_ending_is_left_alone_and_the_rest_goes_on(run: Run) -> None:
    run.configure(media={"exit": 3})
    await begun(run)

    ring(run)

    await run.until(lambda: run.told("role_left_alone"))
    ring(run)
    os.kill(run.pids("worker")[0], signal.SIGKILL)
    await run.until(lambda: len(run.pids("worker")) == 2)
    (left,) = run.told("role_left_alone")
    assert left["reason"].startswith("it ended 5 times within 60 s, last with status 3")
    assert left["level"] == "error"
    assert len(run.pids("media")) == 5
    os.kill(run.pid, signal.SIGTERM)
    assert await run.ended() == 0


async def test_bad_configuration_found_by_media_is_told_and_the_rest_goes_on(run: Run) -> None:
    run.configure(media={"exit": 78})
    await begun(run)

    ring(run)

    await run.until(lambda: run.told("role_left_alone"))
    assert len(run.pids("media")) == 1
    assert psutil.pid_exists(run.pids("gateway")[0])
    os.kill(run.pid, signal.SIGTERM)
    assert await run.ended() == 0


async def test_without_its_libraries_media_is_not_started_and_that_is_told_once(run: Run) -> None:
    run.configure(media={"missing": "celery is missing, install it"})
    await begun(run)

    ring(run)
    await run.until(lambda: run.told("nothing_can_be_read"))
    ring(run, "gateway")
    run.configure(media={})  # as after an installation and a SIGHUP
    await run.until(lambda: len(run.pids("gateway")) == 2)
    ring(run)

    await run.until(lambda: run.pids("media"))
    (told,) = run.told("nothing_can_be_read")
    assert told["advice"] == "celery is missing, install it"
    assert len(run.pids("media")) == 1


async def test_a_change_restarts_media_first_and_only_when_it_runs(run: Run) -> None:
    await begun(run)
    run.configure(title="new")
    await run.until(lambda: len(run.pids("gateway")) == 2)
    assert run.pids("media") == []
    ring(run)
    await run.until(lambda: run.pids("media"))
    before = len(run.events())

    run.configure(media={"idle": 9})

    await run.until(lambda: len(run.pids("gateway")) == 3 and len(run.pids("media")) == 2)
    assert run.events()[before:][0][0] == "media"
    assert len(run.pids("media", "idle:9")) == 1
    assert run.told("role_ended") == run.told("role_sleeps") == []


async def test_media_and_its_children_do_not_outlive_a_killed_supervisor(run: Run) -> None:
    run.configure(media={"family": True})
    await begun(run)
    ring(run)
    await run.until(lambda: run.pids("media") and run.pids("media", "child"))
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) == 5

    os.kill(run.pid, signal.SIGKILL)

    await run.until(lambda: not any(_lives(child) for child in children))


async def test_it_stays_small(run: Run) -> None:
    run.configure(private_redis=True)
    run.start()
    await run.until(lambda: run.pids("gateway") and run.pids("worker"))

    assert psutil.Process(run.pid).memory_info().rss < 35 * 2**20


def test_delays_double_up_to_a_limit_and_start_over_after_a_long_life() -> None:
    restarts = Restarts(most=100)

    delays = [restarts.exited(at * 100, lived=1) for at in range(7)]

    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert restarts.exited(1000, lived=31) == 0.2


def test_five_exits_in_a_minute_are_a_crash_loop_and_five_in_an_hour_are_not() -> None:
    restarts = Restarts()
    assert [restarts.exited(at * 600, lived=600) for at in range(6)] == [0.2] * 6

    restarts = Restarts()
    assert [restarts.exited(at, lived=1) for at in range(5)][-1] is None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
