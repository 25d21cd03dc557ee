"""People on XMPP."""

from tests.fakes.xmpp.person import XmppPerson

__all__ = ["XmppPerson"]
