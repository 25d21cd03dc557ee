"""Field types every section shares: the base section, durations, sizes, secrets."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

__all__ = ["Duration", "SecretStr", "Section", "Size"]

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


Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds; written as a number of seconds or with a unit: 250ms, 30s, 5m, 24h, 8d."""

Size = Annotated[int, BeforeValidator(_size)]
"""Bytes; written as a number of bytes or with a unit (1024-based): 64KB, 20MB, 1GB."""
