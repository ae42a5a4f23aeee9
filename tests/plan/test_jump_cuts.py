"""Jump cuts, distinguished from flashes and fast arms, on synthetic surveys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.datatypes.survey import CameraMotion, Survey, Track
from pipeline.plan.jump_cuts import find_jump_cuts
from pipeline.plan.pieces import part_of
from tests.plan.test_linking import walker
from tests.support.clip_info import video_info

COUNT = 80
CUT = 40


def survey(change: np.ndarray, tracks: tuple[Track, ...], *, reliable: bool = True, shift_px: float = 0.0) -> Survey:
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    world[CUT:, 0, 2] = shift_px
    is_reliable = np.ones(COUNT, np.bool_)
    is_reliable[CUT] = reliable
    motion = CameraMotion(world, is_reliable, (np.zeros((0, 4), np.float32),) * COUNT)
    return Survey(video_info(COUNT), np.array([0]), change.astype(np.float32), motion, tracks)


def spike(width: int = 1) -> np.ndarray:
    change = np.full(COUNT, 10.0)
    change[CUT : CUT + width] = 40.0
    return change


def goes_on() -> tuple[Track, ...]:
    return (walker(0, np.arange(COUNT), 100 + 2.0 * np.arange(COUNT)),)


def is_elsewhere() -> tuple[Track, ...]:
    before, after = np.arange(CUT), np.arange(CUT, COUNT)
    return walker(0, before, 100 + 2.0 * before), walker(1, after, 300 + 2.0 * after)


def test_a_person_suddenly_elsewhere_is_a_cut() -> None:
    assert find_jump_cuts(survey(spike(), is_elsewhere())).tolist() == [0, CUT]


def test_a_camera_that_was_lost_or_leaped_is_a_cut() -> None:
    assert find_jump_cuts(survey(spike(), goes_on(), reliable=False)).tolist() == [0, CUT]
    assert find_jump_cuts(survey(spike(), goes_on(), shift_px=30.0)).tolist() == [0, CUT]


def test_neither_change_alone_nor_a_lost_track_alone_is_a_cut() -> None:
    assert find_jump_cuts(survey(spike(), goes_on())).tolist() == [0]
    assert find_jump_cuts(survey(np.full(COUNT, 10.0), is_elsewhere())).tolist() == [0]


def test_a_change_over_several_frames_is_not_a_cut() -> None:
    assert find_jump_cuts(survey(spike(width=3), is_elsewhere())).tolist() == [0]


def poses(rows: slice, by_px: float) -> tuple[Track, ...]:
    (track,) = goes_on()
    track.joints[CUT:, rows, 0] += by_px
    return (track,)


def test_another_pose_at_the_same_place_is_a_cut_and_a_fast_arm_is_not() -> None:
    whole_body = slice(7, 17)
    arm = slice(9, 10)
    assert find_jump_cuts(survey(spike(), poses(whole_body, 40.0))).tolist() == [0, CUT]
    assert find_jump_cuts(survey(spike(), poses(arm, 80.0))).tolist() == [0]
    assert find_jump_cuts(survey(np.full(COUNT, 10.0), poses(whole_body, 40.0))).tolist() == [0]


def test_a_track_that_is_lost_right_after_it_jumped_is_no_cut() -> None:
    (track,) = poses(slice(7, 17), 40.0)
    beside = walker(1, np.arange(COUNT), np.full(COUNT, 400.0))
    assert find_jump_cuts(survey(spike(), (part_of(track, 0, CUT + 1), beside))).tolist() == [0]
    assert find_jump_cuts(survey(spike(), (part_of(track, 0, CUT + 9), beside))).tolist() == [0, CUT]


def zoomed_survey(goes_on_in_world: bool) -> Survey:
    """A camera that zooms in by a quarter within one frame, and a walker who is where they were, or not."""
    (track,) = goes_on()
    zoom = 1.25
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    world[CUT:, :2, :2] /= zoom
    track.joints[CUT:, :, :2] *= zoom
    track.boxes_xyxy[CUT:] *= zoom
    if not goes_on_in_world:
        track.joints[CUT:, :, 0] += 60
    motion = CameraMotion(world, np.ones(COUNT, np.bool_), (np.zeros((0, 4), np.float32),) * COUNT)
    return Survey(video_info(COUNT), np.array([0]), spike().astype(np.float32), motion, (track,))


def test_a_digital_zoom_is_no_cut_while_somebody_goes_on() -> None:
    assert find_jump_cuts(zoomed_survey(goes_on_in_world=True)).tolist() == [0]
    assert find_jump_cuts(zoomed_survey(goes_on_in_world=False)).tolist() == [0, CUT]


def test_a_fade_has_no_cut_of_its_own() -> None:
    clip = survey(spike(), goes_on(), reliable=False)
    weights = np.full(COUNT, np.nan, np.float32)
    weights[CUT - 5 : CUT] = np.linspace(0.2, 0.9, 5)
    assert find_jump_cuts(clip).tolist() == [0, CUT]
    assert find_jump_cuts(replace(clip, blend_weights=weights)).tolist() == [0]


def test_a_camera_that_a_close_up_hides_throughout_is_no_cut_while_the_face_goes_on() -> None:
    (track,) = goes_on()
    track.joints[:, 5:, 2] = 0
    clip = survey(spike(), (track,))
    hidden = replace(clip, motion=replace(clip.motion, reliable=np.arange(COUNT) < 2))
    assert find_jump_cuts(hidden).tolist() == [0]
    track.joints[CUT:, :, 0] += 40
    assert find_jump_cuts(hidden).tolist() == [0, CUT]
