"""Several subjects: plans from one survey, gaps behind each other, and invalid choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence
from pipeline.datatypes.survey import CameraMotion, Survey, Track
from pipeline.errors import InvalidInput
from pipeline.models.interfaces import Needs
from pipeline.plan.hidden_gaps import MAX_HIDDEN_SECONDS
from pipeline.plan.several import make_plans
from pipeline.plan.subject import choose_subject, pick_person
from pipeline.request import FurtherSubject, JobRequest
from pipeline.settings import Settings
from tests.plan.test_linking import BLUE, RED, walker
from tests.support.clip_info import video_info

COUNT = 90
INFO = video_info(COUNT)
WORLD = np.tile(np.eye(3), (COUNT, 1, 1))


def survey_of(*tracks: Track) -> Survey:
    motion = CameraMotion(WORLD, np.ones(COUNT, np.bool_), tuple(np.zeros((0, 4), np.float32) for _ in range(COUNT)))
    return Survey(INFO, np.array([0]), np.zeros(COUNT, np.float32), motion, tracks)


def two() -> tuple[Track, Track]:
    frames = np.arange(COUNT)
    return walker(0, frames, 150.0 + 0 * frames, RED), walker(1, frames, 450.0 + 0 * frames, BLUE)


def test_each_has_a_plan_of_their_own_in_their_own_folder(tmp_path: Path) -> None:
    request = JobRequest(
        Path("none.mp4"), tmp_path, subject="leftmost", seed=3, further_subjects=(FurtherSubject("rightmost", seed=8),)
    )
    requests = request.for_each_subject()
    assert [each.seed for each in requests] == [3, 8] and all(not each.further_subjects for each in requests)
    folders = [tmp_path / "a", tmp_path / "b"]
    plans = make_plans(survey_of(*two()), requests, Settings(), Needs(None, 1), folders)
    assert [int(plan.subject.track_of_frame[40]) for plan in plans] == [0, 1]
    assert all((folder / "plan.zip").is_file() for folder in folders)
    assert all(warning.startswith("subject 1: ") for warning in plans[1].warnings)


def test_a_request_of_one_is_itself(tmp_path: Path) -> None:
    request = JobRequest(Path("none.mp4"), tmp_path)
    assert request.for_each_subject() == (request,)


@pytest.mark.parametrize(("second", "sentence"), [("leftmost", "the person of subjects.0"), (7, "no person 7")])
def test_two_choices_of_one_person_are_an_error_with_its_field(
    tmp_path: Path, second: str | int, sentence: str
) -> None:
    request = JobRequest(
        Path("none.mp4"),
        tmp_path,
        subject="leftmost",
        further_subjects=(FurtherSubject(second),),  # type: ignore[arg-type]
    )
    with pytest.raises(InvalidInput, match=sentence) as raised:
        make_plans(
            survey_of(*two()), request.for_each_subject(), Settings(), Needs(None, 1), [tmp_path / "a", tmp_path / "b"]
        )
    assert raised.value.field == "subjects.1.subject"


@pytest.mark.parametrize(("count", "known"), [(1, "only person 0"), (2, "persons 0 to 1")])
def test_a_number_that_nobody_has_is_refused_with_the_numbers_that_exist(count: int, known: str) -> None:
    persons = [(track,) for track in two()[:count]]
    with pytest.raises(InvalidInput, match=f"there is no person {count}: the clip has {known}"):
        pick_person(persons, INFO, count)


def passing(hidden: range, x_of_other: NDArray[np.float64]) -> tuple[Track, Track]:
    frames = np.arange(COUNT)
    seen = np.array([t for t in frames if t not in hidden])
    return walker(0, seen, 140.0 + 4 * seen, RED), walker(1, frames, x_of_other, BLUE)


@pytest.mark.parametrize(
    ("hidden", "is_behind", "is_filled"),
    [
        (range(36, 60), True, True),
        (range(36, 60), False, False),
        (range(26, 26 + round((MAX_HIDDEN_SECONDS + 0.2) * 30)), True, False),
    ],
)
def test_somebody_who_walks_behind_another_person_is_still_there(
    hidden: range, is_behind: bool, is_filled: bool
) -> None:
    frames = np.arange(COUNT)
    middle = 140.0 + 4 * frames
    tracks = passing(hidden, middle if is_behind else 0 * middle + 40.0)
    subject, _ = choose_subject(tracks, INFO, np.array([0]), WORLD, 0.5, 0)
    presence = subject.presence[hidden.start : hidden.stop]
    assert (presence == (Presence.UNCERTAIN if is_filled else Presence.ABSENT)).all()
