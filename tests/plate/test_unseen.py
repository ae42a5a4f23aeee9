"""Background that no frame shows: inpainted once and propagated."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.maths.geometry import translation
from pipeline.plate.anchors import AnchorPlan
from pipeline.plate.unseen import FilledPlate, fill_unseen
from tests.plate.test_plate import BODY_PX, HEIGHT, WIDTH, make_scene, texture

_HOLE = np.zeros((HEIGHT, WIDTH), np.bool_)
_HOLE[80:200, 144:192] = True


def _plan(shot_start: int = 0) -> AnchorPlan:
    small = cv2.resize(_HOLE.view(np.uint8), (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_NEAREST) > 0
    return AnchorPlan(10, shot_start, 30, (10,), small, (WIDTH, HEIGHT))


def _filled(picture: np.ndarray, before: FilledPlate | None, x: float = 0.0, shot_start: int = 0) -> FilledPlate:
    return fill_unseen(picture, ~_HOLE, _plan(shot_start), translation(x, 0.0), before, "patches")


def test_the_fill_is_carried_to_the_next_plate_in_its_light() -> None:
    wall = texture(WIDTH, HEIGHT, 1)
    first = _filled(wall, None)
    darker = (wall * 0.7).astype(np.uint8)
    second = _filled(darker, first)
    inside = np.s_[90:190, 150:180]
    np.testing.assert_allclose(second.picture[inside], 0.7 * first.picture[inside], atol=4)
    # The camera has moved on: what was filled moves with the wall.
    moved = np.roll(wall, -12, axis=1)
    third = _filled(moved, first, x=12.0)
    np.testing.assert_allclose(third.picture[90:190, 146:168].astype(int), first.picture[90:190, 158:180], atol=6)
    assert third.good[_HOLE].all()


def test_another_shot_is_filled_anew() -> None:
    first = _filled(texture(WIDTH, HEIGHT, 1), None)
    other = texture(WIDTH, HEIGHT, 7)
    np.testing.assert_array_equal(_filled(other, first, shot_start=9).picture, _filled(other, None).picture)


def test_inpainted_background_is_stable_over_the_clip(tmp_path: Path) -> None:
    made = make_scene(still=True)
    plates = made.plates(tmp_path)
    box = (150, 80, 186, 80 + int(BODY_PX))
    views = [plates.render(t, box)[0].astype(float) for t in (0, 12, 24, 35)]
    assert len(plates.anchors) > 1
    assert max(np.abs(view - views[0]).mean() for view in views) < 3
    # It has the wall's texture, not a smear.
    assert np.std(np.diff(views[0], axis=1)) > 0.4 * np.std(
        np.diff(made.truth[0][80:200, 220:256].astype(float), axis=1)
    )
