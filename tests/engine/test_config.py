"""Settings of engines that make sense, and the words for those that do not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from engine.config import EngineConfig, FallbackConfig, order_of


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("https://api.example.com/openai", "https://api.example.com/openai"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
    ],
)
def test_addresses_are_taken_as_people_write_them(written: str, url: str) -> None:
    assert EngineConfig(url=written).url == url


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "either a url or builtin"),
        ({"url": "http://a", "builtin": True}, "either a url or builtin"),
        ({"url": "localhost:8000"}, "starts with http"),
        ({"url": "ftp://localhost"}, "starts with http"),
        ({"url": "http://"}, "starts with http|not a web address"),
        ({"url": "http://me:secret@host/v1"}, "no password in the address"),
        ({"url": "http://host/v1?key=secret"}, "ends with its path"),
        ({"url": "http://host", "extra": {"messages": []}}, "set by the gateway"),
        ({"url": "http://host", "timeouts": {"total": 0}}, "greater than 0"),
        ({"url": "http://host", "temperature": 3}, "less than or equal to 2"),
        ({"url": "http://host", "modell": "x"}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_starts(
    fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        EngineConfig(**fields)


def test_a_list_of_names_is_an_order() -> None:
    engines = {name: EngineConfig(url="http://host") for name in "abc"}

    assert order_of(engines, FallbackConfig()) == ("a", "b", "c")
    assert order_of(engines, FallbackConfig.model_validate(["c", "a", "c"])) == ("c", "a")


def test_secrets_do_not_show() -> None:
    config = EngineConfig(url="http://host", api_key="sk-secret", headers={"X": "sk-secret"})

    assert "sk-secret" not in repr(config) + str(config) + str(config.model_dump())
