"""Settings of one XMPP account. Who may talk to it is the section ``access``, not here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from config.fields import Duration, FileLimit, SecretStr, Section

_JID = re.compile(r"[^\s@/\"&'<>:]{1,200}@[^\s@/]{1,200}")


class XmppConfig(Section):
    """One account: ``xmpp: {jid: bot@example.org, password: "${env:XMPP_PASSWORD}"}``."""

    jid: str = Field(description="The account's bare address, e.g. bot@example.org.")
    password: SecretStr = Field(min_length=1, description="Of the account.")
    server: str = Field(
        "", pattern=r"^\S*$", description="Host to connect to; empty asks the DNS (SRV records)."
    )
    port: int = Field(5222, ge=1, le=65535, description="Used with server.")
    tls: Literal["starttls", "direct"] = Field(
        "starttls", description="With server: how TLS begins. direct is usual on port 5223."
    )
    ca_file: Path | None = Field(
        None, description="Certificates to trust instead of the system's, for a server of your own."
    )
    resource: str = Field("moltgate", min_length=1, max_length=100)
    rooms: tuple[str, ...] = Field((), description="Rooms to join, e.g. talk@rooms.example.org.")
    nick: str = Field("", max_length=60, description="In rooms; empty is the account's name.")
    streaming: bool = Field(
        True,
        description="Show the answer while it is being written, by corrections. Clients that do "
        "not know them (XEP-0308) show each as a message of its own.",
    )
    file_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts of the upload services from which files are fetched, with the port "
        "where it is not 443, e.g. upload.example.org. Other links stay text.",
    )
    file_limit: FileLimit = 20 * 2**20
    file_timeout: Duration = Field(
        30.0, gt=0, le=300, description="Longest time to fetch or upload one file."
    )
    catch_up: int = Field(
        1000, ge=0, le=100_000, description="Most messages of an archive that are made up for."
    )
    patience: Duration = Field(
        20.0, ge=0.1, le=120, description="Longest wait for the server to answer."
    )
    silence: Duration = Field(
        60.0,
        ge=0.2,
        le=3600,
        description="Seconds between two questions whether it is still there.",
    )

    @field_validator("jid")
    @classmethod
    def _is_bare(cls, value: str) -> str:
        if not _JID.fullmatch(value):
            raise ValueError("is an address like bot@example.org, without anything after it")
        return value.lower()

    @field_validator("rooms")
    @classmethod
    def _are_bare(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [each for each in value if not _JID.fullmatch(each)]:
            raise ValueError(f"{wrong[0]!r} is no room: write talk@rooms.example.org")
        return tuple(each.lower() for each in value)

    @model_validator(mode="before")
    @classmethod
    def _has_a_nick(cls, data: object) -> object:
        if isinstance(data, dict) and not data.get("nick"):
            return {**data, "nick": str(data.get("jid", "")).partition("@")[0]}
        return data
