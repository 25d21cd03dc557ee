"""Message stanzas become `Inbound`s, on their XML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from adapters.xmpp.parse import Parsed, Self, archive_id, parse
from gateway.message import Account

ROOM = "talk@rooms.x"
ME = Self(
    account=Account(kind="xmpp"),
    jid="bot@x",
    nick="Bot",
    rooms=(ROOM,),
    file_hosts=("up.x", "up.x:8443"),
)


def parsed(inner: str, origin: str = "Ada@X/phone", kind: str = "chat") -> Parsed | None:
    text = f"<message xmlns='jabber:client' from='{origin}' type='{kind}' id='i1'>{inner}</message>"
    known = {"Ada": "ada@x/phone"}
    return parse(ElementTree.fromstring(text), ME, known, fresh="f", now=5.0)


def told(inner: str, origin: str = "Ada@X/phone", kind: str = "chat") -> Parsed:
    found = parsed(inner, origin, kind)
    assert found is not None
    return found


def test_a_direct_message() -> None:
    event = told(
        "<body>hi</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>"
    ).event
    assert (event.place.kind, event.place.chat) == ("direct", "ada@x")
    assert (event.sender.id, event.sender.grade) == ("ada@x", "verified")
    assert event.sent_at == 1767323045.0


def test_who_speaks_in_a_room() -> None:
    known = told("<body>Bot: hi</body>", f"{ROOM}/Ada", "groupchat").event
    assert (known.sender.id, known.sender.grade) == ("ada@x", "verified")
    assert (known.text, known.addressed) == ("hi", True)
    occupant = "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='o1'/>"
    hidden = told(f"<body>hi Bot</body>{occupant}", f"{ROOM}/Bob", "groupchat").event
    assert (hidden.sender.id, hidden.sender.grade) == (f"{ROOM}/o1", "unverified")
    assert not hidden.addressed
    assert told("<body>hi</body>", f"{ROOM}/Bob", "groupchat").event.sender.id == f"{ROOM}/Bob"


def test_a_message_is_the_same_in_a_rooms_archive_when_who_wrote_it_has_left() -> None:
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='i0'/>"
    for more in ("", replace):
        text = (
            f"<message xmlns='jabber:client' from='{ROOM}/Ada' type='groupchat' id='i1'>"
            f"<body>hi</body>{more}</message>"
        )
        found = [
            parse(ElementTree.fromstring(text), ME, there, fresh="f", now=5.0)
            for there in ({"Ada": "ada@x/phone"}, {})
        ]
        live, archived = (one.event for one in found if one is not None)
        assert (live.id, live.target) == (archived.id, archived.target)


def test_a_whisper_in_a_room_is_answered_to_the_occupant() -> None:
    event = told("<body>psst</body>", f"{ROOM}/Bob").event
    assert (event.place.kind, event.place.chat) == ("direct", f"{ROOM}/Bob")
    assert event.sender.grade == "unverified"


@pytest.mark.parametrize(
    ("inner", "origin", "kind"),
    [
        ("", "ada@x/p", "chat"),
        ("<body> </body>", "ada@x/p", "chat"),
        ("<body>x</body>", "ada@x/p", "error"),
        ("<body>x</body>", "ada@x/p", "headline"),
        ("<body>x</body>", "bot@x/other", "chat"),
        ("<body>x</body>", f"{ROOM}/Bot", "groupchat"),
        ("<body>x</body>", ROOM, "groupchat"),
        ("<body>x</body>", "elsewhere@rooms.x/Ada", "groupchat"),
        ("<body>x</body><received xmlns='urn:xmpp:carbons:2'/>", "ada@x/p", "chat"),
        (
            "<body>x</body><encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "ada@x/p",
            "chat",
        ),
    ],
)
def test_what_nobody_said_to_us_is_left_alone(inner: str, origin: str, kind: str) -> None:
    assert parsed(inner, origin, kind) is None


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        ("https://up.x/a/cat.png", True),
        ("https://UP.x:8443/a", True),
        ("http://up.x/a", False),
        ("https://evil.x/a", False),
        ("https://up.x:444/a", False),
        ("https://up.x@evil.x/a", False),
        ("https://evil.x/?https://up.x/", False),
        ("file:///etc/passwd", False),
        ("https://[broken", False),
    ],
)
def test_files_come_from_named_hosts_only(url: str, fetched: bool) -> None:
    found = told(f"<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>")
    assert (found.url == url, bool(found.event.attachments)) == (fetched, fetched)
    assert found.event.text == ("" if fetched else url)


def test_a_link_beside_other_words_is_text() -> None:
    found = told("<body>see</body><x xmlns='jabber:x:oob'><url>https://up.x/a</url></x>")
    assert (found.url, found.event.text) == ("", "see")


def test_a_correction_names_a_message_of_the_same_sender() -> None:
    replace = "<replace xmlns='urn:xmpp:message-correct:0' id='i0'/>"
    event = told(f"<body>better</body>{replace}").event
    assert (event.kind, event.target) == ("edit", "ada@x:i0")


def test_only_an_archives_own_id_counts() -> None:
    stanza = "<message xmlns='jabber:client'>{}</message>"
    ids = "<stanza-id xmlns='urn:xmpp:sid:0' by='{}' id='a1'/>"
    late = "<delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>"

    def of(inner: str) -> str:
        return archive_id(ElementTree.fromstring(stanza.format(inner)), "bot@x")

    assert of(ids.format("bot@x")) == "a1"
    assert of(ids.format("evil@x")) == ""
    assert of(ids.format("bot@x") + late) == ""
