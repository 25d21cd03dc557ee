"""A schema's complaints in words that say what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_PLAIN = {
    "missing": ("is missing", "add it"),
    "string_type": ("must be text", "put it in quotes"),
    "bool_parsing": ("must be true or false", ""),
    "bool_type": ("must be true or false", ""),
    "int_parsing": ("must be a whole number", ""),
    "int_type": ("must be a whole number", ""),
    "int_from_float": ("must be a whole number", ""),
    "float_parsing": ("must be a number", ""),
    "float_type": ("must be a number", ""),
    "tuple_type": ("must be a list", "write [a, b] or one '- item' per line"),
    "list_type": ("must be a list", "write [a, b] or one '- item' per line"),
    "set_type": ("must be a list", "write [a, b] or one '- item' per line"),
    "frozen_set_type": ("must be a list", "write [a, b] or one '- item' per line"),
    "dict_type": ("must hold settings, as 'name: value' lines", ""),
    "model_type": ("must hold settings, as 'name: value' lines", ""),
    "model_attributes_type": ("must hold settings, as 'name: value' lines", ""),
}


def explain(error: ErrorDetails, schema: type[BaseModel]) -> tuple[str, str]:
    """Reason and remedy for one of pydantic's errors. Never repeats the value: it may be secret."""
    kind = error["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(error["loc"][-1]), siblings(schema, error["loc"][:-1]))
    if kind in _PLAIN:
        return _PLAIN[kind]
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if reason.startswith("Input should be "):
        reason = "should be " + reason.removeprefix("Input should be ")
    return reason, ""


def unknown_key(key: str, names: Sequence[str]) -> tuple[str, str]:
    return "unknown setting", nearest(key, names)


def nearest(name: str, names: Sequence[str]) -> str:
    """A remedy that names the likeliest alternative, or all of them when none is near."""
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(sorted(set(names)))}" if names else "remove it"


def siblings(schema: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Names of the settings at a place inside a schema."""
    models = [schema]
    for step in loc:
        models = [below for model in models for below in _below(model, step)]
    return [info.alias or name for model in models for name, info in model.model_fields.items()]


def _below(model: type[BaseModel], step: str | int) -> Iterator[type[BaseModel]]:
    info = model.model_fields.get(str(step))
    if info is not None:
        yield from _models(info.annotation)
    else:
        yield model  # a list position or the tag of a union: pydantic's step, not the file's


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    if get_origin(annotation) in (Annotated, Union, UnionType, dict, list, tuple) or get_args(
        annotation
    ):
        for inner in get_args(annotation):
            yield from _models(inner)
