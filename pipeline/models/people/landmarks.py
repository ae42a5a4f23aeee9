"""BlazePose's landmark model (Bazarevsky et al. 2020, Apache-2.0): one person in a rotated square of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.reduce import reduced
from pipeline.models.people.movenet import RoughPerson
from pipeline.models.weights.folder import weight_path

REGION_PX = 256
REGION_MARGIN = 1.25
MIN_LANDMARK_SCORE = 0.5
SURE_ROUGH = 0.15
"""Score of the detector's keypoints from which they count."""
BODY_OF_NECK, BODY_OF_SHOULDERS, TRUNK_OF_BODY = 7.6, 4.9, 0.3
"""Standing height over head-to-shoulders and over the shoulders' breadth; the trunk over it, as in walk_a."""
REGION_OF_BODY = 1.4
"""A region's side over the standing height: with the hips in its middle, 1.33 to 1.7 finds half bodies and close-ups of
walk_a in nearly all frames, 1 in half of those that show only legs."""
OTHER_SIDES = (1.25, 0.8)
SMALL_VIEW_PX = 720
"""Longest side of a picture that is kept for later comparison."""

_REFINED = [row for row in range(39) if not (17 <= row < 23 or 29 <= row < 33)]
"""Not hands, heels and toes: knuckles move away from what the hand holds, and of soles the mask's lower end tells more,
to which they are compared as they are found."""
_HEAT_WINDOW = np.arange(-3, 4)
_WARM = 0.5
"""Cells of the heat map around a landmark that count, and the least probability of the warmest, both MediaPipe's. On
two rendered walks the error of the joints, without its constant part, falls from 1.45 to 1.20 and from 1.86 to 1.50 %
of body height, and its jitter from 0.83 to 0.67 and from 1.84 to 1.79."""

ROWS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)
"""BlazePose's landmark index for each row of ``JOINT_NAMES``."""
KNUCKLES = ((17, 19), (18, 20))
"""Pinky and index knuckle of each hand."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square of the picture: center and side in px, ``angle`` turns the region's up to the person's up."""

    x: float
    y: float
    side: float
    angle: float

    def picture_from_region(self) -> NDArray[np.float64]:
        """(2, 3): region pixels (centers at integers, ``REGION_PX`` a side) to picture pixels."""
        scale = self.side / REGION_PX
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        middle = (REGION_PX - 1) / 2
        return np.array(
            [[cos, -sin, self.x - cos * middle + sin * middle], [sin, cos, self.y - sin * middle - cos * middle]]
        )


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture, possibly downscaled from the source whose pixels all coordinates are in."""

    picture: Picture
    size_wh: tuple[int, int]
    """Of the source."""

    def crop(self, picture_from_region: NDArray[np.float64]) -> Picture:
        """Return the (``REGION_PX``, ``REGION_PX``, 3) pixels of a region, bilinear."""
        matrix = picture_from_region
        scale = self.picture.shape[1] / self.size_wh[0], self.picture.shape[0] / self.size_wh[1]
        if scale != (1.0, 1.0):
            middle = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5]])
            matrix = (matrix + middle) * np.array(scale)[:, None] - middle
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.picture, matrix, (REGION_PX, REGION_PX), flags=flags)

    def smaller(self) -> View:
        """Return the picture with its longest side at most ``SMALL_VIEW_PX``."""
        width, height = self.size_wh
        factor = SMALL_VIEW_PX / max(width, height)
        if factor >= 1:
            return self
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return View(reduced(self.picture, size), self.size_wh)


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """What the model found in a region."""

    person: Person
    region: Region
    """The square around the person from these landmarks: the next region."""
    hips: NDArray[np.float64]
    """(2,) the middle of the hips, source px."""
    looked_at: Region
    """Where it was found."""


class LandmarkModel:
    """Processes one region at a time, on the CPU."""

    def __init__(self, num_threads: int) -> None:
        """Load the model; raises ``PresetUnavailable`` where its file is missing."""
        self._interpreter = Interpreter(
            model_path=str(weight_path("pose_landmark_full.tflite")), num_threads=num_threads
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {entry["name"]: entry["index"] for entry in self._interpreter.get_output_details()}

    def look(
        self, view: View, region: Region, others_mask: Mask | None, least_score: float = MIN_LANDMARK_SCORE
    ) -> Landmarks | None:
        """Run the model on a region; None where it finds nobody with at least this score.

        Pixels of ``others_mask``, other people close by, are grayed out, because the model would slide onto them.
        """
        matrix = region.picture_from_region()
        crop = view.crop(matrix)
        if others_mask is not None:
            size = (REGION_PX, REGION_PX)
            flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            crop[cv2.warpAffine(others_mask.view(np.uint8), matrix, size, flags=flags) > 0] = 127
        self._interpreter.set_tensor(self._input, crop[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        score = float(self._interpreter.get_tensor(self._outputs["Identity_1"])[0, 0])
        if score < least_score:
            return None
        raw = np.asarray(self._interpreter.get_tensor(self._outputs["Identity"]), np.float64).reshape(39, 5)
        logits = self._interpreter.get_tensor(self._outputs["Identity_2"])[0, :, :, 0]
        mask = mask_of_logits(logits, matrix, *view.size_wh)
        if not mask.any():
            return None
        flat = raw[:, :2].copy()
        heat_maps = self._interpreter.get_tensor(self._outputs["Identity_3"])[0]
        flat[_REFINED] = refined(flat[_REFINED], heat_maps[..., _REFINED])
        # The model's coordinates start at the region's corner, so a pixel's center is at .5.
        points = (flat - 0.5) @ matrix[:, :2].T + matrix[:, 2]
        metric = np.asarray(self._interpreter.get_tensor(self._outputs["Identity_4"]), np.float64).reshape(39, 3)
        z = _depth_px(flat, metric) * region.side / REGION_PX
        confidence = 1 / (1 + np.exp(-np.clip(np.minimum(raw[:, 3], raw[:, 4]), -30, 30)))
        joints = np.column_stack([points, confidence])[list(ROWS)].astype(np.float32)
        bones = np.column_stack([points, z])
        hands = [bones[list(pair)].mean(axis=0) for pair in KNUCKLES]
        skeleton = np.vstack([bones[list(ROWS)], hands]).astype(np.float32)
        assert joints.shape == (NUM_JOINTS, 3) and skeleton.shape == (NUM_SKELETON, 3)
        box = np.array(box_of_mask(mask), np.float64)
        person = Person(box_xyxy=box, score=min(1.0, score), joints=joints, skeleton=skeleton, mask=mask)
        # Auxiliary landmarks 33 and 34: the hips' middle, and a point on the circle around the body.
        return Landmarks(person, _region_of_circle(points[33], points[34]), points[[23, 24]].mean(axis=0), region)

    def look_in(self, view: View, regions: Sequence[Region], others_mask: Mask | None) -> Landmarks | None:
        """Return what the model finds in the first region, or, where that is nobody, with the best score in the
        others."""
        if not regions:
            return None
        first = self.look(view, regions[0], others_mask)
        if first is not None:
            return first
        further = [self.look(view, region, others_mask) for region in regions[1:]]
        return max(
            (found for found in further if found is not None), key=lambda found: found.person.score, default=None
        )


def refined(places: NDArray[np.float64], logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return landmarks (N, 2), region px, moved to the middle of the model's heat map around each (as MediaPipe does).

    ``logits`` (h, w, N) cover the region. A landmark stays where its map is cold around it or ends before it.
    """
    height, width, count = logits.shape
    px = REGION_PX / np.array([width, height])
    columns, rows = (np.floor(places / px).astype(int)[:, axis, None] + _HEAT_WINDOW for axis in (0, 1))
    x, y = columns[:, None, :], rows[:, :, None]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    near = logits[y.clip(0, height - 1), x.clip(0, width - 1), np.arange(count)[:, None, None]].astype(np.float64)
    heat = np.where(inside, 1 / (1 + np.exp(-np.clip(near, -30, 30))), 0)
    weighted = np.stack([heat * x, heat * y], axis=-1).sum(axis=(1, 2))
    middle = weighted / np.maximum(heat.sum(axis=(1, 2)), 1e-9)[:, None]
    own_cell = len(_HEAT_WINDOW) // 2
    is_warm = (heat.max(axis=(1, 2)) >= _WARM) & inside[:, own_cell, own_cell]
    return np.where(is_warm[:, None], middle * px, places)


def _depth_px(flat: NDArray[np.float64], metric: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) the z of landmarks in the px of their x and y.

    ``flat`` (N, 2) px are their places in the picture; ``metric`` (N, 3) m is the model's second answer, a body of real
    size. The z that the first answer has is two to four times too deep, differently in each part of the body.
    """
    rows = list(ROWS)
    seen, true = (points[rows, :2] - points[rows, :2].mean(axis=0) for points in (flat, metric))
    px_per_m = float((seen * true).sum() / np.square(true).sum())
    return np.asarray(metric[:, 2] * px_per_m)


def regions_of_rough(rough: RoughPerson) -> list[Region]:
    """Return regions to look for a detected person in, the likeliest first; none for no box.

    Where the picture's edge cuts off hips or legs, the model finds nobody in a region about what is left: it expects
    the hips in the middle of a square for the whole body. So where they were not detected they follow from head and
    shoulders; and since the size of a half body is uncertain, other sizes follow.
    """
    x0, y0, x1, y1 = rough.box_xyxy
    if x1 - x0 < 4 or y1 - y0 < 4:
        return []
    has_hips = bool((rough.keypoints[[11, 12], 2] > SURE_ROUGH).all())
    by_box = _region_of_box(rough)
    by_top = _region_of_top(rough)
    likeliest = by_box if has_hips or by_top is None else by_top
    others = [each for each in (by_top, by_box) if each is not None and each is not likeliest]
    return [likeliest, *(replace(likeliest, side=factor * likeliest.side) for factor in OTHER_SIDES), *others]


def _region_of_box(rough: RoughPerson) -> Region:
    """Return the region around the detector's hips, or of its box where the hips were not detected."""
    x0, y0, x1, y1 = rough.box_xyxy
    sure = rough.keypoints[:, 2] > SURE_ROUGH
    points = rough.keypoints[sure, :2]
    if sure[[11, 12]].all():
        middle = rough.keypoints[[11, 12], :2].mean(axis=0)
        corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
        reach = 1.08 * float(np.hypot(*(points - middle).T).max())
        reach = max(reach, 0.45 * (y1 - y0), 0.9 * float(np.abs(corners - middle).max()))
    else:
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        reach = 0.5 * float(max(x1 - x0, y1 - y0))
    angle = 0.0
    if sure[[5, 6, 11, 12]].all():
        up = rough.keypoints[[5, 6], :2].mean(axis=0) - middle
        if np.hypot(*up) > 0.1 * reach:
            angle = float(np.arctan2(up[0], -up[1]))
    return Region(float(middle[0]), float(middle[1]), 2 * REGION_MARGIN * reach, angle)


def _region_of_top(rough: RoughPerson) -> Region | None:
    """Return the region of the whole body by usual proportions, upright below head and shoulders; None where these were
    not detected."""
    sure = rough.keypoints[:, 2] > SURE_ROUGH
    if not sure[[5, 6]].all() or not sure[:5].any():
        return None
    shoulders = rough.keypoints[[5, 6], :2]
    middle = shoulders.mean(axis=0)
    head = rough.keypoints[:5][sure[:5], :2].mean(axis=0)
    height = max(
        BODY_OF_NECK * float(np.hypot(*(head - middle))),
        BODY_OF_SHOULDERS * float(np.hypot(*np.diff(shoulders, axis=0)[0])),
    )
    x, y = middle + np.array([0.0, TRUNK_OF_BODY * height])
    return Region(float(x), float(y), REGION_OF_BODY * height, 0.0)


def _region_of_circle(middle: NDArray[np.float64], rim: NDArray[np.float64]) -> Region:
    away = rim - middle
    side = max(16.0, 2 * REGION_MARGIN * float(np.hypot(*away)))
    return Region(float(middle[0]), float(middle[1]), side, float(np.arctan2(away[0], -away[1])))


def mask_of_logits(logits: NDArray[np.float32], matrix: NDArray[np.float64], width: int, height: int) -> Mask:
    """Warp a region's mask logits to the (height, width) picture; only the region's bounding box is warped."""
    corners = np.array([[0, 0], [REGION_PX, 0], [0, REGION_PX], [REGION_PX, REGION_PX]]) @ matrix[:, :2].T
    corners = corners + matrix[:, 2]
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (width, height))
    mask = np.zeros((height, width), np.bool_)
    if x1 > x0 and y1 > y0:
        shifted = matrix.copy()
        shifted[:, 2] -= (x0, y0)
        patch = cv2.warpAffine(
            logits,
            shifted,
            (int(x1 - x0), int(y1 - y0)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(-100.0,),
        )
        mask[y0:y1, x0:x1] = patch > 0
    return mask
