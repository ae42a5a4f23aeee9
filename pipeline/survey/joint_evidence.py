"""What a person's mask says about the joints: one that lies beside it is not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import OFF_MASK_CONFIDENCE, Person
from pipeline.joints import FACE

REACH = 0.012
"""How far from the mask a joint may lie, relative to the mask's longer side."""


def doubted_off_mask(person: Person) -> NDArray[np.float32]:
    """Return the joints (21, 3) with those inside the picture but beside the mask at most ``OFF_MASK_CONFIDENCE`` sure.

    The face keeps its confidence: it is where masks are frayed, by hair and by hands before it. So does everybody whose
    mask is empty.
    """
    joints = person.joints.copy()
    mask = person.mask
    height, width = mask.shape
    x0, y0, x1, y1 = person.box_xyxy
    reach = max(1, round(REACH * float(max(x1 - x0, y1 - y0))))
    if not mask.any():
        return joints
    for row, (x, y, confidence) in enumerate(joints.tolist()):
        if row in FACE or confidence <= OFF_MASK_CONFIDENCE or not (0 <= x <= width - 1 and 0 <= y <= height - 1):
            continue
        column = round(x)
        line = round(y)
        near = mask[max(0, line - reach) : line + reach + 1, max(0, column - reach) : column + reach + 1]
        if not near.any():
            joints[row, 2] = OFF_MASK_CONFIDENCE
    return joints
