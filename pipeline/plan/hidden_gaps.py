"""Decide whether a person who is not detected for a while is occluded by somebody else throughout, or has left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import Track
from pipeline.maths.boxes import overlap_of_smaller

MAX_HIDDEN_SECONDS = 1.2
"""Two people walking past each other occlude one another for up to a second; over longer times a straight path is a
guess."""
MIN_HIDDEN_SHARE = 0.3
"""Fraction of the smaller box that somebody else has to cover in each frame: a person more than half visible is
detected."""

BoxesByFrame = Mapping[int, Sequence[NDArray[np.float64]]]


def boxes_by_frame(people: Sequence[Sequence[Track]]) -> dict[int, list[NDArray[np.float64]]]:
    """Return the boxes (4,) of all people in each frame that has any; source px."""
    boxes: dict[int, list[NDArray[np.float64]]] = {}
    for person in people:
        for track in person:
            for frame, box in zip(track.frames.tolist(), track.boxes_xyxy, strict=True):
                boxes.setdefault(frame, []).append(box)
    return boxes


def is_hidden_between(
    before: int, after: int, boxes_xyxy: NDArray[np.float64], others: BoxesByFrame, pts_seconds: NDArray[np.float64]
) -> bool:
    """Return whether somebody else covers the person's expected position in every frame between two detections.

    ``boxes_xyxy`` (T, 4) are the person's, known in both frames; a straight path is assumed between them.
    """
    if pts_seconds[after] - pts_seconds[before] > MAX_HIDDEN_SECONDS:
        return False
    for frame in range(before + 1, after):
        share = (pts_seconds[frame] - pts_seconds[before]) / (pts_seconds[after] - pts_seconds[before])
        box = (1 - share) * boxes_xyxy[before] + share * boxes_xyxy[after]
        if not any(overlap_of_smaller(box, other) >= MIN_HIDDEN_SHARE for other in others.get(frame, ())):
            return False
    return True
