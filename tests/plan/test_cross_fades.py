"""A cross-fade divides two shots, and the user is told."""

from __future__ import annotations

import numpy as np

from pipeline.plan.cross_fades import cross_fades_told, in_transition, pushes_told, with_cross_fades
from tests.support.clip_info import video_info


def test_the_later_shot_starts_where_its_picture_prevails() -> None:
    weights = np.full(40, np.nan, np.float32)
    weights[10:19] = np.linspace(0.1, 0.9, 9)
    assert with_cross_fades(np.array([0, 30]), weights).tolist() == [0, 14, 30]


def test_a_cross_fade_with_a_cut_in_it_gets_no_other() -> None:
    weights = np.full(40, np.nan, np.float32)
    weights[10:19] = np.linspace(0.1, 0.9, 9)
    assert with_cross_fades(np.array([0, 16]), weights).tolist() == [0, 16]
    assert with_cross_fades(np.array([0, 16]), None).tolist() == [0, 16]


def test_a_fade_out_and_the_fade_in_after_it_are_one_transition() -> None:
    weights = np.full(60, np.nan, np.float32)
    weights[10:19] = np.linspace(0.1, 0.9, 9)
    weights[22:31] = np.linspace(0.1, 0.9, 9)
    assert with_cross_fades(np.array([0, 23]), weights).tolist() == [0, 23]
    assert np.flatnonzero(in_transition(weights)).tolist() == [*range(10, 31)]
    weights[22:31] = np.nan
    weights[45:54] = np.linspace(0.1, 0.9, 9)
    assert with_cross_fades(np.array([0]), weights).tolist() == [0, 14, 49]


def test_cross_fades_are_told_with_their_times() -> None:
    weights = np.full(60, np.nan, np.float32)
    weights[30:45] = 0.5
    (told,) = cross_fades_told(weights, video_info(60))
    assert "from 1.0 to 1.5 s" in told
    assert cross_fades_told(None, video_info(60)) == ()


def test_pushes_are_told_with_their_times() -> None:
    (told,) = pushes_told(np.array([[30, 45]]), video_info(60))
    assert "from 1.0 to 1.5 s" in told
    assert pushes_told(np.zeros((0, 2), np.int64), video_info(60)) == ()
    assert pushes_told(None, video_info(60)) == ()
