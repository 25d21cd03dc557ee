from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import adapters
from adapters.slack.adapter import SlackAdapter
from adapters.slack.capabilities import NEEDED
from adapters.slack.config import SlackConfig
from gateway.access.config import AccessConfig, AccountRules
from gateway.errors import BadConfig
from tests.adapters.slack.scene import ACCOUNT, Build

BOT, APP, SECRET = "xoxb-1-2-abc", "xapp-1-A01-2-abc", "0123456789abcdef"
SOCKET = {"bot_token": BOT, "app_token": APP}


def test_two_tokens_are_enough() -> None:
    config = SlackConfig(**SOCKET)  # type: ignore[arg-type]

    assert config.mode == "socket"
    assert config.base_url == "https://slack.com/api/"
    assert config.file_hosts == {"files.slack.com"}
    assert BOT not in repr(config)
    assert APP not in repr(config)


def test_another_server_hands_out_its_own_files() -> None:
    config = SlackConfig(**SOCKET, base_url="http://localhost:3000/api")  # type: ignore[arg-type]

    assert config.base_url == "http://localhost:3000/api/"
    assert config.file_hosts == {"localhost:3000"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"app_token": APP}, "bot_token"),
        ({"bot_token": BOT}, "mode socket needs app_token"),
        ({"bot_token": APP, "app_token": APP}, "a bot token begins with xoxb-"),
        ({"bot_token": BOT, "app_token": BOT}, "an app-level token begins with xapp-"),
        ({"bot_token": "xoxb-", "app_token": APP}, "begins with xoxb-"),
        ({"bot_token": BOT, "mode": "webhook"}, "mode webhook needs signing_secret"),
        ({"bot_token": BOT, "mode": "webhook", "signing_secret": ""}, "16 characters or more"),
        ({"bot_token": BOT, "mode": "webhook", "signing_secret": " " * 20}, "16 characters"),
        ({**SOCKET, "old_signing_secret": "short"}, "16 characters or more"),
        ({**SOCKET, "command": "moltgate"}, "is a slash and up to 31"),
        ({**SOCKET, "command": "/Molt gate"}, "is a slash and up to 31"),
        ({**SOCKET, "base_url": "slack.com"}, "http://"),
        ({**SOCKET, "files_hosts": ["https://files.slack.com"]}, "each is a host"),
        ({**SOCKET, "files_hosts": ["me@files.slack.com"]}, "each is a host"),
        ({**SOCKET, "mention_patterns": [" "]}, "word or phrase"),
        ({**SOCKET, "rate": {"channel": 0.01}}, "at least 0.1, or 0 for no limit"),
        ({**SOCKET, "rate": {"updates": -1}}, "greater than or equal to 0"),
        ({**SOCKET, "mode": "rtm"}, "'socket' or 'webhook'"),
        ({**SOCKET, "tokn": "x"}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_connects(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        SlackConfig(**settings)  # type: ignore[arg-type]


def test_no_webhook_without_a_secret_even_past_the_schema(build: Build) -> None:
    unchecked = SlackConfig(**SOCKET).model_copy(update={"mode": "webhook"})  # type: ignore[arg-type]

    with pytest.raises(BadConfig, match="signing_secret"):
        SlackAdapter(ACCOUNT, unchecked, build()._services)


def test_the_spec_is_found_by_name_and_asks_for_what_it_needs() -> None:
    spec = adapters.find("slack")

    assert spec.config is SlackConfig
    assert callable(spec.splitter())
    assert [(ask.setting, ask.env) for ask in spec.setup.asks] == [
        ("bot_token", "SLACK_BOT_TOKEN"),
        ("app_token", "SLACK_APP_TOKEN"),
    ]


@pytest.mark.parametrize(
    "listed",
    [
        {"allow_from": ["ada"]},
        {"allow_from": ["@ada"]},
        {"allow_from": ["U07"]},
        {"allow_from": ["T01/ada"]},
        {"owners": ["t01/u07"]},
        {"allow_from": ["T01/U07\n"]},
        {"groups": ["#general"]},
        {"groups": ["general"]},
    ],
)
def test_names_in_the_lists_are_refused(listed: dict[str, list[str]]) -> None:
    rules = adapters.find("slack").id_rules
    AccountRules(
        account=ACCOUNT,
        access=AccessConfig(allow_from=("T01/U07", "E01/W07"), groups=("C5", "G7")),
        **rules,
    )
    with pytest.raises(BadConfig, match="people are TEAM/USER"):
        AccountRules(account=ACCOUNT, access=AccessConfig(**listed), **rules)  # type: ignore[arg-type]


def manifest() -> dict[str, dict[str, object]]:
    """The one in the README."""
    page = (Path(adapters.__file__).parent / "slack" / "README.md").read_text()
    first = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
    loaded: dict[str, dict[str, object]] = yaml.safe_load(first)
    return loaded


def test_the_readmes_manifest_asks_for_what_the_code_needs_and_no_more() -> None:
    found = manifest()

    assert found["oauth_config"]["scopes"] == {"bot": sorted(NEEDED)}
    (command,) = found["features"]["slash_commands"]  # type: ignore[misc]
    assert command["command"] == SlackConfig(**SOCKET).command  # type: ignore[arg-type, index]
    assert found["settings"]["socket_mode_enabled"] is True
    assert found["settings"]["interactivity"] == {"is_enabled": True}
    subscribed = found["settings"]["event_subscriptions"]["bot_events"]  # type: ignore[index]
    assert set(subscribed) == {
        "app_mention",
        "message.channels",
        "message.groups",
        "message.im",
        "message.mpim",
        "reaction_added",
    }


def test_the_readmes_settings_are_valid() -> None:
    page = (Path(adapters.__file__).parent / "slack" / "README.md").read_text()
    blocks = [yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    shown = [each["adapters"]["slack"] for each in blocks if "adapters" in each]
    values = {"${env:SLACK_BOT_TOKEN}": BOT, "${env:SLACK_APP_TOKEN}": APP}

    assert len(shown) == 2
    for settings in shown:
        SlackConfig(**{name: values.get(each, SECRET if "$" in each else each)
                       for name, each in settings.items()})  # fmt: skip
