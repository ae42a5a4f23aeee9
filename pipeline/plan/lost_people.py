"""When somebody close to the subject is lost from sight: their pixels can no longer be attributed by a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import Track
from pipeline.maths.time_ranges import seconds_of

_LEAST_SECONDS = 0.3
_EDGE_PX = 3
"""A box this near to the picture's edge means that the person left."""


def others_lost(
    subject: Subject, others: Sequence[Sequence[Track]], info: VideoInfo, shot_starts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return (T,): the frames in which somebody who was lost within the picture may be close to the subject.

    They are until they are found again or the shot ends: nobody leaves a picture but by its edge.
    """
    lost = np.zeros(info.num_frames, np.bool_)
    for other in others:
        frames = np.concatenate([track.frames for track in other])
        boxes = np.concatenate([track.boxes_xyxy for track in other])
        order = np.argsort(frames)
        frames = frames[order]
        boxes = boxes[order]
        for row in np.flatnonzero(np.diff(frames, append=info.num_frames) > 1):
            if not _is_inside(boxes[row], info):
                continue
            first = int(frames[row]) + 1
            is_found_again = row + 1 < len(frames)
            stop = int(frames[row + 1]) if is_found_again else info.num_frames
            cuts = shot_starts[(shot_starts >= first) & (shot_starts <= stop)]
            places = boxes[row : row + 2]
            if len(cuts) and cuts[0] < info.num_frames:
                stop = int(cuts[0])
                places = boxes[row : row + 1]
            if seconds_of((first, stop), info) > _LEAST_SECONDS:
                lost[first:stop] |= _is_close(subject, places, (first, stop))
    return lost


def _is_inside(box_xyxy: NDArray[np.float64], info: VideoInfo) -> bool:
    low, high = box_xyxy[:2].min(), (np.array(info.size_wh) - box_xyxy[2:]).min()
    return bool(min(low, high) > _EDGE_PX)


def _is_close(subject: Subject, boxes_xyxy: NDArray[np.float64], run: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): in which frames of a run the subject is within half a body height of where a track was lost or found."""
    theirs = np.array([*boxes_xyxy[:, :2].min(axis=0), *boxes_xyxy[:, 2:].max(axis=0)])
    reach = 0.5 * subject.body_height_px[slice(*run)]
    own_boxes = subject.boxes_xyxy[slice(*run)]
    apart = np.maximum(theirs[:2] - own_boxes[:, 2:], own_boxes[:, :2] - theirs[2:]).max(axis=1)
    present = subject.presence[slice(*run)] != Presence.ABSENT
    return present & (np.nan_to_num(apart, nan=np.inf) < np.nan_to_num(reach))
