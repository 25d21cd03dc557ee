"""Settings that cannot be are refused with words that help."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import adapters
from adapters.discord.config import DiscordConfig
from gateway.access.config import AccessConfig, AccountRules
from gateway.errors import BadConfig
from gateway.message import Account

TOKEN = "MTAwMDAx.G-_x1.abc-DEF_123"


def test_a_token_is_enough() -> None:
    config = DiscordConfig(token=TOKEN)
    assert config.api_base == "https://discord.com/api/v10"
    assert config.gateway_url == "wss://gateway.discord.gg"
    assert config.message_content
    assert config.streaming


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": "no token"}, "page Bot"),
        ({"token": "Bot " + TOKEN}, "three pieces"),
        ({"api_base": "discord.com"}, "http://"),
        ({"gateway_url": "https://gateway.discord.gg"}, "wss://"),
        ({"cdn": ["https://cdn.discordapp.com/attachments"]}, "nothing behind"),
        ({"mention_patterns": [" "]}, "word or phrase"),
        ({"rate": {"channel": 0.1}}, "at least 0.5"),
        ({"longest_wait": "2m"}, "60"),
        ({"tokn": "x"}, "tokn"),
    ],
)
def test_what_cannot_be_is_refused_with_words_that_help(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        DiscordConfig(**{"token": TOKEN} | settings)


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(DiscordConfig(token=TOKEN))


@pytest.mark.parametrize("name", ["ada", "@ada", "ada#1234", "<@123456>"])
def test_a_name_in_an_allow_list_is_refused(name: str) -> None:
    rules = adapters.find("discord").id_rules
    with pytest.raises(BadConfig, match="Copy ID"):
        AccountRules(
            account=Account(kind="discord"), access=AccessConfig(allow_from=(name,)), **rules
        )
    AccountRules(
        account=Account(kind="discord"),
        access=AccessConfig(allow_from=("123456789012345678",)),
        **rules,
    )


def test_set_up_names_what_to_click_and_asks_for_the_token() -> None:
    setup = adapters.find("discord").setup
    steps = " ".join(setup.steps)
    assert "Message Content Intent" in steps
    assert "scope=bot+applications.commands" in steps
    assert [(ask.setting, ask.env) for ask in setup.asks] == [("token", "DISCORD_TOKEN")]
