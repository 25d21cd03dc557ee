"""What the settings refuse, in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.webhook.adapter import WebhookAdapter
from adapters.webhook.config import WebhookConfig
from gateway.errors import BadConfig
from gateway.message import Account
from tests.adapters.webhook.scene import OTHER, PLAIN, SECRET
from tests.fakes.services import services

GOOD: dict[str, Any] = {"secret": SECRET, "url": "https://example.org/answers"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"secret": ""}, "begins with whsec_"),
        ({"secret": PLAIN}, r"begins with whsec_: make one with"),
        ({"secret": "whsec_AAAA"}, "24 to 64 bytes"),
        ({"previous_secret": PLAIN}, "previous_secret begins with"),
        ({"url": ""}, "nowhere to go"),
        ({"url": "ftp://example.org"}, "begins with https"),
        ({"url": "https://"}, "names a host"),
        ({"url": "https://user:pw@example.org"}, "url_headers"),
        ({"url": "https://example.org:x"}, "no address"),
        ({"preset": "custom"}, "map.text or map.rules"),
        ({"map": {"text": "x"}}, "generic takes no map"),
        ({"preset": "custom", "map": {"text": "{{ a"}}, "pairs"),
        ({"preset": "custom", "map": {"text": "{{ a.. }}"}}, "JMESPath"),
        ({"preset": "custom", "map": {"text": "x", "when": "a =="}}, "JMESPath"),
        ({"preset": "custom", "map": {"text": "x", "rules": [{"text": "y"}]}}, "not both"),
        ({"preset": "custom", "map": {"rules": [{"when": "((", "text": "y"}]}}, "JMESPath"),
        ({"preset": "custom", "map": {"text": "x", "echo": {"A B": "x"}}}, "a-z"),
        ({"preset": "github"}, "begins with whsec_|url_secret|16"),
        ({"preset": "github", "secret": PLAIN}, "needs url_secret"),
        ({"preset": "github", "secret": "short", "url_secret": SECRET}, "16 characters"),
        ({"preset": "github", "secret": PLAIN, "url_secret": PLAIN}, "url_secret begins with"),
        ({"header": "X-Secret"}, "neither header nor prefix"),
        ({"timestamp_header": "X-Time"}, "hmac-hex"),
        ({"scheme": "bearer", "secret": PLAIN, "url_secret": SECRET, "header": "a b"}, "header"),
        ({"url_headers": {"Webhook-Id": "x"}}, "set anyway"),
        ({"url_headers": {"Content-Length": "1"}}, "set anyway"),
        ({"url_headers": {"X-Key": "a\r\nb"}}, "one line"),
        ({"deliver_to": "telegram"}, "Extra inputs"),
    ],
)
def test_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WebhookConfig.model_validate({**GOOD, **changed})


def test_missing_secret_and_url_are_named() -> None:
    with pytest.raises(ValidationError) as wrong:
        WebhookConfig.model_validate({})
    assert {one["loc"] for one in wrong.value.errors()} == {("secret",), ("url",)}


def test_without_a_secret_the_adapter_does_not_start() -> None:
    config = WebhookConfig.model_validate(GOOD).model_copy(update={"secret": None})
    with pytest.raises(BadConfig, match="does not start"):
        WebhookAdapter(Account(kind="webhook"), config, services(Account(kind="webhook")))


@pytest.mark.parametrize(
    ("settings", "scheme", "header", "prefix"),
    [
        ({}, "standard", "x-signature", ""),
        ({"preset": "github"}, "github", "x-hub-signature-256", "sha256="),
        ({"preset": "grafana"}, "bearer", "authorization", "Bearer "),
        ({"preset": "grafana", "header": "X-Key"}, "bearer", "x-key", ""),
        ({"preset": "grafana", "prefix": "Token "}, "bearer", "authorization", "Token "),
        ({"preset": "grafana", "scheme": "hmac-hex"}, "hmac-hex", "x-signature", ""),
    ],
)
def test_a_scheme_knows_its_header(
    settings: dict[str, Any], scheme: str, header: str, prefix: str
) -> None:
    if settings:
        settings = {"secret": PLAIN, "url_secret": SECRET, **settings}
    config = WebhookConfig.model_validate({**GOOD, **settings})
    assert (config.real_scheme, config.real_header, config.real_prefix) == (scheme, header, prefix)


def test_answers_are_signed_with_the_shared_secret_unless_there_is_another() -> None:
    def of(**more: Any) -> list[str]:
        return WebhookConfig.model_validate({**GOOD, **more}).url_secrets

    assert of() == [SECRET]
    assert of(previous_secret=OTHER) == [SECRET, OTHER]
    assert of(url_secret=OTHER) == [OTHER]
    assert of(url_secret=OTHER, previous_url_secret=SECRET) == [OTHER, SECRET]
    assert of(previous_url_secret=OTHER) == [SECRET, OTHER]


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(WebhookConfig.model_validate(GOOD))
