"""What the documentation says is what the program reads."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from config.docs import json_schema, page
from config.source import parse
from gateway.settings import described, load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example.yaml"
ENV = {
    "TELEGRAM_TOKEN": "1234567:abcdefghijklmnopqrstuvwxyz0123456789",
    "TELEGRAM_WORK_TOKEN": "7654321:abcdefghijklmnopqrstuvwxyz0123456789",
    "DISCORD_TOKEN": f"{'M' * 24}.{'a' * 6}.{'b' * 38}",
    "SLACK_BOT_TOKEN": "xoxb-1234567890-abcdefghijkl",
    "SLACK_APP_TOKEN": "xapp-1-A0123-1234-abcdefghijkl",
    "EMAIL_PASSWORD": "correct horse",
    "MATRIX_ACCESS_TOKEN": "syt_bW9sdHk_abcdefghijklmnop_012345",
    "WHATSAPP_TOKEN": "EAAGm0PX4ZCpsBAabcdefghijklmnop",
    "WHATSAPP_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WHATSAPP_VERIFY_TOKEN": "made-up-by-you",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "XMPP_PASSWORD": "correct horse",
    "SPARE_API_KEY": "a-key-for-the-spare",
}


def test_the_settings_page_is_current() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()

    assert written == page(described()), "run: moltgate docs -o docs/configuration.md"


def test_every_setting_has_a_meaning_or_a_name_that_says_it() -> None:
    rows = [line for line in page(described()).splitlines() if line.startswith("| `")]

    assert len(rows) > 80
    assert all(len(row.split("|")) >= 6 for row in rows)


def test_the_example_is_read_without_a_complaint(tmp_path: Path) -> None:
    settings = load(tmp_path, EXAMPLE, ENV)

    assert settings.warnings == ()
    assert [entry.account.key for entry in settings.adapters] == [
        "web:default",
        "telegram:home",
        "telegram:work",
        "discord:default",
        "slack:default",
        "email:default",
        "matrix:default",
        "whatsapp:default",
        "webhook:default",
        "irc:default",
        "xmpp:default",
    ]
    assert list(settings.engines) == ["home", "spare"]


def test_the_example_has_every_section_and_shows_the_defaults(tmp_path: Path) -> None:
    written = yaml.safe_load(EXAMPLE.read_text())
    plain = load(tmp_path, None, {})
    given = load(tmp_path, EXAMPLE, ENV)

    assert set(written) == {*plain.sections, "adapters", "engines"}
    for name, section in plain.sections.items():
        shown = given.sections[name].model_dump()
        for key, value in section.model_dump().items():
            if (name, key) not in {("fallback", "order"), ("sessions", "channels")}:
                assert shown[key] == value, f"{name}.{key}"


def test_the_editors_schema_accepts_the_example_and_knows_wrong_names() -> None:
    schema = jsonschema_rs.validator_for(json_schema(described()))
    example = parse(EXAMPLE.read_text()).data

    assert [str(error) for error in schema.iter_errors(example)] == []
    assert not schema.is_valid({"htpp": {}})
    assert not schema.is_valid({"http": {"prot": 1}})
    assert not schema.is_valid({"adapters": {"telegram": {"tokn": "x"}}})
    assert schema.is_valid({"adapters": {"web": False}})
    json.dumps(json_schema(described()))


def test_the_editors_schema_tells_sections_of_one_name_apart() -> None:
    """More than one adapter calls its rates RateConfig."""
    schema = jsonschema_rs.validator_for(json_schema(described()))

    def is_valid(kind: str, **rate: int) -> bool:
        return bool(schema.is_valid({"adapters": {kind: {"rate": rate}}}))

    assert is_valid("telegram", group=1)
    assert is_valid("whatsapp", chat=1)
    assert not is_valid("telegram", chat=1)
    assert not is_valid("whatsapp", group=1)


@pytest.mark.parametrize("line", ["`redis.", "adapters.telegram", "engines.<name>", "## `access`"])
def test_the_page_covers_every_part(line: str) -> None:
    text = page(described())

    assert line in text or line.strip("`.") in text
