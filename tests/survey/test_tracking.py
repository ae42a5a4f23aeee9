"""Tracks and masks of one person, with a backend that finds a known body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.survey import Person, Track
from pipeline.settings import PeopleSettings
from pipeline.survey.people import PeopleFollower
from tests.support.clip_info import video_info
from tests.support.followed import Followed, Masks, made_track


class OneBlob:
    """A backend that sees one body at a given place, from the second frame on."""

    batch_frames = 1

    def __init__(self, look_back: int = 0) -> None:
        self.resets = 0
        self.look_back = look_back

    def reset(self) -> None:
        self.resets += 1

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        return [self.find(picture) for picture in pictures]

    def find(self, picture: Picture) -> list[Person]:
        if not picture.any():
            return []
        track = made_track(0, np.arange(1), np.array([100.0]))
        mask = np.zeros(picture.shape[:2], np.bool_)
        mask[130:230, 80:120] = True
        return [Person(track.boxes_xyxy[0], 0.9, track.joints[0], track.skeletons[0], mask)]


def test_ids_never_repeat_over_cuts_and_a_clip_of_one_frame_has_its_track() -> None:
    blob = OneBlob()
    follower = PeopleFollower(video_info(6), PeopleSettings().max_gap_seconds, blob, Masks())
    for index in range(6):
        follower.push(index, np.full((360, 640, 3), index, np.uint8), index in (0, 3, 5))
    tracks = follower.finish()
    assert [list(track.frames) for track in tracks] == [[1, 2], [3, 4], [5]]
    assert len({track.track_id for track in tracks}) == 3
    assert blob.resets >= 3
    alone = Followed(video_info(1), (replace_frames(tracks[2], 0),), Masks(), np.array([0]))
    assert alone.choose()[0].presence.tolist() == [Presence.FOUND]


class LateBlob(OneBlob):
    """Finds the body in frame 5, and reports in frame 6 that it was in frames 4 and 3 as well."""

    def find(self, picture: Picture) -> list[Person]:
        now = int(picture[0, 0, 0])
        if now < 5:
            return []
        person = super().find(picture)[0]
        return [replace(person, earlier=(person, person), earlier_from=2)] if now == 6 else [person]


def test_detections_of_a_look_back_extend_the_track() -> None:
    masks = Masks()
    follower = PeopleFollower(video_info(9), PeopleSettings().max_gap_seconds, LateBlob(look_back=4), masks)
    for index in range(9):
        follower.push(index, np.full((360, 640, 3), index, np.uint8), index == 0)
    (track,) = follower.finish()
    assert list(track.frames) == [3, 4, 5, 6, 7, 8]
    assert len(track.joints) == len(track.boxes_xyxy) == 6
    assert sorted(masks.by_frame) == list(range(9))
    assert [frame for frame in range(9) if track.track_id in masks.get(frame)] == [3, 4, 5, 6, 7, 8]


def test_masks_reach_the_store_while_the_clip_runs() -> None:
    masks = Masks()
    follower = PeopleFollower(video_info(30), PeopleSettings().max_gap_seconds, LateBlob(look_back=4), masks)
    for index in range(30):
        follower.push(index, np.full((360, 640, 3), index, np.uint8), index == 0)
    assert sorted(masks.by_frame) == list(range(26))


def replace_frames(track: Track, frame: int) -> Track:
    return replace(track, frames=np.array([frame]))
