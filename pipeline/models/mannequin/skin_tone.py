"""Keep the figure's skin within the colors that skin has.

A studio's warm lamps, and the tone curve of an overexposed picture, make skin more saturated than it is. People's skin
differs in lightness and hardly in chroma: measured in daylight, the means of four ethnic groups lie between 18 and 22
units of CIE L*a*b* (Xiao et al., "Characterising the variations in ethnic skin colours", Skin Research and Technology,
2017).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Group
from pipeline.models.mannequin.hair_region import HairRegion, looks_like_hair

_USUAL_CHROMA = 20.0
"""CIE L*a*b*."""
_TRUST = 0.85
"""Fraction of the surplus that is taken away: some of it is the person's own."""
_LEAST_SAMPLES = 200
_ROUNDS = 6
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_SKIN = (Group.SKIN, Group.FOREARM, Group.SHIN)
_SKIN_RATIOS = (0.25, 0.4)
"""Largest log differences of red and of blue over green from the face's."""
_DARKEST = -1.6
"""Least log luminance over the face's."""
_LIMBS = [PARTS.index(part) for part in ("arm.L", "arm.R", "leg.L", "leg.R")]


def with_usual_chroma(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
    faces: NDArray[np.bool_],
    hair: HairRegion | None,
) -> NDArray[np.float32]:
    """Return linear colors (T, S, 3) whose skin is no more saturated than skin usually is; hue and exposure stay.

    The tone is the median of the ``known`` samples (T, S) of bare limbs and of ``faces`` (T,). Hair that is painted on
    the skin of the head keeps its color.
    """
    skin = np.isin(groups, _SKIN)
    shown = (skin & (faces | np.isin(parts, _LIMBS)))[:, None] & known
    if np.count_nonzero(shown) < _LEAST_SAMPLES:
        return fine
    tone = np.median(fine[shown], axis=0)
    factor = saturation_factor(tone)
    if factor == 1:
        return fine
    changed = np.broadcast_to(skin[:, None], known.shape)
    if hair is not None:
        head = (parts == PARTS.index("head"))[:, None] & ~faces[:, None]
        changed = changed & ~(head & looks_like_hair(fine, hair.color, hair.skin))
    luma = (fine @ _LUMA)[..., None]
    paler = luma + factor * (fine - luma)
    # Exposure is set by the brightest channel, which is the one that a picture clips: it stays as it is.
    paler *= np.maximum(fine.max(2), 1e-6)[..., None] / np.maximum(paler.max(2), 1e-6)[..., None]
    return np.where(changed[..., None], paler, fine).astype(np.float32)


def saturation_factor(tone: NDArray[np.float32]) -> np.float32:
    """Return the factor 0..1 on how far a skin tone (3,), linear, is from gray; 1 where it is not too saturated."""
    luma = np.float32(tone @ _LUMA)
    surplus = _chroma(tone) - _USUAL_CHROMA
    if surplus <= 0:
        return np.float32(1)
    wanted = _USUAL_CHROMA + (1 - _TRUST) * surplus
    factor = 1.0
    for _ in range(_ROUNDS):
        # Chroma is nearly proportional to the factor, so that this converges at once.
        factor *= wanted / _chroma((luma + factor * (tone - luma)).astype(np.float32))
    return np.float32(min(factor, 1.0))


def looks_like_skin(colors: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (h, w) whether a color has the ratios of channels that the skin (3,) has, in whatever light."""
    logs = np.log(np.maximum(colors, 2e-3)) - np.log(np.maximum(skin, 2e-3))
    red = np.abs(logs[..., 0] - logs[..., 1])
    blue = np.abs(logs[..., 2] - logs[..., 1])
    return np.asarray((red < _SKIN_RATIOS[0]) & (blue < _SKIN_RATIOS[1]) & (logs @ _LUMA > _DARKEST))


def _chroma(color: NDArray[np.float32]) -> float:
    """Chroma in CIE L*a*b* (D65) of a linear color (3,)."""
    lab = cv2.cvtColor(np.clip(color, 0, 1).astype(np.float32).reshape(1, 1, 3), cv2.COLOR_LRGB2LAB)[0, 0]
    return float(np.hypot(lab[1], lab[2]))
