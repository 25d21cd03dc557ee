"""A strict Cloud API that records what a person would see. See `FakeWhatsApp`."""

from __future__ import annotations

from tests.fakes.whatsapp.server import FakeWhatsApp
from tests.fakes.whatsapp.world import APP_SECRET, NUMBER, TOKEN, VERIFY, Call, Fault, Shown

__all__ = ["APP_SECRET", "NUMBER", "TOKEN", "VERIFY", "Call", "FakeWhatsApp", "Fault", "Shown"]
