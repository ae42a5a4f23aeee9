"""The reference pictures in a job's ``input``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def with_references(job_input: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return a job's ``input`` with ``change`` applied to each reference picture, those of ``subjects`` included.

    Values of the wrong type are left to the worker, which names the field.
    """
    changed = dict(job_input)
    if isinstance(changed.get("reference_image_url"), str):
        changed["reference_image_url"] = change(changed["reference_image_url"])
    if isinstance(changed.get("reference_image_urls"), list):
        changed["reference_image_urls"] = [
            change(each) if isinstance(each, str) else each for each in changed["reference_image_urls"]
        ]
    if isinstance(changed.get("subjects"), list):
        changed["subjects"] = [
            with_references(each, change) if isinstance(each, Mapping) else each for each in changed["subjects"]
        ]
    return changed


def local_references(job_input: Mapping[str, Any]) -> list[str]:
    """Return the reference pictures of a job's ``input`` that are local files."""
    found: list[str] = []

    def collect(source: str) -> str:
        found.append(source)
        return source

    with_references(job_input, collect)
    return [source for source in found if "://" not in source]
