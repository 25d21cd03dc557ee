"""Who is called when an engine answers again."""

from __future__ import annotations

from gateway.message import ConversationId
from gateway.outages import Waiting

ADA, BOB, CYD = map(ConversationId, ("a", "b", "c"))


def test_two_are_called_by_each_answer_the_longest_waiting_first() -> None:
    waiting = Waiting()
    for conversation in (ADA, BOB, CYD):
        waiting.add(conversation)

    assert list(waiting.called()) == [ADA, BOB]
    assert list(waiting.called()) == [CYD]
    assert list(waiting.called()) == []


def test_who_was_called_in_vain_is_called_again_only_after_it_was_settled() -> None:
    """Otherwise the answers of all others would use up the attempts of one in trouble."""
    waiting = Waiting()
    waiting.add(ADA)
    assert list(waiting.called()) == [ADA]
    waiting.add(ADA)
    assert list(waiting.called()) == []
    waiting.forget(ADA)
    waiting.add(ADA)
    assert list(waiting.called()) == [ADA]
