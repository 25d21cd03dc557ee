from __future__ import annotations

from typing import Any, get_args

import pytest

from gateway.access.config import AccessConfig, AccountRules, authenticated
from gateway.access.policy import asks_for_pairing, decide
from gateway.errors import BadConfig
from gateway.message import Account, Attachment, InboundKind
from tests.fakes.events import event

LISTED = {"dm_policy": "allowlist", "allow_from": ["ada"]}
GROUP = {"groups": ["room"]}
IN_ROOM: dict[str, Any] = {"place": "group", "chat": "room"}

TABLE = [
    # configuration, event, paired, verdict
    ({}, {}, False, "pair"),
    ({}, {}, True, "admit"),
    ({"allow_from": ["ada"]}, {}, False, "admit"),
    ({"owners": ["ada"]}, {}, False, "admit"),
    (LISTED, {}, False, "admit"),
    (LISTED, {"sender": "eve"}, False, "refuse"),
    (LISTED, {"sender": "eve"}, True, "refuse"),
    (LISTED, {"sender": "Ada"}, False, "refuse"),
    (LISTED, {"sender": "аda"}, False, "refuse"),
    (LISTED, {"sender": "eve", "name": "ada"}, False, "refuse"),
    (LISTED, {"sender": "ada "}, False, "refuse"),
    ({"dm_policy": "open"}, {}, False, "admit"),
    ({"dm_policy": "disabled"}, {}, True, "ignore"),
    ({"dm_policy": "disabled", "allow_from": ["ada"]}, {}, False, "ignore"),
    ({"dm_policy": "open"}, {"is_bot": True}, False, "ignore"),
    ({"dm_policy": "open", "allow_bots": True}, {"is_bot": True}, False, "admit"),
    ({"allow_bots": True}, {"is_bot": True}, False, "ignore"),
    ({"dm_policy": "open"}, {"grade": "unverified"}, False, "ignore"),
    ({"dm_policy": "open", "min_grade": "unverified"}, {"grade": "unverified"}, False, "admit"),
    ({"dm_policy": "open", "min_grade": "verified"}, {"grade": "asserted"}, False, "ignore"),
    ({}, IN_ROOM, True, "ignore"),
    ({"allow_from": ["ada"]}, IN_ROOM, False, "ignore"),
    (GROUP, IN_ROOM, False, "admit"),
    (GROUP, {**IN_ROOM, "place": "thread"}, False, "admit"),
    (GROUP, {**IN_ROOM, "chat": "other"}, False, "ignore"),
    (GROUP, {"chat": "room"}, False, "pair"),
    (GROUP, {**IN_ROOM, "addressed": False}, False, "ignore"),
    (GROUP, {**IN_ROOM, "addressed": False, "kind": "edit"}, False, "admit"),
    ({**GROUP, "require_mention": False}, {**IN_ROOM, "addressed": False}, False, "admit"),
    ({**GROUP, "group_allow_from": ["bob"]}, IN_ROOM, False, "ignore"),
    ({**GROUP, "group_allow_from": ["ada"]}, IN_ROOM, False, "admit"),
    ({**GROUP, "group_allow_from": ["bob"], "owners": ["ada"]}, IN_ROOM, False, "admit"),
    ({**GROUP, "group_policy": "disabled"}, IN_ROOM, False, "ignore"),
    ({"group_policy": "open"}, IN_ROOM, False, "admit"),
    ({"group_policy": "open"}, {}, False, "pair"),
    ({"group_allow_from": ["ada"]}, {}, False, "pair"),
]


@pytest.mark.parametrize(("config", "fields", "paired", "verdict"), TABLE)
def test_who_may_talk_is_as_in_the_table(
    config: dict[str, Any], fields: dict[str, Any], paired: bool, verdict: str
) -> None:
    assert decide(event("1", **fields), AccessConfig(**config), paired=paired).verdict == verdict


VOICE = {"attachments": (Attachment(kind="voice"),)}
PICTURE = {"attachments": (Attachment(kind="image"),)}
ASIDE = {**IN_ROOM, "addressed": False}


@pytest.mark.parametrize(
    ("config", "fields", "listens", "verdict"),
    [
        (GROUP, {**ASIDE, **VOICE}, True, "overhear"),
        (GROUP, {**ASIDE, "attachments": (Attachment(kind="audio"),)}, True, "ignore"),
        (GROUP, {**ASIDE, **VOICE}, False, "ignore"),
        (GROUP, {**ASIDE, **PICTURE}, True, "ignore"),
        (GROUP, ASIDE, True, "ignore"),
        (GROUP, {**IN_ROOM, **VOICE}, True, "admit"),
        ({**GROUP, "require_mention": False}, {**ASIDE, **VOICE}, True, "admit"),
        (GROUP, {**ASIDE, **VOICE, "chat": "other"}, True, "ignore"),
        (GROUP, {**ASIDE, **VOICE, "is_bot": True}, True, "ignore"),
        ({**GROUP, "group_allow_from": ["bob"]}, {**ASIDE, **VOICE}, True, "ignore"),
        ({**GROUP, "min_grade": "verified"}, {**ASIDE, **VOICE}, True, "ignore"),
        ({"group_policy": "disabled"}, {**ASIDE, **VOICE}, True, "ignore"),
        ({}, VOICE, True, "pair"),
    ],
)
def test_who_is_listened_to_is_as_in_the_table(
    config: dict[str, Any], fields: dict[str, Any], listens: bool, verdict: str
) -> None:
    decision = decide(event("1", **fields), AccessConfig(**config), listens=listens)
    assert decision.verdict == verdict


@pytest.mark.parametrize("kind", get_args(InboundKind))
@pytest.mark.parametrize("policy", ["pairing", "allowlist", "disabled"])
def test_no_kind_of_event_gets_a_stranger_in(kind: InboundKind, policy: str) -> None:
    config = AccessConfig(dm_policy=policy, allow_from=("ada",))
    assert decide(event("1", sender="eve", kind=kind), config).verdict != "admit"


@pytest.mark.parametrize("kind", ["edit", "delete", "reaction", "join"])
def test_strangers_are_only_answered_when_they_say_something(kind: InboundKind) -> None:
    assert decide(event("1", kind=kind), AccessConfig()).verdict == "ignore"


def test_pairing_is_only_looked_up_where_it_matters() -> None:
    assert asks_for_pairing(event("1"), AccessConfig())
    assert not asks_for_pairing(event("1"), AccessConfig(allow_from=("ada",)))
    assert not asks_for_pairing(event("1"), AccessConfig(dm_policy="open"))
    assert not asks_for_pairing(event("1", place="group", chat="room"), AccessConfig())


def test_ids_may_be_written_as_numbers() -> None:
    assert AccessConfig(allow_from=[42, "43"]).allow_from == ("42", "43")  # type: ignore[arg-type]


def test_an_empty_allow_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one id"):
        AccessConfig(dm_policy="allowlist")


@pytest.mark.parametrize("name", ["@ada", "ada", "１２３", "12 3", "", "0x10", "12\n"])
@pytest.mark.parametrize("where", ["allow_from", "owners", "group_allow_from", "groups"])
def test_a_name_in_a_list_of_ids_is_refused_at_load_with_its_place(name: str, where: str) -> None:
    with pytest.raises(BadConfig, match=rf"adapters\.telegram\.access\.{where}\[1\].*not an id"):
        AccountRules(
            account=Account(kind="telegram"),
            access=AccessConfig(**{where: ("42", name)}),
            id_pattern="[0-9]{1,20}",
            chat_pattern="-?[0-9]{1,20}",
        )


def test_without_a_stricter_pattern_at_least_user_names_are_refused() -> None:
    with pytest.raises(BadConfig, match="whoami"):
        AccountRules(account=Account(kind="chat"), access=AccessConfig(allow_from=("@ada",)))


def test_behind_a_login_nobody_needs_to_be_paired_but_has_to_be_verified() -> None:
    rules = authenticated(AccessConfig(per_sender=7))
    assert decide(event("1", grade="verified"), rules).verdict == "admit"
    assert decide(event("1", grade="asserted"), rules).verdict == "ignore"
    assert rules.per_sender == 7
