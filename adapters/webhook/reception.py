"""What is done with one post whose signature is right: read, mapped, handed in, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
import structlog

from adapters.webhook.config import WebhookConfig
from adapters.webhook.mapping import Unmappable
from adapters.webhook.parse import Ids, Parsed, generic, mapped
from adapters.webhook.presets import settled
from adapters.webhook.seen import Memory, Seen, digest
from adapters.webhook.strict import Unreadable, read
from gateway.errors import GatewayError, Retryable
from gateway.files import Files
from gateway.message import Account, Inbound
from gateway.ports import Inbox, Services, WebhookAnswer

log = structlog.get_logger(__name__)

_DAYS = 8 * 86400.0
_HOUR = 3600.0
_CHUNK = 65536
_AT_ONCE = 65536
"""Bytes of a body that are read on the loop; a large one would hold it for half a second."""
_FILE_SECONDS = 30.0
_WORDS = {"stored": "accepted", "duplicate": "accepted", "answered": "accepted",
          "changed": "accepted"}  # fmt: skip
"""A repeated post is told the same as the first, so it must not matter which of these it was."""


class Reception:
    """Takes posts in, in every process."""

    def __init__(
        self, account: Account, config: WebhookConfig, inbox: Inbox, services: Services
    ) -> None:
        self._account = account
        self._config = config
        self._inbox = inbox
        self._clock = services.clock
        self._count = services.count
        self._map = None if config.preset == "generic" else settled(config.preset, config.map)
        self._files = Files(
            services.blobs, "the program", limit=config.max_body, timeout=_FILE_SECONDS
        )
        self._standard = config.real_scheme == "standard"
        usual = _HOUR if config.real_scheme == "bearer" else _DAYS
        self._memory = Memory(services.keep, services.clock, ttl=config.remember or usual)

    async def take(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """200 with what came of it, also when it came before; 4xx with words for the sender."""
        try:
            payload = read(body) if len(body) <= _AT_ONCE else await asyncio.to_thread(read, body)
        except Unreadable as problem:
            self._count("unreadable")
            return _no(400, str(problem))
        fingerprint = digest(body)
        name = f"id {headers['webhook-id']}" if self._standard else f"body {fingerprint}"
        try:
            seen = await self._memory.begin(name, fingerprint)
            if seen.body != fingerprint:
                return _no(409, "this webhook-id came before, with another body")
            if seen.outcome:
                self._count("replayed")
                return _yes({"outcome": seen.outcome, "reason": seen.reason})
            said = await self._said(self._parsed(payload, headers, seen))
            await self._memory.end(name, seen, said)
        except Unmappable as problem:
            self._count("unmapped")
            log.warning("payload_not_mapped", account=self._account.key, reason=str(problem))
            return _no(422, str(problem))
        except Retryable as later:
            log.warning("post_not_taken", account=self._account.key, reason=str(later))
            return _no(503, "it could not be stored; please try again")
        return _yes(said)

    def _parsed(self, payload: object, headers: Mapping[str, str], seen: Seen) -> Parsed | None:
        def ids(own: str) -> Ids:
            if own:
                return Ids(message=own, unique=own)
            if self._standard:
                return Ids(message=headers["webhook-id"], unique=headers["webhook-id"])
            # The same bytes may be posted again on purpose, once the first are forgotten.
            return Ids(message=seen.body, unique=f"{seen.body}.{seen.at:.3f}")

        if self._map is None:
            return generic(payload, self._account, ids)
        return mapped(
            payload,
            self._account,
            self._map,
            ids,
            commands=self._config.real_commands,
            notice=lambda: self._count("path_failed"),
        )

    async def _said(self, parsed: Parsed | None) -> dict[str, str]:
        if parsed is None:
            return {"outcome": "ignored", "reason": "map"}
        event = msgspec.structs.replace(parsed.event, received_at=self._clock.now())
        arrival = _Arrival(parsed.files, self._files)
        try:
            accepted = await self._inbox.accept(event, arrival.fetch if parsed.files else None)
        except Retryable:
            raise
        except GatewayError as problem:
            log.error("event_rejected", message_id=event.id, reason=str(problem))
            return {"outcome": "refused", "reason": "rejected"}
        outcome = _WORDS.get(accepted.outcome, accepted.outcome)
        return {"outcome": outcome, "reason": accepted.reason if outcome != "accepted" else ""}


class _Arrival:
    def __init__(self, contents: Sequence[bytes], files: Files) -> None:
        self._contents = contents
        self._files = files

    async def fetch(self, event: Inbound) -> Inbound:
        pairs = zip(event.attachments, self._contents, strict=True)
        kept = await asyncio.gather(
            *(self._files.fetch(one, _chunks(content)) for one, content in pairs)
        )
        return msgspec.structs.replace(event, attachments=tuple(kept))


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]


def _yes(said: Mapping[str, str]) -> WebhookAnswer:
    shown = {name: value for name, value in said.items() if value}
    return WebhookAnswer(status=200, body=msgspec.json.encode(shown))


def _no(status: int, words: str) -> WebhookAnswer:
    return WebhookAnswer(status=status, body=msgspec.json.encode({"error": words}))
