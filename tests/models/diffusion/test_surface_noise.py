"""Noise that moves with the figure's surface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.datatypes.window import FigureGuide, Window
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.loading import Components, key_of, load_parts
from pipeline.models.diffusion.surface_noise import noise_cells, shared_noise
from pipeline.models.mannequin.figure import load_figure
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.registry import make_generator
from pipeline.models.weights.folder import weight_path
from tests.models.diffusion.loop_inputs import LATENT_HW, WH, settings_of
from tests.models.diffusion.test_window_generation import _window

_HW = (24, 16)


@pytest.fixture
def parts() -> Components:
    return load_parts(key_of(settings_of("fast")))


def _block(left: int, top: int = 4, size: int = 8) -> np.ndarray:
    """(h, w, 3): a flat patch of the body whose cells are as large as latent px, at a place in the picture."""
    surface = np.full((*_HW, 3), np.nan, np.float32)
    y, x = np.mgrid[:size, :size]
    cell = 1 / (0.65 * _HW[0])
    surface[top : top + size, left : left + size] = np.stack([x + 0.5, y + 0.5, 0 * x], axis=-1) * cell
    return surface


def test_noise_on_the_figure_moves_with_it_and_the_rest_stays(parts: Components) -> None:
    surface = np.stack([_block(2), _block(5)])
    noise = shared_noise(parts, 3, surface, 2, _HW)
    for step in (0, 2):
        before, after = noise(step)
        assert torch.equal(before[:, 4:12, 2:10], after[:, 4:12, 5:13])
        outside = np.isnan(surface).all(axis=(0, 3))
        assert torch.equal(before[:, outside], after[:, outside])
        assert not torch.equal(before[:, 4:12, 2:10], after[:, 4:12, 2:10])
    assert not torch.equal(noise(0), noise(1))
    assert torch.equal(noise(1), shared_noise(parts, 3, surface, 2, _HW)(1))
    assert not torch.equal(noise(1), shared_noise(parts, 4, surface, 2, _HW)(1))


def test_a_frame_has_the_same_noise_alone_and_in_a_batch(parts: Components) -> None:
    surface = np.stack([_block(2), _block(5), _block(7, top=9)])
    together = shared_noise(parts, 3, surface, 3, _HW)(1)
    for i in range(3):
        assert torch.equal(together[i : i + 1], shared_noise(parts, 3, surface[i : i + 1], 1, _HW)(1))


def test_without_a_figure_all_frames_share_the_crops_noise(parts: Components) -> None:
    nobody = np.full((2, *_HW, 3), np.nan, np.float32)
    expected = shared_noise(parts, 3, None, 2, _HW)(1)
    assert torch.equal(expected[0], expected[1])
    assert torch.equal(shared_noise(parts, 3, nobody, 2, _HW)(1), expected)


@pytest.mark.parametrize("zoom", [0.3, 1.0, 3.0])
def test_no_value_occurs_twice_in_a_frame_whatever_its_scale(parts: Components, zoom: float) -> None:
    surface = np.stack([_block(2) / zoom, _block(5) / zoom])
    for frame in shared_noise(parts, 3, surface, 2, _HW)(0):
        assert len(torch.unique(frame)) == frame.numel()
    values = shared_noise(parts, 3, np.stack([_block(i % 8) / zoom for i in range(64)]), 64, _HW)(0)
    assert abs(float(values.mean())) < 0.1
    assert float(values.std()) == pytest.approx(1.0, abs=0.1)


def test_the_mannequins_surface_keeps_its_cells_when_the_whole_figure_moves() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    mannequin = Mannequin(Path(weight_path("figure.npz")))
    size_wh = (256, 384)
    # As tall as noise_cells takes people to be.
    height_px = 0.65 * size_wh[1]
    skeleton = relaxed_skeleton(figure) * height_px + np.array([size_wh[0] / 2, 340.0, 0.0])
    # By two latent px to the right, and by one up.
    skeletons = np.stack([skeleton, skeleton + np.array([16.0, -8.0, 0.0])]).astype(np.float32)
    joints = np.full((2, 21, 3), 0.9, np.float32)
    joints[..., :2] = skeletons[:, :21, :2]
    window = Window(
        start=0,
        size_wh=size_wh,
        pts_seconds=np.arange(2) / 30,
        joints=joints,
        skeletons=skeletons,
        planted=np.ones((2, 2), np.bool_),
        body_height_px=np.full(2, height_px),
        presence=np.full(2, 2, np.uint8),
    )
    surface = mannequin.guide(window, lambda: None).surface
    assert surface is not None and surface.shape == (2, 48, 32, 3)
    first, second = noise_cells(surface)
    moved = second[:-1, 2:] >= 0
    assert moved.sum() > 100
    assert (first[1:, :-2][moved] == second[:-1, 2:][moved]).mean() > 0.95


def test_fast_denoises_with_noise_on_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("fast", "generate.batch_frames=2", "generate.face_px=0")
    window = _window(3, settings)
    assert window.figure is not None
    # Another place on the body in each frame, and none in the second.
    surface = np.full((3, *LATENT_HW, 3), np.nan, np.float32)
    surface[0, 3, 3] = 0.1
    surface[2, 3, 3] = 0.3
    drawn: list[torch.Tensor] = []

    def spy(parts: Any, conditioning: Any, task: DenoiseInputs, check: Any) -> torch.Tensor:
        drawn.extend(task.noise(0))
        return denoise(parts, conditioning, task, check)

    monkeypatch.setattr("pipeline.models.diffusion.sd15.denoise", spy)
    generator = make_generator(settings)
    from pipeline.datatypes.appearance import Appearance

    generator.prepare(Appearance("a dancer"))
    guided: FigureGuide = replace(window.figure, surface=surface)
    list(generator.generate(replace(window, figure=guided), 1, lambda: None))
    assert len(drawn) == 3 and drawn[0].shape == (4, WH[1] // 8, WH[0] // 8)
    differs = [(drawn[i] != drawn[1]).any(dim=0).nonzero().tolist() for i in range(3)]
    assert differs == [[[3, 3]], [], [[3, 3]]]
    assert not torch.equal(drawn[0][:, 3, 3], drawn[2][:, 3, 3])
