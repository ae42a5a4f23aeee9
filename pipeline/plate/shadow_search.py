"""Find the subject's cast shadow: compare each frame with the same ground at other times, at a small size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture, Transforms
from pipeline.datatypes.light import CastShadows
from pipeline.maths.cast_shadow import (
    FOOT_BH,
    SAMPLE_BODY_PX,
    ShadowSample,
    cast,
    find_shear,
    measure_shadow,
    reference_of,
)
from pipeline.maths.light import linear_of
from pipeline.maths.masks import grow
from pipeline.shaped import Shaped, Shapes

MOST_SAMPLES = 20
"""A shot's frames that are compared with each other."""
_LEAST_SAMPLES = 6
_MOST_SIDE_PX = 512
_MOST_LOG = 1.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GroundView(Shaped):
    """One frame at a small size, kept until its shot's frames are compared."""

    SHAPES: ClassVar[Shapes] = {"log_light": ("h", "w", 3), "subject": ("h", "w"), "people": ("h", "w")}

    frame: int
    log_light: NDArray[np.float32]
    """(h, w, 3) logarithm of linear light."""
    subject: Matte
    """(h, w)."""
    people: Mask
    """(h, w) with a margin."""
    foot_row: float
    body_px: float


def ground_view(
    frame: int,
    picture: Picture,
    subject: Mask,
    people: Mask,
    ankles: NDArray[np.floating],
    height_px: float,
    usual_height_px: float,
) -> GroundView | None:
    """Reduce a frame so that the usual body height in its shot is ``SAMPLE_BODY_PX``; None where the feet are not in
    it.

    ``ankles`` is (2, 2) source px.
    """
    foot_row = float(np.max(ankles[:, 1])) + FOOT_BH * height_px
    if not np.isfinite(ankles).all() or foot_row >= len(picture) - 1 or not height_px > 8:
        return None
    scale = min(SAMPLE_BODY_PX / usual_height_px, _MOST_SIDE_PX / max(picture.shape[:2]))
    size_wh = max(round(picture.shape[1] * scale), 4), max(round(picture.shape[0] * scale), 4)
    linear = linear_of(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA))
    cover = [
        np.asarray(cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA), np.float32)
        for mask in (subject, people)
    ]
    wide = grow(cover[1] > 0.02, 2)
    log_light = np.log(np.maximum(linear, 2e-3))
    return GroundView(frame, log_light, cover[0], wide, (foot_row + 0.5) * scale - 0.5, height_px * scale)


def shadows_of_shot(
    views: Sequence[GroundView], world_from_source: Transforms, start: int, stop: int, size_wh: tuple[int, int]
) -> CastShadows:
    """Return the shadow over the frames [start, stop) of one shot; none where it cannot be determined."""
    none = CastShadows.none(stop - start)
    if len(views) < _LEAST_SAMPLES:
        return none
    shear = find_shear(_samples(views, world_from_source, size_wh))
    if shear is None:
        return none
    # Now that the shadows' positions are known the ground is compared with frames in which it was lit.
    lit = [replace(view, people=_with_shadow(view, shear)) for view in views]
    shape = measure_shadow(_samples(views, world_from_source, size_wh, references=lit), shear)
    if shape is None:
        return none
    count = stop - start
    return CastShadows(
        np.tile(np.array([shape.right, shape.up], np.float32), (count, 1)),
        np.tile(np.array(shape.darkness, np.float32), (count, 1)),
        np.full(count, shape.softness_bh, np.float32),
    )


def _samples(
    views: Sequence[GroundView],
    world_from_source: Transforms,
    size_wh: tuple[int, int],
    references: Sequence[GroundView] | None = None,
) -> list[ShadowSample]:
    """Compare each view with the ``references`` of other frames (the views themselves)."""
    found = [_sample(view, references or views, world_from_source, size_wh) for view in views]
    return [sample for sample in found if sample is not None]


def _with_shadow(view: GroundView, shear: tuple[float, float]) -> Mask:
    shadow = cast(view.subject, view.foot_row, *shear) > 0.1
    return view.people | grow(shadow, 3)


def _sample(
    view: GroundView, references: Sequence[GroundView], world_from_source: Transforms, size_wh: tuple[int, int]
) -> ShadowSample | None:
    """Compare one view with the references, in the part of the picture where its shadow may fall."""
    height, width = view.people.shape
    columns = np.flatnonzero(view.subject.max(axis=0) > 0.5)
    if not len(columns):
        return None
    room = int(2 * view.body_px)
    x0, x1 = max(int(columns[0]) - room, 0), min(int(columns[-1]) + room, width)
    y0 = max(int(view.foot_row - 1.15 * view.body_px), 0)
    y1 = min(int(view.foot_row + 0.6 * view.body_px), height)
    box_wh = x1 - x0, y1 - y0
    small = np.array([[width / size_wh[0], 0, 0], [0, height / size_wh[1], 0], [0, 0, 1.0]])
    small[:2, 2] = (np.diag(small)[:2] - 1) / 2
    into_box = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
    source_from_world = np.linalg.inv(world_from_source[view.frame])
    seen = []
    for other in references:
        if other.frame == view.frame:
            continue
        move = into_box @ small @ source_from_world @ world_from_source[other.frame] @ np.linalg.inv(small)
        picture = cv2.warpPerspective(other.log_light, move, box_wh, flags=cv2.INTER_LINEAR)
        hidden = cv2.warpPerspective(other.people.view(np.uint8), move, box_wh, flags=cv2.INTER_NEAREST, borderValue=1)
        picture[hidden > 0] = np.nan
        seen.append(picture)
    area = np.s_[y0:y1, x0:x1]
    darkening = view.log_light[area] - reference_of(np.stack(seen))
    darkening[view.people[area]] = np.nan
    known = np.isfinite(darkening).all(axis=2)
    if not known.any():
        return None
    darkening -= np.median(darkening[known], axis=0)
    darkening = np.clip(darkening, -_MOST_LOG, _MOST_LOG)
    return ShadowSample(darkening, np.ascontiguousarray(view.subject[area]), view.foot_row - y0)
