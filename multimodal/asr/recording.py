"""A recording as it comes out of the confined child, in windows, so that little of it is held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from multimodal.confined.sound import END, RATE

Samples = npt.NDArray[np.int16]

_QUIET = RATE // 5
"""Samples of a pause in which a recording may be cut."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Something that was said, and when, in seconds of the recording."""

    start: float
    end: float
    text: str
    """With the space before it that its language wants."""
    confidence: float
    """0 to 1."""


@dataclass(slots=True)
class Recording:
    """Sound that is taken from the front and filled up behind."""

    pieces: Iterator[bytes]
    note: str = ""
    """What is wrong with the recording; known when it is `over`."""
    over: bool = False
    passed: int = 0
    """Samples that were taken."""
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.int16))

    @property
    def start(self) -> float:
        """Of `samples`, in seconds."""
        return self.passed / RATE

    @property
    def seconds(self) -> float:
        """Of all that came so far."""
        return (self.passed + len(self.samples)) / RATE

    def fill(self, seconds: float) -> Samples:
        """Have so many seconds, or the rest. What came is held until it is `take`n."""
        wanted = int(seconds * RATE)
        have = len(self.samples)
        new = []
        while have < wanted and not self.over:
            piece = next(self.pieces, END)
            if piece.startswith(END):
                self.note, self.over = piece[1:].decode(), True
                next(self.pieces, None)  # to the very end, or the child is taken for stuck
            else:
                new.append(np.frombuffer(piece, np.int16, offset=1))
                have += len(new[-1])
        if new:
            self.samples = np.concatenate((self.samples, *new))
        return self.samples

    def finish(self) -> None:
        """Hear that there is no more. After a `fill` that got less than it wanted there is none."""
        if not self.over:
            self.fill(len(self.samples) / RATE + 1.0)

    def take(self, count: int) -> Samples:
        taken, self.samples = self.samples[:count], self.samples[count:].copy()
        self.passed += len(taken)
        return taken

    def pause(self, seconds: float) -> int:
        """Where to cut: the middle of the quietest fifth of a second of the last `seconds`."""
        if self.over:
            return len(self.samples)
        tail = self.samples[-int(seconds * RATE) :]
        energy = np.cumsum(tail.astype(np.float32) ** 2, dtype=np.float64)
        quietest = int(np.argmin(energy[_QUIET:] - energy[:-_QUIET]))
        return len(self.samples) - len(tail) + quietest + _QUIET // 2
