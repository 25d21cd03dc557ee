"""What a job is known by: settings that change a reading make another job of it."""

from __future__ import annotations

from typing import Any

import annotated_types
import pytest

from gateway.message import Attachment
from multimodal.config import MediaConfig, SpeechConfig
from multimodal.jobs import LONGEST, to_read, to_speak
from multimodal.tasks import GRACE_SECONDS


def ids(**settings: Any) -> dict[str, str]:
    config = MediaConfig.model_validate(settings)
    files = {"ocr": "image", "asr": "voice", "doc": "document"}
    read = {
        kind: to_read(Attachment(kind=each, digest="1" * 64), "main", config).id  # type: ignore[arg-type]
        for kind, each in files.items()
    }
    return read | {"tts": to_speak("hello", "main", config).id}


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({}, set()),
        ({"ocr": {"languages": ["deu"]}}, {"ocr", "doc"}),
        ({"documents": {"scanned_pages": 3}}, {"ocr", "doc"}),
        ({"documents": {"rows": 50}}, {"doc"}),
        ({"asr": {"language": "de"}}, {"asr"}),
        ({"speech": {"voice": "de"}}, {"tts"}),
        ({"speech": {"timeout": 3}, "deadline": 7}, set()),
        ({"limits": {"seconds": 60}}, {"ocr", "asr", "doc"}),
    ],
)
def test_what_would_be_read_otherwise_is_another_job(
    settings: dict[str, Any], changed: set[str]
) -> None:
    usual, other = ids(), ids(**settings)

    assert {kind for kind in usual if usual[kind] != other[kind]} == changed


def test_a_voice_may_take_as_long_as_it_can_be_set_to() -> None:
    bounds = SpeechConfig.model_fields["timeout"].metadata
    (most,) = [each.le for each in bounds if isinstance(each, annotated_types.Le)]

    assert LONGEST["tts"] - GRACE_SECONDS > most  # type: ignore[operator]
