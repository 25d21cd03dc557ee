"""The containers for real, on the engine that DOCKER_HOST names. Run by ``scripts/docker-test``."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.fakes.ports import free_port
from tests.media import pictures

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
OURS = ("gateway", "worker", "media")
T = TypeVar("T")
QUESTION, ANSWER = "What is the capital of France?", "Paris"


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(words)}: {done.stdout}{done.stderr}")
    return (done.stdout + done.stderr).strip()


def eventually(look: Callable[[], T], what: str, seconds: float = 60) -> T:
    """The first answer that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds:.0f} s for: {what}")


@dataclass
class Api:
    """The HTTP API as programs use it."""

    port: int
    token: str = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer; 0 while nobody listens. A body is JSON, or bytes as they are."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            text = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        return answer.status, json.loads(raw) if raw.startswith((b"{", b"[")) else raw

    def alive(self) -> bool:
        return self.call("GET", "/readyz")[0] == 200

    def ask(self, conversation: str, text: str = QUESTION, *files: bytes) -> None:
        message: dict[str, Any] = {"conversation": conversation, "text": text, "id": "only"}
        if files:
            message["attachments"] = [{"digest": self.upload(each)} for each in files]
        status, said = self.call("POST", "/api/v1/messages", message)
        assert (status, said.get("outcome")) == (202, "stored"), said

    def upload(self, content: bytes) -> str:
        status, said = self.call("POST", "/api/v1/files", content)
        assert status == 201, said
        return str(said["digest"])

    def answers(self, conversation: str) -> list[str]:
        status, said = self.call("GET", f"/api/v1/conversations/{conversation}/messages")
        if status != 200:
            return []
        events = [each["event"] for each in said["messages"]]
        return [each["text"] for each in events if each.get("role") == "assistant"]


@dataclass
class Deployment:
    project: str
    env: Mapping[str, str]
    api: Api

    def compose(self, *words: str) -> str:
        client = shlex.split(os.environ.get("MOLTGATE_COMPOSE", "docker-compose"))
        done = subprocess.run(
            [*client, "--project-name", self.project, *words],
            cwd=ROOT,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"compose {words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service)

    def state(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(docker("inspect", self.container(service)))
        return found[0]

    def inside(self, service: str, script: str) -> str:
        return self.compose("exec", "-T", service, "sh", "-c", script)

    def someone(self) -> Api:
        """Another program with a token, and so with limits, of its own."""
        made = self.compose("exec", "-T", "gateway", "moltgate", "token", "create", "t", "--json")
        return Api(self.api.port, json.loads(made)["token"])

    def up(self) -> None:
        self.compose("up", "-d", "--no-build")
        eventually(self.api.alive, "the gateway to be ready")


@pytest.fixture(scope="module")
def engine() -> None:
    if not os.environ.get("DOCKER_HOST") or not docker("images", "-q", "moltgate:local"):
        pytest.fail("no engine with an image to try: run scripts/docker-test")


@pytest.fixture(scope="module")
def deployment(engine: None) -> Iterator[Deployment]:
    port = free_port()
    project = f"moltgate{secrets.token_hex(3)}"
    here = Deployment(project, {"MOLTGATE_PORT": str(port)}, Api(port))
    try:
        here.up()
        here.api = here.someone()
        yield here
    finally:
        here.compose("down", "--volumes", "--timeout", "5")


def test_a_message_through_the_published_port_is_answered(deployment: Deployment) -> None:
    deployment.api.ask("hello")

    (answer,) = eventually(lambda: deployment.api.answers("hello"), "an answer")

    assert ANSWER in answer


def test_the_login_link_is_right_from_outside(deployment: Deployment) -> None:
    link = deployment.compose("exec", "-T", "gateway", "moltgate", "login").splitlines()[0]
    address, _, code = link.partition("/login#")
    browser = Api(deployment.api.port)

    assert address == f"http://127.0.0.1:{deployment.api.port}"
    assert browser.call("GET", "/login")[0] == 200
    assert browser.call("POST", "/api/v1/login", {"code": code}, Origin=address)[0] == 204
    assert browser.call("POST", "/api/v1/login", {"code": code}, Origin=address)[0] == 401


def test_other_names_and_strangers_are_refused(deployment: Deployment) -> None:
    stranger = Api(deployment.api.port)

    assert stranger.call("GET", "/api/v1/me")[0] == 401
    assert deployment.api.call("GET", "/api/v1/me", Host="rebound.example")[0] == 403


def test_only_the_web_port_is_open_on_the_host_and_only_on_loopback(deployment: Deployment) -> None:
    ports = {
        name: deployment.state(name)["HostConfig"]["PortBindings"] or {}
        for name in (*OURS, "redis")
    }

    port = str(deployment.api.port)
    assert ports == {
        "gateway": {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": port}]},
        "worker": {},
        "media": {},
        "redis": {},
    }
    for service in ("redis", "media"):
        assert deployment.inside(service, "ls /sys/class/net") == "lo"


@pytest.mark.parametrize("service", [*OURS, "redis"])
def test_a_process_has_no_rights_and_cannot_write_its_root(
    deployment: Deployment, service: str
) -> None:
    status = deployment.inside(service, "cat /proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    refused = deployment.inside(service, "touch /opt/x /usr/x /etc/x 2>&1; true")
    assert refused.count("Read-only file system") == 3


def test_files_are_read_in_a_container_without_a_network(deployment: Deployment) -> None:
    """By what the image has, in confined children that need no rights of their own."""
    socket = "redis-cli -s /run/redis-socket/redis.sock"
    results = f"for key in $({socket} --scan --pattern 'q:media:celery-task-meta-*'); do "
    page = pictures.as_png(pictures.page(("INVOICE 4711", "for repairing the garden gate")))
    sheet = b"item,price\nyellow umbrella,12\n"

    deployment.api.ask("files", "What do these say?", page, sheet)

    def read() -> bool:
        said = deployment.inside("redis", f"{results} {socket} get $key; done")
        return "garden gate" in said and "yellow umbrella" in said

    eventually(read, "both files to be read")
    eventually(lambda: deployment.api.answers("files"), "an answer")
    doctor = deployment.compose("exec", "-T", "gateway", "moltgate", "doctor", "--json")
    (reader,) = [each for each in json.loads(doctor) if each["name"] == "media role"]
    assert (reader["state"], reader["detail"][:8]) == ("ok", "process ")


@dataclass
class Crowd:
    """Conversations of several people, each with one question."""

    people: list[Api]
    each: int = 15

    def ask(self) -> None:
        """A wave after the other: everybody's first question, everybody's second, and so on."""
        for number in range(self.each):
            with ThreadPoolExecutor() as pool:
                list(pool.map(Api.ask, self.people, [f"talk-{number}"] * len(self.people)))

    def answers(self) -> list[int]:
        """How many answers each conversation has."""
        return [
            len(person.answers(f"talk-{number}"))
            for person in self.people
            for number in range(self.each)
        ]

    def wait(self) -> None:
        eventually(lambda: all(self.answers()), f"{self.each * len(self.people)} answers", 90)


def test_a_worker_killed_in_the_middle_costs_no_answer_and_doubles_none(
    deployment: Deployment,
) -> None:
    crowd = Crowd([deployment.someone() for _ in range(5)])
    before = deployment.state("worker")
    with ThreadPoolExecutor() as asking:
        asked = asking.submit(crowd.ask)
        eventually(lambda: crowd.people[0].answers("talk-0"), "a first answer")
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        assert not asked.done(), "all was asked before it was killed"
    asked.result()

    crowd.wait()

    assert {*crowd.answers()} == {1}
    assert deployment.state("worker")["RestartCount"] == before["RestartCount"] + 1
    dead = deployment.compose("exec", "-T", "gateway", "moltgate", "dead", "list", "--json")
    assert json.loads(dead) == []
    status = deployment.compose("exec", "-T", "gateway", "moltgate", "status", "--json")
    assert json.loads(status)["store"]["difference"] == 0


def test_the_store_killed_in_the_middle_keeps_what_was_accepted(deployment: Deployment) -> None:
    crowd = Crowd([deployment.someone(), deployment.someone()])
    crowd.ask()
    os.kill(deployment.state("redis")["State"]["Pid"], signal.SIGKILL)

    crowd.wait()

    assert {*crowd.answers()} == {1}


def test_terminated_roles_drain_and_end_well_and_everything_is_there_again_afterwards(
    deployment: Deployment,
) -> None:
    person = deployment.someone()
    person.ask("kept")
    eventually(lambda: person.answers("kept"), "an answer")
    for service in (*OURS, "redis"):
        name = deployment.container(service)
        begun = time.monotonic()
        docker("stop", "--time", "30", name)
        assert time.monotonic() - begun < 10, f"{service} took too long"
        assert json.loads(docker("inspect", name))[0]["State"]["ExitCode"] == 0, service

    deployment.compose("down", "--timeout", "5")
    deployment.up()

    assert ANSWER in person.answers("kept")[0]
    person.ask("anew")
    eventually(lambda: person.answers("anew"), "an answer")


def test_the_gateway_reports_healthy(deployment: Deployment) -> None:
    eventually(
        lambda: deployment.state("gateway")["State"]["Health"]["Status"] == "healthy", "health"
    )


def test_a_configuration_file_in_the_folder_is_read(engine: None, tmp_path: Path) -> None:
    (tmp_path / "moltgate.yaml").write_text("log: {level: debug}\nhttp: {allowed_hosts: [a.b]}\n")
    tmp_path.chmod(0o755)

    said = docker(
        *("run", "--rm", "--volume", f"{tmp_path}:/config:ro", "--env", "MOLTGATE_CONFIG=/config"),
        *("moltgate:local", "check"),
    )

    assert "/config/moltgate.yaml" in said


LOCKED_DOWN = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
               "--security-opt", "no-new-privileges")  # fmt: skip


@pytest.mark.parametrize("kind", ["named volume", "folder of another user"])
def test_one_container_runs_everything_whoever_owns_its_data(
    engine: None, tmp_path: Path, kind: str
) -> None:
    name, api = f"moltgate{secrets.token_hex(3)}", Api(free_port())
    if kind == "named volume":
        where: tuple[str, ...] = ("--volume", f"{name}:/data")
    else:
        folder = tmp_path / "data"
        folder.mkdir(mode=0o700)
        os.chown(folder, 1000, 1000)
        for parent in (tmp_path, *tmp_path.parents[:2]):
            parent.chmod(parent.stat().st_mode | 0o711)
        where = ("--volume", f"{folder}:/data", "--user", "1000:1000")
    try:
        docker(
            *("run", "--detach", "--name", name, *LOCKED_DOWN, *where),
            *("--publish", f"127.0.0.1:{api.port}:8080", "moltgate:local"),
        )
        eventually(api.alive, "the gateway to be ready")
        made = docker("exec", name, "moltgate", "token", "create", "t", "--json")
        api.token = json.loads(made[: made.rindex("}") + 1])["token"]
        api.ask("hello")
        (answer,) = eventually(lambda: api.answers("hello"), "an answer")
        assert ANSWER in answer
        docker("stop", "--time", "30", name)
        assert json.loads(docker("inspect", name))[0]["State"]["ExitCode"] == 0
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", name, check=False)


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(
    engine: None, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)  # root's

    said = docker("run", "--rm", "--volume", f"{tmp_path}:/data", "moltgate:local", check=False)

    assert "chown -R 10001 /data" in said


def test_roles_on_a_folder_that_cannot_be_written_say_so_too(engine: None, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # root's
    env = {"MOLTGATE_PORT": str(free_port()), "MOLTGATE_DATA": str(tmp_path)}
    here = Deployment(f"moltgate{secrets.token_hex(3)}", env, Api(0))
    try:
        here.compose("up", "-d", "--no-build")
        eventually(
            lambda: "chown -R 10001 /data" in here.compose("logs", "--no-color", "gateway"),
            "the remedy",
        )
    finally:
        here.compose("down", "--volumes", "--timeout", "5")
