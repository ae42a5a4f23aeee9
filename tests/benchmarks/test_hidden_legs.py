"""The figures of walks behind occluders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import figures
from benchmarks.hidden_legs import figures_of
from pipeline.datatypes.plan import Plan
from tests.support.still_plan import still_plan

_WALK_A = Path(__file__).resolve().parents[2] / "assets" / "walk_a"


def _plan(joints: np.ndarray, planted: np.ndarray) -> Plan:
    count = len(joints)
    return still_plan(
        (640, 360),
        np.full(count, 2, np.uint8),
        np.zeros((count, 4)),
        joints,
        200.0,
        np.where(planted, 0, -1),
        np.zeros((count, 2, 2)),
    )


def test_the_truth_itself_has_no_error_and_moved_ankles_have() -> None:
    truth = figures.load_truth(_WALK_A)
    joints = np.full((len(truth.contact), 21, 3), 1.0, np.float32)
    joints[:, :17, :2] = truth.keypoints
    error, worse, jitter = figures_of(_plan(joints, truth.on_ground), truth)
    assert error < 0.01
    assert worse == 1.0
    assert jitter < 0.01
    joints[:, [15, 16], 0] += 0.1 * truth.body_height_px[:, None]
    error, worse, _ = figures_of(_plan(joints, ~truth.on_ground), truth)
    assert 4.9 < error < 5.1
    assert worse == 0.0
