"""Settings of one folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from config.fields import Duration, Section, Size


class FolderConfig(Section):
    """One folder: ``folder: {path: /srv/questions}``."""

    path: Path = Field(description="Holds in/, out/ and read/, each with a folder for a person.")
    every: Duration = Field(1.0, ge=0.01, le=3600, description="Seconds between two looks.")
    limit: Size = Field(2**20, ge=1, le=2**26, description="Largest question.")

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        if not value.expanduser().is_absolute():
            raise ValueError("begins with / or ~: it must not depend on where Moltgate is started")
        return value.expanduser()
