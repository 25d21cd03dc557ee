"""Settings of one webhook account. Who may talk through it is the section ``access``, not here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from adapters.webhook.signing import key_of
from config.fields import Duration, SecretStr, Section, Size

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")
_SHORTEST = 16
_OWN_HEADERS = frozenset({"content-type", "content-length", "host", "transfer-encoding"})
MAKE = 'echo "whsec_$(openssl rand -base64 32)"'

Preset = Literal["generic", "custom", "github", "grafana", "alertmanager"]


def _checked(source: str, kind: Literal["path", "template"]) -> str:
    """As it is, when it can be read. Without the library that reads it the adapter says so itself
    when it is built."""
    if not source:
        return source
    try:
        from adapters.webhook import mapping
    except ModuleNotFoundError:
        return source
    read: Callable[[str], Any] = getattr(mapping, kind)
    read(source)
    return source


class RuleConfig(Section):
    """A text for payloads of one kind."""

    when: str = ""
    """JMESPath; empty for always."""
    text: str
    """Template of the message."""


class MapConfig(Section):
    """How a payload of somebody else's becomes a message: JMESPath, and templates that hold it in
    double braces. What is left out is as in the preset."""

    when: str = ""
    """JMESPath; payloads for which it is false or empty are taken and ignored."""
    text: str = ""
    """Template of the message."""
    rules: tuple[RuleConfig, ...] = ()
    """Instead of `text`: a list of `{when, text}`; the first that is true counts, payloads for
    which none is are taken and ignored."""
    conversation: str = ""
    """Template: payloads that share history and order."""
    sender: str = ""
    """Template: the id of who wrote; rights hang on it."""
    name: str = ""
    """Template: who wrote, for display."""
    id: str = ""
    """Template: what names a payload the same each time it comes. Empty: webhook-id, else the
    digest of the body."""
    echo: dict[str, str] = Field(default={})
    """Values that come back in the answer: name and template, at most 16."""

    @field_validator("when")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        return _checked(value, "path")

    @field_validator("text", "conversation", "sender", "name", "id")
    @classmethod
    def _is_a_template(cls, value: str) -> str:
        return _checked(value, "template")

    @field_validator("rules")
    @classmethod
    def _are_rules(cls, value: tuple[RuleConfig, ...]) -> tuple[RuleConfig, ...]:
        for rule in value:
            _checked(rule.when, "path")
            _checked(rule.text, "template")
        return value

    @field_validator("echo")
    @classmethod
    def _are_names(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > 16 or not all(_WORD.fullmatch(name) for name in value):
            raise ValueError("holds at most 16 names of a-z, 0-9 and _")
        for each in value.values():
            _checked(each, "template")
        return value

    @model_validator(mode="after")
    def _has_one_text(self) -> MapConfig:
        if self.text and self.rules:
            raise ValueError("has text or rules, not both")
        return self


class WebhookConfig(Section):
    """One program. Signed posts come in at ``/webhooks/webhook/<account>``, answers go to `url`."""

    secret: SecretStr = Field(
        description="Proves who posts. For the standard scheme whsec_ and base64: "
        f"{MAKE}; for others at least 16 characters."
    )
    previous_secret: SecretStr | None = Field(
        None, description="Counts too, while the secret is being changed."
    )
    url: str = Field(description="Where answers are posted; the one address, whatever came in.")
    preset: Preset = Field(
        "generic",
        description="What is posted: generic is our own schema, custom what map says; github, "
        "grafana and alertmanager are maps that are there already.",
    )
    scheme: Literal["standard", "github", "bearer", "hmac-hex"] | None = Field(
        None,
        description="How posts are signed: standard (Standard Webhooks), github "
        "(X-Hub-Signature-256), bearer (a secret in a header), hmac-hex. By default what the "
        "preset's program does.",
    )
    header: str = Field(
        "",
        description="bearer and hmac-hex: the header with the secret or the signature; by default "
        "Authorization and X-Signature.",
    )
    prefix: str | None = Field(
        None,
        max_length=32,
        description="What stands before it in the header, e.g. `sha256=`; for Authorization "
        "`Bearer ` by default.",
    )
    timestamp_header: str = Field(
        "",
        description="hmac-hex: the header with the seconds since the epoch that are signed before "
        "the body, as `<seconds>.<body>`; empty when no time is signed.",
    )
    map: MapConfig = MapConfig()
    commands: bool | None = Field(
        None,
        description="Whether a posted text may be a command such as /new. By default only with "
        "the preset generic.",
    )
    url_secret: SecretStr | None = Field(
        None,
        description="Signs answers, by Standard Webhooks. By default secret, where the scheme is "
        "standard.",
    )
    previous_url_secret: SecretStr | None = Field(
        None, description="Signs them too, while url_secret is being changed."
    )
    url_headers: dict[str, SecretStr] = Field(
        {}, description="Headers for whoever stands before the receiver, e.g. Authorization."
    )
    timeout: Duration = Field(
        15.0, gt=0, le=120, description="Longest wait for the receiver's answer."
    )
    max_body: Size = Field(
        4 * 2**20, ge=1024, le=64 * 2**20, description="Largest body that is taken."
    )
    remember: Duration = Field(
        0.0,
        ge=0,
        le=90 * 86400,
        description="How long a repeated payload is known. 0: 8 days; 1 hour where nothing but "
        "the body names it and no signature stands in the way of a second sending on purpose.",
    )

    @property
    def real_scheme(self) -> Literal["standard", "github", "bearer", "hmac-hex"]:
        return self.scheme or _SCHEMES[self.preset]

    @property
    def real_header(self) -> str:
        """Lower case."""
        usual = {"github": "X-Hub-Signature-256", "bearer": "Authorization"}
        return (self.header or usual.get(self.real_scheme, "X-Signature")).lower()

    @property
    def real_prefix(self) -> str:
        if self.real_scheme == "github":
            return "sha256="
        if self.prefix is not None:
            return self.prefix
        return "Bearer " if self.real_header == "authorization" else ""

    @property
    def real_commands(self) -> bool:
        return self.preset == "generic" if self.commands is None else self.commands

    @property
    def secrets(self) -> list[str]:
        return _texts(self.secret, self.previous_secret)

    @property
    def url_secrets(self) -> list[str]:
        found = _texts(self.url_secret, self.previous_url_secret)
        return found if self.url_secret else [*self.secrets, *found]

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value:
            raise ValueError(
                "is empty: answers would have nowhere to go; name the address of a program that "
                "takes them"
            )
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise ValueError("is no address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("begins with https:// (or http://) and names a host")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("holds no user, password or fragment; use url_headers")
        return value

    @field_validator("header", "timestamp_header")
    @classmethod
    def _is_a_header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            raise ValueError("is a header's name: letters, digits and -")
        return value

    @field_validator("url_headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, secret in value.items():
            taken = name.lower() in _OWN_HEADERS or name.lower().startswith("webhook-")
            if not _HEADER.fullmatch(name) or taken or name.lower() == "idempotency-key":
                raise ValueError("names headers of letters, digits and -, none that are set anyway")
            if not secret.get_secret_value().isprintable():
                raise ValueError("holds values on one line")
        return value

    @model_validator(mode="after")
    def _holds_together(self) -> WebhookConfig:
        self._check_secrets()
        self._check_headers()
        mapped = self.map.text or self.map.rules
        if self.preset == "custom" and not mapped:
            raise ValueError("preset custom needs map.text or map.rules")
        if self.preset == "generic" and self.map != MapConfig():
            raise ValueError("preset generic takes no map: its fields are given; use custom")
        return self

    def _check_secrets(self) -> None:
        standard = self.real_scheme == "standard"
        for name, secret in (("secret", self.secret), ("previous_secret", self.previous_secret)):
            if secret is not None:
                check = _is_whsec if standard else _is_long
                check(name, secret.get_secret_value())
        for name in ("url_secret", "previous_url_secret"):
            if (secret := getattr(self, name)) is not None:
                _is_whsec(name, secret.get_secret_value())
        if not standard and self.url_secret is None:
            raise ValueError(f"needs url_secret, which signs the answers: make one with {MAKE}")

    def _check_headers(self) -> None:
        scheme = self.real_scheme
        if scheme in ("standard", "github") and (self.header or self.prefix is not None):
            raise ValueError(f"scheme {scheme} takes neither header nor prefix: it names its own")
        if scheme != "hmac-hex" and self.timestamp_header:
            raise ValueError("timestamp_header belongs to scheme hmac-hex")


_SCHEMES: Mapping[str, Literal["standard", "github", "bearer"]] = {
    "generic": "standard",
    "custom": "standard",
    "github": "github",
    "grafana": "bearer",
    "alertmanager": "bearer",
}


def _texts(*secrets: SecretStr | None) -> list[str]:
    return [each.get_secret_value() for each in secrets if each is not None]


def _is_whsec(name: str, value: str) -> None:
    try:
        key_of(value)
    except ValueError as problem:
        raise ValueError(f"{name} {problem}: make one with {MAKE}") from None


def _is_long(name: str, value: str) -> None:
    if len(value) < _SHORTEST or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"{name} has at least {_SHORTEST} characters on one line: make one with "
            "openssl rand -hex 32"
        )
