"""The embedded people backend: MoveNet finds people, BlazePose gives each one's joints, 3D skeleton and mask.

BlazePose's landmark model (Bazarevsky et al. 2020, Apache-2.0) looks at a rotated square around one person. The next
frame's square comes from this frame's joints, so the finder runs only now and then. The landmark model's score stays
high when the square slides onto somebody else, so a person is followed only while the hips keep to their course and
the square to its size.
"""

from __future__ import annotations

from collections import deque
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
from pipeline.maths.masks import grow
from pipeline.models.people.movenet import MoveNet, RoughPerson
from pipeline.models.weights.folder import weight_path

NUM_THREADS = 2
REGION_PX = 256
MAX_PEOPLE = 6
FIND_EVERY = 5
"""Frames between runs of the finder while everybody is followed."""
FIND_AFTER_LOSS = 20
"""For so many frames after somebody was lost the finder runs in every second frame."""
MIN_LANDMARK_SCORE = 0.5
MAX_HIP_STEP = 0.10
"""Hips against a constant-velocity prediction, of the region's side / 1.25 (about body size)."""
REGION_GROWTH = (0.82, 1.22)
SAME_PERSON_IOU = 0.5
LEAST_SEEN = 0.25
"""Of somebody's mask: with less of it beside those who hide him, his joints are guesses."""
EXPECTED_MARGIN = 0.04
"""Of the region's side: a limb may be so far from where the hips' course would have it."""
REGION_MARGIN = 1.25
SURE_KEYPOINT = 0.15
COVERED = 0.08
"""Of the region's side: a find of the finder so near somebody's joints is him."""
HIDDEN_FRAMES = 30
"""So long somebody who was lost is expected along his course."""
LOOK_BACK = 12
"""Frames before somebody was found in which he is looked for: the finder misses people whom the picture's edge cuts."""
LOOK_BACK_AGE = 3
"""Frames followed until the pace is known well enough to go back."""
LOOK_BACK_PX = 720
"""Longest side of the pictures kept for it."""

ROWS = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32)
"""BlazePose's landmark of each row of ``JOINT_NAMES``."""
KNUCKLES = ((17, 19), (18, 20))
"""Pinky and index knuckle of each hand."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square of the picture: centre and side in px, ``angle`` turns the region's up to the person's up."""

    x: float
    y: float
    side: float
    angle: float

    def picture_from_region(self) -> NDArray[np.float64]:
        """(2, 3): region pixels (centres at integers, ``REGION_PX`` a side) to picture pixels."""
        scale = self.side / REGION_PX
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        middle = (REGION_PX - 1) / 2
        return np.array(
            [[cos, -sin, self.x - cos * middle + sin * middle], [sin, cos, self.y - sin * middle - cos * middle]]
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    person: Person
    region: Region
    """Where to look in the next frame, before the hips' velocity is added."""
    hips: NDArray[np.float64]
    velocity: NDArray[np.float64]
    age: int
    follow_id: int
    miss: float = 0.0
    """How far the hips are from where their course led, of the region's side."""
    unseen: int = 0
    """Frames since he was lost."""
    first: _Followed | None = None
    """How the person was when found."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """A picture to look at, perhaps smaller than the source whose pixels all coordinates are in."""

    picture: Picture
    size_wh: tuple[int, int]
    """Of the source."""

    def crop(self, picture_from_region: NDArray[np.float64]) -> Picture:
        matrix = picture_from_region
        scale = self.picture.shape[1] / self.size_wh[0], self.picture.shape[0] / self.size_wh[1]
        if scale != (1.0, 1.0):
            middle = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5]])
            matrix = (matrix + middle) * np.array(scale)[:, None] - middle
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.picture, matrix, (REGION_PX, REGION_PX), flags=flags)

    def smaller(self) -> _View:
        width, height = self.size_wh
        factor = LOOK_BACK_PX / max(width, height)
        if factor >= 1:
            return self
        size = max(1, round(width * factor)), max(1, round(height * factor))
        return _View(cv2.resize(self.picture, size, interpolation=cv2.INTER_AREA), self.size_wh)


class BlazePosePeople:
    """A ``PeopleBackend`` on the CPU. Same pictures since ``reset``, same people."""

    def __init__(self, min_score: float = 0.2) -> None:
        """Load both models; ``min_score`` is the finder's. Raises ``PresetUnavailable`` where a file is missing."""
        self._min_score = min_score
        self._finder = MoveNet(weight_path("movenet.tflite"), NUM_THREADS)
        self._interpreter = Interpreter(
            model_path=str(weight_path("pose_landmark_full.tflite")), num_threads=NUM_THREADS
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {entry["name"]: entry["index"] for entry in self._interpreter.get_output_details()}
        self._last_id = -1
        self.reset()

    @property
    def look_back(self) -> int:
        return LOOK_BACK + LOOK_BACK_AGE - 1

    def reset(self) -> None:
        self._followed: list[_Followed] = []
        self._hidden: list[_Followed] = []
        """Who was lost just now, where his course would have him."""
        self._before: deque[tuple[_View, list[_Followed]]] = deque(maxlen=LOOK_BACK + LOOK_BACK_AGE)
        self._frame = 0
        self._last_loss = -FIND_AFTER_LOSS - 1

    @property
    def batch_frames(self) -> int:
        return 1

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """One after the other: each frame's regions come from the one before."""
        return [self.find(picture) for picture in pictures]

    def find(self, picture: Picture) -> list[Person]:
        view = _View(picture, (picture.shape[1], picture.shape[0]))
        followed = self._follow_all(view)
        if len(followed) < len(self._followed):
            self._last_loss = self._frame
        self._hidden = [
            *(_moved_on(entry) for entry in self._hidden if entry.unseen < HIDDEN_FRAMES),
            *(
                _moved_on(entry)
                for entry in self._followed
                if all(entry.follow_id != now.follow_id for now in followed)
            ),
        ]
        recently = self._frame - self._last_loss
        if (
            not followed
            or recently == 0
            or self._frame % FIND_EVERY == 0
            or (recently <= FIND_AFTER_LOSS and recently % 2 == 0)
        ):
            for rough in _not_covered(self._finder.find(picture, self._min_score), followed):
                if len(followed) == MAX_PEOPLE:
                    break
                new = self._begin(view, rough, _union(_masks(followed)))
                if new is not None and not _is_among(new.person, followed):
                    followed.append(new)
        self._hidden = [entry for entry in self._hidden if not _is_among(entry.person, followed)]
        self._followed = followed
        self._frame += 1
        people = [
            replace(
                entry.person,
                follow_id=entry.follow_id,
                earlier=self._looked_back(entry) if entry.age == LOOK_BACK_AGE else (),
                earlier_from=LOOK_BACK_AGE,
            )
            for entry in followed
        ]
        self._before.append((view.smaller(), followed))
        return people

    def _follow_all(self, view: _View) -> list[_Followed]:
        """Follow everybody of the frame before into this one.

        Who is hidden by somebody else slides onto him. So they are taken from the nearest to the farthest, and where
        one is now is out of sight for those behind him. Where two regions still end on the same body, it is his whose
        course led there.
        """
        found: list[tuple[int, _Followed]] = []
        for row, before in sorted(enumerate(self._followed), key=lambda entry: -_lowest(entry[1])):
            nearer = [now.person.mask for _, now in found if _touch(now, before)]
            done = {row for row, _ in found}
            others = [other for at, other in enumerate(self._followed) if at != row and at not in done]
            # Who was lost behind him comes out again, and would draw the model over.
            farther = [other.person.mask for other in (*others, *self._hidden) if _touch(other, before)]
            hiding = _union(nearer)
            beside = _union(farther, _expected(before)) if farther else None
            rivals = hiding if beside is None else _union([beside, *nearer])
            now = self._follow(view, before, rivals)
            now = now if now is None or hiding is None else _in_front_of_nobody(now, hiding)
            if now is not None:
                found.append((row, now))
        kept: dict[int, _Followed] = {}
        for row, now in sorted(found, key=lambda entry: (entry[1].miss, entry[0])):
            if not _is_among(now.person, list(kept.values())):
                kept[row] = now
        return [kept[row] for row in sorted(kept)]

    def _looked_back(self, entry: _Followed) -> tuple[Person, ...]:
        """Follow somebody who is new from where he was found into the frames before, while he is seen there."""
        assert entry.first is not None
        now: _Followed | None = replace(entry.first, velocity=-entry.velocity, age=LOOK_BACK_AGE)
        earlier: list[Person] = []
        for view, others in reversed(list(self._before)[: 1 - LOOK_BACK_AGE]):
            assert now is not None
            rivals = [other.person.mask for other in others if _touch(other, now)]
            now = self._follow(view, now, _union(rivals))
            if now is None or _is_among(now.person, others):
                break
            earlier.append(now.person)
        return tuple(earlier)

    def _follow(self, view: _View, before: _Followed, rivals: Mask | None) -> _Followed | None:
        moved = replace(before.region, x=before.region.x + before.velocity[0], y=before.region.y + before.velocity[1])
        seen = self._landmarks(view, moved, rivals)
        if seen is None:
            return None
        person, region, hips = seen
        step = float(np.hypot(*(hips - before.hips - before.velocity)))
        growth = region.side / before.region.side
        # A young track has no velocity yet, and a person who enters grows as more of him shows.
        slack = 1.0 if before.age >= 3 else 2.0
        if step > MAX_HIP_STEP * slack * before.region.side / REGION_MARGIN:
            return None
        if not REGION_GROWTH[0] <= growth ** (1 / slack) <= REGION_GROWTH[1]:
            return None
        velocity = hips - before.hips if before.age == 1 else 0.5 * before.velocity + 0.5 * (hips - before.hips)
        miss = step / before.region.side
        return _Followed(
            person, region, hips, velocity, before.age + 1, before.follow_id, miss, first=before.first or before
        )

    def _begin(self, view: _View, rough: RoughPerson, rivals: Mask | None) -> _Followed | None:
        region = _region_of_rough(rough)
        seen = None
        # The second look, from the landmarks' own region, settles scale and turn.
        for _ in range(2):
            seen = None if region is None else self._landmarks(view, region, rivals)
            if seen is None:
                return None
            region = seen[1]
        person, region, hips = seen  # type: ignore[misc]  # the loop ran: it is not None
        self._last_id += 1
        return _Followed(person, region, hips, np.zeros(2), 1, self._last_id)

    def _landmarks(
        self, view: _View, region: Region, rivals: Mask | None
    ) -> tuple[Person, Region, NDArray[np.float64]] | None:
        """Run the landmark model on a region; returns the person, the next region and the hips' middle in px.

        Pixels of ``rivals``, other people close by, are greyed out: the model would slide onto them.
        """
        matrix = region.picture_from_region()
        crop = view.crop(matrix)
        if rivals is not None:
            size, flags = (REGION_PX, REGION_PX), cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            crop[cv2.warpAffine(rivals.view(np.uint8), matrix, size, flags=flags) > 0] = 127
        self._interpreter.set_tensor(self._input, crop[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        score = float(self._interpreter.get_tensor(self._outputs["Identity_1"])[0, 0])
        if score < MIN_LANDMARK_SCORE:
            return None
        raw = np.asarray(self._interpreter.get_tensor(self._outputs["Identity"]), np.float64).reshape(39, 5)
        logits = self._interpreter.get_tensor(self._outputs["Identity_2"])[0, :, :, 0]
        # The model's coordinates count from the region's corner, so a pixel's centre lies at .5.
        points = (raw[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2]
        z = raw[:, 2] * region.side / REGION_PX
        confidence = 1 / (1 + np.exp(-np.clip(np.minimum(raw[:, 3], raw[:, 4]), -30, 30)))
        mask = _mask_of(logits, matrix, *view.size_wh)
        if not mask.any():
            return None
        joints = np.column_stack([points, confidence])[list(ROWS)].astype(np.float32)
        bones = np.column_stack([points, z])
        hands = [bones[list(pair)].mean(axis=0) for pair in KNUCKLES]
        skeleton = np.vstack([bones[list(ROWS)], hands]).astype(np.float32)
        assert joints.shape == (NUM_JOINTS, 3) and skeleton.shape == (NUM_SKELETON, 3)
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
        person = Person(box_xyxy=box, score=min(1.0, score), joints=joints, skeleton=skeleton, mask=mask)
        # Auxiliary landmarks 33 and 34: the hips' middle, and a point on the circle around the body.
        hips = points[[23, 24]].mean(axis=0)
        return person, _region_of_points(points[33], points[34]), hips


def _region_of_points(middle: NDArray[np.float64], rim: NDArray[np.float64]) -> Region:
    away = rim - middle
    side = max(16.0, 2 * REGION_MARGIN * float(np.hypot(*away)))
    return Region(float(middle[0]), float(middle[1]), side, float(np.arctan2(away[0], -away[1])))


def _region_of_rough(rough: RoughPerson) -> Region | None:
    """The region around the finder's hips; of its box where the hips were not seen."""
    x0, y0, x1, y1 = rough.box_xyxy
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    sure = rough.keypoints[:, 2] > 0.15
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


def _mask_of(logits: NDArray[np.float32], matrix: NDArray[np.float64], width: int, height: int) -> Mask:
    """Lay the region's mask logits over the picture; only the region's bounding box is warped."""
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


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """IoU of two boxes, and the part of the smaller one that lies in the other."""
    wh = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(wh, 0)))
    areas = float(np.prod(a[2:] - a[:2])), float(np.prod(b[2:] - b[:2]))
    return common / max(sum(areas) - common, 1e-9), common / max(min(areas), 1e-9)


def _masks(followed: list[_Followed]) -> list[Mask]:
    return [entry.person.mask for entry in followed]


def _lowest(entry: _Followed) -> float:
    """How far down the picture he reaches, with his legs guessed where they are not seen: who is nearer, reaches
    farther down."""
    return float(entry.hips[1]) + entry.region.side / (2 * REGION_MARGIN)


def _moved_on(entry: _Followed) -> _Followed:
    """Carry somebody who is not seen on along his course."""
    x, y = entry.velocity
    person = replace(
        entry.person,
        box_xyxy=entry.person.box_xyxy + np.array([x, y, x, y]),
        joints=entry.person.joints + np.array([x, y, 0], np.float32),
        mask=_shifted(entry.person.mask, entry.velocity),
    )
    return replace(entry, person=person, hips=entry.hips + entry.velocity, unseen=entry.unseen + 1)


def _shifted(mask: Mask, by: NDArray[np.float64]) -> Mask:
    size_wh = (mask.shape[1], mask.shape[0])
    moved = cv2.warpAffine(mask.view(np.uint8), np.column_stack([np.eye(2), by]), size_wh, flags=cv2.INTER_NEAREST)
    return np.asarray(moved.view(np.bool_))


def _in_front_of_nobody(entry: _Followed, hiding: Mask) -> _Followed | None:
    """Take the pixels of those who hide him out of somebody's mask; None where too little is left to be sure of him."""
    mask = entry.person.mask
    if not (mask & hiding).any():
        return entry
    left = mask & ~hiding
    if np.count_nonzero(left) < LEAST_SEEN * np.count_nonzero(mask):
        return None
    return replace(entry, person=replace(entry.person, mask=left, box_xyxy=np.array(box_of_mask(left), np.float64)))


def _expected(entry: _Followed) -> Mask:
    """Return where somebody's pixels will be in the next frame, with some room around them."""
    return grow(_shifted(entry.person.mask, entry.velocity), max(1, round(EXPECTED_MARGIN * entry.region.side)))


def _touch(a: _Followed, b: _Followed) -> bool:
    return _overlap(a.person.box_xyxy, b.person.box_xyxy)[1] > 0


def _union(masks: list[Mask], without: Mask | None = None) -> Mask | None:
    if not masks:
        return None
    whole: Mask = np.logical_or.reduce(masks)
    return whole if without is None else whole & ~without


def _is_among(person: Person, others: list[_Followed]) -> bool:
    """Whether two regions ended on the same body: their masks (or all of their joints) coincide."""
    for other in others:
        if _overlap(person.box_xyxy, other.person.box_xyxy)[0] < 0.3:
            continue
        both = np.count_nonzero(person.mask & other.person.mask)
        either = np.count_nonzero(person.mask | other.person.mask)
        apart = np.hypot(*(person.joints[:, :2] - other.person.joints[:, :2]).T)
        if both > SAME_PERSON_IOU * either or np.median(apart) < 0.05 * other.region.side:
            return True
    return False


def _not_covered(roughs: list[RoughPerson], followed: list[_Followed]) -> list[RoughPerson]:
    """Return the finds of the finder that are nobody who is followed.

    Each of the followed accounts for the nearest find: of two people close together one must not cover both. A second
    find at the same place is the same person found twice.
    """
    pairs = sorted(
        (apart, at, row)
        for at, rough in enumerate(roughs)
        for row, entry in enumerate(followed)
        if (apart := _apart(rough.keypoints, entry.person.joints[:17], rough, entry)) < COVERED
    )
    covered: dict[int, int] = {}
    for _, at, row in pairs:
        if at not in covered and row not in covered.values():
            covered[at] = row
    left = []
    for rough in roughs:
        is_twice = any(
            _apart(rough.keypoints, roughs[other].keypoints, rough, followed[row]) < COVERED
            for other, row in covered.items()
        )
        if not is_twice and (rough.keypoints[:, 2] > SURE_KEYPOINT).any():
            left.append(rough)
    return left


def _apart(points: NDArray[np.float64], others: NDArray[np.floating], rough: RoughPerson, entry: _Followed) -> float:
    """Median distance of COCO joints (17, 2+) to others, of those the finder is sure of; of the region's side."""
    sure = rough.keypoints[:, 2] > SURE_KEYPOINT
    if not sure.any():
        return np.inf
    apart = np.hypot(*(points[sure, :2] - others[sure, :2]).T)
    return float(np.median(apart)) / entry.region.side
