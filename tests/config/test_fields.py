"""Field types that several adapters' settings share: what they take, and what they say."""

from __future__ import annotations

import pytest
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from config.fields import FileLimit, FileTimeout, HttpUrl, Phrases, Section, fast_enough


class Rates(Section):
    overall: float = Field(5.0, ge=0, le=100)
    chat: float | None = None

    _lets_answers_through = field_validator("overall", "chat")(fast_enough(0.5))


@pytest.mark.parametrize("given", ["https://example.org", "http://localhost:8081/bot//"])
def test_an_address_loses_the_slashes_at_its_end(given: str) -> None:
    assert TypeAdapter(HttpUrl).validate_python(given) == given.rstrip("/")


@pytest.mark.parametrize("given", ["", "example.org", "ftp://example.org", " https://example.org"])
def test_an_address_of_another_kind_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="begins with http:// or https://"):
        TypeAdapter(HttpUrl).validate_python(given)


def test_phrases_are_kept_as_they_are() -> None:
    given = ["hey bot", "x" * 100]

    assert TypeAdapter(Phrases).validate_python(given) == tuple(given)


@pytest.mark.parametrize("given", ["", "  ", "x" * 101])
def test_an_empty_or_endless_phrase_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="each is a word or phrase of at most 100 characters"):
        TypeAdapter(Phrases).validate_python(["hey bot", given])


@pytest.mark.parametrize("given", [0, 0.5, 40])
def test_a_rate_is_none_or_fast_enough_for_answers(given: float) -> None:
    assert Rates(overall=given, chat=given).overall == given


def test_a_rate_that_would_hold_answers_up_is_refused_with_the_slowest_one() -> None:
    for rates in ({"overall": 0.4}, {"chat": 0.4}):
        with pytest.raises(ValidationError, match=r"is at least 0\.5, or 0 for no limit"):
            Rates.model_validate(rates)


def test_bounds_of_files_are_read_with_units_and_told_to_editors() -> None:
    limit, timeout = TypeAdapter(FileLimit), TypeAdapter(FileTimeout)

    assert limit.validate_python("20MB") == 20 * 2**20
    assert timeout.validate_python("2m") == 120
    with pytest.raises(ValidationError, match="less than or equal to 2147483648"):
        limit.validate_python("3GB")
    with pytest.raises(ValidationError, match="greater than 0"):
        timeout.validate_python("0s")
    assert limit.json_schema()["minimum"] == 1
    assert timeout.json_schema()["maximum"] == 120
