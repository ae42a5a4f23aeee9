"""The inputs of the last chunk job, kept for the next one of the same fan-out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.clip import Clip
from pipeline.request import JobRequest
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class OpenBundle:
    """A bundle that was downloaded, unpacked and opened."""

    sha256: str
    """Hash of the bundle's file, which shows whether the next chunk job needs the same bundle."""
    request: JobRequest
    settings: Settings
    workspace: Path
    clip: Clip
    held: ExitStack
    """Owns the folder and the clip."""

    def close(self) -> None:
        """Close the clip and remove the folder."""
        self.held.close()
