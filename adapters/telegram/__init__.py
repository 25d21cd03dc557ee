"""Telegram: the Bot API, by long polling or webhook."""

from __future__ import annotations

from adapters import AdapterSpec
from adapters.telegram.capabilities import CAPABILITIES
from adapters.telegram.config import TelegramConfig

SPEC = AdapterSpec(
    kind="telegram",
    title="Telegram",
    config=TelegramConfig,
    capabilities=CAPABILITIES,
    factory="adapters.telegram.adapter:TelegramAdapter",
    split="adapters.telegram.split:split",
    extra="telegram",
)
