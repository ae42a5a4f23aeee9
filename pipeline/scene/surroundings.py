"""The subject's surroundings in each frame, as used by the passes over the scene."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.plan import Plan
from pipeline.joints import HIPS, JOINT
from pipeline.maths.boxes import Box, clipped, grown
from pipeline.scene.balls import BodyPath

_ROOM_BH = 0.35
"""Around the subject: an arm's length of a carried object."""
_ENDS = ("nose", "left_hand", "right_hand", "left_ankle", "right_ankle", "left_toe", "right_toe")


def box_around(plan: Plan, number: int, size_wh: tuple[int, int]) -> Box:
    """Return the box around the subject, px; at least one pixel of the picture (W, H)."""
    height_px = float(plan.subject.body_height_px[number])
    points = plan.subject.skeletons[number, :, :2].astype(np.float64)
    corners = np.concatenate([points, plan.subject.boxes_xyxy[number].reshape(2, 2)])
    low, high = np.nanmin(corners, axis=0), np.nanmax(corners, axis=0)
    box = (int(np.floor(low[0])), int(np.floor(low[1])), int(np.ceil(high[0])) + 1, int(np.ceil(high[1])) + 1)
    x0, y0, x1, y1 = clipped(grown(box, round(_ROOM_BH * height_px)), size_wh)
    return min(x0, size_wh[0] - 1), min(y0, size_wh[1] - 1), max(x1, x0 + 1), max(y1, y0 + 1)


def body_path(plan: Plan) -> BodyPath:
    """Return what balls are distinguished from: the ends of the subject's limbs, and the background's motion."""
    points = plan.subject.skeletons[:, :, :2].astype(np.float64)
    return BodyPath(
        joints_xy=points[:, [JOINT[name] for name in _ENDS]],
        hips_xy=points[:, HIPS].mean(axis=1),
        height_px=plan.subject.body_height_px.astype(np.float64),
        world_from_source=plan.camera.world_from_source,
    )
