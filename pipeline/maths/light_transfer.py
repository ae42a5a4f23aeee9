"""Give a painted person the light of the scene: one smooth gain per frame, which leaves all detail as it is.

What is compared with the painting is the posed figure, which stands at the same place in the scene's light. Color of a
surface and light on it cannot be told apart in one place, so the gain has few degrees of freedom: a level per channel,
and a change over the surface's direction. Both are logarithms of linear light.

The level is what several cues agree on. Where the figure wears the same clothes, all of its pixels differ by the same
factor; where it does not, they differ among themselves and count little beside the face, whose skin varies least
between people (as in ``maths.illumination``). No change is a cue, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture
from pipeline.maths.channels import distances_to
from pipeline.maths.light import linear_of, srgb_of
from pipeline.maths.light_sample import LUMINANCE
from pipeline.maths.robust import agreed_value
from pipeline.shaped import Shaped, Shapes

COMPARED_BODY_PX = 96
"""Body height at which painting and figure are compared: folds, faces and prints need not match."""
_FACE_BH = 0.045
_LEAST_PX = 60
_DARK = 2e-3
"""Floor of the linear light: below it 8 bits hold no ratio."""
_CLIPPED = 0.92
"""Linear light above which a painted surface may be clipped: its ratio says too little."""
_SAME_CLOTHES = 0.30
"""Deviation of the log ratio, over the body and from the face's, at which the figure's clothes count half."""
_TRUST = {"figure": 8.0, "face": 4.0, "unchanged": 1.0}
_DISAGREE = 0.5
_DISAGREE_CHROMA = 0.25
_MOST_LEVEL = 2.3
"""A tenth or ten times the light: more than a night that the generator ignored."""
_MOST_CHROMA = 1.0
_MOST_SLOPE = 0.7
_BAND_PX = 8
"""Rows that count as one garment: only differences inside a band are attributed to the direction of the light."""
_SMOOTH_BH = 0.03


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LightDifference(Shaped):
    """What one frame tells of the light that a painting lacks; logarithms of linear light."""

    SHAPES: ClassVar[Shapes] = {
        "figure": (3,), "face": (3,), "normal_matrix": (2, 2), "normal_ratio": (2,)
    }  # fmt: skip

    figure: NDArray[np.float64]
    """(3,) median ratio of the figure to the painting, RGB."""
    spread: float
    """Deviation of that ratio's luminance between bands of rows."""
    face: NDArray[np.float64]
    """(3,) the same in the face; NaN where it is not visible."""
    normal_matrix: NDArray[np.float64]
    """(2, 2) sums of products of x and y of the normals, mean over pixels."""
    normal_ratio: NDArray[np.float64]
    """(2,) sums of normals times the ratio's luminance, mean over pixels."""


def compare_light(
    painted: Picture,
    matte: Matte,
    figure: Picture,
    silhouette: Mask,
    normals: NDArray[np.float32],
    nose_xy: NDArray[np.float64],
    body_height_px: float,
) -> LightDifference | None:
    """Compare a painted person with the posed figure; all pictures are (h, w) of the same crop, ``matte`` 0..1.

    ``nose_xy`` (2,) px, NaN where unknown. None where too little of both is visible.
    """
    scale = min(COMPARED_BODY_PX / body_height_px, 1.0)
    size_wh = max(round(painted.shape[1] * scale), 4), max(round(painted.shape[0] * scale), 4)

    def small(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(values, size_wh, interpolation=cv2.INTER_AREA), np.float32)

    both = small((silhouette & (matte > 0.95)).astype(np.float32)) > 0.98
    light = small(linear_of(painted))
    wanted = small(linear_of(figure))
    both &= (light.max(axis=2) < _CLIPPED) & (light.max(axis=2) > _DARK)
    if np.count_nonzero(both) < _LEAST_PX:
        return None
    ratio = np.log(np.maximum(wanted, _DARK)) - np.log(np.maximum(light, _DARK))
    luminance = np.log(np.maximum(wanted @ LUMINANCE, _DARK)) - np.log(np.maximum(light @ LUMINANCE, _DARK))
    nose = nose_xy * scale
    # Comparisons with NaN are false: an unknown nose gives an empty face.
    near = distances_to(float(nose[0]), float(nose[1]), size_wh[1], size_wh[0]) < _FACE_BH * body_height_px * scale
    face = ratio[both & near]
    matrix, slope, medians = _shading_difference(luminance, both, small(normals))
    return LightDifference(
        figure=np.median(ratio[both], axis=0).astype(np.float64),
        spread=float(np.std(medians)),
        face=np.median(face, axis=0).astype(np.float64) if len(face) >= _LEAST_PX / 6 else np.full(3, np.nan),
        normal_matrix=matrix,
        normal_ratio=slope,
    )


def _shading_difference(
    luminance: NDArray[np.floating], both: Mask, normals: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
    """Return the regression of the log ratio on the normals' x and y, within bands of rows, and each band's median."""
    matrix = np.zeros((2, 2))
    slope = np.zeros(2)
    pixels = 0
    medians = [0.0]
    for row in range(0, len(both), _BAND_PX):
        part = np.s_[row : row + _BAND_PX]
        where = both[part]
        count = int(np.count_nonzero(where))
        if count < 2 * _BAND_PX:
            continue
        towards = normals[part][where][:, :2].astype(np.float64)
        towards -= towards.mean(axis=0)
        values = luminance[part][where].astype(np.float64)
        medians.append(float(np.median(values)))
        values = np.clip(values - medians[-1], -_MOST_SLOPE, _MOST_SLOPE)
        matrix += towards.T @ towards
        slope += towards.T @ values
        pixels += count
    return matrix / max(pixels, 1), slope / max(pixels, 1), medians[1:] or medians


def agreed_level(difference: LightDifference) -> NDArray[np.float64]:
    """Return (3,): the logarithm of the gain per channel on which the cues agree."""
    cues = {"figure": difference.figure, "unchanged": np.zeros(3)}
    apart = difference.spread
    if np.isfinite(difference.face).all():
        cues["face"] = difference.face
        apart = float(np.hypot(apart, (difference.figure - difference.face) @ LUMINANCE))
    trust = {**_TRUST, "figure": _TRUST["figure"] / (1 + (apart / _SAME_CLOTHES) ** 2)}
    weights = np.array([trust[name] for name in cues])
    told = np.array(list(cues.values()))
    brightness = agreed_value(told @ LUMINANCE, weights, _DISAGREE)
    chroma = np.array(
        [agreed_value(told[:, channel] - told @ LUMINANCE, weights, _DISAGREE_CHROMA) for channel in range(3)]
    )
    return np.clip(brightness, -_MOST_LEVEL, _MOST_LEVEL) + np.clip(chroma, -_MOST_CHROMA, _MOST_CHROMA)


def agreed_slope(differences: list[LightDifference]) -> NDArray[np.float64]:
    """Return (2,): the logarithm of the gain per unit of the normals' x and y, over several frames.

    A prior of a twentieth of the pixels: clothes that differ are not shading.
    """
    matrix = np.sum([each.normal_matrix for each in differences], axis=0)
    ratio = np.sum([each.normal_ratio for each in differences], axis=0)
    slope = np.linalg.solve(matrix + 0.05 * len(differences) * np.eye(2), ratio)
    return np.clip(slope, -_MOST_SLOPE, _MOST_SLOPE)


def gain_field(
    level: NDArray[np.float64],
    slope: NDArray[np.float64],
    normals: NDArray[np.float32],
    silhouette: Mask,
    body_height_px: float,
) -> NDArray[np.float32]:
    """Return (h, w, 3): the gain on linear light, smooth, and continued beyond the silhouette (h, w)."""
    inside = silhouette.astype(np.float32)
    change = (normals[..., :2] @ slope.astype(np.float32)) * inside
    sigma = max(_SMOOTH_BH * body_height_px, 1.0)
    cover = cv2.GaussianBlur(inside, (0, 0), sigma)
    smooth = cv2.GaussianBlur(np.asarray(change, np.float32), (0, 0), sigma) / np.maximum(cover, 0.02)
    smooth -= float(smooth[silhouette].mean()) if silhouette.any() else 0.0
    smooth = np.where(cover > 1e-3, smooth, 0.0)
    return np.exp(smooth[..., None] + level).astype(np.float32)


def relit(picture: Picture, gain: NDArray[np.float32]) -> Picture:
    """Return the sRGB picture (h, w, 3) with a gain (h, w, 3) on its linear light.

    Brightening rolls off, so that what is white stays white instead of clipping around it.
    """
    light = linear_of(picture)
    changed = np.where(gain > 1, gain * light / (1 + (gain - 1) * light), gain * light)
    return srgb_of(changed)
