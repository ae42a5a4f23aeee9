"""How many denoising steps are run, and in which of them a ControlNet is active; used for generation and for
estimates."""

from __future__ import annotations

FACE_STRENGTH = 0.4
"""Fraction of the steps that is run where a face is regenerated: every feature stays in its place."""


def num_steps_run(steps: int, strength: float, *, has_start: bool) -> int:
    """Return how many of ``steps`` are run: with a picture to start from only the last ``strength`` (0..1) of them."""
    return max(1, min(steps, round(steps * strength))) if has_start else steps


def guides_in_step(step: int, steps_run: int, end: float) -> bool:
    """Return whether a ControlNet is active in a step (from 0): it is in the first ``end`` (0..1) of those run."""
    return (step + 1) / steps_run <= end
