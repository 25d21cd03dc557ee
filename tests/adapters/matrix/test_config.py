from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

import adapters
from adapters.matrix.config import MatrixConfig
from adapters.matrix.invites import accepts, inviter_of
from gateway.access.config import AccessConfig, AccountRules
from gateway.errors import BadConfig
from tests.adapters.matrix.scene import ACCOUNT, Scene

HOME = "https://matrix.example.org"
TOKEN = "syt_secret"
GOOD = {"homeserver": HOME, "access_token": TOKEN}
FINGERPRINT = "A" * 43


def test_a_homeserver_and_a_token_are_enough() -> None:
    config = MatrixConfig(**GOOD)

    assert config.invites == "allowed"
    assert config.encryption
    assert TOKEN not in repr(config)


@pytest.mark.parametrize("url", [f"{HOME}/", f"{HOME}/_matrix", f"{HOME}/_matrix/client/"])
def test_an_address_with_a_path_too_much_is_understood(url: str) -> None:
    assert MatrixConfig(**{**GOOD, "homeserver": url}).homeserver == HOME


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"homeserver": "matrix.example.org"}, "begins with http:// or https://"),
        ({"access_token": None}, "needs either access_token, or user and password"),
        ({"access_token": ""}, "needs either access_token, or user and password"),
        ({"user": "@b:x.org", "password": "x"}, "needs either access_token"),
        ({"access_token": None, "password": "x"}, "password needs user"),
        ({"user": "bot"}, "full Matrix id"),
        ({"owners": ["ada"]}, "full Matrix ids like @ada:example.org, not 'ada'"),
        ({"invite_from": ["@ada"]}, "Matrix ids or server names, not '@ada'"),
        ({"invite_from": ["a b"]}, "not 'a b'"),
        ({"invite_from": ["https://x.org"]}, "Matrix ids or server names"),
        ({"trust": "listed"}, "needs trusted_devices"),
        ({"trusted_devices": ["AAAA BBBB"], "trust": "listed"}, "43 characters"),
        ({"trust": "some"}, "'all' or 'listed'"),
        ({"invites": "friends"}, "'owners', 'allowed', 'all' or 'none'"),
        ({"message_type": "loud"}, "'notice' or 'text'"),
        ({"mention_patterns": [" "]}, "word or phrase"),
        ({"rate": {"per_second": 0.01}}, "at least 0.05, or 0 for no limit"),
        ({"rate": {"burst": 0}}, "greater than or equal to 1"),
        ({"backfill": -1}, "greater than or equal to 0"),
        ({"sync_timeout": "10m"}, "less than or equal to 300"),
        ({"homserver": HOME}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_connects(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        MatrixConfig(**{**GOOD, **settings})


def test_lists_may_be_one_line() -> None:
    config = MatrixConfig(**GOOD, owners="@ada:x.org @bob:x.org", invite_from="x.org")

    assert config.owners == ("@ada:x.org", "@bob:x.org")
    assert config.invite_from == ("x.org",)


@pytest.mark.parametrize(
    ("settings", "welcome"),
    [
        ({"invites": "none", "owners": ["@ada:x.org"]}, set()),
        ({"invites": "all"}, {"ada", "bob", "eve"}),
        ({"owners": ["@ada:x.org"]}, {"ada"}),
        ({"owners": ["@ada:x.org"], "invite_from": ["y.org"]}, {"ada", "bob"}),
        ({"invite_from": ["Y.ORG"]}, {"bob"}),
        ({"invites": "owners", "owners": ["@ada:x.org"], "invite_from": ["y.org"]}, {"ada"}),
        ({}, set()),
    ],
)
def test_whose_invitations_are_accepted(settings: dict[str, Any], welcome: set[str]) -> None:
    config = MatrixConfig(**GOOD, **settings)
    people = {"ada": "@ada:x.org", "bob": "@bob:y.org", "eve": "@eve:y.org.evil.test"}

    assert {name for name, id in people.items() if accepts(config, id)} == welcome
    assert not accepts(MatrixConfig(**GOOD, owners=["@ada:x.org"]), "@Ada:x.org")
    assert not accepts(MatrixConfig(**GOOD, owners=["@ada:x.org"]), "@\u0430da:x.org")


@pytest.mark.parametrize(
    "room",
    [
        {},
        {"invite_state": 3},
        {"invite_state": {"events": ["x", {"type": "m.room.member", "content": 5}]}},
        {
            "invite_state": {
                "events": [
                    {
                        "type": "m.room.member",
                        "state_key": "@other:x.org",
                        "sender": "@ada:x.org",
                        "content": {"membership": "invite"},
                    }
                ]
            }
        },
    ],
)
def test_an_invitation_by_nobody_is_nobodys(room: dict[str, Any]) -> None:
    assert inviter_of(room, "@bot:x.org") == ""


@pytest.mark.parametrize(
    ("access", "good"),
    [
        ({"allow_from": ["@ada:example.org"], "groups": ["!abc:example.org", "!v12"]}, True),
        ({"allow_from": ["ada"]}, False),
        ({"allow_from": ["@ada"]}, False),
        ({"owners": ["Ada Lovelace"]}, False),
        ({"groups": ["#room:example.org"]}, False),
    ],
)
def test_only_full_ids_are_rights(access: dict[str, Any], good: bool) -> None:
    rules = adapters.find("matrix").id_rules
    if good:
        AccountRules(account=ACCOUNT, access=AccessConfig(**access), **rules)
        return
    with pytest.raises(BadConfig, match="full Matrix id"):
        AccountRules(account=ACCOUNT, access=AccessConfig(**access), **rules)


async def test_a_live_check_says_who_we_are_and_what_is_missing(scene: Scene) -> None:
    good = scene.adapter()
    found = await good.probe()
    await good.close()
    assert found.ok
    assert found.summary == f"signed in as {scene.bot.id}, in 1 room"
    assert "invitations are accepted from nobody" in found.advice[0]

    by_password = {"access_token": None, "user": scene.bot.id, "password": "x"}
    for settings, ok, words in (
        ({"owners": [scene.person.id], "access_token": "syt_wrong"}, False, "does not accept it"),
        ({"homeserver": "http://127.0.0.1:1"}, False, "is homeserver right?"),
        ({"user": "@somebody:else.org"}, False, "change user or the token"),
        (by_password, True, "signs in at the first start"),
    ):
        adapter = scene.adapter(**settings)
        found = await adapter.probe()
        await adapter.close()
        assert (found.ok, words in found.summary) == (ok, True), found
