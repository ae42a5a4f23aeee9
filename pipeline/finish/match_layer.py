"""Match the new person's layer to sharpness, haze, tones and grain of the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices
from pipeline.maths.color_grade import ColorGrade
from pipeline.maths.grain import Grain, add_grain
from pipeline.maths.light import levels_of, linear_of
from pipeline.maths.motion_blur import find_motion
from pipeline.maths.reduce import reduced
from pipeline.maths.sharpness import (
    Covariance,
    blur_kernel,
    is_motion,
    lacking_blur,
    measure_blur,
    motion_covariance,
    rounded,
)
from pipeline.maths.uneven_light import Veil
from pipeline.runtime.compiled import njit

_LEAST_PX = 0.6
"""Less blur than this is invisible, and within the measurement error on a sharp picture."""
_LEAST_PLATE_PX = 0.8
_LEAST_MOTION_PX = 7.0
"""Shorter motions are measured well by the steepness of edges."""
_MEASURED_BODY_PX = 300
"""Body height at which a plate's blur is measured."""
_LEAKAGE = 0.15
"""Share of a slanting motion's variance that is measured across it: edges count for the nearest of eight directions."""
_SHARP = np.zeros((2, 2))
"""Where the frame itself is sharp the inserted layer need not be measured."""
_SHARES = (1.0, 0.0, 0.2, 0.5, 1.6, 2.5)
"""Of the variance; the first of equal ones wins."""
_GRAY = 128
_LEAST_VEIL = 0.003
"""Linear light that lifts black by ten levels."""


def match_sharpness(layer: PlacedLayer, source: Picture, subject_mask: Mask) -> PlacedLayer:
    """Blur the layer by as much as the subject in ``source`` (H, W, 3) is more blurred: by defocus, motion,
    compression.

    Both are measured in the same way, inside their silhouettes (``subject_mask`` is (H, W)); a layer is never
    sharpened, and one of which too little is visible stays unchanged.
    """
    x0, y0, x1, y1 = clipped(grown(box_of_mask(subject_mask), 8), (source.shape[1], source.shape[0]))
    if not subject_mask.any() or not layer.alpha.any():
        return layer
    area = np.s_[y0:y1, x0:x1]
    levels = cv2.cvtColor(np.ascontiguousarray(source[area]), cv2.COLOR_RGB2GRAY)
    gray = levels.astype(np.float32)
    inside = cv2.erode(subject_mask[area].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    wanted = measure_blur(gray, inside)
    if wanted is None or lacking_blur(wanted, _SHARP, _LEAST_PX) is None:
        return layer
    # Composited over a background of similar brightness, the silhouette counts as an edge of the subject.
    behind = _median_level(levels)
    solid = layer.alpha > 0.9
    x2, y2, x3, y3 = clipped(grown(box_of_mask(solid), 8), (solid.shape[1], solid.shape[0]))
    part = np.s_[y2:y3, x2:x3]
    color = cv2.cvtColor(np.ascontiguousarray(layer.premultiplied[part]), cv2.COLOR_RGB2GRAY)
    drawn = np.asarray(color + (1 - layer.alpha[part]) * np.float32(behind), np.float32)
    there = measure_blur(drawn, np.ascontiguousarray(solid[part])) if solid.any() else None
    lacking = lacking_blur(wanted, there, _LEAST_PX) if there is not None else None
    if lacking is None:
        return layer
    lacking = _as_motion(rounded(lacking), gray, np.ascontiguousarray(subject_mask[area]))
    return _filtered(layer, blur_kernel(lacking), (source.shape[1], source.shape[0]))


def _as_motion(lacking: Covariance, gray: NDArray[np.float32], subject_mask: Mask) -> Covariance:
    """Return a blur with the length and direction that the subject's gradient, (h, w), shows, if it is a long
    motion."""
    (narrow, long), axes = np.linalg.eigh(lacking)
    expected_px = float(np.sqrt(12 * max(long - narrow, 0.0)))
    if not is_motion(narrow, long) or expected_px < _LEAST_MOTION_PX:
        return lacking
    motion = find_motion(gray, subject_mask, axes[:, 1], expected_px)
    if motion is None:
        return lacking
    return motion_covariance(motion.length_px, motion.along, max(narrow - _LEAKAGE * long, 0.0))


def _median_level(gray: NDArray[np.uint8]) -> int:
    """Return the upper median of a gray picture: counting bytes is faster than sorting them."""
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    return int(np.searchsorted(np.cumsum(counts), gray.size // 2, side="right"))


def match_plate(plate: Picture, source: Picture, ring: Mask, height_px: float) -> Picture:
    """Blur the plate (h, w, 3) by as much as the source is more blurred in the ``ring`` (h, w) around the hole.

    A plate is built from sharp frames as well: in a fast pan it would stand out.
    """
    factor = max(1, round(height_px / _MEASURED_BODY_PX))
    # Pixels farther from the ring than the blur radius do not matter.
    x0, y0, x1, y1 = clipped(grown(box_of_mask(ring), 8 * factor), (ring.shape[1], ring.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return plate
    size_wh = max((x1 - x0) // factor, 1), max((y1 - y0) // factor, 1)

    def small_gray(picture: Picture) -> NDArray[np.float32]:
        near = np.ascontiguousarray(picture[y0:y1, x0:x1])
        small = reduced(near, size_wh) if factor > 1 else near
        return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)

    inside = np.ascontiguousarray(ring[y0:y1, x0:x1]).view(np.uint8)
    where = np.asarray(cv2.resize(inside, size_wh, interpolation=cv2.INTER_NEAREST) > 0, np.bool_)
    seen = small_gray(source)
    wanted = measure_blur(seen, where)
    if wanted is None or lacking_blur(wanted, _SHARP, _LEAST_PLATE_PX) is None:
        return plate
    drawn = small_gray(plate)
    there = measure_blur(drawn, where)
    lacking = lacking_blur(wanted, there, _LEAST_PLATE_PX) if there is not None else None
    if lacking is None:
        return plate
    share = _best_share(lacking, drawn, seen, where)
    if share == 0:
        return plate
    lacking = lacking * share * factor**2
    return cv2.filter2D(plate, -1, blur_kernel(lacking), borderType=cv2.BORDER_REPLICATE)


def _best_share(lacking: Covariance, drawn: NDArray[np.float32], seen: NDArray[np.float32], where: Mask) -> float:
    """Return the share of a measured blur after which a plate (h, w) is most like the source in a mask (h, w).

    A plate shows the very place that the source shows, so what was measured can be checked; the edges of a small ring
    mislead it by half or twice.
    """

    def difference(share: float) -> float:
        kernel = blur_kernel(lacking * share)
        blurred = drawn if share == 0 else cv2.filter2D(drawn, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        return float(np.abs(blurred - seen)[where].mean())

    return min(_SHARES, key=difference)


def _filtered(layer: PlacedLayer, kernel: NDArray[np.float32], size_wh: tuple[int, int]) -> PlacedLayer:
    """Return the layer convolved with a kernel, in a box that contains the spread."""
    box = clipped(grown(layer.box_xyxy, len(kernel) // 2), size_wh)
    into, part = overlap_slices(layer.box_xyxy, box)
    whole = np.zeros((box[3] - box[1], box[2] - box[0], 4), np.float32)
    whole[into][..., :3] = layer.premultiplied[part]
    whole[into][..., 3] = layer.alpha[part]
    spread = cv2.filter2D(whole, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return PlacedLayer(box, *_bounded(spread))


@njit(cache=True, nogil=True)
def _bounded(spread: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the colors (h, w, 3) and the alpha (h, w) of premultiplied (h, w, 4), without what is hardly there."""
    height, width, _ = spread.shape
    color = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width), np.float32)
    nothing = np.float32(0)
    for r in range(height):
        for c in range(width):
            share = min(max(spread[r, c, 3], nothing), np.float32(1))
            share = nothing if share < np.float32(1 / 512) else share
            alpha[r, c] = share
            for k in range(3):
                color[r, c, k] = min(max(spread[r, c, k], nothing), np.float32(255) * share)
    return color, alpha


def veiled(layer: PlacedLayer, veil_rgb: NDArray[np.float32]) -> PlacedLayer:
    """Return the layer behind a veil of light (3,), linear: haze, glare, a lifted black level."""
    if float(veil_rgb.max()) < _LEAST_VEIL:
        return layer
    shown = layer.alpha > 0
    alpha = layer.alpha[shown][:, None]
    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    table = levels_of(veil_rgb + (1 - veil_rgb) * linear_of(levels))[0]
    color = layer.premultiplied[shown] / alpha
    lifted = np.stack([np.interp(color[:, channel], np.arange(256), table[:, channel]) for channel in range(3)], axis=1)
    premultiplied = layer.premultiplied.copy()
    premultiplied[shown] = lifted * alpha
    return PlacedLayer(layer.box_xyxy, premultiplied, layer.alpha)


def behind_veil(layer: PlacedLayer, veil: Veil, box_xyxy: Box) -> PlacedLayer:
    """Return the layer behind a light leak or the like that lies over the box of a frame."""
    x0, y0, x1, y1 = box_xyxy
    within = layer.box_xyxy[0] - x0, layer.box_xyxy[1] - y0, layer.box_xyxy[2] - x0, layer.box_xyxy[3] - y0
    gain, offset = veil.light.over(within, (x1 - x0, y1 - y0))
    alpha = layer.alpha[..., None]
    return PlacedLayer(
        layer.box_xyxy, np.clip(gain * layer.premultiplied + offset * alpha, 0, 255 * alpha), layer.alpha
    )


def graded(layer: PlacedLayer, grade: ColorGrade) -> PlacedLayer:
    """Return the layer in the tones of black-and-white or toned footage."""
    shown = layer.alpha > 0
    alpha = layer.alpha[shown][:, None]
    premultiplied = layer.premultiplied.copy()
    if shown.any():
        premultiplied[shown] = grade.of((layer.premultiplied[shown] / alpha)[None])[0] * alpha
    return PlacedLayer(layer.box_xyxy, premultiplied, layer.alpha)


def match_grain(layer: PlacedLayer, grain: Grain, seed: int, frame: int) -> PlacedLayer:
    """Return the layer with the source's grain added, as on the plate; deterministic for a seed and frame."""
    flat = np.full((*layer.alpha.shape, 3), _GRAY, np.uint8)
    # A different seed from the plate's: both are visible through a soft edge.
    noisy = add_grain(flat, grain, seed + 1, frame, layer.alpha > 0)
    return PlacedLayer(layer.box_xyxy, _with_noise(layer.premultiplied, layer.alpha, noisy), layer.alpha)


@njit(cache=True, nogil=True)
def _with_noise(
    premultiplied: NDArray[np.float32], alpha: NDArray[np.float32], noisy: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return premultiplied colors (h, w, 3) with the noise of a gray picture (h, w, 3), as much as they cover."""
    result = np.empty(premultiplied.shape, np.float32)
    gray = np.float32(_GRAY)
    for r in range(alpha.shape[0]):
        for c in range(alpha.shape[1]):
            share = alpha[r, c]
            for k in range(3):
                value = premultiplied[r, c, k] + (np.float32(noisy[r, c, k]) - gray) * share
                result[r, c, k] = min(max(value, np.float32(0)), np.float32(255) * share)
    return result
