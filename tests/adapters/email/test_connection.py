"""Connections are lost, refused and made anew; nothing is lost with them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.email.config import OAuthConfig
from adapters.email.oauth import Tokens
from adapters.email.watch import CUTS
from gateway.clock import SystemClock
from gateway.errors import BadConfig, Unavailable
from tests.adapters.email.scene import Desk, Hurried, Person, answer, until
from tests.fakes.inbox import MemoryInbox
from tests.fakes.wire import wire
from tests.servers.choppy import Choppy
from tests.servers.mail import TOKEN, MailServer


async def test_mail_that_came_while_the_wire_was_cut_is_found(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F20, F28: the connection dies in IDLE, and again while it is made anew."""
    async with (
        wire(desk.server.imap_port) as cable,
        desk.running(inbox, imap={"port": cable.port}),
    ):
        await ada.writes(desk.address, "before")
        await until(lambda: len(inbox.events) == 1)
        cable.cut()
        await ada.writes(desk.address, "meanwhile")
        await asyncio.sleep(0.1)
        cable.mend()
        await until(lambda: len(inbox.events) == 2)
        await ada.writes(desk.address, "after")
        await until(lambda: len(inbox.events) == 3)

    assert inbox.texts == ["before", "meanwhile", "after"]
    assert desk.counts["reconnected"] >= 1


async def test_a_server_that_is_started_anew_is_found_again(inbox: MemoryInbox) -> None:
    with MailServer.running() as server:
        desk, ada = Desk(server, server.person()), Person(server, server.person())
        async with desk.running(inbox) as adapter:
            await ada.writes(desk.address, "before")
            await until(lambda: len(inbox.events) == 1)
            await asyncio.to_thread(server.stop_imap)
            await ada.writes(desk.address, "meanwhile")
            await asyncio.to_thread(server.start_imap)
            await until(lambda: len(inbox.events) == 2)
            await adapter.send(answer(inbox.events[1], "and out"))
            await ada.gets(1)

    assert inbox.texts == ["before", "meanwhile"]


async def test_a_changed_password_stops_the_account_at_the_next_sign_in(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """F25: asked once, and not again."""

    def refused() -> int:
        lines = desk.server.log().splitlines()
        return sum("auth failed, 1 attempts" in line and desk.address in line for line in lines)

    async with wire(desk.server.imap_port) as cable:
        adapter = desk.adapter(imap={"port": cable.port})
        running = asyncio.create_task(adapter.run(inbox))
        await ada.writes(desk.address, "before")
        await until(lambda: inbox.events or desk.server.flags(desk.address) == [""])
        await asyncio.to_thread(desk.server.refuse, desk.address)
        await asyncio.sleep(0.2)  # until that is in the log
        before = refused()
        cable.cut()
        cable.mend()
        with pytest.raises(BadConfig, match="does not let us in"):
            await running
        await adapter.close()
    await until(lambda: refused() > before)
    assert refused() == before + 1
    desk.server.refuse(desk.address, refused=False)


class Provider:
    """Gives access tokens, and tells whose they are."""

    def __init__(self) -> None:
        self.asked = 0
        self.url = ""
        self.status = 200
        self.address = ""

    async def token(self, request: web.Request) -> web.Response:
        self.asked += 1
        form = await request.post()
        if self.status != 200 or form["refresh_token"] != "refresh":
            return web.json_response({"error": "invalid_grant"}, status=self.status)
        return web.json_response(
            {"access_token": TOKEN + self.address, "expires_in": 3600, "scope": form.get("scope")}
        )

    async def whose(self, request: web.Request) -> web.Response:
        token = request.query["token"]
        if not token.startswith(TOKEN):
            return web.json_response({"error": "invalid"}, status=401)
        return web.json_response({"email": token.removeprefix(TOKEN)})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    app = web.Application()
    app.router.add_post("/token", found.token)
    app.router.add_get("/tokens", found.whose)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def refreshing(provider: Provider) -> dict[str, object]:
    return {
        "token_url": f"{provider.url}/token",
        "client_id": "c",
        "client_secret": "s",
        "refresh_token": "refresh",
    }


async def test_xoauth2_opens_both_doors(provider: Provider, inbox: MemoryInbox) -> None:
    port = int(provider.url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(MailServer.running(tokens_port=port))
        desk, ada = Desk(server, server.person()), Person(server, server.person())
        provider.address = desk.address
        oauth = {"password": None, "oauth": refreshing(provider)}
        async with desk.running(inbox, **oauth) as adapter:
            await ada.writes(desk.address, "hello")
            await until(lambda: len(inbox.events) == 1)
            await adapter.send(answer(inbox.events[0], "hi"))
            await ada.gets(1)
        assert provider.asked == 1
        provider.address = "somebody@else.test"
        adapter = desk.adapter(**oauth)
        probe = await adapter.probe()
        await adapter.close()
        assert not probe.ok
        assert "does not let us in" in probe.summary


async def test_access_tokens_are_kept_until_shortly_before_their_end(provider: Provider) -> None:
    class Later(SystemClock):
        ahead = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.ahead

    clock = Later()
    tokens = Tokens(OAuthConfig(**refreshing(provider)), clock)
    assert await tokens.get() == await tokens.get() == TOKEN
    assert provider.asked == 1
    clock.ahead = 3541.0
    await tokens.get()
    assert provider.asked == 2
    assert tokens.refused(TOKEN)
    await tokens.get()
    assert provider.asked == 3


@pytest.mark.parametrize(("status", "kind"), [(400, BadConfig), (503, Unavailable)])
async def test_a_provider_that_gives_no_token_is_told(
    provider: Provider, status: int, kind: type[Exception]
) -> None:
    provider.status = status
    with pytest.raises(kind, match="gives no access token"):
        await Tokens(OAuthConfig(**refreshing(provider)), SystemClock()).get()


async def test_a_token_may_lie_in_a_file_that_somebody_keeps_fresh(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    tokens = Tokens(OAuthConfig(token_file=str(file)), SystemClock())
    assert await tokens.get() == "one"
    file.write_text("two\n")
    assert await tokens.get() == "two"
    file.unlink()
    with pytest.raises(BadConfig, match="token_file"):
        await tokens.get()


async def test_a_connection_on_which_nothing_comes_any_more_is_found_out_and_replaced(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """A router forgot it: no end, no answer. The next IDLE, or rather its end, is not confirmed."""
    silent = False

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", desk.server.imap_port)
        mine = connections[0] = connections[0] + 1
        ends.extend((writer, far_writer))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if not silent or mine > 2:
                    target.write(data)

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    connections = [0]
    ends: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        imap = {"port": port, "idle": 1, "timeout": 2}
        async with desk.running(inbox, imap=imap):
            silent = True
            await ada.writes(desk.address, "anybody?")
            await until(lambda: inbox.events)
        for end in ends:
            end.transport.abort()
    assert inbox.texts == ["anybody?"]
    assert connections[0] >= 3


def in_the_clear(port: int) -> dict[str, object]:
    return {"port": port, "tls": "none"}


@pytest.mark.parametrize(
    "says",
    [
        b"TAG NO [SERVERBUG] Internal error\r\n",
        b"TAG NO Server unavailable\r\n",
        b"TAG BAD User is authenticated but not connected\r\n",
    ],
)
async def test_a_folder_that_is_there_and_does_not_open_is_tried_again(
    desk: Desk, ada: Person, inbox: MemoryInbox, says: bytes
) -> None:
    wire = Choppy(desk.server.plain_imap_port)
    async with wire.running() as port:
        wire.answer_to(b" SELECT ", says, times=2)
        async with desk.running(inbox, imap=in_the_clear(port), given={"clock": Hurried()}):
            await ada.writes(desk.address, "still read")
            await until(lambda: inbox.events)
    assert wire.cuts == 2


async def test_a_mail_that_always_ends_the_connection_blocks_nothing(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    wire = Choppy(desk.server.plain_imap_port)
    async with wire.running() as port:
        wire.cut_at(b"FETCH 1 (UID BODY", before=True, times=1000)
        async with desk.running(inbox, imap=in_the_clear(port), given={"clock": Hurried()}):
            await ada.writes(desk.address, "poison")
            await until(lambda: desk.mails())
            await ada.writes(desk.address, "fine")
            await until(lambda: inbox.events)
    assert inbox.texts == ["fine"]
    assert desk.counts["unreadable"] == 1
    assert wire.cuts == CUTS
    assert sorted(desk.server.flags(desk.address)) == ["", "S"]


async def test_a_wire_that_is_cut_while_the_store_is_away_costs_no_mail(
    desk: Desk, ada: Person, inbox: MemoryInbox
) -> None:
    """However often: it is not the mail that ends the connection."""
    inbox.down = True
    async with (
        wire(desk.server.imap_port) as cable,
        desk.running(inbox, imap={"port": cable.port}, given={"clock": Hurried()}),
    ):
        await ada.writes(desk.address, "kept")
        for _ in range(CUTS + 2):
            offered = len(inbox.offered)
            await until(lambda offered=offered: len(inbox.offered) > offered)
            cable.cut()
            cable.mend()
        inbox.down = False
        await until(lambda: inbox.events)
    assert inbox.texts == ["kept"]
    assert not desk.counts["unreadable"]
