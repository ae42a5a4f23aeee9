"""Frames of a cross-fade: both shots' people are replaced in them, each with the weight of their picture.

Each frame is made for one shot alone, and there the other shot's original person would shine through. Around both
people it is therefore mixed anew, from the clear pictures before and after the cross-fade without the subject, moved as
the camera moves on (``maths.mixtures``), and the new people on them. In the picture that prevails they move on; in the
other one, whose people can no longer be followed, they keep their posture and go on at their speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask, Matte, Picture
from pipeline.datatypes.plan import Plan, Presence
from pipeline.finish.chroma_grid import on_chroma_grid, rgb_of_edit, whole_chroma_blocks
from pipeline.finish.composite import EditedFrame, EditWeights, compose
from pipeline.finish.reshake import PlacedLayer
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices
from pipeline.maths.masks import grow
from pipeline.maths.mixtures import SHORT_SIDE_PX, Mixture, fit_mixtures, matrix_of, motion_of
from pipeline.maths.reduce import reduced
from pipeline.maths.smoothing import true_runs
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of

_SPEED_FRAMES = 5
"""Frames beside a cross-fade over which speeds are measured."""
_BLANK_LEVELS = 6.0
"""Standard deviation of a picture of one color: a fade out, in which one picture is enough."""
_SOLID_BH, _SOLID_BH_PER_FRAME, _MOST_SOLID_BH = 0.03, 0.012, 0.12
"""Body heights around the original person that are mixed anew: limbs swing on while they are not followed."""
_FEATHER_BH = 0.04
_LIGHT_BH = 0.1
"""Body heights over which the mixture's light is matched to the frame around it."""


@dataclass(frozen=True, slots=True, eq=False)
class DissolveSide:
    """The clear frame on one side of a cross-fade, and how its subject moves into it."""

    frame: int
    clean: Picture
    """(H, W, 3) without the subject."""
    subject_mask: Mask
    """(H, W)."""
    layer: PlacedLayer | None
    """The new person; None where the subject is absent."""
    body_height_px: float
    speed_xy: Float64Array
    """(2,) source px by which the subject moves with each frame away from the clear one."""

    def held(self, number: int, size_wh: tuple[int, int]) -> tuple[Mask, PlacedLayer | None]:
        """Return the subject's mask (H, W) and the new person in a frame of the cross-fade."""
        shift = self.speed_xy * abs(number - self.frame)
        matrix = np.array([[1.0, 0, shift[0]], [0, 1.0, shift[1]]])
        mask = cv2.warpAffine(self.subject_mask.view(np.uint8), matrix, size_wh, flags=cv2.INTER_NEAREST)
        return mask.view(np.bool_), None if self.layer is None else _shifted(self.layer, shift, size_wh)


@dataclass(frozen=True, slots=True, eq=False)
class Dissolve:
    """One cross-fade."""

    first: int
    cut: int
    """The frame from which the later shot is the one that is followed."""
    sides: tuple[DissolveSide, DissolveSide]
    mixtures: Sequence[Mixture]

    def mixed(self, edited: EditedFrame, overlay_mask: Mask | None) -> EditedFrame:
        """Return a frame of it with both people replaced. ``overlay_mask`` (H, W) stays as it is."""
        number = edited.source.index
        mixture = self.mixtures[number - self.first]
        size_wh = (edited.source_rgb.shape[1], edited.source_rgb.shape[0])
        people = [self._people(side, edited, size_wh) for side in self.sides]
        holes = [_hole(mask, *self._reach_px(side, number)) for (mask, _), side in zip(people, self.sides, strict=True)]
        hole = np.maximum(*holes)
        covered = hole.copy()
        for _, layer in people:
            if layer is not None:
                x0, y0, x1, y1 = layer.box_xyxy
                covered[y0:y1, x0:x1] = np.maximum(covered[y0:y1, x0:x1], layer.alpha > 1e-3)
        if overlay_mask is not None:
            covered[overlay_mask], hole[overlay_mask] = 0, 0
        if not (covered > 0).any():
            return edited
        height_px = max(side.body_height_px for side in self.sides)
        info = edited.source.info
        room = clipped(grown(box_of_mask(covered > 0), round(2 * _LIGHT_BH * height_px)), size_wh)
        box = on_chroma_grid(room, info)
        x0, y0, x1, y1 = box
        inner = np.s_[y0:y1, x0:x1]
        clean = [
            _seen_in(side.clean, motion, size_wh, box)
            for side, motion in zip(self.sides, (mixture.earlier, mixture.later), strict=True)
        ]
        shares = 1 - mixture.weight, mixture.weight
        background = sum(np.float32(share) * picture for share, picture in zip(shares, clean, strict=True))
        free = covered[inner] == 0 if overlay_mask is None else (covered[inner] == 0) & ~overlay_mask[inner]
        light = _light(edited.source_rgb[inner] - background, free, _LIGHT_BH * height_px)
        new = background + light
        for share, picture, (_, layer) in zip(shares, clean, people, strict=True):
            if layer is not None:
                _lay_over(new, layer, picture, np.float32(share), box)
        source = np.ascontiguousarray(1 - covered[inner])
        region = whole_chroma_blocks(source < 1, box, info)
        weights = EditWeights(box, np.ascontiguousarray(hole[inner]), source, region)
        result = compose(edited.source, weights, None, np.asarray(np.clip(np.rint(new), 0, 255), np.uint8))
        return replace(
            edited,
            result=result,
            result_rgb=rgb_of_edit(result, box, edited.source_rgb),
            weights=weights,
            background=np.asarray(np.clip(np.rint(background + light), 0, 255), np.uint8),
            labels=None,
            plate_fit=float("nan"),
            unseen_px=0,
        )

    def _people(
        self, side: DissolveSide, edited: EditedFrame, size_wh: tuple[int, int]
    ) -> tuple[Mask, PlacedLayer | None]:
        number = edited.source.index
        mask, layer = side.held(number, size_wh)
        is_followed = (side.frame < number < self.cut) or (self.cut <= number < side.frame)
        if is_followed and edited.layer is not None:
            return mask | edited.subject_mask, edited.layer
        return mask, layer

    def _reach_px(self, side: DissolveSide, number: int) -> tuple[float, float]:
        """Return the widths around the original person in which the frame is mixed anew, and in which that ends."""
        solid_bh = min(_SOLID_BH + _SOLID_BH_PER_FRAME * abs(number - side.frame), _MOST_SOLID_BH)
        return solid_bh * side.body_height_px, max(1.0, _FEATHER_BH * side.body_height_px)


def dissolve_runs(plan: Plan) -> list[tuple[int, int, int]]:
    """Return the first frame of each cross-fade, the one after its last, and the first of the later shot."""
    if plan.blend_weights is None:
        return []
    runs = []
    for first, stop in true_runs(np.isfinite(plan.blend_weights)):
        cuts = plan.shot_starts[(plan.shot_starts >= first) & (plan.shot_starts <= stop)]
        if first > 0 and stop < len(plan.blend_weights) and len(cuts) == 1:
            runs.append((first, stop, int(cuts[0])))
    return runs


def make_dissolve(
    clip: Clip, plan: Plan, run: tuple[int, int, int], made: Callable[[int], EditedFrame]
) -> Dissolve | None:
    """Analyze a cross-fade of ``dissolve_runs``; ``made`` returns any frame edited.

    None where nobody is replaced beside it, or it fades into one color.
    """
    assert plan.blend_weights is not None
    first, stop, cut = run
    ends = [made(first - 1), made(stop)]
    is_blank = any(each.source_rgb.mean(axis=2).std() < _BLANK_LEVELS for each in ends)
    if is_blank or all(each.weights is None for each in ends):
        return None
    sides = _side(ends[0], plan, -1), _side(ends[1], plan, 1)
    size_wh = clip.info.size_wh
    small_wh = _small_wh(size_wh)
    frames = [_gray(rgb_of(frame), small_wh) for frame in clip.frames_at(range(first, stop))]
    free = []
    height_px = max(side.body_height_px for side in sides) * small_wh[1] / size_wh[1]
    for number in range(first, stop):
        people = np.logical_or(*(side.held(number, size_wh)[0] for side in sides))
        small = cv2.resize(people.view(np.uint8), small_wh, interpolation=cv2.INTER_AREA) > 0
        free.append(~grow(small, max(1, round(_SOLID_BH * height_px))))
    steps = _camera_step(plan, first - 1, -1, size_wh), _camera_step(plan, stop, 1, size_wh)
    weights = plan.blend_weights[first:stop].tolist()
    grays = _gray(sides[0].clean, small_wh), _gray(sides[1].clean, small_wh)
    return Dissolve(first, cut, sides, fit_mixtures(frames, grays, free, steps, weights))


def _side(edited: EditedFrame, plan: Plan, direction: int) -> DissolveSide:
    """Return the side of a clear frame; in ``direction`` lie the frames of its shot."""
    number = edited.source.index
    clean = edited.source_rgb
    if edited.weights is not None and edited.background is not None:
        x0, y0, x1, y1 = edited.weights.box_xyxy
        hole = edited.weights.hole[..., None]
        clean = clean.copy()
        part = clean[y0:y1, x0:x1]
        part[:] = np.rint(part * (1 - hole) + edited.background * hole)
    subject = plan.subject
    trunk = [*SHOULDERS, *HIPS]
    far = number + direction * _SPEED_FRAMES
    speed = np.zeros(2)
    if _same_shot(plan.shot_starts, number, far, len(subject.joints)) and subject.presence[far] > Presence.ABSENT:
        moved = subject.joints[number, trunk, :2].mean(axis=0) - subject.joints[far, trunk, :2].mean(axis=0)
        speed = np.nan_to_num(np.asarray(moved, np.float64)) / _SPEED_FRAMES
    height_px = float(np.nan_to_num(subject.body_height_px[number]))
    return DissolveSide(number, clean, edited.subject_mask, edited.layer, height_px, speed)


def _same_shot(shot_starts: NDArray[np.int64], a: int, b: int, num_frames: int) -> bool:
    low, high = min(a, b), max(a, b)
    return low >= 0 and high < num_frames and not ((shot_starts > low) & (shot_starts <= high)).any()


def _camera_step(plan: Plan, number: int, direction: int, size_wh: tuple[int, int]) -> Float64Array:
    """Return (4,) the motion from a frame to the next one in ``direction``, the mean of the last few."""
    far = number + direction * _SPEED_FRAMES
    if not _same_shot(plan.shot_starts, number, far, len(plan.camera.world_from_source)):
        return np.zeros(4)
    worlds = plan.camera.world_from_source
    return motion_of(np.linalg.inv(worlds[far]) @ worlds[number], size_wh) / _SPEED_FRAMES


def _small_wh(size_wh: tuple[int, int]) -> tuple[int, int]:
    ratio = min(1.0, SHORT_SIDE_PX / min(size_wh))
    return round(size_wh[0] * ratio), round(size_wh[1] * ratio)


def _gray(picture: Picture, small_wh: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(reduced(picture, small_wh), cv2.COLOR_RGB2GRAY), np.uint8)


def _hole(mask: Mask, solid_px: float, feather_px: float) -> Matte:
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    distance = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.clip(1 - (distance - solid_px) / feather_px, 0, 1).astype(np.float32)


def _seen_in(picture: Picture, motion: Float64Array, size_wh: tuple[int, int], box: Box) -> Float32Array:
    """Return (h, w, 3) a clear picture in a box of a frame of the cross-fade."""
    matrix = matrix_of(motion, size_wh)
    matrix[:, 2] += matrix[:, :2] @ np.array(box[:2], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    wh = (box[2] - box[0], box[3] - box[1])
    return cv2.warpAffine(picture, matrix, wh, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _light(differences: Float32Array, free: Mask, sigma_px: float) -> Float32Array:
    """Return (h, w, 3) what the frame's light differs by where it is ``free``, smoothly continued elsewhere."""
    weight = free.astype(np.float32)[..., None]
    total = cv2.GaussianBlur(np.dstack([differences * weight, weight]), (0, 0), max(1.0, sigma_px))
    return total[..., :3] / (total[..., 3:] + np.float32(0.02))


def _lay_over(new: Float32Array, layer: PlacedLayer, clean: Float32Array, share: np.float32, box: Box) -> None:
    """Lay a person over their picture, which has a ``share`` of ``new`` (h, w, 3) in the box.

    What extends beyond the box, as a part that graphics cover, does not appear.
    """
    into, part = overlap_slices(layer.box_xyxy, box)
    new[into] += share * (layer.premultiplied[part] - layer.alpha[part][..., None] * clean[into])


def _shifted(layer: PlacedLayer, shift: Float64Array, size_wh: tuple[int, int]) -> PlacedLayer | None:
    """Return a layer moved by a few px, cut to the picture; None where nothing of it is left there."""
    x0, y0, x1, y1 = layer.box_xyxy
    whole = np.floor(shift).astype(int)
    wanted = (x0 + int(whole[0]), y0 + int(whole[1]), x1 + int(whole[0]) + 1, y1 + int(whole[1]) + 1)
    box = clipped(wanted, size_wh)
    if box[2] <= box[0] or box[3] <= box[1]:
        return None
    matrix = np.array([[1.0, 0, x0 + shift[0] - box[0]], [0, 1.0, y0 + shift[1] - box[1]]])
    wh = (box[2] - box[0], box[3] - box[1])
    return PlacedLayer(
        box,
        cv2.warpAffine(layer.premultiplied, matrix, wh, flags=cv2.INTER_LINEAR),
        cv2.warpAffine(layer.alpha, matrix, wh, flags=cv2.INTER_LINEAR),
    )
