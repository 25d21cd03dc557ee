"""The commands against a running `moltgate run`: private Redis, gateway, worker, demo model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.queues import owner
from tests.fakes.ports import free_port

PROGRAM = [sys.executable, "-P", "-m", "gateway"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    (folder / "config").mkdir()  # of the file only the folder is named, as in a container
    with (folder / "said").open("wb") as said:
        running = subprocess.Popen(
            [*PROGRAM, *_where(folder), "run", "--port", "0"], stdout=said, stderr=said
        )
    until = time.monotonic() + 60
    while "roles_ready" not in (folder / "said").read_text():
        assert running.poll() is None, (folder / "said").read_text()
        assert time.monotonic() < until, (folder / "said").read_text()
        time.sleep(0.05)
    yield folder
    running.terminate()
    assert running.wait(60) == 0


def _where(home: Path) -> list[str]:
    return ["--home", str(home), "--config", str(home / "config")]


def _said(home: Path, *words: str, into: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *_where(home), *words], capture_output=True, text=True, input=into, timeout=120
    )


def _moltgate(home: Path, *words: str, status: int = 0, into: str = "") -> str:
    found = _said(home, *words, into=into)
    assert found.returncode == status, found.stderr + found.stdout
    return found.stdout if status == 0 else found.stderr


def _json(home: Path, *words: str) -> Any:
    return json.loads(_moltgate(home, *words, "--json"))


def test_run_prints_where_web_chat_is_with_a_one_time_link(home: Path) -> None:
    said = (home / "said").read_text()

    assert "Web chat: http://127.0.0.1:" in said
    assert "/login#" in said


def test_status_says_who_runs_and_that_the_ledger_adds_up(home: Path) -> None:
    found = _json(home, "status")

    assert found["owner"]["pid"] == owner.read_owner(home).pid  # type: ignore[union-attr]
    assert found["store"]["difference"] == 0
    assert "web:default" in found["store"]["outbox"]
    assert "running" in _moltgate(home, "status")


def test_chat_answers_one_question_and_leaves_no_token_behind(home: Path) -> None:
    assert _moltgate(home, "chat", "hello").strip()
    assert _json(home, "token", "list") == []


def test_chat_goes_on_until_the_end_of_input(home: Path) -> None:
    said = _moltgate(home, "chat", "--conversation", "long", into="hello\n\nthank you\n")

    assert len([line for line in said.splitlines() if line.strip()]) >= 2


def test_login_prints_a_fresh_link_to_the_port_in_use(home: Path) -> None:
    first, second = _moltgate(home, "login"), _moltgate(home, "login")

    assert first.startswith(f"{owner.read_owner(home).http}/login#")  # type: ignore[union-attr]
    assert first != second


def test_tokens_are_made_used_listed_and_revoked(home: Path) -> None:
    made = _json(home, "token", "create", "tests", "--days", "1")
    (listed,) = _json(home, "token", "list")
    base = owner.read_owner(home).http  # type: ignore[union-attr]
    elsewhere = ["chat", "hello", "--url", base, "--token", made["token"]]

    assert listed["id"] == made["id"]
    assert made["token"] not in json.dumps(listed)
    assert _moltgate(home, *elsewhere).strip()

    _moltgate(home, "token", "revoke", made["id"])

    assert "not taken: 401" in _moltgate(home, *elsewhere, status=1)
    assert "no token" in _moltgate(home, "token", "revoke", made["id"], status=1)


def test_a_token_is_for_the_gateway_of_this_folder_unless_told_otherwise(home: Path) -> None:
    made = _json(home, "token", "create", "here")

    assert _moltgate(home, "chat", "hello", "--token", made["token"]).strip()

    _moltgate(home, "token", "revoke", made["id"])


def test_a_token_needs_a_name_and_an_end_that_comes(home: Path) -> None:
    assert "needs a name" in _moltgate(home, "token", "create", " ", status=2)
    _moltgate(home, "token", "create", "x", "--days", "1e300", status=2)


def test_unknown_scopes_are_wrong_usage(home: Path) -> None:
    assert "no scope" in _moltgate(home, "token", "create", "x", "--scope", "all", status=2)


def test_send_puts_a_message_into_the_outbox_once(home: Path) -> None:
    for _ in range(2):
        _moltgate(home, "send", "web", "owner.main", "The backup is done.", "--id", "b1")

    assert "no account telegram:default" in _moltgate(home, "send", "telegram", "1", "x", status=1)


def test_nobody_waits_and_nothing_is_dead_at_first(home: Path) -> None:
    assert _json(home, "pair", "list") == []
    assert _json(home, "dead", "list") == []
    assert "Nothing needs a decision" in _moltgate(home, "dead", "list")


def test_ids_and_codes_nobody_has_are_told(home: Path) -> None:
    assert "no dead letter" in _moltgate(home, "dead", "show", "0-1-1", status=1)
    assert "no request waits" in _moltgate(home, "pair", "approve", "AAAAAAAA", status=1)


def test_doctor_finds_everything_well(home: Path) -> None:
    found = _json(home, "doctor")

    assert {each["state"] for each in found} <= {"ok", "advice"}
    assert {"python", "data folder", "configuration", "redis", "http"} <= {
        each["name"] for each in found
    }


def test_doctor_knows_the_port_of_its_own_gateway(home: Path) -> None:
    (found,) = [each for each in _json(home, "doctor") if each["name"] == "http"]

    assert found["state"] == "ok"
    assert "in use by this gateway" in found["detail"]
    assert f"process {owner.read_owner(home).pid}" in found["detail"]  # type: ignore[union-attr]


def test_doctor_tells_a_moltgate_on_another_folder_from_its_own(home: Path, tmp_path: Path) -> None:
    port = owner.read_owner(home).http.rpartition(":")[2]  # type: ignore[union-attr]
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "moltgate.yaml").write_text(f"http: {{port: {port}}}\n")

    found = _said(tmp_path, "doctor", "--json")

    assert found.returncode == 1
    (http,) = [each for each in json.loads(found.stdout) if each["name"] == "http"]
    assert "in use by a Moltgate on another data folder" in http["detail"]


def test_doctor_knows_a_gateway_that_runs_as_a_role_of_its_own(home: Path, tmp_path: Path) -> None:
    """As in a container: no `moltgate run` owns the folder."""
    redis = {"url": f"unix://{home}/redis/redis.sock", "namespace": "beside"}
    settings = {"http": {"port": free_port()}, "redis": redis}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "moltgate.yaml").write_text(json.dumps(settings))
    with (tmp_path / "said").open("wb") as said:
        role = subprocess.Popen([*PROGRAM, *_where(tmp_path), "gateway"], stdout=said, stderr=said)
    try:
        until = time.monotonic() + 60
        while "Web chat:" not in (tmp_path / "said").read_text():
            assert role.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < until, (tmp_path / "said").read_text()
            time.sleep(0.05)
        (http,) = [each for each in _json(tmp_path, "doctor") if each["name"] == "http"]
    finally:
        role.terminate()
        role.wait(30)

    assert http["state"] == "ok"
    assert f"in use by this gateway (process {role.pid} on " in http["detail"]


def _reader(home: Path) -> dict[str, str]:
    (found,) = [each for each in _json(home, "doctor") if each["name"] == "media role"]
    return {"state": found["state"], "detail": found["detail"]}


def test_doctor_says_who_reads(home: Path, tmp_path: Path) -> None:
    redis = {"url": f"unix://{home}/redis/redis.sock", "namespace": "read"}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "moltgate.yaml").write_text(json.dumps({"redis": redis}))

    assert _reader(home)["detail"].startswith("asleep; moltgate run starts one")
    assert _reader(tmp_path) == {
        "state": "advice",
        "detail": "nobody does ocr, asr, doc, tts; start: moltgate media --queues ocr,asr,doc,tts",
    }
    with (tmp_path / "said").open("wb") as said:
        role = subprocess.Popen([*PROGRAM, *_where(tmp_path), "media"], stdout=said, stderr=said)
    try:
        until = time.monotonic() + 60
        while "media_started" not in (tmp_path / "said").read_text():
            assert role.poll() is None, (tmp_path / "said").read_text()
            assert time.monotonic() < until, (tmp_path / "said").read_text()
            time.sleep(0.05)
        assert _reader(tmp_path)["detail"].startswith(f"process {role.pid} on ")
    finally:
        role.terminate()
        role.wait(30)


@pytest.fixture
def wrong_file(home: Path) -> Iterator[Path]:
    file = home / "config" / "moltgate.yaml"
    file.write_text("http: {prot: 1}\nengine: {}\n")
    yield file
    file.unlink()


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--json"],
        ["dead", "list", "--json"],
        ["pair", "list", "--json"],
        ["token", "list", "--json"],
        ["send", "web", "owner.main", "hello", "--id", "b2"],
        ["chat", "hello"],
        ["login"],
    ],
    ids=lambda words: words[0],
)
def test_a_wrong_file_is_told_and_the_last_good_one_counts(
    words: list[str], home: Path, wrong_file: Path
) -> None:
    found = _said(home, *words)

    assert found.returncode == 0, found.stderr
    told = [line for line in found.stderr.splitlines() if line.startswith("moltgate: ")]
    assert len(told) == 1
    assert f"{wrong_file}: line 1: http.prot: unknown setting (did you mean port?)" in told[0]
    assert "and 1 more" in told[0]
    assert "last good configuration" in told[0]
    if "--json" in words:
        json.loads(found.stdout)


def test_check_and_a_fresh_run_still_fail_by_a_wrong_file(
    home: Path, wrong_file: Path, tmp_path: Path
) -> None:
    assert "did you mean port?" in _moltgate(home, "check", status=78)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "moltgate.yaml").write_text(wrong_file.read_text())
    assert "did you mean port?" in _moltgate(tmp_path, "run", status=78)


def test_doctor_tells_a_wrong_file_and_looks_at_the_rest(home: Path, wrong_file: Path) -> None:
    found = _said(home, "doctor", "--json")

    assert found.returncode == 1
    states = {each["name"]: each["state"] for each in json.loads(found.stdout)}
    assert states["configuration"] == "bad"
    assert (states["redis"], states["http"]) == ("ok", "ok")


def test_a_second_run_says_who_is_there_already(home: Path) -> None:
    said = _moltgate(home, "run", status=1)

    assert f"process {owner.read_owner(home).pid}" in said  # type: ignore[union-attr]


def test_answers_go_on_after_redis_was_killed(home: Path) -> None:
    before = (home / "said").read_text().count("private_redis_ready")
    for line in (home / "said").read_text().splitlines():
        if "private_redis_ready" in line:
            redis = json.loads(line)["pid"]
    os.kill(redis, signal.SIGKILL)
    until = time.monotonic() + 30
    while (home / "said").read_text().count("private_redis_ready") == before:
        assert time.monotonic() < until
        time.sleep(0.05)

    assert _moltgate(home, "chat", "hello again").strip()
    assert _json(home, "status")["store"]["difference"] == 0
