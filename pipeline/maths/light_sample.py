"""Measure in one frame what tells of the light on a person: their own parts and shading, and their surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Matte
from pipeline.joints import JOINT
from pipeline.maths.masks import grow
from pipeline.shaped import Shaped, Shapes

SAMPLE_BODY_PX = 96
"""Body height at which samples are taken."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Of linear sRGB (ITU-R BT.709)."""
PARTS = ("face", "torso", "thighs", "shins", "ground")
_LEAST_PX = 12


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LightSample(Shaped):
    """One frame's measurement of the light; linear RGB, NaN where unknown."""

    SHAPES: ClassVar[Shapes] = {
        "parts": (5, 3), "clothes": (3,), "around": (3,), "bright": (3,), "normal_matrix": (2, 2),
        "normal_shading": (2,), "darkest": (2, 3),
    }  # fmt: skip

    parts: NDArray[np.float64]
    """(5, 3) mean of each of ``PARTS``."""
    clothes: NDArray[np.float64]
    """(3,) mean of the person below the head."""
    around: NDArray[np.float64]
    """(3,) mean of the surroundings."""
    bright: NDArray[np.float64]
    """(3,) 6th-power mean of it."""
    highlights: float
    """Luminance of the brightest twentieth of the person."""
    normal_matrix: NDArray[np.float64]
    """(2, 2) sums of products of x and y of the person's normals."""
    normal_shading: NDArray[np.float64]
    """(2,) sums of normals times the logarithm of brightness."""
    darkest: NDArray[np.float64]
    """(2, 3) mean of the darkest fiftieth of the person and of the surroundings."""


def sample_light(
    linear: NDArray[np.float32],
    person: Matte,
    people: Matte,
    joints: NDArray[np.float64],
) -> LightSample | None:
    """Measure one frame: ``linear`` (h, w, 3) around the person at ``SAMPLE_BODY_PX``, coverage (h, w) of the person
    and of all people, ``joints`` (21, 2) px in it, NaN unknown. None where too little of the person or of the
    surroundings is visible.
    """
    certain = person > 0.98
    clear = people < 0.02
    if np.count_nonzero(certain) < 60 or np.count_nonzero(clear) < 60:
        return None
    surroundings = linear[clear].astype(np.float64)
    regions = _regions(certain, clear, joints)
    parts = np.array([_mean(linear, regions[name]) for name in PARTS])
    matrix, shading = _shading_sums(np.asarray(linear @ LUMINANCE.astype(np.float32)), person, certain)
    return LightSample(
        parts=parts,
        clothes=_mean(linear, certain & ~grow(regions["face"], 4)),
        around=surroundings.mean(axis=0),
        bright=np.mean(surroundings**6, axis=0) ** (1 / 6),
        highlights=float(np.quantile(linear[certain] @ LUMINANCE, 0.95)),
        normal_matrix=matrix,
        normal_shading=shading,
        darkest=np.array([_darkest(linear[certain]), _darkest(linear[clear])]),
    )


def _darkest(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (3,) mean of the darkest fiftieth of the pixels (N, 3)."""
    count = max(len(pixels) // 50, 4)
    order = np.argpartition(pixels.sum(axis=1), count - 1)[:count]
    return pixels[order].mean(axis=0, dtype=np.float64)


def _mean(linear: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    if np.count_nonzero(where) < _LEAST_PX:
        return np.full(3, np.nan)
    return linear[where].mean(axis=0, dtype=np.float64)


def _regions(
    certain: NDArray[np.bool_], clear: NDArray[np.bool_], joints: NDArray[np.float64]
) -> dict[str, NDArray[np.bool_]]:
    """Return (h, w) masks of ``PARTS``: a disc on the face, bands between joints, the ground around the feet."""
    rows, columns = np.mgrid[: certain.shape[0], : certain.shape[1]]
    body = SAMPLE_BODY_PX

    def middle(name: str) -> NDArray[np.float64]:
        return (joints[JOINT[f"left_{name}"]] + joints[JOINT[f"right_{name}"]]) / 2

    def band(start: str, stop: str) -> NDArray[np.bool_]:
        top, bottom = middle(start)[1], middle(stop)[1]
        return certain & (rows > top + 0.15 * (bottom - top)) & (rows < bottom - 0.1 * (bottom - top))

    nose = joints[JOINT["nose"]]
    feet = middle("ankle")
    # Comparisons with NaN are false: an unknown joint gives an empty region.
    ground = ((columns - feet[0]) / (0.35 * body)) ** 2 + ((rows - feet[1] - 0.03 * body) / (0.08 * body)) ** 2 < 1
    return {
        "face": np.asarray(certain & (np.hypot(columns - nose[0], rows - nose[1]) < 0.045 * body)),
        "torso": band("shoulder", "hip"),
        "thighs": band("hip", "knee"),
        "shins": band("knee", "ankle"),
        "ground": np.asarray(clear & ground),
    }


def _shading_sums(
    luminance: NDArray[np.float32], person: Matte, certain: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum up the regression of log brightness on the normals' x and y, within bands of rows.

    The normals are those of a limb with a circular cross-section: outward at the silhouette, towards the camera 0.02
    body heights inside it. A band of eight rows is assumed to be one garment; deviations from its median brightness are
    attributed to light.
    """
    sigma = 0.02 * SAMPLE_BODY_PX
    soft = cv2.GaussianBlur(person, (0, 0), sigma)
    # At a straight edge a blurred step falls by 1 / (sigma * sqrt(2 pi)) per pixel; Sobel returns eight times that.
    scale = -sigma * np.sqrt(2 * np.pi) / 8
    normal_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0) * scale
    normal_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1) * scale
    brightness = np.log(np.maximum(luminance, 1e-3))
    matrix = np.zeros((2, 2))
    shading = np.zeros(2)
    inside = cv2.erode(certain.astype(np.uint8), np.ones((3, 3))).astype(np.bool_)
    for row in range(0, len(certain), 8):
        part = np.s_[row : row + 8]
        where = inside[part]
        if np.count_nonzero(where) < 2 * _LEAST_PX:
            continue
        normals = np.stack([normal_x[part][where], normal_y[part][where]], axis=1).astype(np.float64)
        normals -= normals.mean(axis=0)
        values = brightness[part][where].astype(np.float64)
        # Prints, and skin beside cloth, are not shading.
        values = np.clip(values - np.median(values), -0.7, 0.7)
        matrix += normals.T @ normals
        shading += normals.T @ values
    return matrix, shading
