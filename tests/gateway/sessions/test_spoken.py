"""Commands people say, as recognisers write them down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sessions.commands import Command
from gateway.sessions.config import SessionConfig
from gateway.sessions.spoken import meant, spoken

WORDS = SessionConfig().stop_words


@pytest.mark.parametrize(
    ("said", "command"),
    [
        ("stop", Command("stop")),
        ("Stop.", Command("stop")),
        ("Stop!", Command("stop")),
        ("Please, stop.", Command("stop")),
        ("please stop", Command("stop")),
        ("abort", Command("stop")),
        ("slash stop", Command("stop")),
        ("Slash, stop.", Command("stop")),
        ("forward slash stop", Command("stop")),
        ("/stop", Command("stop")),
        ("command stop", Command("stop")),
        ("Command: status.", Command("status")),
        ("slash new", Command("new")),
        ("Slash new. What is tea?", Command("new", "What is tea?")),
        ("command reset", Command("new")),
        ("slash help", Command("help")),
        ("slash commands", Command("help")),
        ("slash model home", Command("model", "home")),
        ("Slash model, home.", Command("model", "home")),
        ("slash queue interrupt", Command("queue", "interrupt")),
        ("slash voice on", Command("voice", "on")),
        ("slash T.T.S. off.", Command("voice", "off")),
        ("slash tts mirror", Command("voice", "mirror")),
        ("Slash who am I?", Command("whoami")),
        ("slash whoami", Command("whoami")),
        ("Molly, stop.", Command("stop")),
        ("molly slash new", Command("new")),
        ("hey molly slash status", Command("status")),
        ("stop the car", None),
        ("I said stop", None),
        ("commander stop", None),
        ("command and conquer is a game", None),
        ("slash status is what I typed", None),
        ("command help me with this", None),
        ("slash and burn", None),
        ("backslash stop", None),
        ("slash", None),
        ("command", None),
        ("the slash new road", None),
        ("mollys stop", None),
        ("Molly, what does stop mean?", None),
        ("", None),
        ("...", None),
    ],
)
def test_spoken_commands_are_told_from_questions_as_in_the_table(
    said: str, command: Command | None
) -> None:
    assert spoken(said, WORDS, ("hey molly", "Molly")) == command


@given(st.text(max_size=200))
def test_nothing_breaks_it(said: str) -> None:
    spoken(said, WORDS, ("Molly", "("))
    spoken(f"slash {said}", WORDS)


@pytest.mark.parametrize(
    ("said", "names", "ours"),
    [
        ("Molly, what is tea?", ("molly",), True),
        ("what is tea, MOLLY", ("molly",), True),
        ("what is mollycoddling?", ("molly",), False),
        ("hey you", ("molly", "hey you"), True),
        ("anything", (), False),
        ("", ("molly",), False),
    ],
)
def test_who_is_named_is_meant(said: str, names: tuple[str, ...], ours: bool) -> None:
    assert meant(said, names) is ours
