"""Calls of one script that came in the same loop tick leave as one.

A script's fixed price (the call, its start, its reply) is paid once per tick instead of once per
message; under load that is most of what a message costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from gateway.errors import GatewayError, Unavailable
from gateway.queues.wire import Argument, Reply, Script, translate

MOST = 64
"""Calls in one batch: bounds how long a script keeps the server from others."""

Run = Callable[[Script, str, Sequence[Argument]], Awaitable[Reply]]


class Batches:
    """Collects calls per script and partition until the end of the tick.

    Args:
        run: runs a script on a partition with the arguments of all.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open: dict[tuple[str, str], _Batch] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    def join(
        self, script: Script, partition: str, arguments: Sequence[Argument]
    ) -> asyncio.Future[Reply]:
        """The reply to this call, or the error it alone met; order of calls is kept."""
        key = script.sha, partition
        batch = self._open.get(key)
        if batch is None or len(batch.futures) >= MOST:
            batch = self._open[key] = _Batch(script, partition)
            asyncio.get_running_loop().call_soon(self._leave, key, batch)
        return batch.add(arguments)

    def _leave(self, key: tuple[str, str], batch: _Batch) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
        task = asyncio.get_running_loop().create_task(self._settle(batch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _settle(self, batch: _Batch) -> None:
        try:
            batch.give(await self._run(batch.script, batch.partition, batch.arguments))
        except GatewayError as problem:
            batch.fail(problem)
        finally:  # whatever happens, nobody waits for ever
            batch.fail(Unavailable("the call to the store was broken off"))

    async def close(self) -> None:
        """End what is under way; those who wait get `Unavailable`."""
        for batch in self._open.values():
            batch.fail(Unavailable("the store was closed"))
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Batch:
    """Calls that leave together, and who waits for them."""

    __slots__ = ("arguments", "futures", "partition", "script")

    def __init__(self, script: Script, partition: str) -> None:
        self.script = script
        self.partition = partition
        self.arguments: list[Argument] = []
        self.futures: list[asyncio.Future[Reply]] = []

    def add(self, arguments: Sequence[Argument]) -> asyncio.Future[Reply]:
        """Raises `UnicodeEncodeError` here and now: later it would be everybody's."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        fit = [one.encode() if type(one) is str else one for one in arguments]
        self.arguments.append(len(fit))
        self.arguments += fit
        self.futures.append(future)
        return future

    def give(self, replies: Sequence[Reply]) -> None:
        for future, reply in zip(self.futures, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, Exception):
                future.set_exception(translate(reply))
            else:
                future.set_result(reply)

    def fail(self, problem: GatewayError) -> None:
        for future in self.futures:
            if not future.done():
                future.set_exception(problem)
