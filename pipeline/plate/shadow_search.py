"""Find the subject's cast shadow: compare each frame with the same ground at other times, at a small size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture, Transforms
from pipeline.datatypes.light import CastShadows, WallShadows, WallShape
from pipeline.maths.cast_shadow import (
    FOOT_BH,
    SAMPLE_BODY_PX,
    ShadowSample,
    cast,
    find_shear,
    measure_shadow,
    reference_of,
)
from pipeline.maths.channels import is_known
from pipeline.maths.light import linear_of
from pipeline.maths.masks import grow
from pipeline.maths.reflection import mirror, reflection_strength, sample_reflection
from pipeline.maths.wall_shadow import find_wall, measure_wall, throw_of, throw_on_wall
from pipeline.runtime.prefetch import parallel_map
from pipeline.shaped import Shaped, Shapes

MOST_SAMPLES = 20
"""A shot's frames that are compared with each other."""
_LEAST_SAMPLES = 6
_MOST_SIDE_PX = 512
_MOST_LOG = 1.0
_GAMMA = np.float32(2.2)
_LEAST_MIRRORED_PX = 50
"""A third of a reflection's least pixels: samples are small."""


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
    """Row of the ground under the subject; infinite where the feet are not in the picture."""
    body_px: float
    shoulders: tuple[float, float]
    """Column and row of their middle, NaN unknown."""


def ground_view(
    frame: int,
    picture: Picture,
    subject: Mask,
    people: Mask,
    ankles: NDArray[np.floating],
    height_px: float,
    usual_height_px: float,
    shoulders: NDArray[np.floating] | None = None,
) -> GroundView | None:
    """Reduce a frame so that the usual body height in its shot is ``SAMPLE_BODY_PX``; None where it shows neither the
    feet nor the shoulders.

    ``ankles`` is (2, 2) source px, ``shoulders`` (2,) the middle between them.
    """
    foot_row = float(np.max(ankles[:, 1])) + FOOT_BH * height_px
    if not np.isfinite(ankles).all() or foot_row >= len(picture) - 1:
        foot_row = np.inf
    known = np.full(2, np.nan) if shoulders is None else np.asarray(shoulders, np.float64)
    if not height_px > 8 or not (np.isfinite(foot_row) or np.isfinite(known).all()):
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
    column, row = (float(value) for value in (known + 0.5) * scale - 0.5)
    return GroundView(
        frame, log_light, cover[0], wide, (foot_row + 0.5) * scale - 0.5, height_px * scale, (column, row)
    )


def shadows_of_shot(
    views: Sequence[GroundView], world_from_source: Transforms, start: int, stop: int, size_wh: tuple[int, int]
) -> CastShadows:
    """Return the shadow over the frames [start, stop) of one shot; none where it cannot be determined."""
    count = stop - start
    none = CastShadows.none(count)
    if len(views) < _LEAST_SAMPLES:
        return none
    samples = _samples(views, world_from_source, size_wh)
    wall = _wall_of_shot(views, samples, world_from_source, size_wh)
    on_wall = None
    if wall is not None:
        shape, darkness = wall
        samples = [_without(sample, throw_of(sample, shape)) for sample in samples]
        on_wall = WallShadows(
            np.tile(np.array(astuple(shape), np.float32), (count, 1)),
            np.tile(np.array(darkness, np.float32), (count, 1)),
        )
    standing = [sample for sample in samples if np.isfinite(sample.foot_row)]
    is_mirrored = np.full(count, _is_mirrored(standing))
    none = replace(none, wall=on_wall, is_mirrored=is_mirrored)
    shear = find_shear(standing) if len(standing) >= _LEAST_SAMPLES else None
    if shear is None:
        return none
    # Now that the shadows' positions are known the ground is compared with frames in which it was lit.
    lit = [replace(view, people=_with_shadow(view, shear)) for view in views]
    ground = [
        sample for sample in _samples(views, world_from_source, size_wh, references=lit) if np.isfinite(sample.foot_row)
    ]
    if wall is not None:
        ground = [_without(sample, throw_of(sample, wall[0])) for sample in ground]
    shape_on_ground = measure_shadow(ground, shear)
    if shape_on_ground is None:
        return none
    return CastShadows(
        np.tile(np.array([shape_on_ground.right, shape_on_ground.up], np.float32), (count, 1)),
        np.tile(np.array(shape_on_ground.darkness, np.float32), (count, 1)),
        np.full(count, shape_on_ground.softness_bh, np.float32),
        on_wall,
        is_mirrored,
    )


def _is_mirrored(samples: Sequence[ShadowSample]) -> bool:
    """Return whether the floor mirrors the subject: plates must be free of that, and FINISH measures it by them."""
    measured = []
    for sample in samples:
        assert sample.difference is not None
        known = is_known(sample.difference).astype(np.float32)
        usable = is_known(sample.darkening) & (mirror(known, sample.foot_row) > 0.5)
        found = sample_reflection(
            np.nan_to_num(sample.difference),
            sample.silhouette > 0.5,
            usable,
            sample.foot_row,
            sample.body_px,
            _LEAST_MIRRORED_PX,
        )
        if found is not None:
            measured.append(found)
    return reflection_strength(measured) > 0


def _wall_of_shot(
    views: Sequence[GroundView],
    samples: list[ShadowSample],
    world_from_source: Transforms,
    size_wh: tuple[int, int],
) -> tuple[WallShape, tuple[float, float, float]] | None:
    """Return the shape and the darkness (RGB) of the shadow on a wall; None where there is none."""
    found = find_wall(samples)
    if found is None:
        return None
    lit = [replace(view, people=view.people | _on_wall(view, found)) for view in views]
    return measure_wall(_samples(views, world_from_source, size_wh, references=lit), found)


def _on_wall(view: GroundView, shape: WallShape) -> Mask:
    if not np.isfinite(view.shoulders).all():
        return np.zeros(view.people.shape, np.bool_)
    return grow(throw_on_wall(view.subject, view.shoulders, view.body_px, shape) > 0.1, 3)


def _without(sample: ShadowSample, shadow: Matte) -> ShadowSample:
    """Return a sample in which the pixels of a shadow (h, w) are unknown."""
    darkening = sample.darkening.copy()
    darkening[grow(shadow > 0.1, 3)] = np.nan
    return replace(sample, darkening=darkening)


def _samples(
    views: Sequence[GroundView],
    world_from_source: Transforms,
    size_wh: tuple[int, int],
    references: Sequence[GroundView] | None = None,
) -> list[ShadowSample]:
    """Compare each view with the ``references`` of other frames (the views themselves)."""
    found = parallel_map(lambda view: _sample(view, references or views, world_from_source, size_wh), views)
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
    y0 = 0
    y1 = height
    if np.isfinite(view.foot_row):
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
    here = view.log_light[area]
    reference = reference_of(np.stack(seen))
    darkening = here - reference
    darkening[view.people[area]] = np.nan
    known = is_known(darkening)
    if not known.any():
        return None
    darkening -= np.median(darkening[known], axis=0)
    darkening = np.clip(darkening, -_MOST_LOG, _MOST_LOG)
    column, row = view.shoulders
    return ShadowSample(
        darkening,
        np.ascontiguousarray(view.subject[area]),
        view.foot_row - y0,
        view.body_px,
        (column - x0, row - y0),
        255 * (np.exp(here / _GAMMA) - np.exp(reference / _GAMMA)),
    )
