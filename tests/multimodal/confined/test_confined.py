"""The child: what it may, what ends it, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from multimodal.confined import Confined, NoChild
from multimodal.readers import NotSetUp, Unreadable

MODULE = "tests.multimodal.confined.misdeeds"
MEMORY = 256 * 2**20
CLONE_NEWNET = 0x40000000


def confined(
    module: str = MODULE,
    *,
    memory: int = MEMORY,
    cpu: float = 20.0,
    wall: float = 60.0,
    **more: int,
) -> Confined:
    return Confined(module, memory=memory, cpu=cpu, wall=wall, **more)


@pytest.fixture
def child() -> Iterator[Confined]:
    """New, to be broken."""
    with confined() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[Confined]:
    with confined() as made:
        yield made


def pid(child: Confined) -> int:
    made: int = child.call("echo")["pid"]
    return made


def alive(pid: int) -> bool:
    """Neither running nor waiting to be reaped."""
    return Path(f"/proc/{pid}").exists()


def lives(process: psutil.Process) -> bool:
    """An orphan may wait for long until somebody reaps it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(true: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("waited for too long")


def test_a_call_comes_back_with_what_the_function_returns(shared: Confined) -> None:
    options: dict[str, Any] = {"a": 1, "b": ["ü", 2.5, None], "c": {"d": True}, "e": b"raw"}

    told = shared.call("echo", b"content", **options)

    assert (told["content"], told["options"]) == (b"content", options)


def test_an_empty_content_is_a_content(shared: Confined) -> None:
    assert shared.call("echo")["content"] == b""
    assert shared.call("echo", b"")["content"] == b""


def test_large_bytes_come_back_whole(shared: Confined) -> None:
    content = os.urandom(2**20) * 20

    assert shared.call("echo", content)["content"] == content
    big, more = shared.call("grow", size=2**20)
    assert (len(big), len(more["again"]), more["small"]) == (2**20, 2**20, b"x")


def test_large_bytes_are_held_once_by_the_parent() -> None:
    """Frames are read into the bytes that are handed out."""
    import tracemalloc

    with confined() as child:
        child.call("echo")
        tracemalloc.start()
        try:
            told = child.call("grow", size=40 * 2**20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(told[0]) == 40 * 2**20
    assert peak < 85 * 2**20


def test_one_child_serves_many_calls(shared: Confined) -> None:
    assert len({pid(shared) for _ in range(20)}) == 1


def test_after_some_calls_there_is_another_child() -> None:
    with confined(calls=3) as child:
        assert [child.call("count") for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_pieces_come_one_after_another(shared: Confined) -> None:
    pieces = list(shared.stream("pieces", count=50, size=100_000))

    assert [piece[0] for piece in pieces] == list(range(50))
    assert {len(piece) for piece in pieces} == {100_000}
    assert list(shared.stream("pieces", count=0, size=1)) == []


def test_a_stream_that_is_left_early_ends_its_child(child: Confined) -> None:
    first = pid(child)
    pieces = child.stream("pieces", count=10**9, size=100_000)
    next(pieces)

    with pytest.raises(RuntimeError, match="one call at a time"):
        child.call("echo")
    pieces.close()  # type: ignore[attr-defined]

    assert not alive(first)
    assert child.call("count") == 1


def test_a_stream_fails_in_its_middle(child: Confined) -> None:
    pieces = child.stream("pieces", count=2, size=10, then="unreadable")
    assert [next(pieces), next(pieces)] == [bytes(10), b"\x01" * 10]
    with pytest.raises(Unreadable, match="it is encrypted"):
        next(pieces)

    with pytest.raises(Unreadable, match="it breaks the program that unpacks it"):
        list(child.stream("pieces", count=2, size=10, then="crash"))
    assert child.call("count") == 1


def test_words_of_the_function_reach_the_user_and_the_child_lives_on(shared: Confined) -> None:
    first = pid(shared)

    with pytest.raises(Unreadable) as raised:
        shared.call("misdeed", what="unreadable")

    assert raised.value.problem == "it is encrypted"
    assert pid(shared) == first


@pytest.mark.parametrize("what", ["surprise", "recursion"])
def test_what_no_one_expected_is_a_damaged_file(shared: Confined, what: str) -> None:
    first = pid(shared)

    with pytest.raises(Unreadable, match="it is damaged, or made in a way we cannot read"):
        shared.call("misdeed", what=what)

    assert pid(shared) == first


def test_a_function_that_is_not_there_is_our_fault(shared: Confined) -> None:
    with pytest.raises(RuntimeError, match="has no lok"):
        shared.call("lok")
    with pytest.raises(RuntimeError):
        shared.call("pieces", count=1, size=1)
    with pytest.raises(RuntimeError):
        list(shared.stream("echo"))


LIMITS = [
    ("spin", "it takes too much work to unpack"),
    ("sleep", "it takes too long to unpack"),
    ("stall", "it takes too long to unpack"),
    ("eat", "it needs more memory than the limit"),
    ("crash", "it breaks the program that unpacks it"),
    ("exit", "it breaks the program that unpacks it"),
    ("leave", "it breaks the program that unpacks it"),
    ("lie", "it breaks the program that unpacks it"),
]


@pytest.mark.parametrize(
    ("what", "words", "streams"),
    [
        *((what, words, False) for what, words in LIMITS),
        *((what, words, True) for what, words in LIMITS[:5:2]),
    ],
)
def test_what_is_too_much_ends_the_child_and_not_us(what: str, words: str, streams: bool) -> None:
    with confined() as child:
        first = pid(child)
        child.wall = 0.5 if words == "it takes too long to unpack" else 60.0
        child.cpu = 0.2 if what == "spin" else 20.0
        with pytest.raises(Unreadable, match=words):
            run(child, what, streams)

        assert not alive(first)
        child.wall = 60.0
        assert child.call("count") == 1


def run(child: Confined, what: str, streams: bool) -> None:
    if streams:
        list(child.stream("pieces", count=0, size=0, then=what))
    else:
        child.call("misdeed", what=what)


@pytest.mark.parametrize("what", ["nonsense", "no blob", "flood"])
def test_a_child_that_says_what_ours_does_not_is_replaced(child: Confined, what: str) -> None:
    first = pid(child)
    with pytest.raises(Unreadable, match="it breaks the program that unpacks it"):
        child.call("misdeed", what=what)

    assert not alive(first)


def test_a_child_that_died_between_two_calls_is_not_missed(child: Confined) -> None:
    for kill in (signal.SIGKILL, signal.SIGSEGV):
        os.kill(pid(child), kill)

        assert child.call("count") == 1


def test_what_stops_the_service_is_not_for_the_child(shared: Confined) -> None:
    first = pid(shared)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(first, stop)

        assert pid(shared) == first


def test_a_child_that_died_for_no_known_reason_gets_one_more_chance(child: Confined) -> None:
    first = pid(child)

    assert child.call("kill_once", b"x", of=first) == "alive"
    assert pid(child) != first


@pytest.mark.parametrize(
    "what", ["file", "new file", "descriptor", "socket", "unix socket", "pipe", "memory file"]
)
def test_nothing_can_be_opened(shared: Confined, what: str) -> None:
    told = shared.call("misdeed", what=what)

    assert told in ("PermissionError 1", "OSError 24")  # by the filter of calls, or EMFILE


@pytest.mark.parametrize("what", ["fork", "thread", "program"])
def test_nothing_can_be_started(shared: Confined, what: str) -> None:
    told = shared.call("misdeed", what=what)

    assert told in ("PermissionError 1", "BlockingIOError 11", "RuntimeError")  # or EAGAIN


@pytest.mark.skipif(
    os.uname().machine not in ("x86_64", "aarch64"), reason="calls are not filtered there"
)
@pytest.mark.parametrize(
    "what",
    [
        *("delete", "rename", "folder", "truncate", "link", "mode", "list"),
        *("become", "signal", "signal all", "limit others"),
    ],
)
def test_nothing_is_done_that_needs_no_descriptor(shared: Confined, what: str) -> None:
    """None of these is kept away by limits: a service's files and processes are its user's."""
    assert shared.call("misdeed", what=what) == "PermissionError 1"


def test_the_child_knows_nothing_and_is_nobody(child: Confined, monkeypatch: Any) -> None:
    monkeypatch.setenv("MOLTGATE_SECRET", "hush")

    told = child.call("limits")

    assert told["environment"] == ["LC_CTYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    assert told["uid"] == (65534 if os.getuid() == 0 else os.getuid())
    assert not {"redis", "celery", "structlog", "pydantic", "subprocess"} & set(told["modules"])


def test_limits_are_as_said(shared: Confined) -> None:
    text = Path(f"/proc/{pid(shared)}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()}

    for name in ("Max open files", "Max processes", "Max file size", "Max core file size"):
        assert rows[name] == ["0", "0"], name
    assert rows["Max address space"] == [str(MEMORY)] * 2


def test_the_child_has_a_network_of_its_own_where_that_is_allowed(shared: Confined) -> None:
    # A service may do without root, and root without that right.
    probe = f"import ctypes; raise SystemExit(ctypes.CDLL(None).unshare({CLONE_NEWNET}) != 0)"
    allowed = subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0

    theirs = pid(shared)

    if allowed:
        assert os.readlink(f"/proc/{theirs}/ns/net") != os.readlink("/proc/self/ns/net")


def test_closing_leaves_no_child_and_no_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with confined() as child:
        first = pid(child)
        with pytest.raises(Unreadable):
            child.call("misdeed", what="crash")

    assert not alive(first)
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_child_does_not_outlive_us() -> None:
    """Not even while it works, and whatever became of us."""
    script = textwrap.dedent(
        f"""
        import threading
        from multimodal.confined import Confined
        child = Confined({MODULE!r}, memory={MEMORY}, cpu=600, wall=600)
        print(child.call("echo")["pid"], flush=True)
        child.call("misdeed", what="sleep")
        """
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root
    ) as parent:
        assert parent.stdout is not None
        theirs = psutil.Process(int(parent.stdout.readline()))
        assert lives(theirs)
        parent.kill()
        until(lambda: not lives(theirs))


def test_a_missing_library_is_told_with_its_remedy() -> None:
    with (
        confined("tests.multimodal.confined.broken") as child,
        pytest.raises(NotSetUp, match=r"a_library_nobody_has is not installed: .*moltgate\[media]"),
    ):
        child.call("look")


def test_a_child_that_cannot_start_is_our_fault() -> None:
    with (
        confined("tests.multimodal.confined.cold") as cold,
        pytest.raises(NoChild, match="too cold"),
    ):
        cold.call("look")
    with confined(memory=2**70) as impossible, pytest.raises(NoChild):
        impossible.call("echo")
