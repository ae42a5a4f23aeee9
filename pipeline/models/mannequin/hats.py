"""A hat with a brim, or a tall one, in a front view: found, taken off for the fit, and put on as a surface."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.hair_region import grown_height_px
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.row_tube import RowTube

_ABOVE_EYES = (0.005, 0.12)
"""Heights above the eyes between which a brim is looked for."""
_FACE_BELOW = (0.0, 0.03)
"""Rows below the eyes whose width is the face's, standing heights."""
_WIDER = 1.45
"""Ratio of a brim's width to the face's, at least: hair is seldom as wide above the eyes only."""
_EACH_SIDE = 1.2
"""The same on each side of the face's middle."""
_LEAST_WIDE = 0.3
"""Width of a row that belongs to a head or a hat, over the face's."""
_THICKEST = 0.05
"""Height of the rows that are as wide, at most: a brim is thin, curls are not. Standing heights."""
_TALLEST = 0.088
"""Height above the eyes that no head reaches (.068 to .075 with short hair); standing heights, with the hat."""
_BUSHY = 0.062
"""Half width beside the eyes of hair that is large all around, which is no hat; standing heights."""
_FOREHEAD = 0.04
"""Height above the eyes down to which a hat without a brim, or piled hair, reaches."""
_HEAD = (0.047, 0.072)
"""Half width of a head, and its height above the eyes, standing heights."""
_DEPTH = 1.05
"""Depth of a hat over its width."""


@dataclass(frozen=True, slots=True, eq=False)
class Hat:
    """Outline of a hat in a front view, row by row, px."""

    rows: Float64Array
    left: Float64Array
    right: Float64Array
    middle_x: float
    """Of the face."""

    def tube(self, middle_z: float) -> RowTube:
        """Return the hat as a surface around a head whose middle lies at a depth."""
        half = (self.right - self.left) / 2
        middle = (self.left + self.right) / 2
        return RowTube(self.rows, middle, half, np.full(len(half), middle_z), _DEPTH * half)


def find_hat(reference: ReferenceView) -> Hat | None:
    """Return the hat in a front view; None where there is neither a brim nor a tall head, or no eyes are visible."""
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], :2]
    if reference.view != "front" or not np.isfinite(eyes).all():
        return None
    x, y = eyes.mean(0)
    height = grown_height_px(reference)
    widths = _reach(reference.mask, x)
    face = widths[int(y + _FACE_BELOW[0] * height) : int(y + _FACE_BELOW[1] * height) + 1]
    if not len(face) or not (face > 0).all():
        return None
    left, right = np.median(face, axis=0)
    low, high = max(int(y - _ABOVE_EYES[1] * height), 0), int(y - _ABOVE_EYES[0] * height)
    rows = np.arange(low, high)
    wide = (widths[rows] > [_EACH_SIDE * left, _EACH_SIDE * right]).all(1)
    wide &= widths[rows].sum(1) > _WIDER * (left + right)
    brim = rows[wide]
    top = int(np.flatnonzero(widths.sum(1) > 0)[0])
    # A twig of the background above the head makes it no taller.
    crown = int(np.flatnonzero(widths.sum(1) > _LEAST_WIDE * (left + right))[0])
    if len(brim) and np.ptp(brim) < _THICKEST * height:
        # Under the brim's edge, whose rows are the narrower the farther down.
        end = int(brim[-1]) + max(1, round(0.1 * len(brim)))
    elif (
        y - crown > _TALLEST * height
        and _shows_height(reference, y)
        and not wide.any()
        and left + right < 2 * _BUSHY * height
    ):
        end = int(y - _FOREHEAD * height)
    else:
        return None
    hat_rows = np.arange(top, end + 1)
    reach = widths[hat_rows]
    sigma = 0.0015 * height
    smooth = [gaussian_filter1d(reach[:, side], sigma, mode="nearest") for side in range(2)]
    return Hat(hat_rows.astype(np.float64), x - smooth[0], x + smooth[1], float(x))


def _shows_height(reference: ReferenceView, eyes_y: float) -> bool:
    """Return whether a view tells how high a head is: of a bowed one, whose ears are above the eyes, it shows the top
    as well, and where feet are missing the standing height, which is the unit, is a guess."""
    ears = reference.joints[[JOINT["left_ear"], JOINT["right_ear"]], 1].mean()
    return reference.is_whole and not ears < eyes_y


def without_hat(reference: ReferenceView, hat: Hat) -> ReferenceView:
    """Return the view with a bare head's outline in the place of the hat."""
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], :2].mean(0)
    head = np.zeros(reference.mask.shape, np.uint8)
    axes = tuple(round(length * grown_height_px(reference)) for length in _HEAD)
    cv2.ellipse(head, (round(eyes[0]), round(eyes[1])), axes, 0, 0, 360, 1, -1)
    mask = reference.mask.copy()
    rows = slice(int(hat.rows[0]), int(hat.rows[-1]) + 1)
    mask[rows] = head[rows] > 0
    bare = np.flatnonzero(mask.any(1))
    height = float(bare[-1] - bare[0] + 1) if reference.is_whole else reference.height_px
    return replace(reference, mask=mask, height_px=height)


def below_hat(reference: ReferenceView, hat: Hat) -> ReferenceView:
    """Return the view without the hat and what is above it: what is left of the head shows the hair."""
    mask = reference.mask.copy()
    mask[: int(hat.rows[-1]) + 1] = False
    return replace(reference, mask=mask)


def _reach(mask: Mask, x: float) -> Float64Array:
    """(h, 2) how far the mask reaches to the left and to the right of a column in each row, px; 0 where it is not."""
    out = np.zeros((len(mask), 2))
    column = int(np.clip(round(x), 0, mask.shape[1] - 1))
    for row in np.flatnonzero(mask[:, column]):
        for side, line in enumerate((mask[row, column::-1], mask[row, column:])):
            gap = np.flatnonzero(~line)
            out[row, side] = gap[0] if len(gap) else len(line)
    return out
