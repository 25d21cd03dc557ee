"""Events come out the same, however the network cuts the bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sse import Event, EventStream, TooLarge

_TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
_EVENTS = st.lists(
    st.tuples(st.lists(_TEXT, min_size=1, max_size=3), st.sampled_from(["", "ping", "error"])),
    max_size=6,
)


def fed(chunks: list[bytes], **limits: int) -> list[Event]:
    stream = EventStream(**limits)
    return [event for chunk in chunks for event in stream.feed(chunk)]


@given(
    events=_EVENTS,
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=4),
    bom=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=30),
)
def test_any_cutting_of_a_stream_gives_the_same_events(
    events: list[tuple[list[str], str]], ends: list[str], bom: bool, cuts: list[int]
) -> None:
    lines: list[str] = []
    for data, name in events:
        lines += [f"event: {name}"] if name else []
        lines += [": comment", *(f"data: {line}" for line in data), ""]
    written = "".join(line + ends[i % len(ends)] for i, line in enumerate(lines))
    raw = b"\xef\xbb\xbf" * bom + written.encode()
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    chunks = [raw[a:b] for a, b in pairwise(places)]

    # A lone CR followed by the LF of the next line would be one line end, by the standard.
    expected = [Event("\n".join(data).encode(), name.encode()) for data, name in events]
    if "\r" not in ends or "\n" not in ends:
        assert fed(chunks) == expected
    assert fed(chunks) == fed([raw])
    assert fed([raw[i : i + 1] for i in range(len(raw))]) == fed([raw])


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_no_bytes_upset_it(chunks: list[bytes]) -> None:
    assert fed(chunks) == fed([b"".join(chunks)])


def test_fields_are_read_as_the_standard_says() -> None:
    raw = b"id: 7\nevent: a\ndata:x\ndata:  y\ndata\n\ndata: z\n\n:c\n\nevent: lost\n\n"

    assert fed([raw]) == [Event(b"x\n y\n", b"a", b"7"), Event(b"z", b"", b"7")]


def test_an_event_without_its_blank_line_is_pending() -> None:
    stream = EventStream()

    assert stream.feed(b"data: [DO") == []
    assert stream.feed(b"NE]") == []
    assert stream.pending() == b"[DONE]"


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 20],
        [b"data: " + b"x" * 20 + b"\n\n"],
        [b"data: "] + [b"x"] * 20,
        [b"data: xxxx\n"] * 20,
    ],
)
def test_lines_and_events_beyond_their_limit_are_refused(chunks: list[bytes]) -> None:
    with pytest.raises(TooLarge):
        fed(chunks, line_limit=16, event_limit=32)
