"""What a reader of files needs on this machine, and what to do where it is missing.

Asked by `moltgate doctor` and by the supervisor. Looks only: no heavy library is imported.
"""

from __future__ import annotations

from importlib.util import find_spec

INSTALL = "pip install 'moltgate[media]'"


def missing() -> str:
    """Why no file can be read here at all, with the remedy; empty when one can."""
    if find_spec("celery") is None:
        return f"pictures, documents and voice are not read: celery is missing, {INSTALL}"
    return ""
