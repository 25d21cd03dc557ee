"""A strict IRC server with what ngIRCd has not: SASL, accounts, ids, echoes, labels, and faults to
order. It takes lines of at most 512 bytes that end in CR LF, and cuts what it sends to 512."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

CAPS = "account-tag echo-message labeled-response batch message-tags sasl server-time"
NAME = ":fake.test"


@dataclass(eq=False)
class User:
    writer: asyncio.StreamWriter
    nick: str = ""
    name: str = ""
    account: str = ""
    caps: set[str] = field(default_factory=set)
    negotiating: bool = False
    welcomed: bool = False
    password: str = ""
    plain: str | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def mask(self) -> str:
        return f"{self.nick}!~{self.name}@{'h' * 20}.example"

    def tell(self, line: str, **tags: str) -> None:
        if self.writer.is_closing():
            return
        told = {name.replace("_", "-"): value for name, value in tags.items() if value}
        allowed = {k: v for k, v in told.items() if self._may(k)}
        prefix = "@" + ";".join(f"{k}={v}" for k, v in allowed.items()) + " " if allowed else ""
        self.writer.write(prefix.encode() + line.encode()[:510] + b"\r\n")

    def _may(self, tag: str) -> bool:
        needs = {"account": "account-tag", "time": "server-time", "label": "labeled-response"}
        return needs.get(tag, "message-tags") in self.caps


class FakeIrc:
    def __init__(self, *, caps: str = CAPS, password: str = "") -> None:
        self.caps = caps
        self.password = password
        self.accounts: dict[str, str] = {}
        self.users: list[User] = []
        self.channels: dict[str, set[User]] = {}
        self.port = 0
        self.faults: deque[str] = deque()
        """For the next messages of anybody signed in by SASL or called molt: ``cut_before``,
        ``cut_after``, ``cut_unconfirmed``, ``deaf``, or a numeric to refuse it with."""
        self.faulted: list[str] = []
        """Texts of messages that met a fault."""
        self.lines: list[str] = []
        """All that anybody sent."""
        self.greeting: list[str] = []
        """Lines that come between the welcome and the end of the greeting."""
        self.greets = True
        """Whether it says anything at all."""
        self._ids = itertools.count(1)
        self._server: asyncio.Server | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, *, caps: str = CAPS, password: str = "") -> AsyncIterator[FakeIrc]:
        fake = cls(caps=caps, password=password)
        await fake.start()
        try:
            yield fake
        finally:
            await fake.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for user in self.users:
            user.writer.transport.abort()
        await self._server.wait_closed()

    def user(self, nick: str) -> User | None:
        return next((one for one in self.users if one.nick.lower() == nick.lower()), None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user = User(writer)
        self.users.append(user)
        try:
            while self.greets and (raw := await reader.readline()):
                line = raw.decode()
                assert line.endswith("\r\n"), raw
                assert len(raw.split(b" ", 1)[1] if raw[:1] == b"@" else raw) <= 512, raw
                self.lines.append(line[:-2])
                user.lines.append(line[:-2])
                self._do(user, line[:-2])
                await writer.drain()
            while not self.greets and await reader.read(1000):
                pass
        except ConnectionError:
            pass
        finally:
            self.users.remove(user)
            for members in self.channels.values():
                members.discard(user)
            writer.transport.abort()

    def _do(self, user: User, line: str) -> None:
        tags, rest = {}, line
        if rest.startswith("@"):
            head, _, rest = rest.partition(" ")
            tags = dict(each.split("=", 1) for each in head[1:].split(";"))
        head, colon, last = rest.partition(" :")
        command, *params = [*head.split(), *([last] if colon else [])]
        handle = getattr(self, f"_on_{command.lower()}", None)
        if handle is None:
            user.tell(f"{NAME} 421 {user.nick or '*'} {command} :Unknown command")
        elif command == "PRIVMSG":
            handle(user, params, tags.get("label", ""))
        else:
            handle(user, params)

    def _on_cap(self, user: User, params: list[str]) -> None:
        if params[0] == "LS":
            user.negotiating = True
            user.tell(f"{NAME} CAP * LS * :multi-prefix")  # in two lines, as large ones are
            user.tell(f"{NAME} CAP * LS :{self.caps}")
        elif params[0] == "REQ":
            wanted = set(params[1].split())
            good = wanted <= set(self.caps.split()) | {"multi-prefix"}
            user.caps |= wanted if good else set()
            user.tell(f"{NAME} CAP * {'ACK' if good else 'NAK'} :{params[1]}")
        elif params[0] == "END":
            user.negotiating = False
            self._welcome(user)

    def _on_authenticate(self, user: User, params: list[str]) -> None:
        if user.plain is None:
            user.plain = ""
            user.tell("AUTHENTICATE +")
            return
        user.plain += "" if params[0] == "+" else params[0]
        if len(params[0]) == 400:
            return
        _, name, secret = base64.b64decode(user.plain).decode().split("\0")
        user.plain = None
        if self.accounts.get(name) != secret:
            user.tell(f"{NAME} 904 {user.nick} :SASL authentication failed")
            return
        user.account = name
        user.tell(f"{NAME} 900 {user.nick} {user.mask} {name} :You are now logged in as {name}")
        user.tell(f"{NAME} 903 {user.nick} :SASL authentication successful")

    def _on_pass(self, user: User, params: list[str]) -> None:
        user.password = params[0]

    def _on_nick(self, user: User, params: list[str]) -> None:
        if (other := self.user(params[0])) is not None and other is not user:
            user.tell(f"{NAME} 433 {user.nick or '*'} {params[0]} :Nickname is already in use")
            return
        if user.welcomed:
            user.tell(f":{user.mask} NICK :{params[0]}")
        user.nick = params[0]
        self._welcome(user)

    def _on_user(self, user: User, params: list[str]) -> None:
        user.name = params[0]
        self._welcome(user)

    def _welcome(self, user: User) -> None:
        if user.welcomed or user.negotiating or not (user.nick and user.name):
            return
        if self.password and user.password != self.password:
            user.tell(f"{NAME} 464 {user.nick} :Password incorrect")
            user.writer.close()
            return
        user.welcomed = True
        user.tell(f"{NAME} 001 {user.nick} :Welcome {user.mask}")
        user.tell(f"{NAME} 005 {user.nick} BOT=B CASEMAPPING=ascii :are supported")
        for said in self.greeting:
            user.tell(said.format(nick=user.nick))
        user.tell(f"{NAME} 376 {user.nick} :End of MOTD")

    def _on_ping(self, user: User, params: list[str]) -> None:
        if "deaf" not in self.faulted[-1:]:
            user.tell(f"{NAME} PONG fake.test :{params[0]}")

    def _on_join(self, user: User, params: list[str]) -> None:
        if params[0] == "#closed":
            user.tell(f"{NAME} 473 {user.nick} #closed :Cannot join channel (+i)")
            return
        members = self.channels.setdefault(params[0].lower(), set())
        members.add(user)
        for one in members:
            one.tell(f":{user.mask} JOIN {params[0]}")

    def _on_privmsg(self, user: User, params: list[str], label: str) -> None:
        target, text = params
        fault = self.faults.popleft() if self.faults and user.nick.startswith("molt") else ""
        if fault:
            self.faulted.append("deaf" if fault == "deaf" else text)
        if fault == "cut_before":
            user.writer.transport.abort()
            return
        if fault.isdigit():
            user.tell(f"{NAME} {fault} {user.nick} {target} :Refused for a test", label=label)
            return
        if target == "NickServ":
            return
        members = self.channels.get(target.lower())
        there = [one for one in members if one is not user] if members is not None else []
        if members is None:
            other = self.user(target)
            if other is None or not other.welcomed:
                user.tell(f"{NAME} 401 {user.nick} {target} :No such nick/channel", label=label)
                return
            there = [other]
        known = {"account": user.account, "msgid": f"m{next(self._ids)}"}
        said = f":{user.mask} PRIVMSG {target} :{text}"
        for one in there:
            one.tell(said, time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), **known)
        if "echo-message" in user.caps and fault != "cut_unconfirmed":
            user.tell(said, label=label, **known)
        if fault in ("cut_after", "cut_unconfirmed"):
            asyncio.get_running_loop().call_later(0.05, user.writer.transport.abort)
            self.faulted.append("deaf")  # no PONG any more

    def _on_notice(self, user: User, params: list[str]) -> None:
        return None

    def _on_mode(self, user: User, params: list[str]) -> None:
        return None

    def _on_whois(self, user: User, params: list[str]) -> None:
        mask = user.mask
        name, host = mask.split("!")[1].split("@")
        user.tell(f"{NAME} 311 {user.nick} {user.nick} {name} {host} * :a person")

    def _on_ison(self, user: User, params: list[str]) -> None:
        found = " ".join(one for one in params if self.user(one))
        user.tell(f"{NAME} 303 {user.nick} :{found}")

    def _on_quit(self, user: User, params: list[str]) -> None:
        user.tell("ERROR :bye")
        user.writer.close()
