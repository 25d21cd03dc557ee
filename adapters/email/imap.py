"""One IMAP connection, over aioimaplib with its gaps closed.

The library leaves commands waiting when the connection is lost, drops what the server says of new
mail between commands, and never answers a refused XOAUTH2. A connection on which anything went
wrong, or on which a caller was cancelled, is of no use any more: `broken`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import aioimaplib  # type: ignore[import-untyped]
import structlog

from adapters.email import errors
from adapters.email.config import ImapConfig
from adapters.email.errors import Gone, NoSuchFolder
from gateway.errors import Failed, Unavailable

log = structlog.get_logger(__name__)

BATCH = 50
"""Mails asked about at once. The library reads an answer by recursion, a level for each line."""
LARGE = 20
"""Times the usual patience for a whole mail; while bytes come, they come."""
HEADER = 64 * 2**10
"""Bytes of the header of a mail that is too large to be read."""
_TEMPORARY = tuple("UNAVAILABLE INUSE LIMIT SERVERBUG CONTACTADMIN OVERQUOTA THROTTLED".split())
_RECORD = re.compile(rb"\d+ FETCH \(")
_LIST = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (?P<name>.+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A folder as it is now."""

    validity: int
    """UIDVALIDITY: while it stays, UIDs name the same mails."""
    next_uid: int
    """0 when the server does not say."""
    keywords: bool
    """Whether it takes keywords of our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the server says of a mail before it is fetched."""

    uid: int
    size: int
    at: float
    """When the server got it; 0 when it does not say."""
    flags: frozenset[str]
    """In lower case."""


class _Protocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.lost = False
        self.news = asyncio.Event()
        """Set when the server says that there is mail, whatever it was asked."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost = True
        self.news.set()
        waiting = [self.pending_sync_command, *self.pending_async_commands.values()]
        for command in waiting:
            if command is not None:
                command._exception = aioimaplib.Abort(str(exc or "closed by the server"))
                command.close(b"", "KO")

    def _untagged_response(self, line: bytes) -> aioimaplib.Command:
        if line.endswith((b" EXISTS", b" RECENT")):
            self.news.set()
        return super()._untagged_response(line)

    def _continuation(self, line: bytes) -> None:
        command = self.pending_sync_command
        if command is not None and command.name == "AUTHENTICATE":
            self.send("")  # the error's details are taken note of, and the refusal follows
        else:
            super()._continuation(line)


class _Client(aioimaplib.IMAP4):  # type: ignore[misc]
    def create_client(self, host, port, loop, conn_lost_cb=None, ssl_context=None) -> None:  # type: ignore[no-untyped-def]
        here = asyncio.get_running_loop()
        self.protocol = _Protocol(here)
        self._client_task = here.create_task(
            here.create_connection(lambda: self.protocol, host, port, ssl=ssl_context)
        )


class Imap:
    """Calls must not overlap. Raises `Unavailable` for everything that a new connection may cure,
    `BadConfig` when we are not let in, `Failed` for what the server refuses."""

    def __init__(self, client: _Client, timeout: float) -> None:
        self._client = client
        # Asked directly: the client's own calls go through `asyncio.wait_for`, which on Python 3.11
        # swallows a cancellation that comes together with the answer.
        self._protocol = client.protocol
        self._timeout = timeout
        self.folder = ""
        """The one that is selected."""
        self._broken = False
        self.failed = False
        """Whether what was asked last ended the connection, and not only time."""

    @classmethod
    async def connect(cls, config: ImapConfig, context: ssl.SSLContext | None) -> Imap:
        client = _Client(config.host, config.port, timeout=config.timeout, ssl_context=context)
        made = cls(client, config.timeout)
        async with made._asking():
            await client._client_task
            await client.protocol.wait("AUTH|NONAUTH")
        return made

    async def login(self, user: str, *, password: str = "", token: str = "") -> None:
        async with self._asking():
            if token:
                answer = await self._protocol.xoauth2(user, token)
            else:
                answer = await self._protocol.login(aioimaplib.aioimaplib.quoted(user), password)
            if answer.result == "OK":
                await self._protocol.capability()
                return
        said = _text(answer)
        if answer.result == "NO" and not any(f"[{code}]" in said for code in _TEMPORARY):
            raise errors.refused_login("imap", said)
        raise Unavailable(f"the IMAP server lets nobody in: {said}")

    async def introduce(self) -> None:
        """Some providers show no mail to a program without a name (RFC 2971)."""
        if self.can("ID"):
            async with self._asking():
                await self._protocol.id(name="moltgate")

    def can(self, capability: str) -> bool:
        return bool(self._client.has_capability(capability))

    @property
    def broken(self) -> bool:
        return self._broken or self._protocol.lost

    async def select(self, folder: str) -> Selected:
        async with self._asking():
            answer = await self._protocol.select(encoded(folder))
        if answer.result != "OK":
            self.folder = ""
            if await self._is_missing(folder, answer):
                raise NoSuchFolder(f"there is no folder {folder!r}: {_text(answer)}")
            self._broken = True
            raise Unavailable(f"the IMAP server does not open {folder!r}: {_text(answer)}")
        self.folder = folder
        self._protocol.news.clear()
        said = b"\n".join(bytes(line) for line in answer.lines)
        return Selected(
            validity=_number(rb"\[UIDVALIDITY (\d+)\]", said),
            next_uid=_number(rb"\[UIDNEXT (\d+)\]", said),
            keywords=rb"\*" in said.partition(b"[PERMANENTFLAGS ")[2].partition(b"]")[0],
        )

    async def _is_missing(self, folder: str, answer: aioimaplib.Response) -> bool:
        """Servers that are unwell refuse to open what is there, in whatever words."""
        said = _text(answer).upper()
        if answer.result != "NO" or any(f"[{code}]" in said for code in _TEMPORARY):
            return False
        if any(f"[{code}]" in said for code in ("NONEXISTENT", "TRYCREATE", "NOPERM")):
            return True
        async with self._asking():
            listed = await self._protocol.simple_command("LIST", '""', encoded(folder))
        found = [_LIST.search(bytes(line)) for line in listed.lines[:-1]]
        flags = [one["flags"].lower() for one in found if one]
        return listed.result == "OK" and all(
            rb"\noselect" in each or rb"\nonexistent" in each for each in flags
        )

    # --- looking --------------------------------------------------------------------------------

    @property
    def news(self) -> bool:
        """Whether the server spoke of mail since the last search."""
        return bool(self._protocol.news.is_set())

    async def above(self, uid: int) -> Sequence[int]:
        """UIDs of all mails that came after one."""
        self._protocol.news.clear()
        found = await self.search("UID", f"{uid + 1}:*")
        return [each for each in found if each > uid]  # `*` is always the newest, however old

    async def search(self, *criteria: str) -> Sequence[int]:
        """UIDs in ascending order."""
        async with self._asking():
            answer = await self._protocol.search(*criteria, charset=None, by_uid=True)
        self._check(answer, "search")
        words = b" ".join(bytes(line) for line in answer.lines[:-1]).split()
        return sorted({int(word) for word in words if word.isdigit()})

    async def with_id(self, message_id: str) -> Sequence[int]:
        quoted = aioimaplib.aioimaplib.quoted(message_id)
        return await self.search("HEADER", "Message-ID", quoted)

    async def about(self, uids: Sequence[int]) -> Sequence[Found]:
        """Those of at most `BATCH` mails that are still there."""
        if not uids:
            return []
        which = ",".join(map(str, uids))
        async with self._asking():
            answer = await self._protocol.uid(
                "FETCH", which, "(UID RFC822.SIZE INTERNALDATE FLAGS)"
            )
        self._check(answer, "fetch")
        records = [one for one in _records(answer.lines[:-1]) if b"RFC822.SIZE" in one]
        found = {one.uid: one for one in map(_found, records) if one}
        return [found[uid] for uid in uids if uid in found]

    async def body(self, uid: int, *, header_only: bool = False) -> bytes:
        """The mail as it is, without marking it as read. Raises `Gone` when it is not there."""
        what = f"BODY.PEEK[HEADER]<0.{HEADER}>" if header_only else "BODY.PEEK[]"
        async with self._asking(LARGE):
            answer = await self._protocol.uid("FETCH", str(uid), f"(UID {what})")
        self._check(answer, "fetch")
        literals = [bytes(line) for line in answer.lines if isinstance(line, bytearray)]
        if literals:
            return literals[0]
        if not _records(answer.lines[:-1]):
            raise Gone("the mail is no longer there")
        return b""

    async def idle(self, seconds: float) -> None:
        """Wait until the server speaks of mail, or for so long."""
        protocol = self._protocol
        if protocol.news.is_set():
            return
        async with self._asking(None):
            async with asyncio.timeout(self._timeout):
                idle = await self._client.idle_start(seconds + self._timeout)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await protocol.news.wait()
            if not protocol.lost:
                self._client.idle_done()
            async with asyncio.timeout(self._timeout):
                await idle
            while not protocol.idle_queue.empty():
                protocol.idle_queue.get_nowait()

    async def noop(self) -> None:
        async with self._asking():
            answer = await self._protocol.simple_command("NOOP")
        self._check(answer, "noop")

    # --- changing -------------------------------------------------------------------------------

    async def mark(self, uid: int, *flags: str) -> None:
        """Set flags and keywords. A mail that is gone needs none."""
        async with self._asking():
            answer = await self._protocol.uid("STORE", str(uid), "+FLAGS.SILENT", _list(flags))
        self._check(answer, "store")

    async def move(self, uid: int, folder: str) -> None:
        """Into another folder, which is made where it is missing."""
        answer = await self._moved(uid, folder)
        if answer.result == "NO" and "TRYCREATE" in _text(answer).upper():
            await self.create(folder)
            answer = await self._moved(uid, folder)
        self._check(answer, "move")

    async def _moved(self, uid: int, folder: str) -> aioimaplib.Response:
        async with self._asking():
            if self.can("MOVE"):
                return await self._protocol.uid("MOVE", str(uid), encoded(folder))
            answer = await self._protocol.uid("COPY", str(uid), encoded(folder))
            if answer.result == "OK":
                await self._protocol.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
                if self.can("UIDPLUS"):
                    await self._protocol.uid("EXPUNGE", str(uid))
            return answer

    async def create(self, folder: str) -> None:
        async with self._asking():
            await self._protocol.simple_command("CREATE", encoded(folder))

    async def append(self, folder: str, raw: bytes, flags: str) -> None:
        """Raises `NoSuchFolder` when the folder is not there."""
        async with self._asking(LARGE):
            answer = await self._protocol.append(raw, encoded(folder), flags)
        if answer.result == "NO" and "TRYCREATE" in _text(answer).upper():
            raise NoSuchFolder(f"there is no folder {folder!r}")
        self._check(answer, "append")

    async def marked(self, use: str) -> str:
        """The folder for a special use, e.g. ``\\Sent`` (RFC 6154); empty where the server marks
        none."""
        if not self.can("SPECIAL-USE"):
            return ""
        async with self._asking():
            answer = await self._protocol.simple_command("LIST", "(SPECIAL-USE)", '""', '"*"')
        for line in answer.lines[:-1]:
            found = _LIST.search(bytes(line))
            if found and use.lower() in found["flags"].decode("ascii", "replace").lower().split():
                return decoded(found["name"])
        return ""

    async def close(self) -> None:
        """Say goodbye where that is possible; never waits for long."""
        if not self.broken:
            with contextlib.suppress(*errors.CUT):
                async with asyncio.timeout(1.0):
                    await self._protocol.logout()
        await self.abort()

    async def abort(self) -> None:
        """Let go of everything at once."""
        self._broken = True
        client = self._client
        if client._idle_waiter is not None:
            client._idle_waiter.cancel()
        tasks = {client._client_task, *client.tasks, *client.protocol.tasks}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # told already
        if client.protocol.transport is not None:
            client.protocol.transport.abort()
            await asyncio.sleep(0)

    def _check(self, answer: aioimaplib.Response, what: str) -> None:
        if answer.result == "OK":
            return
        said = _text(answer)
        if answer.result == "NO" and not any(f"[{code}]" in said for code in _TEMPORARY):
            raise Failed(f"the IMAP server refuses {what}: {said}")
        self._broken = self.failed = True
        raise Unavailable(f"the IMAP server cannot {what}: {said}")

    @contextlib.asynccontextmanager
    async def _asking(self, times: float | None = 1) -> AsyncIterator[None]:
        """What goes wrong inside ends the connection: its answers could be taken for others'.
        `times` the usual patience; None for any."""
        if self.broken:
            raise Unavailable("the connection to the mail server was lost")
        whole = False
        try:
            async with asyncio.timeout(times and times * self._timeout):
                yield
            whole = True
        except errors.CUT as problem:
            self.failed = True
            raise errors.imap(problem) from problem
        finally:
            if not whole:
                await self.abort()


def encoded(folder: str) -> str:
    """A folder's name as it is sent: modified UTF-7 (RFC 3501, 5.1.3), quoted."""
    out: list[str] = []
    for piece in re.split(r"([^\x20-\x7e]+)", folder.replace("&", "&-")):
        if piece and not piece.isascii():
            packed = base64.b64encode(piece.encode("utf-16-be")).rstrip(b"=").decode()
            out.append(f"&{packed.replace('/', ',')}-")
        else:
            out.append(piece)
    return str(aioimaplib.aioimaplib.quoted("".join(out)))


def decoded(name: bytes) -> str:
    """A folder's name as the server gives it."""
    text = name.strip().decode("ascii", "replace")
    if text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])

    def unpack(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        packed = found[1].replace(",", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be", "replace")

    return re.sub(r"&([A-Za-z0-9+,]*)-", unpack, text)


def day(at: float) -> str:
    """A date as SEARCH takes it, in UTC."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day}-{months[when.month - 1]}-{when.year}"


def _records(lines: Sequence[bytes | bytearray]) -> Sequence[bytes]:
    """One for each mail, without the literals."""
    found: list[bytes] = []
    for line in lines:
        if isinstance(line, bytearray):
            continue
        if _RECORD.match(line):
            found.append(line)
        elif found:
            found[-1] += b" " + line
    return found


def _found(record: bytes) -> Found | None:
    uid = _number(rb"\bUID (\d+)", record)
    if not uid:
        return None
    flags = re.search(rb"FLAGS \(([^)]*)\)", record)
    return Found(
        uid=uid,
        size=_number(rb"RFC822\.SIZE (\d+)", record),
        at=_time(re.search(rb'INTERNALDATE "([^"]*)"', record)),
        flags=frozenset(flags[1].decode("ascii", "replace").lower().split() if flags else ()),
    )


def _time(found: re.Match[bytes] | None) -> float:
    if found is None:
        return 0.0
    try:
        when = aioimaplib.aioimaplib.Mon2num
        date, clock, zone = found[1].decode("ascii").split()
        number, month, year = date.split("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * 60 * (-1 if zone[0] == "-" else 1)
        moment = datetime(
            int(year), when[month.encode()], int(number), hours, minutes, seconds, tzinfo=UTC
        )
    except (ValueError, KeyError, IndexError, UnicodeDecodeError):
        return 0.0
    return moment.timestamp() - offset


def _number(pattern: bytes, text: bytes) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def _text(answer: aioimaplib.Response) -> str:
    last = bytes(answer.lines[-1]) if answer.lines else b""
    return " ".join(last.decode("utf-8", "replace").split())[:300]


def _list(flags: Sequence[str]) -> str:
    return f"({' '.join(flags)})"
