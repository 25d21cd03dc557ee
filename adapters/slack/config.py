"""Settings of one Slack app in one workspace. Who may talk to it is the section ``access``."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from config.fields import FileLimit, FileTimeout, HttpUrl, Phrases, SecretStr, Section, fast_enough

_COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")
_SECRET = re.compile(r"[\x21-\x7e]{16,256}")


class RateConfig(Section):
    """How fast the bot writes."""

    channel: float | None = Field(default=1.0, ge=0, le=1000)
    """Messages and edits a second in one channel; 0 for no limit."""
    updates: float | None = Field(default=50.0, ge=0, le=100_000)
    """Previews a minute, all channels together: Slack counts edits per workspace. 0 for no limit.
    """

    _lets_answers_through = field_validator("channel")(fast_enough(0.1))


class SlackConfig(Section):
    """One app. The shortest form: ``slack: {bot_token: "${env:SLACK_BOT_TOKEN}",
    app_token: "${env:SLACK_APP_TOKEN}"}``."""

    bot_token: SecretStr = Field(
        description="Bot User OAuth Token, xoxb-..., from the app's page OAuth & Permissions."
    )
    mode: Literal["socket", "webhook"] = Field(
        "socket",
        description="socket needs app_token and no open port; webhook needs a public https "
        "address (http.public_url) and signing_secret.",
    )
    app_token: SecretStr | None = Field(
        None,
        description="App-Level Token, xapp-..., with the scope connections:write, from the app's "
        "page Basic Information. For mode socket.",
    )
    signing_secret: SecretStr | None = Field(
        None,
        description="Signing Secret from the app's page Basic Information. Without it mode webhook "
        "does not start.",
    )
    old_signing_secret: SecretStr | None = Field(
        None, description="The one before, taken too while a new one comes into use."
    )
    command: str = Field(
        "/moltgate", description="The slash command, as the app's manifest names it."
    )
    threads: bool = Field(
        True,
        description="Answer a message that stands in a channel in a thread of its own. What is "
        "asked in a thread is always answered there.",
    )
    follow_threads: bool = Field(
        True,
        description="In a thread in which the bot was addressed, go on without further mentions.",
    )
    streaming: bool = Field(True, description="Show the answer while it is being written.")
    typing: bool = Field(True, description="Show in threads that an answer is being written.")
    rate: RateConfig = RateConfig()
    mention_patterns: Phrases = Field(
        (),
        description="Words or phrases that mean the bot in channels, besides its @name. "
        "Plain text, compared without regard to case.",
    )
    file_limit: FileLimit = 20 * 2**20
    file_timeout: FileTimeout = 15.0
    base_url: HttpUrl = Field(
        "https://slack.com/api/", description="The Web API; of a test server or proxy if any."
    )
    files_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that may be sent the bot token to fetch a file; empty derives it from "
        "base_url (files.slack.com).",
    )

    @property
    def file_hosts(self) -> frozenset[str]:
        """Lower case, with the port where it is not the usual one."""
        if self.files_hosts:
            return frozenset(each.lower() for each in self.files_hosts)
        host = urlsplit(self.base_url).netloc.lower()
        return frozenset({"files.slack.com"} if host == "slack.com" else {host})

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What a webhook may be signed with."""
        given = (self.signing_secret, self.old_signing_secret)
        return tuple(each.get_secret_value().encode() for each in given if each is not None)

    @field_validator("bot_token")
    @classmethod
    def _is_a_bots(cls, value: SecretStr) -> SecretStr:
        return _begins(value, "xoxb-", "a bot token")

    @field_validator("app_token")
    @classmethod
    def _is_an_apps(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else _begins(value, "xapp-", "an app-level token")

    @field_validator("signing_secret", "old_signing_secret")
    @classmethod
    def _is_a_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("a signing secret is 16 characters or more, without blanks")
        return value

    @field_validator("command")
    @classmethod
    def _is_a_command(cls, value: str) -> str:
        if not _COMMAND.fullmatch(value):
            raise ValueError("is a slash and up to 31 of a-z 0-9 _ -, e.g. /moltgate")
        return value

    @field_validator("base_url")
    @classmethod
    def _ends_with_a_slash(cls, value: str) -> str:
        return value + "/"

    @field_validator("files_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(urlsplit(f"//{each}").netloc != each or "@" in each for each in value):
            raise ValueError("each is a host, with a port if need be, e.g. files.slack.com")
        return value

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> SlackConfig:
        if self.mode == "socket" and self.app_token is None:
            raise ValueError(
                "mode socket needs app_token: on the app's page Basic Information, App-Level "
                "Tokens, generate one with connections:write"
            )
        if self.mode == "webhook" and self.signing_secret is None:
            raise ValueError(
                "mode webhook needs signing_secret: it is on the app's page Basic Information"
            )
        return self


def _begins(value: SecretStr, beginning: str, what: str) -> SecretStr:
    if not re.fullmatch(rf"{beginning}[A-Za-z0-9-]{{3,}}", value.get_secret_value()):
        raise ValueError(f"{what} begins with {beginning}, as Slack shows it")
    return value
