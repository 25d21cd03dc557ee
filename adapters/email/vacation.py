"""While somebody is away: one fixed answer to each correspondent in a window (RFC 3834)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime

import structlog

from adapters.email.config import EmailConfig, Vacation
from adapters.email.post import Post
from adapters.email.reading import Mail
from gateway.errors import Failed, Retryable, Uncertain
from gateway.message import Account, Inbound, Outbound, reply_id
from gateway.ports import Clock, Keep, Services

log = structlog.get_logger(__name__)


TRIES = 10
"""How often the answer to one mail is tried: a server that never takes it holds up all others."""


class Away:
    def __init__(
        self, account: Account, config: EmailConfig, post: Post, services: Services
    ) -> None:
        self._account = account
        self._windows = config.vacation
        self._post = post
        self._keep: Keep = services.keep
        self._clock: Clock = services.clock
        self._count = services.count
        self._one_at_a_time = asyncio.Lock()
        """Two mails of one person may lie in two folders."""
        self._tried: OrderedDict[str, int] = OrderedDict()

    async def answered(self, event: Inbound, mail: Mail) -> bool:
        """Whether a window is open: then its answer is all that the mail gets, and a second mail
        of the same person gets nothing. Nobody unverified is written to.

        Raises `Retryable` when it could not be sent now.
        """
        window = self.open()
        if window is None:
            return False
        if event.sender.grade != "unverified":
            async with self._one_at_a_time:
                await self._tell(window, event)
        return True

    async def _tell(self, window: Vacation, event: Inbound) -> None:
        name = f"{window.from_}/{event.sender.id}"
        if await self._keep.get(f"away/{name}") is not None:
            return
        part = Outbound(
            reply=reply_id(f"{self._account.key}/{name}", "vacation"),
            conversation=event.conversation,
            account=self._account,
            place=event.place,
            kind="notice",
            text=window.text,
            reply_to=event.native_id,
            headers=event.headers,
        )
        try:
            if await self._post.find(part) is None:
                await self._post.send(part)
        except (Failed, Uncertain) as problem:
            log.warning("vacation_not_sent", reason=str(problem))
        except Retryable as later:
            if self._goes_on(event.id):
                raise
            log.warning("vacation_not_sent", reason=str(later))
            return  # the next mail of this person tries again
        else:
            self._count("vacation")
        await self._keep.set(f"away/{name}", b"1", ttl=_until(window, self._clock.now()))

    def _goes_on(self, mail: str) -> bool:
        """Whether to try once more."""
        tries = self._tried.pop(mail, 0) + 1
        if tries < TRIES:
            self._tried[mail] = tries
            if len(self._tried) > 100:
                self._tried.popitem(last=False)
        return tries < TRIES

    def open(self) -> Vacation | None:
        today = datetime.fromtimestamp(self._clock.now(), UTC).date()
        return next((one for one in self._windows if one.from_ <= today <= one.to), None)


def _until(window: Vacation, now: float) -> float:
    """Seconds until nobody asks for it any more."""
    end = datetime(window.to.year, window.to.month, window.to.day, tzinfo=UTC).timestamp()
    return max(end - now, 0.0) + 3 * 86_400.0
