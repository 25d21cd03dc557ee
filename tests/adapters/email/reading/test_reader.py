"""The child: what it costs, what is left of it, and that nothing gets out of it."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.email.config import LARGEST
from adapters.email.reading import Limits, Reader, Unreadable, read
from gateway.errors import Unavailable
from tests.adapters.email.reading.bombs import COSTLY, REFUSED, WITHIN, filled, mail
from tests.adapters.email.reading.builders import outcome

PLAIN = b"From: Ada <ada@example.org>\r\nSubject: hello\r\n\r\nIs it true?\r\n"
TOO_MUCH = ("more CPU than the limit", "more memory than the limit")


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    async with Reader() as reader:
        yield reader


def child(reader: Reader) -> int:
    assert reader._process is not None
    return reader._process.pid


def alive(pid: int) -> bool:
    """Neither running nor waiting to be reaped."""
    return Path(f"/proc/{pid}").exists()


async def test_a_mail_is_read(reader: Reader) -> None:
    mail = await reader.read(PLAIN)

    assert (mail.from_address, mail.from_name) == ("ada@example.org", "Ada")
    assert (mail.subject, mail.text) == ("hello", "Is it true?")


async def test_one_child_reads_many_mails(reader: Reader) -> None:
    await reader.read(PLAIN)
    first = child(reader)

    mails = await asyncio.gather(*(reader.read(PLAIN) for _ in range(20)))

    assert {mail.text for mail in mails} == {"Is it true?"}
    assert child(reader) == first


async def test_a_single_mail_has_a_child_of_its_own() -> None:
    assert (await read(PLAIN)).text == "Is it true?"


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
async def test_a_mail_beyond_the_limits_is_refused_before_it_is_parsed(
    build: Callable[[], bytes],
) -> None:
    from adapters.email.reading.structure import cut

    with pytest.raises(Unreadable):
        cut(build(), Limits())


@pytest.mark.parametrize(
    "names", [WITHIN.keys() - COSTLY, pytest.param(COSTLY, marks=pytest.mark.long)]
)
async def test_what_is_made_to_be_expensive_is_read_or_refused(
    reader: Reader, names: frozenset[str]
) -> None:
    for name in names:
        build = WITHIN[name]
        mail = await outcome(reader, build())
        if isinstance(mail, str):
            assert mail in TOO_MUCH, name
        else:
            assert len(mail.full_text) <= reader.limits.text, name

        assert (await reader.read(PLAIN)).text == "Is it true?", name


async def test_more_cpu_than_the_limit_ends_the_child_and_not_the_reader() -> None:
    async with Reader(Limits(cpu=0.2)) as reader:
        await reader.read(PLAIN)
        first = child(reader)

        with pytest.raises(Unreadable, match="more CPU than the limit"):
            await reader.read(mail(b"", b"-" * 8_000_000, b'multipart/mixed; boundary="-"'))

        assert not alive(first)
        assert (await reader.read(PLAIN)).text == "Is it true?"
        assert child(reader) != first


async def test_more_memory_than_the_limit_is_refused() -> None:
    async with Reader(Limits(memory=70 * 2**20)) as small:
        with pytest.raises(Unreadable, match="more memory than the limit"):
            await small.read(mail(b"", filled(24 * 2**20, b"x\n")))

        assert (await small.read(PLAIN)).text == "Is it true?"


@pytest.mark.parametrize("files", [1, 2])
async def test_the_child_stays_within_its_memory(files: int) -> None:
    async with Reader(Limits(size=50 * 2**20)) as reader:
        await check_memory(reader, files)


async def test_the_largest_mail_that_may_be_set_up_is_read() -> None:
    content = bytes(36 * 2**20 + 2**19)
    file = b"--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
    raw = mail(b"", file + base64.encodebytes(content) + b"\n", b"multipart/mixed; boundary=b")
    assert 49 * 2**20 < len(raw) <= LARGEST
    async with Reader(Limits(size=LARGEST)) as reader:
        (found,) = (await reader.read(raw)).attachments
    assert found.content == content


async def check_memory(reader: Reader, files: int) -> None:
    file = b"--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
    file += base64.encodebytes(bytes(17 * 2**20)) + b"\n"
    read = await reader.read(mail(b"", file * files, b"multipart/mixed; boundary=b"))
    assert [len(each.content) for each in read.attachments] == [17 * 2**20] * files

    status = Path(f"/proc/{child(reader)}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmPeak"))
    assert int(peak.split()[1]) * 1024 <= 200 * 2**20


async def test_the_child_can_open_nothing_and_knows_no_environment(reader: Reader) -> None:
    await reader.read(PLAIN)

    limits = Path(f"/proc/{child(reader)}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max open files"] == ["0", "0"]
    assert rows["Max processes"] == ["0", "0"]
    assert rows["Max file size"] == ["0", "0"]
    assert rows["Max core file size"] == ["0", "0"]
    assert Path(f"/proc/{child(reader)}/environ").read_bytes() == b""


async def test_a_mail_larger_than_the_limit_starts_no_child() -> None:
    async with Reader(Limits(size=1_000)) as reader:
        with pytest.raises(Unreadable, match="larger than the limit"):
            await reader.read(bytes(1_001))

        assert reader._process is None


async def test_a_child_that_was_killed_is_no_fault_of_the_mail(reader: Reader) -> None:
    await reader.read(PLAIN)
    os.kill(child(reader), 9)

    assert (await reader.read(PLAIN)).text == "Is it true?"


async def test_more_time_than_the_limit_ends_the_child() -> None:
    async with Reader(Limits(wall=0.05, cpu=60.0)) as reader:
        with pytest.raises(Unreadable, match="more time than the limit"):
            await reader.read(mail(b"", b"-" * 24_000_000, b'multipart/mixed; boundary="-"'))

        assert reader._process is None


async def test_being_cancelled_leaves_no_child() -> None:
    async with Reader(Limits(cpu=60.0)) as reader:
        await reader.read(PLAIN)
        first = child(reader)
        reading = asyncio.create_task(
            reader.read(mail(b"", b"-" * 24_000_000, b'multipart/mixed; boundary="-"'))
        )
        while not reader._one_at_a_time.locked():
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

        assert not alive(first)
        assert (await reader.read(PLAIN)).text == "Is it true?"


async def test_closing_leaves_no_child_and_no_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    reader = Reader()
    await reader.read(PLAIN)
    first = child(reader)

    await reader.close()

    assert not alive(first)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1  # the loop's own


async def test_where_no_child_can_live_the_mail_is_read_later() -> None:
    async with Reader(Limits(memory=2**70)) as reader:
        with pytest.raises(Unavailable, match="no reader for mails could be started"):
            await reader.read(PLAIN)
