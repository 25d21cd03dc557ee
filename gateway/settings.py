"""Everything the roles need to know, read and checked as a whole before anything connects.

`SECTIONS` is the list of what the file may hold; a section's schema stands beside its owner and is
imported only here. The same list prints ``docs/configuration.md`` and the editor's schema.
"""

from __future__ import annotations

import importlib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator

import adapters
from config.complain import explain
from config.docs import Part
from config.fields import Duration, Section, Size
from config.problems import Problem
from config.read import read
from engine.config import EngineConfig, FallbackConfig, order_of
from gateway.access.config import AccessConfig, AccountRules
from gateway.access.shared import of_kind
from gateway.errors import BadConfig
from gateway.lastgood import FILE, FINGERPRINT_KEY, SNAPSHOT
from gateway.message import Account
from gateway.queues import embedded

HOME = Path("~/.moltgate")

S = TypeVar("S", bound=Section)

Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


class HttpConfig(Section):
    """The one HTTP server: web chat, API, webhooks, health and metrics."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    public_url: str = Field(
        "", description="Where others reach the server, e.g. https://chat.example.org."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names requests may ask for besides localhost and public_url's."
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Origins of other pages that may use the API from a browser."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks of reverse proxies whose X-Forwarded-* count."
    )

    @field_validator("public_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ipaddress.ip_network(each, strict=False)
            except ValueError:
                raise ValueError(
                    f"{each} is no address or network; write 10.0.0.5 or 172.16.0.0/12, no name"
                ) from None
        return value


class RedisConfig(Section):
    """Where messages are kept. Without a url `moltgate run` starts a private server."""

    url: str = Field(
        "",
        repr=False,
        description="redis://host:6379, rediss://…, unix:///path, or redis+cluster://host:6379. "
        "Empty: a private server under the data folder.",
    )
    password: SecretStr | None = Field(None, description="Password, unless it is in the url.")
    namespace: Token = Field("q", description="Begins every key; one per gateway on a server.")
    partitions: int = Field(
        4, ge=1, le=256, description="Parts the queue is spread over. Fixed once data are there."
    )
    fsync: Literal["always", "everysec"] = Field(
        "always",
        description="Private server: always survives a power cut without loss, everysec may lose "
        "the last two seconds and is faster on slow disks. Also what is asked of an own server.",
    )
    memory: Size = Field(
        256 * 2**20, ge=32 * 2**20, description="Private server: most memory it may use."
    )
    timeout: Duration = Field(2.0, gt=0, le=60, description="Longest wait for one answer.")

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: str) -> str:
        schemes = ("redis://", "rediss://", "unix://", "redis+cluster://", "rediss+cluster://")
        if value and not value.startswith(schemes):
            raise ValueError(f"begins with one of {', '.join(schemes)}")
        return value


class RunConfig(Section):
    """What `moltgate run` starts."""

    workers: int = Field(1, ge=1, le=64, description="Worker processes.")


class LogConfig(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is written. debug shows addresses."
    )
    format: Literal["auto", "pretty", "json"] = Field(
        "auto", description="auto is pretty on a terminal and JSON elsewhere."
    )


SECTIONS: tuple[tuple[str, str], ...] = (
    ("http", "gateway.settings:HttpConfig"),
    ("redis", "gateway.settings:RedisConfig"),
    ("run", "gateway.settings:RunConfig"),
    ("log", "gateway.settings:LogConfig"),
    ("sessions", "gateway.sessions.config:SessionConfig"),
    ("access", "gateway.access.config:AccessConfig"),
    ("turns", "gateway.turn:TurnConfig"),
    ("delivery", "gateway.delivery:DeliveryConfig"),
    ("media", "multimodal.config:MediaConfig"),
    ("fallback", "engine.config:FallbackConfig"),
)
"""Top-level sections with one schema each: name in the file, ``module:class``."""


ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "MOLTGATE_HTTP_HOST": ("http", "host"),
    "MOLTGATE_HTTP_PORT": ("http", "port"),
    "MOLTGATE_REDIS_URL": ("redis", "url"),
}
"""Variables that replace a default, as containers need it: variable, (section, setting)."""


class EntryConfig(Section):
    """What every adapter's account may carry besides the adapter's own settings."""

    access: AccessConfig = AccessConfig()
    """Who may talk here; what is left out is as in the section ``access``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterEntry:
    """One configured account."""

    account: Account
    spec: adapters.AdapterSpec
    config: Section
    access: AccessConfig
    """The account's own rules over those of the section ``access``."""
    implied: bool = False
    """Not in the file: web chat is there without being asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    home: Path
    file: Path | None
    """The configuration file, None when there is none."""
    sections: Mapping[str, Section]
    engines: Mapping[str, EngineConfig]
    """By name, in the order of the file; empty means the built-in model."""
    adapters: tuple[AdapterEntry, ...]
    secrets: frozenset[str]
    """Values that must not show up in a log."""
    warnings: tuple[Problem, ...]
    fingerprints: Mapping[str, str]
    """One value per section of the file; it changes when the section does."""

    def section(self, schema: type[S]) -> S:
        """A section by its schema: ``settings.section(RedisConfig)``."""
        return next(each for each in self.sections.values() if isinstance(each, schema))

    @property
    def http(self) -> HttpConfig:
        return self.section(HttpConfig)

    @property
    def redis(self) -> RedisConfig:
        return self.section(RedisConfig)

    @property
    def run(self) -> RunConfig:
        return self.section(RunConfig)

    @property
    def log(self) -> LogConfig:
        return self.section(LogConfig)

    @property
    def http_url(self) -> str:
        """Where people reach web chat and API."""
        return self.http.public_url or self.local_url()

    def local_url(self, port: int | None = None) -> str:
        """Where this machine reaches them; `port` where it is not the configured one."""
        any_address = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
        host = any_address.get(self.http.host, self.http.host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port or self.http.port}"

    @property
    def redis_url(self) -> str:
        """Of the configured server, else of the private one in the data folder."""
        return self.redis.url or embedded.url(self.home)

    def folder_of(self, account: Account) -> Path:
        """What an adapter's library keeps in files, one folder an account."""
        return self.home / "adapters" / account.kind / quote(account.id, safe="")

    @property
    def blobs(self) -> Path:
        return self.home / "blobs"

    def with_port(self, port: int | None) -> Settings:
        """The same with another HTTP port, as ``--port`` asks; None changes nothing."""
        if port is None:
            return self
        changed = self.http.model_copy(update={"port": port})
        return replace(self, sections={**self.sections, "http": changed})


def home_folder(given: Path | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """The data folder: as given, else ``MOLTGATE_HOME``, else ``~/.moltgate``. Absolute."""
    return (given or Path(env.get("MOLTGATE_HOME") or HOME)).expanduser().absolute()


def config_file(home: Path, given: Path | None = None) -> Path | None:
    """The file to read: as given, else the one in the given or the data folder, else none."""
    path = home if given is None else given.expanduser().absolute()
    if given is not None and not path.is_dir():
        return path  # asked for by name: that it is missing is told
    usual = path / FILE
    return usual if usual.exists() else None


def load(
    home: Path | None = None, file: Path | None = None, env: Mapping[str, str] = os.environ
) -> Settings:
    """Read and check everything. Raises one `BadConfig` that names all that is wrong."""
    folder = home_folder(home, env)
    snapshot = env.get(SNAPSHOT)  # set by the supervisor: what was last found good
    if snapshot:
        document = read(config_file(folder, file) or folder / FILE, env, copy=Path(snapshot))
    else:
        document = read(config_file(folder, file), env)
    sections = {name: document.section(name, schema) for name, schema in schemas()}
    engines = document.entries("engines", lambda _: EngineConfig)
    entries = document.accounts(
        "adapters",
        lambda kind: (adapters.find(kind).config, EntryConfig),
        shared=("access",),
    )
    off = document.off("adapters")
    document.finish()
    fallback = sections["fallback"].value
    assert isinstance(fallback, FallbackConfig)
    order_of({name: engine.value for name, engine in engines.items()}, fallback)
    found = [
        AdapterEntry(
            account=Account(kind=entry.name, id=entry.account),
            spec=adapters.find(entry.name),
            config=entry.parts[0].value,
            access=entry.parts[1].value.access,
        )
        for entry in entries
    ]
    found = _divided(found, sections["access"].value)
    for entry in found:
        AccountRules(account=entry.account, access=entry.access, **entry.spec.id_rules)
    return Settings(
        home=folder,
        file=document.path,
        sections=with_environment({name: one.value for name, one in sections.items()}, env),
        engines={name: engine.value for name, engine in engines.items()},
        adapters=(*_web(found, off, sections["access"].value), *found),
        secrets=document.secrets,
        warnings=tuple(document.warnings),
        fingerprints=document.fingerprints(env.get(FINGERPRINT_KEY, "")),
    )


def with_environment(sections: Mapping[str, Section], env: Mapping[str, str]) -> dict[str, Section]:
    """Pure: the sections, with `ENVIRONMENT` where the file says nothing. Raises `BadConfig`."""
    found = dict(sections)
    for variable, (name, key) in ENVIRONMENT.items():
        text, section = env.get(variable, "").strip(), found[name]
        if not text or key in section.model_fields_set:
            continue
        try:
            valid = type(section).model_validate({key: text})
        except ValidationError as wrong:
            raise BadConfig(variable, *explain(wrong.errors()[0], type(section))) from None
        found[name] = section.model_copy(update={key: getattr(valid, key)})
    return found


def schemas() -> Sequence[tuple[str, type[Section]]]:
    """Every top-level section with its schema, for the documentation and for editors."""
    return [(name, _schema(where)) for name, where in SECTIONS]


def _divided(found: Sequence[AdapterEntry], access: Section) -> list[AdapterEntry]:
    """Web chat lets in whoever has signed in: it has no ids to list."""
    assert isinstance(access, AccessConfig)
    rules = {one.account.kind: one.spec.id_rules for one in found if one.account.kind != "web"}
    return [
        replace(entry, access=of_kind(entry.access, access, entry.account.kind, rules))
        if entry.account.kind in rules
        else entry
        for entry in found
    ]


def _web(found: Sequence[AdapterEntry], off: set[str], access: Section) -> Sequence[AdapterEntry]:
    """Web chat is there unless it is configured, or switched off by ``web: false``."""
    if "web" in off or any(entry.account.kind == "web" for entry in found):
        return ()
    spec = adapters.find("web")
    assert isinstance(access, AccessConfig)
    return (
        AdapterEntry(
            account=Account(kind="web"),
            spec=spec,
            config=spec.config(),
            access=access,
            implied=True,
        ),
    )


def _schema(where: str) -> type[Section]:
    module, _, name = where.partition(":")
    schema: type[Section] = getattr(importlib.import_module(module), name)
    if not issubclass(schema, Section):
        raise BadConfig(where, "is not a section", "derive it from config.fields.Section")
    return schema


def described() -> Sequence[Part]:
    """Everything the file may hold, for the documentation and for editors."""
    kinds = [(kind, adapters.find(kind)) for kind in adapters.known()]
    return (
        *(Part(path=(name,), schema=schema) for name, schema in schemas()),
        Part(
            path=("engines", "*"),
            schema=EngineConfig,
            intro="Your model servers, by a name of your choice, in the order in which they are "
            "asked. Without any, the built-in demo model answers.",
        ),
        *(
            Part(path=("adapters", kind), schema=spec.config, intro=spec.title, shared=EntryConfig)
            for kind, spec in kinds
        ),
    )
