"""From the raw bytes of a mail to what the adapter needs to know: who, what, and may we answer.

The bytes are hostile. They are parsed in a child process (`reader`), and only plain data comes
back; everything else here decides on that data, without clock and network.
"""

from __future__ import annotations

from adapters.email.reading.grades import Graded, Trust, answer_to, grade
from adapters.email.reading.lines import address_safe, header_safe, id_safe
from adapters.email.reading.mail import (
    AuthResults,
    File,
    Limits,
    Mail,
    Property,
    Report,
    Result,
    Unreadable,
)
from adapters.email.reading.manners import Manners, loop_count, why_not_answered
from adapters.email.reading.reader import Reader, read

__all__ = [
    "AuthResults",
    "File",
    "Graded",
    "Limits",
    "Mail",
    "Manners",
    "Property",
    "Reader",
    "Report",
    "Result",
    "Trust",
    "Unreadable",
    "address_safe",
    "answer_to",
    "grade",
    "header_safe",
    "id_safe",
    "loop_count",
    "read",
    "why_not_answered",
]
