"""Values with arrays report wrong shapes, and their repr shows shapes instead of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.datatypes.plan import CameraPath, CropPath, Plan
from pipeline.datatypes.window import Layer, Window
from tests.support.report_job import made_plan


def _layer(**changed: object) -> Layer:
    whole = {"picture": np.zeros((4, 5, 3), np.uint8), "alpha": np.zeros((4, 5), np.uint8)}
    return Layer(**{**whole, **changed})


def test_matching_shapes_are_accepted_and_absent_fields_are_not_checked() -> None:
    assert _layer(alpha=None).joints is None
    assert _layer(joints=np.zeros((21, 3), np.float32)).picture.shape == (4, 5, 3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alpha": np.zeros((4, 6), np.uint8)}, r"Layer\.alpha must be \(h, w\) with .*'w': 5.*\(4, 6\)"),
        ({"joints": np.zeros((20, 3), np.float32)}, r"Layer\.joints must be \(21, 3\)"),
        ({"picture": np.zeros((4, 5), np.uint8)}, r"Layer\.picture must be \(h, w, 3\)"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _layer(**changed)


def test_pictures_of_a_window_are_as_many_as_its_frames() -> None:
    made = {
        "start": 0, "size_wh": (6, 4), "pts_seconds": np.arange(2.0), "joints": np.zeros((2, 21, 3), np.float32),
        "skeletons": np.zeros((2, 23, 3), np.float32), "planted": np.zeros((2, 2), bool),
        "body_height_px": np.ones(2), "presence": np.zeros(2, np.uint8),
    }  # fmt: skip
    assert Window(**made).num_frames == 2
    with pytest.raises(ValueError, match=r"Window\.plates"):
        Window(**made, plates=np.zeros((3, 4, 6, 3), np.uint8))


def test_the_parts_of_a_plan_are_of_one_length() -> None:
    plan = made_plan()
    assert isinstance(plan, Plan)
    with pytest.raises(ValueError, match="different lengths"):
        replace(plan, crop=CropPath(np.tile(np.eye(3), (3, 1, 1)), (64, 64)))


def test_a_repr_shows_shapes_and_no_numbers() -> None:
    assert repr(_layer()) == (
        "Layer(picture=uint8[4, 5, 3], alpha=uint8[4, 5], joints=None, matte_is_propagated=False, is_pixelated=False)"
    )
    path = CameraPath(np.tile(np.eye(3), (500, 1, 1)), np.tile(np.eye(3), (500, 1, 1)))
    assert repr(path) == "CameraPath(world_from_source=float64[500, 3, 3], stable_from_source=float64[500, 3, 3])"
    assert len(repr(made_plan())) < 3000
