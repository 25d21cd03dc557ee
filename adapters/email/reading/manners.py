"""RFC 3834: which mails are never answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from adapters.email.reading.mail import Mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """What may be loosened. Nothing here lets a robot, a bounce or ourselves be answered."""

    lists: bool = False
    """Answer what came through a mailing list."""
    bulk: bool = False
    """Answer what carries the marks of mass mail (Feedback-ID, one-click unsubscribing, campaign
    ids, Precedence: bulk)."""
    only_addressed: bool = True
    """Be silent where we stand in neither To nor Cc."""


def why_not_answered(mail: Mail, own: Collection[str], manners: Manners | None = None) -> str:
    """The reason in few words of low cardinality, e.g. ``null_sender``; empty when it may be
    answered. `own` are all our addresses, aliases included; ``name+tag@`` belongs to ``name@``."""
    raise NotImplementedError
