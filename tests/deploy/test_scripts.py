"""scripts/run on machines that lack something, with stand-ins for what it would call."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = "bash cat chmod cut dirname env printf readlink rm sha256sum".split()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts beside an environment in which everything is installed already."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("bin", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    program(tmp_path / ".venv/bin/python")
    program(tmp_path / ".venv/bin/moltgate", 'echo "moltgate $*"')
    return tmp_path


def program(path: Path, does: str = "exit 0") -> None:
    path.write_text(f"#!/bin/bash\n{does}\n")
    path.chmod(0o755)


def run(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts/run", "--port", "0"],
        env={"PATH": str(checkout / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def as_root(checkout: Path, root: bool, apt: str = "exit 0") -> None:
    program(checkout / "bin/id", f"echo {0 if root else 1000}")
    program(checkout / "bin/apt-get", f'echo "$*" >>{checkout}/asked\n{apt}')


def test_run_installs_what_reads_pictures_and_speaks(checkout: Path) -> None:
    as_root(checkout, True)

    done = run(checkout)

    assert done.stdout == "moltgate run --port 0\n"
    asked = (checkout / "asked").read_text()
    assert asked.endswith(" tesseract-ocr tesseract-ocr-eng espeak-ng\n")


def test_run_asks_for_nothing_that_is_there(checkout: Path) -> None:
    as_root(checkout, True)
    program(checkout / "bin/tesseract")
    program(checkout / "bin/espeak-ng")

    assert run(checkout).stdout == "moltgate run --port 0\n"
    assert not (checkout / "asked").exists()


def test_run_without_rights_says_what_is_missing_and_goes_on(checkout: Path) -> None:
    as_root(checkout, False)
    program(checkout / "bin/tesseract")

    done = run(checkout)

    assert done.stdout == "moltgate run --port 0\n"
    assert "as root: apt-get install espeak-ng" in done.stderr
    assert not (checkout / "asked").exists()


def test_run_goes_on_where_nothing_can_be_installed(checkout: Path) -> None:
    as_root(checkout, True, "exit 100")

    done = run(checkout)

    assert done.stdout == "moltgate run --port 0\n"
    assert "going on without tesseract-ocr tesseract-ocr-eng espeak-ng" in done.stderr


def test_run_tries_once_and_again_when_something_else_is_missing(checkout: Path) -> None:
    as_root(checkout, True, "exit 100")
    run(checkout)
    asked = (checkout / "asked").read_text()

    again = run(checkout)

    assert again.stdout == "moltgate run --port 0\n"
    assert "as root: apt-get install tesseract-ocr" in again.stderr
    assert (checkout / "asked").read_text() == asked
    program(checkout / "bin/tesseract")
    run(checkout)
    assert (checkout / "asked").read_text() != asked
