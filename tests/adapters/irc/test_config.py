"""Settings that cannot work are refused when the file is read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from adapters.irc.config import IrcConfig


def test_the_shortest_form_is_safe() -> None:
    config = IrcConfig(server="irc.libera.chat", nick="molt")
    assert (config.port, config.tls, config.login) == (6697, True, "sasl")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"nick": "9lives"}, "no digit or - first"),
        ({"nick": "a b"}, "no digit or - first"),
        ({"channels": ["talk"]}, "write '#name' in quotes"),
        ({"channels": ["#a,#b"]}, "write '#name' in quotes"),
        ({"channels": ["#a\r\nQUIT"]}, "write '#name' in quotes"),
        ({"password": "x", "tls": False}, "a password needs tls"),
        ({"server_password": "x", "tls": False}, "a password needs tls"),
        ({"server": "a b"}, "pattern"),
        ({"realname": "a\nb"}, "pattern"),
        ({"login": "oauth"}, "sasl"),
    ],
)
def test_a_wrong_setting_says_what_is_right(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        IrcConfig.model_validate({"server": "irc.example.org", "nick": "molt", **given})


def test_plain_text_passwords_stay_on_this_machine() -> None:
    for server in ("localhost", "127.0.0.1", "::1"):
        IrcConfig.model_validate({"server": server, "nick": "m", "password": "x", "tls": False})
