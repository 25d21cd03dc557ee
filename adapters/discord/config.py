"""Settings of one Discord bot. Who may talk to it is the section ``access``, not here."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from config.fields import (
    Duration,
    FileLimit,
    FileTimeout,
    HttpUrl,
    Phrases,
    SecretStr,
    Section,
    Size,
    fast_enough,
)

_TOKEN = re.compile(r"[\w-]{3,}\.[\w-]{3,}\.[\w-]{3,}")
_ORIGIN = re.compile(r"https?://[^/?#@\s]+")


class RateConfig(Section):
    """How fast the bot writes. Edits count like messages."""

    overall: float = Field(default=40.0, ge=0, le=10_000)
    """Messages and edits a second, all channels together; 0 for no limit."""
    channel: float = Field(default=5.0, ge=0, le=10_000)
    """Messages and edits in one channel within five seconds; 0 for no limit."""

    _lets_answers_through = field_validator("overall", "channel")(fast_enough(0.5))


class BackfillConfig(Section):
    """What is fetched after a connection that could not be resumed: what came meanwhile."""

    messages: int = Field(default=200, ge=0, le=10_000)
    """Most messages of one channel, the newest of them; 0 fetches nothing."""
    channels: int = Field(default=200, ge=0, le=10_000)
    """Most channels that are looked at, those first that were used last."""


class DiscordConfig(Section):
    """One bot. The shortest form: ``discord: {token: "${env:DISCORD_TOKEN}"}``."""

    token: SecretStr = Field(description="From the developer portal: Bot, Reset Token.")
    message_content: bool = Field(
        True,
        description="Read what is written in servers without mentioning the bot. Needs the "
        "Message Content Intent in the developer portal; without it only direct messages, "
        "mentions and replies to it can be read.",
    )
    streaming: bool = Field(True, description="Show the answer while it is being written.")
    mention_patterns: Phrases = Field(
        (),
        description="Words or phrases that mean the bot in servers, besides its @name. "
        "Plain text, compared without regard to case.",
    )
    rate: RateConfig = RateConfig()
    backfill: BackfillConfig = BackfillConfig()
    longest_wait: Duration = Field(
        5.0,
        gt=0,
        le=60,
        description="A rate limit that lasts longer puts the message off instead of being "
        "waited for.",
    )
    file_limit: FileLimit = 25 * 2**20
    file_timeout: FileTimeout = 15.0
    upload_limit: Size = Field(
        10 * 2**20,
        ge=1,
        le=500 * 2**20,
        description="Largest file that is sent; servers with boosts take more than 10 MB.",
    )
    api_base: HttpUrl = Field(
        "https://discord.com/api/v10",
        description="REST server; of a proxy e.g. http://localhost:8081/api/v10.",
    )
    gateway_url: str = Field(
        "wss://gateway.discord.gg",
        description="Gateway server; of a proxy e.g. ws://localhost:8082.",
    )
    cdn: tuple[str, ...] = Field(
        ("https://cdn.discordapp.com", "https://media.discordapp.net"),
        description="Servers from which files are fetched, and no others.",
    )

    @field_validator("token")
    @classmethod
    def _looks_like_a_token(cls, value: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError(
                "a bot token is three pieces of letters, digits, _ and - with dots between them; "
                "it is on the page Bot, not the client secret or the public key"
            )
        return value

    @field_validator("gateway_url")
    @classmethod
    def _is_a_websocket(cls, value: str) -> str:
        if not value.startswith(("ws://", "wss://")):
            raise ValueError("begins with ws:// or wss://")
        return value.rstrip("/")

    @field_validator("cdn")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _ORIGIN.fullmatch(each) for each in value):
            raise ValueError("each is http:// or https:// and a host, nothing behind it")
        return value
