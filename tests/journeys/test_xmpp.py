"""Somebody on XMPP: from the stranger's first word over a picture, a voice message, an answer that
grows and a correction to a fresh start."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from adapters.xmpp.config import XmppConfig
from adapters.xmpp.session import Session
from adapters.xmpp.upload import Uploads
from gateway.message import Attachment
from tests.fakes.stores import MemoryBlobs
from tests.fakes.xmpp import XmppPerson
from tests.journeys.stage import Model, Moltgate, script, until
from tests.servers.prosody import Prosody

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
OGG = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(16)


async def test_a_conversation_from_first_contact_to_a_fresh_start(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Prosody.running("bot", "ada"))
        model = await stack.enter_async_context(Model.started())
        bot = {
            "jid": "bot@localhost",
            "password": "bot",
            "server": "localhost",
            "port": server.tls_port,
            "tls": "direct",
            "ca_file": str(server.certificate.chain),
            "file_hosts": [server.upload_host],
        }
        settings = {"engines": {"home": {"url": model.url}}, "adapters": {"xmpp": bot}}
        moltgate = await stack.enter_async_context(Moltgate.running(tmp_path, settings))
        await moltgate.happened("xmpp_signed_in")
        ada = await stack.enter_async_context(XmppPerson.connected("ada", server))

        await ada.says("let me in")
        told = await ada.reads("pair approve")
        await moltgate.does("pair", "approve", told.text.split("approve ")[1].split()[0].strip("`"))
        await ada.says("hello")
        await ada.reads("echo: hello")

        for name, content in (("cat.png", PNG), ("word.ogg", OGG)):
            url = await uploaded(server, bot, name, content)
            before = len(ada.seen)
            await ada.says(url, url=url)
            await until(lambda count=before: _more(ada, count), f"an answer to {name}")

        words = " ".join(f"word{number}" for number in range(60))
        await ada.says(script(token_delay=0.06, text=words))
        grown = await ada.reads("word59", 60.0)
        assert grown.text == words
        assert grown.versions
        assert all(words.startswith(one.rstrip(" …")) for one in grown.versions)

        await ada.says(script(latency=3, text="the slow answer"))
        await until(lambda: model.requests("the slow answer"), "the slow one is asked")
        first = await ada.says("what is it caled?")
        await ada.says("what is it called?", corrects=first)
        await ada.reads("echo: what is it called?", 60.0)
        assert not await model.requests("caled")

        await ada.says(script(latency=120, text="the endless answer"))

        async def waits() -> bool:
            return bool(await model.requests("endless"))

        await until(waits, "the model was asked")
        await ada.says("/stop")
        await ada.reads("Stopped.")
        await ada.says("/new")
        await ada.reads("A new conversation.")
        await ada.says("who am I?")
        await ada.reads("echo: who am I?")
        (last,) = await model.requests("who am I?")
        assert not any("hello" in str(one["content"]) for one in last["messages"])


async def _more(person: XmppPerson, count: int) -> bool:
    return len(person.seen) > count


async def uploaded(server: Prosody, bot: Mapping[str, Any], name: str, content: bytes) -> str:
    """The address of a file that Ada's client has put onto the server."""
    hers = {**bot, "jid": "ada@localhost", "password": "ada", "resource": "upload"}
    config = XmppConfig.model_validate(hers)
    session = Session(config, lambda message: None)
    blobs = MemoryBlobs()

    async def chunks() -> Any:
        yield content

    digest, size, _ = await blobs.store(chunks(), limit=10_000)
    try:
        await session.open()
        file = Attachment(kind="document", digest=digest, size=size, name=name)
        url = await Uploads(config).put(session, file, blobs)
    finally:
        await session.close()
    context = ssl.create_default_context(cafile=server.certificate.chain)
    async with aiohttp.ClientSession() as http, http.get(url, ssl=context) as found:
        assert await found.read() == content
    return url
