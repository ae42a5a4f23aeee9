"""Motion blur of known length and direction, found on a drawn person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.finish.match_layer import match_sharpness
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.motion_blur import find_motion


def _person(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw a person in printed clothes before a wall, (360, 300), and the silhouette."""
    rng = np.random.default_rng(seed)
    large = np.full((720, 600), 140, np.uint8)
    silhouette = np.zeros((720, 600), np.uint8)
    cv2.ellipse(silhouette, (300, 110), (50, 65), 0, 0, 360, 1, -1)
    cv2.rectangle(silhouette, (220, 175), (380, 420), 1, -1)
    cv2.rectangle(silhouette, (235, 420), (365, 660), 1, -1)
    clothes = np.full_like(large, 70)
    for _ in range(60):
        center = rng.uniform((200, 60), (400, 660))
        corners = (center + rng.uniform(-40, 40, (4, 2))).astype(np.int32)
        cv2.fillConvexPoly(clothes, cv2.convexHull(corners), int(rng.integers(30, 220)), lineType=cv2.LINE_AA)
    large[silhouette > 0] = clothes[silhouette > 0]
    picture = cv2.resize(large, (300, 360), interpolation=cv2.INTER_AREA).astype(np.float32)
    mask = cv2.resize(silhouette, (300, 360), interpolation=cv2.INTER_NEAREST) > 0
    return picture + rng.normal(0, 1, picture.shape).astype(np.float32), mask


def _bar(length_px: float, degrees: float) -> np.ndarray:
    """Return a kernel that moves the picture at constant speed."""
    side = 2 * int(length_px) + 3
    kernel = np.zeros((8 * side, 8 * side), np.float32)
    half = 4 * length_px * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    middle = np.array([(8 * side - 1) / 2] * 2)
    ends = [tuple(np.rint(middle + sign * half).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 8)
    small = cv2.resize(kernel, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small / small.sum())


@pytest.mark.parametrize(
    ("length_px", "degrees", "roughly_px"), [(10, 0, 8), (18, 0, 11), (28, 0, 14), (18, 40, 12), (22, 100, 15)]
)
def test_length_and_direction_of_a_motion_are_found_from_rough_ones(
    length_px: int, degrees: int, roughly_px: int
) -> None:
    picture, mask = _person()
    moved = np.asarray(cv2.filter2D(picture, -1, _bar(length_px, degrees)), np.float32)
    off = np.deg2rad(degrees + 10)
    motion = find_motion(moved, mask, np.array([np.cos(off), np.sin(off)]), roughly_px)
    assert motion is not None
    assert motion.length_px == pytest.approx(length_px, abs=2.0)
    found = np.rad2deg(np.arctan2(motion.along[1], motion.along[0]))
    assert abs((found - degrees + 90) % 180 - 90) <= 8


def test_a_larger_picture_gives_the_same_motion_in_its_own_pixels() -> None:
    picture, mask = _person()
    large = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    mask_large = cv2.resize(mask.view(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST) > 0
    moved = np.asarray(cv2.blur(large, (45, 1)), np.float32)
    motion = find_motion(moved, mask_large, np.array([1.0, 0.0]), 33.0)
    assert motion is not None and motion.length_px == pytest.approx(45, abs=6)


def test_a_flat_part_and_a_short_motion_give_none() -> None:
    picture, mask = _person()
    along = np.array([1.0, 0.0])
    assert find_motion(np.full_like(picture, 90), mask, along, 12.0) is None
    assert find_motion(picture, mask, along, 2.0) is None


@pytest.mark.parametrize("length_px", [15, 23])
def test_a_layer_gets_the_whole_length_of_the_subjects_motion(length_px: int) -> None:
    picture, mask = _person()
    source = np.repeat(np.clip(cv2.blur(picture, (length_px, 1)), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    # A bright stripe in otherwise plain clothes shows the kernel.
    colors = np.full((*mask.shape, 3), 60, np.float32)
    colors[:, 149:152] = 255
    alpha = mask.astype(np.float32)
    matched = match_sharpness(PlacedLayer((0, 0, 300, 360), colors * alpha[..., None], alpha), source, mask)
    left = matched.box_xyxy[0]
    row = matched.premultiplied[200 - matched.box_xyxy[1], :, 0]
    lifted = row[150 - left - 40 : 150 - left + 41] > 60 + 0.5 * (row.max() - 60)
    assert np.count_nonzero(lifted) == pytest.approx(length_px, abs=2.5)
