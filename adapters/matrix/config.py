"""Settings of one Matrix account. Who may talk to it is the section ``access``, not here; whose
invitations it accepts is, since an invitation comes before the first word."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from config.fields import Duration, FileLimit, HttpUrl, Phrases, SecretStr, Section, fast_enough

USER = re.compile(r"@[^:\s]+:\S+")
_SERVER = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?")
_FINGERPRINT = re.compile(r"[A-Za-z0-9+/]{43}")


class RateConfig(Section):
    """How fast the bot writes. Edits count like messages. What Synapse allows everybody."""

    per_second: float = Field(default=0.2, ge=0, le=10_000)
    """Messages and edits a second, all rooms together; 0 for no limit."""
    burst: int = Field(default=10, ge=1, le=10_000)
    """Messages and edits at once, after a pause."""

    _lets_answers_through = field_validator("per_second")(fast_enough(0.05))


class MatrixConfig(Section):
    """One account. The shortest form:
    ``matrix: {homeserver: "https://…", access_token: "${env:MATRIX_ACCESS_TOKEN}"}``."""

    homeserver: HttpUrl = Field(
        description="Address of the homeserver's client API, e.g. https://matrix.example.org."
    )
    access_token: SecretStr | None = Field(
        None, description="Of a device of the bot's own; nothing else may use it."
    )
    user: str = Field(
        "", description="The bot's Matrix id, @bot:example.org. Needed with a password."
    )
    password: SecretStr | None = Field(
        None,
        description="Instead of a token: signs in once, token and device are then kept in the "
        "store.",
    )
    device_id: str = Field(
        "", description="Of the token's device, where the homeserver does not tell."
    )
    device_name: str = Field("Moltgate", description="How a device made by password is called.")
    encryption: bool = Field(
        True, description="Take part in encrypted rooms. The keys lie in the data folder."
    )
    trust: Literal["all", "listed"] = Field(
        "all",
        description="Which devices take part in encrypted rooms: all of the people there, or only "
        "trusted_devices. A device that is not trusted gets no keys and is not heard.",
    )
    trusted_devices: tuple[str, ...] = Field(
        (), description="Session keys (Ed25519, 43 characters) of people's devices."
    )
    invites: Literal["owners", "allowed", "all", "none"] = Field(
        "allowed",
        description="Whose invitations are accepted: of owners; also of invite_from; everybody's; "
        "nobody's.",
    )
    owners: tuple[str, ...] = Field((), description="Full Matrix ids.")
    invite_from: tuple[str, ...] = Field(
        (), description="Full Matrix ids, or servers whose people may invite: example.org."
    )
    streaming: bool = Field(True, description="Show the answer while it is being written.")
    message_type: Literal["notice", "text"] = Field(
        "notice",
        description="How answers are sent. Other bots do not answer notices, and nobody else's "
        "notices are answered here.",
    )
    read_receipts: bool = Field(True, description="Show people that their message was read.")
    rate: RateConfig = RateConfig()
    mention_patterns: Phrases = Field(
        (),
        description="Words or phrases that mean the bot in groups, besides its name. "
        "Plain text, compared without regard to case.",
    )
    backfill: int = Field(
        500,
        ge=0,
        le=100_000,
        description="Most events of one room that are fetched after an absence, newest first; "
        "older ones are not answered, which is logged and counted.",
    )
    sync_timeout: Duration = Field(
        30.0, ge=0.1, le=300, description="Longest wait of one request for something new."
    )
    file_limit: FileLimit = 20 * 2**20
    file_timeout: Duration = Field(
        30.0, gt=0, le=600, description="Longest time to fetch one file."
    )

    @field_validator("homeserver")
    @classmethod
    def _has_no_path(cls, value: str) -> str:
        return value.removesuffix("/_matrix/client").removesuffix("/_matrix")

    @field_validator("user")
    @classmethod
    def _is_a_full_id(cls, value: str) -> str:
        if value and not USER.fullmatch(value):
            raise ValueError("is a full Matrix id, e.g. @bot:example.org")
        return value

    @field_validator("owners", "invite_from", "trusted_devices", mode="before")
    @classmethod
    def _one_is_enough(cls, value: object) -> object:
        return [one for one in value.split() if one] if isinstance(value, str) else value

    @field_validator("owners")
    @classmethod
    def _are_full_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not USER.fullmatch(one)]:
            raise ValueError(f"are full Matrix ids like @ada:example.org, not {wrong[0]!r}")
        return value

    @field_validator("invite_from")
    @classmethod
    def _are_ids_or_servers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not (USER if one.startswith("@") else _SERVER).fullmatch(one):
                raise ValueError(f"are Matrix ids or server names, not {one!r}")
        return value

    @field_validator("trusted_devices")
    @classmethod
    def _are_fingerprints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not _FINGERPRINT.fullmatch(one)]:
            raise ValueError(
                f"are session keys of 43 characters, without blanks in between, not {wrong[0]!r}"
            )
        return value

    @model_validator(mode="after")
    def _can_sign_in(self) -> MatrixConfig:
        token = self.access_token.get_secret_value().strip() if self.access_token else ""
        password = self.password.get_secret_value() if self.password else ""
        if bool(token) == bool(password):
            raise ValueError("needs either access_token, or user and password")
        if password and not self.user:
            raise ValueError("password needs user: the bot's full Matrix id")
        if self.trust == "listed" and not self.trusted_devices:
            raise ValueError("trust: listed needs trusted_devices, or nobody could be heard")
        return self
