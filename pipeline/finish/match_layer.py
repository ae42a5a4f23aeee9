"""The layer of the new person takes on the sharpness and the grain that the old one has in the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import box_of_mask, clipped, grown, overlap_slices
from pipeline.maths.grain import Grain, add_grain
from pipeline.maths.sharpness import Covariance, blur_kernel, lacking_blur, measure_blur

_LEAST_PX = 0.6
"""Less blur than this is not seen, and is within what is measured on a sharp picture."""
_LEAST_PLATE_PX = 0.8
_MEASURED_BODY_PX = 300
"""Body height at which a plate's blur is measured."""
_SHARP = np.zeros((2, 2))
"""Where the frame itself is sharp nothing has to be measured of what is put into it."""
_GRAY = 128


def match_sharpness(layer: PlacedLayer, source: Picture, subject_mask: Mask) -> PlacedLayer:
    """Blur the layer as far as the subject in ``source`` (H, W, 3) is more blurred: by defocus, motion, compression.

    Both are measured alike, inside their silhouettes (``subject_mask`` is (H, W)); a layer is never sharpened, and one
    of which too little is seen stays as it is.
    """
    x0, y0, x1, y1 = clipped(grown(box_of_mask(subject_mask), 8), (source.shape[1], source.shape[0]))
    if not subject_mask.any() or not layer.alpha.any():
        return layer
    area = np.s_[y0:y1, x0:x1]
    gray = cv2.cvtColor(np.ascontiguousarray(source[area]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    inside = cv2.erode(subject_mask[area].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    wanted = measure_blur(gray, inside)
    if wanted is None or lacking_blur(wanted, _SHARP, _LEAST_PX) is None:
        return layer
    # Before what lies behind him, about as bright: the silhouette is an edge of his.
    behind = float(np.median(gray))
    drawn = cv2.cvtColor(layer.premultiplied, cv2.COLOR_RGB2GRAY) + (1 - layer.alpha) * np.float32(behind)
    there = measure_blur(np.asarray(drawn, np.float32), layer.alpha > 0.9)
    lacking = lacking_blur(wanted, there, _LEAST_PX) if there is not None else None
    return layer if lacking is None else _filtered(layer, blur_kernel(lacking), (source.shape[1], source.shape[0]))


def match_plate(plate: Picture, source: Picture, ring: Mask, height_px: float) -> Picture:
    """Blur the plate (h, w, 3) as far as the source is more blurred in the ``ring`` (h, w) around the hole.

    A plate is made of sharp frames too: in a fast pan it would stand out.
    """
    factor = max(1, round(height_px / _MEASURED_BODY_PX))
    size_wh = max(plate.shape[1] // factor, 1), max(plate.shape[0] // factor, 1)

    def measured(picture: Picture) -> Covariance | None:
        small = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) if factor > 1 else picture
        where = cv2.resize(ring.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
        return measure_blur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), np.asarray(where, np.bool_))

    wanted = measured(source)
    if wanted is None or lacking_blur(wanted, _SHARP, _LEAST_PLATE_PX) is None:
        return plate
    there = measured(plate)
    lacking = lacking_blur(wanted, there, _LEAST_PLATE_PX) if there is not None else None
    if lacking is None:
        return plate
    lacking = lacking * factor**2
    return cv2.filter2D(plate, -1, blur_kernel(lacking), borderType=cv2.BORDER_REPLICATE)


def _filtered(layer: PlacedLayer, kernel: NDArray[np.float32], size_wh: tuple[int, int]) -> PlacedLayer:
    """Return the layer under a kernel, in a box that holds what it spreads to."""
    box = clipped(grown(layer.box_xyxy, len(kernel) // 2), size_wh)
    into, part = overlap_slices(layer.box_xyxy, box)
    whole = np.zeros((box[3] - box[1], box[2] - box[0], 4), np.float32)
    whole[into][..., :3] = layer.premultiplied[part]
    whole[into][..., 3] = layer.alpha[part]
    spread = cv2.filter2D(whole, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    alpha = np.clip(spread[..., 3], 0, 1)
    alpha[alpha < 1 / 512] = 0
    color = np.clip(spread[..., :3], 0, 255 * alpha[..., None])
    return PlacedLayer(box, np.ascontiguousarray(color), np.ascontiguousarray(alpha))


def match_grain(layer: PlacedLayer, grain: Grain, seed: int, frame: int) -> PlacedLayer:
    """Return the layer with the source's grain on it, as the plate has it; the same for the same seed and frame."""
    flat = np.full((*layer.alpha.shape, 3), _GRAY, np.uint8)
    # Another seed than the plate's: both are seen through a soft edge.
    noise = add_grain(flat, grain, seed + 1, frame).astype(np.float32) - _GRAY
    most = 255 * layer.alpha[..., None]
    return PlacedLayer(
        layer.box_xyxy, np.clip(layer.premultiplied + noise * layer.alpha[..., None], 0, most), layer.alpha
    )
