"""Points that a caller clicked, and the warnings in case of doubt."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import Track
from pipeline.errors import InvalidInput
from pipeline.plan.subject import choose_subject
from pipeline.request import PointChoice, SubjectChoice
from pipeline.settings import PeopleSettings
from tests.plan.test_linking import BLUE, RED, walker
from tests.support.clip_info import video_info

COUNT = 120


def chosen(
    tracks: tuple[Track, ...], choice: SubjectChoice, shots: tuple[int, ...] = (0,)
) -> tuple[Subject, tuple[str, ...]]:
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    return choose_subject(tracks, video_info(COUNT), np.array(shots), world, PeopleSettings().max_gap_seconds, choice)


def at(x: float, frame: int) -> PointChoice:
    return PointChoice(x, 200.0, frame / 30)


def two() -> tuple[Track, Track]:
    """They come near each other in frame 60, in the middle of the picture."""
    frames = np.arange(COUNT)
    apart = 60.0 + 3 * np.abs(frames - 60)
    return walker(0, frames, 320 - apart, RED), walker(1, frames, 320 + apart, BLUE)


def test_points_at_several_times_change_the_subject_where_the_two_are_nearest() -> None:
    subject, _ = chosen(two(), (at(320 + 60 + 150, 110), at(320 - 60 - 150, 10)))
    assert (subject.track_of_frame[:60] == 0).all()
    assert (subject.track_of_frame[61:] == 1).all()


def test_points_on_both_sides_of_a_cut_change_the_subject_there() -> None:
    subject, _ = chosen(two(), (at(320 - 60 - 150, 10), at(320 + 60 + 150, 110)), shots=(0, 90))
    assert subject.track_of_frame.tolist() == [0] * 90 + [1] * 30


def test_points_that_agree_are_one_person_and_a_wrong_one_is_refused() -> None:
    subject, _ = chosen(two(), (at(320 - 60 - 150, 10), at(320 - 60 - 150, 110)))
    assert (subject.track_of_frame == 0).all()
    with pytest.raises(InvalidInput) as caught:
        chosen(two(), (at(320 - 60 - 150, 10), at(5, 110)))
    assert caught.value.field == "subject"


def test_a_point_in_a_frame_in_which_the_subject_was_missed_still_selects_them() -> None:
    frames = np.array([frame for frame in range(COUNT) if frame not in (50, 51)])
    subject, _ = chosen((walker(0, frames, np.full(len(frames), 300.0)),), at(300, 50))
    assert subject.presence[50] == Presence.UNCERTAIN


def test_doubts_are_reported_with_their_times() -> None:
    seen = np.r_[np.arange(30), np.arange(90, COUNT)]
    subject, warnings = chosen((walker(0, seen, np.full(60, 300.0)),), "largest")
    assert np.count_nonzero(subject.presence) == 60
    assert any("not seen from 1.0 to 3.0 s" in line for line in warnings)
    assert any("50 % of the frames" in line for line in warnings)
    gap = np.r_[np.arange(50), np.arange(56, COUNT)]
    _, warnings = chosen((walker(0, gap, np.full(len(gap), 300.0)),), "largest")
    assert [line for line in warnings if "6 frames" in line and "from 1.7 to 1.9 s" in line]


@pytest.mark.parametrize(("look", "is_told"), [(RED, True), (BLUE, False)])
def test_somebody_who_looks_like_the_subject_is_reported(look: int, is_told: bool) -> None:
    frames = np.arange(COUNT)
    tracks = walker(0, frames, np.full(COUNT, 200.0)), walker(1, frames[20:80], np.full(60, 500.0), look)
    _, warnings = chosen(tracks, "leftmost")
    assert any("looks like the subject" in line and "from 0.7 to 2.7 s" in line for line in warnings) == is_told


def test_without_doubts_nothing_is_reported() -> None:
    frames = np.arange(COUNT)
    assert chosen((walker(0, frames, np.full(COUNT, 200.0)),), "largest")[1] == ()
