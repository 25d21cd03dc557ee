"""A process that dies before or after its n-th call to a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """The process is gone: nothing of it runs on."""


class Fuse:
    """Burns through at the n-th of all calls that go through it: once before and once after the
    effect of each call. 0 never burns."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.points = 0

    def pass_(self) -> None:
        self.points += 1
        if self.points == self._at:
            raise Crash

    def guard(self, store: Any) -> Any:
        """The store, with every asynchronous method on the fuse."""
        return _Guarded(store, self.pass_)


class _Guarded:
    def __init__(self, store: Any, pass_: Callable[[], None]) -> None:
        self._store = store
        self._pass = pass_

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._pass()
            await asyncio.sleep(0)  # others go first, as they do while a real store is asked
            result = await method(*args, **kwargs)
            self._pass()
            return result

        return call
