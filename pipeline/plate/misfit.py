"""Check whether a plate's candidate shows the right place, by comparing the surroundings of the hole with the
anchor's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.light import apply_light
from pipeline.maths.masks import grow
from pipeline.plate.warp import Warp

MISFIT = 1.3
"""Measured on a hand-held clip: 0.2 to 1.1 where registration succeeded, 1.4 to 1.6 where it is 12 px off."""
_FACTOR = 4
"""Compared at a quarter of the size, so that parallax and grain do not count as misfit."""
_AROUND_BH = 0.3
"""Margin around the hole in which pictures are compared, body heights."""
_LEAST_COMPARED = 60
_CALM_LEVELS = 3.0
"""On ground as uniform as this only noise differs."""


def misfit(
    anchor: Picture,
    candidate: Picture,
    background: tuple[Mask, Mask],
    needed_mask: Mask,
    warp: Warp,
    light: NDArray[np.float64],
    height_px: float,
) -> float:
    """Return how much a candidate, registered by ``warp`` and in the anchor's ``light``, differs from the anchor's
    picture.

    1 is the difference between the anchor and itself shifted by 4 px. ``background`` are the masks (H, W) of the anchor
    and of the candidate without people; ``needed_mask`` (H, W) is what is hidden at the anchor. 0 where nothing can be
    compared.
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
    """Warp a picture by the warp's homography, at reduced size; 0 outside."""
    h, w = picture.shape[:2]
    small = _reduced(picture)
    scale = np.array([[w / small.shape[1], 0, 0], [0, h / small.shape[0], 0], [0, 0, 1.0]])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    transform = np.linalg.inv(scale) @ warp.from_to @ scale
    flags = (cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(small, transform, small.shape[1::-1], flags=flags)
