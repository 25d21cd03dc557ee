from __future__ import annotations

import pytest

from tests.adapters.email.scene import Desk, Person
from tests.fakes.inbox import MemoryInbox
from tests.servers.mail import MailServer, Missing, shared


@pytest.fixture
def mail_server() -> MailServer:
    try:
        return shared()
    except Missing as missing:
        pytest.fail(str(missing))


@pytest.fixture
def ada(mail_server: MailServer) -> Person:
    return Person(mail_server, mail_server.person(), "Ada")


@pytest.fixture
def bob(mail_server: MailServer) -> Person:
    return Person(mail_server, mail_server.person(), "Bob")


@pytest.fixture
def desk(mail_server: MailServer) -> Desk:
    return Desk(mail_server, mail_server.person())


@pytest.fixture
def inbox() -> MemoryInbox:
    return MemoryInbox()
