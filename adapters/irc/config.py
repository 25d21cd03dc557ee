"""Settings of one IRC connection. Who may talk to it is the section ``access``, not here."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from config.fields import Duration, SecretStr, Section

_NICK = re.compile(r"[A-Za-z\[\]\\`_^{|}][A-Za-z0-9\[\]\\`_^{|}-]{0,29}")
_CHANNEL = re.compile(r"[#&+!][^\s,\x07]{1,60}( [^\s,]{1,50})?")


class IrcConfig(Section):
    """One nick on one network. The shortest form: ``irc: {server: irc.libera.chat, nick: ada}``."""

    server: str = Field(min_length=1, pattern=r"^\S+$", description="Host name of the network.")
    port: int = Field(6697, ge=1, le=65535)
    tls: bool = Field(
        True,
        description="The certificate is always checked. false is plain text, for a server or "
        "bouncer on this machine.",
    )
    ca_file: Path | None = Field(
        None, description="Certificates to trust instead of the system's, for a server of your own."
    )
    nick: str = Field(description="When it is taken, underscores follow until it is free again.")
    realname: str = Field("a bot", min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")
    channels: tuple[str, ...] = Field(
        (), description='Channels to join, a key after a blank: ``["#talk", "#staff secret"]``.'
    )
    account: str = Field("", max_length=60, description="Services account; empty is the nick.")
    password: SecretStr | None = Field(None, description="Of the services account.")
    login: Literal["sasl", "nickserv"] = Field(
        "sasl", description="How the password is given: SASL PLAIN, or a message to NickServ."
    )
    server_password: SecretStr | None = Field(
        None, description="Of a closed server, or of a bouncer, e.g. user/network:password."
    )
    burst: int = Field(5, ge=1, le=100, description="Lines that may be written at once.")
    line_every: Duration = Field(
        2.0, ge=0, le=60, description="Seconds a line after the burst; 0 for no limit."
    )
    silence: Duration = Field(
        240.0, ge=0.5, le=3600, description="Longest silence of the server; it is asked halfway."
    )
    patience: Duration = Field(
        20.0, ge=0.1, le=120, description="Longest wait for a server to confirm a message."
    )

    @field_validator("nick")
    @classmethod
    def _is_a_nick(cls, value: str) -> str:
        if not _NICK.fullmatch(value):
            raise ValueError("is up to 30 letters, digits and []\\`_^{|}-, no digit or - first")
        return value

    @field_validator("channels")
    @classmethod
    def _are_channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [each for each in value if not _CHANNEL.fullmatch(each)]:
            raise ValueError(f"{wrong[0].split(' ')[0]!r} is no channel: write '#name' in quotes")
        return value

    @model_validator(mode="after")
    def _keeps_secrets(self) -> IrcConfig:
        if (self.password or self.server_password) and not (self.tls or _local(self.server)):
            raise ValueError("a password needs tls: true, but on this machine itself")
        return self


def _local(server: str) -> bool:
    try:
        return server == "localhost" or ip_address(server).is_loopback
    except ValueError:
        return False
