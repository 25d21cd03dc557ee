"""What was written while no session held it for us: a channel's messages since the last one that
was taken in, by REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from adapters.discord.api import Api
from adapters.discord.native import is_snowflake
from gateway.errors import Failed

log = structlog.get_logger(__name__)

PAGE = 100
_AT_ONCE = 4
"""Channels that are asked about side by side."""


class Backfill:
    def __init__(self, api: Api, most: int, count: Callable[[str], None]) -> None:
        self._api = api
        self._most = most
        self._count = count
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def missed(self, channel: str, after: str) -> Sequence[dict[str, Any]]:
        """Messages behind that one, oldest first; of too many the newest. Raises `Retryable`, and
        `Failed` when the channel may not be read or is no more."""
        found: list[dict[str, Any]] = []
        before = ""
        async with self._room:
            while len(found) < self._most:
                page = await self._page(channel, before)
                fresh = [each for each in page if int(each["id"]) > int(after)]
                found += fresh
                if len(page) < PAGE or len(fresh) < len(page):
                    break
                before = page[-1]["id"]
        if len(found) >= self._most:
            self._count("backfill_capped")
            log.warning("backfill_capped", channel=channel, taken=self._most)
        if found:
            log.info("channel_backfilled", channel=channel, messages=len(found[: self._most]))
        return found[: self._most][::-1]

    async def _page(self, channel: str, before: str) -> list[dict[str, Any]]:
        answer = await self._api.call(
            "GET",
            "/channels/{channel_id}/messages",
            repeatable=True,
            query={"limit": str(PAGE)} | ({"before": before} if before else {}),
            channel_id=channel,
        )
        if not isinstance(answer, list):
            raise Failed("the history of a channel is not a list")
        known = [each for each in answer if isinstance(each, dict) and _has_id(each)]
        return sorted(known, key=lambda each: int(each["id"]), reverse=True)


def _has_id(raw: dict[str, Any]) -> bool:
    return isinstance(raw.get("id"), str) and is_snowflake(raw["id"])
