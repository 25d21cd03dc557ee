"""Every mail of the corpus is read, or refused within the limits; nothing ends the reader."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.email.reading import Limits, Reader, Unreadable
from adapters.email.reading.structure import Part, cut
from tests.adapters.email.reading.builders import outcome

CORPUS = Path(__file__).parents[5] / "shared" / "corpora" / "mime"


def mails() -> Iterator[tuple[str, bytes]]:
    if not CORPUS.exists():
        pytest.fail(f"bad inputs are missing: {CORPUS}")
    for path in sorted(CORPUS.rglob("*")):
        if path.suffix == ".gz":
            with tarfile.open(path) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if file is not None:
                        with file:
                            yield f"{path.name}/{member.name}", file.read()
        elif path.is_file():  # the .json beside the mails, too: as good a bad input as any
            yield path.name, path.read_bytes()


async def test_every_mail_is_read_or_refused_by_a_limit() -> None:
    seen = refused = 0
    async with Reader() as reader:
        for name, raw in mails():
            seen += 1
            mail = await outcome(reader, raw)
            if isinstance(mail, str):
                assert "limit" in mail or "too" in mail, (name, mail)
                refused += 1
                continue
            for line in (mail.subject, mail.from_name, mail.from_address, *mail.to):
                assert line.isprintable() or not any(ord(char) < 32 for char in line), name
            for text in (mail.text, mail.full_text, mail.subject):
                text.encode()
    assert seen >= 1_100
    assert refused <= 10


@pytest.mark.parametrize("limits", [Limits(parts=3), Limits(depth=1), Limits(headers=3)])
def test_with_narrow_limits_every_mail_is_cut_within_them(limits: Limits) -> None:
    for name, raw in mails():
        try:
            root = cut(raw, limits)
        except Unreadable:
            continue
        assert len(list(root.walk())) <= limits.parts + 1, name
        assert depth(root) <= limits.depth, name
        assert all(len(part.headers) <= limits.headers for part in root.walk()), name


def depth(part: Part) -> int:
    return 1 + max(map(depth, part.parts)) if part.parts else 0
