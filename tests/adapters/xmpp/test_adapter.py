"""The adapter against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from xml.etree.ElementTree import Element

import aiohttp
import pytest

from adapters.xmpp.adapter import LEEWAY, XmppAdapter, looked_through
from adapters.xmpp.config import XmppConfig
from adapters.xmpp.parse import AT
from gateway.errors import BadConfig, Failed, Unavailable, Uncertain
from gateway.message import Attachment, ConversationId, Outbound, Place, ReplyId
from tests.adapters.xmpp.platform import ACCOUNT, settings, signed_in
from tests.fakes.inbox import MemoryInbox
from tests.fakes.services import Counts, services
from tests.fakes.stores import MemoryBlobs, MemoryRecords
from tests.fakes.wire import wire
from tests.fakes.xmpp import XmppPerson
from tests.servers.prosody import ROOMS, Prosody

ADA = Place(kind="direct", chat="ada@localhost")
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


def part(text: str, place: Place = ADA, reply: str = "r1", **more: object) -> Outbound:
    return Outbound(
        reply=ReplyId(reply),
        conversation=ConversationId("c"),
        account=ACCOUNT,
        place=place,
        text=text,
        **more,  # type: ignore[arg-type]
    )


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


class Bot:
    def __init__(self, config: XmppConfig, records: MemoryRecords | None = None) -> None:
        self.inbox = MemoryInbox()
        self.counts = Counts()
        self.blobs = MemoryBlobs()
        given = services(ACCOUNT, records=records, count=self.counts.happened, blobs=self.blobs)
        self.adapter = XmppAdapter(ACCOUNT, config, given)
        self.task = asyncio.create_task(self.adapter.run(self.inbox))

    async def ended(self) -> BaseException | None:
        async with asyncio.timeout(40):
            await asyncio.wait([self.task])
        return self.task.exception()


@contextlib.asynccontextmanager
async def running(
    config: XmppConfig, records: MemoryRecords | None = None, *, listens: bool = True
) -> AsyncIterator[Bot]:
    bot = Bot(config, records)
    try:
        if listens:
            await until(lambda: bot.adapter.listening or bot.task.done())
            if bot.task.done():
                await bot.task
        yield bot
    finally:
        bot.task.cancel()
        await asyncio.wait([bot.task])
        await bot.adapter.close()


@pytest.fixture
async def server() -> AsyncIterator[Prosody]:
    async with Prosody.running("bot", "ada") as found:
        yield found


async def test_a_growing_answer_is_one_message_and_a_cut_one_is_found(server: Prosody) -> None:
    async with running(settings(server)) as bot, XmppPerson.connected("ada", server) as ada:
        assert await bot.adapter.find(part("hello")) is None
        receipt = await bot.adapter.send(part("grow"))
        for text in ("growing", "**grown**"):
            await bot.adapter.edit(part(text), receipt.native_id)
        await bot.adapter.typing(ConversationId("c"), ADA)
        await ada.settled()
        assert ada.texts() == ["*grown*"]
        assert "composing" in ada.states
        assert await bot.adapter.find(part("grown")) == receipt
        assert await bot.adapter.find(part("grown", reply="r2")) is None


async def test_a_message_is_corrected_by_who_wrote_it(server: Prosody) -> None:
    async with running(settings(server)) as bot, XmppPerson.connected("ada", server) as ada:
        first = await ada.says("helo")
        await ada.says("hello", corrects=first)
        await until(lambda: len(bot.inbox.events) == 2)
    said, corrected = bot.inbox.events
    assert (said.kind, corrected.kind) == ("message", "edit")
    assert corrected.target in said.id.replace("%3A", ":").replace("%40", "@")
    assert corrected.text == "hello"


async def test_what_was_said_while_away_is_made_up_for_once(server: Prosody) -> None:
    records = MemoryRecords()
    config = settings(server, rooms=[f"talk@{ROOMS}"])
    async with XmppPerson.connected("ada", server, "talk") as ada:
        await ada.says("before its first day")
        async with running(config, records) as bot:
            await ada.says("while it is there")
            await until(lambda: bot.inbox.texts == ["while it is there"])
            await bot.adapter.send(part("an answer"))
        for number in range(70):
            await ada.says(f"away {number}")
        await ada.says("bot: away in the room", room="talk")
        async with running(config, records) as bot:
            await ada.says("back again")
            await until(lambda: "back again" in bot.inbox.texts)
            expected = [f"away {number}" for number in range(70)]
            assert bot.inbox.texts == [*expected, "away in the room", "back again"]
            assert bot.inbox.events[0].sent_at > 0
        async with running(config, records) as bot:
            await ada.says("nothing twice")
            await until(lambda: bot.inbox.texts == ["nothing twice"])


async def test_an_archive_is_made_up_for_up_to_a_limit(server: Prosody) -> None:
    records = MemoryRecords()
    async with XmppPerson.connected("ada", server) as ada:
        async with running(settings(server), records):
            pass
        for number in range(8):
            await ada.says(f"away {number}")
        async with running(settings(server, catch_up=5), records) as bot:
            await until(lambda: len(bot.inbox.events) == 5)
            assert bot.counts["backfill_capped"] == 1


async def test_without_an_archive_it_works_and_says_what_it_cannot() -> None:
    async with (
        Prosody.running("bot", "ada", archive=False) as server,
        running(settings(server)) as bot,
        XmppPerson.connected("ada", server) as ada,
    ):
        await ada.says("hello")
        await until(lambda: bot.inbox.texts == ["hello"])
        assert bot.counts["no_archive"] == 1
        with pytest.raises(Uncertain, match="no archive"):
            await bot.adapter.find(part("hello"))
        found = await XmppAdapter(ACCOUNT, settings(server), services(ACCOUNT)).probe()
        assert found.ok
        assert "XEP-0313" in found.advice[0]


@pytest.mark.parametrize("public", [True, False], ids=["addresses", "nicks"])
async def test_in_rooms_it_hears_its_name_and_knows_who_speaks(public: bool) -> None:
    room = Place(kind="group", chat=f"talk@{ROOMS}")
    async with (
        Prosody.running("bot", "ada", public=public) as server,
        XmppPerson.connected("ada", server, "talk") as ada,
        running(settings(server, rooms=[room.chat])) as bot,
    ):
        await ada.says("bot: are you there?", room="talk")
        await ada.says("nobody is meant", room="talk")
        await until(lambda: len(bot.inbox.events) == 2)
        meant, other = bot.inbox.events
        assert (meant.text, meant.addressed, other.addressed) == ("are you there?", True, False)
        assert meant.place == room
        if public:
            assert (meant.sender.id, meant.sender.grade) == ("ada@localhost", "verified")
        else:
            assert meant.sender.grade == "unverified"
            assert meant.sender.id.startswith(f"talk@{ROOMS}/")
        receipt = await bot.adapter.send(part("yes", room))
        await bot.adapter.edit(part("yes, here", room), receipt.native_id)
        assert await bot.adapter.find(part("yes", room)) == receipt
        await until(lambda: ada.room("talk") == ["yes, here"])
        assert len(bot.inbox.events) == 2  # its own words came back and were not taken for others'


async def test_files_go_to_the_upload_service_and_come_from_it_only(server: Prosody) -> None:
    config = settings(server, file_hosts=[server.upload_host])
    async with running(config) as bot, XmppPerson.connected("ada", server) as ada:

        async def content() -> AsyncIterator[bytes]:
            yield PNG

        digest, size, _ = await bot.blobs.store(content(), limit=1000)
        picture = Attachment(
            kind="image", digest=digest, size=size, media_type="image/png", name="../a cat.png"
        )
        await bot.adapter.send(part("", files=(picture,)))
        await until(lambda: ada.seen)
        (seen,) = ada.seen
        assert seen.url == seen.text
        context = ssl.create_default_context(cafile=server.certificate.chain)
        async with (
            aiohttp.ClientSession() as http,
            http.get(seen.url, ssl=context) as found,
        ):
            assert await found.read() == PNG

        await ada.says(seen.url, url=seen.url)
        await until(lambda: bot.inbox.events)
        (event,) = bot.inbox.events
        (file,) = event.attachments
        assert (file.kind, file.media_type, file.digest) == ("image", "image/png", digest)
        elsewhere = "https://elsewhere.example.org/a.png"
        await ada.says(elsewhere, url=elsewhere)
        await until(lambda: len(bot.inbox.events) == 2)
        assert bot.inbox.events[1].text == elsewhere
        assert not bot.inbox.events[1].attachments
        missing = f"https://{server.upload_host}/file_share/none/a.png"
        await ada.says(missing, url=missing)
        await until(lambda: len(bot.inbox.events) == 3)
        assert "could not be fetched" in bot.inbox.events[2].attachments[0].problem


async def test_a_strangers_file_is_not_fetched(server: Prosody) -> None:
    config = settings(server, file_hosts=[server.upload_host])
    url = f"https://{server.upload_host}/file_share/none/a.png"
    async with running(config) as bot, XmppPerson.connected("ada", server) as ada:
        bot.inbox.ignores = lambda event: True
        await ada.says(url, url=url)
        await until(lambda: bot.inbox.offered)
        assert not bot.inbox.offered[0].attachments[0].problem


async def test_a_refused_message_is_failed_and_a_cut_one_is_looked_for(server: Prosody) -> None:
    async with wire(server.port) as line, XmppPerson.connected("ada", server) as ada:
        async with running(settings(server, port=line.port)) as bot:
            nowhere = Place(kind="group", chat=f"nowhere@{ROOMS}")
            with pytest.raises(Failed):
                await bot.adapter.send(part("hello?", nowhere))
            await bot.adapter.send(part("hello"))
            line.cut()
            assert isinstance(await bot.ended(), Unavailable)
            with pytest.raises(Unavailable):
                await bot.adapter.send(part("hello"))
        line.mend()
        async with running(settings(server, port=line.port)) as bot:
            assert await bot.adapter.find(part("hello"))
        assert ada.texts() == ["hello"]


async def test_a_silent_server_is_left(server: Prosody) -> None:
    import signal

    config = settings(server, patience=0.3, silence=0.3)
    async with running(config) as bot:
        assert server._process is not None
        server._process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(Uncertain):
                await bot.adapter.send(part("hello"))
            assert isinstance(await bot.ended(), Unavailable)
        finally:
            server._process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("tls", ["starttls", "direct"])
async def test_the_certificate_is_checked_and_so_is_the_password(server: Prosody, tls: str) -> None:
    port = server.tls_port if tls == "direct" else server.port
    async with running(settings(server, tls=tls, port=port)):
        pass
    for more, told in (
        ({"ca_file": None}, "certificate does not hold"),
        ({"password": "wrong"}, "does not let bot@localhost in"),
    ):
        config = settings(server, tls=tls, port=port, **more)
        async with running(config, listens=False) as bot:
            problem = await bot.ended()
            assert isinstance(problem, BadConfig), problem
            assert told in str(problem)


async def test_the_live_check_says_what_is_wrong(server: Prosody) -> None:
    good = await XmppAdapter(ACCOUNT, settings(server), services(ACCOUNT)).probe()
    assert (good.ok, good.summary, list(good.advice)) == (True, "signed in as bot@localhost", [])
    bad = await XmppAdapter(ACCOUNT, settings(server, port=1), services(ACCOUNT)).probe()
    assert not bad.ok
    assert "cannot be reached" in bad.summary


async def test_several_sends_are_looked_for_at_once(server: Prosody) -> None:
    parts = [part(f"answer {number}", reply=f"r{number}") for number in range(4)]
    async with running(settings(server)) as bot, XmppPerson.connected("ada", server):
        sent = [await bot.adapter.send(one) for one in parts]
        assert list(await asyncio.gather(*map(bot.adapter.find, parts))) == sent


def test_what_is_older_than_the_question_is_not_looked_through() -> None:
    page = [("1", "2026-01-02T03:04:05Z", Element("message")), ("2", "", Element("message"))]
    at = 1767323045.0
    assert not looked_through(page, last=False, since=0.0)
    assert not looked_through(page, last=False, since=at + LEEWAY)
    assert looked_through(page, last=False, since=at + LEEWAY + 1)
    assert not looked_through(page[1:], last=False, since=at + LEEWAY + 1)
    assert looked_through(page, last=True, since=0.0)
    assert looked_through([], last=False, since=0.0)


async def test_beyond_what_is_looked_at_only_the_question_tells(server: Prosody) -> None:
    async with running(settings(server)) as bot, XmppPerson.connected("ada", server) as ada:
        for number in range(60):
            ada.message(str(number)).send()
        await ada.says("the last one")
        await until(lambda: "the last one" in bot.inbox.texts)
        later = str(time.time() + 3 * LEEWAY)
        assert await bot.adapter.find(part("hello", headers={AT: later})) is None
        assert abs(float(bot.inbox.events[-1].headers[AT]) - time.time()) < LEEWAY


async def test_nothing_is_said_in_a_room_before_it_is_entered(server: Prosody) -> None:
    room = Place(kind="group", chat=f"talk@{ROOMS}")
    rooms = [f"first@{ROOMS}", room.chat]
    async with (
        XmppPerson.connected("ada", server, "talk"),
        running(settings(server, rooms=rooms), listens=False) as bot,
    ):
        async with asyncio.timeout(30):
            while True:
                try:
                    await bot.adapter.send(part("hello", room))
                    break
                except Unavailable:
                    await asyncio.sleep(0)


async def test_a_server_that_knows_no_pings_is_there_all_the_same() -> None:
    async with (
        Prosody.running("bot", "ada", ping=False) as server,
        running(settings(server)) as bot,
    ):
        await bot.adapter.send(part("hello"))
        assert bot.adapter._session is not None
        await bot.adapter._session.alive()


async def test_a_place_that_the_archive_forgot_is_found_by_its_time(server: Prosody) -> None:
    records = MemoryRecords()
    keep = services(ACCOUNT, records=records).keep
    async with XmppPerson.connected("ada", server) as ada:
        async with running(settings(server), records):
            pass
        # Its time is given an hour of leeway.
        await keep.set("archive/own", f"forgotten\n{time.time():.0f}".encode())
        await ada.says("while it was away")
        async with running(settings(server), records) as bot:
            await until(lambda: bot.inbox.texts == ["while it was away"])


async def test_a_message_without_an_id_is_known_again(server: Prosody) -> None:
    records = MemoryRecords()
    keep = services(ACCOUNT, records=records).keep
    async with XmppPerson.connected("ada", server) as ada:
        async with running(settings(server), records) as bot:
            before = await keep.get("archive/own")
            nameless = ada.message("hello")
            del nameless["id"]
            nameless.send()
            await until(lambda: bot.inbox.events)
            (live,) = bot.inbox.events
        assert before is not None
        await keep.set("archive/own", before)  # as if it had died before it was noted
        async with running(settings(server), records) as bot:
            await until(lambda: bot.inbox.events)
            assert [one.id for one in bot.inbox.events] == [live.id]


async def test_what_could_not_be_stored_is_not_marked_as_read(server: Prosody) -> None:
    records = MemoryRecords()
    async with XmppPerson.connected("ada", server) as ada:
        async with running(settings(server), records) as bot:
            bot.inbox.down = True
            await ada.says("hold on")
            await until(lambda: bot.inbox.offered)
        async with running(settings(server), records) as bot:
            await until(lambda: bot.inbox.texts == ["hold on"])
        assert await signed_out(server) is None


async def signed_out(server: Prosody) -> None:
    """Nobody is left who keeps the account busy."""
    async with running(settings(server)) as bot:
        await signed_in(bot.adapter)
