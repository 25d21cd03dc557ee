"""Redis' own settings, checked at start and every minute: durability is not ours to promise
when the server evicts, forgets or is full."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from gateway.errors import BadConfig, Busy, GatewayError, Unavailable
from gateway.queues.topology import Store
from gateway.queues.wire import Link

MINIMUM_VERSION = (6, 2)
FULL_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    problems: tuple[str, ...] = ()
    """What breaks our promise, each with the line to change; empty when all is well."""
    warnings: tuple[str, ...] = ()
    version: str = ""
    used_share: float = 0.0
    """Used memory by the limit; 0 without a limit."""

    @property
    def full(self) -> bool:
        return self.used_share >= FULL_SHARE


async def check(store: Store, *, fsync: str = "always") -> StoreHealth:
    """Look at every server. Raises `Unavailable` when one does not answer."""
    problems: list[str] = []
    warnings: list[str] = []
    version, share = "", 0.0
    async for link in store.servers():
        info = await _info(link)
        version = info.get("redis_version", "?")
        share = max(share, _share(info))
        problems += _problems(info, str(link.address))
        warnings += await _fsync(link, fsync)
    return StoreHealth(
        problems=tuple(problems), warnings=tuple(warnings), version=version, used_share=share
    )


async def require(store: Store, *, fsync: str = "always") -> StoreHealth:
    """As `check`, raising `BadConfig` with all problems, or for another number of partitions."""
    health = await check(store, fsync=fsync)
    if health.problems:
        raise BadConfig("redis", "; ".join(health.problems), "see docs/operations.md#redis")
    await _require_layout(store)
    return health


async def _require_layout(store: Store) -> None:
    """The number of partitions says where a conversation is: with another one it is not found."""
    first, ours = store.partitions[0], len(store.partitions)
    key = f"{first}:partitions"
    with contextlib.suppress(Busy):  # a full store is laid out already
        await store.call(first, "SET", key, ours, "NX")
    found = int(await store.call(first, "GET", key) or ours)
    if found != ours:
        raise BadConfig(
            "redis.partitions",
            f"is {ours}, but what is stored lies in {found}",
            f"set it to {found}, or give redis.namespace another name to begin empty",
        )


async def _info(link: Link) -> dict[str, str]:
    text = ""
    for section in ("server", "memory", "persistence"):
        text += (await link.call("INFO", section)).decode() + "\n"
    lines = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: value.strip() for key, value in lines}


def _share(info: dict[str, str]) -> float:
    limit = int(info.get("maxmemory", "0"))
    return int(info.get("used_memory", "0")) / limit if limit else 0.0


def _problems(info: dict[str, str], where: str) -> list[str]:
    problems = []
    version = tuple(int(part) for part in info.get("redis_version", "0.0").split(".")[:2])
    if version < MINIMUM_VERSION:
        problems.append(f"{where} is Redis {info.get('redis_version')}, 6.2 is the oldest we know")
    if info.get("aof_enabled") != "1":
        problems.append(f"{where} forgets messages on restart: set 'appendonly yes'")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        problems.append(
            f"{where} may throw messages away (maxmemory-policy {policy}): "
            "set 'maxmemory-policy noeviction'"
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        problems.append(f"{where} cannot write its append-only file: is the disk full?")
    return problems


async def _fsync(link: Link, wanted: str) -> list[str]:
    try:
        found = await link.call("CONFIG", "GET", "appendfsync")
    except Unavailable:
        raise
    except GatewayError:
        return ["appendfsync could not be read: a power cut may lose acknowledged messages"]
    value = found[1].decode() if len(found) > 1 else "?"
    if wanted == "always" and value != "always":
        return [
            f"appendfsync is {value}: a power cut may lose acknowledged messages; "
            "set 'appendfsync always' or say redis.fsync: everysec"
        ]
    return []
