"""Forearms and hands that are in front of or beside the trunk in a front or back view: hanging, in pockets, folded.

What they cover of the body is not seen there, and the body's outline is not theirs. Folded arms are seldom posed well
enough to be read: their surface is filled like one that no picture shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, Figure
from pipeline.models.mannequin.reference import ReferenceView

_FOREARM, _HAND = 0.034, 0.046
"""Radius around a forearm's and a hand's line within which the picture shows them; standing heights."""
_STEPS = 24
_BODY_MARGIN = 0.02
"""How far beyond the joints the trunk and the thighs reach at least, standing heights."""
_BELOW_SHOULDERS = 0.06
"""Distance below the shoulders from which an arm can be in front of the trunk, standing heights."""
_FOLDED = (0.3, 0.8)
"""Fractions of a forearm's length between which it is looked at."""
_SIDES = (("left", ".L"), ("right", ".R"))


@dataclass(frozen=True, slots=True, eq=False)
class LowerArms:
    """Where a picture shows forearms and hands."""

    area: Mask
    """(h, w) around them."""
    unread: tuple[int, ...] = ()
    """Bones whose surface cannot be read: they are in front of the body."""

    @property
    def hides_forearms(self) -> bool:
        """Whether a whole forearm is in front of the body."""
        return BONE["forearm1.L"] in self.unread or BONE["forearm1.R"] in self.unread

    def of_triangles(self, figure: Figure, triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return (F,) which triangles belong to bones that cannot be read."""
        return np.asarray(np.isin(figure.bone_index[triangles[:, 0], 0], self.unread))


def find_lower_arms(reference: ReferenceView) -> LowerArms:
    """Find forearms and hands by the joints of a front or back view; an unknown arm covers nothing."""
    area = np.zeros(reference.mask.shape, np.uint8)
    unread: list[int] = []
    if reference.view not in ("front", "back"):
        return LowerArms(area > 0)
    height = reference.height_px
    for side, suffix in _SIDES:
        elbow, wrist, hand = (reference.skeleton[JOINT[f"{side}_{part}"], :2] for part in ("elbow", "wrist", "hand"))
        if not np.isfinite([elbow, wrist, hand]).all():
            continue
        # Fingers extend as far beyond the knuckles as these beyond the wrist.
        fingertips = 2 * hand - wrist
        forearm = np.linspace(elbow, wrist, _STEPS)
        palm = np.linspace(wrist, fingertips, _STEPS)
        for line, radius in ((forearm[_STEPS // 4 :], _FOREARM), (palm, _HAND)):
            for x, y in line:
                cv2.circle(area, (round(x), round(y)), max(1, round(radius * height)), 1, -1)
        first, last = (round(share * (_STEPS - 1)) for share in _FOLDED)
        if _before_body(reference, forearm[first : last + 1]).mean() > 0.5:
            unread += [BONE[f"{bone}{suffix}"] for bone in ("forearm1", "forearm2", "hand")]
        elif _before_body(reference, palm).mean() > 0.5:
            unread.append(BONE[f"hand{suffix}"])
    return LowerArms(area > 0, tuple(unread))


def _before_body(reference: ReferenceView, points: Float64Array) -> NDArray[np.bool_]:
    """(n,) whether points (n, 2) lie between the lines from the shoulders over the hips to the knees."""
    lines = []
    for side, _ in _SIDES:
        line = reference.skeleton[[JOINT[f"{side}_{part}"] for part in ("shoulder", "hip", "knee")], :2]
        if not np.isfinite(line).all() or not (np.diff(line[:, 1]) > 0).all():
            return np.zeros(len(points), bool)
        lines.append(line)
    at = np.array([np.interp(points[:, 1], line[:, 1], line[:, 0]) for line in lines])
    margin = _BODY_MARGIN * reference.height_px
    between = (points[:, 0] > at.min(0) - margin) & (points[:, 0] < at.max(0) + margin)
    top = np.mean([line[0, 1] for line in lines]) + _BELOW_SHOULDERS * reference.height_px
    bottom = np.mean([line[2, 1] for line in lines])
    return np.asarray(between & (points[:, 1] > top) & (points[:, 1] < bottom))
