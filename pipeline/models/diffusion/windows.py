"""Rows of a window as a motion module needs them."""

from __future__ import annotations

FEWEST_FRAMES = 16
"""Motion modules were trained on 16 frames; shorter shots are padded by their own mirrored frames."""


def mirrored_indices(frames: int, at_least: int) -> list[int]:
    """Return row numbers: 0 … frames - 1, mirrored back and forth until there are ``at_least`` of them."""
    period = max(2 * frames - 2, 1)
    return [min(i % period, period - i % period) if frames > 1 else 0 for i in range(max(frames, at_least))]
