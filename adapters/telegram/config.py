"""Settings of one Telegram bot. Who may talk to it is the section ``access``, not here."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from config.fields import (
    Duration,
    FileLimit,
    FileTimeout,
    HttpUrl,
    Phrases,
    SecretStr,
    Section,
    fast_enough,
)

_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{3,}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")


class RateConfig(Section):
    """How fast the bot writes. Edits count like messages."""

    overall: float | None = Field(default=30.0, ge=0, le=10_000)
    """Messages and edits a second, all chats together; 0 for no limit."""
    group: float | None = Field(default=20.0, ge=0, le=100_000)
    """Messages and edits a minute in one group; 0 for no limit."""
    direct: float | None = Field(default=1.0, ge=0, le=10_000)
    """Messages and edits a second in one direct chat, after three at once; 0 for no limit."""

    _lets_answers_through = field_validator("overall", "group", "direct")(fast_enough(0.1))


class TelegramConfig(Section):
    """One bot. The shortest form: ``telegram: {token: "${env:TELEGRAM_TOKEN}"}``."""

    token: SecretStr = Field(description="What BotFather gave you, e.g. 123456:ABC-DEF.")
    mode: Literal["polling", "webhook"] = Field(
        "polling",
        description="polling needs nothing; webhook needs a public https address "
        "(http.public_url) and webhook_secret.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Shared with Telegram, sent in every webhook request: 16 to 256 of "
        "A-Z a-z 0-9 _ -. Without it mode webhook does not start.",
    )
    base_url: HttpUrl = Field(
        "https://api.telegram.org/bot",
        description="Bot API server; of an own one e.g. http://localhost:8081/bot.",
    )
    base_file_url: HttpUrl = Field(
        "", description="Where it hands out files; empty derives it from base_url."
    )
    poll_timeout: Duration = Field(
        30.0, ge=1, le=50, description="Longest wait of one poll for something new."
    )
    streaming: bool = Field(True, description="Show the answer while it is being written.")
    rate: RateConfig = RateConfig()
    mention_patterns: Phrases = Field(
        (),
        description="Words or phrases that mean the bot in groups, besides its @name. "
        "Plain text, compared without regard to case.",
    )
    file_limit: FileLimit = 20 * 2**20
    file_timeout: FileTimeout = 15.0

    @field_validator("token")
    @classmethod
    def _looks_like_a_token(cls, value: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("a bot token is a number, a colon and letters, as BotFather gives it")
        return value

    @field_validator("base_url")
    @classmethod
    def _ends_with_bot(cls, value: str) -> str:
        return value.removesuffix("/bot") + "/bot"

    @model_validator(mode="before")
    @classmethod
    def _derive_file_url(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("base_url") and not data.get("base_file_url"):
            root = str(data["base_url"]).rstrip("/").removesuffix("/bot")
            return {**data, "base_file_url": f"{root}/file/bot"}
        return data

    @field_validator("base_file_url", mode="before")
    @classmethod
    def _has_a_default(cls, value: object) -> object:
        return "https://api.telegram.org/file/bot" if value == "" else value

    @model_validator(mode="after")
    def _webhook_has_a_secret(self) -> TelegramConfig:
        secret = self.webhook_secret.get_secret_value() if self.webhook_secret else ""
        if self.mode == "webhook" and not secret:
            raise ValueError(
                "mode webhook needs webhook_secret: make one with openssl rand -hex 32"
            )
        if secret and not _SECRET.fullmatch(secret):
            raise ValueError("webhook_secret is 16 to 256 characters of A-Z a-z 0-9 _ -")
        return self
