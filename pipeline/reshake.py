"""The one map of a layer: crop space to the shaking source frame, with the foot lock in it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Transforms
from pipeline.geometry import apply_transform
from pipeline.spool import box_of

_MARGIN_PX = 3
"""The cubic kernel reaches two pixels beyond the support."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacedLayer:
    """A layer in source space, cut to a box; premultiplied."""

    box_xyxy: tuple[int, int, int, int]
    """Half-open, source px, inside the picture."""
    premultiplied: NDArray[np.float32]
    """(h, w, 3) RGB 0..255 times alpha."""
    alpha: NDArray[np.float32]
    """(h, w) 0..1."""


def support_box(
    layer: Layer, source_from_crop: Transforms, size_wh: tuple[int, int], margin_px: float
) -> tuple[int, int, int, int] | None:
    """Return the source box that the layer's support can touch, widened by ``margin_px``; None if it is empty."""
    assert layer.alpha is not None
    x0, y0, x1, y1 = box_of(layer.alpha > 0)
    if x1 == 0:
        return None
    corners = np.array([[x0, y0], [x1 - 1, y0], [x0, y1 - 1], [x1 - 1, y1 - 1]], np.float64)
    points = apply_transform(source_from_crop, corners)
    low = np.floor(points.min(axis=0) - margin_px - _MARGIN_PX).astype(int)
    high = np.ceil(points.max(axis=0) + margin_px + _MARGIN_PX).astype(int) + 1
    width, height = size_wh
    box = (max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), width), min(int(high[1]), height))
    return box if box[0] < box[2] and box[1] < box[3] else None


def place_layer(
    layer: Layer,
    crop_from_source: Transforms,
    box_xyxy: tuple[int, int, int, int],
    displacement: NDArray[np.float32] | None = None,
) -> PlacedLayer:
    """Sample a layer at every source pixel p of the box: at ``crop_from_source(p - displacement(p))``.

    ``displacement`` is (h, w, 2) source px, or None. One cubic resample of the premultiplied picture: crop, foot
    lock and reshake are one map, so nothing is filtered twice.
    """
    assert layer.alpha is not None
    x0, y0, x1, y1 = box_xyxy
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float64)
    if displacement is not None:
        x, y = x - displacement[..., 0], y - displacement[..., 1]
    h = crop_from_source
    w = h[2, 0] * x + h[2, 1] * y + h[2, 2]
    map_x = ((h[0, 0] * x + h[0, 1] * y + h[0, 2]) / w).astype(np.float32)
    map_y = ((h[1, 0] * x + h[1, 1] * y + h[1, 2]) / w).astype(np.float32)
    alpha = layer.alpha.astype(np.float32) * np.float32(1 / 255)
    rgba = np.dstack([layer.picture * alpha[..., None], alpha])
    sampled = cv2.remap(rgba, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    placed_alpha = np.clip(sampled[..., 3], 0.0, 1.0)
    # The cubic kernel rings: below half a grey level there is nothing, and colour never exceeds its alpha.
    placed_alpha[placed_alpha < 1 / 512] = 0.0
    premultiplied = np.clip(sampled[..., :3], 0.0, 255.0 * placed_alpha[..., None])
    return PlacedLayer(box_xyxy, premultiplied, placed_alpha)
