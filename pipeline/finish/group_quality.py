"""The quality metrics of several subjects: per subject, and for the job."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence
from pipeline.finish.group_frame import SubjectShare
from pipeline.finish.inputs import FinishInputs
from pipeline.finish.quality import QualityMeter
from pipeline.result import Quality, SubjectReport

_OF_THE_PERSON = (
    "foot_slide_unlocked_percent",
    "foot_slide_percent",
    "placed_jitter_percent",
    "frames_absent",
    "frames_uncertain",
    "new_to_subject_scale",
    "body_scale",
    "reference_to_subject_scale",
)
"""Metrics that describe a person, not the picture."""
_WORST = ("foot_slide_unlocked_percent", "foot_slide_percent", "placed_jitter_percent")
"""Metrics for which the job takes the worst person's value."""


class GroupMeter:
    """Accumulates the results of each subject; frames may come from several threads, in any order."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        # Integers in quarter pixels: the sum does not depend on the order of the frames.
        self._sums = np.zeros((count, 3), np.int64)

    def push(self, shares: Sequence[SubjectShare]) -> None:
        """Add one frame."""
        rows = [(share.is_replaced, share.old_px, round(share.source_left_px * 256)) for share in shares]
        with self._lock:
            self._sums += np.array(rows, np.int64)

    def of(self, number: int) -> SubjectShare | None:
        """Return the sums of one subject; None before any frame. ``old_px`` and the rest are over all frames."""
        replaced, old_px, left = self._sums[number].tolist()
        return SubjectShare(bool(replaced), old_px, left / 256) if old_px else None

    def frames_replaced(self, number: int) -> int:
        return int(self._sums[number, 0])


def subject_report(
    inputs: FinishInputs,
    joints_unlocked: NDArray[np.float64],
    placed_joints: NDArray[np.float64],
    meter: GroupMeter,
    number: int,
    marks: Mapping[str, int],
) -> SubjectReport:
    """Return the metrics of one subject. Joints are (T, 21, 3) in source px, before and after the foot lock."""
    whole = QualityMeter(inputs.clip.info, inputs.plan)
    told = whole.finish(joints_unlocked, placed_joints, inputs.reference_person)
    presence = inputs.plan.subject.presence
    share = meter.of(number)
    quality = Quality.model_validate(
        {name: getattr(told, name) for name in _OF_THE_PERSON}
        | dict(marks)
        | {
            "frames_replaced": meter.frames_replaced(number),
            "source_left_percent": None if share is None else 100 * share.source_left_px / share.old_px,
        }
    )
    return SubjectReport(
        number=number,
        frames_replaced=meter.frames_replaced(number),
        frames_absent=int(np.count_nonzero(presence == Presence.ABSENT)),
        frames_uncertain=int(np.count_nonzero(presence == Presence.UNCERTAIN)),
        contacts=int(len(np.unique(inputs.plan.contacts.plant_id)) - (inputs.plan.contacts.plant_id < 0).any()),
        quality=quality,
    )


def quality_of_all(
    picture: Quality, subjects: Sequence[SubjectReport], presences: Sequence[NDArray[np.uint8]]
) -> Quality:
    """Return the job's metrics: those of the picture unchanged, those of people the worst of all.

    Frames are absent where no subject is present, and uncertain where any subject is.
    """
    worst = {}
    for name in _WORST:
        known = [value for each in subjects if (value := getattr(each.quality, name)) is not None]
        worst[name] = max(known, default=None)
    together = np.stack(presences)
    counts = {
        "frames_absent": int(np.count_nonzero((together == Presence.ABSENT).all(axis=0))),
        "frames_uncertain": int(np.count_nonzero((together == Presence.UNCERTAIN).any(axis=0))),
        "mattes_propagated": sum(each.quality.mattes_propagated or 0 for each in subjects),
        "frames_pixelated": sum(each.quality.frames_pixelated or 0 for each in subjects),
    }
    # The size of the new people is reported per subject only.
    own = {"new_to_subject_scale": None, "body_scale": None, "reference_to_subject_scale": None}
    return picture.model_copy(update={**worst, **counts, **own})
