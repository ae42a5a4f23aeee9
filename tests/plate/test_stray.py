"""What too few frames show, and what looks like nothing around it, is no background."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.light import CastShadows
from pipeline.plate.build import make_plates
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.stray import seen_briefly, stray_samples
from pipeline.settings import PlateSettings
from tests.plate.test_moving_things import BODY_PX, FRAMES, SIZE_WH, Walk

KICK = range(41, 46)
SHOE = np.s_[140:160, 140:149]


class Kick(Walk):
    """Somebody stands before a camera that does not move; for five frames the mask misses a white shoe."""

    def __init__(self) -> None:
        super().__init__(with_bag=False)
        self.world_from_source = np.tile(np.eye(3), (FRAMES, 1, 1))

    def background(self, t: int) -> Picture:
        return super().background(0) // 3

    def person(self, t: int) -> Mask:
        mask = np.zeros(SIZE_WH[::-1], np.bool_)
        mask[60:180, 140:174] = True
        if t in KICK:
            mask[SHOE] = False
        return mask

    def picture(self, t: int) -> Picture:
        picture = super().picture(t)
        if t in KICK:
            picture[SHOE] = (235, 240, 240)
        return picture


def test_a_shoe_that_the_mask_misses_for_a_moment_is_not_in_the_plates(tmp_path: Path) -> None:
    kick = Kick()
    inputs = PlateInputs(
        kick,
        kick.world_from_source,
        np.zeros(1, np.int64),
        np.ones(FRAMES, np.bool_),
        kick.person,
        BODY_PX,
        CastShadows.none(FRAMES),
    )
    plates = make_plates(inputs, PlateSettings(), tmp_path / "plates", lambda: None, lambda done, total: None)
    brightest = [int(plates.plate(row)[0][SHOE].min(axis=-1).max()) for row in range(len(plates.anchors))]
    assert max(brightest) < 150


def _plate(patch: tuple[int, int, int]) -> tuple[Picture, Mask]:
    """A plate with a ``patch`` in a place that was seen briefly."""
    random = np.random.default_rng(3)
    noise = cv2.GaussianBlur(random.standard_normal((120, 160, 3)).astype(np.float32), (0, 0), 2.0)
    plate = np.clip(90 + 120 * noise, 0, 255).astype(np.uint8)
    is_brief = np.zeros((120, 160), np.bool_)
    is_brief[50:70, 60:80] = True
    plate[55:65, 65:75] = patch
    return plate, is_brief


SEEN = np.ones((120, 160), np.bool_)


def test_a_moment_is_trusted_where_it_fits_its_surroundings() -> None:
    plate, is_brief = _plate((90, 90, 90))
    assert not stray_samples(plate, is_brief, SEEN, 200.0).any()
    plate, is_brief = _plate((250, 250, 250))
    stray = stray_samples(plate, is_brief, SEEN, 200.0)
    assert stray[55:65, 65:75].all()
    assert stray.sum() < 2 * 14 * 14


def test_what_is_seen_for_long_is_trusted_whatever_it_shows() -> None:
    plate, _ = _plate((250, 250, 250))
    assert not stray_samples(plate, ~SEEN, SEEN, 200.0).any()


def test_nothing_is_said_where_no_place_near_by_is_seen_for_longer() -> None:
    plate, _ = _plate((250, 250, 250))
    assert not stray_samples(plate, SEEN, SEEN, 200.0).any()


def test_a_place_is_seen_briefly_where_each_of_a_few_moments_is_short() -> None:
    frames = np.array([30, 0, 3, 33, 36, 39, 42])
    grades = np.zeros((7, 1, 4), np.uint8)
    grades[[0, 1, 2, 3], 0, 0] = 1
    grades[[0, 3, 4, 5, 6], 0, 1] = 2
    grades[:, 0, 2] = 1
    assert seen_briefly(grades, frames, 10.5).tolist() == [[True, False, False, False]]
