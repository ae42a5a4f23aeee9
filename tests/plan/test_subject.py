"""Which person is chosen, and where they are present, from made tracks."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.plan import Presence
from pipeline.errors import InvalidInput, NoPerson
from pipeline.plan.subject import choose_subject
from pipeline.request import PointChoice, SubjectChoice
from pipeline.settings import PeopleSettings
from tests.support.followed import made, made_track


def test_choices_select_the_right_person() -> None:
    every = np.arange(60)
    left, right = made_track(0, every, every * 0 + 100.0), made_track(1, every[10:], every[10:] * 0 + 500.0, 160)
    middle = made_track(2, every[20:], every[20:] * 0 + 320.0, 80)
    people = made((left, right, middle))
    choices: dict[SubjectChoice, int] = {
        "largest": 1, "leftmost": 0, "rightmost": 1, "centre": 2, 0: 0, 1: 1, 2: 2, PointChoice(500, 180, 1.0): 1,
    }  # fmt: skip
    for choice, track_id in choices.items():
        assert people.choose(choice)[0].track_of_frame[30] == track_id, choice
    for wrong in (3, PointChoice(10, 10, 1.0), PointChoice(500, 180, 0.1)):
        with pytest.raises(InvalidInput) as caught:
            people.choose(wrong)
        assert caught.value.field == "subject"


def test_no_person_is_an_error_and_so_is_a_false_alarm() -> None:
    for tracks in ((), (made_track(0, np.arange(5, 7), np.full(2, 300.0)),)):
        with pytest.raises(NoPerson):
            made(tracks).choose()


def test_gaps_up_to_half_a_second_are_filled_and_longer_ones_are_absent() -> None:
    frames = np.array([*range(20), *range(30, 35), *range(55, 60)])
    subject, _ = made((made_track(0, frames, 100.0 + 4 * frames),)).choose()
    assert (subject.presence[20:30] == Presence.UNCERTAIN).all()
    assert (subject.presence[35:55] == Presence.ABSENT).all()
    np.testing.assert_allclose(subject.joints[20:30, 11, 0], 100 + 4 * np.arange(20, 30), atol=0.01)
    assert np.isnan(subject.joints[40]).all()
    assert np.isnan(subject.body_height_px[40])


def test_shake_is_not_smeared() -> None:
    frames = np.arange(60)
    shake = np.random.default_rng(1).normal(0, 8, 60)
    track = made_track(0, frames, 300 + 2.0 * frames + shake)
    world = np.repeat(np.eye(3)[None], 60, axis=0)
    world[:, 0, 2] = -shake
    people = made((track,))
    subject, _ = choose_subject((track,), people.info, people.shot_starts, world, PeopleSettings().max_gap_seconds)
    np.testing.assert_allclose(subject.joints[:, 11, 0], track.joints[:, 11, 0], atol=0.02)


def test_a_joint_outlier_of_one_frame_is_corrected() -> None:
    frames = np.arange(60)
    track = made_track(0, frames, 300 + 1.0 * frames)
    track.joints[30, 9, 0] += 60
    subject, _ = made((track,)).choose()
    np.testing.assert_allclose(subject.joints[:, 9, 0], 300 + frames, atol=1.5)
