"""A real XMPP server: Prosody, with archives, rooms and an upload service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from gateway.process import dies_with_parent
from tests.fakes.ports import free_port
from tests.servers.certificates import Certificate

DOMAIN = "localhost"
ROOMS = "rooms.localhost"
UPLOAD = "upload.localhost"

_CONFIG = """
{user}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
log = {{ info = "{folder}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ {tls_port} }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ {https_port} }}
https_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{
  "roster", "saslauth", "tls", "disco", "ping", "smacks", "carbons", {modules}
}}
modules_disabled = {{ "s2s", {disabled} }}
authentication = "internal_hashed"
storage = "internal"
c2s_require_encryption = true
archive_expires_after = "never"
default_archive_policy = true
smacks_hibernation_time = 1
certificates = "{folder}"
ssl = {{ key = "{key}", certificate = "{certificate}" }}
https_certificate = "{certificate}"
c2s_direct_tls_ssl = {{ key = "{key}", certificate = "{certificate}" }}
https_ssl = {{ key = "{key}", certificate = "{certificate}" }}
VirtualHost "localhost"
Component "rooms.localhost" "muc"
  modules_enabled = {{ {room_modules} }}
  restrict_room_creation = false
  muc_room_default_public_jids = {public}
  muc_room_locking = false
Component "upload.localhost" "http_file_share"
  http_host = "localhost"
  http_external_url = "https://localhost:{https_port}/"
"""


class Prosody:
    """One server, on the same ports and with the same accounts however often it is started."""

    def __init__(
        self, folder: Path, *, archive: bool = True, public: bool = True, ping: bool = True
    ) -> None:
        self.folder = folder
        self.port, self.tls_port, self.https_port = free_port(), free_port(), free_port()
        self.certificate = Certificate.made(folder, ROOMS, UPLOAD)
        self.upload_host = f"localhost:{self.https_port}"
        root = os.getuid() == 0
        self._config = folder / "prosody.cfg.lua"
        self._config.write_text(
            _CONFIG.format(
                user='prosody_user = "prosody"\nprosody_group = "prosody"' if root else "",
                folder=folder,
                port=self.port,
                tls_port=self.tls_port,
                https_port=self.https_port,
                modules='"mam"' if archive else "",
                disabled=", ".join(
                    (['"offline"'] if archive else []) + ([] if ping else ['"ping"'])
                ),
                room_modules='"muc_mam"' if archive else "",
                public=str(public).lower(),
                key=self.certificate.key,
                certificate=self.certificate.chain,
            )
        )
        (folder / "data").mkdir()
        if root:
            for each in (folder, folder / "data", *folder.iterdir()):
                shutil.chown(each, "prosody", "prosody")
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, *users: str, archive: bool = True, public: bool = True, ping: bool = True
    ) -> AsyncIterator[Prosody]:
        """With these users, each with its own name for a password."""
        with tempfile.TemporaryDirectory(prefix="mg-prosody-") as folder:
            Path(folder).chmod(0o755)
            server = cls(Path(folder), archive=archive, public=public, ping=ping)
            try:
                for user in users:
                    server.register(user, user)
                await server.start()
                yield server
            finally:
                await server.stop()

    def register(self, user: str, password: str) -> None:
        """Also sets a new password. The server that runs takes it at the next login."""
        self._control("register", user, DOMAIN, password)

    async def start(self) -> None:
        program = shutil.which("prosody")
        assert program is not None, "prosody is missing: apt-get install prosody"
        with (self.folder / "said").open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(*_as_prosody(), program, "--config", str(self._config), "-F"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=dies_with_parent(),
            )
        for port in (self.port, self.tls_port, self.https_port):
            await self._listens(port)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _control(self, *words: str) -> None:
        program = shutil.which("prosodyctl")
        assert program is not None, "prosody is missing: apt-get install prosody"
        done = subprocess.run(
            [*_as_prosody(), program, "--config", str(self._config), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    async def _listens(self, port: int) -> None:
        assert self._process is not None
        async with asyncio.timeout(30):
            while True:
                assert self._process.returncode is None, (self.folder / "said").read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)


def _as_prosody() -> Sequence[str]:
    """It refuses to be root."""
    if os.getuid() != 0:
        return ()
    runuser = shutil.which("setpriv")
    assert runuser is not None
    return (runuser, "--reuid=prosody", "--regid=prosody", "--init-groups", "--")
