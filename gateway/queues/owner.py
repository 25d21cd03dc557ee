"""One owner of a data folder at a time, and how others find out who that is.

The lock is a `flock` on ``<home>/lock``; it goes with the processes that hold it, however they die.
The private Redis inherits it: nobody starts a second server on the same files while the first is
still writing its last ones.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import BadConfig, Failed

LOCK = "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who runs on a data folder, as the lock file says it."""

    pid: int
    host: str
    since: str
    """UTC, ISO 8601."""
    redis: str = ""
    """Url of the private Redis; empty while it is not up, or when another one is used."""
    http: str = ""
    """Where web chat and API answer."""

    @classmethod
    def myself(cls) -> Owner:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(pid=os.getpid(), host=socket.gethostname(), since=now)

    @property
    def is_gone(self) -> bool:
        """Whether its process surely does not exist any more."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


class InUse(Failed):
    """The data folder has an owner."""

    def __init__(self, home: Path, owner: Owner | None) -> None:
        self.owner = owner
        if owner is None:
            who = "another process"
        else:
            who = f"process {owner.pid} on {owner.host} since {owner.since}"
        reach = f"it answers at {owner.http}; " if owner and owner.http else ""
        super().__init__(
            f"{home} is in use by {who}; {reach}"
            f"see it with: moltgate --home {home} status, or use another --home"
        )


class Held:
    """The lock, held by us. `fd` may be handed to a child, which then holds it too."""

    def __init__(self, fd: int, owner: Owner) -> None:
        self.fd = fd
        self.owner = owner
        self._write()

    def announce(self, *, redis: str | None = None, http: str | None = None) -> None:
        """Say in the lock file how we are reached."""
        if redis is not None:
            self.owner = replace(self.owner, redis=redis)
        if http is not None:
            self.owner = replace(self.owner, http=http)
        self._write()

    def release(self) -> None:
        if self.fd >= 0:
            with suppress(OSError):  # a full disk must not keep the folder locked
                os.ftruncate(self.fd, 0)
            os.close(self.fd)
            self.fd = -1

    def _write(self) -> None:
        text = json.dumps(asdict(self.owner)) + "\n"
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)


async def hold(home: Path, *, patience: float = 10.0) -> Held:
    """Take the data folder, creating it when there is none.

    Raises `InUse` when it has an owner. An owner that died without its Redis having ended yet is
    waited for, `patience` seconds at most. Raises `BadConfig` when the folder cannot be used.
    """
    fd = _open(home)
    loop = asyncio.get_running_loop()
    limit = loop.time() + patience
    try:
        while not _lock(home, fd):
            _refuse_living(home, waited=loop.time() >= limit)
            await asyncio.sleep(0.05)
        return Held(fd, Owner.myself())
    except OSError as problem:
        os.close(fd)
        raise unusable(home, problem) from problem
    except BaseException:
        os.close(fd)
        raise


def _open(home: Path) -> int:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise unusable(home, problem) from problem


def _refuse_living(home: Path, *, waited: bool) -> None:
    owner = read_owner(home)
    if waited or owner is None or not owner.is_gone:
        raise InUse(home, owner)


def read_owner(home: Path) -> Owner | None:
    """What the lock file says, whether or not its owner still lives."""
    try:
        found = json.loads((home / LOCK).read_text())
        known = {field.name for field in fields(Owner)}
        return Owner(**{name: value for name, value in found.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def running(home: Path) -> Owner | None:
    """The owner of a data folder that somebody runs on right now, else None."""
    try:
        fd = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return read_owner(home)
    finally:
        os.close(fd)
    return None


def unusable(folder: Path, problem: OSError) -> BadConfig:
    """A readable complaint about a folder that cannot be written."""
    where = str(problem.filename or folder)
    match problem.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return BadConfig(where, "the disk is full", "free some space and start again")
        case errno.EACCES | errno.EPERM:
            return BadConfig(
                where,
                f"not writable for user {_me()}; {_ownership(folder)}",
                f"run as its owner, or give it to this user: chown -R {_me()} {folder}",
            )
        case errno.EROFS:
            return BadConfig(where, "is on a read-only file system", "choose another --home")
        case errno.ENOTDIR | errno.EEXIST:
            return BadConfig(where, "is a file, not a folder", "choose another --home")
        case _:
            return BadConfig(where, problem.strerror or str(problem), "choose another --home")


def foreign(home: Path) -> str:
    """A warning when root runs on somebody else's folder, else nothing."""
    if os.geteuid() != 0:
        return ""
    owner = home.stat().st_uid
    if owner == 0:
        return ""
    return (
        f"running as root on {home}, which belongs to {_user(owner)}: new files will be root's and "
        f"its owner cannot start here again; stop, chown -R {_user(owner)} {home}, run as that user"
    )


def _lock(home: Path, fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as problem:
        raise BadConfig(
            str(home),
            f"its file system does not lock files ({problem.strerror})",
            "put --home on a local disk",
        ) from problem
    return True


def _ownership(path: Path) -> str:
    for folder in (path, *path.parents):
        with suppress(OSError):
            state = folder.stat()
            return f"{folder} belongs to {_user(state.st_uid)}, mode {state.st_mode & 0o777:o}"
    return "its owner is unknown"


def _me() -> str:
    return _user(os.geteuid())


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
