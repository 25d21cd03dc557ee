"""An id in the section ``access`` counts on one platform, and which one is never guessed."""

from __future__ import annotations

import pytest

from gateway.access.config import AccessConfig
from gateway.access.shared import of_kind
from gateway.errors import BadConfig

RULES = {
    "discord": {"id_pattern": r"\d{15,20}", "chat_pattern": r"\d{15,20}", "id_hint": "a snowflake"},
    "telegram": {"id_pattern": r"\d{5,16}", "chat_pattern": r"-\d+"},
    "email": {"id_pattern": r"[^@\s]+@[^@\s]+", "chat_pattern": r"[^@\s]+@[^@\s]+"},
}


@pytest.mark.parametrize(
    ("written", "kind", "native"),
    [
        ("12345678", "telegram", "12345678"),
        ("123456789012345678", "discord", "123456789012345678"),
        ("ada@example.org", "email", "ada@example.org"),
        ("telegram:123456789012345", "telegram", "123456789012345"),
        ("discord:123456789012345", "discord", "123456789012345"),
    ],
)
def test_an_id_counts_on_its_own_platform_only(written: str, kind: str, native: str) -> None:
    section = AccessConfig(allow_from=(written,))

    found = {each: of_kind(section, section, each, RULES).allow_from for each in RULES}

    assert found == {each: (native,) if each == kind else () for each in RULES}


def test_an_id_that_fits_two_platforms_has_to_say_which() -> None:
    section = AccessConfig(owners=("12345678", "123456789012345"))

    with pytest.raises(BadConfig, match=r"access.owners\[1\].*discord and on telegram.*discord:1"):
        of_kind(section, section, "telegram", RULES)


@pytest.mark.parametrize("written", ["@ada", "ada", "email:ada", "signal:12345678"])
def test_what_is_an_id_nowhere_is_refused_with_its_place(written: str) -> None:
    section = AccessConfig(allow_from=(written,))

    with pytest.raises(BadConfig, match=r"access.allow_from\[0\].*is not an id on discord"):
        of_kind(section, section, "telegram", RULES)


def test_an_accounts_own_list_stays_as_it_is() -> None:
    section = AccessConfig(allow_from=("ada@example.org",))
    own = AccessConfig(allow_from=("12345678",))

    assert of_kind(own, section, "telegram", RULES).allow_from == ("12345678",)


def test_a_list_for_other_platforms_lets_nobody_in_here() -> None:
    section = AccessConfig(dm_policy="allowlist", allow_from=("ada@example.org",))

    closed = of_kind(section, section, "telegram", RULES)

    assert (closed.dm_policy, closed.allow_from) == ("allowlist", ())
