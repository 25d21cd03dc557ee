"""People on IRC, and a server that can what the real one of these tests cannot."""

from tests.fakes.irc.person import IrcPerson
from tests.fakes.irc.server import FakeIrc

__all__ = ["FakeIrc", "IrcPerson"]
