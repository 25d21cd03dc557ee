"""Settings of one WhatsApp number. Who may write to it is the section ``access``, not here."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from config.fields import Duration, FileTimeout, SecretStr, Section, Size

_NUMBER = re.compile(r"\d{5,30}")
_VERSION = re.compile(r"v\d{1,3}\.\d")
_HOST = re.compile(r"[a-z0-9.-]{1,253}(?::\d{1,5})?")
_TEMPLATE = re.compile(r"[a-z0-9_]{0,512}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2})?")


class RateConfig(Section):
    """How fast the number writes."""

    overall: float | None = Field(default=80.0, ge=0, le=10_000)
    """Messages a second, all chats together; 0 for no limit."""
    chat: float | None = Field(default=10.0, ge=0, le=10_000)
    """Messages a minute to one person, after 30 at once; 0 for no limit."""


class WhatsAppConfig(Section):
    """One number of the Cloud API."""

    token: SecretStr = Field(
        min_length=1, description="Access token of a system user; the 24-hour one is for trying."
    )
    phone_number_id: str = Field(
        description="Of the number, from API Setup; not the phone number itself."
    )
    app_secret: SecretStr = Field(
        description="Signs what Meta posts: App settings, Basic. Without it the number does not "
        "start."
    )
    verify_token: SecretStr = Field(
        description="Made up by you; Meta says it when the callback URL is entered."
    )
    previous_app_secret: SecretStr | None = Field(
        None, description="Counts too, while the app secret is being reset."
    )
    base_url: str = Field(
        "https://graph.facebook.com", description="The Graph API, or a proxy before it."
    )
    version: str = Field("v24.0", description="Of the Graph API.")
    media_hosts: tuple[str, ...] = Field(
        ("lookaside.fbsbx.com",),
        description="Hosts that files are fetched from, with the token, besides base_url's.",
    )
    read_marks: bool = Field(
        True, description="Mark a message as read, and show typing, when its answer is begun."
    )
    template: str = Field(
        "",
        description="Name of an approved template without parameters, sent once a day in place of "
        "an answer that comes too late for the 24-hour window. Empty: nothing is sent.",
    )
    template_language: str = Field("en", description="Its language, e.g. de or pt_BR.")
    status_wait: Duration = Field(
        60.0,
        ge=0.1,
        le=3600,
        description="How long a send whose answer was lost waits for WhatsApp's status before it "
        "is listed as uncertain.",
    )
    rate: RateConfig = RateConfig()
    timeout: Duration = Field(20.0, gt=0, le=120, description="Longest wait for one answer.")
    file_limit: Size = Field(
        20 * 2**20, ge=1, le=100 * 2**20, description="Largest file that is fetched."
    )
    file_timeout: FileTimeout = 15.0

    @property
    def secrets(self) -> list[str]:
        given = (self.app_secret, self.previous_app_secret)
        return [each.get_secret_value() for each in given if each is not None]

    @field_validator("token")
    @classmethod
    def _is_one_word(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("is one line of letters and digits, as Meta shows it once")
        return value

    @field_validator("phone_number_id")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if not _NUMBER.fullmatch(value):
            raise ValueError("is a number such as 106540352242922, from WhatsApp, API Setup")
        return value

    @field_validator("app_secret", "previous_app_secret")
    @classmethod
    def _is_an_app_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("is 32 hex digits, from App settings, Basic")
        return value

    @field_validator("verify_token")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 8:
            raise ValueError("has at least 8 characters: make one with openssl rand -hex 16")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or not urlsplit(value).hostname:
            raise ValueError("begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("version")
    @classmethod
    def _is_a_version(cls, value: str) -> str:
        if not _VERSION.fullmatch(value):
            raise ValueError("is a version such as v24.0")
        return value

    @field_validator("media_hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(each) for each in value):
            raise ValueError("holds names of hosts, in lower case, without https://")
        return value

    @field_validator("template")
    @classmethod
    def _is_a_template(cls, value: str) -> str:
        if not _TEMPLATE.fullmatch(value):
            raise ValueError("is a template's name: a-z, 0-9 and _")
        return value

    @field_validator("template_language")
    @classmethod
    def _is_a_language(cls, value: str) -> str:
        if not _LANGUAGE.fullmatch(value):
            raise ValueError("is a language such as de or pt_BR")
        return value
