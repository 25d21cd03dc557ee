"""One connection to a server: signed in, its pings answered, messages confirmed.

IRC says nothing about a message that arrived. Where the server sends our own messages back
(`echo-message`), that is the confirmation; in any case a PING follows each message, and servers
work through a connection's lines in order: its PONG says that everything before it was taken, and
a refusal comes before it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import ssl
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import structlog

from adapters.irc.config import IrcConfig
from adapters.irc.wire import USER, Line, folded, read, write
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

log = structlog.get_logger(__name__)

WANTED = frozenset(
    "account-tag echo-message labeled-response batch message-tags sasl server-time".split()
)
CONNECT_SECONDS = 30.0
LONGEST_LINE = 16_384
"""Bytes, tags included. What is longer is no IRC and is thrown away."""
TRY_LATER = {"263", "439", "707"}
REFUSALS = TRY_LATER | {"FAIL", *map(str, range(400, 600))}
_TAKEN = {"433", "436", "437"}
_SASL_REFUSED = {"902", "904", "905", "906", "907", "908"}


@dataclass
class _Asked:
    """A message under way."""

    target: str
    echoes: int
    """Lines of it that did not come back yet."""
    token: str = field(default_factory=lambda: secrets.token_hex(6))
    answer: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, outcome: str | GatewayError) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, str):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class Link:
    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], to: IrcConfig):
        self._reader, self._writer = streams
        self._to = to
        self.nick = to.nick
        self.caps: set[str] = set()
        self._lines = self._read()
        self._early: list[Line] = []
        """What people said before the server had ended its greeting."""
        self._turn = asyncio.Lock()
        self._asked: _Asked | None = None
        self._over = False
        """Nobody listens any more to what the server says."""
        self._last_words = "the server closed the connection"

    @classmethod
    async def open(cls, to: IrcConfig) -> Link:
        """Connected and signed in. `BadConfig` where the server does not want us."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                context = ssl.create_default_context(cafile=to.ca_file) if to.tls else None
                streams = await asyncio.open_connection(to.server, to.port, ssl=context)
                link = cls(streams, to)
                try:
                    await link._sign_in()
                except BaseException:
                    await link.close()
                    raise
        except ssl.SSLCertVerificationError as refused:
            where, why = "adapters.irc.ca_file", f"the certificate does not hold: {refused.reason}"
            raise BadConfig(where, why, "name the certificate of its issuer") from refused
        except (OSError, TimeoutError) as problem:
            reason = str(problem) or "timeout"
            raise Unavailable(f"{to.server} cannot be reached: {reason}") from problem
        return link

    async def heard(self) -> AsyncGenerator[Line, None]:
        """Messages of others, until the connection ends with `Unavailable`."""
        for line in self._early:
            yield line
        try:
            async for line in self._lines:
                if line.command == "PONG" and self._asked and line.param(-1) == self._asked.token:
                    self._asked.settle("")
                elif line.command == "PRIVMSG" and folded(line.nick) == folded(self.nick):
                    self._echoed(line)
                elif line.command == "PRIVMSG":
                    yield line
                elif line.command == "NICK" and folded(line.nick) == folded(self.nick):
                    self.nick = line.param(0)
                elif line.command in REFUSALS:
                    self._refused(line)
                elif line.command == "KICK" and folded(line.param(1)) == folded(self.nick):
                    log.warning("irc_kicked", channel=line.param(0))
        finally:
            self._over = True
            if self._asked is not None:
                self._asked.settle(Uncertain("the connection was cut before the server confirmed"))

    async def say(self, target: str, texts: Sequence[str]) -> str:
        """All lines, one after the other; the last one's id where the server gives ids."""
        async with self._turn:
            asked = _Asked(target=folded(target), echoes=len(texts))
            label = f"{asked.token}." if "labeled-response" in self.caps else ""
            said = [
                write("PRIVMSG", target, text, label=label and f"{label}{number}")
                for number, text in enumerate(texts)
            ]
            if self._over or self._writer.is_closing():
                raise Unavailable("not connected")
            self._asked = asked
            try:
                self._writer.writelines([*said, write("PING", asked.token)])
                async with asyncio.timeout(self._to.patience):
                    await self._writer.drain()
                    return await asked.answer
            except (TimeoutError, OSError) as cut:
                self._writer.transport.abort()  # what it may still say is of no use
                raise Uncertain(f"no confirmation: {str(cut) or 'timeout'}") from cut
            finally:
                self._asked = None

    async def close(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                self._writer.write(write("QUIT", "bye"))
                self._writer.close()
                await self._writer.wait_closed()
        self._writer.transport.abort()
        await self._lines.aclose()

    @property
    def _wants_sasl(self) -> bool:
        return self._to.password is not None and self._to.login == "sasl"

    def _write(self, command: str, *params: str) -> None:
        self._writer.write(write(command, *params))

    def _echoed(self, line: Line) -> None:
        if self._asked is None or folded(line.param(0)) != self._asked.target:
            return
        self._asked.echoes -= 1
        if self._asked.echoes == 0:
            self._asked.settle(line.tags.get("msgid", ""))

    def _refused(self, line: Line) -> None:
        asked = self._asked
        names = [folded(each) for each in line.params[:-1]]
        reason = f"{line.command}: {line.param(-1)}"
        if asked is not None and (
            asked.target in names or line.tags.get("label", "").startswith(asked.token)
        ):
            later = line.command in TRY_LATER
            asked.settle(Busy(reason, after=60.0) if later else Failed(reason))
        elif line.command in {"403", "405", "471", "473", "474", "475", "476", "477"}:
            log.warning("irc_channel_not_joined", channel=line.param(1), reason=reason)

    async def _sign_in(self) -> None:
        to = self._to
        self._write("CAP", "LS", "302")
        if to.server_password:
            self._write("PASS", to.server_password.get_secret_value())
        self._write("NICK", to.nick)
        self._write("USER", to.nick[:USER], "0", "*", to.realname)
        signed_in = not self._wants_sasl
        async for line in self._lines:
            code = line.command
            if code == "CAP":
                self._negotiate(line)
            elif code == "AUTHENTICATE" and self._wants_sasl:
                self._authenticate()
            elif code == "903":
                signed_in = True
                self._write(*_CAP_END)
            elif code in _SASL_REFUSED:
                raise BadConfig("adapters.irc.password", f"SASL was refused: {line.param(-1)}")
            elif code in _TAKEN:
                self.nick += "_"
                self._write("NICK", self.nick)
            elif code == "432":
                raise BadConfig("adapters.irc.nick", line.param(-1), "choose another one")
            elif code in ("464", "465"):
                raise BadConfig("adapters.irc.server_password", line.param(-1))
            elif code == "001":
                if not signed_in:
                    raise Unavailable(
                        "the server has no SASL now; login: nickserv may be what it has"
                    )
                self.nick = line.param(0)
            elif code == "005" and any(each.startswith("BOT=") for each in line.params):
                mode = next(each for each in line.params if each.startswith("BOT="))[4:]
                self._write("MODE", self.nick, f"+{mode}")
            elif code == "PRIVMSG":
                self._early.append(line)
            elif code in ("376", "422"):  # the end of its greeting
                break
        if to.password and to.login == "nickserv":
            secret = to.password.get_secret_value()
            self._write("PRIVMSG", "NickServ", f"IDENTIFY {to.account or to.nick} {secret}")
        for channel in to.channels:
            self._write("JOIN", *channel.split(" "))

    def _negotiate(self, line: Line) -> None:
        offered = {each.partition("=")[0] for each in line.param(-1).split()}
        if line.param(1) == "LS":
            self.caps |= offered & WANTED
            if line.param(2) == "*":
                return  # more follows
            self.caps -= set() if self._wants_sasl else {"sasl"}
            self._write(*(("CAP", "REQ", " ".join(sorted(self.caps))) if self.caps else _CAP_END))
        elif line.param(1) in ("ACK", "NAK"):
            self.caps = self.caps & offered if line.param(1) == "ACK" else set()
            self._write(*(("AUTHENTICATE", "PLAIN") if "sasl" in self.caps else _CAP_END))

    def _authenticate(self) -> None:
        assert self._to.password is not None
        name = self._to.account or self._to.nick
        plain = f"{name}\0{name}\0{self._to.password.get_secret_value()}"
        told = base64.b64encode(plain.encode()).decode()
        for at in range(0, len(told) + 1, 400):  # a full last line is followed by an empty one
            self._write("AUTHENTICATE", told[at : at + 400] or "+")

    async def _read(self) -> AsyncGenerator[Line, None]:
        buffer = b""
        while True:
            *raw, buffer = (buffer + await self._chunk()).split(b"\n")
            buffer = b"" if len(buffer) > LONGEST_LINE else buffer
            for line in filter(None, map(read, raw)):
                if line.command == "PING":
                    self._write("PONG", line.param(-1))
                elif line.command == "ERROR":
                    self._last_words = line.param(-1)
                else:
                    yield line

    async def _chunk(self) -> bytes:
        """`Unavailable` at the end, and when nothing comes although the server was asked."""
        for _ in range(2):
            try:
                async with asyncio.timeout(self._to.silence / 2):
                    if chunk := await self._reader.read(65_536):
                        return chunk
                raise Unavailable(self._last_words)
            except TimeoutError:
                pass
            except OSError as cut:
                raise Unavailable(f"the connection was cut: {cut}") from cut
            self._write("PING", "moltgate")
            if self.nick != self._to.nick:
                self._write("NICK", self._to.nick)  # free again?
        raise Unavailable("the server is silent")


_CAP_END = ("CAP", "END")
