"""The commands that need nothing running: arguments, statuses, and files that are written."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from gateway.cli import hoisted, invoke, secrets_in
from gateway.cli.answers import Answers, text_of, write
from gateway.settings import load

COMMANDS = (
    "run gateway worker init check doctor status chat send schema version login "
    "dead pair token".split()
)
DISCORD = f"{'M' * 24}.{'a' * 6}.{'b' * 38}"
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


def _program(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "gateway", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **env},
    )


def test_a_fault_of_ours_is_shown_with_its_traceback_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text(  # a broken installation
        "import os\n"
        f"raise RuntimeError('no redis://bot:hunter2@db:6379 with {TOKEN} ' + os.environ['A_KEY'])"
    )

    found = _program("check", "--home", str(tmp_path), PYTHONPATH=str(tmp_path), A_KEY="s3cret-one")

    assert found.returncode == 70
    first, second, *rest = found.stderr.splitlines()
    assert "a fault of Moltgate" in first
    assert "report it" in second
    assert "Traceback (most recent call last):" in rest
    assert "RuntimeError: no redis://bot:[redacted]@db:6379" in found.stderr
    for secret in ("hunter2", TOKEN.split(":")[1], "s3cret-one"):
        assert secret not in found.stderr + found.stdout


def test_a_secret_in_the_configuration_is_taken_out_of_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "moltgate.yaml").write_text(
        'engines: {far: {url: "http://h/v1", api_key: "plain-old-key"}}'
    )
    (tmp_path / "aiohttp.py").write_text("raise RuntimeError('the key is plain-old-key')")

    found = _program("doctor", "--home", str(tmp_path), PYTHONPATH=str(tmp_path))

    assert found.returncode == 70
    assert "the key is [redacted]" in found.stderr
    assert "plain-old-key" not in found.stderr


def test_what_sounds_like_a_secret_is_taken_for_one() -> None:
    words = [
        "token",
        "create",
        "backup",
        "--token",
        "mgt-one",
        "--engine-key=engine-one",
        "--id",
        "x",
    ]

    env = {"TELEGRAM_TOKEN": "bot-one", "PASSWORD": "pass-one", "HOME": "/home/a", "A_KEY": "short"}

    assert secrets_in(words, env) == {"mgt-one", "engine-one", "bot-one", "pass-one"}


def test_what_the_system_refuses_is_no_fault_of_ours() -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-P", "-m", "gateway", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert found.returncode == 1
    assert "No space left" in found.stderr
    assert "Traceback" not in found.stderr


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


def test_a_proxy_by_name_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {trusted_proxies: [my.proxy]}\n")

    assert invoke(["check", "--home", str(tmp_path)]) == 78

    assert "my.proxy is no address or network" in capsys.readouterr().err


def test_without_a_gateway_a_wrong_file_stays_an_error_whatever_was_good_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {prot: 1}\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "moltgate.yaml").write_text("")

    assert invoke(["status", "--home", str(tmp_path)]) == 78

    assert "did you mean port?" in capsys.readouterr().err


# --- a folder as the configuration ---------------------------------------------------------------


def test_a_folder_stands_for_the_file_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    where = ["--home", str(tmp_path / "home"), "--config", str(folder)]

    assert invoke(["check", *where]) == 0
    assert f"none; {folder}/moltgate.yaml would be read" in capsys.readouterr().out
    assert invoke(["init", "--yes", "--port", "9000", *where]) == 0
    assert f"written: {folder}/moltgate.yaml" in capsys.readouterr().out
    assert invoke(["init", "--yes", *where]) == 1
    assert f"{folder}/moltgate.yaml is there already" in capsys.readouterr().err
    assert invoke(["check", *where]) == 0
    said = capsys.readouterr().out
    assert f"{folder}/moltgate.yaml" in said
    assert ":9000" in said


def test_run_says_which_file_is_missing_and_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.yaml"

    found = _program("run", "--home", str(tmp_path / "home"), "--config", str(missing))

    assert found.returncode == 78
    assert f"{missing}: there is no such file (moltgate init" in found.stderr


def test_init_says_at_once_where_nothing_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert invoke(["init", "--config", str(tmp_path / "file" / "moltgate.yaml")]) == 78

    said = capsys.readouterr()
    assert "is a file, not a folder (name another with --config)" in said.err
    assert said.out == ""  # nothing was asked


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


def test_init_takes_a_platforms_answers_from_its_variables_and_from_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", DISCORD)
    words = f"init --home {tmp_path} --yes --no-probe --with discord --set telegram.token={TOKEN}"
    words += " --set telegram.rate.group=10 --with telegram --public-url https://bot.example.org/"

    assert invoke(words.split()) == 0

    settings = load(tmp_path, None, {})
    kinds = [entry.account.kind for entry in settings.adapters]
    assert kinds == ["web", "discord", "telegram"]
    assert settings.adapters[2].config.rate.group == 10
    assert settings.http.public_url == "https://bot.example.org"
    text = (tmp_path / "moltgate.yaml").read_text()
    assert TOKEN not in text
    assert DISCORD not in text


@pytest.mark.parametrize("probe", ["--probe", "--no-probe"])
def test_init_names_the_setting_that_is_not_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, probe: str
) -> None:
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)

    assert invoke(["init", "--home", str(tmp_path), "--yes", "--with", "discord", probe]) == 1

    assert "adapters.discord.token" in (said := capsys.readouterr().err)
    assert "DISCORD_TOKEN" in said
    assert not (tmp_path / "moltgate.yaml").exists()


@pytest.mark.parametrize("setting", ["telegram", "telegram.token", "=x", ".token=x"])
def test_init_says_how_a_setting_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    assert invoke(["init", "--home", str(tmp_path), "--yes", "--set", setting]) == 78
    assert "KIND.SETTING=VALUE" in capsys.readouterr().err


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


def test_init_without_anybody_to_answer_says_what_to_do(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-P", "-m", "gateway", "init", "--home", str(tmp_path / "new")],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )

    assert found.returncode == 1
    assert "--yes asks none" in found.stderr
    assert not (tmp_path / "new").exists()


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


@pytest.mark.parametrize(
    "words",
    [
        ["--url", "nonsense", "--token", "some-token"],
        ["--url", "http://127.0.0.1:9/below", "--token", "some-token"],
        ["--url", "http://127.0.0.1:99999", "--token", "some-token"],
        ["--token", "two\nlines"],
        ["--conversation", "two words"],
    ],
)
def test_what_chat_cannot_use_is_wrong_usage(words: list[str]) -> None:
    assert invoke(["chat", "hello", *words]) == 2


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["schema", "-o", str(tmp_path)]) == 1

    assert f"{tmp_path} cannot be written: Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["gateway", "worker"])
def test_a_role_without_a_store_says_so_at_once(
    role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([role, "--home", str(tmp_path)]) == 1

    said = capsys.readouterr().err
    assert "redis.url" in said
    assert "start it with" in said


def _findings(home: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    invoke(["doctor", "--json", "--home", str(home)])
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_doctor_tells_a_port_that_another_program_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever).start()
        (tmp_path / "moltgate.yaml").write_text(f"http: {{port: {other.server_port}}}\n")
        found = _findings(tmp_path, capsys)["http"]
        other.shutdown()

    assert found["state"] == "bad"
    assert "in use by another program" in found["detail"]


def test_doctor_mentions_a_proxy_that_is_not_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = "port: 0, public_url: 'https://chat.example.org'"
    (tmp_path / "moltgate.yaml").write_text(f"http: {{{public}}}\n")
    unnamed = _findings(tmp_path, capsys)
    (tmp_path / "moltgate.yaml").write_text(f"http: {{{public}, trusted_proxies: [127.0.0.1]}}\n")
    named = _findings(tmp_path, capsys)

    assert unnamed["proxy"]["state"] == "advice"
    assert "http.trusted_proxies" in unnamed["proxy"]["detail"]
    assert "proxy" not in named


def test_doctor_says_that_a_data_folder_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert _findings(tmp_path / "file", capsys)["data folder"]["state"] == "bad"


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
