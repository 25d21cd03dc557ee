"""What is told about a machine that cannot read."""

from __future__ import annotations

import sys

import pytest

from multimodal.checkup import missing


def test_what_to_install_is_said_where_celery_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() == ""

    monkeypatch.setitem(sys.modules, "celery", None)  # how Python says: not there

    assert "celery is missing, pip install 'moltgate[media]'" in missing()
