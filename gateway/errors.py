"""What went wrong, named after what happens next.

GatewayError
├── Refused        the sender is told why; nothing is retried
├── Retryable      the same thing is tried again later
│   ├── Busy         the other side asked us to slow down, and for how long
│   └── Unavailable  the other side is not there
├── Uncertain      it may have happened; it is not repeated blindly
├── Superseded     somebody newer holds this work; our result is dropped
├── Failed         kept for an operator, with the reason
└── BadConfig      before anything starts

Each library's exceptions are translated into these at one door, by a table beside the client.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of everything the gateway raises on purpose."""


class Refused(GatewayError):
    """The request was not taken; the text is fit to be shown to its sender."""

    def __init__(self, text: str, *, reason: str = "refused") -> None:
        super().__init__(text)
        self.text = text
        self.reason = reason
        """Low-cardinality label for metrics, e.g. ``rate_limit``."""


class Retryable(GatewayError):
    """It did not happen; trying again later makes sense."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
        """Seconds to wait at least, where the other side said so."""


class Busy(Retryable):
    """The other side asked us to slow down. Waiting for it is not an attempt."""


class Unavailable(Retryable):
    """The other side could not be reached or does not work at the moment."""


class Uncertain(GatewayError):
    """The request was sent and no answer came back: it may have happened."""


class Superseded(GatewayError):
    """The lease or the ownership this work was done under has gone to somebody else."""


class Failed(GatewayError):
    """It will not work by repeating; an operator has to look."""


class BadConfig(GatewayError):
    """The configuration cannot be used. Path first, reason second, remedy last."""

    def __init__(self, where: str, reason: str, remedy: str = "") -> None:
        self.where = where
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{where}: {reason}" + (f" ({remedy})" if remedy else ""))
