"""A wire to a line-based server that is cut, or answers by itself, when a word passes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator


class Choppy:
    def __init__(self, target: int) -> None:
        self._target = target
        self._word = b""
        self._before = False
        self._times = 0
        self._rate = 1.0
        self._says = b""
        self.cuts = 0
        """Connections that were cut, or words that were answered here."""

    def cut_at(
        self, word: bytes, *, before: bool = False, times: int = 1, rate: float = 1.0
    ) -> None:
        """Cut before the word reaches the server, or when the server has answered it."""
        self._word, self._before, self._times, self._rate = word, before, times, rate
        self._says = b""

    def answer_to(self, word: bytes, says: bytes, *, times: int = 1) -> None:
        """Say this in the server's place; ``TAG`` stands for the first word of what was asked."""
        self.cut_at(word, before=True, times=times)
        self._says = says

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Its port."""
        carried: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            carried[writer] = asyncio.ensure_future(self._carry(reader, writer))
            await carried[writer]
            del carried[writer]

        server = await asyncio.start_server(carry, "127.0.0.1", 0)
        async with server:
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                for writer in carried:
                    writer.transport.abort()
                await asyncio.gather(*carried.values())

    def _strikes(self, data: bytes) -> bool:
        if not self._word or self._word not in data or random.random() > self._rate:
            return False
        self._times -= 1
        if self._times <= 0:
            self._word = b""
        self.cuts += 1
        return True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        struck = False

        async def up() -> None:
            nonlocal struck
            while data := await reader.read(65536):
                if self._strikes(data):
                    if self._says:
                        writer.write(self._says.replace(b"TAG", data.partition(b" ")[0]))
                        continue
                    if self._before:
                        return
                    struck = True
                far_writer.write(data)

        async def down() -> None:
            while data := await far_reader.read(65536):
                if struck:
                    return
                writer.write(data)

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for end in (writer, far_writer):
                end.transport.abort()
