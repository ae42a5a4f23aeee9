"""Remove the subject's shadow on the ground in one frame, and cast the new person's in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture
from pipeline.datatypes.light import CastShadows
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices, union_of
from pipeline.maths.cast_shadow import cast, shadow_reach
from pipeline.maths.masks import grow
from pipeline.shaped import Shaped, Shapes

_ROOM_BH = 0.04
"""Margin around the sheared silhouette: its soft edge, and the body's depth, which the shear ignores."""
BODY_ALPHA = 0.72
"""Pixels of a layer with less alpha are its own contact shadow."""
_LEAST_SHADE = 0.01
"""Least visible strength of a shadow."""
_LEAST_PX = 40
_MOST_SHARE = 1.25


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShadowEdit(Shaped):
    """The shadow edit of one frame, in a box of it."""

    SHAPES: ClassVar[Shapes] = {"hole": ("h", "w"), "gain": ("h", "w", 3)}

    box_xyxy: Box
    hole: Matte
    """(h, w) 1 where the ground is replaced because of shadows, soft at its edge."""
    gain: NDArray[np.float32]
    """(h, w, 3) factor of the new shadow on the background's sRGB levels; 1 where there is none."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ThrownShadows(Shaped):
    """The shadows of both people on the ground or on a wall, soft, in ``box_xyxy``; 0..1."""

    SHAPES: ClassVar[Shapes] = {"old": ("h", "w"), "new": ("h", "w"), "darkness": (3,)}

    box_xyxy: Box
    old: Matte
    new: Matte
    darkness: NDArray[np.float32]
    """(3,) fraction of the linear light that a full shadow removes, RGB."""


def throw_shadows(
    subject_mask: Mask,
    layer: PlacedLayer | None,
    foot_row: float,
    height_px: float,
    shadows: CastShadows,
    frame: int,
) -> ThrownShadows | None:
    """Shear the silhouettes of the original (H, W) and the new person onto the ground; None where there is no shadow.

    ``foot_row`` is the ground under the subject, source px; it must lie in the picture.
    """
    shear = shadows.shear_at(frame)
    size_wh = subject_mask.shape[1], subject_mask.shape[0]
    if shear is None or not foot_row < size_wh[1] or not subject_mask.any():
        return None
    bodies = box_of_mask(subject_mask)
    solid = None if layer is None else without_contact_shadow(layer)
    if solid is not None:
        bodies = union_of([bodies, solid[0]])
    room = int(np.ceil(_ROOM_BH * height_px)) + 2
    left, right, below = shadow_reach(max(foot_row - bodies[1], 1.0), *shear)
    low = max(bodies[3], int(foot_row) + below) + room
    box = clipped((bodies[0] - left - room, bodies[1], bodies[2] + right + room, low), size_wh)
    x0, y0, x1, y1 = box
    old = subject_mask[y0:y1, x0:x1].astype(np.float32)
    new = np.zeros_like(old)
    if solid is not None:
        into, part = overlap_slices(solid[0], box)
        new[into] = solid[1][part]
    softness_px = float(shadows.softness_bh[frame]) * height_px
    # The bodies reach far above their shadows.
    top = max(int(foot_row - max(shear[1], 0.0) * (foot_row - bodies[1])) - room, y0)
    area = 0, top - y0, x1 - x0, y1 - y0
    thrown = [cast(body, foot_row - y0, *shear, softness_px, area) for body in (old, new)]
    seen = box_of_mask(np.maximum(*thrown) > _LEAST_SHADE)
    if seen[2] == 0:
        return None
    # Parts found beside the original shadow count as well.
    x2, y2, x3, y3 = clipped(grown(seen, room), (x1 - x0, y1 - top))
    old_shadow, new_shadow = (np.ascontiguousarray(shadow[y2:y3, x2:x3]) for shadow in thrown)
    return ThrownShadows((x0 + x2, top + y2, x0 + x3, top + y3), old_shadow, new_shadow, shadows.darkness[frame])


def without_contact_shadow(layer: PlacedLayer) -> tuple[Box, Matte] | None:
    """Return the box of the new person without their contact shadow, and their coverage of each of its pixels."""
    x0, y0, x1, y1 = box_of_mask(layer.alpha > BODY_ALPHA)
    if x1 == 0:
        return None
    alpha = np.clip((layer.alpha[y0:y1, x0:x1] - BODY_ALPHA) / (1 - BODY_ALPHA), 0, 1)
    left, upper = layer.box_xyxy[:2]
    return (left + x0, upper + y0, left + x1, upper + y1), alpha


def darkened(background: Picture, box_xyxy: Box, shadow: ShadowEdit) -> Picture:
    """Return a background (h, w, 3) of a box with the new shadow on it."""
    into, part = overlap_slices(shadow.box_xyxy, box_xyxy)
    result = background.copy()
    # A reflection may be brighter than the floor.
    result[into] = np.minimum(np.rint(background[into] * shadow.gain[part]), 255)
    return result


def together(shadow: ShadowEdit | None, other: ShadowEdit) -> ShadowEdit:
    """Return both edits as one: gains are multiplied, the larger hole wins."""
    if shadow is None:
        return other
    box = union_of([shadow.box_xyxy, other.box_xyxy])
    hole: Matte = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    gain = np.ones((*hole.shape, 3), np.float32)
    for edit in (shadow, other):
        into, part = overlap_slices(edit.box_xyxy, box)
        hole[into] = np.maximum(hole[into], edit.hole[part])
        gain[into] *= edit.gain[part]
    return ShadowEdit(box, hole, gain)


def edit_shadows(thrown: ThrownShadows, patch: Patch, hole: Mask, *, recast: bool) -> ShadowEdit:
    """Compute hole and gain from both shadows; ``patch`` and ``hole``, (h, w) of the subject, are in ``thrown``'s box.

    The original shadow is trusted only as far as the frame is darker than the plate there: where it is not (the subject
    stands in the shade of a house, or the plate never saw the ground lit), nothing is replaced and no shadow is cast,
    so that no ground is darkened twice.
    """
    height_px = patch.body_height_px
    darkness = thrown.darkness
    people = hole | patch.people
    share = _share_seen(thrown.old, patch, patch.seen & ~people, darkness)
    new = thrown.new if recast else np.zeros_like(thrown.new)
    if share <= 0:
        return ShadowEdit(thrown.box_xyxy, np.zeros_like(new), np.ones(patch.source.shape, np.float32))
    # Where both shadows or neither fall, the source already has the right brightness, and is sharper than any plate.
    changed = cv2.dilate(np.abs(thrown.old - new), _disk(0.01 * height_px))
    # Parts of the original shadow that the shear misses are darker than the plate, next to those that it predicts.
    room_px = max(1, round(_ROOM_BH * height_px))
    beside = grow(thrown.old > 0.3, room_px) & ~grow(new > 0.3, room_px)
    dark = _darkening(patch) < 0.3 * share * np.log(1 - float(darkness.mean()))
    changed = np.maximum(changed, (beside & dark & ~people).astype(np.float32))
    replaced = np.clip((cv2.GaussianBlur(changed, (0, 0), max(0.006 * height_px, 0.8)) - 0.2) / 0.3, 0, 1)
    left = np.maximum(1 - darkness * new[..., None], 1e-3)
    # Levels are approximately a power of light, which suffices for a factor: sRGB's mean exponent is 1 / 2.2.
    gain = np.power(left, np.float32(share / 2.2))
    return ShadowEdit(thrown.box_xyxy, (replaced * patch.seen).astype(np.float32), gain.astype(np.float32))


def _disk(radius_px: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius_px)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _darkening(patch: Patch) -> NDArray[np.float32]:
    """Return (h, w): the log-ratio of the source's light to the plate's, smoothed enough to tolerate misregistered
    texture."""
    sigma = max(0.008 * patch.body_height_px, 1.0)
    now, clean = (
        cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigma)
        for picture in (patch.source, patch.plate)
    )
    return 2.2 * np.log((now + 4) / (clean + 4))


def _share_seen(shadow: Matte, patch: Patch, usable: Mask, darkness: NDArray[np.float32]) -> float:
    """Return how much of the expected darkening the frame shows inside the shadow, 0..1.25; 1 where too little is
    visible.

    Below a quarter it is 0: an uneven plate causes as much.
    """
    where = (shadow > 0.6) & usable
    if np.count_nonzero(where) < _LEAST_PX:
        return 1.0
    now, clean = (picture[where].mean(axis=0, dtype=np.float64) for picture in (patch.source, patch.plate))
    expected = np.log(1 - darkness.astype(np.float64).clip(0, 0.95)).sum()
    seen = 2.2 * np.log(np.maximum(now, 1) / np.maximum(clean, 1)).sum()
    share = float(np.clip(seen / min(expected, -1e-3), 0, _MOST_SHARE))
    return share if share > 0.25 else 0.0
