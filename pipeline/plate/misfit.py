"""Check whether a plate's candidate shows the right place, by comparing the surroundings of the hole with the
anchor's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.light import apply_light
from pipeline.maths.masks import grow
from pipeline.maths.reduce import reduced
from pipeline.maths.uneven_light import LightField
from pipeline.plate.warp import Warp
from pipeline.shaped import Shaped, Shapes

MISFIT = 1.3
"""Measured on a hand-held clip: 0.2 to 1.1 where registration succeeded, 1.4 to 1.6 where it is 12 px off; with
light that changed from place to place 0.3 to 2.1, and 1.5 to 4.5."""
_FACTOR = 4
"""Compared at a quarter of the size, so that parallax and grain do not count as misfit."""
_AROUND_BH = 0.3
"""Margin around the hole in which pictures are compared, body heights."""
_LEAST_COMPARED = 60
_CALM_LEVELS = 3.0
"""On ground as uniform as this only noise differs."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HoleSurroundings(Shaped):
    """What surrounds the hole of an anchor, at a quarter of the size."""

    SHAPES: ClassVar[Shapes] = {"gray": ("h", "w"), "near": ("h", "w")}

    gray: NDArray[np.float32]
    """(h, w)."""
    near: Mask
    """(h, w) background near the hole."""

    @classmethod
    def of(cls, anchor: Picture, background: Mask, needed_mask: Mask, height_px: float) -> HoleSurroundings:
        """Return those of an anchor's picture; ``background`` (H, W) is it without people, ``needed_mask`` (H, W) what
        is hidden."""
        near = grow(needed_mask, max(_FACTOR, round(_AROUND_BH * height_px)))
        both = (_reduced(near.view(np.uint8)) > 0) & (_reduced(background.view(np.uint8)) > 0)
        return cls(cv2.cvtColor(_reduced(anchor), cv2.COLOR_RGB2GRAY).astype(np.float32), both)


def misfit(
    around: HoleSurroundings,
    candidate: Picture,
    background: Mask,
    warp: Warp,
    light: NDArray[np.float64],
    field: LightField | None = None,
) -> float:
    """Return how much a candidate, registered by ``warp`` and in the anchor's ``light``, differs from the anchor's
    picture; ``field`` is what is left of the difference in light from place to place.

    1 is the difference between the anchor and itself shifted by 4 px. ``background`` (H, W) is the candidate without
    people. 0 where nothing can be compared.
    """
    both = around.near & (_seen_through(background.view(np.uint8), warp) > 0)
    if np.count_nonzero(both) < _LEAST_COMPARED:
        return 0.0
    here = around.gray
    lit = apply_light(_seen_through(candidate, warp), light)
    if field is not None:
        size_wh = lit.shape[1], lit.shape[0]
        lit = field.applied(lit, (0, 0, *size_wh), size_wh)
    there = cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY).astype(np.float32)
    moved = [float(np.abs(here - np.roll(here, 1, axis))[both].mean()) for axis in (0, 1)]
    return float(np.abs(here - there)[both].mean()) / max(sum(moved) / 2, _CALM_LEVELS)


def _reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = picture.shape[:2]
    size_wh = max(w // _FACTOR, 1), max(h // _FACTOR, 1)
    if picture.ndim == 3:
        return reduced(picture, size_wh)
    return cv2.resize(picture, size_wh, interpolation=cv2.INTER_NEAREST)


def _seen_through(picture: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Warp a picture by the warp's homography, at reduced size; 0 outside."""
    h, w = picture.shape[:2]
    small = _reduced(picture)
    scale = np.array([[w / small.shape[1], 0, 0], [0, h / small.shape[0], 0], [0, 0, 1.0]])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    transform = np.linalg.inv(scale) @ warp.from_to @ scale
    flags = (cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(small, transform, small.shape[1::-1], flags=flags)
