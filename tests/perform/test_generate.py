from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer, Window
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.interfaces import Needs
from pipeline.perform.crops import CropReader
from pipeline.perform.generate import LayerMaker, WindowSources, generate_layers

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
    """The crop may extend beyond the picture's edges, which are replicated, or lie outside of it."""
    crop_from_source = np.array([[1.2, -0.1, 0.0], [0.1, 1.2, 0.0], [0.0, 0.0, 1.0]])
    crop_from_source[:2, 2] = -crop_from_source[:2, :2] @ corner
    crop = (33, 25)
    plan = SimpleNamespace(crop=SimpleNamespace(size_wh=crop), crop_from_source=lambda frame: crop_from_source)
    clip = SimpleNamespace(info=SimpleNamespace(size_wh=_SIZE_WH))
    plates = _Plates()
    made = CropReader(cast(Any, clip), cast(Any, plan), cast(Any, None), plates).plates(0, 1)
    whole = cv2.warpPerspective(plates.picture, crop_from_source, crop, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(made[0].astype(int) - whole).max() <= 8  # positions in 1/32 px fall on other steps
    assert np.abs(made[0].astype(int) - whole).mean() < 1
    x0, y0, x1, y1 = plates.boxes[0]
    assert (x1 - x0) * (y1 - y0) < _SIZE_WH[0] * _SIZE_WH[1] / 3


class _Crops:
    """Dummy crops that signal when those of a window are requested."""

    def __init__(self) -> None:
        self.asked: dict[int, threading.Event] = {start: threading.Event() for start in (0, 4, 8)}

    def pictures(self, start: int, stop: int) -> NDArray[np.uint8]:
        self.asked[start].set()
        return np.full((stop - start, 8, 6, 3), start, np.uint8)

    def masks(self, start: int, stop: int) -> NDArray[np.bool_]:
        return np.ones((stop - start, 8, 6), np.bool_)


class _Painter(IdentityGenerator):
    """Generates a window only after the next one's pictures have been requested."""

    def __init__(self, crops: _Crops) -> None:
        super().__init__(window_frames=4, conditioning_frames=0)
        self._needs = replace(self._needs, output="pictures")
        self._crops = crops
        self.waited: list[bool] = []

    def generate(self, window: Window, seed: int, check: Any) -> Iterator[Layer]:
        following = self._crops.asked.get(window.start + 4)
        self.waited.append(following is None or following.wait(timeout=30))
        yield from super().generate(window, seed, check)


class _Sources:
    """Windows of nothing but crops."""

    def __init__(self, crops: _Crops) -> None:
        self._crops = crops

    def window(self, start: int, stop: int, needs: Needs, check: Any = None) -> Window:
        count = stop - start
        return Window(
            start=start,
            size_wh=(6, 8),
            pts_seconds=np.arange(count) / 30,
            joints=np.zeros((count, 21, 3), np.float32),
            skeletons=np.zeros((count, 23, 3), np.float32),
            planted=np.zeros((count, 2), np.bool_),
            body_height_px=np.full(count, 6.0),
            presence=np.full(count, 2, np.uint8),
            pictures=self._crops.pictures(start, stop),
            masks=self._crops.masks(start, stop),
        )


def test_the_next_window_is_prepared_while_one_is_painted() -> None:
    crops = _Crops()
    painter = _Painter(crops)
    matting = SimpleNamespace(cut=lambda window, layers, again, seed: layers)
    made = generate_layers(
        cast(WindowSources, _Sources(crops)),
        range(12),
        LayerMaker(painter, cast(Any, matting), seed=0),
        overlap_frames=0,
        check=lambda: None,
    )
    frames = [(frame, int(layer.picture[0, 0, 0])) for frame, layer in made]
    assert painter.waited == [True, True, True]
    assert frames == [(frame, frame // 4 * 4) for frame in range(12)]
