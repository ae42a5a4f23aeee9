"""Even out the hands: the figure's fingers never lie exactly on those of a picture, and a nail would cover a thumb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.figure import BONE, Figure, Group

_BRIGHT = (1.25, 1.6)
"""Luminance relative to the median of the hand: where a sample begins to be replaced by the median, and where it is."""
_LEAST_SAMPLES = 50
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def with_even_hands(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) without samples on a hand that are much brighter than the rest of it.

    ``known`` (T, S): where a view says something; ``triangles`` (T, 3) and ``groups`` (T,) are those drawn.
    """
    even = fine.copy()
    bones = figure.bone_index[triangles][:, :, 0]
    for bone in ("hand.L", "hand.R"):
        hand = (bones == BONE[bone]).all(axis=1) & (groups == Group.SKIN)
        shown = hand[:, None] & known
        if np.count_nonzero(shown) < _LEAST_SAMPLES:
            continue
        tone = np.median(fine[shown], axis=0)
        excess = fine[hand] @ _LUMA / max(float(tone @ _LUMA), 1e-6)
        share = np.clip((excess - _BRIGHT[0]) / (_BRIGHT[1] - _BRIGHT[0]), 0, 1)[..., None]
        even[hand] = (1 - share) * fine[hand] + share * tone
    return even
