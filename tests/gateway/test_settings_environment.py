"""What containers say by environment: defaults only, checked like the file's own settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import BadConfig
from gateway.settings import load

IN_A_CONTAINER = {
    "MOLTGATE_HTTP_HOST": "0.0.0.0",
    "MOLTGATE_HTTP_PORT": "9001",
    "MOLTGATE_REDIS_URL": "unix:///run/redis/redis.sock",
}


def test_the_environment_replaces_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, env=IN_A_CONTAINER)

    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 9001)
    assert settings.redis_url == "unix:///run/redis/redis.sock"
    assert settings.http_url == "http://127.0.0.1:9001"


def test_what_the_file_says_stands_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "moltgate.yaml").write_text("http: {port: 7000}\nredis: {namespace: mine}\n")

    settings = load(tmp_path, env=IN_A_CONTAINER)

    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 7000)
    assert settings.redis.url == "unix:///run/redis/redis.sock"
    assert settings.redis.namespace == "mine"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    settings = load(tmp_path, env={"MOLTGATE_HTTP_HOST": "", "MOLTGATE_REDIS_URL": " "})

    assert settings.http.host == "127.0.0.1"
    assert settings.redis.url == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MOLTGATE_HTTP_PORT", "eighty"),
        ("MOLTGATE_HTTP_PORT", "70000"),
        ("MOLTGATE_REDIS_URL", "redis.example:6379"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(BadConfig) as refused:
        load(tmp_path, env={variable: value})

    assert refused.value.where == variable


def test_the_configuration_may_be_a_folder_with_or_without_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()

    assert load(tmp_path / "data", folder, env={}).file is None

    (folder / "moltgate.yaml").write_text("http: {port: 7000}\n")

    assert load(tmp_path / "data", folder, env={}).http.port == 7000


def test_a_file_asked_for_by_name_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadConfig):
        load(tmp_path, tmp_path / "missing.yaml", env={})
