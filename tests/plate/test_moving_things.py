"""What moves near people without a mask of its own does not get into the plates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.light import CastShadows
from pipeline.maths.masks import grow
from pipeline.plate.build import make_plates
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.moving_things import MovingThings, find_moving_things
from pipeline.settings import PlateSettings
from tests.support.clip_info import video_info

SIZE_WH = 320, 240
FRAMES = 90
BODY_PX = 120.0
STANDS = range(25, 55)
DRIFT_PX = 0.4
"""What the camera moves to the right in a frame."""


class Walk:
    """Somebody walks in, stands with a bag beside them for as long as a plate's nearest samples reach, and walks on."""

    def __init__(self, with_bag: bool) -> None:
        random = np.random.default_rng(5)
        noise = random.standard_normal((SIZE_WH[1], SIZE_WH[0] + 120, 3)).astype(np.float32)
        self._wide = np.clip(128 + 260 * cv2.GaussianBlur(noise, (0, 0), 3.0), 0, 255).astype(np.uint8)
        self._with_bag = with_bag
        self.world_from_source = np.tile(np.eye(3), (FRAMES, 1, 1))
        self.world_from_source[:, 0, 2] = DRIFT_PX * np.arange(FRAMES)

    @property
    def info(self) -> VideoInfo:
        planar = {"pix_fmt": "gbrp", "chroma_log2_wh": (0, 0), "color_range": 2, "color_matrix": 0}
        return video_info(FRAMES, SIZE_WH, **planar)

    def background(self, t: int) -> Picture:
        move = np.array([[1, 0, DRIFT_PX * t], [0, 1, 0]])
        view = cv2.warpAffine(self._wide, move, SIZE_WH, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return np.asarray(view, np.uint8)

    def _left(self, t: int) -> int:
        walked = t if t < STANDS.start else max(STANDS.start, t - len(STANDS))
        return 20 + 5 * min(walked, 44)

    def person(self, t: int) -> Mask:
        mask = np.zeros(SIZE_WH[::-1], np.bool_)
        mask[60:180, self._left(t) : self._left(t) + 34] = True
        return mask

    def bag(self, t: int) -> Mask:
        mask = np.zeros(SIZE_WH[::-1], np.bool_)
        if self._with_bag:
            mask[110:140, self._left(t) + 36 : self._left(t) + 64] = True
        return mask

    def picture(self, t: int) -> Picture:
        picture = self.background(t)
        picture[self.bag(t)] = (190, 30, 40)
        picture[self.person(t)] = (30, 60, 220)
        return picture

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        for index in indices:
            picture = self.picture(index)
            planes = tuple(np.ascontiguousarray(picture[..., channel]) for channel in (1, 2, 0))
            yield Frame(index, index, 1, planes, self.info)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        return self.frames_at(range(start, FRAMES if stop is None else stop))


def found_in(walk: Walk) -> MovingThings:
    starts = np.zeros(1, np.int64)
    needed = np.ones(FRAMES, np.bool_)
    return find_moving_things(walk, walk.world_from_source, starts, walk.person, needed, BODY_PX, lambda: None)


def test_a_bag_is_found_in_all_frames_and_nothing_else() -> None:
    walk = Walk(with_bag=True)
    found = found_in(walk)
    for t in range(5, 70, 7):
        moving = found.mask(t, SIZE_WH)
        assert moving is not None
        assert (moving & walk.bag(t)).sum() > 0.9 * walk.bag(t).sum()
        # Where it was in the frames that were looked at before and after.
        assert not (moving & ~grow(walk.bag(t), 40)).any()


def test_nothing_moves_beside_a_person_alone() -> None:
    found = found_in(Walk(with_bag=False))
    assert all(found.mask(t, SIZE_WH) is None for t in range(FRAMES))


def test_moving_things_are_doubtful_ground_and_people_stay_hidden() -> None:
    found = MovingThings()
    mask = np.zeros((12, 16), np.bool_)
    mask[4:8, 4:8] = True
    found.add(10, mask)
    grade = np.full((24, 32), 2, np.uint8)
    grade[:, :12] = 0
    lowered = found.lower(grade, 12)
    expected = grade.copy()
    expected[8:16, 12:16] = 1
    np.testing.assert_array_equal(lowered, expected)
    assert (grade[:, 12:] == 2).all()


def differing_px(walk: Walk, folder: Path) -> list[int]:
    inputs = PlateInputs(
        clip=walk,
        world_from_source=walk.world_from_source,
        shot_starts=np.zeros(1, np.int64),
        needed=np.ones(FRAMES, np.bool_),
        people_mask=walk.person,
        body_height_px=BODY_PX,
        shadows=CastShadows.none(FRAMES),
    )
    plates = make_plates(inputs, PlateSettings(), folder, lambda: None, lambda done, total: None)
    counts: list[int] = []
    for t in STANDS[5:-5:10]:
        picture, _ = plates.render(t, (0, 0, *SIZE_WH))
        apart: NDArray[np.int16] = np.abs(picture.astype(np.int16) - walk.background(t)).max(axis=-1)
        counts.append(int(np.count_nonzero((apart > 40) & walk.bag(t))))
    return counts


def test_a_bag_beside_somebody_who_stands_is_not_in_the_plate(tmp_path: Path) -> None:
    assert max(differing_px(Walk(with_bag=True), tmp_path)) < 20
