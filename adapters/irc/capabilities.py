"""What IRC can do, as data: lines of text, and nothing else."""

from __future__ import annotations

from gateway.ports import Capabilities

PART_LIMIT = 1500
"""Of one part, in bytes; a line feed counts as `LINE_COST`, so that a part is a handful of lines
and goes out within the burst that servers allow."""
LINE_COST = 350

CAPABILITIES = Capabilities(text_limit=PART_LIMIT, dialect="irc", groups=True)
