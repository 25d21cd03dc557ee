"""Settings that cannot work are refused when the file is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from adapters.xmpp.config import XmppConfig


def test_the_shortest_form() -> None:
    config = XmppConfig.model_validate({"jid": "Bot@Example.org", "password": "x"})
    assert (config.jid, config.nick, config.tls) == ("bot@example.org", "Bot", "starttls")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"jid": "bot"}, "an address like"),
        ({"jid": "bot@x/home"}, "an address like"),
        ({"password": ""}, "at least 1"),
        ({"rooms": ["talk"]}, "is no room"),
        ({"tls": "none"}, "starttls"),
        ({"server": "a b"}, "pattern"),
    ],
)
def test_a_wrong_setting_says_what_is_right(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        XmppConfig.model_validate({"jid": "bot@x.org", "password": "x", **given})
