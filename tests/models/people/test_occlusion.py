"""Depth order and pixel ownership of synthetic bodies that cross."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.models.people.occlusion import OcclusionOrder, Seen, colors_of, gain_of, pixels_of_others

SIZE_WH = (320, 200)
BODY_WH = (40, 120)
TOP = 50


def texture(seed: int, rgb: tuple[int, int, int]) -> Picture:
    """A body's clothes: folds of its own on a color."""
    folds = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 60, (BODY_WH[1], BODY_WH[0])), (0, 0), 3) * 4
    return np.clip(np.array(rgb) + folds[..., None], 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Body:
    number: int
    clothes: Picture
    start_x: int
    pace: int

    def left(self, frame: int) -> int:
        return self.start_x + self.pace * frame


def picture_of(behind: Body, front: Body, frame: int) -> tuple[Picture, Mask, Mask]:
    """The picture, and where the one behind and the one in front are seen."""
    background = cv2.resize(np.random.default_rng(5).integers(0, 255, (20, 32, 3)).astype(np.uint8), SIZE_WH)
    masks = []
    for body in (behind, front):
        area = np.s_[TOP : TOP + BODY_WH[1], body.left(frame) : body.left(frame) + BODY_WH[0]]
        background[area] = body.clothes
        mask = np.zeros(SIZE_WH[::-1], np.bool_)
        mask[area] = True
        masks.append(mask)
    return background, masks[0] & ~masks[1], masks[1]


def seen(body: Body, picture: Picture, mask: Mask, lowest: float) -> Seen:
    columns = np.flatnonzero(mask.any(axis=0))
    box = np.array([columns[0], TOP, columns[-1] + 1, TOP + BODY_WH[1]], np.float64)
    return Seen(body.number, picture, mask, box, np.array([body.pace, 0.0]), 1, None, lowest)


ALIKE = texture(1, (120, 90, 60)), texture(2, (120, 90, 60))


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("first_is_behind", [True, False])
def test_the_picture_overrules_who_reaches_farther_down(first_is_behind: bool, scale: float) -> None:
    numbers = (0, 1) if first_is_behind else (1, 0)
    behind = Body(numbers[0], ALIKE[0], 60, 4)
    front = Body(numbers[1], ALIKE[1], 140, -4)
    order = OcclusionOrder()
    nearest: list[int] = []
    for frame in range(1, 8):
        # They meet in frame 5: the one behind reaches farther down, and is nearer for all that is known until then.
        before, behind_mask, front_mask = picture_of(behind, front, frame - 1)
        now, _, _ = picture_of(behind, front, frame)
        small = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in (before, now)]
        people = [
            seen(behind, small[0], behind_mask, lowest=180.0),
            seen(front, small[0], front_mask, lowest=170.0),
        ]
        nearest.append(order.nearest_first(small[1], people, SIZE_WH)[0])
    assert nearest[:4] == [0] * 4
    assert nearest[-1] == 1


def test_the_pixels_of_the_one_behind_are_not_taken_for_the_one_in_front() -> None:
    behind = Body(0, ALIKE[0], 60, 4)
    front = Body(1, ALIKE[1], 140, -4)
    before, behind_mask, front_mask = picture_of(behind, front, 7)
    now, behind_now, front_now = picture_of(behind, front, 8)
    theirs = pixels_of_others(
        now, seen(front, before, front_mask, 170.0), [seen(behind, before, behind_mask, 180.0)], SIZE_WH
    )
    assert theirs is not None
    near_front = cv2.dilate(front_now.astype(np.uint8), np.ones((1, 21), np.uint8)) > 0
    assert (theirs & behind_now & near_front).sum() > 0.8 * (behind_now & near_front).sum()
    assert (theirs & front_now).sum() < 0.05 * front_now.sum()


def test_different_clothes_are_evidence_without_history() -> None:
    behind = Body(0, texture(1, (40, 60, 160)), 60, 4)
    front = Body(1, texture(2, (170, 80, 60)), 140, -4)
    apart, behind_whole, front_whole = picture_of(behind, front, 0)
    colors = [colors_of(apart, mask, None) for mask in (behind_whole, front_whole)]
    # The hidden one comes out on the other side: four columns more in each frame.
    now, behind_now, front_now = picture_of(behind, front, 12)
    before, behind_mask, front_mask = picture_of(behind, front, 11)
    people = [seen(behind, before, behind_mask, 180.0), seen(front, before, front_mask, 170.0)]
    in_colors = [replace(person, colors=known) for person, known in zip(people, colors, strict=True)]
    new = behind_now & (np.arange(SIZE_WH[0]) < behind.left(12) + BODY_WH[0] - 8)
    assert new.sum() == 8 * BODY_WH[1]
    shares = []
    for told in (people, in_colors):
        theirs = pixels_of_others(now, told[1], told[:1], SIZE_WH)
        assert theirs is not None
        assert (theirs & front_now).sum() < 0.1 * front_now.sum()
        shares.append(float((theirs & new).sum() / new.sum()))
    assert shares[0] < 0.7 and shares[1] > 0.85


def test_a_dark_part_of_the_one_in_front_is_not_given_to_somebody_in_dark_clothes() -> None:
    dark = (56, 56, 56)
    half_dark = np.full((BODY_WH[1], BODY_WH[0], 3), (170, 80, 60), np.uint8)
    half_dark[70:100] = dark
    behind = Body(0, np.full((BODY_WH[1], BODY_WH[0], 3), dark, np.uint8), 60, 4)
    front = Body(1, half_dark, 140, -4)
    apart, behind_whole, front_whole = picture_of(behind, front, 0)
    colors = [colors_of(apart, mask, None) for mask in (behind_whole, front_whole)]
    before, behind_mask, front_mask = picture_of(behind, front, 7)
    now, behind_now, front_now = picture_of(behind, front, 8)
    theirs = pixels_of_others(
        now,
        replace(seen(front, before, front_mask, 170.0), colors=colors[1]),
        [replace(seen(behind, before, behind_mask, 180.0), colors=colors[0])],
        SIZE_WH,
    )
    assert theirs is not None
    # Along their outlines the two are blurred.
    assert (theirs & cv2.erode(front_now.view(np.uint8), np.ones((9, 9))).astype(bool)).sum() == 0
    assert (theirs & behind_now).sum() > 0.5 * behind_now.sum()


@pytest.mark.parametrize("light", [1.0, 0.5, 0.3])
def test_people_at_dusk_are_brightened_to_daylight(light: float) -> None:
    before, _, _ = picture_of(Body(0, ALIKE[0], 60, 4), Body(1, ALIKE[1], 140, -4), 7)
    dark = np.asarray(before * light, np.uint8)
    assert gain_of(before) == 1.0
    assert gain_of(dark) * np.percentile(dark.max(axis=-1), 90) == pytest.approx(178 if light < 1 else 220, rel=0.2)
    assert gain_of(np.zeros_like(dark)) == 4.0


def test_a_distant_person_takes_no_pixels() -> None:
    behind = Body(0, ALIKE[0], 20, 4)
    front = Body(1, ALIKE[1], 240, -4)
    before, behind_mask, front_mask = picture_of(behind, front, 0)
    now, _, _ = picture_of(behind, front, 1)
    people = [seen(behind, before, behind_mask, 180.0), seen(front, before, front_mask, 170.0)]
    assert pixels_of_others(now, people[1], people[:1], SIZE_WH) is None
    assert OcclusionOrder().nearest_first(now, people, SIZE_WH) == [0, 1]
