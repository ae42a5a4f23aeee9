"""Parallax of background that the anchor does not show, learned from the frames that do.

Between two frames of a moving camera the displacement that a homography leaves is, to first order, the inverse depth of
a point times how far the camera moved ("plane plus parallax": Irani and Anandan, "A Unified Approach to Moving Object
Detection in 2D and 3D Scenes", PAMI 1998). So the residuals of all candidates are multiples of one pattern over the
picture, or of two where the direction of the movement changes: the pattern is what depth gives, the multiples are the
camera's. Behind a person the anchor has no points of its own, but its candidates have: where one is displaced from the
other tells the pattern there, and with it where the anchor would see the point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Points
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.geometry import apply_transform
from pipeline.maths.robust import cauchy_weights
from pipeline.plate.median import masked_median
from pipeline.plate.registration import RegistrationTarget, work_factor
from pipeline.plate.warp import Warp, sample_nodes
from pipeline.shaped import Shaped, Shapes

Nodes = NDArray[np.float32]
"""(rows, columns, 2) px, see ``Warp``."""

_LEAST_PX = 0.2
"""Movement of the camera (RMS parallax) below which the interpolation between the hole's sides is as good."""
_ONE_PATTERN = 0.97
"""Share of the parallax' power that one pattern must explain to be the only one."""
_LEAST_POINTS = 8
_LEAST_FRAMES = 3.0
"""Frames in which a hidden point must be found, by weight."""
_MOST_OFF_PX = 6.0
_NOISE_PX = 0.2
_DEPTH_PX, _OFFSET_PX = 3.0, 1.0
"""Standard deviations before measurement: of what the pattern lacks at a hidden point, at the camera's farthest, and of
the mosaic's own displacement there."""
_SPREAD_BH = (0.05, 0.12)
"""Kernel over the nodes, rows and columns: narrower than the one that bridges a person, since there are points."""
_MOST_ERROR_PX = 0.6
"""Points that do not follow the camera: a sparse texture, or something that moves. Measured on a walk: 0.1 to 0.3."""
_ROUNDS = 6
_MOSAIC_SAMPLES = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParallaxPattern(Shaped):
    """The parallax of a scene as an anchor sees it, for a unit of camera movement; one row a direction."""

    SHAPES: ClassVar[Shapes] = {"nodes": ("Q", "rows", "columns", 2)}

    nodes: NDArray[np.float32]
    """(Q, rows, columns, 2), of unit mean square each."""
    size_wh: tuple[int, int]

    def at(self, points: Points) -> NDArray[np.float64]:
        """Return (Q, N, 2) at points (N, 2) of the anchor."""
        return np.stack([sample_nodes(nodes, points, self.size_wh) for nodes in self.nodes])


def parallax_pattern(warps: dict[int, Warp], size_wh: tuple[int, int]) -> tuple[ParallaxPattern, NDArray[np.float64]]:
    """Return the pattern in the residuals of an anchor's candidates, and each one's multiples of it, (C, Q)."""
    stacked = np.stack([warp.nodes for warp in warps.values()]).astype(np.float64)
    flat = stacked.reshape(len(stacked), -1)
    left, power, right = np.linalg.svd(flat, full_matrices=False)
    share = power[0] ** 2 / max(float(np.sum(power**2)), 1e-12)
    count = 1 if share > _ONE_PATTERN else min(2, len(power))
    scale = np.sqrt(flat.shape[1])
    nodes = (right[:count] * scale).reshape(count, *stacked.shape[1:]).astype(np.float32)
    return ParallaxPattern(nodes, size_wh), left[:, :count] * power[:count] / scale


def with_hidden_parallax(
    warps: dict[int, Warp],
    mosaic: RegistrationTarget,
    visible: Points,
    grays: dict[int, NDArray[np.uint8]],
    seen: dict[int, NDArray[np.uint8]],
    people: dict[int, Mask],
    height_px: float,
) -> dict[int, Warp]:
    """Return the warps of an anchor's candidates with the parallax of what people hide at the anchor.

    ``mosaic`` shows the hidden background as the warps put it together, ``visible`` (N, 2) are points at which the
    warps are right, ``grays`` the candidates' ``work_gray``, ``seen`` that ``pre_warped`` by their warps' homographies,
    and ``people`` their people (H, W). Only nodes change; none where too little of the hidden background has features.
    """
    points = mosaic.features()
    frames = list(grays)
    if len(points) < _LEAST_POINTS or len(frames) < _LEAST_FRAMES:
        return warps
    _, moved = parallax_pattern({frame: warps[frame] for frame in frames}, mosaic.size_wh)
    lacking, found = _measured(warps, mosaic, grays, seen, people)
    if not np.abs(moved).max() > _LEAST_PX or not found.any():
        return warps
    correction, weights, error_px = _by_pattern(lacking, found, moved)
    known = weights.sum(axis=0) > _LEAST_FRAMES
    if np.count_nonzero(known) < _LEAST_POINTS or error_px > _MOST_ERROR_PX:
        return warps
    places = np.concatenate([points[known], visible])
    still = np.zeros((len(visible), 2))
    spread = _Spread(places, warps[frames[0]].nodes.shape[:2], mosaic.size_wh, height_px)
    result = dict(warps)
    for row, frame in enumerate(frames):
        change = spread(np.concatenate([correction[row, known], still]))
        result[frame] = replace(warps[frame], nodes=warps[frame].nodes + change)
    return result


def hidden_mosaic(
    anchor: NDArray[np.uint8],
    hidden: Mask,
    warps: dict[int, Warp],
    grays: dict[int, NDArray[np.uint8]],
    people: dict[int, Mask],
    order: list[int],
) -> RegistrationTarget | None:
    """Return what the anchor hides, put together from the first candidates in ``order`` that show it; None where
    none does.

    ``anchor`` is its ``work_gray``, in which they are put, and ``hidden`` (H, W) what it does not show.
    """
    height, width = hidden.shape
    factor = work_factor((width, height))
    x0, y0, x1, y1 = box_of_mask(hidden)
    if x0 >= x1 or y0 >= y1:
        return None
    columns, rows = np.arange(x0 // factor, x1 // factor), np.arange(y0 // factor, y1 // factor)
    middle = (factor - 1) / 2
    columns_px = (factor * columns + middle).astype(np.float64)
    rows_px = (factor * rows + middle).astype(np.float64)
    needed = hidden[np.ix_(rows * factor, columns * factor)]
    views = []
    grades = []
    for frame in order:
        at = warps[frame].coordinates_at(columns_px, rows_px, (width, height))
        clear = cv2.remap((~people[frame]).view(np.uint8), at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
        if not (clear.astype(np.bool_) & needed).any():
            continue
        view = cv2.remap(grays[frame], (at - np.float32(middle)) / np.float32(factor), None, cv2.INTER_CUBIC)
        views.append(np.asarray(view, np.uint8)[..., None])
        grades.append(np.asarray(2 * clear, np.uint8))
    if not views:
        return None
    merged, count = masked_median(np.stack(views), np.stack(grades), _MOSAIC_SAMPLES, np.zeros(len(views), np.int64))
    picture = anchor.copy()
    shown = np.zeros(picture.shape, np.bool_)
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    picture[area] = merged[..., 0]
    shown[area] = (count > 0) & needed
    avoid = cv2.resize((~shown).view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return RegistrationTarget.of_gray(picture, np.asarray(avoid, np.bool_))


def _measured(
    warps: dict[int, Warp],
    mosaic: RegistrationTarget,
    grays: dict[int, NDArray[np.uint8]],
    seen: dict[int, NDArray[np.uint8]],
    people: dict[int, Mask],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return by how much each candidate's warp misses the mosaic's points, (C, N, 2), 0 where unknown, and (C, N) where
    it is known."""
    points = mosaic.features()
    lacking = np.full((len(grays), len(points), 2), np.nan)
    for number, (frame, gray) in enumerate(grays.items()):
        warp = warps[frame]
        there = apply_transform(warp.from_to, points) + sample_nodes(warp.nodes, points, mosaic.size_wh)
        rows, found = mosaic.match(gray, people[frame], warp.from_to, seen[frame], there)
        lacking[number, rows] = found - there[rows]
    known = np.linalg.norm(np.nan_to_num(lacking, nan=np.inf), axis=2) < _MOST_OFF_PX
    return np.where(known[..., None], lacking, 0.0), known


def _by_pattern(
    lacking: NDArray[np.float64], found: NDArray[np.bool_], moved: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the corrections (C, N, 2) of all candidates at the hidden points, the weights (C, N) of what was found,
    and its median distance (px) from the fit.

    What a candidate lacks at a point is its camera's ``moved`` (C, Q) times what the pattern lacks there, plus the
    displacement of the mosaic, which is the same for all candidates: ridge regression with Cauchy weights. Where a
    candidate shows the point, what was measured counts; else what the pattern says.
    """
    design = np.concatenate([moved, np.ones((len(moved), 1))], axis=1)
    farthest = np.maximum(np.abs(moved).max(axis=0), 1e-6)
    prior = np.diag(np.concatenate([(_NOISE_PX * farthest / _DEPTH_PX) ** 2, [(_NOISE_PX / _OFFSET_PX) ** 2]]))
    weights = found.astype(np.float64)
    for _ in range(_ROUNDS):
        matrix = np.einsum("ci,cn,cj->nij", design, weights, design) + prior
        right = np.einsum("ci,cn,cnk->nik", design, weights, lacking)
        solved = np.linalg.solve(matrix, right)
        error = np.linalg.norm(lacking - np.einsum("ci,nik->cnk", design, solved), axis=2)
        weights = found * cauchy_weights(error, _NOISE_PX)
    correction = np.einsum("cq,nqk->cnk", moved, solved[:, :-1])
    sure = weights > 0.3
    correction[sure] = (lacking - solved[:, -1])[sure]
    return correction, weights, float(np.median(error[found]))


class _Spread:
    """Spreads values at points over the node grid by a normalized kernel that fades to 0 away from them."""

    def __init__(self, points: Points, shape: tuple[int, ...], size_wh: tuple[int, int], height_px: float) -> None:
        rows = np.linspace(0, size_wh[1] - 1, shape[0])[:, None]
        columns = np.linspace(0, size_wh[0] - 1, shape[1])[:, None]
        self._down = np.exp(-0.5 * ((rows - points[:, 1]) / (_SPREAD_BH[0] * height_px)) ** 2)
        self._across = np.exp(-0.5 * ((columns - points[:, 0]) / (_SPREAD_BH[1] * height_px)) ** 2).T
        self._total = self._down @ self._across + 1e-3

    def __call__(self, values: NDArray[np.float64]) -> Nodes:
        """Return the nodes of values (N, 2)."""
        sums = [(self._down * values[:, axis]) @ self._across for axis in range(2)]
        return (np.stack(sums, axis=-1) / self._total[..., None]).astype(np.float32)
