"""Finding, following and choosing, with the real models on walk_a, whose truth is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import BODY_PARTS, COLOR_BINS, Person, Track
from pipeline.errors import InvalidInput, NoPerson
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.plan.subject import choose_subject
from pipeline.request import PointChoice, SubjectChoice
from pipeline.settings import PeopleSettings
from pipeline.survey.people import PeopleFollower, PeopleInFrame
from pipeline.workspace.subject_masks import SubjectMasks
from tests.support.clip_info import video_info

WALK = Path(__file__).parents[2] / "assets" / "walk_a"
COCO = slice(0, 17)
HIPS = [11, 12]


class Masks:
    """A mask store in memory."""

    def __init__(self) -> None:
        self.by_frame: dict[int, dict[int, Mask]] = {}

    def put(self, frame: int, masks: Mapping[int, Mask]) -> None:
        self.by_frame.setdefault(frame, {}).update(masks)

    def get(self, frame: int) -> dict[int, Mask]:
        return self.by_frame.get(frame, {})


@dataclass(frozen=True)
class Followed:
    info: VideoInfo
    tracks: tuple[Track, ...]
    masks: Masks
    shot_starts: NDArray[np.int64]
    seen: list[PeopleInFrame] = field(default_factory=list)

    def choose(self, choice: SubjectChoice = "largest") -> tuple[Subject, tuple[str, ...]]:
        # The camera is left out: its part in smoothing is tested by test_shake_is_not_smeared.
        world = np.repeat(np.eye(3)[None], self.info.num_frames, axis=0)
        return choose_subject(self.tracks, self.info, self.shot_starts, world, PeopleSettings().max_gap_seconds, choice)


@lru_cache(maxsize=1)
def backend() -> BlazePosePeople:
    return BlazePosePeople()


@lru_cache(maxsize=1)
def truth() -> dict[str, NDArray[np.generic]]:
    with np.load(WALK / "gt.npz") as archive:
        arrays = {name: archive[name] for name in ("keypoints2d", "visible", "RT", "K", "keypoints3d", "body_height")}
    with np.load(WALK / "mask.npz") as archive:
        arrays["mask"] = np.unpackbits(archive["mask"], axis=-1, count=640).astype(bool)
    depth = np.array(
        [
            (rt[:, :3] @ xyz[HIPS].mean(axis=0) + rt[:, 3])[2]
            for rt, xyz in zip(arrays["RT"], arrays["keypoints3d"], strict=True)
        ]
    )
    arrays["height_px"] = float(arrays["body_height"]) * arrays["K"][1, 1] / depth
    return arrays


@lru_cache(maxsize=1)
def walk() -> NDArray[np.uint8]:
    """The clip's pictures; a test may hold 150 small ones."""
    return np.stack([rgb_of(frame) for frame in open_clip(WALK / "sample.mp4").frames()])


def follow(pictures: Iterable[Picture], info: VideoInfo, cuts: tuple[int, ...] = (0,)) -> Followed:
    masks = Masks()
    follower = PeopleFollower(info, PeopleSettings().max_gap_seconds, backend(), masks)
    seen = [follower.push(index, picture, index in cuts) for index, picture in enumerate(pictures)]
    return Followed(info, follower.finish(), masks, np.array(cuts), seen)


@pytest.fixture(scope="module")
def followed() -> Followed:
    return follow(walk(), video_info(150))


def share_right(subject: Subject, hips: NDArray[np.float64], should: NDArray[np.bool_], height_px: float) -> float:
    """Share of the frames in which the subject should be there where its hips are where they should be."""
    apart = np.linalg.norm(subject.joints[:, HIPS, :2].mean(axis=1) - hips, axis=1)
    return float((apart[should] < 0.1 * height_px).mean())


def test_the_man_is_found_masked_and_measured(followed: Followed) -> None:
    subject, _ = followed.choose()
    found = subject.presence == Presence.FOUND
    assert found.mean() >= 0.97
    masks = SubjectMasks(followed.masks, subject, np.repeat(np.eye(3)[None], 150, 0), followed.info)
    real = truth()["mask"]
    iou = np.array(
        [(masks.subject_mask(f) & real[f]).sum() / (masks.subject_mask(f) | real[f]).sum() for f in range(150)]
    )
    assert iou[found].mean() >= 0.92
    assert np.where(found, iou, 0).mean() >= 0.90
    height = truth()["height_px"]
    error = np.linalg.norm(subject.joints[:, COCO, :2] - truth()["keypoints2d"], axis=2) / height[:, None]
    counted = truth()["visible"] & found[:, None]
    assert error[counted].mean() <= 0.020
    assert np.abs(subject.body_height_px / height - 1)[found].max() < 0.06


def test_the_person_is_found_from_the_first_frame_on(followed: Followed) -> None:
    subject, warnings = followed.choose()
    assert (subject.presence == Presence.FOUND).all() and not warnings
    masks = SubjectMasks(followed.masks, subject, np.repeat(np.eye(3)[None], 150, 0), followed.info)
    real = truth()["mask"][0]
    assert (masks.subject_mask(0) & real).sum() > 0.9 * real.sum()


def test_a_first_frame_that_was_missed_is_filled_in(followed: Followed) -> None:
    late = tuple(
        replace(
            track,
            **{
                name: getattr(track, name)[track.frames > 0]
                for name in (
                    "frames",
                    "boxes_xyxy",
                    "scores",
                    "joints",
                    "skeletons",
                    "color_histograms",
                    "visible",
                    "mask_px",
                )
            },
        )
        for track in followed.tracks
    )
    subject, warnings = replace(followed, tracks=late).choose()
    assert subject.presence[0] == Presence.UNCERTAIN
    assert any("filled in" in line for line in warnings)
    masks = SubjectMasks(followed.masks, subject, np.repeat(np.eye(3)[None], 150, 0), followed.info)
    real = truth()["mask"][0]
    assert (masks.subject_mask(0) & real).sum() > 0.8 * real.sum()


def test_the_people_mask_covers_the_man_and_the_feet_are_the_mans(followed: Followed) -> None:
    for f in (30, 75, 120):
        real = truth()["mask"][f]
        assert (followed.seen[f].people_mask & real).sum() > 0.97 * real.sum()
        ankles = truth()["keypoints2d"][f, 15:17]
        nearest = np.linalg.norm(followed.seen[f].feet_px[:, None] - ankles, axis=2).min(axis=1)
        assert len(nearest) >= 4
        assert nearest.max() < 0.15 * truth()["height_px"][f]


def test_non_square_pixels_give_the_same_man(followed: Followed) -> None:
    narrow = [cv2.resize(picture, (480, 360), interpolation=cv2.INTER_AREA) for picture in walk()[60:66]]
    squeezed = follow(narrow, video_info(6, (480, 360), sample_aspect_ratio=Fraction(4, 3)))
    subject, _ = squeezed.choose()
    back = (subject.joints[3, COCO, :2] + 0.5) * (4 / 3, 1) - 0.5
    error = np.linalg.norm(back - truth()["keypoints2d"][63], axis=1)[truth()["visible"][63]]
    assert error.mean() < 0.03 * truth()["height_px"][63]
    assert squeezed.masks.get(3)[squeezed.tracks[0].track_id].shape == (360, 480)


def test_the_subject_is_kept_through_an_exposure_ramp() -> None:
    gains = np.linspace(0.4, 1.5, 60)
    ramp = (
        np.clip(picture * gain, 0, 255).astype(np.uint8) for picture, gain in zip(walk()[10:70], gains, strict=True)
    )
    subject, _ = follow(ramp, video_info(60)).choose()
    hips = truth()["keypoints2d"][10:70, HIPS].mean(axis=1)
    assert share_right(subject, hips, np.ones(60, bool), 240) >= 0.99


WALKING = [*range(8, 48), *range(108, 149)]
ON_COURSE_PX = [0] * 40 + [-143] * 41
"""Puts the way out where the way in ended: one walk without the stand in between, 7 px a frame."""


def crossing() -> Iterator[tuple[Picture, Mask, Mask]]:
    """Two men cross; the one in other colors, from the right, is in front. With the masks: behind, in front."""
    plates = open_clip(WALK / "plate.mp4").frames(30, 30 + len(WALKING))
    for frame, shift, plate in zip(WALKING, ON_COURSE_PX, plates, strict=True):
        behind = np.roll(truth()["mask"][frame], shift, axis=1)
        picture = np.where(behind[..., None], np.roll(walk()[frame], shift, axis=1), rgb_of(plate))
        front = behind[:, ::-1]
        man = np.roll(walk()[frame], shift, axis=1)[:, ::-1, [2, 0, 1]]
        yield np.where(front[..., None], man, picture), behind, front


@pytest.fixture(scope="module")
def crossed() -> Followed:
    pictures = [picture for picture, _, _ in crossing()]
    return follow(pictures, video_info(len(pictures)))


@pytest.mark.parametrize("who", ["behind", "in front"])
def test_two_who_cross_are_not_mixed_up(crossed: Followed, who: str) -> None:
    behind_hips = truth()["keypoints2d"][WALKING][:, HIPS].mean(axis=1)
    behind_hips[:, 0] += ON_COURSE_PX
    front_hips = behind_hips * (-1, 1) + (639, 0)
    hidden = np.array([(behind & front).sum() / behind.sum() for _, behind, front in crossing()])
    assert 5 < np.count_nonzero(hidden > 0.3) < 25
    own, other = (behind_hips, front_hips) if who == "behind" else (front_hips, behind_hips)
    hidden = hidden if who == "behind" else np.zeros_like(hidden)
    subject, _ = crossed.choose(PointChoice(float(own[20, 0]), float(own[20, 1]), 20 / 30))
    shown = subject.presence != Presence.ABSENT
    found = subject.joints[:, HIPS, :2].mean(axis=1)
    # Never the other man: the box stays with the subject, also where they are hidden, and is there wherever they are.
    apart, from_other = (np.linalg.norm(found - hips, axis=1) for hips in (own, other))
    two_apart = np.linalg.norm(own - other, axis=1) > 0.2 * 240
    assert (apart < from_other)[shown & two_apart].all()
    assert share_right(subject, own, shown, 240) >= 0.99
    assert shown[hidden < 0.3].mean() >= 0.99


def test_the_subject_is_found_again_after_two_cuts() -> None:
    other = []
    for frame in open_clip(Path(__file__).parents[2] / "weights" / "footage" / "cam01.mp4").frames(0, 25):
        picture = np.zeros((360, 640, 3), np.uint8)
        small = cv2.resize(rgb_of(frame), (202, 360), interpolation=cv2.INTER_AREA)
        picture[:, 200:402] = small
        other.append(picture)
    joined = follow([*walk()[20:55], *other, *walk()[105:135]], video_info(90), (0, 35, 60))
    subject, _ = joined.choose()
    hips = truth()["keypoints2d"][:, HIPS].mean(axis=1)
    expected = np.concatenate([hips[20:55], np.zeros((25, 2)), hips[105:135]])
    should = np.r_[np.ones(35, bool), np.zeros(25, bool), np.ones(30, bool)]
    assert share_right(subject, expected, should, 240) >= 0.99
    assert (subject.presence[~should] == Presence.ABSENT).all()
    ids = [set(joined.masks.get(f)) for f in (30, 50, 80)]
    assert not (ids[0] & ids[1] or ids[1] & ids[2] or ids[0] & ids[2])
    absent = SubjectMasks(joined.masks, subject, np.repeat(np.eye(3)[None], 90, 0), joined.info)
    assert not absent.subject_mask(50).any()
    assert absent.others_mask(50).any()


def made_track(track_id: int, frames: NDArray[np.int64], x: NDArray[np.float64], size: float = 100.0) -> Track:
    """A stiff body of height ``size`` whose hips are at ``x``."""
    rows = np.linspace(-0.5, 0.5, NUM_JOINTS) * size
    joints = np.zeros((len(frames), NUM_JOINTS, 3), np.float32)
    joints[..., 0] = x[:, None]
    joints[..., 1] = 180 + rows
    joints[..., 2] = 0.9
    skeletons = np.zeros((len(frames), NUM_SKELETON, 3), np.float32)
    skeletons[:, :NUM_JOINTS, :2] = joints[..., :2]
    boxes = np.column_stack([x - size / 5, x * 0 + 180 - size / 2, x + size / 5, x * 0 + 180 + size / 2])
    looks = np.zeros((len(frames), BODY_PARTS, COLOR_BINS), np.uint8)
    looks[:, :, track_id % 4] = 255
    ones = np.ones(len(frames), np.float32)
    return Track(track_id, frames, boxes, ones, joints, skeletons, looks, ones, np.full(len(frames), 4000))


def made(tracks: tuple[Track, ...], count: int = 60) -> Followed:
    return Followed(video_info(count), tracks, Masks(), np.array([0]))


def test_choices_name_the_right_person() -> None:
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


def test_nobody_is_an_error_and_so_is_a_false_alarm() -> None:
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


def test_a_joint_that_pops_for_a_frame_is_put_back() -> None:
    frames = np.arange(60)
    track = made_track(0, frames, 300 + 1.0 * frames)
    track.joints[30, 9, 0] += 60
    subject, _ = made((track,)).choose()
    np.testing.assert_allclose(subject.joints[:, 9, 0], 300 + frames, atol=1.5)


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
    """Finds the body in frame 5 only, and says in frame 6 that it was there in frames 4 and 3, too."""

    def find(self, picture: Picture) -> list[Person]:
        now = int(picture[0, 0, 0])
        if now < 5:
            return []
        person = super().find(picture)[0]
        return [replace(person, earlier=(person, person), earlier_from=2)] if now == 6 else [person]


def test_what_a_look_back_saw_is_taken_up() -> None:
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
