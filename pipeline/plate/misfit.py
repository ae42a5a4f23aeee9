"""Whether a candidate of a plate shows what it should: its picture around the hidden place against the anchor's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.light import apply_light
from pipeline.maths.masks import grow
from pipeline.plate.registration import Warp

MISFIT = 1.3
"""Measured on a hand-held clip: 0.2 to 1.1 where registration held, 1.4 to 1.6 where it is 12 px off."""
_FACTOR = 4
"""Compared at a quarter of the size: parallax and grain are no misfit."""
_AROUND_BH = 0.3
"""How far around the hidden place pictures are compared, body heights."""
_LEAST_COMPARED = 60
_CALM_LEVELS = 3.0
"""On ground as even as this noise is all that differs."""


def misfit(
    anchor: Picture,
    candidate: Picture,
    background: tuple[Mask, Mask],
    needed_mask: Mask,
    warp: Warp,
    light: NDArray[np.float64],
    height_px: float,
) -> float:
    """Return how far a candidate, registered by ``warp`` and in the anchor's ``light``, is from the anchor's picture.

    1 is what the anchor differs from itself when it is moved by 4 px. ``background`` are the places (H, W) of the
    anchor and of the candidate that show no people; ``needed_mask`` (H, W) is what is hidden at the anchor. 0 where
    nothing can be compared.
    """
    near = grow(needed_mask, max(_FACTOR, round(_AROUND_BH * height_px)))
    both = _reduced(near.view(np.uint8)) > 0
    both &= _reduced(background[0].view(np.uint8)) > 0
    both &= _seen_through(background[1].view(np.uint8), warp) > 0
    if np.count_nonzero(both) < _LEAST_COMPARED:
        return 0.0
    here = cv2.cvtColor(_reduced(anchor), cv2.COLOR_RGB2GRAY).astype(np.float32)
    lit = apply_light(_seen_through(candidate, warp), light)
    there = cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY).astype(np.float32)
    moved = [float(np.abs(here - np.roll(here, 1, axis))[both].mean()) for axis in (0, 1)]
    return float(np.abs(here - there)[both].mean()) / max(sum(moved) / 2, _CALM_LEVELS)


def _reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = picture.shape[:2]
    size_wh = max(w // _FACTOR, 1), max(h // _FACTOR, 1)
    mode = cv2.INTER_AREA if picture.ndim == 3 else cv2.INTER_NEAREST
    return cv2.resize(picture, size_wh, interpolation=mode)


def _seen_through(picture: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Bring a picture through the warp's homography, reduced; 0 outside of it."""
    h, w = picture.shape[:2]
    small = _reduced(picture)
    scale = np.array([[w / small.shape[1], 0, 0], [0, h / small.shape[0], 0], [0, 0, 1.0]])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    transform = np.linalg.inv(scale) @ warp.from_to @ scale
    flags = (cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(small, transform, small.shape[1::-1], flags=flags)
