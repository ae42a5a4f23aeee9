"""The embedded people backend: MoveNet detects people, BlazePose estimates each one's joints, 3D skeleton and mask.

The next frame's region comes from this frame's landmarks, so the detector runs only occasionally. The landmark model's
score stays high when the region slides onto somebody else, so a person is tracked only while the hips keep to their
path and the region to its size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.maths.masks import iou
from pipeline.models.people.close_ups import LEAST_SCORE as CLOSE_UP_SCORE
from pipeline.models.people.close_ups import is_close_up, look_at_face
from pipeline.models.people.distant import find_beside, find_distant, find_lost
from pipeline.models.people.following import (
    Followed,
    expected_mask,
    expected_pixels,
    is_among,
    is_back,
    kept_to_body,
    masks_of,
    moved_on,
    not_covered,
    remembered,
    touch,
    union,
    without_others,
)
from pipeline.models.people.half_bodies import (
    MAX_WEAK_FRAMES,
    SAME_PIXELS_IOU,
    agreeing_look,
    agrees,
    is_half_body_in_place,
    kept_in_size,
    weak_look,
)
from pipeline.models.people.landmarks import (
    MIN_LANDMARK_SCORE,
    OTHER_SIDES,
    REGION_MARGIN,
    LandmarkModel,
    Landmarks,
    Region,
    View,
    regions_of_rough,
)
from pipeline.models.people.movenet import MoveNet, RoughPerson
from pipeline.models.people.occlusion import OcclusionOrder, gain_of, pixels_of_others
from pipeline.models.weights.folder import weight_path

BRIGHTER = 0.8
"""Gain of a picture relative to that of the ones before, from which those were darker."""
NUM_THREADS = 2
MAX_PEOPLE = 6
DETECT_EVERY = 5
"""Frames between runs of the detector while everybody is tracked."""
DETECT_AFTER_LOSS = 20
"""Number of frames after a lost track during which the detector runs in every second frame."""
MAX_HIP_STEP = 0.10
"""Deviation of the hips from a constant-velocity prediction, relative to the region's side / 1.25 (about body size)."""
REGION_GROWTH = (0.82, 1.22)
HIDDEN_FRAMES = 30
"""How long a lost person is expected along their path."""
LOOK_BACK = 12
"""Frames before the first detection in which the person is searched for: the detector misses people cut off by the
picture's edge."""
LOOK_BACK_AGE = 3
"""Tracked frames after which the velocity is known well enough to track backward."""


def _load_models() -> tuple[MoveNet, LandmarkModel]:
    return MoveNet(weight_path("movenet.tflite"), NUM_THREADS), LandmarkModel(NUM_THREADS)


class BlazePosePeople:
    """A ``PeopleBackend`` on the CPU. Deterministic for the pictures since ``reset``."""

    def __init__(self, min_score: float = 0.2) -> None:
        """Load both models; ``min_score`` is the detector's. Raises ``PresetUnavailable`` where a file is missing."""
        self._min_score = min_score
        self._models: tuple[MoveNet, LandmarkModel] | None = _load_models()
        self._last_id = -1
        self.reset()

    @property
    def _detector(self) -> MoveNet:
        return self._loaded[0]

    @property
    def _landmarks(self) -> LandmarkModel:
        return self._loaded[1]

    @property
    def _loaded(self) -> tuple[MoveNet, LandmarkModel]:
        if self._models is None:
            self._models = _load_models()
        return self._models

    @property
    def look_back(self) -> int:
        return LOOK_BACK + LOOK_BACK_AGE - 1

    def reset(self) -> None:
        self._followed: list[Followed] = []
        self._hidden: list[Followed] = []
        """Recently lost people, at their extrapolated positions."""
        self._before: deque[tuple[View, list[Followed]]] = deque(maxlen=LOOK_BACK + LOOK_BACK_AGE)
        self._order = OcclusionOrder()
        self._gain: float | None = None
        """Brightens pictures before they are compared."""
        self._frame = 0
        self._last_loss = -DETECT_AFTER_LOSS - 1

    def rest(self) -> None:
        """Forget the frames so far, and unload the models: they hold 80 MB, and load in 25 ms."""
        self.reset()
        self._models = None

    @property
    def batch_frames(self) -> int:
        return 1

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """Sequentially: each frame's regions come from the previous one."""
        return [self.find(picture) for picture in pictures]

    def find(self, picture: Picture) -> list[Person]:
        view = View(picture, (picture.shape[1], picture.shape[0]))
        small = view.smaller()
        compared = self._brightened(small.picture)
        followed = self._follow_all(view, compared)
        if len(followed) < len(self._followed):
            self._last_loss = self._frame
        hidden = [moved_on(entry) for entry in self._hidden if entry.unseen < HIDDEN_FRAMES]
        ids = {entry.follow_id for entry in followed}
        hidden += [moved_on(entry) for entry in self._followed if entry.follow_id not in ids]
        if self._detector_is_due(followed):
            for rough in not_covered(self._detections(view, followed, hidden), followed):
                if len(followed) == MAX_PEOPLE:
                    break
                begun = self._begin(view, rough, union(masks_of(followed)))
                if begun is not None and not is_among(begun.person, followed):
                    followed.append(begun)
        new = [entry for entry in followed if entry.follow_id not in ids]
        self._hidden = [entry for entry in hidden if not is_among(entry.person, followed) and not is_back(entry, new)]
        self._followed = followed = remembered(followed, self._hidden, compared)
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
        self._before.append((small, followed))
        return people

    def _brightened(self, picture: Picture) -> Picture:
        """Return a picture as bright as by day: at dusk people differ by fewer gray levels."""
        gain = gain_of(picture)
        # A shot may fade in from black. What hardly changes stays: pictures of different frames are compared.
        if self._gain is None or gain < BRIGHTER * self._gain:
            self._gain = gain
        return picture if self._gain == 1.0 else np.asarray(cv2.convertScaleAbs(picture, alpha=self._gain), np.uint8)

    def _detections(self, view: View, followed: list[Followed], hidden: list[Followed]) -> list[RoughPerson]:
        """Return what the detector finds, with faces that fill the picture, to which it gives a low score, and with
        people too far away or too hidden for it to see in the whole picture: lost ones and others."""
        least = min(self._min_score, CLOSE_UP_SCORE)
        found = [
            rough
            for rough in self._detector.find(view.picture, least)
            if rough.score >= self._min_score or is_close_up(rough, view.size_wh)
        ]
        search = self._detector, view.picture, self._min_score
        if not found and not followed:
            return find_distant(*search, self._frame) + find_lost(*search, lost=hidden)
        found += find_lost(*search, lost=hidden)
        return found + find_beside(*search, self._frame, known=found)

    def _detector_is_due(self, followed: list[Followed]) -> bool:
        since_loss = self._frame - self._last_loss
        if not followed or since_loss == 0 or self._frame % DETECT_EVERY == 0:
            return True
        return since_loss <= DETECT_AFTER_LOSS and since_loss % 2 == 0

    def _nearest_first(self, small: Picture, size_wh: tuple[int, int]) -> list[int]:
        """Return the rows of the tracked people, from the nearest to the farthest."""
        if len(self._followed) < 2:
            return list(range(len(self._followed)))
        return self._order.nearest_first(small, [entry.expected() for entry in self._followed], size_wh)

    def _follow_all(self, view: View, small: Picture) -> list[Followed]:
        """Track everybody from the previous frame into this one.

        The region of an occluded person slides onto the occluding one. So people are processed from the nearest to the
        farthest, and the pixels of those already tracked are hidden from those behind. Where two regions still end on
        the same body, it belongs to the person whose path led there. ``small`` is the view's picture, possibly
        downscaled, and brightened where it is dark.
        """
        found: list[tuple[int, Followed]] = []
        for row in self._nearest_first(small, view.size_wh):
            before = self._followed[row]
            nearer = [now.person.mask for _, now in found if touch(now, before)]
            done = {row for row, _ in found}
            others = [other for index, other in enumerate(self._followed) if index != row and index not in done]
            # A person lost behind this one reappears, and would attract the model.
            farther = [other for other in (*others, *self._hidden) if touch(other, before)]
            beside = union(masks_of(farther), expected_mask(before))
            views = [seen for other in farther for seen in other.views()]
            theirs = pixels_of_others(small, before.expected(), views, view.size_wh)
            not_own = union([mask for mask in (*nearer, theirs) if mask is not None])
            out_of_sight = union([mask for mask in (not_own, beside) if mask is not None])
            now = self._follow(view, before, out_of_sight)
            if now is not None and not_own is not None:
                now = without_others(now, not_own)
            if now is not None and (nearer or farther):
                now = kept_to_body(now, before, small, view.size_wh)
            if now is not None:
                found.append((row, now))
        by_row: dict[int, Followed] = {}
        for row, now in sorted(found, key=lambda entry: (entry[1].miss, entry[0])):
            if not is_among(now.person, list(by_row.values()), by_joints=False):
                by_row[row] = now
        return [by_row[row] for row in sorted(by_row)]

    def _looked_back(self, entry: Followed) -> tuple[Person, ...]:
        """Track a new person backward from the first detection, as far as they are visible."""
        assert entry.first is not None
        now: Followed | None = replace(entry.first, velocity=-entry.velocity, age=LOOK_BACK_AGE)
        earlier: list[Person] = []
        for view, others in reversed(list(self._before)[: 1 - LOOK_BACK_AGE]):
            assert now is not None
            others_masks = [other.person.mask for other in others if touch(other, now)]
            # Without second looks: at the edge they would go on to where nothing is seen any more.
            now = self._follow(view, now, union(others_masks), can_look_again=False)
            if now is None or is_among(now.person, others):
                break
            earlier.append(now.person)
        return tuple(earlier)

    def _follow(
        self, view: View, before: Followed, others_mask: Mask | None, *, can_look_again: bool = True
    ) -> Followed | None:
        moved = replace(before.region, x=before.region.x + before.velocity[0], y=before.region.y + before.velocity[1])
        found = self._landmarks.look(view, moved, others_mask)
        if found is None and others_mask is None and can_look_again:
            found = self._look_again(view, before, moved)
        if found is None and can_look_again and before.weak < MAX_WEAK_FRAMES:
            found = weak_look(self._landmarks, view, before, moved, others_mask)
        if found is None:
            return None
        step = float(np.hypot(*(found.hips - before.hips - before.velocity)))
        growth = found.region.side / (before.body_side or before.region.side)
        # A new track has no velocity yet, and an entering person grows as more of them becomes visible. Of half a body
        # size and hips are guesses: they jump where the pixels do not.
        slack = 1.0 if before.age >= 3 else 2.0
        if not _is_on_course(step, growth, before, slack) and not (
            _is_on_course(step, growth, before, 2.0) and is_half_body_in_place(found, before, view)
        ):
            return None
        velocity = found.hips - before.hips
        if before.age > 1:
            velocity = 0.5 * before.velocity + 0.5 * velocity
        return Followed(
            person=found.person,
            region=kept_in_size(found, before, view.size_wh),
            hips=found.hips,
            velocity=velocity,
            age=before.age + 1,
            follow_id=before.follow_id,
            miss=step / before.region.side,
            first=before.first or before,
            colors=before.colors,
            whole=before.whole,
            weak=before.weak + 1 if found.person.score < MIN_LANDMARK_SCORE else 0,
            body_side=found.region.side,
        )

    def _look_again(self, view: View, before: Followed, region: Region) -> Landmarks | None:
        """Look in regions of other sizes: of half a body the model's score is at times low by chance.

        None where what it finds does not cover the person's previous pixels.
        """
        regions = [replace(region, side=factor * region.side) for factor in OTHER_SIDES]
        found = self._landmarks.look_in(view, regions, None)
        if found is None or iou(found.person.mask, expected_pixels(before)) < SAME_PIXELS_IOU:
            return None
        # The size that was followed so far is kept: it is no measurement.
        return replace(found, region=replace(found.region, side=region.side))

    def _begin(self, view: View, rough: RoughPerson, others_mask: Mask | None) -> Followed | None:
        if is_close_up(rough, view.size_wh):
            face = look_at_face(self._landmarks, view, rough, others_mask)
            return None if face is None else self._new(face)
        regions = regions_of_rough(rough)
        first_look = self._landmarks.look_in(view, regions, others_mask)
        if first_look is None:
            first_look = agreeing_look(self._landmarks, view, regions, rough, others_mask)
        if first_look is None:
            return None
        # The second pass, on the landmarks' own region, refines scale and rotation.
        found = self._landmarks.look(view, first_look.region, others_mask)
        if found is None and agrees(rough, first_look.person.box_xyxy, view.size_wh):
            found = agreeing_look(self._landmarks, view, [first_look.region], rough, others_mask) or first_look
        return None if found is None else self._new(found)

    def _new(self, found: Landmarks) -> Followed:
        self._last_id += 1
        return Followed(found.person, found.region, found.hips, np.zeros(2), 1, self._last_id)


def _is_on_course(step_px: float, growth: float, before: Followed, slack: float) -> bool:
    if step_px > MAX_HIP_STEP * slack * before.region.side / REGION_MARGIN:
        return False
    return REGION_GROWTH[0] <= growth ** (1 / slack) <= REGION_GROWTH[1]
