"""Warnings where somebody close to the subject is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.datatypes.plan import Presence, Subject
from pipeline.plan.doubts import doubts_of
from pipeline.plan.lost_people import others_lost
from pipeline.plan.pieces import part_of
from tests.plan.test_linking import BLUE, RED, walker
from tests.support.clip_info import video_info

COUNT = 120


def told(other_x: float, gap: tuple[int, int], shot_starts: tuple[int, ...] = (0,), count: int = COUNT) -> list[str]:
    """Warnings about the other person, who stands at ``other_x`` and is not found in a gap; their track ends with the
    clip or at ``count``."""
    frames = np.arange(COUNT)
    own = walker(0, frames, np.full(COUNT, 300.0), RED)
    theirs = walker(1, frames, np.full(COUNT, other_x), BLUE)
    presence = np.full(COUNT, Presence.FOUND, np.uint8)
    subject = Subject(
        np.zeros(COUNT, np.int64), presence, own.boxes_xyxy, own.joints, own.skeletons, np.full(COUNT, 200.0)
    )
    parts = (part_of(theirs, 0, gap[0]), *([part_of(theirs, gap[1], count)] if gap[1] < count else []))
    info = video_info(COUNT, (640, 360), 30)
    lost = others_lost(subject, (parts,), info, np.array(shot_starts))
    lines = doubts_of(replace(subject, others_lost=lost), (own,), (parts,), info)
    return [line for line in lines if "another person" in line]


def test_somebody_lost_close_to_the_subject_is_reported_with_times() -> None:
    (line,) = told(360.0, (30, 75))
    assert "not found from 1.0 to 2.5 s" in line


def test_distant_or_briefly_missing_people_and_cuts_cause_no_doubt() -> None:
    assert told(600.0, (30, 75)) == []
    assert told(31.0, (30, 75)) == []
    assert told(360.0, (30, 36)) == []
    assert told(360.0, (30, 75), (0, 30)) == []


def test_somebody_lost_within_the_picture_stays_lost_until_the_shot_ends() -> None:
    (line,) = told(360.0, (30, COUNT))
    assert "not found from 1.0 to 4.0 s" in line
    (line,) = told(360.0, (30, 90), (0, 60))
    assert "not found from 1.0 to 2.0 s" in line


def untouched(absent: slice) -> list[str]:
    own = walker(0, np.arange(COUNT), np.full(COUNT, 300.0), RED)
    presence = np.full(COUNT, Presence.FOUND, np.uint8)
    presence[absent] = Presence.ABSENT
    subject = Subject(
        np.zeros(COUNT, np.int64), presence, own.boxes_xyxy, own.joints, own.skeletons, np.full(COUNT, 200.0)
    )
    return [line for line in doubts_of(subject, (own,), (), video_info(COUNT, (640, 360), 30)) if "untouched" in line]


def test_frames_between_others_in_which_the_subject_was_missed_are_told() -> None:
    (line,) = untouched(slice(30, 45))
    assert "from 1.0 to 1.5 s" in line
    assert untouched(slice(30, 33)) == []
    assert untouched(slice(0, 15)) == []
    (line,) = untouched(slice(0, 45))
    assert "from 0.0 to 1.5 s" in line
