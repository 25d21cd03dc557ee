"""From the settings to the engines they name."""

from __future__ import annotations

from collections.abc import Mapping

from engine.client import OpenAIEngine
from engine.config import BUILTIN, EngineConfig, FallbackConfig, order_of
from engine.embedded_engine import EmbeddedEngine
from engine.pictures import Load
from engine.service import Backend, EngineService
from gateway.errors import BadConfig
from gateway.ports import Clock


def build(
    engines: Mapping[str, EngineConfig],
    clock: Clock,
    fallback: FallbackConfig | None = None,
    *,
    pictures: Load | None = None,
) -> EngineService:
    """All engines as one; the built-in demo model when there are none. Connects to nothing.

    `pictures` gives those that engines with `vision` are shown. Raises `BadConfig`.
    """
    engines = engines or {BUILTIN: EngineConfig(builtin=True)}
    fallback = fallback or FallbackConfig()
    backends = {name: _backend(name, config, clock) for name, config in engines.items()}
    order = order_of(engines, fallback)
    return EngineService(
        [backends[name] for name in order],
        clock,
        fallback,
        pinnable=[backend for name, backend in backends.items() if name not in order],
        pictures=pictures,
    )


def _backend(name: str, config: EngineConfig, clock: Clock) -> Backend:
    if not name or "/" in name or name != name.strip():
        raise BadConfig(f"engines.{name}", "a name is not empty and has no / or spaces around it")
    if config.builtin:
        return EmbeddedEngine(name, config, clock)
    return OpenAIEngine(name, config, clock)
