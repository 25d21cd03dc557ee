"""Settings are refused with words that help."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import adapters
from adapters.email.config import EmailConfig
from gateway.access.config import AccessConfig, AccountRules
from gateway.errors import BadConfig
from gateway.message import Account

GOOD: dict[str, Any] = {
    "address": "Bot@Example.org",
    "password": "secret",
    "imap": {"host": "imap.example.org"},
    "smtp": {"host": "smtp.example.org"},
}


def test_little_is_needed_and_what_is_left_out_is_safe() -> None:
    config = EmailConfig(**GOOD)
    assert config.address == "bot@example.org"
    assert (config.imap.tls, config.smtp.tls) == ("implicit", "implicit")
    assert (config.mode, config.authserv_id, config.backlog) == ("reply", "", 0)
    assert not config.answer_lists


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": "Bot <bot@example.org>"}, "an address alone"),
        ({"address": "bot@example.org\nRCPT TO:<x@y>"}, "an address alone"),
        ({"aliases": ["x"]}, "an address alone"),
        ({"password": None}, "give password or oauth"),
        ({"oauth": {"token": "x"}}, "give password or oauth"),
        ({"password": "a\r\nb"}, "one line"),
        ({"imap": {"host": "a\nb"}}, "one line"),
        ({"imap": {"host": "a", "tls": "starttls"}}, "implicit"),
        ({"imap": {"host": "a", "idle": "30m"}}, "1680"),
        ({"imap": {"host": "a", "ca_file": "/nowhere.pem"}}, "no file"),
        ({"mailboxes": []}, "at least 1"),
        ({"mailboxes": ["INBOX", "INBOX"]}, "twice"),
        ({"skipped_keyword": "two words"}, "a keyword is"),
        ({"mode": "triage"}, "needs rules or labels"),
        ({"labels": {"a": {"flag": True}}}, "for mode triage"),
        ({"mode": "triage", "labels": {"a": {}}}, "something to do"),
        ({"rules": [{"move": "A"}]}, "give a condition"),
        ({"rules": [{"subject": "x", "stop": False}]}, "give something to do"),
        ({"vacation": [{"from": "2026-12-24", "to": "2026-12-20", "text": "x"}]}, "not before"),
        (
            {
                "mode": "draft",
                "vacation": [{"from": "2026-12-24", "to": "2026-12-26", "text": "x"}],
            },
            "for mode reply",
        ),
        ({"password": None, "oauth": {}}, "give password or oauth"),
        ({"max_size": "51MB"}, "max_size"),
        ({"received_above": -1}, "received_above"),
        ({"password": None, "oauth": {"scope": "x"}}, "one of token, token_file and token_url"),
        ({"password": None, "oauth": {"token_url": "http://x"}}, "https://"),
        ({"password": None, "oauth": {"token_url": "https://x"}}, "refresh_token"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(change: dict[str, Any], words: str) -> None:
    settings = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ValidationError, match=words):
        EmailConfig(**settings)


@pytest.mark.parametrize("native", ["ada", "Ada@example.org", "Ada <ada@example.org>", "@ada"])
def test_only_addresses_in_lower_case_are_ids(native: str) -> None:
    rules = adapters.find("email").id_rules
    with pytest.raises(BadConfig, match="an address in lower case"):
        AccountRules(
            account=Account(kind="email"), access=AccessConfig(allow_from=(native,)), **rules
        )


def test_addresses_are_ids() -> None:
    access = AccessConfig(allow_from=("ada@example.org", "o'neil+x@mail.example.org"))
    AccountRules(account=Account(kind="email"), access=access, **adapters.find("email").id_rules)


def test_the_standard_librarys_email_is_not_hidden() -> None:
    import email

    assert "adapters" not in str(email.__file__)
