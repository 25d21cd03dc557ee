"""What the compose file promises, read as any client reads it, without an engine.

That it also works is shown by ``scripts/docker-test`` (`test_bring_up`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import adapters
from gateway.cli.setup import is_secret
from gateway.queues.guard import check
from gateway.queues.topology import Store
from multimodal.jobs import QUEUES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
OURS = ("gateway", "worker", "media", "media-gpu")
READERS = ("media", "media-gpu")
SOCKET = "/run/redis-socket/redis.sock"

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


def interpolated(text: str, env: Mapping[str, str]) -> str:
    """As Compose does it, for the two forms that are used here."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return env.get(found["name"], "") or found["default"] or ""

    lines = (
        line if line.lstrip().startswith("#") else _VARIABLE.sub(value, line)
        for line in text.splitlines()
    )
    return "\n".join(lines)


def compose(**env: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(interpolated(TEXT, env))
    return document


SERVICES: Mapping[str, dict[str, Any]] = compose()["services"]
EVERY = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


def test_only_the_web_port_is_published_and_only_on_loopback() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}

    assert published == {"gateway": ["127.0.0.1:8080:8080"]}
    assert compose(MOLTGATE_PORT="9000")["services"]["gateway"]["ports"] == ["127.0.0.1:9000:9000"]


def test_it_uses_nothing_that_the_older_client_refuses() -> None:
    document = compose()

    parts = {name for name in document if not name.startswith("x-")}
    assert parts == {"services", "networks", "volumes"}
    assert not any("develop" in each or "secrets" in each for each in SERVICES.values())


@EVERY
def test_every_service_has_few_rights_and_bounds(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & service.keys()
    assert not any("docker.sock" in volume for volume in service["volumes"])


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_what_keeps_messages_runs_as_nobody_special_on_a_read_only_root(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]
    assert all(int(number) > 0 for number in service["user"].split(":"))
    assert service["restart"] == "unless-stopped"


@EVERY
def test_no_secret_is_written_down(service: dict[str, Any]) -> None:
    for name, value in (service.get("environment") or {}).items():
        if re.search(r"token|key|secret|password", name, re.I):
            assert value is None, f"{name} has a value for everybody"


def test_roles_wait_for_a_healthy_store_and_have_time_to_drain() -> None:
    assert "healthcheck" in SERVICES["redis"]
    for name in OURS:
        assert SERVICES[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert SERVICES[name]["stop_grace_period"] == "15s"


def test_the_store_is_on_no_network_and_has_a_volume_of_its_own() -> None:
    redis = SERVICES["redis"]

    assert redis["network_mode"] == "none"
    assert "redis:/data" in redis["volumes"]
    assert not any(v.startswith("redis:") for name in OURS for v in SERVICES[name]["volumes"])
    for name in OURS:
        assert SERVICES[name]["environment"]["MOLTGATE_REDIS_URL"] == f"unix://{SOCKET}"
        assert "redis-socket:/run/redis-socket" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", READERS)
def test_who_reads_the_files_of_strangers_is_on_no_network(name: str) -> None:
    service = SERVICES[name]

    assert service["network_mode"] == "none"
    assert "networks" not in service
    assert service["cpu_shares"] < 1024, "reading comes after answering"


def test_every_kind_of_file_has_a_reader_and_hearing_can_move_to_a_gpu() -> None:
    usual, gpu = SERVICES["media"], SERVICES["media-gpu"]

    assert usual["command"] == ["media", "--queues", ",".join(QUEUES)]
    assert "profiles" not in usual
    assert gpu["profiles"] == ["gpu-media"]
    assert gpu["command"] == ["media", "--queues", "asr"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert gpu["build"]["args"]["GPU"] == "1"
    # What the image needs to find its CUDA libraries, and nothing else, differs.
    rest = {**usual["environment"], "LD_LIBRARY_PATH": "/opt/moltgate/lib/cuda"}
    assert gpu["environment"] == rest
    moved = compose(MOLTGATE_MEDIA_QUEUES="ocr,doc,tts")["services"]["media"]
    assert moved["command"] == ["media", "--queues", "ocr,doc,tts"]


def test_the_model_server_is_asked_for_and_has_no_way_out() -> None:
    engine, networks = SERVICES["vllm"], compose()["networks"]

    assert engine["profiles"] == ["gpu"]
    assert engine["networks"] == ["engines"]
    assert networks["engines"] == {"internal": True}
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", engine["image"])
    assert "--api-key" not in engine["command"][0], "processes can read each other's command lines"
    seconds = re.search(r"--shutdown-timeout (\d+)", engine["command"][0])
    assert seconds is not None
    assert int(seconds[1]) < int(engine["stop_grace_period"].removesuffix("s"))


def test_whoever_owns_the_data_folder_can_be_chosen() -> None:
    document = compose(MOLTGATE_UID="1000", MOLTGATE_GID="1000", MOLTGATE_DATA="./data")

    for name in OURS:
        assert document["services"][name]["user"] == "1000:1000"
        assert "./data:/data" in document["services"][name]["volumes"]
    assert "gid=1000" in document["volumes"]["redis-socket"]["driver_opts"]["o"]


def test_every_variable_is_explained() -> None:
    page = (ROOT / "docs" / "docker.md").read_text()
    used = {found["name"] for found in _VARIABLE.finditer(TEXT) if found["name"]} - {"NAME"}
    passed_on = {
        name
        for service in SERVICES.values()
        for name, value in (service.get("environment") or {}).items()
        if value is None
    }

    assert not {name for name in used | passed_on if f"`{name}`" not in page}


@pytest.fixture
def as_composed(tmp_path: Path) -> Iterator[str]:
    """A real server with the very arguments of the file, but for its two places."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.fail("redis-server is missing: apt-get install redis-server, or run scripts/test")
    socket = tmp_path / "s.sock"
    places = {SOCKET: str(socket), "/data": str(tmp_path)}
    arguments = [places.get(word, word) for word in SERVICES["redis"]["command"][1:]]
    process = subprocess.Popen([server, *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"unix://{socket}"
    process.terminate()
    process.wait(10)


async def test_the_guard_has_nothing_to_say_about_the_store(as_composed: str) -> None:
    store = Store(as_composed)
    try:
        health = await check(store)
    finally:
        await store.close()

    assert (health.problems, health.warnings) == ((), ())
    assert health.used_share > 0, "without a limit it would grow until the machine is full"


@pytest.mark.parametrize("kind", adapters.kinds())
def test_every_platforms_secrets_reach_the_containers(kind: str) -> None:
    spec = adapters.find(kind)
    wanted = {ask.env for ask in spec.setup.asks if is_secret(spec, ask.setting)}

    for role in OURS:
        assert wanted <= set(SERVICES[role]["environment"])
