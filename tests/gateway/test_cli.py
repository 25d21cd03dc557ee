"""The commands that need nothing running: arguments, statuses, and files that are written."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.cli import hoisted, invoke
from gateway.cli.setup import Answers, text_of, write
from gateway.settings import load

COMMANDS = (
    "run gateway worker init check doctor status chat send schema version login "
    "dead pair token".split()
)
TOKEN = "1234567:abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([command, "--help"]) == 0
    assert "Usage: moltgate" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        *(name for name in COMMANDS if name not in ("dead", "pair", "token")),
        *(f"dead {word}" for word in ("list", "show", "resubmit", "drop")),
        *(f"pair {word}" for word in ("list", "approve", "deny", "revoke")),
        *(f"token {word}" for word in ("create", "list", "revoke")),
    ],
)
def test_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert f"moltgate {command}" in " ".join(said.split("Example:")[1].split())


def test_home_may_stand_behind_the_command() -> None:
    assert hoisted(["run", "--home", "x", "--port", "1"]) == ["--home", "x", "run", "--port", "1"]
    assert hoisted(["check", "--config=y"]) == ["--config=y", "check"]
    assert hoisted(["send", "a", "b", "--", "--home"]) == ["send", "a", "b", "--", "--home"]


def test_wrong_usage_is_told_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["chekc"]) == 2
    assert invoke(["run", "--port", "many"]) == 2
    assert "chekc" in capsys.readouterr().err


def test_help_comes_quickly_because_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from gateway.cli import invoke; invoke(['--help']);"
        "heavy = {'aiohttp', 'redis', 'structlog', 'ctranslate2', 'telegram'} & set(sys.modules);"
        "sys.exit(' '.join(heavy) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert found.returncode == 0, found.stderr


# --- check --------------------------------------------------------------------------------------


def test_check_explains_what_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["check", "--home", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "built-in demo model" in said
    assert "Web chat (web:default)" in said
    assert "private server" in said


def test_check_tells_everything_wrong_with_status_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {prot: 1}\nengine: {}\n")

    assert invoke(["check", "--home", str(tmp_path)]) == 78

    said = capsys.readouterr().err
    assert "did you mean port?" in said
    assert "did you mean engines?" in said


def test_check_for_programs_is_one_json_document_either_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["check", "--json", "--home", str(tmp_path)]) == 0
    good = json.loads(capsys.readouterr().out)
    (tmp_path / "moltgate.yaml").write_text("http: {prot: 1}\n")
    assert invoke(["check", "--json", "--home", str(tmp_path)]) == 78
    bad = json.loads(capsys.readouterr().out)

    assert good["ok"] is True
    assert good["facts"]["private_redis"] is True
    assert bad == {
        "ok": False,
        "problems": ["line 1: http.prot: unknown setting (did you mean port?)"],
        "warnings": [],
    }


def test_check_gives_advice_about_secrets_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text(f"adapters: {{telegram: {{token: '{TOKEN}'}}}}\n")

    assert invoke(["check", "--home", str(tmp_path)]) == 0

    said = capsys.readouterr()
    assert "a secret stands in the file itself" in said.err
    assert TOKEN not in said.err + said.out


# --- init ---------------------------------------------------------------------------------------


def test_init_writes_a_private_file_that_can_be_read_back(tmp_path: Path) -> None:
    words = f"init --home {tmp_path}/home --yes --no-probe --port 9000 --telegram-token {TOKEN}"
    words += " --engine-url http://localhost:8000/v1 --engine-key a-secret-key"

    status = invoke(words.split())

    assert status == 0
    settings = load(tmp_path / "home", None, {})
    assert settings.http.port == 9000
    assert settings.secrets == {TOKEN, "a-secret-key"}
    assert settings.warnings == ()
    for path in (tmp_path / "home").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    text = (tmp_path / "home" / "moltgate.yaml").read_text()
    assert TOKEN not in text
    assert "a-secret-key" not in text


def test_init_never_replaces_a_file_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {port: 1234}\n")

    assert invoke(["init", "--home", str(tmp_path), "--yes"]) == 1

    assert "is there already" in capsys.readouterr().err
    assert load(tmp_path, None, {}).http.port == 1234


def test_init_with_an_engine_that_does_not_answer_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", "--home", str(tmp_path), "--yes", "--engine-url", "http://127.0.0.1:9/v1"]

    assert invoke(words) == 1

    assert "nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "moltgate.yaml").exists()


def test_the_smallest_answers_make_a_file_without_settings(tmp_path: Path) -> None:
    write(tmp_path / "moltgate.yaml", Answers())

    assert yaml.safe_load(text_of(Answers())) is None
    assert load(tmp_path, None, {}).engines == {}


# --- the rest -----------------------------------------------------------------------------------


def test_the_schema_can_be_written_for_an_editor(tmp_path: Path) -> None:
    assert invoke(["schema", "-o", str(tmp_path / "schema.json")]) == 0

    found = json.loads((tmp_path / "schema.json").read_text())
    assert {"http", "redis", "adapters", "engines"} <= set(found["properties"])


def test_version_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["version", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["moltgate"].count(".") == 2


@pytest.mark.parametrize(
    "words", [["status"], ["dead", "list"], ["pair", "list"], ["token", "list"], ["login"]]
)
def test_commands_that_need_a_running_gateway_say_how_to_start_it(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([*words, "--home", str(tmp_path)]) == 1

    said = capsys.readouterr().err
    assert re.search(r"start it with: (/\S+/)?moltgate run", said)  # a path when it is on none


def test_chat_elsewhere_needs_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["chat", "hello", "--url", "http://127.0.0.1:9"]) == 2


def test_doctor_says_what_to_do_about_a_wrong_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {prot: 1}\n")

    assert invoke(["doctor", "--home", str(tmp_path)]) == 1

    assert "did you mean port?" in capsys.readouterr().out


def test_doctor_names_an_engine_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text(
        "http: {port: 0}\nengines: {far: {url: 'http://127.0.0.1:9/v1'}}\n"
    )

    assert invoke(["doctor", "--json", "--home", str(tmp_path)]) == 1

    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["engine far"]["state"] == "bad"
    assert found["redis"]["state"] == "ok"
    assert found["http"]["state"] == "ok"
