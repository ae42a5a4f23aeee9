"""Configuration of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import Settings
from webpage.job_runner import JobRunner


@dataclass(frozen=True, slots=True)
class PageConfig:
    """Configuration of the page."""

    runner: JobRunner
    folder: Path
    """The page's folder: clips downloaded from a URL go to ``uploads`` in it."""
    settings_of: Callable[[str], Settings]
    """Maps a preset to its settings, with the operator's overrides."""
    preset: str
    locked: Sequence[str] = ()
    private_hosts: frozenset[str] = frozenset()
    where: str = "on this machine"
