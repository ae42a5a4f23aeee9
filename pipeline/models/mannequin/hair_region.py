"""Where a picture shows hair: pixel by pixel, and how far it hangs down at each side of the face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.reference import ReferenceView

EYES_TO_CHIN = 0.065
"""Standing heights; the unit of lengths on the head."""
_CHEEKS = 0.45
"""Radius around the nose that is always skin, in that unit."""
_MIN_PIXELS = 30
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_RED_SPREAD, _BLUE_SPREAD = 0.1, 0.25
"""Standard deviation of log red and of log blue over green, within hair or skin: shade next to skin is warm."""
_SHADE_SPREAD, _BRIGHT_SHADE_SPREAD = 0.45, 1.5
"""The same of log luminance; where hair is brighter than skin, its shaded parts are as dark as skin or darker."""
_DEEPEST = 6.0
"""Rows below the eyes where hair is looked for, in the unit."""
_NECK = 0.6
"""Height above the shoulders' joints where clothes start, in the unit."""
_WIDEST = 1.7
"""Distance from the middle of the face within which hair is looked for, in the unit."""
_STRIP = 0.3
"""Width of the strip inside the head's outline that hair fills where it hangs down, in the unit."""
_FILLED = 0.4
"""Fraction of that strip that hair fills at least."""
_GAP = 0.2
"""Rows without hair that do not end it, in the unit: a lock in the shade."""
_WIDER_THAN_HEADS = 1.05
"""Half width that no head without hair has, in the unit (ears reach .8)."""
_WIDE_ROWS = 0.7
"""Fraction of the rows from the eyes to the chin in which hair must be as wide."""
_FACE_WIDE = 0.72
"""Half width of the face between hair that hangs beside it, in the unit."""
_EYES_APART = 0.036
"""Distance between the eyes of grown-ups, standing heights, as landmarks have it (.034 to .037)."""
_CHILD = 1.15
"""Ratio from which a head is a child's, and no error of the landmarks."""
_EARS, _LOBES = 0.3, 0.6
"""Middle and lower end of the ears below the eyes, in the unit."""


@dataclass(frozen=True, slots=True, eq=False)
class HairRegion:
    """Hair in one front view."""

    mask: Mask
    """(h, w) the hair that is connected with the crown."""
    color: NDArray[np.float32]
    """(3,) linear, of the crown."""
    skin: NDArray[np.float32]
    """(3,) linear, of the cheeks."""
    middle: Float64Array
    """(2,) x, y midway between the eyes, px."""
    unit_px: float
    """From the eyes to the chin."""
    hems: tuple[float, float]
    """Lowest row of hair at the head's left and right outline in the picture, px; the top of the head where none is."""

    @property
    def covers_ears(self) -> bool:
        """Both sides hang lower than ears do."""
        below_eyes = (np.array(self.hems) - self.middle[1]) / self.unit_px
        return bool(below_eyes.mean() > _LOBES and below_eyes.min() > _EARS)


def skin_color(reference: ReferenceView) -> NDArray[np.float32] | None:
    """(3,) median color around the nose, linear; None where the face is not visible."""
    nose = reference.joints[JOINT["nose"]]
    if reference.view == "back" or not np.isfinite(nose[:2]).all():
        return None
    radius = _CHEEKS * EYES_TO_CHIN * reference.height_px
    rows, columns = np.mgrid[: reference.mask.shape[0], : reference.mask.shape[1]]
    cheeks = reference.mask & ((rows - nose[1]) ** 2 + (columns - nose[0]) ** 2 < radius**2)
    if np.count_nonzero(cheeks) < _MIN_PIXELS:
        return None
    return np.median(reference.colors[cheeks], axis=0)


def grown_height_px(reference: ReferenceView) -> float:
    """Return the height of a grown-up with the head of a front view's person: a small child's head is larger."""
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], 0]
    by_head = float(abs(eyes[0] - eyes[1])) / _EYES_APART
    return by_head if by_head > _CHILD * reference.height_px else reference.height_px


def head_mask(reference: ReferenceView, middle: Float64Array, unit_px: float) -> Mask:
    """(h, w) the head around the middle of the eyes, down to the neck."""
    rows, columns = np.mgrid[: reference.mask.shape[0], : reference.mask.shape[1]]
    beside = np.abs(columns - middle[0]) < 1.6 * unit_px
    return np.asarray(reference.mask & beside & (rows < middle[1] + 1.3 * unit_px))


def find_hair(reference: ReferenceView) -> HairRegion | None:
    """Separate hair from skin around a face; None where the head is not visible from the front."""
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], :2]
    skin = skin_color(reference)
    if skin is None or not np.isfinite(eyes).all():
        return None
    middle = eyes.mean(0)
    unit = EYES_TO_CHIN * reference.height_px
    near = head_mask(reference, middle, unit)
    top = np.flatnonzero(near.any(1))
    rows, columns = np.mgrid[: near.shape[0], : near.shape[1]]
    if not len(top):
        return None
    crown = near & (rows < top[0] + 0.35 * max(middle[1] - top[0], 4))
    if np.count_nonzero(crown) < _MIN_PIXELS:
        return None
    color = np.median(reference.colors[crown], axis=0)
    alike = looks_like_hair(reference.colors, color, skin) & reference.mask
    alike &= (rows < _lowest(reference, color, skin, middle, unit)) & (np.abs(columns - middle[0]) < _WIDEST * unit)
    mask = _connected(alike, crown)
    hems = _hems(mask, near, middle, unit, int(top[0]))
    beside = _beside_the_face(reference, middle, unit)
    if beside is not None and min(hems) < middle[1] + _LOBES * unit:
        # Wider than any head, whatever the light makes of its color.
        mask = mask | beside
        ends = [float(np.flatnonzero(half.any(1))[-1]) for half in _halves(beside, middle[0])]
        hems = ends[0], ends[1]
    return HairRegion(mask, color, skin, middle, unit, hems)


def _beside_the_face(reference: ReferenceView, middle: Float64Array, unit: float) -> Mask | None:
    """(h, w) what is beside the face, down to the shoulders; None unless it is wider than a head on both sides."""
    rows, columns = np.mgrid[: reference.mask.shape[0], : reference.mask.shape[1]]
    face = slice(max(int(middle[1]), 0), int(middle[1] + unit) + 1)
    unit = max(unit, EYES_TO_CHIN * grown_height_px(reference))
    edges = reference.mask & (np.abs(columns - middle[0]) > _WIDER_THAN_HEADS * unit)
    edges &= np.abs(columns - middle[0]) < _WIDEST * unit
    if any(half[face].any(1).mean() < _WIDE_ROWS for half in _halves(edges, middle[0])):
        return None
    shoulders = reference.skeleton[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1].mean()
    lowest = shoulders - _NECK * unit
    beside = reference.mask & (np.abs(columns - middle[0]) > _FACE_WIDE * unit)
    beside &= (np.abs(columns - middle[0]) < _WIDEST * unit) & (rows > middle[1] - unit) & (rows < lowest)
    return np.asarray(beside) if all(half.any() for half in _halves(beside, middle[0])) else None


def _halves(mask: NDArray[np.bool_], middle_x: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the parts of a mask to the left and right of a column."""
    column = round(middle_x)
    return mask[:, :column], mask[:, column:]


def _lowest(
    reference: ReferenceView, hair: NDArray[np.float32], skin: NDArray[np.float32], middle: Float64Array, unit: float
) -> float:
    """Return the row down to which hair can be told: the neck's, where the clothes on the chest look like hair."""
    lowest = float(middle[1] + _DEEPEST * unit)
    shoulders, hips = (
        reference.skeleton[[JOINT[f"left_{part}"], JOINT[f"right_{part}"]], :2].mean(0) for part in ("shoulder", "hip")
    )
    chest = np.array([shoulders + share * (hips - shoulders) for share in (0.3, 0.4, 0.5)])
    if not np.isfinite(chest).all():
        return lowest
    reach = round(0.15 * unit)
    height, width = reference.mask.shape
    for x, y in np.rint(chest).astype(int):
        for beside in (-unit, unit):
            column = round(np.clip(x + beside, reach, width - reach - 1))
            row = int(np.clip(y, reach, height - reach - 1))
            spot = reference.colors[row - reach : row + reach + 1, column - reach : column + reach + 1]
            if looks_like_hair(np.median(spot.reshape(-1, 3), axis=0), hair, skin):
                return min(lowest, float(shoulders[1] - _NECK * unit))
    return lowest


def looks_like_hair(
    colors: NDArray[np.float32], hair: NDArray[np.float32], skin: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(...) whether linear colors (..., 3) are nearer to the hair's (3,) than to the skin's.

    Linear discriminant of log luminance, which shading changes, and of the ratios of channels, which it hardly does.
    """
    own, other = (float(np.maximum(color, 2e-3) @ _LUMA) for color in (hair, skin))
    spread = _SHADE_SPREAD if own < other else _BRIGHT_SHADE_SPREAD
    of_hair, of_skin = _features(hair, spread), _features(skin, spread)
    return np.asarray((_features(colors, spread) - (of_hair + of_skin) / 2) @ (of_skin - of_hair) < 0)


def _features(colors: NDArray[np.float32], shade_spread: float) -> NDArray[np.float32]:
    logs = np.log(np.maximum(colors, 2e-3))
    return np.stack(
        [
            logs @ _LUMA / shade_spread,
            (logs[..., 0] - logs[..., 1]) / _RED_SPREAD,
            (logs[..., 2] - logs[..., 1]) / _BLUE_SPREAD,
        ],
        axis=-1,
    )


def _connected(alike: NDArray[np.bool_], crown: NDArray[np.bool_]) -> Mask:
    """(h, w) the largest connected part of ``alike`` that touches the crown."""
    _, labels = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    counts = np.bincount(labels[crown & alike], minlength=2)
    counts[0] = 0
    return np.asarray(labels == counts.argmax()) if counts.any() else np.zeros(alike.shape, bool)


def _hems(hair: Mask, near: Mask, middle: Float64Array, unit: float, top: int) -> tuple[float, float]:
    """Follow hair down along each side of the head's outline until it ends."""
    strip = max(2, round(_STRIP * unit))
    hems = [float(top), float(top)]
    gap = max(1, round(_GAP * unit))
    for side in range(2):
        missing = 0
        for y in range(round(middle[1] - unit), min(round(middle[1] + _DEEPEST * unit), len(hair))):
            # Below the chin the outline is the shoulder's: only hair tells.
            columns = np.flatnonzero(near[y] if y < middle[1] + unit else hair[y])
            columns = columns[columns < middle[0]] if side == 0 else columns[columns > middle[0]]
            edge = columns[:strip] if side == 0 else columns[-strip:]
            filled = len(edge) > 1 and hair[y, edge].mean() > _FILLED
            missing = 0 if filled else missing + 1
            if filled:
                hems[side] = float(y)
            if missing > gap:
                break
    return hems[0], hems[1]
