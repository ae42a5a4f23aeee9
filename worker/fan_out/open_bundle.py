"""What the last chunk job was drawn from, kept for the next one of the same job."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.media.clip import Clip
from pipeline.request import JobRequest
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class OpenBundle:
    """A bundle that was fetched, unpacked and opened."""

    sha256: str
    """Of the bundle: tells whether the next chunk is drawn from it, too."""
    request: JobRequest
    settings: Settings
    workspace: Path
    clip: Clip
    held: ExitStack
    """Its folder and its clip."""

    def close(self) -> None:
        """Close the clip and remove the folder."""
        self.held.close()
