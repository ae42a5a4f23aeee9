"""Somebody who passes the subject and is not found for a moment is expected on a straight course."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.datatypes.plan import MovedMasks
from pipeline.datatypes.survey import Track
from pipeline.plan.unfound_others import others_moved
from tests.support.clip_info import video_info
from tests.support.followed import made, made_track

COUNT = 60
WORLD = np.tile(np.eye(3), (COUNT, 1, 1))


def passer(*, gap: tuple[int, int] = (28, 36), start: float = 60.0) -> list[Track]:
    """Return somebody who walks to the right, and is not found from a frame to another one (exclusive)."""
    parts = [np.arange(0, gap[0]), np.arange(gap[1], COUNT)]
    tracks = [made_track(number + 1, frames, start + 5.0 * frames) for number, frames in enumerate(parts)]
    # The nearer the gap, the more of them is hidden.
    hidden = [400 * np.minimum(gap[0] - parts[0], 8), 400 * np.minimum(parts[1] - gap[1] + 1, 8)]
    return [replace(track, mask_px=px) for track, px in zip(tracks, hidden, strict=True)]


def moved(
    others: list[list[Track]], *, cuts: tuple[int, ...] = (0,), fps: int = 30, world: np.ndarray = WORLD
) -> MovedMasks | None:
    subject_track = made_track(0, np.arange(COUNT), np.full(COUNT, 220.0))
    subject, _ = made((subject_track,), COUNT).choose()
    return others_moved(subject, others, video_info(COUNT, fps=fps), np.array(cuts), world)


def test_whole_masks_from_both_sides_follow_the_course() -> None:
    found = moved([passer()])
    assert found is not None
    assert sorted(set(found.frames.tolist())) == list(range(28, 36))
    assert set(found.track_ids.tolist()) == {1, 2}
    for frame, source, offset in zip(found.frames, found.source_frames, found.offsets_xy, strict=True):
        assert offset == pytest.approx((5.0 * (frame - source), 0), abs=1e-3)
        # At the ends of the gap the mask is the smallest.
        assert source <= 20 or source >= 43


def test_the_course_is_straight_in_the_world_and_not_in_a_picture_that_shakes() -> None:
    shaken = WORLD.copy()
    shaken[30, 0, 2] = 12.0
    found = moved([passer()], world=shaken)
    assert found is not None
    rows = np.flatnonzero(found.frames == 30)
    assert found.offsets_xy[rows, 0] == pytest.approx(5.0 * (30 - found.source_frames[rows]) - 12.0, abs=1e-3)


@pytest.mark.parametrize("kind", ["far away", "for long", "over a cut", "never lost"])
def test_nobody_is_guessed(kind: str) -> None:
    people = {
        "far away": [passer(start=600.0)],
        "for long": [passer()],
        "over a cut": [passer()],
        "never lost": [[made_track(1, np.arange(COUNT), 60 + 5.0 * np.arange(COUNT))]],
    }[kind]
    assert moved(people, cuts=(0, 32) if kind == "over a cut" else (0,), fps=5 if kind == "for long" else 30) is None
