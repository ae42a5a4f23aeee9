from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.interfaces import Needs
from pipeline.perform.color_drift import correct_color_drift
from pipeline.perform.matting import (
    MatteMaker,
    flagged_runs,
    joint_overlap,
    pixelated,
    propagated_matte,
    with_matte,
)
from pipeline.request import JobRequest
from pipeline.run import run_job
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from tests.support.job_runner import WALK, WALK_SMALL
from tests.support.models import models_with
from tests.support.painted_people import FoundPeople, figure_in, painted_joints, painted_person, painted_window


class _Painter(IdentityGenerator):
    """Paints the source's own picture and gives no matte: the subject must be found in it again."""

    @property
    def needs(self) -> Needs:
        return replace(super().needs, output="pictures")

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        for layer in super().generate(window, seed, check):
            yield replace(layer, alpha=None, joints=None)


def test_the_matte_of_a_painted_person_is_their_outline(tmp_path: Path) -> None:
    settings = Settings.model_validate({"output": {"codec": "lossless"}})
    models = models_with(_Painter(window_frames=8, conditioning_frames=2), settings)
    request = JobRequest(WALK, tmp_path / "out", artifacts=("mask", "layer"), start_s=2.0, end_s=2.4)
    result = run_job(request, settings, models, tmp_path / "work")
    quality = result.report.quality
    assert quality.mattes_propagated == 0 and quality.changed_outside == 0
    overlaps = []
    from pipeline.media.ffv1 import read_artifact

    masks, layers = (list(read_artifact(result.artifacts[name][0])) for name in ("mask", "layer"))
    for mask, layer in zip(masks, layers, strict=True):
        old = np.asarray(mask) > 0
        new = np.asarray(layer)[..., 3] > 127
        overlaps.append((old & new).sum() / (old | new).sum())
    # The same man by the same model, in another crop and after two resamples.
    assert np.mean(overlaps) > 0.9


def test_the_next_window_is_painted_while_finished_layers_are_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_again = threading.Event()

    class Card(_Painter):
        def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
            yield from super().generate(window, seed, check)
            # After this window's last layer.
            began_again.set()

    def waiting(layers: Iterator[tuple[int, Layer]], *more: Any) -> Iterator[tuple[int, Layer]]:
        for number, one in enumerate(correct_color_drift(layers, *more)):
            if number == 0:
                assert began_again.wait(60.0), "the card waited for its first layer to be corrected"
            yield one

    monkeypatch.setattr("pipeline.perform.perform.correct_color_drift", waiting)
    settings = Settings.model_validate({"output": {"codec": "lossless"}})
    models = models_with(Card(window_frames=6, conditioning_frames=0), settings)
    request = JobRequest(WALK_SMALL, tmp_path / "out", start_s=2.0, end_s=2.4)
    result = run_job(request, settings, models, tmp_path / "work")
    assert result.report.quality.frames_replaced == result.report.frames > 6


def test_joint_overlap_is_one_at_the_place_and_none_far_off() -> None:
    assert joint_overlap(painted_joints(), painted_joints(), 80.0) == pytest.approx(1.0)
    assert 0.4 < joint_overlap(painted_joints(6.4), painted_joints(), 80.0) < 0.7  # one sigma: exp(-1/2)
    assert joint_overlap(painted_joints(60), painted_joints(), 80.0) < 1e-6
    lost = painted_joints()
    lost[:10, :2] = np.nan
    assert joint_overlap(lost, painted_joints(), 80.0) == pytest.approx(11 / 21)


def test_the_soft_band_has_the_color_of_the_inside() -> None:
    picture = np.full((60, 60, 3), (0, 0, 255), np.uint8)
    mask = np.zeros((60, 60), np.bool_)
    mask[20:40, 20:40] = True
    picture[22:38, 22:38] = (255, 0, 0)  # the model's edge reaches two pixels over the person
    layer = with_matte(Layer(picture, None), mask)
    assert layer.alpha is not None
    seen = layer.alpha > 0
    assert (
        layer.alpha[30, 30] == 255
        and not layer.alpha[~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)].any()
    )
    soft = seen & (layer.alpha < 230)
    assert soft.any() and np.median(layer.picture[soft, 0]) > 128


def _cut(
    found: list[list[Person]], frames: int, safety: Any = None, windows: int = 1, remakes: bool = True
) -> tuple[list[Layer], list[int]]:
    layers = [Layer(np.full((100, 100, 3), 20 * i, np.uint8), None) for i in range(frames)]
    seeds: list[int] = []

    def again(seed: int) -> list[Layer]:
        seeds.append(seed)
        return layers

    matting = MatteMaker(FoundPeople(found), safety, remakes=remakes)
    made = [layer for i in range(windows) for layer in matting.cut(painted_window(frames), layers, again, seed=1 + i)]
    return made, seeds


def test_the_requested_one_of_several_people_is_cut_out() -> None:
    layers, seeds = _cut([[painted_person(30), painted_person(1), painted_person(-25)]], 1)
    assert layers[0].alpha is not None and layers[0].alpha[50, 50] == 255 and layers[0].alpha[50, 80] == 0
    assert not seeds and not layers[0].matte_is_propagated


def test_a_picture_without_a_person_is_generated_again_and_then_the_last_matte_is_propagated() -> None:
    found_later, seeds = _cut([[painted_person()], [], [painted_person()], [painted_person()]], 2)
    assert len(seeds) == 1 and not any(layer.matte_is_propagated for layer in found_later)
    never, seeds = _cut([[painted_person()], [], [painted_person()], []], 2)
    assert len(seeds) == 1 and [layer.matte_is_propagated for layer in never] == [False, True]
    assert never[1].alpha is not None and never[1].alpha[50, 50] > 200
    from_the_start, _ = _cut([[], []], 1)
    assert from_the_start[0].matte_is_propagated and from_the_start[0].alpha is not None
    assert from_the_start[0].alpha[50, 50] == 255


def test_second_tries_end_with_one_that_was_no_better_and_video_models_have_none() -> None:
    useless, helpful = [[], []], [[], [painted_person()]]
    assert len(_cut([*useless, []], 1, windows=2)[1]) == 1
    assert len(_cut([*helpful, *helpful], 1, windows=2)[1]) == 2
    assert _cut([[]], 1, remakes=False)[1] == []


def test_without_a_person_and_a_frame_before_the_matte_is_the_figures() -> None:
    figure = figure_in((90, 90, 90), 1)
    beside = replace(figure, layers=(Layer.empty((100, 100)),), depth=np.roll(figure.depth, 25, axis=2))
    painted = [Layer(np.zeros((100, 100, 3), np.uint8), None)]
    window = replace(painted_window(1), figure=beside)
    matting = MatteMaker(FoundPeople([[]]), None, remakes=False)
    (layer,) = matting.cut(window, painted, lambda seed: painted, seed=1)
    # The subject's outline is not taken over.
    assert layer.alpha is not None and layer.alpha[50, 75] == 255 and layer.alpha[50, 45] == 0


def test_the_new_joints_do_not_tremble_and_stand_where_the_new_person_does() -> None:
    shifts = [3.0, 2.0, 4.0, 3.0, 1.0, 5.0, 3.0, 2.0, 4.0, 3.0]
    layers, _ = _cut([[painted_person(shift)] for shift in shifts], len(shifts))
    placed = np.array([layer.joints[0, 0] for layer in layers if layer.joints is not None]) - 50
    assert len(placed) == len(shifts)
    assert abs(placed[-1] - 3) < 0.6 and np.abs(np.diff(placed)).max() < np.abs(np.diff(shifts)).max() / 2


class _Safety:
    """Flags what it is told to, one list per window looked at."""

    def __init__(self, *flags: list[bool]) -> None:
        self._flags = list(flags)

    def flagged(self, pictures: Any) -> Any:
        return np.array(self._flags.pop(0))


@pytest.mark.parametrize(
    ("second", "pixelated_frames", "tries"),
    [([False, False], [False, False], 2), ([True, True], [False, True], 1)],
)
def test_flagged_pictures_are_generated_again_before_they_are_pixelated(
    second: list[bool], pixelated_frames: list[bool], tries: int
) -> None:
    """The second try has nobody in the first frame: a carried matte is better than a pixelated frame. Where it is no
    better, the next window has none."""
    found = [[painted_person()], [painted_person()], [], [painted_person()]]
    safety = _Safety([False, True], second, [False, True], second)
    layers, seeds = _cut([*found, *found], 2, safety, windows=2)
    assert [layer.is_pixelated for layer in layers] == 2 * pixelated_frames
    assert len(seeds) == tries


def test_flagged_pictures_are_pixelated() -> None:
    layers, _ = _cut([[painted_person()], [painted_person()]], 2, _Safety([False, True]), remakes=False)
    assert [layer.is_pixelated for layer in layers] == [False, True]
    runs = np.zeros(24, np.bool_)
    runs[[2, 10, 12, 14]] = True
    assert np.flatnonzero(flagged_runs(runs)).tolist() == [10, 11, 12, 13, 14]  # a single one would be a flash
    noise = np.random.default_rng(1).integers(0, 255, (96, 96, 3), np.uint8)
    coarse = pixelated(Layer(noise, np.full((96, 96), 255, np.uint8)))
    # 24 squares of four pixels.
    assert all(np.array_equal(coarse.picture[y::4], coarse.picture[::4]) for y in range(4))
    assert not np.array_equal(coarse.picture, noise)


def test_a_matte_moves_as_the_picture_moved() -> None:
    texture = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (100, 100, 3), np.uint8), (0, 0), 2)
    alpha = np.zeros((100, 100), np.uint8)
    alpha[30:70, 30:60] = 255
    moved = np.roll(texture, 5, axis=1)
    carried = propagated_matte(Layer(moved, None), texture, alpha)
    assert carried.alpha is not None and carried.matte_is_propagated
    expected = np.roll(alpha, 5, axis=1) > 127
    assert ((carried.alpha > 127) & expected).sum() / ((carried.alpha > 127) | expected).sum() > 0.95
