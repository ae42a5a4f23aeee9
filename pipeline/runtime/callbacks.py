"""Callbacks of a pass: a check that may stop the job, and a progress report."""

from __future__ import annotations

from collections.abc import Callable

Check = Callable[[], None]
"""Raises ``Cancelled`` or ``JobTimeout`` when the job must stop; cheap: called for each frame and denoising step."""


Progress = Callable[[str, int, int], None]
"""(stage, frames done, total frames)."""
