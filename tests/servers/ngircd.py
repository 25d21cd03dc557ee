"""A real IRC server: ngIRCd in the foreground, from a configuration of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.process import dies_with_parent
from tests.fakes.ports import free_port
from tests.servers.certificates import Certificate

_CONFIG = """
[Global]
Name = irc.test
Info = for tests
Listen = 127.0.0.1
Ports = {port}
ServerUID = {user}
ServerGID = {group}
MotdPhrase = hello
{password}
[Limits]
ConnectRetry = 5
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 31
MaxPenaltyTime = 0
PingTimeout = {ping}
PongTimeout = 10
[Options]
DNS = no
Ident = no
PAM = no
SyslogFacility = local1
{tls}
"""
_TLS = """
[SSL]
CertFile = {certificate}
KeyFile = {key}
Ports = {port}
"""


class Ngircd:
    """One server, on the same ports however often it is started."""

    def __init__(self, folder: Path, *, password: str = "", ping: int = 120) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.certificate = Certificate.made(folder)
        self._log = folder / "ngircd.log"
        self._config = folder / "ngircd.conf"
        me = pwd.getpwuid(os.getuid())
        user = "nobody" if me.pw_uid == 0 else me.pw_name
        self._config.write_text(
            _CONFIG.format(
                port=self.port,
                user=user,
                group=_group(user),
                password=f"Password = {password}\n" if password else "",
                ping=ping,
                tls=_TLS.format(
                    certificate=self.certificate.chain,
                    key=self.certificate.key,
                    port=self.tls_port,
                ),
            )
        )
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, **settings: object) -> AsyncIterator[Ngircd]:
        with tempfile.TemporaryDirectory(prefix="mg-ngircd-") as folder:
            Path(folder).chmod(0o755)
            server = cls(Path(folder), **settings)  # type: ignore[arg-type]
            try:
                await server.start()
                yield server
            finally:
                await server.stop()

    async def start(self) -> None:
        program = shutil.which("ngircd") or shutil.which("ngircd", path="/usr/sbin")
        assert program is not None, "ngircd is missing: apt-get install ngircd"
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(program, "-n", "-f", str(self._config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(),
            )
        for port in (self.port, self.tls_port):
            await self._listens(port)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _listens(self, port: int) -> None:
        assert self._process is not None
        async with asyncio.timeout(30):
            while True:
                assert self._process.returncode is None, self._log.read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)


def _group(user: str) -> str:
    import grp

    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
