"""The list of people in a clip: numbers and points that select them, and stills that show them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.survey import Track
from pipeline.plan.people import MAX_PEOPLE, describe_people
from pipeline.plan.subject import choose_subject, find_persons
from pipeline.request import NAMED_CHOICES, PointChoice
from pipeline.settings import PeopleSettings
from tests.plan.test_linking import BLUE, RED, walker
from tests.support.clip_info import video_info

COUNT = 120
WORLD = np.tile(np.eye(3), (COUNT, 1, 1))
INFO = video_info(COUNT)
SHOTS = np.array([0])


def crossing() -> tuple[Track, Track]:
    """Two who walk through each other in frame 60; the second comes late."""
    frames = np.arange(COUNT)
    late = frames[10:]
    return walker(0, frames, 140.0 + 3 * frames, RED), walker(1, late, 500.0 - 3 * late, BLUE)


def test_every_listed_number_and_point_selects_its_person() -> None:
    tracks = crossing()
    people = describe_people(find_persons(tracks, INFO, SHOTS, WORLD), INFO)
    assert [person.number for person in people] == [0, 1]
    assert [person.seen_frames for person in people] == [COUNT, COUNT - 10]
    assert people[1].first_s == pytest.approx(10 / 30, abs=1e-5) and people[1].last_s == pytest.approx(4.0, abs=1e-5)
    for person, track in zip(people, tracks, strict=True):
        choice = PointChoice(person.point.x, person.point.y, person.point.at_s)
        for asked in (person.number, choice):
            subject, _ = choose_subject(tracks, INFO, SHOTS, WORLD, PeopleSettings().max_gap_seconds, asked)
            shown = subject.boxes_xyxy[person.still_frame]
            assert np.abs(shown - track.boxes_xyxy[np.searchsorted(track.frames, person.still_frame)]).max() < 8


def test_the_words_of_a_choice_are_listed_at_the_person_they_select() -> None:
    tracks = crossing()
    people = describe_people(find_persons(tracks, INFO, SHOTS, WORLD), INFO)
    told = {word: person for person in people for word in person.chosen_by}
    assert sorted(told) == sorted(NAMED_CHOICES)
    for word in NAMED_CHOICES:
        chosen, _ = choose_subject(tracks, INFO, SHOTS, WORLD, 0.5, word)
        same, _ = choose_subject(tracks, INFO, SHOTS, WORLD, 0.5, told[word].number)
        np.testing.assert_array_equal(chosen.track_of_frame, same.track_of_frame)


def test_a_still_shows_the_whole_person_and_nobody_else() -> None:
    """They overlap from frame 53 to 67, and the first one is cut by the edge at the end."""
    for person in describe_people(find_persons(crossing(), INFO, SHOTS, WORLD), INFO):
        x0, _, x1, _ = person.box_xyxy
        assert x0 > 0 and x1 < INFO.size_wh[0] - 1
        assert all(other.box_xyxy[0] > x1 or other.box_xyxy[2] < x0 for other in person.others)


def test_people_beyond_the_selectable_numbers_are_not_listed() -> None:
    frames = np.arange(3)
    persons = [(walker(n, frames, np.full(3, 10.0 + 8 * n)),) for n in range(MAX_PEOPLE + 2)]
    assert [person.number for person in describe_people(persons, INFO)] == list(range(MAX_PEOPLE))
