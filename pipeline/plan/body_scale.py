"""How tall the new person is relative to the subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import Person
from pipeline.joints import ANKLES, HIPS, JOINT, SHOULDERS
from pipeline.settings import BodyScale

_NOSE_GAIN = 1.6
"""Weight of the nose's distance from the middle of the ears: with it a turned head measures as one from the front
(within 11 % up to a profile, on rendered figures at 0, 25, 50 and 80 degrees; the ears alone vanish)."""
_SAME = 0.08
"""Natural logarithm of a ratio that is taken for the same proportions: grown-ups of both sexes, rendered from the
front, differ by up to 4 %, and the landmarks' error is as large."""
_RANGE = (0.4, 1.6)
_LEAST_CONFIDENCE = 0.3
_LEAST_FRAMES = 3
"""Fewer frames with a measurable head leave the subject's proportions unknown."""
UNKNOWN = (
    "generate.body_scale: the proportions of the subject or of the person in the reference picture are not visible "
    "from head to foot, so the new person is as tall as the subject"
)


def choose_body_scale(method: BodyScale, subject: Subject, reference: Person | None) -> tuple[float, tuple[str, ...]]:
    """Return the new person's height over the subject's, and warnings.

    A picture does not show how tall somebody is, but how many heads: with ``reference`` the new person's head becomes
    as large as the subject's, and the height follows from their own ratio of body to head. A small child stays smaller
    than an adult; two adults remain equally tall. 1 where either ratio cannot be measured.
    """
    if method == "subject" or reference is None:
        return 1.0, ()
    own = head_to_body(reference.joints)
    frames = subject.joints[subject.presence == Presence.FOUND]
    ratios = np.array([head_to_body(joints) for joints in frames], np.float64)
    ratios = ratios[np.isfinite(ratios)]
    if not np.isfinite(own) or len(ratios) < _LEAST_FRAMES:
        return 1.0, (UNKNOWN,)
    difference = float(np.log(np.median(ratios) / own))
    beyond = np.sign(difference) * max(abs(difference) - _SAME, 0.0)
    return float(np.clip(np.exp(beyond), *_RANGE)), ()


def head_to_body(joints: NDArray[np.float32]) -> float:
    """Return the head's breadth over the length of trunk and legs of (21, 3) joints; NaN where it is not visible.

    The breadth is that between the ears, or what a turned head shows of it and of its depth.
    """
    ears = joints[[JOINT["left_ear"], JOINT["right_ear"]], :2].astype(np.float64)
    nose = joints[JOINT["nose"], :2].astype(np.float64)
    needed = [*SHOULDERS, *HIPS, *ANKLES, JOINT["left_knee"], JOINT["right_knee"], JOINT["nose"]]
    if not (joints[needed, 2] >= _LEAST_CONFIDENCE).all():
        return float("nan")
    head = float(np.hypot(ears[0, 0] - ears[1, 0], _NOSE_GAIN * (nose[0] - ears[:, 0].mean())))
    length = float(np.hypot(*(joints[SHOULDERS, :2].mean(0) - joints[HIPS, :2].mean(0))))
    for side in ("left", "right"):
        leg = joints[[JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")], :2].astype(np.float64)
        length += 0.5 * float(np.hypot(*np.diff(leg, axis=0).T).sum())
    return head / length if length > 0 and head > 0 else float("nan")
