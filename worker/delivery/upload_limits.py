"""What every upload shares: its limits in time and its content types."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".png": "image/png",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".zip": "application/zip",
}
TOO_SLOW = "the upload of the result did not end in time"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How long an upload may take."""

    total_seconds: float = 300.0
    """For all files of a job together, further tries included; as long as a download may take."""
    connect_seconds: float = 5.0
    """To connect; also how long a server may take nothing while a body is sent to it."""
    answer_seconds: float = 30.0
    """For the answer after a body was sent: a store may still have to write it."""


def content_type(path: Path) -> str:
    """Return the type to store a file under, from the suffix that we gave it."""
    return _TYPES.get(path.suffix, "application/octet-stream")
