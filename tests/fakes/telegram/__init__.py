"""A strict Bot API that records what a person would see. See `FakeTelegram`."""

from __future__ import annotations

from tests.fakes.telegram.client import FakeTelegram, RemoteTelegram
from tests.fakes.telegram.rates import Rates
from tests.fakes.telegram.world import TOKEN, Fault, Shown

__all__ = ["TOKEN", "FakeTelegram", "Fault", "Rates", "RemoteTelegram", "Shown"]
