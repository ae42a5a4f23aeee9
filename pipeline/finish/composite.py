"""Layer over plate over the source's planes; samples are written only inside the edit region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture, Plane
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.finish.chroma_grid import block_mean, coded_box, on_chroma_grid, whole_chroma_blocks
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices, union_of
from pipeline.media.pixels import coded_from_upright, planes_from_rgb
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

_FEATHER_LINES = 360
"""The short side for which ``feather_px`` is specified."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EditWeights(Shaped):
    """The weight of the source in one frame; source space."""

    SHAPES: ClassVar[Shapes] = {"hole": ("h", "w"), "source": ("h", "w"), "region": ("h", "w")}

    box_xyxy: Box
    """Half-open, on the chroma grid of the coded picture; everything outside is untouched."""
    hole: Matte
    """(h, w) 1 where the plate replaces the source, soft at the feather."""
    source: Matte
    """(h, w) 1 source only … 0 fully replaced."""
    region: Mask
    """(h, w) pixels of which a luma or chroma sample may change."""
    shadow_px: int = 0
    """Pixels that change only because of shadows."""


@dataclass(frozen=True, slots=True)
class HoleReach:
    """How far around the subject's mask the plate replaces the source."""

    solid_px: float
    """Width in which the replacement is full."""
    feather_px: float
    """Width beyond that in which it falls to 0."""

    @property
    def total_px(self) -> int:
        """How far from the subject a sample may change."""
        return int(np.ceil(self.solid_px + self.feather_px)) + 1


def hole_reach(dilate_bh: float, feather_px: float, body_height_px: float, info: VideoInfo) -> HoleReach:
    """Return the reach for a person of a height; ``feather_px`` is for a picture of 360 lines, and scales with it."""
    return HoleReach(dilate_bh * body_height_px, max(1.0, feather_px * min(info.size_wh) / _FEATHER_LINES))


def edit_weights(
    subject_mask: Mask,
    kept: Mask,
    layer: PlacedLayer | None,
    info: VideoInfo,
    reach: HoleReach,
    shadow: ShadowEdit | None = None,
) -> EditWeights | None:
    """Determine which pixels of a frame change; ``subject_mask`` and ``kept`` are (H, W). None where nothing changes.

    The hole is 1 over the subject and ``reach.solid_px`` around them, then falls to 0 over the feather, so that the
    feather never shows them. ``kept`` pixels stay unchanged: the hole is closed there. ``shadow`` adds shadowed ground
    to it.
    """
    inner = edit_box(subject_mask, layer, reach.total_px)
    if inner is None:
        return None
    if shadow is not None:
        inner = union_of([inner, shadow.box_xyxy])
    box = on_chroma_grid(clipped(inner, info.size_wh), info)
    x0, y0, x1, y1 = box
    hole = _hole_around(subject_mask[y0:y1, x0:x1], reach)
    closed = kept[y0:y1, x0:x1]
    hole[closed] = 0.0
    alpha = alpha_in(layer, box) if layer is not None else np.zeros_like(hole)
    shadow_px = 0
    if shadow is not None:
        into, part = overlap_slices(shadow.box_xyxy, box)
        people = (hole > 0) | (alpha > 0)
        hole[into] = np.maximum(hole[into], shadow.hole[part])
        hole[closed] = 0.0
        shadow_px = int(np.count_nonzero((hole > 0) & ~people))
    source = (1.0 - hole) * (1.0 - alpha)
    return EditWeights(box, hole, source, whole_chroma_blocks(source < 1.0, box, info), shadow_px)


def _hole_around(subject_mask: Mask, reach: HoleReach) -> Matte:
    """Return (h, w) 1 over a mask (h, w) and around it, falling to 0 over the feather."""
    hole = np.zeros(subject_mask.shape, np.float32)
    if not subject_mask.any():
        return hole
    # A long shadow makes the box many times as large.
    height, width = subject_mask.shape
    x0, y0, x1, y1 = clipped(grown(box_of_mask(subject_mask), reach.total_px), (width, height))
    distance = cv2.distanceTransform((~subject_mask[y0:y1, x0:x1]).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    hole[y0:y1, x0:x1] = np.clip(1.0 - (distance - reach.solid_px) / reach.feather_px, 0.0, 1.0)
    return hole


def edit_box(subject_mask: Mask, layer: PlacedLayer | None, reach_px: int) -> Box | None:
    """Return the box of everything that may change; it may extend beyond the picture. None where nothing changes."""
    boxes = [grown(box_of_mask(subject_mask), reach_px)] if subject_mask.any() else []
    if layer is not None and layer.alpha.any():
        boxes.append(layer.box_xyxy)
    return union_of(boxes) if boxes else None


def behind(layer: PlacedLayer, kept: Mask) -> PlacedLayer:
    """Return the layer without the pixels covered by what stays on top of it, (H, W)."""
    x0, y0, x1, y1 = layer.box_xyxy
    covered = kept[y0:y1, x0:x1]
    if not covered.any():
        return layer
    free = (~covered).astype(np.float32)
    return PlacedLayer(layer.box_xyxy, layer.premultiplied * free[..., None], layer.alpha * free)


def laid_over(background: Picture, box_xyxy: Box, layer: PlacedLayer) -> Picture:
    """Return a background (h, w, 3) of a box with a layer on it."""
    into, part = overlap_slices(layer.box_xyxy, box_xyxy)
    result = background.copy()
    under = (1.0 - layer.alpha[part])[..., None] * background[into]
    result[into] = np.clip(np.rint(layer.premultiplied[part] + under), 0, 255)
    return result


def layers_together(layers: Sequence[PlacedLayer]) -> PlacedLayer | None:
    """Return layers, back to front, as one."""
    if not layers:
        return None
    box = union_of([layer.box_xyxy for layer in layers])
    premultiplied = np.zeros((box[3] - box[1], box[2] - box[0], 3), np.float32)
    alpha = np.zeros(premultiplied.shape[:2], np.float32)
    for layer in layers:
        over = alpha_in(layer, box)
        into, part = overlap_slices(layer.box_xyxy, box)
        premultiplied *= (1 - over)[..., None]
        premultiplied[into] += layer.premultiplied[part]
        alpha = over + (1 - over) * alpha
    return PlacedLayer(box, premultiplied, alpha)


def alpha_in(layer: PlacedLayer, box: Box) -> Matte:
    """Return the layer's alpha (h, w) in another box of the same frame; 0 outside its own."""
    alpha = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    into, part = overlap_slices(layer.box_xyxy, box)
    alpha[into] = layer.alpha[part]
    return alpha


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EditedFrame(Shaped):
    """One frame before and after; pictures and masks upright, (H, W) of the whole frame."""

    SHAPES: ClassVar[Shapes] = {
        "source_rgb": ("H", "W", 3), "result_rgb": ("H", "W", 3), "subject_mask": ("H", "W"),
        "background": ("h", "w", 3), "labels": ("H", "W"), "around": ("H", "W"),
    }  # fmt: skip

    source: Frame
    result: Frame
    source_rgb: Picture
    result_rgb: Picture
    subject_mask: Mask
    weights: EditWeights | None
    """None where the frame is unchanged."""
    layer: PlacedLayer | None
    background: Picture | None
    """(h, w, 3) the plate in the weights' box."""
    labels: NDArray[np.uint8] | None = None
    """(H, W) label of each pixel, of ``scene.layers.Label``; None where nothing is known."""
    plate_fit: float = float("nan")
    """How well the plate fits the frame around the hole (``maths.similarity.ring_fit``); NaN where unknown."""
    unseen_px: int = 0
    """Pixels that show background which no frame of the clip shows."""

    around: Mask | None = None
    """(H, W) changed pixels of the blurred copy around the picture; None where there is none."""

    @property
    def region(self) -> Mask:
        """(H, W) pixels of which a sample may have changed."""
        return self.region_of_people if self.around is None else self.region_of_people | self.around

    @property
    def region_of_people(self) -> Mask:
        """(H, W) the same, without what follows the picture around it."""
        return self._whole(np.zeros(self.subject_mask.shape, np.bool_), lambda weights: weights.region)

    @property
    def source_weight(self) -> Matte:
        """(H, W) 1 source only … 0 fully replaced."""
        return self._whole(np.ones(self.subject_mask.shape, np.float32), lambda weights: weights.source)

    @property
    def layer_alpha(self) -> Matte:
        """(H, W) of the new person."""
        alpha = np.zeros(self.subject_mask.shape, np.float32)
        if self.layer is not None:
            x0, y0, x1, y1 = self.layer.box_xyxy
            alpha[y0:y1, x0:x1] = self.layer.alpha
        return alpha

    def _whole(self, picture: NDArray[Any], part: Callable[[EditWeights], NDArray[Any]]) -> NDArray[Any]:
        if self.weights is not None:
            x0, y0, x1, y1 = self.weights.box_xyxy
            picture[y0:y1, x0:x1] = part(self.weights)
        return picture


def compose(frame: Frame, weights: EditWeights, layer: PlacedLayer | None, background: Picture) -> Frame:
    """Return the frame with its edit region replaced; ``background`` is the plate (h, w, 3) in the weights' box.

    Blended in the source's own planes: ``source * weight + new * (1 - weight)``; chroma weights are the mean over
    each block, so that samples outside the region stay bit-identical.
    """
    info = frame.info
    new = np.empty(background.shape, np.float32)
    if layer is None:
        np.copyto(new, background)
    else:
        left, top = layer.box_xyxy[0] - weights.box_xyxy[0], layer.box_xyxy[1] - weights.box_xyxy[1]
        _mix(background, layer.premultiplied, layer.alpha, (left, top), weights.hole, weights.source, new)
    coded_new = coded_from_upright(new, info)
    coded_weight = coded_from_upright(weights.source, info)
    x0, y0, _, _ = coded_box(weights.box_xyxy, info)
    planes = list(frame.planes)
    block_weights: dict[tuple[int, int], Matte] = {}
    for number, patch in enumerate(planes_from_rgb(coded_new, info)):
        steps = info.chroma_log2_wh if number in (1, 2) else (0, 0)
        rows = slice(y0 >> steps[1], (y0 >> steps[1]) + patch.shape[0])
        columns = slice(x0 >> steps[0], (x0 >> steps[0]) + patch.shape[1])
        if steps not in block_weights:
            block_weights[steps] = np.ascontiguousarray(block_mean(coded_weight, *steps))
        planes[number] = _written(frame.planes[number], (rows, columns), patch, block_weights[steps], info.bit_depth)
    return Frame(index=frame.index, pts=frame.pts, duration=frame.duration, planes=tuple(planes), info=info)


@njit(cache=True, nogil=True)
def _mix(
    background: Picture,
    premultiplied: NDArray[np.float32],
    alpha: Matte,
    layer_xy: tuple[int, int],
    hole: Matte,
    source: Matte,
    new: NDArray[np.float32],
) -> None:
    """Fill (h, w, 3) with the replacement of the source; the layer starts at ``layer_xy`` in the box, or outside it."""
    height, width = hole.shape
    layer_height, layer_width = alpha.shape
    left, top = layer_xy
    least = np.float32(1e-3)
    one = np.float32(1)
    for r in range(height):
        for c in range(width):
            share = one - source[r, c]
            i, j = r - top, c - left
            # Where the source keeps (nearly) all its weight the new color is arbitrary: the plate avoids a division by
            # 0.
            if share <= least or not (0 <= i < layer_height and 0 <= j < layer_width):
                for channel in range(3):
                    new[r, c, channel] = background[r, c, channel]
                continue
            behind = (one - alpha[i, j]) * hole[r, c]
            for channel in range(3):
                color = premultiplied[i, j, channel] + behind * np.float32(background[r, c, channel])
                new[r, c, channel] = color / share


def _written(
    plane: Plane, where: tuple[slice, slice], patch: NDArray[np.float32], weight: Matte, bit_depth: int
) -> Plane:
    result = plane.copy()
    _blend(result[where], np.ascontiguousarray(patch), weight, np.float32(2**bit_depth - 1))
    return result


@njit(cache=True, nogil=True)
def _blend(samples: Plane, patch: NDArray[np.float32], weight: Matte, top: np.float32) -> None:
    """Blend a patch into samples (h, w); nothing is written where the source has full weight."""
    height, width = weight.shape
    one = np.float32(1)
    for r in range(height):
        for c in range(width):
            share = weight[r, c]
            if share < one:
                mixed = np.rint(np.float32(samples[r, c]) * share + patch[r, c] * (one - share))
                samples[r, c] = np.int32(min(max(mixed, np.float32(0)), top))
