"""An adapter of another distribution: found by its entry point, and treated as our own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import adapters
from gateway.errors import BadConfig
from gateway.message import Account
from gateway.settings import load
from tests.journeys.stage import Model, Moltgate, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "moltgate-adapter-folder"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As pip installs it, in this process and in those that it starts; no network is needed."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    facts = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    facts.mkdir(parents=True)
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (facts / "METADATA").write_text(named)
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {where}" for name, where in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    (facts / "entry_points.txt").write_text("\n".join(groups) + "\n")
    for path in (site, EXAMPLE / "src"):
        monkeypatch.syspath_prepend(path)
    paths = [str(site), str(EXAMPLE / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return site


def written(home: Path, settings: Mapping[str, Any]) -> Moltgate:
    home.mkdir(exist_ok=True)
    moltgate = Moltgate(home, 0)
    moltgate.configure(settings)
    return moltgate


def test_it_is_known_by_its_entry_point(installed: Path) -> None:
    assert "folder" in adapters.known()
    assert "folder" not in adapters.kinds()
    assert adapters.find("folder").title == "Folder"
    assert adapters.find("folder").splitter()


def test_without_it_its_name_is_unknown_and_says_what_there_is() -> None:
    with pytest.raises(BadConfig, match=r"there are: .*telegram"):
        adapters.find("folder")


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("no_such_module:SPEC", "old-adapter cannot be loaded: ModuleNotFoundError"),
        ("json:dumps", "introduces no adapter of this name"),
        ("adapters.irc:SPEC", "introduces no adapter of this name"),
        ("json:NOTHING", "old-adapter cannot be loaded: AttributeError"),
    ],
)
def test_one_that_is_broken_says_which_distribution_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, told: str
) -> None:
    facts = tmp_path / "old_adapter-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: old-adapter\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(f"[moltgate.adapters]\nold = {where}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadConfig, match=told):
        adapters.find("old")


def test_a_library_of_its_own_that_is_missing_is_named(installed: Path) -> None:
    spec = replace(adapters.find("folder"), factory="no_such_sdk:Adapter")
    with pytest.raises(BadConfig, match="Folder needs the module no_such_sdk"):
        spec.build(Account(kind="folder"), spec.config.model_construct(), None)  # type: ignore[arg-type]


def test_others_may_check_their_types_against_ours() -> None:
    for package in ("adapters", "config", "gateway"):
        assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({}, "adapters.folder.path"),
        ({"path": "questions"}, "begins with /"),
        ({"path": "/srv/q", "evry": 2}, "evry"),
        ({"path": "/srv/q", "access": {"allow_from": ["@ada"]}}, "a folder below in/"),
    ],
)
def test_its_settings_are_checked_like_our_own(
    installed: Path, tmp_path: Path, section: dict[str, Any], told: str
) -> None:
    file = tmp_path / "moltgate.yaml"
    written(tmp_path, {"adapters": {"folder": section}})
    with pytest.raises(BadConfig, match=told):
        load(tmp_path, file, {})


async def test_the_commands_know_it(installed: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions"
    questions.mkdir()
    moltgate = Moltgate(tmp_path / "home", 0)
    answer = f"folder.path={questions}"
    await moltgate.does("init", "--yes", "--no-probe", "--with", "folder", "--set", answer)
    assert str(questions) in moltgate.file.read_text()
    assert "folder" in await moltgate.does("check")
    assert f"looks into {questions}" in (await moltgate.said("doctor")).out
    assert "adapters.folder" in await moltgate.does("docs")
    questions.rename(tmp_path / "elsewhere")
    assert "is not there" in (await moltgate.said("doctor")).out


async def test_a_conversation_runs_through_it(installed: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions"
    section = {"path": str(questions), "every": 0.05, "access": {"allow_from": ["ada"]}}
    async with Model.started() as model:
        settings = {"engines": {"home": {"url": model.url}}, "adapters": {"folder": section}}
        home = tmp_path / "home"
        home.mkdir()
        async with Moltgate.running(home, settings):
            await asks(questions, "ada", "hello there", "echo: hello there")
            await asks(questions, "eve", "let me in", "pair approve")
            assert (questions / "read" / "ada" / "q.md").exists()
            assert not await model.requests("let me in")


async def asks(root: Path, person: str, text: str, answer: str) -> None:
    folder = root / "in" / person
    folder.mkdir(parents=True)
    (folder / ".q.md").write_text(text)
    (folder / ".q.md").rename(folder / "q.md")

    async def there() -> bool:
        found = (root / "out" / person).glob("*.md")
        return any(answer in file.read_text() for file in found)

    await until(there, f"{answer!r} for {person}")


def test_its_own_tests_pass(installed: Path) -> None:
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests"))
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
