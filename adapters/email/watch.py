"""One folder, watched: what is new is found by UID, whatever the server says or forgets to say."""

from __future__ import annotations

import random
from collections.abc import Sequence

import structlog

from adapters.email.config import EmailConfig
from adapters.email.door import Door
from adapters.email.errors import NoSuchFolder
from adapters.email.imap import BATCH, Found, Imap, Selected, day
from adapters.email.reception import Reception
from adapters.email.standing import DAY, Stand, Standing
from gateway.errors import BadConfig, Retryable
from gateway.ports import Services

log = structlog.get_logger(__name__)

_LONGEST = 60.0
"""Seconds between two tries at most."""
CUTS = 8
"""How often one mail may end the connection, where all before it was answered."""


class Watch:
    """Runs until cancelled. Raises `BadConfig` when we are not let in, or the folder is missing."""

    def __init__(
        self,
        folder: str,
        config: EmailConfig,
        door: Door,
        standing: Standing,
        reception: Reception,
        services: Services,
    ) -> None:
        self._folder = folder
        self._config = config
        self._door = door
        self._standing = standing
        self._reception = reception
        self._clock = services.clock
        self._count = services.count
        self._connections = 0
        self._reachable = True
        self._held = False
        self._wait = 0.5
        self._cut_at = (0, 0)
        """The mail that ended the connection, and how often in a row."""

    async def run(self) -> None:
        while True:
            try:
                await self._connected()
            except Retryable as problem:
                self._note(reachable=False, reason=str(problem))
                pause = max(problem.after or 0.0, self._wait * random.uniform(0.7, 1.0))
                await self._clock.sleep(pause)
                self._wait = min(self._wait * 2, _LONGEST)

    async def _connected(self) -> None:
        """One connection, to its end."""
        imap = await self._door.imap()
        try:
            selected = await self._select(imap)
            stand = await self._found_place(imap, selected)
            self._connections += 1
            if self._connections > 1:
                self._count("reconnected")
            self._note(reachable=True)
            while True:
                stand = await self._catch_up(imap, selected, stand)
                self._wait = 0.5
                await self._until_news(imap)
        finally:
            await imap.close()

    async def _select(self, imap: Imap) -> Selected:
        try:
            return await imap.select(self._folder)
        except NoSuchFolder as missing:
            raise BadConfig(
                "adapters.email.mailboxes", str(missing), "create it, or take it from the list"
            ) from missing

    async def _found_place(self, imap: Imap, selected: Selected) -> Stand:
        """Where to go on: where we stood, or after a look back where that means nothing now."""
        stand = await self._standing.stand(self._folder)
        newest = selected.next_uid - 1
        if newest < 0:
            newest = max(await imap.search("ALL"), default=0)
        if stand is None:
            return await self._begin(imap, selected, newest)
        if stand.validity == selected.validity and stand.uid <= newest:
            return stand
        return await self._look_back(imap, selected, stand, newest)

    async def _begin(self, imap: Imap, selected: Selected, newest: int) -> Stand:
        """The very first time: what lies there is nobody's question to us, unless the settings say
        so."""
        now, backlog = self._clock.now(), self._config.backlog
        waiting: Sequence[int] = []
        if backlog:
            waiting = await imap.search("UNSEEN", "SINCE", day(now - backlog - DAY))
        log.info(
            "mailbox_baseline",
            folder=self._folder,
            uid=newest,
            validity=selected.validity,
            answered_since=backlog,
            waiting=len(waiting),
        )
        lie_there = await imap.search("UID", f"1:{newest}") if newest else []
        before = max([one.at for one in await imap.about(lie_there[-BATCH:])], default=0.0)
        await self._take_all(imap, selected, waiting, after=now - backlog)
        stand = Stand(validity=selected.validity, uid=newest, since=before)
        await self._standing.moved_to(self._folder, stand)
        return stand

    async def _look_back(self, imap: Imap, selected: Selected, stand: Stand, newest: int) -> Stand:
        """The server numbers its mails anew: UIDs say nothing, mails are known by what they are."""
        since = max(stand.since, self._clock.now() - self._config.rescan)
        found = await imap.search("SINCE", day(since - DAY))
        self._count("renumbered")
        log.warning(
            "mailbox_renumbered",
            folder=self._folder,
            validity=selected.validity,
            before=stand.validity,
            looked_at=len(found),
        )
        await self._take_all(imap, selected, found, after=since)
        moved = Stand(validity=selected.validity, uid=newest, since=stand.since)
        await self._standing.moved_to(self._folder, moved)
        return moved

    async def _take_all(
        self, imap: Imap, selected: Selected, uids: Sequence[int], *, after: float
    ) -> None:
        for start in range(0, len(uids), BATCH):
            for found in await imap.about(uids[start : start + BATCH]):
                if not found.at or found.at > after:
                    await self._take(imap, selected, found)

    async def _catch_up(self, imap: Imap, selected: Selected, stand: Stand) -> Stand:
        while uids := await imap.above(stand.uid):
            batch = uids[:BATCH]
            for found in await imap.about(batch):
                await self._take(imap, selected, found)
                stand = Stand(validity=stand.validity, uid=found.uid, since=stand.since)
                await self._standing.moved_to(self._folder, stand)
            if batch[-1] > stand.uid:  # the last ones vanished meanwhile
                stand = Stand(validity=stand.validity, uid=batch[-1], since=stand.since)
        return stand

    async def _take(self, imap: Imap, selected: Selected, found: Found) -> None:
        """Until it is dealt with: nothing behind it is looked at before."""
        wait = 0.5
        if self._cut_at == (found.uid, CUTS):
            self._cut_at = (0, 0)
            log.error("mail_cuts_the_connection", folder=self._folder, uid=found.uid, tries=CUTS)
            self._count("unreadable")
            return
        while True:
            try:
                await self._reception.take(imap, selected, found)
            except Retryable as later:
                if imap.failed:
                    uid, times = self._cut_at
                    self._cut_at = (found.uid, times + 1 if uid == found.uid else 1)
                if imap.broken:
                    raise
                if not self._held:
                    log.warning("mails_wait", folder=self._folder, reason=str(later))
                self._held = True
                pause = max(later.after or 0.0, wait * random.uniform(0.7, 1.0))
                await self._clock.sleep(pause)
                wait = min(wait * 2, _LONGEST)
            else:
                self._held = False
                self._cut_at = (0, 0)
                return

    async def _until_news(self, imap: Imap) -> None:
        if imap.news:
            return
        if imap.can("IDLE"):
            await imap.idle(self._config.imap.idle)
        else:
            await self._clock.sleep(self._config.imap.poll)
            await imap.noop()

    def _note(self, *, reachable: bool, reason: str = "") -> None:
        """Availability is logged when it changes."""
        if reachable and not self._reachable:
            log.info("mailbox_reachable", folder=self._folder)
        elif not reachable and self._reachable:
            log.warning("mailbox_not_reachable", folder=self._folder, reason=reason)
        self._reachable = reachable
