"""Even out the hands: the figure's fingers never lie exactly on those of a picture, and a nail would cover a thumb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.skin_tone import looks_like_skin

_BRIGHT = (1.25, 1.6)
"""Luminance relative to the median of the hand: where a sample begins to be replaced by the median, and where it is."""
_LEAST_SAMPLES = 50
_BARE = 0.4
"""Fraction of a hand's samples that are like the face's skin where it wears no glove."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def with_even_hands(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
    face: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) without samples on a hand that are much brighter than the rest of it.

    ``known`` (T, S): where a view says something; ``triangles`` (T, 3) and ``groups`` (T,) are those drawn. Where one
    hand has the color of the ``face`` (3,), neither wears a glove: what is not skin on them is what is behind them.
    """
    even = fine.copy()
    bones = figure.bone_index[triangles][:, :, 0]
    hands = [(bones == BONE[bone]).all(axis=1) & (groups == Group.SKIN) for bone in ("hand.L", "hand.R")]
    if face is not None:
        seen = [hand[:, None] & known & looks_like_skin(fine, face) for hand in hands]
        bare = [
            np.count_nonzero(skin) > max(_BARE * np.count_nonzero(hand[:, None] & known), _LEAST_SAMPLES)
            for hand, skin in zip(hands, seen, strict=True)
        ]
        if any(bare):
            skin = seen[0] | seen[1]
            even[(hands[0] | hands[1])[:, None] & known & ~skin] = np.median(fine[skin], axis=0)
            fine = even.copy()
    for hand in hands:
        shown = hand[:, None] & known
        if np.count_nonzero(shown) < _LEAST_SAMPLES:
            continue
        tone = np.median(fine[shown], axis=0)
        excess = fine[hand] @ _LUMA / max(float(tone @ _LUMA), 1e-6)
        share = np.clip((excess - _BRIGHT[0]) / (_BRIGHT[1] - _BRIGHT[0]), 0, 1)[..., None]
        even[hand] = (1 - share) * fine[hand] + share * tone
    return even
