"""A real Matrix homeserver on loopback: Synapse with SQLite, one for a whole run of the tests.

It starts in about nine seconds, so tests share it (`shared`) and keep apart by users and rooms of
their own. Rates are off unless one is set for a user. `MOLTGATE_SYNAPSE` names the Python that has
Synapse where it is not this one.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import contextlib
import hashlib
import hmac
import importlib.util
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import yaml
from aiohttp import web

from gateway.process import dies_with_parent
from tests.fakes.ports import free_port

SERVER_NAME = "matrix.test"
PASSWORD = "correct horse"
PATIENCE = 90.0

_numbers = count(1)


class Missing(Exception):
    """The server cannot be started here; the text says what to do."""


class Synapse:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._secret = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = ""

    def start(self) -> None:
        python = os.environ.get("MOLTGATE_SYNAPSE", sys.executable)
        if python == sys.executable and importlib.util.find_spec("synapse") is None:
            raise Missing(
                "the tests on Matrix need Synapse: pip install matrix-synapse, or name the Python "
                "of an environment that has it in MOLTGATE_SYNAPSE"
            )
        config = self.folder / "homeserver.yaml"
        if not config.exists():
            key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            (self.folder / "signing.key").write_text(f"ed25519 a_test {key}\n")
            (self.folder / "log.yaml").write_text(yaml.safe_dump(_log(self.folder)))
            config.write_text(yaml.safe_dump(self._config()))
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [python, "-m", "synapse.app.homeserver", "-c", str(config)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=dies_with_parent(),
            )

    async def ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + PATIENCE
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < end:
                if self._process.poll() is not None:
                    raise Missing(f"Synapse ended at once: {self._said()}")
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/health") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise Missing(f"Synapse was not up after {PATIENCE:.0f} s: {self._said()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    # --- people -------------------------------------------------------------------------------

    async def user(self, name: str = "", *, admin: bool = False) -> User:
        """A new user, signed in."""
        name = name or f"person{next(_numbers)}-{secrets.token_hex(3)}"
        url = f"{self.url}/_synapse/admin/v1/register"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                nonce = (await answer.json())["nonce"]
            words = [nonce, name, PASSWORD, "admin" if admin else "notadmin"]
            mac = hmac.new(self._secret.encode(), "\0".join(words).encode(), hashlib.sha1)
            body = {
                "nonce": nonce,
                "username": name,
                "password": PASSWORD,
                "admin": admin,
                "mac": mac.hexdigest(),
            }
            async with session.post(url, json=body) as answer:
                answer.raise_for_status()
                found = await answer.json()
        return User(
            url=self.url,
            id=found["user_id"],
            token=found["access_token"],
            device=found["device_id"],
            name=name,
        )

    async def limit(self, user: str, per_second: float, burst: int) -> None:
        """Messages that a user may send; Synapse takes whole numbers a second."""
        if not self._admin:
            self._admin = (await self.user(admin=True)).token
        path = f"/_synapse/admin/v1/users/{quote(user)}/override_ratelimit"
        body = {"messages_per_second": per_second, "burst_count": burst}
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._admin}"}) as session,
            session.post(self.url + path, json=body) as answer,
        ):
            assert answer.status == 200, await answer.text()

    def _said(self) -> str:
        told = [self.folder / "out", self.folder / "homeserver.log"]
        return "".join(one.read_text()[-1500:] for one in told if one.exists())

    def _config(self) -> dict[str, Any]:
        fast = {"per_second": 100_000, "burst_count": 100_000}
        return {
            "server_name": SERVER_NAME,
            "public_baseurl": self.url,
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "resources": [{"names": ["client"], "compress": False}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "db")}},
            "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"),
            "max_upload_size": "2M",
            "signing_key_path": str(self.folder / "signing.key"),
            "macaroon_secret_key": secrets.token_hex(16),
            "registration_shared_secret": self._secret,
            "bcrypt_rounds": 4,
            "report_stats": False,
            "suppress_key_server_warning": True,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "presence": {"enabled": False},
            "enable_metrics": False,
            "url_preview_enabled": False,
            "rc_message": fast,
            "rc_registration": fast,
            "rc_login": {"address": fast, "account": fast, "failed_attempts": fast},
            "rc_joins": {"local": fast, "remote": fast},
            "rc_joins_per_room": fast,
            "rc_invites": {"per_room": fast, "per_user": fast, "per_issuer": fast},
            "rc_admin_redaction": fast,
            "rc_room_creation": fast,
        }


def _log(folder: Path) -> dict[str, Any]:
    return {
        "version": 1,
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(folder / "homeserver.log")}
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
    }


_shared: Synapse | None = None


async def shared() -> Synapse:
    """The one of this run of the tests; ends with it."""
    global _shared
    if _shared is None:
        memory = Path("/dev/shm")  # every message is some fsyncs
        where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
        folder = Path(tempfile.mkdtemp(prefix="mg-synapse-", dir=where))
        server = Synapse(folder)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(server.stop)
        server.start()
        await server.ready()
        _shared = server
    return _shared


@dataclass
class User:
    """Somebody on the server who writes by plain requests: no end-to-end encryption."""

    url: str
    id: str
    token: str
    device: str
    name: str = ""
    _sent: count[int] = field(default_factory=count)

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(
                method, f"{self.url}/_matrix/client/v3{path}", json=body, params=query
            ) as answer,
        ):
            found = await answer.json()
            assert answer.status == 200, f"{method} {path}: {answer.status} {found}"
            return found

    async def sign_in(self) -> None:
        """Anew, as another device."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self.id},
            "password": PASSWORD,
        }
        self.token = ""
        found = await self.ask("POST", "/login", body)
        self.token, self.device = found["access_token"], found["device_id"]

    async def room(self, *invited: str, encrypted: bool = False, **more: Any) -> str:
        """A new room; two people in it is what a direct chat is."""
        state = []
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2"}
            state.append({"type": "m.room.encryption", "state_key": "", "content": content})
        body = {
            "preset": "private_chat",
            "invite": list(invited),
            "is_direct": len(invited) == 1,
            "initial_state": state,
            **more,
        }
        return str((await self.ask("POST", "/createRoom", body))["room_id"])

    async def invite(self, room: str, user: str) -> None:
        await self.ask("POST", f"/rooms/{quote(room)}/invite", {"user_id": user})

    async def repeat(self, path: str, body: bytes) -> None:
        """A PUT that was kept by a proxy."""
        await self.ask("PUT", path.removeprefix("/_matrix/client/v3"), json.loads(body))

    async def join(self, room: str) -> None:
        await self.ask("POST", f"/join/{quote(room)}", {})

    async def kick(self, room: str, user: str) -> None:
        await self.ask("POST", f"/rooms/{quote(room)}/kick", {"user_id": user})

    async def named(self, name: str) -> None:
        await self.ask("PUT", f"/profile/{quote(self.id)}/displayname", {"displayname": name})

    async def send(
        self, room: str, content: Mapping[str, Any], kind: str = "m.room.message"
    ) -> str:
        path = f"/rooms/{quote(room)}/send/{kind}/{next(self._sent)}-{secrets.token_hex(4)}"
        return str((await self.ask("PUT", path, content))["event_id"])

    async def say(self, room: str, text: str, **more: Any) -> str:
        return await self.send(room, {"msgtype": "m.text", "body": text, **more})

    async def edit(self, room: str, event: str, text: str) -> str:
        new = {"msgtype": "m.text", "body": text}
        relation = {"rel_type": "m.replace", "event_id": event}
        content = {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        return await self.send(room, content)

    async def react(self, room: str, event: str, emoji: str) -> str:
        relation = {"rel_type": "m.annotation", "event_id": event, "key": emoji}
        return await self.send(room, {"m.relates_to": relation}, "m.reaction")

    async def redact(self, room: str, event: str) -> None:
        path = f"/rooms/{quote(room)}/redact/{quote(event)}/{secrets.token_hex(8)}"
        await self.ask("PUT", path, {})

    async def upload(self, content: bytes, media: str = "application/octet-stream") -> str:
        url = f"{self.url}/_matrix/media/v3/upload"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": media}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data=content) as answer,
        ):
            return str((await answer.json())["content_uri"])

    async def download(self, mxc: str) -> bytes:
        url = f"{self.url}/_matrix/client/v1/media/download/{mxc.removeprefix('mxc://')}"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as session,
            session.get(url) as answer,
        ):
            assert answer.status == 200
            return await answer.read()

    async def events(self, room: str) -> list[dict[str, Any]]:
        """Everything that was ever written there, oldest first, edits and redactions too."""
        found: list[dict[str, Any]] = []
        start: dict[str, str] = {}
        while True:
            page = await self.ask(
                "GET", f"/rooms/{quote(room)}/messages", dir="b", limit="1000", **start
            )
            found += page["chunk"]
            if "end" not in page:
                return found[::-1]
            start = {"from": page["end"]}

    async def members(self, room: str) -> list[str]:
        return list((await self.ask("GET", f"/rooms/{quote(room)}/joined_members"))["joined"])


def stands(events: list[dict[str, Any]], author: str) -> list[dict[str, Any]]:
    """Messages of one author as people see them now: edits applied, redacted ones left out.

    Each is the content of the event with ``event_id``, and ``edits`` with the bodies that stood
    there before.
    """
    shown: dict[str, dict[str, Any]] = {}
    for event in events:
        content = event.get("content", {})
        if event["sender"] != author or event["type"] != "m.room.message" or "body" not in content:
            continue
        relation = content.get("m.relates_to", {})
        if relation.get("rel_type") == "m.replace":
            if (old := shown.get(relation["event_id"])) is not None:
                edits = [*old["edits"], old["body"]]
                kept = {"event_id": old["event_id"], "edits": edits}
                shown[relation["event_id"]] = {**content["m.new_content"], **kept}
        else:
            shown[event["event_id"]] = {**content, "event_id": event["event_id"], "edits": []}
    return list(shown.values())


# --- a bad line to the server ---------------------------------------------------------------------


@dataclass
class Fault:
    """What happens to requests whose method and path match."""

    path: re.Pattern[str]
    method: str
    kind: str
    """``cut`` before it was passed on, ``cut_after`` it was done, ``status``."""
    times: int
    status: int = 500
    body: Mapping[str, Any] = field(default_factory=dict)
    each: int = 1
    """Strikes at every so manieth request."""
    seen: int = 0


class Proxy:
    """Stands between a client and the server: cuts, refuses, answers in its place, counts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.down = False
        """Every connection is cut."""
        self.calls: Counter[str] = Counter()
        """By method and the path's last known word, e.g. ``PUT send``."""
        self.paths: list[str] = []
        """Of all requests, decoded."""
        self.raw_paths: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.struck: list[str] = []
        """Paths that met a fault."""
        self.kept: list[tuple[str, bytes]] = []
        """Paths and bodies of requests that were answered in the server's place."""
        self._faults: list[Fault] = []
        self._open: dict[int, web.Request] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[Proxy]:
        proxy = cls(url)
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", proxy._pass)
        runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        async with aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(limit=0, force_close=True)
        ) as proxy._session:
            await web.TCPSite(runner, "127.0.0.1", proxy.port).start()
            try:
                yield proxy
            finally:
                proxy.cut()
                await runner.cleanup()

    _session: aiohttp.ClientSession

    def fault(
        self, method: str, path: str, kind: str, times: int = 1, *, each: int = 1, **more: Any
    ) -> None:
        self._faults.append(Fault(re.compile(path), method, kind, times, each=each, **more))

    def heal(self) -> None:
        self._faults.clear()
        self.down = False

    def cut(self) -> None:
        """Every connection that waits for an answer."""
        for request in list(self._open.values()):
            if request.transport is not None:
                request.transport.abort()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self._count(request)
        self._open[id(request)] = request
        try:
            return await self._answer(request)
        finally:
            del self._open[id(request)]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        fault = self._struck(request)
        if self.down or (fault is not None and fault.kind == "cut"):
            return self._abort(request)
        if fault is not None and fault.kind == "status":
            self.kept.append((request.raw_path, await request.read()))
            return web.json_response(dict(fault.body), status=fault.status)
        body = await request.read()
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "connection", "transfer-encoding")
        }
        try:
            async with self._session.request(
                request.method,
                self._url + request.raw_path,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=120),
            ) as answer:
                content = await answer.read()
                self.statuses[answer.status] += 1
                if self.down or (fault is not None and fault.kind == "cut_after"):
                    return self._abort(request)
                media = answer.headers.get("Content-Type", "application/json")
                return web.Response(
                    body=content, status=answer.status, headers={"Content-Type": media}
                )
        except aiohttp.ClientError:
            return self._abort(request)

    def _abort(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _struck(self, request: web.Request) -> Fault | None:
        for fault in self._faults:
            if fault.method != request.method or not fault.path.search(request.raw_path):
                continue
            fault.seen += 1
            if fault.times and fault.seen % fault.each == 0:
                fault.times -= 1
                self.struck.append(request.raw_path)
                return fault
        return None

    def _count(self, request: web.Request) -> None:
        self.paths.append(unquote(request.raw_path))
        self.raw_paths.append(request.raw_path)
        known = ("sync", "send", "messages", "whoami", "login", "typing", "upload", "event")
        words = request.path.split("/")
        name = next((word for word in words if word in known), words[-1])
        self.calls[f"{request.method} {name}"] += 1
