from __future__ import annotations

from typing import Any

import pytest

from gateway.message import Inbound
from gateway.ports import LanePolicy, Session
from gateway.reading import Being, forget, note
from gateway.sessions.commands import MENU, Caller, Command, Commands, needs_owner, parse
from gateway.sessions.config import SessionConfig
from tests.fakes.clock import MovedClock
from tests.fakes.events import event
from tests.fakes.lanes import MemoryLanes
from tests.fakes.stores import MemoryRecords

WORDS = SessionConfig().stop_words
ROOM: dict[str, Any] = {"place": "group", "chat": "room"}


class Desk:
    """Commands with the stores they work on."""

    def __init__(self) -> None:
        self.clock = MovedClock()
        self.lanes = MemoryLanes()
        self.records = MemoryRecords(self.clock.now)
        self.owners: set[str] = set()
        self.speech = "request"
        self.commands = Commands(
            self.lanes,
            self.records,
            self.clock,
            models=lambda: ("home", "Cloud"),
            version="1.2.3",
            speech=lambda account: self.speech,
        )

    async def type(self, given: Inbound, owner_commands: tuple[str, ...] = ()) -> str:
        async def owns() -> bool:
            return given.sender.id in self.owners

        command = parse(given.text, WORDS)
        assert command is not None
        caller = Caller(event=given, policy=LanePolicy(), owner_commands=owner_commands, owns=owns)
        return (await self.commands.run(command, caller)).text


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/stop", Command("stop")),
        ("/STOP@my_bot", Command("stop")),
        ("  /stop  ", Command("stop")),
        ("stop", Command("stop")),
        ("Stop!", Command("stop")),
        ("please stop.", Command("stop")),
        ("/new", Command("new")),
        ("/reset", Command("new")),
        ("/new what is\ntea?", Command("new", "what is\ntea?")),
        ("/start", Command("help")),
        ("/start abc", Command("help", "abc")),
        ("/model  home ", Command("model", "home")),
        ("/queue each", Command("queue", "each")),
        ("/voice on", Command("voice", "on")),
        ("/tts off", Command("voice", "off")),
        ("stop the car", None),
        ("don't stop", None),
        ("", None),
        ("/", None),
        ("/etc/passwd", None),
        ("/unknown", None),
        ("/stopping", None),
        ("say /stop", None),
        ("//stop", None),
        ("/" + "a" * 100_000, None),
    ],
)
def test_commands_are_told_from_text_as_in_the_table(text: str, command: Command | None) -> None:
    assert parse(text, WORDS) == command


@pytest.mark.parametrize(
    ("text", "place", "extra", "needed"),
    [
        ("/model home", "direct", (), False),
        ("/model home", "group", (), True),
        ("/model home", "thread", (), True),
        ("/model", "group", (), False),
        ("/queue each", "group", (), True),
        ("/voice on", "group", (), True),
        ("/voice on", "direct", (), False),
        ("/tts", "group", (), False),
        ("/stop", "group", (), False),
        ("/new", "group", (), False),
        ("/model", "direct", ("model",), True),
        ("/new", "direct", ("new",), True),
    ],
)
def test_owners_are_needed_as_in_the_table(
    text: str, place: Any, extra: tuple[str, ...], needed: bool
) -> None:
    command = parse(text)
    assert command is not None
    assert needs_owner(command, place, extra) is needed


async def test_others_are_told_how_to_become_owner_and_nothing_changes(desk: Desk) -> None:
    text = await desk.type(event("1", "/model home", **ROOM))
    assert "`ada`" in text
    assert "owners" in text
    assert "pair approve" in text
    assert desk.lanes.calls["override"] == 0
    desk.owners.add("ada")
    assert "`home`" in await desk.type(event("2", "/model home", **ROOM))


async def test_the_model_is_pinned_whatever_the_case_and_unpinned_again(desk: Desk) -> None:
    here = event("1").conversation
    await desk.type(event("1", "/model cloud"))
    assert desk.lanes.sessions[here].overrides == {"model": "Cloud"}
    assert "`Cloud` answers here" in await desk.type(event("2", "/model"))
    await desk.type(event("3", "/model default"))
    assert desk.lanes.sessions[here].overrides == {}


async def test_an_unknown_model_is_not_pinned_and_the_known_ones_are_listed(desk: Desk) -> None:
    text = await desk.type(event("1", "/model gpt-9"))
    assert "`home`" in text
    assert "`Cloud`" in text
    assert desk.lanes.calls["override"] == 0


async def test_the_queue_mode_is_set_shown_and_reset(desk: Desk) -> None:
    assert "`collect`" in await desk.type(event("1", "/queue"))
    await desk.type(event("2", "/queue Interrupt"))
    assert "mode: `interrupt`" in await desk.type(event("3", "/queue"))
    assert "no such mode" in await desk.type(event("4", "/queue sideways"))
    await desk.type(event("5", "/queue default"))
    assert "mode: `collect`" in await desk.type(event("6", "/queue"))


async def test_voice_answers_are_chosen_shown_and_reset(desk: Desk) -> None:
    assert "answers: `off`" in await desk.type(event("1", "/voice"))
    await desk.type(event("2", "/voice On"))
    assert desk.lanes.sessions[event("1").conversation].overrides == {"voice": "on"}
    assert "answers: `on`" in await desk.type(event("3", "/tts"))
    await desk.type(event("4", "/voice mirror"))
    assert "answers: `mirror`" in await desk.type(event("5", "/voice"))
    assert "no such choice" in await desk.type(event("6", "/voice loud"))
    await desk.type(event("7", "/voice default"))
    desk.speech = "always"
    assert "answers: `on`" in await desk.type(event("8", "/voice"))


@pytest.mark.parametrize(("speech", "says"), [("", "cannot send voice"), ("off", "switched off")])
async def test_voice_says_where_there_is_none(desk: Desk, speech: str, says: str) -> None:
    desk.speech = speech
    assert says in await desk.type(event("1", "/voice"))
    assert says in await desk.type(event("2", "/voice on"))
    assert desk.lanes.calls["override"] == 0


async def test_status_says_what_is_being_read(desk: Desk) -> None:
    here, now = event("1").conversation, desk.clock.now()
    assert "Reading" not in await desk.type(event("1", "/status"))
    kinds = ("image", "voice", "image", "hologram")
    being = [Being(kind=kind, since=now - age) for age, kind in enumerate(kinds)]
    await note(desk.records, here, being)
    text = await desk.type(event("2", "/status"))
    assert "- Reading: 2 pictures, a voice message, a file (for 3 s)" in text
    await forget(desk.records, here)
    assert "Reading" not in await desk.type(event("3", "/status"))
    await desk.records.set("reading", here, b'{"of": "a newer gateway"}')
    assert "Reading" not in await desk.type(event("4", "/status"))


async def test_a_spoken_stop_does_not_stop_itself(desk: Desk) -> None:
    await desk.lanes.put(event("1"), LanePolicy())
    await desk.lanes.put(event("2", "stop"), LanePolicy())
    assert await desk.type(event("2", "stop")) == "Stopped."
    assert [one.native_id for one in desk.lanes.waiting[event("2").conversation]] == ["2"]


async def test_stop_says_how_much_it_stopped(desk: Desk) -> None:
    assert "nothing to stop" in await desk.type(event("0", "/stop"))
    for n in (1, 2):
        await desk.lanes.put(event(str(n)), LanePolicy())
    assert "2 messages" in await desk.type(event("3", "/stop"))


async def test_a_stop_delivered_again_later_spares_newer_messages(desk: Desk) -> None:
    first = await desk.type(event("1", "/stop"))
    await desk.lanes.put(event("2"), LanePolicy())
    assert await desk.type(event("1", "/stop")) == first
    assert len(desk.lanes.waiting[event("2").conversation]) == 1


async def test_a_choice_delivered_again_later_does_not_undo_a_newer_one(desk: Desk) -> None:
    await desk.type(event("1", "/model home"))
    await desk.type(event("2", "/model Cloud"))
    await desk.type(event("1", "/model home"))
    assert desk.lanes.sessions[event("1").conversation].overrides == {"model": "Cloud"}


async def test_a_new_conversation_ends_what_runs_and_forgets_what_was(desk: Desk) -> None:
    here = event("1").conversation
    await desk.lanes.put(event("1"), LanePolicy())
    desk.lanes.work(here)
    await desk.type(event("2", "/new"))
    assert not desk.lanes.running[here]
    assert desk.lanes.sessions[here].generation == 1


async def test_status_says_what_is_going_on(desk: Desk) -> None:
    here = event("1").conversation
    fresh = await desk.type(event("0", "/status"))
    assert "idle, messages not yet answered: 0" in fresh
    assert "no answer yet" in fresh
    await desk.lanes.put(event("1"), LanePolicy())
    desk.lanes.work(here)
    await desk.lanes.put(event("2"), LanePolicy())
    desk.lanes.sessions[here] = Session(
        active_at=desk.clock.now() - 7300, overrides={"model": "home", "queue": "each"}
    )
    text = await desk.type(event("3", "/status"))
    for piece in (
        "writing an answer, messages not yet answered: 2",
        "home",
        "each",
        "2 h ago",
        "1.2.3",
    ):
        assert piece in text


async def test_whoami_shows_ids_and_grade(desk: Desk) -> None:
    text = await desk.type(event("1", "/whoami", sender="42"))
    for piece in ("`42` (asserted)", "`chat:default`", "Owner: no"):
        assert piece in text


async def test_help_names_every_command(desk: Desk) -> None:
    text = await desk.type(event("1", "/help"))
    assert all(f"`/{name}`" in text for name, _ in MENU)
