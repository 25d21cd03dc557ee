"""Field types sections share: the base section, durations, sizes, addresses, secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

__all__ = [
    "Duration",
    "FileLimit",
    "FileTimeout",
    "HttpUrl",
    "Phrases",
    "SecretStr",
    "Section",
    "Size",
    "fast_enough",
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "": 1,
    "b": 1,
    "kb": 2**10,
    "kib": 2**10,
    "mb": 2**20,
    "mib": 2**20,
    "gb": 2**30,
    "gib": 2**30,
}


class Section(BaseModel):
    """A part of the file with a schema. Unknown keys are errors, values do not change later."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        coerce_numbers_to_str=True,  # `allow: [12345678]` needs no quotes
    )


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", value)
        if not found:
            raise ValueError("a duration is a number with ms, s, m, h or d, e.g. 30s")
        return float(found[1]) * _UNITS[found[2]]
    return value


def _size(value: Any) -> Any:
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b?)\s*", value.lower())
        if not found or found[2] not in _SIZES:
            raise ValueError("a size is a number with KB, MB or GB, e.g. 20MB")
        return int(float(found[1]) * _SIZES[found[2]])
    return value


def _http(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("begins with http:// or https://")
    return value.rstrip("/")


def _phrases(value: tuple[str, ...]) -> tuple[str, ...]:
    if any(not phrase.strip() or len(phrase) > 100 for phrase in value):
        raise ValueError("each is a word or phrase of at most 100 characters")
    return value


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds; written as a number of seconds or with a unit: 250ms, 30s, 5m, 24h, 8d."""

Size = Annotated[int, BeforeValidator(_size)]
"""Bytes; written as a number of bytes or with a unit (1024-based): 64KB, 20MB, 1GB."""

# The bounds stand before the reading of units, or the schema for editors has other names for them.
FileLimit = Annotated[
    int,
    Field(ge=1, le=2 * 2**30, description="Largest file that is fetched."),
    BeforeValidator(_size),
]
FileTimeout = Annotated[
    float,
    Field(gt=0, le=120, description="Longest time to fetch one file."),
    BeforeValidator(_duration),
]

HttpUrl = Annotated[str, AfterValidator(_http)]
"""An http or https address, without slashes at its end."""

Phrases = Annotated[tuple[str, ...], AfterValidator(_phrases)]
"""Words or phrases that mean a bot, besides its name."""


def fast_enough(slowest: float) -> Callable[[float | None], float | None]:
    """A validator of rates, of which 0 is no limit."""

    def check(rate: float | None) -> float | None:
        if rate and rate < slowest:
            raise ValueError(
                f"is at least {slowest:g}, or 0 for no limit: answers would wait for ages"
            )
        return rate

    return check
