"""S40: strings that broke somebody's program, from people and from models."""

from __future__ import annotations

from adapters.whatsapp.render import rendered, split
from tests.adapters.whatsapp.scene import ADA, Desk, part
from tests.fakes.web_corpora import naughty_strings
from tests.fakes.whatsapp import FakeWhatsApp


async def test_what_a_person_writes_arrives_as_it_is(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    texts = [text for text in naughty_strings() if text]
    messages = [whatsapp.message(ADA, text) for text in texts]
    whatsapp.post("lane", whatsapp.value(messages=messages, chat=ADA))
    await whatsapp.until(lambda: not whatsapp.pending)
    assert desk.inbox.texts == texts


async def test_what_a_model_writes_is_taken(desk: Desk, whatsapp: FakeWhatsApp) -> None:
    """By a fake that refuses what is empty or too long."""
    await desk.hears()
    texts = naughty_strings()[::4]
    for number, text in enumerate(texts):
        await desk.adapter.send(part(text, reply=f"r{number}"))
    assert len(whatsapp.seen(ADA)) == len(texts)


def test_no_text_is_lost() -> None:
    for text in naughty_strings():
        whole = "\n\n".join([text, "x" * 3_000, "the end"])
        parts = split(part(whole))
        assert sum(rendered(one.text).text.count("the end") for one in parts) >= 1
