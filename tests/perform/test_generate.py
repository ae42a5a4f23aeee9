from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.perform.crops import CropReader

_SIZE_WH = (90, 70)


class _Plates:
    def __init__(self) -> None:
        self.picture = np.random.default_rng(1).integers(0, 255, (_SIZE_WH[1], _SIZE_WH[0], 3), np.uint8)
        self.boxes: list[tuple[int, int, int, int]] = []

    def render(self, frame: int, box_xyxy: tuple[int, int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        self.boxes.append(box_xyxy)
        x0, y0, x1, y1 = box_xyxy
        return self.picture[y0:y1, x0:x1].copy(), np.ones((y1 - y0, x1 - x0), np.bool_)


@pytest.mark.parametrize("corner", [(30.0, 20.0), (-15.0, -9.0), (80.0, 60.0), (200.0, 10.0)])
def test_a_crop_of_the_plate_is_the_same_from_its_own_box(corner: tuple[float, float]) -> None:
    """The crop may reach over the picture's edges, which go on outside, or lie beside it."""
    crop_from_source = np.array([[1.2, -0.1, 0.0], [0.1, 1.2, 0.0], [0.0, 0.0, 1.0]])
    crop_from_source[:2, 2] = -crop_from_source[:2, :2] @ corner
    crop = (33, 25)
    plan = SimpleNamespace(crop=SimpleNamespace(size_wh=crop), crop_from_source=lambda frame: crop_from_source)
    clip, plates = SimpleNamespace(info=SimpleNamespace(size_wh=_SIZE_WH)), _Plates()
    made = CropReader(cast(Any, clip), cast(Any, plan), cast(Any, None), plates).plates(0, 1)
    whole = cv2.warpPerspective(plates.picture, crop_from_source, crop, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(made[0].astype(int) - whole).max() <= 8  # positions in 1/32 px fall on other steps
    assert np.abs(made[0].astype(int) - whole).mean() < 1
    x0, y0, x1, y1 = plates.boxes[0]
    assert (x1 - x0) * (y1 - y0) < _SIZE_WH[0] * _SIZE_WH[1] / 3
