"""Segments to text that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from multimodal.asr.recording import Segment

PAUSE = 1.5
"""Seconds of silence between two paragraphs."""

LONG = 60.0
"""Seconds after which a paragraph ends with its sentence, though nobody paused."""

_ENDS = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001


def written(segments: Iterable[Segment], *, times: bool) -> str:
    """Paragraphs, with their times where asked for."""
    paragraphs = []
    for paragraph in _paragraphs(segments):
        text = "".join(segment.text for segment in paragraph)
        text = " ".join(text.split())
        if text:
            paragraphs.append(f"[{stamp(paragraph[0].start)}] {text}" if times else text)
    return "\n\n".join(paragraphs)


def stamp(seconds: float) -> str:
    """``02:05``, ``1:02:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _paragraphs(segments: Iterable[Segment]) -> Iterable[Sequence[Segment]]:
    paragraph: list[Segment] = []
    for segment in segments:
        if paragraph and _ends(paragraph, segment):
            yield paragraph
            paragraph = []
        paragraph.append(segment)
    if paragraph:
        yield paragraph


def _ends(paragraph: Sequence[Segment], following: Segment) -> bool:
    last = paragraph[-1]
    if following.start - last.end >= PAUSE:
        return True
    return last.end - paragraph[0].start >= LONG and last.text.rstrip().endswith(_ENDS)
