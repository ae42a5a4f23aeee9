"""Inpainting of background that no frame shows."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture


def fill_hole(picture: Picture, hole: Mask, method: Literal["telea", "ns"] = "telea") -> Picture:
    """Return the picture with the pixels of ``hole`` (h, w) inpainted from around it, all others unchanged.

    Inpainting runs at a quarter of the size, where it costs a sixteenth and looks the same, since it adds no detail. A
    hole that covers the whole picture is filled with mid gray.
    """
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 128)
    h, w = hole.shape
    small_wh = (max(2, (w + 3) // 4), max(2, (h + 3) // 4))
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, small_wh, interpolation=cv2.INTER_AREA)
    # Averages of known pixels only, so that the hole's own content does not bleed into its surroundings.
    sums = cv2.resize(picture.astype(np.float32) * known[..., None], small_wh, interpolation=cv2.INTER_AREA)
    small = np.clip(np.rint(sums / np.maximum(share, 1e-6)[..., None]), 0, 255).astype(np.uint8)
    small_hole = (share < 0.25).astype(np.uint8)
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    filled = cv2.inpaint(small, small_hole, 3, flag) if small_hole.any() else small
    large = cv2.resize(filled, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.where(hole[..., None], large, picture)
