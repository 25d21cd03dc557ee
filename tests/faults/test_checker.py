"""The judge itself: a planted fault of every kind is found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.checker import History, Listed, Sent, Shown, judge, token

A, B, C = (token() for _ in range(3))

GOOD = History(
    sent=[
        Sent(conversation="ada", token=A),
        Sent(conversation="ada", token=B),
        Sent(conversation="bob", token=C),
    ],
    shown=[
        Shown(conversation="ada", text=f"echo: {A}"),
        Shown(conversation="bob", text=f"echo: {C}"),
        Shown(conversation="ada", text=f"echo: {B}"),
    ],
    prompts=[f"you are a bot {A}", f"{A} echo {A} {B}", C],
    ledger={"difference": 0, "waiting": 0, "accepted": 3, "uncertain": 0},
)


def test_a_good_history_is_found_good() -> None:
    assert judge(GOOD).wrong == {}


def test_messages_merged_into_one_answer_are_answered() -> None:
    merged = [Shown(conversation="ada", text=f"{A}\n\n{B}"), GOOD.shown[1]]
    assert judge(replace(GOOD, shown=merged)).wrong == {}


def test_a_lost_message_is_found() -> None:
    assert judge(replace(GOOD, shown=GOOD.shown[:2])).wrong == {"lost": [B]}


def test_a_message_that_was_never_confirmed_is_not_lost() -> None:
    sent = [*GOOD.sent, Sent(conversation="bob", token=token(), confirmed=False)]
    assert judge(replace(GOOD, sent=sent)).wrong == {}


def test_a_refused_message_is_not_lost() -> None:
    sent = [*GOOD.sent, Sent(conversation="bob", token=token(), refused=True)]
    ledger = {**GOOD.ledger, "accepted": 4}
    assert judge(replace(GOOD, sent=sent, ledger=ledger)).wrong == {}


def test_an_answer_shown_twice_is_found() -> None:
    assert judge(replace(GOOD, shown=[*GOOD.shown, GOOD.shown[1]])).wrong == {"doubled": [C]}


def test_answers_in_the_wrong_order_are_found() -> None:
    assert judge(replace(GOOD, shown=GOOD.shown[::-1])).wrong == {"swapped": ["ada"]}


def test_an_answer_in_another_conversation_is_found() -> None:
    shown = [*GOOD.shown[:2], Shown(conversation="bob", text=f"echo: {B}")]
    assert judge(replace(GOOD, shown=shown)).wrong == {"leaked": [B]}


def test_a_prompt_with_somebody_elses_words_is_found() -> None:
    assert judge(replace(GOOD, prompts=[f"{A} {C}"])).wrong == {"leaked": [C]}


def test_half_an_answer_left_standing_is_found_and_a_notice_is_not() -> None:
    shown = [*GOOD.shown, Shown(conversation="ada", text="echo:")]
    assert judge(replace(GOOD, shown=shown)).wrong == {"stray": shown[-1:]}
    assert judge(replace(GOOD, shown=shown), notices=["echo"]).wrong == {}


def test_half_an_answer_above_the_whole_is_stray_and_the_same_answer_twice_is_doubled() -> None:
    whole = Shown(conversation="bob", text=f"echo: {C} and more")
    half, other = GOOD.shown[1], GOOD.shown[0]
    above = [other, half, whole, GOOD.shown[2]]
    assert judge(replace(GOOD, shown=above)).wrong == {"stray": [half]}
    below = [other, whole, half, GOOD.shown[2]]
    assert judge(replace(GOOD, shown=below)).wrong == {"doubled": [C]}


@pytest.mark.parametrize(("kind", "where"), [("uncertain", "uncertain"), ("part", "quarantined")])
def test_what_is_listed_is_not_lost(kind: str, where: str) -> None:
    listed = [Listed(kind=kind, text=f"echo: {B}")]
    ledger = {**GOOD.ledger, "uncertain": int(kind == "uncertain")}
    verdict = judge(replace(GOOD, shown=GOOD.shown[:2], listed=listed, ledger=ledger))
    assert verdict.wrong == {}
    assert getattr(verdict, where) == [B]


@pytest.mark.parametrize(
    "change",
    [{"difference": 1}, {"waiting": 2}, {"accepted": 2}, {"accepted": 4}, {"uncertain": 1}],
)
def test_a_ledger_that_does_not_agree_is_found(change: dict[str, int]) -> None:
    assert list(judge(replace(GOOD, ledger={**GOOD.ledger, **change})).wrong) == ["miscounted"]
