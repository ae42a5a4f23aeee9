"""Move a plate onto what the frame shows around the hole: the last of the parallax, measured densely.

A plate is registered through a coarse grid of nodes, whose values between left and right of a person are interpolated.
A post, a railing or the edge of a table near the camera moves differently from what is behind it, and would stand
beside itself at the edge of the hole. What the frame shows there tells by how much: dense optical flow (DIS: Kroeger
et al., ECCV 2016) from the frame to the plate, which counts where it makes them more alike, spread a little way into
the hole by normalized convolution (Knutsson and Westin, 1993).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.channels import lengths
from pipeline.maths.masks import grow
from pipeline.maths.optical_flow import Flow, gray_of, warp_by_flow
from pipeline.maths.reduce import reduced

_BODY_PX = 240
"""Body height at which the flow is computed."""
_PULLED_PX = 2
"""Beside what is hidden the flow is pulled to 0."""
_MOST_PX = 4.0
"""A longer displacement is another thing that moves, not parallax that the plate's registration left."""
_ALIKE_PX = 2.0
"""Standard deviation of the window in which frame and plate are compared."""
_UNLIKE_LEVELS = 12.0
"""After the displacement they differ by more only where the plate does not show what the frame shows."""
_MOST_GAIN_LEVELS = 5.0
_LEAST_CONFIDENCE = 0.1
"""Where they were alike before, the displacement is known to be small."""
_SPREAD_PX = 4.0
_DOUBT = 0.01
"""Confidence of no displacement, beside those around: far from what is visible, the plate stays."""
_AROUND_BH = 0.16
"""Margin around the hole in which the plate is moved."""
_LEAST_SIDE_PX = 16
"""Of a picture in which the flow has pyramid levels."""
_LEAST_PX = 0.1
"""Smaller displacements are invisible."""


def moved_onto_surroundings(plate: Picture, source: Picture, hole: Mask, visible: Mask, height_px: float) -> Picture:
    """Return the plate (h, w, 3) displaced around the ``hole`` (h, w) by what lies between it and ``source``.

    ``plate`` is in the light of ``source``, the frame, in which a body is ``height_px`` high, and is compared with it
    where that is ``visible`` (h, w). What is hidden is displaced as the nearest visible pixels are, up to about 2 % of
    body height from them.
    """
    height, width = hole.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(hole), round(_AROUND_BH * height_px)), (width, height))
    factor = max(1, round(height_px / _BODY_PX))
    size_wh = (x1 - x0) // factor, (y1 - y0) // factor
    if min(size_wh) < _LEAST_SIDE_PX:
        return plate
    area = np.s_[y0:y1, x0:x1]
    now, clean = (gray_of(_reduced(each[area], size_wh)) for each in (source, plate))
    seen = np.ascontiguousarray(visible[area]).view(np.uint8)
    shift = _displacement(now, clean, cv2.resize(seen, size_wh, interpolation=cv2.INTER_NEAREST) > 0)
    if not np.abs(shift).max() > _LEAST_PX:
        return plate
    if factor > 1:
        shift = cv2.resize(shift * np.float32(factor), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    result = plate.copy()
    result[area] = warp_by_flow(plate[area], shift)
    return result


def _reduced(picture: Picture, size_wh: tuple[int, int]) -> Picture:
    same = picture.shape[1::-1] == size_wh
    return np.ascontiguousarray(picture) if same else reduced(np.ascontiguousarray(picture), size_wh)


def _dense_flow() -> cv2.DISOpticalFlow:
    """Return the flow at half the size: a quarter misses a post of 16 px. Fewer and larger steps than OpenCV's own are
    as accurate between pictures that differ by a pixel, in two thirds of the time."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setPatchStride(4)
    flow.setGradientDescentIterations(12)
    flow.setVariationalRefinementIterations(2)
    return flow


def _displacement(now: NDArray[np.uint8], clean: NDArray[np.uint8], shown: Mask) -> Flow:
    """Return the displacement (h, w, 2) from gray pictures of the frame, ``now``, to the plate, ``clean``; 0 far from
    what is ``shown`` (h, w)."""
    # The hidden pixels agree with the plate, so that people are not followed.
    now = np.where(shown, now, clean)
    flow = _dense_flow().calc(now, clean, None)
    before = cv2.GaussianBlur(cv2.absdiff(now, clean).astype(np.float32), (0, 0), _ALIKE_PX)
    moved = warp_by_flow(clean, flow)
    after = cv2.GaussianBlur(cv2.absdiff(now, moved).astype(np.float32), (0, 0), _ALIKE_PX)
    gain = np.clip(before - after, 0, _MOST_GAIN_LEVELS) + np.float32(_LEAST_CONFIDENCE)
    trusted = ~grow(~shown, _PULLED_PX) & (after < _UNLIKE_LEVELS) & (lengths(flow) < _MOST_PX)
    confidence = np.where(trusted, gain, np.float32(0))
    total = cv2.GaussianBlur(confidence, (0, 0), _SPREAD_PX) + np.float32(_DOUBT)
    return np.asarray(cv2.GaussianBlur(flow * confidence[..., None], (0, 0), _SPREAD_PX) / total[..., None], np.float32)
