"""Frames in which an undetected subject is evidence of an occluder: those between two detections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.datatypes.plan import Presence
from pipeline.scene.learn import hidden_frames
from tests.support.report_job import H, W, made_plan


def hidden_of(presence: np.ndarray, cuts: tuple[int, ...] = (0,), x_of_first_box: float = 65.0) -> list[int]:
    plan = made_plan(cuts=cuts)
    boxes = plan.subject.boxes_xyxy.copy()
    boxes[20, 0] = x_of_first_box
    subject = replace(plan.subject, presence=presence, boxes_xyxy=boxes)
    return np.flatnonzero(hidden_frames(replace(plan, subject=subject), (W, H))).tolist()


def gap_and_ends() -> np.ndarray:
    presence = np.full(90, Presence.FOUND, np.uint8)
    presence[:5] = 0
    presence[5:8] = Presence.UNCERTAIN
    presence[20:26] = Presence.UNCERTAIN
    presence[88:] = 1
    return presence


def test_a_gap_counts_and_who_comes_in_or_leaves_does_not() -> None:
    assert hidden_of(gap_and_ends()) == [20, 21, 22, 23, 24, 25]


def test_a_gap_at_the_pictures_edge_or_at_a_cut_does_not_count() -> None:
    assert hidden_of(gap_and_ends(), x_of_first_box=0.0) == []
    assert hidden_of(gap_and_ends(), cuts=(0, 23)) == []
