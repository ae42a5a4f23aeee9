"""The plots of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.report.plots import draw_plots, foot_speed_bh, thinned
from tests.support.report_job import (
    BODY_HEIGHT_PX,
    FPS,
    T,
    info_of,
    made_plan,
    made_series,
)


def test_a_foot_that_moves_with_the_ground_has_no_speed() -> None:
    plan = made_plan(cuts=(0, 75))
    seconds = np.arange(T) / FPS
    pan = np.tile(np.eye(3), (T, 1, 1))
    pan[:, 0, 2] = 4.0 * np.arange(T)
    # A point of the ground moves by -4 px a frame in the picture.
    ground = np.zeros((T, 2, 2)) + 80.0
    ground[..., 0] -= 4.0 * np.arange(T)[:, None]
    plan = replace(plan, camera=replace(plan.camera, world_from_source=pan))
    plan = replace(plan, contacts=replace(plan.contacts, plant_id=np.full((T, 2), -1)))
    still = foot_speed_bh(ground, plan, seconds)
    assert np.nanmax(still) < 1e-9
    assert np.isnan(still[[0, 75]]).all() and np.isfinite(np.delete(still, [0, 75], axis=0)).all()
    walking = ground + np.arange(T)[:, None, None] * [0.0, 1.5]
    assert np.nanmin(foot_speed_bh(walking, plan, seconds)) == pytest.approx(1.5 * FPS / BODY_HEIGHT_PX)


def test_in_a_contact_the_anchor_is_the_ground() -> None:
    plan = made_plan()
    anchors = plan.contacts.anchors + np.arange(T)[:, None, None] * [2.0, 0.0]
    plan = replace(plan, contacts=replace(plan.contacts, anchors=anchors))
    ankles = np.full((T, 2, 2), 70.0) + np.arange(T)[:, None, None] * [2.0, 0.0]
    speed = foot_speed_bh(ankles, plan, np.arange(T) / FPS)
    assert np.nanmax(speed[51:70, 0]) < 1e-9
    # According to the camera path the ground is static.
    assert speed[75, 0] == pytest.approx(2.0 * FPS / BODY_HEIGHT_PX)


def test_a_thinned_curve_keeps_its_peaks_and_its_gaps() -> None:
    values = np.random.default_rng(1).normal(size=20_000)
    values[777] = 50.0
    values[15_003] = -50.0
    values[9_000:9_400] = np.nan
    seconds, kept = thinned(np.arange(20_000.0), values, 600)
    assert len(kept) <= 600 and np.all(np.diff(seconds) > 0)
    assert np.nanmax(kept) == 50.0 and np.nanmin(kept) == -50.0
    assert np.isnan(kept[(seconds >= 9_000) & (seconds < 9_400)]).all()
    assert np.array_equal(kept, values[seconds.astype(int)], equal_nan=True)


def test_plots_of_a_long_clip_stay_small() -> None:
    frames = 20_000
    noise = np.random.default_rng(2).normal(80.0, 5.0, (frames, 2, 2))
    series = made_series(frames) | {"ankles_unlocked": noise, "ankles_locked": noise}
    plots = draw_plots(made_plan(frames), info_of(frames), series, [5, 90])
    assert sum(len(plot.svg) for plot in plots) < 500_000


def _first(value: Any, frames: int) -> Any:
    """Return the value's first frames."""
    arrays = {name: getattr(value, name) for name in value.SHAPES}
    return replace(value, **{name: array[:frames] for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("frames", [1, 2])
def test_plots_of_very_short_clips_are_drawn(frames: int) -> None:
    plan = made_plan(T)
    plan = replace(
        plan,
        segments=(replace(plan.segments[0], stop=frames),),
        camera=_first(plan.camera, frames),
        subject=_first(plan.subject, frames),
        contacts=_first(plan.contacts, frames),
        crop=_first(plan.crop, frames),
    )
    # No frame was edited: nothing was pushed.
    series = {name: values[:0] for name, values in made_series().items()} | {
        name: np.full((frames, 2, 2), np.nan) for name in ("ankles_unlocked", "ankles_locked")
    }
    assert all("</svg>" in plot.svg for plot in draw_plots(plan, info_of(frames), series, [0]))
