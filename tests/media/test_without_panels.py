"""A clip is read as it looks beneath its panels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Float32Array
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.panels import Panel, Panels
from pipeline.maths.translucent import with_panels
from pipeline.media.pixels import coded_from_upright, planes_from_rgb, rgb_of
from pipeline.media.without_panels import ClipWithoutPanels
from tests.support.clip_info import video_info

BOX = (20.0, 30.0, 70.0, 50.0)
COLOR = (30.0, 10.0, 90.0)


def smooth(size_wh: tuple[int, int]) -> Float32Array:
    noise = np.random.default_rng(2).uniform(-1, 1, (size_wh[1], size_wh[0], 3)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.asarray(128 + 40 * wide / wide.std(), np.float32).clip(0, 255)


def frame_of(picture: Float32Array, info: VideoInfo, index: int) -> Frame:
    planes = planes_from_rgb(coded_from_upright(picture, info), info)
    return Frame(index, index, 1, tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes), info)


@dataclass(frozen=True)
class Frames:
    """Two frames: a panel lies over the second."""

    info: VideoInfo

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        width, height = self.info.size_wh
        picture = smooth((width, height))
        panel = Panel(BOX, 3.0, COLOR, 0.6)
        yield frame_of(picture, self.info, 0)
        yield frame_of(with_panels(picture, [panel], (0, 0, width, height)), self.info, 1)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        return (frame for frame in self.frames() if frame.index in indices)


@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "gbrp"])
def test_what_is_beneath_a_panel_is_restored_in_the_planes_of_the_clip(turns: int, pix_fmt: str) -> None:
    log2_wh = (1, 1) if pix_fmt == "yuv420p" else (0, 0)
    info = video_info(2, (96, 80), pix_fmt=pix_fmt, chroma_log2_wh=log2_wh, quarter_turns=turns)
    panels = Panels(
        boxes_xyxy=np.array([BOX]),
        radii_px=np.array([3.0]),
        colors=np.array([COLOR]),
        firsts=np.array([1]),
        offsets=np.array([0, 1]),
        opacities=np.array([0.6]),
    )
    source = Frames(info)
    before, with_panel = list(source.frames())
    plain, restored = ClipWithoutPanels(source, panels).frames()
    assert all(np.array_equal(one, two) for one, two in zip(plain.planes, before.planes, strict=True))
    away = np.abs(rgb_of(restored).astype(int) - rgb_of(before))
    assert np.abs(rgb_of(with_panel).astype(int) - rgb_of(before)).max() > 40
    # Chroma is filtered over the panel's edges.
    assert np.percentile(away, 97) <= 5
    assert away.mean() < 1.0
    (only,) = ClipWithoutPanels(source, panels).frames_at([1])
    assert all(np.array_equal(one, two) for one, two in zip(only.planes, restored.planes, strict=True))
