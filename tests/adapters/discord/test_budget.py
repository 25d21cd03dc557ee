"""What Discord says about too many requests holds for all that comes after."""

from __future__ import annotations

import pytest

from adapters.discord.budget import MOST_REFUSALS, Budget
from gateway.errors import Busy
from tests.fakes.clock import MovedClock


def test_a_held_route_holds_no_other() -> None:
    clock = MovedClock()
    budget = Budget(clock, 5.0)
    budget.hold("a", 60.0)
    with pytest.raises(Busy) as busy:
        budget.check("a")
    assert busy.value.after == 60.0
    budget.check("b")
    clock.advance(61.0)
    budget.check("a")


def test_a_long_limit_of_everything_holds_everything_and_a_short_one_is_the_librarys() -> None:
    clock = MovedClock()
    budget = Budget(clock, 5.0)
    budget.heard(429, {"X-RateLimit-Global": "true", "Retry-After": "3"})
    budget.check("a")
    budget.heard(429, {"X-RateLimit-Scope": "global", "Retry-After": "30"})
    with pytest.raises(Busy):
        budget.check("a")
    budget.heard(429, {"X-RateLimit-Scope": "global", "Retry-After": "soon"})
    clock.advance(31.0)
    budget.check("a")


def test_half_of_the_refusals_that_lock_us_out_are_the_most() -> None:
    clock = MovedClock()
    budget = Budget(clock, 5.0)
    for _ in range(MOST_REFUSALS):
        budget.check("a")
        budget.heard(403, {})
        budget.heard(429, {"X-RateLimit-Scope": "shared"})  # not ours, not counted
        budget.heard(200, {})
    with pytest.raises(Busy):
        budget.check("a")
    clock.advance(601.0)
    budget.check("a")


def test_many_held_routes_are_forgotten_when_they_are_over() -> None:
    clock = MovedClock()
    budget = Budget(clock, 5.0)
    for number in range(1_000):
        budget.hold(str(number), 1.0)
    clock.advance(2.0)
    budget.hold("x", 1.0)
    assert len(budget._routes) == 1
