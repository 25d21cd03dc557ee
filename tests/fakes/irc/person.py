"""Somebody at a client: their own few lines of protocol, none of the adapter's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class IrcPerson:
    def __init__(self, nick: str, port: int) -> None:
        self.nick = nick
        self._port = port
        self.mask = ""
        """As the server shows it to others."""
        self.heard: list[tuple[str, str, str]] = []
        """Nick, where to, and text of every message."""
        self.noticed: list[str] = []
        """Everything else, raw."""
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, nick: str, port: int, *channels: str) -> AsyncIterator[IrcPerson]:
        person = cls(nick, port)
        try:
            await person.connect(*channels)
            yield person
        finally:
            await person.leave()

    async def connect(self, *channels: str) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._read(reader))
        self.line(f"NICK {self.nick}")
        self.line(f"USER {self.nick[:9]} 0 * :a person")
        async with asyncio.timeout(30):
            await self._ready.wait()
        for channel in channels:
            self.line(f"JOIN {channel}")
        await self.settled()

    async def leave(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def line(self, text: str) -> None:
        assert self._writer is not None
        self._writer.write(f"{text}\r\n".encode())

    def raw(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    async def says(self, target: str, text: str) -> None:
        """Again and again while there is nobody of that name."""
        async with asyncio.timeout(30):
            while True:
                before = len(self.noticed)
                self.line(f"PRIVMSG {target} :{text}")
                await self.settled()
                refused = [one for one in self.noticed[before:] if one.split()[1] in ("401", "404")]
                if not refused:
                    return
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """The server has done everything that was asked before."""
        token = f"t{len(self.noticed)}x{id(self) % 9999}"
        self.line(f"PING {token}")
        async with asyncio.timeout(30):
            while not any(one.split()[1] == "PONG" and token in one for one in self.noticed):
                await asyncio.sleep(0.005)

    async def sees(self, nick: str, *, gone: bool = False) -> None:
        """Waits until somebody of that name is connected, or is no more."""
        async with asyncio.timeout(30):
            while True:
                before = len(self.noticed)
                self.line(f"ISON {nick}")
                await self.settled()
                told = [one for one in self.noticed[before:] if one.split()[1] == "303"]
                there = any(nick.lower() in one.lower().split(":")[-1].split() for one in told)
                if there is not gone:
                    return
                await asyncio.sleep(0.02)

    def texts(self, *nicks: str) -> list[str]:
        """What was said to this person alone."""
        return [
            text
            for nick, to, text in self.heard
            if to == self.nick and (not nicks or nick in nicks)
        ]

    def channel(self, name: str) -> list[str]:
        return [text for _, to, text in self.heard if to == name]

    async def hears(self, text: str, seconds: float = 30.0) -> str:
        """Waits for a message with this in it."""
        async with asyncio.timeout(seconds):
            while True:
                for _, _, said in self.heard:
                    if text in said:
                        return said
                await asyncio.sleep(0.01)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while raw := await reader.readline():
                self._take(raw.decode(errors="replace").rstrip("\r\n"))

    def _take(self, line: str) -> None:
        if line.startswith("PING"):
            self.line(f"PONG {line[5:]}")
            return
        head, _, text = line.partition(" :")
        words = head.split()
        if len(words) == 3 and words[1] == "PRIVMSG":
            self.heard.append((words[0][1:].split("!")[0], words[2], text))
            return
        self.noticed.append(line)
        if words[1] in ("376", "422"):
            self.line(f"WHOIS {self.nick}")
        if words[1] == "311":
            self.mask = f"{words[3]}!{words[4]}@{words[5]}"
            self._ready.set()
