"""Settings of the engines: which servers there are, how long to wait for them, in which order.

The order of the engines in the file is the order in which they are asked, unless `fallback`
names another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator
from yarl import URL

from config.fields import Duration, SecretStr, Section, Size
from gateway.errors import BadConfig

BUILTIN = "builtin"
"""Name of the demo model that answers when no engine is configured."""

_OURS = ("messages", "model", "stream")


class Timeouts(Section):
    """How long an engine may take before the request is given up."""

    connect: Duration = Field(default=5.0, gt=0)
    first_token: Duration = Field(default=30.0, gt=0)
    """Until the first piece of the answer."""
    between_tokens: Duration = Field(default=20.0, gt=0)
    """Without any progress, once the answer has begun."""
    total: Duration = Field(default=300.0, gt=0)
    """For the whole answer."""
    probe: Duration = Field(default=10.0, gt=0)
    """For one token, when it is asked whether the engine works at all."""


class EngineConfig(Section):
    """A model behind the gateway: an OpenAI-compatible server, or the built-in demo model."""

    url: str = ""
    """Base address of the server's API, e.g. http://localhost:8000/v1."""
    builtin: bool = False
    """Use the built-in demo model instead of a server."""
    api_key: SecretStr | None = None
    model: str = ""
    """Name of the model there; by default the first one the server lists."""
    vision: bool | None = None
    """Whether the model sees pictures: then they go along, made smaller, beside the text that was
    read from them. Unset counts as no."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Further headers of every request."""
    timeouts: Timeouts = Timeouts()
    max_tokens: int | None = Field(default=None, gt=0)
    """Most tokens of an answer; by default the server decides."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_concurrency: int = Field(default=256, gt=0)
    """Requests to this engine at the same time; more wait their turn."""
    max_text: Size = Field(default=2**20, gt=0)
    """Longest answer, in characters."""
    max_response: Size = Field(default=64 * 2**20, gt=0)
    """Bytes of one streamed response, whatever is in it."""
    tls_verify: bool = True
    """Whether the server's certificate must be valid."""
    tls_ca: Path | None = None
    """Certificate authority to trust, for servers with a certificate of your own."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of every request body, e.g. top_p."""
    folder: Path | None = None
    """Another model folder for the built-in engine, in CTranslate2 format."""
    threads: int = Field(default=1, gt=0)
    """CPU threads of the built-in engine."""

    @field_validator("url")
    @classmethod
    def _plain_http(cls, value: str) -> str:
        return value and _base(value)

    @field_validator("extra")
    @classmethod
    def _only_extras(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in _OURS if name in value]:
            raise ValueError(f"{taken[0]} is set by the gateway itself")
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> EngineConfig:
        if bool(self.url) == self.builtin:
            raise ValueError("an engine needs either a url or builtin: true")
        return self


class FallbackConfig(Section):
    """What happens when an engine fails. A plain list of names is the order."""

    order: tuple[str, ...] = ()
    """Engines in the order in which they are asked; those left out are used only when pinned."""
    attempts: int = Field(default=3, gt=0)
    """Engines asked for one answer at most."""
    restarts: int = Field(default=1, ge=0)
    """How often an answer already begun is thrown away and started over on the next engine."""
    cooldown: Duration = Field(default=5.0, gt=0)
    """First pause of an engine that failed; doubles while it keeps failing."""
    cooldown_max: Duration = Field(default=120.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _list_is_order(cls, value: Any) -> Any:
        return {"order": value} if isinstance(value, list | tuple) else value


def order_of(engines: Mapping[str, EngineConfig], fallback: FallbackConfig) -> Sequence[str]:
    """Names in the order in which they are asked. `BadConfig` for a name that is no engine."""
    for name in fallback.order:
        if name not in engines:
            raise BadConfig("fallback", f"no engine {name}", f"there are: {', '.join(engines)}")
    return tuple(dict.fromkeys(fallback.order)) or tuple(engines)


def _base(value: str) -> str:
    try:
        url = URL(value)
    except ValueError as problem:
        raise ValueError("not a web address, e.g. http://localhost:8000/v1") from problem
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the address starts with http:// or https://, and names a host")
    if url.user or url.password:
        raise ValueError("no password in the address: use api_key or headers")
    if url.query_string or url.fragment:
        raise ValueError("the address ends with its path, e.g. /v1")
    path = url.path.rstrip("/").removesuffix("/chat/completions")
    return str(url.with_path(path or "/v1"))
