"""Whether somebody who is not found for a while is behind somebody else all that time, and not gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import Track
from pipeline.maths.boxes import overlap_of_smaller

MAX_HIDDEN_SECONDS = 1.2
"""Two who walk past each other hide one another for up to a second; over longer a straight course is a guess."""
MIN_HIDDEN_SHARE = 0.3
"""Of the smaller box, that somebody else has to cover in each frame: found are those of whom a good half is seen."""

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
    """Return whether somebody else covers where a person must be in every frame between two in which they are found.

    ``boxes_xyxy`` (T, 4) are the person's, known in both frames; between them a straight course is taken.
    """
    if pts_seconds[after] - pts_seconds[before] > MAX_HIDDEN_SECONDS:
        return False
    for frame in range(before + 1, after):
        share = (pts_seconds[frame] - pts_seconds[before]) / (pts_seconds[after] - pts_seconds[before])
        box = (1 - share) * boxes_xyxy[before] + share * boxes_xyxy[after]
        if not any(overlap_of_smaller(box, other) >= MIN_HIDDEN_SHARE for other in others.get(frame, ())):
            return False
    return True
