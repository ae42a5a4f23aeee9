"""Faces that fill the picture: the detector hardly scores them, and landmarks need the region of a whole body.

The detector was trained on people, and gives a face without shoulders a score of 0.03 to 0.3, while its eyes lie in the
right place. In a square about the detector's box the landmark model finds a doll, a whole body within the face, with a
score of up to 0.99. In one for the whole body, by the distance of the eyes, it finds face and mask. So where both
models see the same eyes, there is a face; else nobody.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.joints import JOINT
from pipeline.models.people.landmarks import (
    MIN_LANDMARK_SCORE,
    REGION_OF_BODY,
    SURE_ROUGH,
    LandmarkModel,
    Landmarks,
    Region,
    View,
)
from pipeline.models.people.movenet import RoughPerson

LEAST_SCORE = 0.03
"""The detector's, of a face that fills the picture."""
_SURE_EYE, _LEAST_EYE = 0.1, 0.06
"""Least score of the surer and of the other eye."""
_LEAST_DISTANCE = 0.12
"""Of the eyes, relative to the picture's shorter side: of smaller faces the picture shows shoulders, too."""
_HEIGHTS_OF_EYES = (27.0, 22.0)
"""Standing height over the distance of the eyes, seen from the front, likeliest first."""
_HIPS_BELOW_EYES = 0.44
"""Of the standing height."""
_MOST_APART = 0.6
"""Distance of the middles of both models' eyes, relative to the distance of the detector's eyes."""
_RATIO = (0.45, 1.6)
"""Distance of the landmark model's eyes over that of the detector's: dolls have less than a third."""
_EYES = [JOINT["left_eye"], JOINT["right_eye"]]
_ROUGH_EYES, _ROUGH_SHOULDERS = [1, 2], [5, 6]


def is_close_up(rough: RoughPerson, size_wh: tuple[int, int]) -> bool:
    """Whether a detection is a face that fills a picture of this size: eyes far apart, and no shoulders."""
    eyes = rough.keypoints[_ROUGH_EYES]
    if eyes[:, 2].max() < _SURE_EYE or eyes[:, 2].min() < _LEAST_EYE:
        return False
    has_shoulders = bool((rough.keypoints[_ROUGH_SHOULDERS, 2] > SURE_ROUGH).all())
    return not has_shoulders and _distance(eyes) >= _LEAST_DISTANCE * min(size_wh)


def look_at_face(
    landmarks: LandmarkModel, view: View, rough: RoughPerson, others_mask: Mask | None
) -> Landmarks | None:
    """Return the person whose face fills the picture; None where the landmark model does not see the same eyes."""
    looks = [landmarks.look(view, region, others_mask, MIN_LANDMARK_SCORE) for region in _regions(rough)]
    alike = [look for look in looks if look is not None and has_same_eyes(rough, look)]
    return max(alike, key=lambda look: look.person.score, default=None)


def has_same_eyes(rough: RoughPerson, found: Landmarks) -> bool:
    """Whether landmarks have their eyes where the detector has them, and as far apart."""
    seen = rough.keypoints[_ROUGH_EYES, :2]
    eyes = found.person.joints[_EYES, :2].astype(np.float64)
    apart = float(np.hypot(*(eyes.mean(axis=0) - seen.mean(axis=0))))
    distance = _distance(seen)
    return apart < _MOST_APART * distance and _RATIO[0] < _distance(eyes) / distance < _RATIO[1]


def _regions(rough: RoughPerson) -> list[Region]:
    eyes = rough.keypoints[_ROUGH_EYES, :2]
    x, y = eyes.mean(axis=0)
    heights = [ratio * _distance(eyes) for ratio in _HEIGHTS_OF_EYES]
    return [Region(float(x), float(y) + _HIPS_BELOW_EYES * height, REGION_OF_BODY * height, 0.0) for height in heights]


def _distance(eyes: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(eyes[:, :2], axis=0)[0]))
