"""Track boxes from frame to frame with a library's ByteTrack, so that every person in a frame has an id."""

from __future__ import annotations

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from pipeline.datatypes.survey import Person

START_SCORE = 0.3
"""The backends report only detections above their own thresholds; ByteTrack's second stage is left for weaker ones."""
MIN_IOU = 0.1
SAME_BOX_IOU = 0.3
"""IoU of a track's second box with its first, which ByteTrack has not confirmed yet."""


class BoxTracker:
    """Gives each person a track id; ids never repeat, also after ``cut``."""

    def __init__(self, frames_per_second: float, lost_seconds: float) -> None:
        """``lost_seconds``: how long a track without boxes is kept for a person who returns near its path."""
        self._frames_per_second = frames_per_second
        self._lost_frames_at_30 = max(1, round(30 * lost_seconds))
        self._next_id = 0
        self.cut()

    def cut(self) -> None:
        """Forget all tracks; the next frame's people start new ones."""
        self._bytetrack = ByteTrackTracker(
            lost_track_buffer=self._lost_frames_at_30,
            frame_rate=self._frames_per_second,
            track_activation_threshold=START_SCORE,
            minimum_consecutive_frames=1,
            minimum_iou_threshold=MIN_IOU,
            high_conf_det_threshold=START_SCORE,
        )
        self._ids: dict[int, int] = {}
        self._unconfirmed: list[tuple[np.ndarray, int]] = []

    def push(self, people: list[Person]) -> list[int]:
        """Return the track id of each person of the next frame."""
        boxes = np.array([person.box_xyxy for person in people], np.float64).reshape(-1, 4)
        found = sv.Detections(
            xyxy=boxes,
            confidence=np.array([person.score for person in people], np.float64),
            data={"row": np.arange(len(people))},
        )
        theirs = np.full(len(people), -1, np.int64)
        tracked = self._bytetrack.update(found)
        if len(tracked):
            theirs[np.asarray(tracked.data["row"])] = tracked.tracker_id
        ids = []
        unconfirmed = []
        for box, tracker_id in zip(boxes, theirs.tolist(), strict=True):
            # ByteTrack assigns an id at a track's second box; the first one got our own number immediately.
            if tracker_id in self._ids:
                ids.append(self._ids[tracker_id])
                continue
            ours = self._claim(box) if tracker_id >= 0 else None
            if ours is None:
                ours = self._next_id
                self._next_id += 1
            if tracker_id >= 0:
                self._ids[tracker_id] = ours
            else:
                unconfirmed.append((box, ours))
            ids.append(ours)
        self._unconfirmed = unconfirmed
        return ids

    def _claim(self, box: np.ndarray) -> int | None:
        """The number given to the box in the last frame that this one continues."""
        if not self._unconfirmed:
            return None
        overlaps = sv.box_iou_batch(box[None], np.stack([other for other, _ in self._unconfirmed]))[0]
        best = int(np.argmax(overlaps))
        return self._unconfirmed.pop(best)[1] if overlaps[best] >= SAME_BOX_IOU else None
