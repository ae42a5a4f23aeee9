"""Arms that come out of nowhere: shoulders outside the picture, elbows and wrists that a landmark model guesses in it.

Of a face that fills the picture the model still reports a whole body, and its arms are as likely raised as hanging,
with confidences up to 0.6. A hand that is truly held to the face has more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT
from pipeline.maths.smoothing import gaussian_smooth, smoothstep

_SHOULDER = (0.1, 0.3)
"""Confidence of a shoulder: below the first value it is not seen, from the second on the arm hangs on something."""
_ARM = (0.6, 0.85)
"""The same of an elbow or wrist without a shoulder."""
_FACE_FILLS = (3.0, 4.0)
"""Standing height over the picture's shorter side: from there on shoulders, too, are at the edge or guessed."""
_SIGMA_SECONDS = 0.1
_STEADY = (0.3, 1.0)
"""Of the trust over time: the figure takes hardly confident joints for sure, so that less must be none."""
_ARMS = tuple(
    (JOINT[f"{side}_shoulder"], (JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"])) for side in ("left", "right")
)


def with_arms_doubted(
    confidence: NDArray[np.float64], pts_seconds: NDArray[np.float64], pictures_tall: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the confidence (T, 21) of one run of joints, 0 outside the picture, less for arms without a shoulder.

    ``pictures_tall`` (T,) is the standing height over the picture's shorter side.
    """
    doubted = confidence.copy()
    shows_more = 1 - _ramp(pictures_tall, _FACE_FILLS)
    for shoulder, arm in _ARMS:
        hangs = shows_more * _ramp(confidence[:, shoulder], _SHOULDER)
        for joint in arm:
            trust = np.maximum(hangs, _ramp(confidence[:, joint], _ARM))
            steady = gaussian_smooth(trust[:, None], pts_seconds, _SIGMA_SECONDS)[:, 0]
            doubted[:, joint] *= _ramp(steady, _STEADY)
    return doubted


def _ramp(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    low, high = bounds
    return np.asarray(smoothstep(np.clip((values - low) / (high - low), 0, 1)))
