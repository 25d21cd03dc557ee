"""E-mail for the adapters' contract: a person's mailbox and ours, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.email.adapter import EmailAdapter
from adapters.email.config import EmailConfig
from adapters.email.subjects import conversation
from gateway.message import Place, Sender
from tests.adapters.email.scene import ACCOUNT, Desk, Person, plain, settings
from tests.contracts.platform import Platform
from tests.servers.mail import Missing, shared

FIRST = "<first@people.test>"


async def platform() -> AsyncIterator[Platform]:
    try:
        server = shared()
    except Missing as missing:
        pytest.fail(str(missing))
    desk, person = Desk(server, server.person()), Person(server, server.person())
    # Scenes write at once, perhaps before the mailbox is looked into for the first time.
    config = EmailConfig(**settings(server, desk.address, backlog="1h"))
    adapter = EmailAdapter(ACCOUNT, config, desk.services())
    place = Place(kind="direct", chat=person.address, thread=conversation(FIRST, ""))

    async def texts() -> list[str]:
        return [plain(mail) for mail in await person.inbox()]

    yield Platform(
        adapter,
        place,
        Sender(id=person.address),
        lambda text: person.writes(desk.address, text, message_id=FIRST),
        texts,
        headers=lambda: {"To": person.address, "Root": FIRST, "Message-ID": FIRST},
    )
    await adapter.close()
