"""The subject's shadow on a wall in one frame, and the new person's in its place."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Mask, Matte
from pipeline.datatypes.light import WallShadows, WallShape
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ThrownShadows, without_contact_shadow
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices, union_of
from pipeline.maths.wall_shadow import throw_on_wall

_ROOM_BH = 0.04
"""Margin for soft edges, and for parts that the shape misses."""
_LEAST_SHADE = 0.01


def throw_wall_shadows(
    subject_mask: Mask,
    layer: PlacedLayer | None,
    shoulders: tuple[float, float],
    height_px: float,
    shadows: WallShadows,
    frame: int,
) -> ThrownShadows | None:
    """Move the silhouettes of the original (H, W) and the new person to the wall; None where no shadow falls there.

    ``shoulders`` are the column and row of the subject's, source px; both people stand in the same pose.
    """
    shape = shadows.at(frame)
    if shape is None or not np.isfinite(shoulders).all() or not subject_mask.any():
        return None
    size_wh = subject_mask.shape[1], subject_mask.shape[0]
    boxes = [box_of_mask(subject_mask)]
    solid = None if layer is None else without_contact_shadow(layer)
    if solid is not None:
        boxes.append(solid[0])
    room = int(np.ceil((_ROOM_BH + 2 * shape.softness) * height_px)) + 2
    bodies = union_of(boxes)
    box = clipped(grown(_moved(bodies, shoulders, height_px, shape), room), size_wh)
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    x0, y0, x1, y1 = union_of([clipped(bodies, size_wh), box])
    silhouettes = [subject_mask[y0:y1, x0:x1].astype(np.float32)]
    new = np.zeros_like(silhouettes[0])
    if solid is not None:
        into, part = overlap_slices(solid[0], (x0, y0, x1, y1))
        new[into] = solid[1][part]
    silhouettes.append(new)
    area = box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0
    here = shoulders[0] - x0, shoulders[1] - y0
    softness_px = shape.softness * height_px
    old, cast = (
        throw_on_wall(each, here, height_px, shape, softness_px=softness_px, area_xyxy=area) for each in silhouettes
    )
    if max(_strongest(old), _strongest(cast)) <= _LEAST_SHADE:
        return None
    return ThrownShadows(box, old, cast, shadows.darkness[frame])


def _strongest(shadow: Matte) -> float:
    return float(shadow.max()) if shadow.size else 0.0


def _moved(box: Box, shoulders: tuple[float, float], height_px: float, shape: WallShape) -> Box:
    """Return the box of a shadow from that of its silhouette."""
    middle = np.array([shoulders, shoulders])
    moved = (np.array(box).reshape(2, 2) - middle) * shape.scale + middle
    moved += np.array([shape.right, shape.down]) * height_px
    low = np.floor(moved[0]).astype(int)
    high = np.ceil(moved[1]).astype(int) + 1
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
