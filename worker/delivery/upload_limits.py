"""Time limits and content types of uploads."""

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
TOO_SLOW = "the upload of the result did not finish in time"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Time limits of an upload."""

    total_seconds: float = 300.0
    """For all files of a job together, including retries; as long as a download may take."""
    connect_seconds: float = 5.0
    """For connecting, and for each pause of the server while a body is sent."""
    answer_seconds: float = 30.0
    """For the response after the body: a store may still have to write it."""


def content_type(path: Path) -> str:
    """Return the content type of a file that we wrote, by its suffix."""
    return _TYPES.get(path.suffix, "application/octet-stream")
