from __future__ import annotations

import pytest

from gateway.access.limits import Once, SlidingWindow
from gateway.access.loops import LoopGuard


def test_a_window_admits_its_limit_and_then_says_how_long_to_wait() -> None:
    window = SlidingWindow()
    waits = [window.hit("ada", f"e{n}", limit=3, window=60, now=float(n)) for n in range(5)]
    assert waits == [0, 0, 0, 57, 56]
    assert window.hit("ada", "later", limit=3, window=60, now=60.0) == 0


def test_a_refused_event_does_not_lengthen_the_wait() -> None:
    window = SlidingWindow()
    for n in range(100):
        window.hit("ada", f"e{n}", limit=1, window=60, now=n / 2)
    assert window.hit("ada", "late", limit=1, window=60, now=60.0) == 0


def test_copies_of_one_event_count_once() -> None:
    window = SlidingWindow()
    assert not any(window.hit("ada", "same", limit=1, window=60, now=float(n)) for n in range(5))


def test_people_are_counted_apart_and_no_limit_means_none() -> None:
    window = SlidingWindow()
    assert window.hit("ada", "1", limit=1, window=60, now=0) == 0
    assert window.hit("bob", "2", limit=1, window=60, now=0) == 0
    assert not any(window.hit("cy", f"{n}", limit=0, window=60, now=0) for n in range(1000))


def test_counters_of_many_people_take_a_bounded_amount_of_memory() -> None:
    window, once = SlidingWindow(keys=10), Once(keys=10)
    for n in range(1000):
        window.hit(n, "e", limit=1, window=60, now=0)
        once.claim(n, "e", window=60, now=0)
    assert len(window._hits) == len(once._done) == 10


def test_something_is_done_once_per_window_and_again_only_for_the_same_event() -> None:
    once = Once()
    assert once.claim("k", "first", window=60, now=0)
    assert once.claim("k", "first", window=60, now=1)
    assert not once.claim("k", "second", window=60, now=59)
    assert once.claim("k", "second", window=60, now=60)


def test_a_failed_attempt_leaves_it_to_the_next_event() -> None:
    once = Once()
    assert once.claim("k", "first", window=60, now=0)
    with pytest.raises(RuntimeError), once.attempt("k"):
        raise RuntimeError
    assert once.claim("k", "second", window=60, now=1)


def test_two_bots_that_answer_each_other_are_paused_and_may_go_on_after_a_minute() -> None:
    guard = LoopGuard()
    admitted = [guard.admits("pair", f"e{n}", float(n)) for n in range(40)]
    assert admitted == [True] * 20 + [False] * 20
    assert not guard.admits("pair", "still", 79.0)
    assert guard.admits("pair", "again", 80.0)


def test_a_slow_bot_is_never_paused() -> None:
    guard = LoopGuard()
    assert all(guard.admits("pair", f"e{n}", n * 3.1) for n in range(200))


def test_pairs_of_bots_are_guarded_apart_and_copies_count_once() -> None:
    guard = LoopGuard(events=2)
    assert all(guard.admits("a", "same", 0.0) for _ in range(9))
    assert guard.admits("a", "2", 0.0)
    assert not guard.admits("a", "3", 0.0)
    assert guard.admits("b", "1", 0.0)
