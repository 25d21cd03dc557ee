"""One connection to a server through slixmpp: signed in, sends confirmed, errors translated.

Servers work through a stream in order. A ping follows each message: its answer says that the
message before it was taken, and an error for the message comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from collections.abc import Callable as Handler
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element

import structlog
from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.stanza import Message
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.xmlstream import NotConnectedError

from adapters.xmpp.config import XmppConfig
from adapters.xmpp.parse import CLIENT, FORWARD, MAM, SID, bare
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

log = structlog.get_logger(__name__)

PLUGINS = (
    "xep_0030 xep_0045 xep_0059 xep_0066 xep_0085 xep_0198 xep_0199 xep_0203 xep_0308 xep_0313 "
    "xep_0359 xep_0363"
).split()
CONNECT_SECONDS = 30.0
PAGE = 50
_WAIT = ("resource-constraint", "policy-violation")


class Session:
    def __init__(self, to: XmppConfig, heard: Handler[[Element], None]) -> None:
        self._to = to
        self._heard = heard
        plugins: dict[str, Any] = {"xep_0198": {"allow_resume": False}}
        jid = f"{to.jid}/{to.resource}"
        self.client = ClientXMPP(jid, to.password.get_secret_value(), plugin_config=plugins)
        for plugin in PLUGINS:
            self.client.register_plugin(plugin)
        self.client.ssl_context = ssl.create_default_context(cafile=to.ca_file)
        if to.server:
            self.client.enable_direct_tls = to.tls == "direct"
            self.client.enable_starttls = to.tls == "starttls"
        self.client.enable_plaintext = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reason = "no answer"
        self._asked: dict[str, asyncio.Future[None]] = {}
        """Messages under way, by their id."""
        self._pages: dict[str, tuple[str, list[tuple[str, str, Element]]]] = {}
        """Of archives that are asked, by the question: whose, and what it said so far."""
        for event, handle in (
            ("session_start", self._on_start),
            ("failed_all_auth", self._on_refused),
            ("connection_failed", self._on_failure),
            ("reconnect_delay", self._on_given_up),
            ("ssl_invalid_chain", self._on_failure),
            ("disconnected", self._on_end),
            ("stream_error", self._on_stream_error),
        ):
            self.client.add_event_handler(event, handle)
        # The library's own events leave out messages without a body, and tell some twice.
        every = Callback("every message", MatchXPath(f"{CLIENT}message"), self._on_message)
        self.client.register_handler(every)

    async def open(self) -> None:
        """Connected and signed in; nobody sees us yet. `BadConfig` where we are refused."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                self.client.connect(*((self._to.server, self._to.port) if self._to.server else ()))
                await self._started
        except TimeoutError:
            raise Unavailable(f"the server cannot be reached: {self._reason}") from None

    async def close(self) -> None:
        client = self.client
        client.cancel_connection_attempt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await client.disconnect(wait=1.0, ignore_send_queue=True)
        client.abort()
        if client._run_out_filters is not None:
            client._run_out_filters.cancel()
            await asyncio.wait([client._run_out_filters])
        if not self.ended.done():
            self._on_end("closed")

    def show(self) -> None:
        """From now on people see us, and the server hands over what it kept."""
        self.client.send_presence()

    async def join(self, room: str, nick: str) -> None:
        muc = self.client.plugin["xep_0045"]
        try:
            await muc.join_muc_wait(JID(room), nick, maxstanzas=0, timeout=self._to.patience)
        except Exception as refused:  # noqa: BLE001 - one room must not keep us from the others
            log.warning("xmpp_room_not_joined", room=room, reason=str(refused) or "no answer")

    def occupants(self, room: str) -> dict[str, str]:
        """Real addresses by nick, where the room shows them."""
        muc = self.client.plugin["xep_0045"]
        try:
            nicks = muc.get_roster(JID(room)) or []
        except ValueError:
            return {}
        found = {nick: muc.get_jid_property(JID(room), nick, "jid") for nick in nicks}
        return {nick: str(jid) for nick, jid in found.items() if jid}

    async def say(self, message: Message) -> None:
        """Return when the server has taken it."""
        if self.ended.done():
            raise Unavailable("not connected")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked[message["id"]] = answer
        try:
            message.send()
            await self._confirmed(answer)
        finally:
            del self._asked[message["id"]]

    def hint(self, message: Message) -> None:
        """Said without asking what became of it."""
        if not self.ended.done():
            message.send()

    async def alive(self) -> None:
        """`Unavailable` when the server does not answer."""
        with contextlib.suppress(Failed):  # an answer all the same
            await self.ask(self._ping())

    async def ask(self, iq: Any) -> Any:
        """An answer; asking changes nothing."""
        if self.ended.done():
            raise Unavailable("not connected")
        waiting = asyncio.ensure_future(iq.send(timeout=self._to.patience))
        await asyncio.wait([waiting, self.ended], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            raise Unavailable(self._reason)
        try:
            return waiting.result()
        except IqTimeout:
            raise Unavailable("the server does not answer") from None
        except IqError as refused:
            raise Failed(f"{refused.condition}: {refused.text}") from refused
        except NotConnectedError:
            raise Unavailable("not connected") from None

    async def page(
        self, room: str = "", *, after: str = "", before: str | None = None,
        person: str = "", start: float = 0.0, most: int = PAGE,
    ) -> tuple[list[tuple[str, str, Element]], bool]:  # fmt: skip
        """Id, time and message of one page of an archive, oldest first, and whether it was the
        last. `Failed` where there is no archive."""
        iq = self.client.make_iq_set(ito=JID(room) if room else None)
        iq["mam"]["queryid"] = query = iq["id"]
        if person:
            iq["mam"]["with"] = JID(person)
        if start:
            iq["mam"]["start"] = datetime.fromtimestamp(start, UTC)
        iq["mam"]["rsm"]["max"] = str(most)
        if after:
            iq["mam"]["rsm"]["after"] = after
        if before is not None:
            iq["mam"]["rsm"]["before"] = before or True  # True: the end
        found: list[tuple[str, str, Element]] = []
        self._pages[query] = (room or self._to.jid, found)
        try:
            answer = await self.ask(iq)
        finally:
            del self._pages[query]
        fin = answer.xml.find(f"{MAM}fin")
        return found, fin is None or fin.get("complete") == "true"

    async def archive(
        self, room: str, after: str, start: float = 0.0
    ) -> AsyncGenerator[tuple[str, str, Element], None]:
        """Everything that an archive holds behind an id, or from a time on, oldest first."""
        last = False
        while not last:
            found, last = await self.page(room, after=after, start=start)
            for each in found:
                yield each
            if not found:
                return
            after = found[-1][0]

    def _ping(self) -> Any:
        iq = self.client.make_iq_get(ito=JID(JID(self._to.jid).domain))
        iq.enable("ping")
        return iq

    async def _confirmed(self, answer: asyncio.Future[None]) -> None:
        ping = asyncio.ensure_future(self._ping().send(timeout=self._to.patience))
        try:
            await asyncio.wait([ping, answer, self.ended], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            if not ping.done():
                raise Uncertain(f"cut before the server confirmed: {self._reason}")
            try:
                ping.result()
            except IqError:
                return None  # an answer all the same
            except (IqTimeout, NotConnectedError):
                self.client.abort()
                raise Uncertain("the server did not confirm it in time") from None
        finally:
            ping.cancel()
            await asyncio.wait([ping])

    # --- what slixmpp tells -----------------------------------------------------------------

    def _on_start(self, event: Any) -> None:
        if not self._started.done():
            self._started.set_result(None)

    def _give_up(self, problem: GatewayError) -> None:
        if not self._started.done():
            self._started.set_exception(problem)

    def _on_refused(self, event: Any) -> None:
        self._give_up(
            BadConfig(
                "adapters.xmpp.password",
                f"{JID(self._to.jid).domain} does not let {self._to.jid} in",
                "try jid and password in a client",
            )
        )

    def _on_failure(self, event: Any) -> None:
        self._reason = " ".join(str(event).split())[:200]
        if isinstance(event, ssl.SSLCertVerificationError):
            where, why = "adapters.xmpp.ca_file", f"the certificate does not hold: {event.reason}"
            self._give_up(BadConfig(where, why, f"it must be good for {JID(self._to.jid).domain}"))

    def _on_given_up(self, event: Any) -> None:
        self._give_up(Unavailable(f"the server cannot be reached: {self._reason}"))

    def _on_end(self, event: Any) -> None:
        self._on_failure(event or "the server closed the connection")
        self._give_up(Unavailable(self._reason))
        if not self.ended.done():
            self.ended.set_result(None)

    def _on_stream_error(self, event: Any) -> None:
        self._reason = f"the server ended the stream: {event['condition']}"

    def _on_error(self, message: StanzaBase) -> None:
        answer = self._asked.get(message["id"])
        reason = f"{message['error']['condition']}: {message['error']['text']}"
        if answer is None or answer.done():
            log.warning("xmpp_message_bounced", id=message["id"], reason=reason)
        elif message["error"]["type"] == "wait" or message["error"]["condition"] in _WAIT:
            answer.set_exception(Busy(reason, after=30.0))
        else:
            answer.set_exception(Failed(reason))

    def _on_message(self, message: StanzaBase) -> None:
        if message["type"] == "error":
            self._on_error(message)
            return
        result = message.xml.find(f"{MAM}result")
        if result is None:
            self._heard(message.xml)
            return
        asked = self._pages.get(result.get("queryid", ""))
        if asked is None:
            return
        owner, found = asked
        # Nobody but the archive itself says what it holds.
        if bare(message.xml.get("from", owner)) == owner:
            stamp = result.find(f"{FORWARD}forwarded/{{urn:xmpp:delay}}delay")
            said = result.find(f"{FORWARD}forwarded/{CLIENT}message")
            if said is not None:
                when = stamp.get("stamp", "") if stamp is not None else ""
                found.append((result.get("id", ""), when, said))


def named(message: Message, key: str) -> Message:
    """The message with an id of ours, in both places where others look for it."""
    message["id"] = key
    message["origin_id"]["id"] = key
    return message


def is_named(message: Element, key: str) -> bool:
    origin = message.find(f"{SID}origin-id")
    return key in (message.get("id"), origin.get("id") if origin is not None else None)
