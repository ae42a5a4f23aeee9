"""The clips with things and people in front of the subject are what their masks say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.constructed_front import Studio, compose_frame
from benchmarks.constructed_sets import Bar, Passer, Set
from benchmarks.figures import Truth

HEIGHT, WIDTH = 90, 160
SUBJECT_DEPTH_M = 4.0


@pytest.fixture
def studio() -> Studio:
    """A gray place, and a red subject who stands 4 m in front of a camera that looks along y."""
    mask = np.zeros((1, HEIGHT, WIDTH), np.bool_)
    mask[0, 25:75, 70:90] = True
    gray = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    red = np.where(mask[0][..., None], np.array([200, 30, 30], np.uint8), gray)
    green = np.where(mask[0][..., None], np.array([30, 200, 30], np.uint8), gray)
    # Columns of the rotation: x to the right, z up, y away from the camera at 1 m height.
    pose = np.array([[[1.0, 0, 0, 0], [0, 0, -1, 1], [0, 1, 0, 0]]])
    fields: dict[str, Any] = dict.fromkeys(Truth.__dataclass_fields__)
    fields |= {
        "K": np.array([[[100.0, 0, 79.5], [0, 100.0, 44.5], [0, 0, 1]]]),
        "RT": pose,
        "ankles": np.array([[[-0.1, SUBJECT_DEPTH_M, 0.0], [0.1, SUBJECT_DEPTH_M, 0.0]]]),
        "masks": mask,
        "body_height_m": 1.8,
    }
    return Studio(Truth(**fields), {"man": [red], "suit": [green]}, {"man": mask, "suit": mask}, [gray])


def test_a_bar_in_front_hides_the_subject_where_the_camera_sees_it(studio: Studio) -> None:
    bar = Bar((0.1, 3.0, 0.0), (0.1, 3.0, 2.0), 0.12, (40, 40, 160))
    picture, masks = compose_frame(studio, Set([bar]), 0)
    column = round(79.5 + 100 * 0.1 / 3.0)
    assert masks["front_mask"][50, column]
    assert picture[50, column, 2] > picture[50, column, 0]
    assert not masks["mask"][50, column]
    np.testing.assert_array_equal(masks["mask"] | masks["front_mask"], masks["amodal_mask"])
    # 12 cm at 3 m are 4 px.
    assert 3 <= np.count_nonzero(masks["front_mask"][50]) <= 5


@pytest.mark.parametrize(("depth_m", "is_in_front"), [(3.0, True), (6.0, False)])
def test_who_is_nearer_covers_the_other(studio: Studio, depth_m: float, is_in_front: bool) -> None:
    passer = Passer("suit", lambda t: 0, lambda t: (0.0, depth_m))
    picture, masks = compose_frame(studio, Set([], [passer]), 0)
    assert bool(masks["mask"][50, 80]) is not is_in_front
    assert bool(masks["others_mask"][50, 80]) is is_in_front
    assert (picture[50, 80, 1] > picture[50, 80, 0]) == is_in_front
