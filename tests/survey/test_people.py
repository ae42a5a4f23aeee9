"""Detecting and following people with the real models on walk_a, whose truth is exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from pipeline.joints import JOINT
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.request import PointChoice
from pipeline.settings import PeopleSettings
from pipeline.survey.people import PeopleFollower
from pipeline.workspace.subject_masks import SubjectMasks
from tests.support.clip_info import video_info
from tests.support.followed import Followed, Masks

WALK = Path(__file__).parents[2] / "assets" / "walk_a"
COCO = slice(0, 17)
HIPS = [11, 12]


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
                    "limb_edges",
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
"""Offset that continues the way out where the way in ended: one walk without the stop, 7 px per frame."""


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
def test_two_people_who_cross_are_not_confused(crossed: Followed, who: str) -> None:
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


def test_knees_and_ankles_are_nearer_to_the_truth_for_the_sides_of_the_legs(followed: Followed) -> None:
    with_sides, _ = followed.choose()
    blind = tuple(replace(track, limb_edges=None) for track in followed.tracks)
    without, _ = replace(followed, tracks=blind).choose()
    legs = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle")]
    seen = truth()["visible"][:, legs]
    errors = [
        np.linalg.norm(subject.joints[:, legs, :2] - truth()["keypoints2d"][:, legs], axis=-1)[seen].mean()
        for subject in (with_sides, without)
    ]
    assert errors[0] < 0.98 * errors[1]
