"""S40: strings that broke somebody's program, in every field that a program fills, both ways."""

from __future__ import annotations

import json

import pytest

from adapters.webhook.adapter import WebhookAdapter
from tests.adapters.webhook.scene import ACCOUNT, SECRET, config, part, post, running, said
from tests.fakes.inbox import MemoryInbox
from tests.fakes.receiver import Receiver
from tests.fakes.services import services
from tests.fakes.web_corpora import naughty_strings


@pytest.mark.parametrize("field", ["text", "conversation", "sender", "id", "name", "reply_to"])
async def test_a_naughty_string_in_a_field_is_taken_or_refused_with_words(field: str) -> None:
    adapter, inbox = WebhookAdapter(ACCOUNT, config(), services(ACCOUNT)), MemoryInbox()
    async with running(adapter, inbox):
        for text in naughty_strings():
            base = {"conversation": "c1", "sender": "ada", "text": "hello"}
            answer = await post(adapter, json.dumps({**base, field: text}).encode())
            assert answer.status in (200, 400, 422), text
            assert answer.status == 200 or said(answer)["error"].isprintable()
    for event in inbox.events:
        assert event.conversation.startswith("main/webhook/desk/direct/")
        assert event.sender.id.startswith("webhook:desk:")
        assert "/" not in event.id.removeprefix("webhook:desk/").split("/", 2)[1]


async def test_a_naughty_string_is_posted_as_it_is() -> None:
    async with Receiver(SECRET) as receiver:
        adapter = WebhookAdapter(ACCOUNT, config(receiver.url), services(ACCOUNT))
        for number, text in enumerate(naughty_strings()):
            await adapter.send(part(text, reply=f"r{number}"))
        await adapter.close()
        shown = receiver.shown()
    assert len(shown) == len(naughty_strings())
    assert not any("<script" in one["html"].lower() for one in shown)
