"""Child processes: they never outlive their parent, and say when they are ready."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress

from gateway.errors import GatewayError

BAD_CONFIG = 78
CRASH_LOOP = 70
"""Exit statuses: the configuration does not hold; something keeps ending."""

_SET_PDEATHSIG = 1
_READY_FD = "MOLTGATE_READY_FD"
_BELL_FD = "MOLTGATE_BELL_FD"


def dies_with_parent(*, gently: bool = False) -> Callable[[], None] | None:
    """For `preexec_fn`: the kernel ends the child when this process is gone, however it goes.

    `gently` sends SIGTERM instead of SIGKILL. None where the kernel cannot do it.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork is too late for that
    end_by = signal.SIGTERM if gently else signal.SIGKILL
    parent = os.getpid()

    def arrange() -> None:
        prctl(_SET_PDEATHSIG, int(end_by), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)  # it was gone before we could ask

    return arrange


async def end(process: Process, patience: float) -> None:
    """SIGTERM, and SIGKILL after `patience` seconds. Returns when it has ended."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def say_ready() -> None:
    """Tell the supervisor, if there is one, that this process does its work from now on."""
    descriptor = os.environ.pop(_READY_FD, "")
    if descriptor.isdigit():
        with suppress(OSError):
            os.write(int(descriptor), b"1")
        with suppress(OSError):
            os.close(int(descriptor))


class Ready:
    """The parent's end: hand `fd` and `environment` to the child, then `started`."""

    def __init__(self) -> None:
        self._reading, self.fd = os.pipe()
        self._said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def environment(self) -> dict[str, str]:
        return {_READY_FD: str(self.fd)}

    def started(self) -> None:
        """The child has its end; from here on it is listened to."""
        os.close(self.fd)
        asyncio.get_running_loop().add_reader(self._reading, self._hear)

    def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._reading)
        said = os.read(self._reading, 1)
        os.close(self._reading)
        if not self._said.done():
            self._said.set_result(bool(said))

    async def wait(self, patience: float) -> bool:
        """Whether the child said so: false when it ended before, or took longer."""
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(self._said)
        except TimeoutError:
            return False


def _take_bell() -> int:
    """The descriptor the supervisor gave us, kept from whatever we start ourselves; -1 without."""
    given = os.environ.pop(_BELL_FD, "")
    try:
        descriptor = int(given)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.set_inheritable(descriptor, False)
            return descriptor
    except (ValueError, OSError):
        pass
    return -1


_bell = _take_bell()  # while nobody has started anything that could inherit it


def ring() -> bool:
    """Tell the supervisor that jobs wait for the media role; false where there is no supervisor.
    From any thread; never waits: in a full pipe the rings before this one say it already."""
    if _bell >= 0:
        with suppress(OSError):
            os.write(_bell, b"1")
    return _bell >= 0


class Bell:
    """The parent's end: children that are given `fd` and `environment` can `ring`."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._reading, self.fd = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.fd, False)  # for the children, too: it belongs to the pipe
        asyncio.get_running_loop().add_reader(self._reading, self._hear)

    @property
    def environment(self) -> dict[str, str]:
        return {_BELL_FD: str(self.fd)}

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self.fd)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._reading, 64 * 1024)
            self._heard()


class GiveUp(GatewayError):
    """Running on makes no sense; `code` is the exit status."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def status(code: int) -> str:
    """How a process ended, as people call it."""
    if code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"status {code}"
