"""S11, S12: what proves that a post is Meta's, and the handshake."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.whatsapp.adapter import WhatsAppAdapter
from adapters.whatsapp.config import WhatsAppConfig
from adapters.whatsapp.webhook import admits, handshake, is_signed
from gateway.errors import BadConfig
from tests.adapters.whatsapp.scene import ACCOUNT, ADA, Desk, settings
from tests.fakes.services import services
from tests.fakes.whatsapp import APP_SECRET, VERIFY, FakeWhatsApp
from tests.fakes.whatsapp.server import signature

BODY = b'{"object":"whatsapp_business_account","entry":[]}'
OTHER = "another-app-secret-of-ours"


def hexed(body: bytes = BODY, secret: str = APP_SECRET, algorithm: Any = hashlib.sha256) -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


VECTORS: dict[str, tuple[str | None, bytes, bool]] = {
    "right": ("sha256=" + hexed(), BODY, True),
    "right, empty body": ("sha256=" + hexed(b""), b"", True),
    "right, the secret from before": ("sha256=" + hexed(secret=OTHER), BODY, True),
    "wrong secret": ("sha256=" + hexed(secret="x" * 32), BODY, False),
    "none, or it came twice": (None, BODY, False),
    "empty": ("", BODY, False),
    "only the algorithm": ("sha256=", BODY, False),
    "no algorithm": (hexed(), BODY, False),
    "the old header's algorithm": ("sha1=" + hexed(algorithm=hashlib.sha1), BODY, False),
    "another algorithm under this name": ("sha256=" + hexed(algorithm=hashlib.sha1), BODY, False),
    "truncated": ("sha256=" + hexed()[:-1], BODY, False),
    "longer": ("sha256=" + hexed() + "0", BODY, False),
    "upper case": ("sha256=" + hexed().upper(), BODY, False),
    "twice in one": (f"sha256={hexed()},sha256={hexed()}", BODY, False),
    "a line feed behind": ("sha256=" + hexed() + "\n", BODY, False),
    "no letters of ours": ("sha256=" + "é" * 64, BODY, False),
    "one byte changed": ("sha256=" + hexed(), BODY.replace(b"[]", b"{}"), False),
    "one byte more": ("sha256=" + hexed(), BODY + b"\n", False),
    "one byte less": ("sha256=" + hexed(), BODY[:-1], False),
}


@pytest.mark.parametrize("name", VECTORS)
def test_signatures(name: str) -> None:
    given, body, right = VECTORS[name]
    headers = {} if given is None else {"x-hub-signature-256": given}
    assert is_signed(headers, body, [APP_SECRET, OTHER]) is right
    assert not right or admits(headers)


async def test_a_post_with_a_wrong_signature_is_401_and_counted(desk: Desk) -> None:
    headers = signature(BODY, "x" * 32)

    assert desk.adapter.admits(headers)
    assert (await desk.adapter.receive(headers, BODY)).status == 401
    assert desk.counts["bad_signature"] == 1


async def test_a_replayed_post_is_known_by_its_messages(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    message = whatsapp.message(ADA, "once")
    body = whatsapp.post("lane", whatsapp.value(messages=[message], chat=ADA))
    await whatsapp.until(lambda: desk.inbox.events)
    for _ in range(3):
        assert await desk.posted(signature(body), body) == 200
    assert desk.inbox.texts == ["once"]


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ({"mode": "subscribe", "verify_token": VERIFY, "challenge": "123"}, 200, b"123"),
        ({"mode": "subscribe", "verify_token": "wrong", "challenge": "123"}, 403, b""),
        ({"mode": "subscribe", "verify_token": VERIFY[:-1], "challenge": "123"}, 403, b""),
        ({"mode": "subscribe", "verify_token": "", "challenge": "123"}, 403, b""),
        ({"mode": "subscribe", "verify_token": "é", "challenge": "123"}, 403, b""),
        ({"mode": "subscribe", "challenge": "123"}, 403, b""),
        ({"mode": "unsubscribe", "verify_token": VERIFY, "challenge": "123"}, 403, b""),
        ({"verify_token": VERIFY, "challenge": "123"}, 403, b""),
        ({"mode": "subscribe", "verify_token": VERIFY}, 403, b""),
        ({"mode": "subscribe", "verify_token": VERIFY, "challenge": "<script>"}, 403, b""),
        ({}, 403, b""),
    ],
)
def test_the_handshake(query: dict[str, str], status: int, body: bytes) -> None:
    answer = handshake({f"hub.{name}": value for name, value in query.items()}, VERIFY)
    assert (answer.status, answer.body) == (status, body)
    assert status != 200 or answer.content_type == "text/plain"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"token": ""}, "at least 1"),
        ({"token": "two words"}, "one line"),
        ({"phone_number_id": "+49 151 1234"}, "API Setup"),
        ({"app_secret": ""}, "App settings, Basic"),
        ({"previous_app_secret": "short"}, "App settings, Basic"),
        ({"verify_token": "short"}, "openssl rand"),
        ({"base_url": "graph.facebook.com"}, "begins with http"),
        ({"version": "24"}, "v24.0"),
        ({"media_hosts": ["https://x.org/"]}, "names of hosts"),
        ({"template": "Not A Name"}, "a-z"),
        ({"template_language": "german"}, "pt_BR"),
        ({"status_wait": 0}, "greater than or equal"),
    ],
)
def test_settings_that_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WhatsAppConfig.model_validate({**settings("https://graph.facebook.com"), **changed})


def test_the_settings_that_have_to_be_there_are_named() -> None:
    with pytest.raises(ValidationError) as wrong:
        WhatsAppConfig.model_validate({})
    assert {one["loc"][0] for one in wrong.value.errors()} == {
        "token",
        "phone_number_id",
        "app_secret",
        "verify_token",
    }


def test_without_an_app_secret_the_number_does_not_start() -> None:
    config = WhatsAppConfig.model_validate(settings("https://graph.facebook.com"))
    config = config.model_copy(update={"app_secret": None})
    with pytest.raises(BadConfig, match="does not start"):
        WhatsAppAdapter(ACCOUNT, config, services(ACCOUNT))
