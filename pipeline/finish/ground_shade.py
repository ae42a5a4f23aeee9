"""Carry the shade that the frame shows on the ground beside the subject's feet into the hole around them.

Close to the feet a shadow is darker, sharper and more varied than a sheared silhouette: each foot stands on a row of
its own, and a body also keeps the sky's light from the ground. The new person's feet stand where the original ones did,
so what the frame shows beside the mask belongs to both.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture
from pipeline.finish.composite import alpha_in
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import BODY_ALPHA, ShadowEdit
from pipeline.maths.boxes import Box, overlap_slices
from pipeline.maths.reduce import reduced

_BODY_PX = 240
"""Body height at which the shade is measured."""
_REACH_BH = 0.2
"""Distance from the feet within which the shade is carried in full; at twice of that it is not."""
_ALIKE_BH = 0.006
"""Standard deviation of the window in which frame and plate are compared, which tolerates misregistered texture."""
_SPREAD_BH = 0.012
_DOUBT = 0.02
"""Weight of the shade that was predicted, beside that of the pixels around: it stays far from what is visible."""
_LEAST_LEVEL = 4.0
_DARKEST = -1.2
_BRIGHTEST = 0.03
"""Range of the logarithm of sRGB levels over those of the plate; shade does not brighten the ground."""


def shade_at_feet(
    patch: Patch,
    shadow: ShadowEdit | None,
    layer: PlacedLayer,
    visible: Mask,
    feet_xy: NDArray[np.floating],
    room_xyxy: Box,
) -> ShadowEdit | None:
    """Return the gain that gives the ground at the feet the brightness of the frame beside them; None without ground.

    ``visible`` (h, w) of the patch is where the frame shows the ground, ``feet_xy`` (2, 2) are the points below the
    ankles, source px; ``shadow`` is the new shadow as predicted, which the gain corrects, as it does the contact shadow
    that the layer contains. The edit lies inside ``room_xyxy``, a box in the patch's; the hole stays as it is.
    """
    box = _box_around(feet_xy, 2 * _REACH_BH * patch.body_height_px, room_xyxy)
    if box is None:
        return None
    size_wh = _size_of(box, patch.body_height_px)
    part = patch.part(box)
    shown = _shown(visible[overlap_slices(box, patch.box_xyxy)[0]], size_wh)
    if not shown.any():
        return None
    height_px = patch.body_height_px * size_wh[0] / (box[2] - box[0])
    predicted = np.log(np.maximum(_predicted(box, shadow, layer, size_wh), np.exp(np.float32(_DARKEST))))
    lacking = shown * (_shade(part, shown, height_px) - predicted)
    spread_px = max(_SPREAD_BH * height_px, 1.0)
    total = cv2.GaussianBlur(shown, (0, 0), spread_px) + np.float32(_DOUBT)
    carried = cv2.GaussianBlur(lacking, (0, 0), spread_px) / total
    carried *= _nearness(box, feet_xy, patch.body_height_px, size_wh)
    gain = np.exp(cv2.resize(carried, (box[2] - box[0], box[3] - box[1]), interpolation=cv2.INTER_LINEAR))
    return ShadowEdit(box, np.zeros_like(gain), cv2.merge([gain] * 3))


def _box_around(feet_xy: NDArray[np.floating], reach_px: float, room: Box) -> Box | None:
    if not np.isfinite(feet_xy).all():
        return None
    x0, y0 = (int(value) for value in np.floor(feet_xy.min(axis=0) - reach_px))
    x1, y1 = (int(value) for value in np.ceil(feet_xy.max(axis=0) + reach_px))
    box = max(x0, room[0]), max(y0, room[1]), min(x1, room[2]), min(y1, room[3])
    return box if box[0] < box[2] and box[1] < box[3] else None


def _size_of(box: Box, height_px: float) -> tuple[int, int]:
    """Return the size at which the shade is measured: a shadow has no finer detail."""
    factor = max(1, round(height_px / _BODY_PX))
    return max((box[2] - box[0]) // factor, 1), max((box[3] - box[1]) // factor, 1)


def _shown(visible: Mask, size_wh: tuple[int, int]) -> Matte:
    """Return (h, w) 1 where nothing but visible ground is in the pixel, else 0."""
    hidden = np.where(visible, np.float32(0), np.float32(1))
    return (cv2.resize(hidden, size_wh, interpolation=cv2.INTER_AREA) == 0).astype(np.float32)


def _predicted(box: Box, shadow: ShadowEdit | None, layer: PlacedLayer, size_wh: tuple[int, int]) -> Matte:
    """Return (h, w) the factor on the ground's levels by the predicted shadow and by the layer's contact shadow."""
    alpha = alpha_in(layer, box)
    gain: Matte = np.where(alpha < BODY_ALPHA, 1 - alpha, np.float32(1))
    if shadow is not None:
        into, part = overlap_slices(shadow.box_xyxy, box)
        gain[into] *= cv2.transform(shadow.gain[part], np.full((1, 3), 1 / 3, np.float32))
    return np.asarray(cv2.resize(gain, size_wh, interpolation=cv2.INTER_AREA), np.float32)


def _shade(patch: Patch, shown: Matte, height_px: float) -> NDArray[np.float32]:
    """Return (h, w) the logarithm of the frame's levels over the plate's, around the pixels that are ``shown``."""
    sigma = max(_ALIKE_BH * height_px, 1.0)
    now, clean = (_smooth_level(picture, shown, sigma) for picture in (patch.source, patch.plate))
    return np.clip(np.log(now / clean), _DARKEST, _BRIGHTEST)


def _smooth_level(picture: Picture, shown: Matte, sigma: float) -> NDArray[np.float32]:
    small = reduced(picture, shown.shape[1::-1])
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) + np.float32(_LEAST_LEVEL)
    return np.asarray(cv2.GaussianBlur(gray * shown, (0, 0), sigma) + np.float32(1e-3), np.float32)


def _nearness(box: Box, feet_xy: NDArray[np.floating], height_px: float, size_wh: tuple[int, int]) -> Matte:
    """Return (h, w) over the box 1 near a foot, falling to 0 at twice the reach."""
    columns = np.linspace(box[0], box[2], size_wh[0], dtype=np.float32)
    rows = np.linspace(box[1], box[3], size_wh[1], dtype=np.float32)[:, None]
    distances = [np.hypot(columns - np.float32(x), rows - np.float32(y)) for x, y in feet_xy]
    reach_px = np.float32(_REACH_BH * height_px)
    return np.clip(2 - np.minimum(*distances) / reach_px, 0, 1)
