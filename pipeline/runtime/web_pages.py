"""Tell a web page from a damaged file: the address of a page that shows a video or a picture is often given instead of
the file's own."""

from __future__ import annotations

from pathlib import Path

_HEAD_BYTES = 1024


def is_web_page(path: Path) -> bool:
    """Return whether a file that could not be read begins as HTML; False where it cannot be opened."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).lower()
    except OSError:
        return False
    return b"<!doctype html" in head or b"<html" in head
