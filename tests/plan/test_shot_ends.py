"""Who is found all but a few frames from a shot's end was there before, dimly: not who came in or from behind
something."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.panels import Panels
from pipeline.datatypes.plan import Presence, Subject
from pipeline.plan.gaps import subject_of_tracks
from tests.support.clip_info import video_info
from tests.support.followed import made_track

FRAMES = 80
CUT = 40
PACE, PAN = 3.0, 2.0


def subject(first: int, last: int, seen: float = 1.0, faded: int = 6) -> Subject:
    """Somebody who is found in some frames, before a camera that pans; the first and last frames of the shot fade."""
    frames = np.arange(first, last + 1)
    track = made_track(7, frames, 200 + PACE * frames)
    track.visible[:] = seen
    world = np.repeat(np.eye(3)[None], FRAMES, axis=0)
    world[:, 0, 2] = PAN * np.arange(FRAMES)
    is_faded = np.zeros(FRAMES, np.bool_)
    is_faded[:faded] = is_faded[CUT - faded : CUT + faded] = True
    return subject_of_tracks((track,), video_info(FRAMES), np.array([0, CUT]), world, 0.5, is_faded=is_faded)


def filled(of: Subject) -> list[int]:
    return np.flatnonzero(of.presence == Presence.UNCERTAIN).tolist()


def test_somebody_found_late_and_lost_early_goes_on_to_the_shots_ends() -> None:
    found = subject(3, 36)
    assert filled(found) == [0, 1, 2, 37, 38, 39]
    assert np.diff(found.joints[:CUT, :, 0].mean(axis=1)) == pytest.approx(PACE, abs=0.6)
    assert np.isfinite(found.body_height_px[:CUT]).all()
    assert (found.presence[CUT:] == Presence.ABSENT).all()


@pytest.mark.parametrize(
    ("first", "last", "seen", "faded"),
    [(12, 28, 1.0, 12), (3, 36, 0.5, 6), (3, 10, 1.0, 6), (3, 36, 1.0, 2)],
    ids=["too long", "half hidden", "seen too shortly", "no fade"],
)
def test_others_are_where_they_are_found(first: int, last: int, seen: float, faded: int) -> None:
    assert not set(filled(subject(first, last, seen, faded))) & {0, 1, 2}


def test_nothing_is_added_to_a_whole_shot() -> None:
    assert filled(subject(0, CUT - 1)) == []


def test_a_fade_is_a_panel_over_the_whole_picture() -> None:
    panels = Panels(
        boxes_xyxy=np.array([[-2.0, -2, 642, 362], [0, 300, 640, 360]]),
        radii_px=np.zeros(2),
        colors=np.zeros((2, 3)),
        firsts=np.array([2, 8]),
        offsets=np.array([0, 3, 7]),
        opacities=np.full(7, 0.5),
    )
    assert np.flatnonzero(panels.whole_frames(20, (640, 360))).tolist() == [2, 3, 4]
