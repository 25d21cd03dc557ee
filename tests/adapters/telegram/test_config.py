from __future__ import annotations

import pytest
from pydantic import ValidationError

import adapters
from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.config import TelegramConfig
from gateway.errors import BadConfig
from tests.adapters.telegram.scene import ACCOUNT, Build

TOKEN = "123456:ABC-def_ghi"


def test_a_token_is_enough() -> None:
    config = TelegramConfig(token=TOKEN)

    assert config.mode == "polling"
    assert config.base_url == "https://api.telegram.org/bot"
    assert config.base_file_url == "https://api.telegram.org/file/bot"
    assert TOKEN not in repr(config)


@pytest.mark.parametrize("url", ["http://bots:8081", "http://bots:8081/", "http://bots:8081/bot"])
def test_an_own_server_needs_one_address(url: str) -> None:
    config = TelegramConfig(token=TOKEN, base_url=url)

    assert config.base_url == "http://bots:8081/bot"
    assert config.base_file_url == "http://bots:8081/file/bot"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": "no token"}, "a bot token is"),
        ({"token": TOKEN, "mode": "webhook"}, "needs webhook_secret"),
        ({"token": TOKEN, "mode": "webhook", "webhook_secret": ""}, "needs webhook_secret"),
        ({"token": TOKEN, "mode": "webhook", "webhook_secret": "short"}, "16 to 256"),
        ({"token": TOKEN, "webhook_secret": "with spaces in it, sorry"}, "16 to 256"),
        ({"token": TOKEN, "base_url": "bots:8081"}, "http://"),
        ({"token": TOKEN, "poll_timeout": "5m"}, "less than or equal to 50"),
        ({"token": TOKEN, "mention_patterns": [" "]}, "word or phrase"),
        ({"token": TOKEN, "rate": {"overall": -1}}, "greater than or equal to 0"),
        ({"token": TOKEN, "rate": {"group": 0.01}}, "at least 0.1, or 0 for no limit"),
        ({"token": TOKEN, "rate": {"direct": "fast"}}, "valid number"),
        ({"token": TOKEN, "rate": {"minute": 20}}, "Extra inputs"),
        ({"token": TOKEN, "tokn": "x"}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_connects(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        TelegramConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [0, None])
def test_a_rate_may_be_without_limit(off: None) -> None:
    config = TelegramConfig(token=TOKEN, rate={"overall": off})

    assert not config.rate.overall
    assert config.rate.group == 20


def test_no_webhook_without_a_secret_even_past_the_schema(build: Build) -> None:
    unchecked = TelegramConfig(token=TOKEN).model_copy(update={"mode": "webhook"})

    with pytest.raises(BadConfig, match="webhook_secret"):
        TelegramAdapter(ACCOUNT, unchecked, build()._services)


def test_the_spec_is_found_by_name() -> None:
    spec = adapters.find("telegram")

    assert spec.config is TelegramConfig
    assert callable(spec.splitter())
    assert spec.capabilities.text_limit == 4000
