"""The systematic bias of a landmark model's skeletons, and its correction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT, NUM_SKELETON


@dataclass(frozen=True, slots=True)
class LandmarkBias:
    """Lengths in standing heights; none at all by default."""

    feet_behind: float = 0.0
    """Depth bias of ankles, heels and toes of upright people: too far behind."""
    toes_below: float = 0.0
    """By how much farther below the heels the toes are than on a foot as it truly is pitched."""
    toes_below_ahead: float = 0.0
    """The same on top, for a foot that points at the camera or away from it."""
    nose_above: float = 0.0
    """Bias of the nose: too high."""
    ears_below: float = 0.0
    trunk_length: float = 1.0
    """Hips to shoulders, relative to the rig's."""
    shoulders_above: float = 0.0
    shoulders_behind: float = 0.0
    """Of the shoulders, seen from the rig's joints."""
    face_raised_radians: float = 0.0
    """Pitch by which a face looks higher than it is held."""

    def without(self, skeleton: NDArray[np.floating], body_height_px: float) -> Float64Array:
        """Return a skeleton (23, 3), x, y, z px, with the bias removed; NaN stays NaN."""
        shift = np.zeros((NUM_SKELETON, 3))
        for side in ("left", "right"):
            for part in ("ankle", "heel", "toe"):
                shift[JOINT[f"{side}_{part}"], 2] = -self.feet_behind
            shift[JOINT[f"{side}_ear"], 1] = -self.ears_below
        shift[JOINT["nose"], 1] = self.nose_above
        return skeleton + shift * body_height_px


BLAZEPOSE = LandmarkBias(
    feet_behind=0.01,
    toes_below=0.007,
    toes_below_ahead=0.012,
    nose_above=0.005,
    ears_below=0.0035,
    trunk_length=1.12,
    shoulders_above=0.02,
    shoulders_behind=0.012,
    face_raised_radians=0.05,
)
"""With these the ankles of a figure posed on two rendered walks are as far behind its hips as they truly are, to 1 % of
body height, and nose and ears lie where they do. BlazePose's hips lie lower and its shoulders higher than a rig's: the
trunk is 1.13 (walk_a), 1.14 (walk_d), 1.13 (a juggler) times as long; 1.12 suits both walks best. Without the bias of
the toes planted feet pointed 8 degrees down into the ground on both walks, and the soles lay 1 % of body height below
it."""
