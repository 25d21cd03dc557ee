"""The adapter against a strict server with accounts and faults, and against the real one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from adapters.irc.adapter import MOST_HEARD, IrcAdapter
from adapters.irc.config import IrcConfig
from adapters.irc.link import Link
from gateway.errors import BadConfig, Busy, Failed, Unavailable, Uncertain
from gateway.message import Account, ConversationId, Outbound, Place, ReplyId
from tests.fakes.inbox import MemoryInbox
from tests.fakes.irc import FakeIrc, IrcPerson
from tests.fakes.irc.server import CAPS
from tests.fakes.services import Counts, services
from tests.servers.ngircd import Ngircd

ACCOUNT = Account(kind="irc")


def settings(port: int, **more: object) -> IrcConfig:
    given = {"server": "127.0.0.1", "port": port, "tls": False, "nick": "molt", "line_every": 0}
    return IrcConfig.model_validate(given | more)


def part(text: str, chat: str = "ada", **more: object) -> Outbound:
    kind = "group" if chat.startswith("#") else "direct"
    return Outbound(
        reply=ReplyId("r1"),
        conversation=ConversationId("c"),
        account=ACCOUNT,
        place=Place(kind=kind, chat=chat),  # type: ignore[arg-type]
        text=text,
        **more,  # type: ignore[arg-type]
    )


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


class Running:
    """An adapter that receives, until its scene is over."""

    def __init__(self, config: IrcConfig) -> None:
        self.counts = Counts()
        self.inbox = MemoryInbox()
        menu = (("stop", "Stop"),)
        given = services(ACCOUNT, count=self.counts.happened, commands=menu)
        self.adapter = IrcAdapter(ACCOUNT, config, given)
        self.task = asyncio.create_task(self.adapter.run(self.inbox))

    async def signed_in(self) -> None:
        await until(lambda: self.counts.total() or self.task.done())
        if self.task.done():
            await self.task

    async def ended(self) -> BaseException | None:
        async with asyncio.timeout(30):
            await asyncio.wait([self.task])
        return self.task.exception()


@contextlib.asynccontextmanager
async def running(config: IrcConfig) -> AsyncIterator[Running]:
    one = Running(config)
    try:
        yield one
    finally:
        one.task.cancel()
        await asyncio.wait([one.task])
        await one.adapter.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeIrc]:
    async with FakeIrc.running() as found:
        found.accounts["molt"] = "secret"
        yield found


@pytest.fixture
async def real() -> AsyncIterator[Ngircd]:
    async with Ngircd.running() as found:
        yield found


async def test_it_signs_in_with_its_account_and_says_that_it_is_a_bot(fake: FakeIrc) -> None:
    async with running(settings(fake.port, password="secret")) as bot:
        await bot.signed_in()
        user = fake.user("molt")
        await until(lambda: user and "MODE molt :+B" in user.lines)
        assert user is not None
        assert user.account == "molt"
        assert user.caps == set(CAPS.split())


async def test_a_long_password_goes_in_pieces(fake: FakeIrc) -> None:
    for length in (284, 285, 600):  # 284 makes a full line, which an empty one has to follow
        fake.accounts["molt"] = "s" * length
        async with running(settings(fake.port, password="s" * length)) as bot:
            await bot.signed_in()


@pytest.mark.parametrize(
    ("more", "where"),
    [({"password": "wrong"}, "irc.password"), ({"nick": "molt"}, "irc.server_password")],
)
async def test_refused_credentials_stop_the_account(more: dict[str, object], where: str) -> None:
    closed = "server" if "nick" in more else ""
    async with (
        FakeIrc.running(password=closed) as fake,
        running(settings(fake.port, **more)) as bot,
    ):
        problem = await bot.ended()
        assert isinstance(problem, BadConfig)
        assert where in str(problem)


async def test_a_server_without_sasl_is_tried_again_and_never_used_unknown() -> None:
    async with (
        FakeIrc.running(caps="server-time") as fake,
        running(settings(fake.port, password="secret")) as bot,
    ):
        assert isinstance(await bot.ended(), Unavailable)


@pytest.mark.parametrize("more", [{}, {"password": "secret", "login": "nickserv"}])
async def test_who_asks_for_what_was_not_offered_gets_nothing(more: dict[str, object]) -> None:
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"AUTHENTICATE +\r\nPING :1\r\n")
        while not said or (said[-1] and b"PONG" not in said[-1]):
            said.append(await reader.readline())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        config = settings(server.sockets[0].getsockname()[1], **more)
        async with running(config) as bot:
            assert isinstance(await bot.ended(), Unavailable)
    assert not [line for line in said if b"AUTHENTICATE" in line]


async def test_the_password_may_go_to_nickserv_instead(fake: FakeIrc) -> None:
    config = settings(fake.port, password="se cret", login="nickserv", account="bot")
    async with running(config) as bot:
        await bot.signed_in()
        await until(lambda: "PRIVMSG NickServ :IDENTIFY bot se cret" in fake.lines)


async def test_a_taken_nick_is_altered_and_taken_back_when_it_is_free(fake: FakeIrc) -> None:
    async with (
        IrcPerson.connected("molt", fake.port) as squatter,
        IrcPerson.connected("ada", fake.port) as ada,
        running(settings(fake.port, silence=0.6)) as bot,
    ):
        await bot.signed_in()
        assert bot.counts["nick_taken"] == 1
        assert fake.user("molt_") is not None
        await squatter.leave()
        await until(lambda: fake.user("molt_") is None and fake.user("molt"))
        await ada.says("molt", "hello")
        await until(lambda: bot.inbox.texts == ["hello"])


async def test_who_somebody_is_comes_from_their_account(fake: FakeIrc) -> None:
    async with (
        running(settings(fake.port)) as bot,
        IrcPerson.connected("ada", fake.port) as ada,
    ):
        await bot.signed_in()
        user = fake.user("ada")
        assert user is not None
        await ada.says("molt", "nobody knows me")
        user.account = "adal"
        await ada.says("molt", "now you do")
        await until(lambda: len(bot.inbox.events) == 2)
    first, second = bot.inbox.events
    assert (first.sender.id, first.sender.grade) == (ada.mask.lower(), "unverified")
    assert (second.sender.id, second.sender.grade) == ("adal", "verified")
    assert second.native_id == "m2"
    assert second.sent_at > 0


async def test_in_channels_it_hears_its_name_and_answers_by_name(real: Ngircd) -> None:
    config = settings(real.port, channels=["#talk", "#more"])
    async with (
        running(config) as bot,
        IrcPerson.connected("ada", real.port, "#talk") as ada,
    ):
        await bot.signed_in()
        await ada.says("#talk", "molt: are you there?")
        await until(lambda: bot.inbox.events)
        (event,) = bot.inbox.events
        assert (event.text, event.addressed) == ("are you there?", True)
        await bot.adapter.send(part("yes, **here**", "#talk", headers=event.headers))
        await ada.settled()
        assert ada.channel("#talk") == ["ada: yes, \x02here\x02"]


@pytest.mark.parametrize("caps", [CAPS, "account-tag", ""], ids=["all", "few", "none"])
async def test_a_message_is_confirmed_line_by_line(caps: str) -> None:
    async with (
        FakeIrc.running(caps=caps) as fake,
        running(settings(fake.port)) as bot,
        IrcPerson.connected("ada", fake.port) as ada,
    ):
        await bot.signed_in()
        receipts = await asyncio.gather(
            *(bot.adapter.send(part(f"one {n}\n\ntwo {n}")) for n in range(5))
        )
        await ada.settled()
        assert ada.texts() == [f"{word} {n}" for n in range(5) for word in ("one", "two")]
        assert [bool(one.native_id) for one in receipts] == [caps == CAPS] * 5


@pytest.mark.parametrize("caps", [CAPS, ""], ids=["labels", "none"])
async def test_a_refusal_is_told_from_a_confirmation(caps: str) -> None:
    async with (
        FakeIrc.running(caps=caps) as fake,
        running(settings(fake.port)) as bot,
        IrcPerson.connected("ada", fake.port) as ada,
    ):
        await bot.signed_in()
        with pytest.raises(Failed, match="401: No such nick"):
            await bot.adapter.send(part("hello?", "gone"))
        fake.faults.append("404")
        with pytest.raises(Failed, match="404"):
            await bot.adapter.send(part("hello?"))
        fake.faults.append("439")
        with pytest.raises(Busy):
            await bot.adapter.send(part("hello?"))
        with pytest.raises(Failed):
            await bot.adapter.send(part("hello?", "ada,bob x"))
        await bot.adapter.send(part("now"))
        await ada.settled()
        assert ada.texts() == ["now"]


async def test_a_cut_is_uncertain_unless_the_message_came_back_before(fake: FakeIrc) -> None:
    async with IrcPerson.connected("ada", fake.port) as ada:
        for fault, shown in (("cut_before", 0), ("cut_unconfirmed", 1), ("cut_after", 2)):
            async with running(settings(fake.port)) as bot:
                await bot.signed_in()
                fake.faults.append(fault)
                if fault == "cut_after":
                    await bot.adapter.send(part("hello"))
                else:
                    with pytest.raises(Uncertain):
                        await bot.adapter.send(part("hello"))
                assert isinstance(await bot.ended(), Unavailable)
                with pytest.raises(Unavailable):
                    await bot.adapter.send(part("hello"))
                assert len(ada.texts()) == shown
                fake.faulted.clear()


async def test_a_server_that_confirms_nothing_is_left() -> None:
    async with (
        FakeIrc.running(caps="") as fake,
        running(settings(fake.port, patience=0.2)) as bot,
        IrcPerson.connected("ada", fake.port),
    ):
        await bot.signed_in()
        fake.faults.append("deaf")
        with pytest.raises(Uncertain, match="timeout"):
            await bot.adapter.send(part("hello"))
        assert isinstance(await bot.ended(), Unavailable)


async def test_a_silent_server_is_asked_and_then_left() -> None:
    async with FakeIrc.running() as fake, running(settings(fake.port, silence=0.5)) as bot:
        await bot.signed_in()
        await until(lambda: "PING :moltgate" in fake.lines)
        assert not bot.task.done()
        fake.faulted.append("deaf")
        assert "silent" in str(await bot.ended())


async def test_what_was_heard_outlives_the_connection_and_a_store_that_is_away(
    real: Ngircd,
) -> None:
    bot = Running(settings(real.port))
    bot.inbox.down = True
    async with IrcPerson.connected("ada", real.port) as ada:
        await bot.signed_in()
        for number in range(3):
            await ada.says("molt", f"message {number}")
        await until(lambda: bot.inbox.offered)
    await real.stop()
    assert isinstance(await bot.ended(), Unavailable)
    await real.start()
    bot.inbox.down = False
    again = asyncio.create_task(bot.adapter.run(bot.inbox))
    await until(lambda: len(bot.inbox.events) == 3)
    again.cancel()
    await asyncio.wait([again])
    assert bot.inbox.texts == ["message 0", "message 1", "message 2"]


async def test_a_message_that_meets_a_bug_makes_nobody_deaf(real: Ngircd) -> None:
    async with running(settings(real.port)) as bot, IrcPerson.connected("ada", real.port) as ada:
        await bot.signed_in()
        bot.inbox.breaks = lambda event: "bug" in event.text
        for text in ("a bug", "no trouble"):
            await ada.says("molt", text)
        await until(lambda: bot.inbox.texts == ["no trouble"])
        assert bot.counts["dropped"] == 1


async def test_it_leaves_when_too_much_waits_so_that_people_see_it(fake: FakeIrc) -> None:
    async with running(settings(fake.port)) as bot, IrcPerson.connected("ada", fake.port) as ada:
        await bot.signed_in()
        bot.inbox.open.clear()
        for number in range(MOST_HEARD):
            ada.line(f"PRIVMSG molt :{number}")
        assert "too much waits" in str(await bot.ended())
        assert fake.user("molt") is None
        again = asyncio.create_task(bot.adapter.run(bot.inbox))
        bot.inbox.open.set()
        await until(lambda: len(bot.inbox.events) == MOST_HEARD)
        await until(lambda: fake.user("molt"))
        again.cancel()
        await asyncio.wait([again])


async def test_what_is_said_before_the_greeting_ends_is_heard(fake: FakeIrc) -> None:
    fake.greeting.append(":ada!a@h PRIVMSG {nick} :quick")
    async with running(settings(fake.port)) as bot:
        await until(lambda: bot.inbox.texts == ["quick"])


async def test_garbage_on_the_wire_is_passed_over(fake: FakeIrc) -> None:
    async with running(settings(fake.port)) as bot, IrcPerson.connected("ada", fake.port) as ada:
        await bot.signed_in()
        user = fake.user("molt")
        assert user is not None
        user.writer.write(b"\r\n\0\r\n:\r\n@;;= :x\r\n" + b"x" * 100_000 + b"\r\n\xff\xfe\r\n")
        await ada.says("molt", "still there?")
        await until(lambda: bot.inbox.texts == ["still there?"])


async def test_the_certificate_is_checked(real: Ngircd) -> None:
    config = settings(real.tls_port, tls=True)
    with pytest.raises(BadConfig, match="certificate does not hold"):
        await Link.open(config)
    trusting = settings(real.tls_port, tls=True, ca_file=str(real.certificate.chain))
    link = await Link.open(trusting)
    assert link.nick == "molt"
    await link.close()


async def test_the_live_check_says_what_could_be_better(fake: FakeIrc, real: Ngircd) -> None:
    async def probe(config: IrcConfig) -> tuple[bool, str, str]:
        adapter = IrcAdapter(ACCOUNT, config, services(ACCOUNT))
        found = await adapter.probe()
        await adapter.close()
        return found.ok, found.summary, " ".join(found.advice)

    ok, summary, advice = await probe(settings(real.port))
    assert (ok, summary) == (True, "signed in as molt")
    assert "account-tag" in advice
    assert "account-tag" not in (await probe(settings(fake.port)))[2]
    ok, summary, _ = await probe(settings(fake.port, password="wrong"))
    assert not ok
    assert "SASL was refused" in summary
    assert not (await probe(settings(1)))[0]


async def test_lines_wait_for_the_rate_before_they_are_sent(fake: FakeIrc) -> None:
    config = settings(fake.port, burst=2, line_every=30.0)
    adapter = IrcAdapter(ACCOUNT, config, services(ACCOUNT))
    await adapter.pace(part("one\n\ntwo"))
    waiting = asyncio.create_task(adapter.pace(part("three")))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not await adapter.spare(part("preview"))
    await adapter.close()
