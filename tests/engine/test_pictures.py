"""Pictures beside the text: who is shown them, how many, and what happens when they are refused."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import structlog
from PIL import Image

from engine import pictures
from engine.config import EngineConfig, FallbackConfig
from engine.registry import build
from engine.service import EngineService
from gateway.errors import Busy, Failed, Refused, Unavailable
from gateway.ports import ChatMessage, Finished, Prompt
from tests.engine.scenes import events_of, text_of
from tests.fakes.clock import MovedClock
from tests.fakes.engine import FakeEngine

PNG = b"\x89PNG\r\n\x1a\n one"
JPEG = b"\xff\xd8\xff\xe0 two"


class Shelf:
    """Pictures by digest, and which were asked for."""

    def __init__(self, **kept: bytes) -> None:
        self.kept = kept
        self.loaded: list[str] = []

    async def load(self, digest: str) -> bytes:
        self.loaded.append(digest)
        if digest not in self.kept:
            raise Failed("no such blob")
        return self.kept[digest]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(one=PNG, two=JPEG)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[FakeEngine, FakeEngine]]:
    first, second = await FakeEngine.start(), await FakeEngine.start()
    yield first, second
    await first.stop()
    await second.stop()


MakeService = Callable[..., EngineService]


@pytest.fixture
async def service_of(
    pair: tuple[FakeEngine, FakeEngine], shelf: Shelf
) -> AsyncIterator[MakeService]:
    """Engines ``first`` and ``second``, each with the `vision` given for it."""
    made: list[EngineService] = []

    def make(*vision: bool | None, load: pictures.Load | None = shelf.load) -> EngineService:
        engines = {
            name: EngineConfig(url=fake.url, model="fake", vision=sees)
            for (name, fake), sees in zip(
                zip(("first", "second"), pair, strict=True), vision, strict=False
            )
        }
        made.append(build(engines, MovedClock(), FallbackConfig(), pictures=load))
        return made[-1]

    yield make
    for service in made:
        await service.close()


def shows(*digests: str, text: str = "what is this?") -> Prompt:
    message = ChatMessage(role="user", content=text, pictures=digests)
    return Prompt(messages=(ChatMessage(role="system", content="be brief"), message))


def image(content: bytes, kind: str) -> dict[str, Any]:
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def asked(fake: FakeEngine, number: int = -1) -> Any:
    """The content of the last message of a request."""
    return fake.requests[number].messages[-1]["content"]


def images(content: str | Sequence[Any]) -> int:
    return 0 if isinstance(content, str) else sum("image_url" in part for part in content)


async def test_a_model_that_sees_gets_text_and_pictures_as_parts_in_order(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await events_of(service_of(True), shows("two", "one", text="look <|im_end|>"))

    (request,) = pair[0].requests
    assert request.messages[0] == {"role": "system", "content": "be brief"}
    assert request.messages[1] == {
        "role": "user",
        "content": [
            {"type": "text", "text": "look < |im_end| >"},
            image(JPEG, "jpeg"),
            image(PNG, "png"),
        ],
    }


async def test_a_picture_without_words_is_no_empty_text(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await events_of(service_of(True), shows("one", text=""))

    assert asked(pair[0]) == [image(PNG, "png")]


@pytest.mark.parametrize("vision", [None, False])
async def test_any_other_model_gets_the_text_alone_and_nothing_is_loaded(
    vision: bool | None,
    service_of: MakeService,
    pair: tuple[FakeEngine, FakeEngine],
    shelf: Shelf,
) -> None:
    await events_of(service_of(vision), shows("one"))

    assert asked(pair[0]) == "what is this?"
    assert shelf.loaded == []


async def test_without_a_place_to_load_them_from_the_text_goes_alone(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await events_of(service_of(True, load=None), shows("one"))

    assert asked(pair[0]) == "what is this?"


async def test_a_message_without_pictures_stays_plain_text_for_a_model_that_sees(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await events_of(service_of(True), shows())

    assert asked(pair[0]) == "what is this?"


async def test_the_built_in_model_answers_to_the_text(shelf: Shelf) -> None:
    service = build({}, MovedClock(), pictures=shelf.load)
    try:
        events = await events_of(service, shows("one", text="Hello!"))
    finally:
        await service.close()

    assert text_of(events)
    assert shelf.loaded == []


# --- who takes over ---


@pytest.mark.parametrize(
    "vision", [(True, False), (False, True), (True, True)], ids=["to blind", "to seeing", "both"]
)
@pytest.mark.parametrize("fault", [{"status": 500}, {"cut_after": 1}])
async def test_whoever_takes_over_gets_what_it_can_use(
    vision: tuple[bool, bool],
    fault: dict[str, Any],
    service_of: MakeService,
    pair: tuple[FakeEngine, FakeEngine],
    shelf: Shelf,
) -> None:
    pair[0].fault(**fault)

    events = await events_of(service_of(*vision), shows("one", "two"))

    assert isinstance(events[-1], Finished)
    assert events[-1].engine == "second"
    assert tuple(images(asked(fake)) for fake in pair) == tuple(2 * sees for sees in vision)
    assert shelf.loaded == ["one", "two"]  # once, whoever is asked


async def test_pictures_do_not_change_who_is_asked_first(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await events_of(service_of(False, True), shows("one"))

    assert (pair[0].asked, pair[1].asked) == (1, 0)


# --- limits ---


async def test_of_too_many_the_newest_go_along(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], shelf: Shelf
) -> None:
    shelf.kept = {str(n): PNG + str(n).encode() for n in range(pictures.MOST + 2)}
    old, new = tuple(shelf.kept)[:2], tuple(shelf.kept)[2:]
    messages = (
        ChatMessage(role="user", content="before", pictures=old),
        ChatMessage(role="assistant", content="I see"),
        ChatMessage(role="user", content="and now?", pictures=new),
    )

    await events_of(service_of(True), Prompt(messages=messages))

    (request,) = pair[0].requests
    assert request.messages[0]["content"] == "before"
    assert asked(pair[0])[1:] == [image(shelf.kept[digest], "png") for digest in new]
    assert set(shelf.loaded) == set(new)


async def test_what_is_too_large_missing_or_no_picture_is_left_out_and_said(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], shelf: Shelf
) -> None:
    shelf.kept |= {"huge": PNG.ljust(pictures.LARGEST + 1), "pdf": b"%PDF-1.7 hidden words"}

    with structlog.testing.capture_logs() as logs:
        await events_of(service_of(True), shows("huge", "gone", "pdf", "one"))

    assert asked(pair[0])[1:] == [image(PNG, "png")]
    assert [one["event"] for one in logs] == ["picture_left_out"] * 3
    assert "hidden words" not in str(logs)


async def test_all_pictures_of_a_request_together_are_bounded(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine], shelf: Shelf
) -> None:
    shelf.kept = {name: PNG.ljust(pictures.LARGEST) for name in "abc"} | {"small": PNG}
    assert 2 * pictures.LARGEST < pictures.ALTOGETHER < 3 * pictures.LARGEST

    await events_of(service_of(True), shows(*"abc", "small"))

    assert images(asked(pair[0])) == 3
    assert asked(pair[0])[-1] == image(PNG, "png")


# --- a model that sees none, though it is configured so ---


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 413},
        {"status": 415},
        {"status": 422},
        {"status": 404, "error": "No endpoints found that support image input"},
        {"status": 500, "error": "image input is not supported - hint: provide the mmproj"},
    ],
)
async def test_a_model_that_takes_no_pictures_is_asked_without_and_the_operator_told(
    fault: dict[str, Any],
    stream: bool,
    service_of: MakeService,
    pair: tuple[FakeEngine, FakeEngine],
) -> None:
    service = service_of(True)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            pair[0].fault(**fault, times=1)
            prompt = shows("one")
            asking = Prompt(messages=prompt.messages, stream=stream)
            assert "what is this?" in text_of(await events_of(service, asking))

    assert [images(asked(pair[0], n)) for n in range(4)] == [1, 0, 1, 0]
    (told,) = [one for one in logs if one["event"] == "engine_refused_pictures"]
    assert "engines.first.vision" in told["remedy"]
    assert told["status"] == fault["status"]


async def test_what_is_refused_without_pictures_too_is_not_their_fault(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    pair[0].fault(status=400)

    with structlog.testing.capture_logs() as logs, pytest.raises(Refused):
        await events_of(service_of(True, True), shows("one"))

    assert [images(asked(pair[0], n)) for n in range(2)] == [1, 0]
    assert pair[1].asked == 0
    assert not [one for one in logs if one["event"] == "engine_refused_pictures"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401}, Failed),
        ({"status": 500}, Unavailable),
        ({"status": 429, "error": "too many images"}, Busy),
    ],
)
async def test_other_failures_are_not_repeated_without_pictures(
    fault: dict[str, Any],
    kind: type[Exception],
    service_of: MakeService,
    pair: tuple[FakeEngine, FakeEngine],
) -> None:
    pair[0].fault(**fault)

    with pytest.raises(kind):
        await events_of(service_of(True), shows("one"))

    assert pair[0].asked == 1


async def test_the_status_tells_of_a_model_that_takes_no_pictures(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    service = service_of(True, False)
    assert [each.ok for each in await service.status()] == [True, True]
    assert (images(asked(pair[0])), pair[1].asked) == (1, 0)

    pair[0].fault(status=400, times=1)
    (told, _) = await service.status()
    assert not told.ok
    assert "engines.first.vision: false" in told.detail

    pair[0].fault(status=500)  # that is another trouble
    (told, _) = await service.status()
    assert told.detail == "serves fake"


async def test_the_picture_that_is_tried_is_one(
    service_of: MakeService, pair: tuple[FakeEngine, FakeEngine]
) -> None:
    await service_of(True).status()

    packed = asked(pair[0])[1]["image_url"]["url"].partition(";base64,")[2]
    with Image.open(io.BytesIO(base64.b64decode(packed))) as shown:
        assert shown.size == (64, 64)
        assert shown.convert("L").getextrema() == (255, 255)
