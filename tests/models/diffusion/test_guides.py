"""The measurements of ``benchmarks.guides``, on windows with known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.guides import GuideMeter, GuideTruth, without_slope
from conf import compose_settings
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.perform.controls import ControlPictures

_WH = (64, 128)


def _truth(frames: int, z: np.ndarray, shift_px: float = 0.0) -> GuideTruth:
    keypoints = np.zeros((frames, 17, 2))
    keypoints[..., 0] = 32
    keypoints[..., 1] = np.linspace(20, 110, 17)
    keypoints[..., 0] += shift_px * np.arange(frames)[:, None]
    rows = np.rint(4 * np.arange(32) + 1.5).astype(int)
    depth = np.repeat(np.interp(rows, keypoints[0, :, 1], z)[:, None], 16, axis=1).astype(np.float32)
    both = np.zeros((frames, _WH[1], _WH[0]), np.bool_)
    both[:, 20:110, 20:44] = True
    return GuideTruth(
        keypoints,
        np.repeat(z[None], frames, 0),
        np.ones((frames, 17), np.bool_),
        np.repeat(depth[None], frames, 0),
        both,
    )


def _window(frames: int, z: np.ndarray) -> Window:
    """A figure whose depth at each row of pixels is the truth's at that row."""
    masks = np.zeros((frames, _WH[1], _WH[0]), np.bool_)
    masks[:, 20:110, 20:44] = True
    depth = np.full((frames, _WH[1], _WH[0]), np.nan, np.float32)
    depth[:, 18:112, 18:46] = np.interp(np.arange(18, 112), np.linspace(20, 110, 17), z)[:, None]
    alpha = np.where(np.isfinite(depth), 255, 0).astype(np.uint8)
    alpha[:, 18:65] = 0
    layers = tuple(Layer(np.zeros((_WH[1], _WH[0], 3), np.uint8), one) for one in alpha)
    window = Window(
        start=0,
        size_wh=_WH,
        pts_seconds=np.arange(frames) / 30,
        joints=np.full((frames, 21, 3), np.nan, np.float32),
        skeletons=np.zeros((frames, 23, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 100.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=np.zeros((frames, _WH[1], _WH[0], 3), np.uint8),
        plates=np.zeros((frames, _WH[1], _WH[0], 3), np.uint8),
        masks=masks,
        figure=FigureGuide(layers, depth, np.zeros((*depth.shape, 3), np.float32)),
    )
    return replace(window, controls=ControlPictures(["depth"]).draw(window))


def _meter(truth: GuideTruth) -> GuideMeter:
    settings: Any = compose_settings("fast").generate
    meter = GuideMeter(truth, settings, Path("nowhere"))
    plan: Any = SimpleNamespace(crop_from_source=lambda frame: np.eye(3))
    meter._plan = plan
    return meter


@pytest.mark.parametrize(("sign", "rank"), [(1, 1.0), (-1, -1.0)])
def test_ranks_and_shares_are_those_that_were_made(sign: int, rank: float) -> None:
    z = 20 * np.sin(np.linspace(0, 3, 17))
    truth = _truth(2, sign * z / 100)
    # An elbow behind the trunk is not what the depth picture shows there.
    truth.keypoints_z[:, 7] += sign * 3
    meter = _meter(truth)
    list(meter.generate(_window(2, z), 0, lambda: None))
    assert meter.tally.rank_joints[0] == pytest.approx(rank, abs=0.02)
    assert meter.tally.rank_limit[0] == pytest.approx(1.0, abs=0.02)
    assert meter.tally.rank_pixels[0] == pytest.approx(rank, abs=0.02)
    # 47 of the figure's 94 rows are transparent.
    assert meter.tally.solid == [0.5, 0.5] and meter.tally.inside_mask == [1.0, 1.0]


def test_vectors_are_compared_at_the_true_joints() -> None:
    z = np.zeros(17)
    meter = _meter(_truth(2, z, shift_px=3.0))
    pair = _window(2, z)
    motion = np.zeros((_WH[1], _WH[0], 2), np.float32)
    motion[..., 0] = -3
    meter.add_motion(pair, motion)
    assert max(meter.tally.vector_errors) == pytest.approx(0.0)
    meter.add_motion(pair, np.zeros_like(motion))
    assert meter.tally.vector_errors[-1] == pytest.approx(3.0)
    # Where the figure is not, there is no vector, and none is counted.
    count = len(meter.tally.vector_errors)
    meter.add_motion(pair, np.full_like(motion, np.nan))
    assert len(meter.tally.vector_errors) == count


def test_a_slope_is_taken_out() -> None:
    along = np.arange(10.0)
    wave = np.sin(along)
    level = without_slope(wave - wave.mean() + 5 * along, along)
    assert np.allclose(level, without_slope(wave, along)) and abs(np.polyfit(along, level, 1)[0]) < 1e-9
