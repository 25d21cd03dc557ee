"""Everything the roles need to know, from one file or none."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from gateway.errors import BadConfig
from gateway.lastgood import SNAPSHOT
from gateway.sessions.config import SessionConfig
from gateway.settings import Settings, home_folder, load

TOKEN = "1234567:abcdefghijklmnopqrstuvwxyz0123456789"


def _load(home: Path, text: str, env: dict[str, str] | None = None) -> Settings:
    (home / "moltgate.yaml").write_text(text)
    return load(home, None, env or {})


def test_without_a_file_web_chat_and_the_built_in_model_run(tmp_path: Path) -> None:
    settings = load(tmp_path, None, {})

    (web,) = settings.adapters
    assert web.account.key == "web:default"
    assert web.implied
    assert settings.engines == {}
    assert settings.file is None
    assert settings.redis_url == f"unix://{tmp_path}/redis/redis.sock"
    assert settings.http_url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("fd00::7", "http://[fd00::7]:8080"),
        ("gate.lan", "http://gate.lan:8080"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_go_to(host: str, url: str, tmp_path: Path) -> None:
    settings = _load(tmp_path, f'http: {{host: "{host}"}}\n')

    assert settings.http_url == url
    assert settings.local_url(9000) == url.replace("8080", "9000")


def test_one_line_per_bot_is_enough(tmp_path: Path) -> None:
    settings = _load(tmp_path, 'adapters:\n  telegram: {token: "${env:TOKEN}"}\n', {"TOKEN": TOKEN})

    assert [entry.account.key for entry in settings.adapters] == ["web:default", "telegram:default"]
    assert settings.secrets == {TOKEN}
    assert TOKEN not in repr(settings.adapters)


def test_web_chat_can_be_switched_off(tmp_path: Path) -> None:
    assert _load(tmp_path, "adapters: {web: false}").adapters == ()


def test_an_account_takes_what_it_does_not_say_from_the_common_access(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "access: {owners: [11]}\n"
        f"adapters: {{telegram: {{token: '{TOKEN}', access: {{dm_policy: open}}}}}}\n",
    )

    telegram = settings.adapters[-1].access
    assert (telegram.dm_policy, telegram.owners) == ("open", ("11",))


def test_a_name_in_an_allow_list_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="is not an id"):
        _load(
            tmp_path,
            f"adapters: {{telegram: {{token: '{TOKEN}', access: {{allow_from: ['@ada']}}}}}}\n",
        )


def test_a_fallback_to_an_engine_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no engine spare"):
        _load(tmp_path, "engines: {home: {url: 'http://h/v1'}}\nfallback: [home, spare]\n")


def test_an_unknown_adapter_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"adapters\.telegraf: no such adapter .there are: .*web"):
        _load(tmp_path, "adapters: {telegraf: {token: x}}\n")


def test_sections_are_found_by_their_schema(tmp_path: Path) -> None:
    settings = _load(tmp_path, "sessions: {name: Ada}\n")

    assert settings.section(SessionConfig).name == "Ada"


def test_a_port_on_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    settings = _load(tmp_path, "http: {port: 9000}\n")

    assert settings.with_port(9001).http.port == 9001
    assert settings.with_port(None).http.port == 9000


def test_under_the_supervisor_the_last_good_copy_is_read(tmp_path: Path) -> None:
    (tmp_path / "good").write_text('http: {port: 9000}\nredis: {password: "${file:secret}"}\n')
    (tmp_path / "secret").write_text("beside the file\n")

    settings = _load(tmp_path, "http: {port: wrong", {SNAPSHOT: str(tmp_path / "good")})

    assert settings.http.port == 9000
    assert settings.redis.password is not None
    assert settings.redis.password.get_secret_value() == "beside the file"


def test_the_data_folder_is_as_given_or_as_the_environment_says(tmp_path: Path) -> None:
    env = {"MOLTGATE_HOME": str(tmp_path)}

    assert home_folder(None, env) == tmp_path
    assert home_folder(Path("/elsewhere"), env) == Path("/elsewhere")
    assert home_folder(None, {}) == Path.home() / ".moltgate"


@pytest.mark.parametrize("url", ["http://redis", "localhost:6379"])
def test_a_redis_url_of_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfig, match=r"redis\.url: begins with one of redis://"):
        _load(tmp_path, f"redis: {{url: '{url}'}}\n")


def test_ids_for_all_accounts_count_where_they_belong(tmp_path: Path) -> None:
    text = f"""
    access: {{allow_from: [12345678, "@ada:example.org"]}}
    adapters:
      telegram: {{token: '{TOKEN}'}}
      matrix: {{homeserver: "https://matrix.example.org", access_token: abcdefgh}}
    """
    _, telegram, matrix = _load(tmp_path, textwrap.dedent(text), {}).adapters

    assert telegram.access.allow_from == ("12345678",)
    assert matrix.access.allow_from == ("@ada:example.org",)
