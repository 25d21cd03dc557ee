"""When an engine is left alone, and when it is back."""

from __future__ import annotations

import pytest

from engine.breaker import Breaker


def test_it_trips_at_the_third_failure_in_a_row() -> None:
    breaker = Breaker()

    assert [breaker.failed(0), breaker.failed(1), breaker.failed(2)] == [False, False, True]


def test_an_answer_in_between_starts_the_row_anew() -> None:
    breaker = Breaker()

    for now in range(0, 20, 4):
        breaker.succeeded(now)
        breaker.succeeded(now + 1)
        assert not breaker.failed(now + 2)
        assert not breaker.failed(now + 3)


def test_it_trips_when_more_than_half_of_the_last_minute_failed() -> None:
    breaker = Breaker()

    breaker.succeeded(0)
    breaker.failed(1)
    breaker.failed(2)
    breaker.succeeded(3)
    assert breaker.failed(4)  # 3 of 5


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    breaker = Breaker()

    breaker.failed(0)
    breaker.failed(1)
    breaker.succeeded(2)
    breaker.failed(70)
    assert not breaker.failed(71)


def test_the_pause_doubles_up_to_its_limit_and_begins_anew_after_an_answer() -> None:
    breaker = Breaker(base=5, most=30)
    now = 0.0
    pauses = [breaker.cool(now)]
    for _ in range(4):
        now = breaker.until
        pauses.append(breaker.probed(now, ok=False))

    assert pauses == [5, 10, 20, 30, 30]
    assert breaker.probed(now, ok=True) == 0
    breaker.succeeded(now)
    assert breaker.cool(now) == 5


def test_coming_back_only_to_fail_again_keeps_the_longer_pause() -> None:
    breaker = Breaker(base=5)
    breaker.cool(0)
    breaker.probed(5, ok=False)
    breaker.probed(15, ok=True)

    assert breaker.cool(15) == 10


def test_answers_of_requests_from_before_do_not_end_the_cooling() -> None:
    breaker = Breaker()
    breaker.cool(0)

    breaker.succeeded(1)

    assert breaker.cooling


@pytest.mark.parametrize(("first", "second", "until"), [(60, 5, 60), (5, 60, 60)])
def test_the_longer_of_two_pauses_counts(first: float, second: float, until: float) -> None:
    breaker = Breaker()

    breaker.cool(0, first)
    breaker.cool(0, second)

    assert breaker.until == until
