"""Blur estimated on pictures with known blur, and applied."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.finish.match_layer import _best_share, match_grain, match_plate, match_sharpness, veiled
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.grain import Grain
from pipeline.maths.sharpness import blur_kernel, gradients_in, lacking_blur, measure_blur, rounded

_SIZE = (150, 260)


def _clothes(seed: int) -> np.ndarray:
    """A garment with print on it: polygons of all directions, antialiased."""
    rng = np.random.default_rng(seed)
    large = np.full((2 * _SIZE[1], 2 * _SIZE[0]), 90, np.uint8)
    for _ in range(70):
        center = rng.uniform((0, 0), (2 * _SIZE[0], 2 * _SIZE[1]))
        corners = (center + rng.uniform(-45, 45, (4, 2))).astype(np.int32)
        cv2.fillConvexPoly(large, cv2.convexHull(corners), int(rng.integers(30, 220)), lineType=cv2.LINE_AA)
    return np.asarray(cv2.resize(large, _SIZE, interpolation=cv2.INTER_AREA), np.float32)


def _moved(picture: np.ndarray, length_px: int) -> np.ndarray:
    return np.asarray(cv2.blur(picture, (length_px, 1)))


_ALL = np.ones((_SIZE[1], _SIZE[0]), bool)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_defocus_is_measured_and_made_good(sigma: float) -> None:
    wanted = measure_blur(cv2.GaussianBlur(_clothes(1), (0, 0), sigma), _ALL)
    there = measure_blur(_clothes(2), _ALL)
    assert wanted is not None and there is not None and np.trace(there) < 0.8
    lacking = lacking_blur(wanted, there, 0.6)
    assert lacking is not None
    assert np.sqrt(np.trace(lacking) / 2) == pytest.approx(sigma, rel=0.2)
    result = measure_blur(cv2.filter2D(_clothes(2), -1, blur_kernel(lacking)), _ALL)
    assert result is not None
    assert np.trace(result) == pytest.approx(np.trace(wanted), rel=0.3)


@pytest.mark.parametrize("length_px", [5, 9, 15, 21])
def test_motion_blur_is_long_only_in_its_direction(length_px: int) -> None:
    wanted = measure_blur(_moved(_clothes(1), length_px), _ALL)
    there = measure_blur(_clothes(2), _ALL)
    assert wanted is not None and there is not None
    assert wanted[0, 0] > 3 * wanted[1, 1] and abs(wanted[0, 1]) < 0.3 * wanted[0, 0]
    lacking = lacking_blur(wanted, there, 0.6)
    assert lacking is not None
    assert np.sqrt(lacking[0, 0]) == pytest.approx(length_px / np.sqrt(12), rel=0.35)


def _plain() -> tuple[np.ndarray, np.ndarray]:
    """Draw a person in plain clothes with a number on them, and the inside of the outline."""
    large = np.full((800, 400), 140, np.uint8)
    cv2.ellipse(large, (200, 120), (60, 80), 0, 0, 360, 180, -1, cv2.LINE_AA)
    cv2.rectangle(large, (110, 210), (290, 480), 70, -1)
    cv2.rectangle(large, (130, 470), (270, 780), 100, -1)
    cv2.putText(large, "74", (140, 340), cv2.FONT_HERSHEY_SIMPLEX, 3.0, 200, 12, cv2.LINE_AA)
    for x in (170, 230):
        cv2.circle(large, (x, 110), 8, 60, -1, cv2.LINE_AA)
    inside = np.zeros((400, 200), np.bool_)
    inside[105:240, 56:144] = True
    inside[235:388, 66:134] = True
    inside[22:98, 72:128] = True
    picture = cv2.resize(large, (200, 400), interpolation=cv2.INTER_AREA).astype(np.float32)
    return picture + np.random.default_rng(1).normal(0, 1, picture.shape).astype(np.float32), inside


@pytest.mark.parametrize("length_px", [12, 25, 33])
def test_a_long_bar_is_measured_on_plain_clothes_too(length_px: int) -> None:
    picture, inside = _plain()
    found = measure_blur(_moved(picture, length_px), inside)
    assert found is not None
    assert np.sqrt(12 * found[0, 0] / 0.61) == pytest.approx(length_px, rel=0.35)
    assert found[1, 1] < 0.1 * found[0, 0]


def test_a_flat_or_tiny_part_gives_no_estimate_and_a_sharp_one_no_blur() -> None:
    assert measure_blur(np.full((60, 60), 90, np.float32), np.ones((60, 60), bool)) is None
    assert measure_blur(_clothes(1)[:6, :6], np.ones((6, 6), bool)) is None
    sharp = [measure_blur(_clothes(seed), _ALL) for seed in (1, 2)]
    assert sharp[0] is not None and sharp[1] is not None
    assert lacking_blur(sharp[0], sharp[1], 0.6) is None
    np.testing.assert_allclose(blur_kernel(np.diag([4.0, 1.0])).sum(), 1, rtol=1e-5)


def test_blur_sets_in_without_a_step() -> None:
    none = np.zeros((2, 2))
    sharp = 0.6**2 * 0.61 * np.eye(2)
    assert lacking_blur(sharp, none, 0.6) is None
    little = lacking_blur(1.05 * sharp, none, 0.6)
    assert little is not None and np.sqrt(little[0, 0]) < 0.2
    full = lacking_blur(2.4 * sharp, none, 0.6)
    assert full is not None and full[0, 0] == pytest.approx(2.4 * 0.36)


def _scene(sigma: float) -> tuple[np.ndarray, np.ndarray, PlacedLayer]:
    """A blurred man in a frame, the mask, and a sharp layer of another man at the picture's edge."""
    source = np.full((300, 400, 3), 140, np.uint8)
    mask = np.zeros((300, 400), bool)
    mask[20:280, 40:190] = True
    source[20:280, 40:190] = _clothes(3)[..., None]
    source = cv2.GaussianBlur(source, (0, 0), sigma) if sigma else source
    alpha = np.ones((_SIZE[1], _SIZE[0]), np.float32)
    return source, mask, PlacedLayer((248, 20, 398, 280), np.repeat(_clothes(4)[..., None], 3, 2), alpha)


def test_a_layer_gets_the_subjects_softness_and_stays_in_the_picture() -> None:
    source, mask, layer = _scene(2.0)
    soft = match_sharpness(layer, source, mask)
    assert soft.box_xyxy[2] == 400 and soft.box_xyxy[0] < 248
    assert float(np.abs(np.diff(soft.premultiplied[..., 0])).max()) < 0.6 * np.abs(np.diff(_clothes(4))).max()
    assert (soft.premultiplied <= 255 * soft.alpha[..., None] + 1e-3).all() and soft.alpha.max() <= 1
    edge = soft.alpha[100]
    assert 0.2 < edge[248 - soft.box_xyxy[0]] < 0.8
    source, mask, layer = _scene(0)
    assert match_sharpness(layer, source, mask) is layer


def test_a_too_sharp_plate_is_blurred_and_a_matching_one_is_unchanged() -> None:
    plate = np.repeat(_clothes(5)[..., None], 3, 2).astype(np.uint8)
    ring = np.ones(plate.shape[:2], bool)
    ring[60:200, 40:110] = False
    frame = cv2.blur(plate, (11, 1))
    moved = match_plate(plate, frame, ring, 200.0)
    error, before = (float(np.abs(p.astype(float) - frame)[~ring].mean()) for p in (moved, plate))
    assert error < 0.45 * before
    assert match_plate(plate, plate, ring, 200.0) is plate
    assert match_plate(frame, plate, ring, 200.0) is frame


@pytest.mark.parametrize("wrong", [0.4, 4.0])
def test_a_blur_measured_wrongly_is_checked_against_the_place_itself(wrong: float) -> None:
    plate = _clothes(5)
    seen = _moved(plate, 9)
    bar = np.diag([9**2 / 12, 0.02])
    share = _best_share(wrong * bar, plate, seen, _ALL)
    assert share * wrong == pytest.approx(1.0, rel=0.3)
    assert _best_share(bar, plate, plate, _ALL) == 0


def test_a_veil_lifts_black_most_and_leaves_white_and_the_outline() -> None:
    alpha = np.zeros((4, 9), np.float32)
    alpha[:, 1:8] = 0.5
    levels = np.linspace(0, 255, 9, dtype=np.float32)[None, :, None] * np.ones((4, 1, 3), np.float32)
    layer = PlacedLayer((3, 5, 12, 9), levels * alpha[..., None], alpha)
    seen = veiled(layer, np.array([0.05, 0.05, 0.1], np.float32))
    color = seen.premultiplied[0, 1:8] / 0.5
    # Level 31.9 is 0.0143 of linear light; 0.05 + 0.95 * 0.0143 is level 71.3 (IEC 61966-2-1).
    assert color[0, 0] == pytest.approx(71.3, abs=0.5) and color[0, 2] > color[0, 0] + 15
    assert (color >= levels[0, 1:8]).all() and (np.diff(color, axis=0) > 0).all()
    assert color[-1, 0] - levels[0, 7, 0] < 6
    assert seen.alpha is layer.alpha and not seen.premultiplied[:, 0].any()
    assert veiled(layer, np.full(3, 0.001, np.float32)) is layer


def test_grain_is_added_to_the_layer_by_its_alpha_and_repeats() -> None:
    alpha = np.ones((80, 80), np.float32)
    alpha[:40] = 0
    layer = PlacedLayer((0, 0, 80, 80), 100 * alpha[..., None] * np.ones(3, np.float32), alpha)
    grain = Grain((4.0, 4.0, 4.0), 0.5, 0.5)
    first, second = (match_grain(layer, grain, 7, 3) for _ in range(2))
    np.testing.assert_array_equal(first.premultiplied, second.premultiplied)
    assert not first.premultiplied[:40].any()
    assert float(first.premultiplied[40:].std()) == pytest.approx(4.0, rel=0.15)
    assert float(np.abs(first.premultiplied - match_grain(layer, grain, 7, 4).premultiplied).max()) > 1


def test_slopes_in_a_mask_are_sobels() -> None:
    rng = np.random.default_rng(4)
    calm, soft = rng.normal(100, 30, (2, 40, 50)).astype(np.float32)
    where = rng.random((40, 50)) > 0.4
    found = gradients_in(calm, soft, where, int(np.count_nonzero(where)))
    x, y = (cv2.Sobel(calm, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    soft_x, soft_y = (cv2.Sobel(soft, cv2.CV_32F, *axis, ksize=3, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    for ours, theirs in zip(found, (x, y, np.hypot(soft_x, soft_y)), strict=True):
        np.testing.assert_allclose(ours, theirs[where], atol=1e-3)


def test_defocus_has_no_direction_and_motion_keeps_its_own() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])

    def blur(narrow: float, long: float) -> np.ndarray:
        return np.asarray(turn @ np.diag([narrow, long]) @ turn.T)

    np.testing.assert_allclose(rounded(blur(2.0, 3.0)), 2.5 * np.eye(2), atol=1e-12)
    np.testing.assert_allclose(rounded(blur(0.5, 3.0)), blur(0.5, 3.0), atol=1e-12)
    ratios = [np.divide(*np.linalg.eigvalsh(rounded(blur(3.0 * width, 3.0)))) for width in (0.25, 0.3, 0.4, 0.5)]
    assert ratios == sorted(ratios) and ratios[0] == pytest.approx(0.25) and ratios[-1] == pytest.approx(1.0)
    np.testing.assert_array_equal(rounded(np.zeros((2, 2))), np.zeros((2, 2)))


def test_a_defocused_layer_is_as_soft_across_as_along() -> None:
    source, mask, layer = _scene(0)
    source = np.asarray(cv2.GaussianBlur(source, (0, 0), sigmaX=2.6, sigmaY=2.0))
    soft = match_sharpness(layer, source, mask)
    left, top = soft.box_xyxy[:2]
    middle = soft.alpha.shape[0] // 2, soft.alpha.shape[1] // 2
    sideways = soft.alpha[middle[0], 248 - left : 251 - left]
    upward = soft.alpha[20 - top : 23 - top, middle[1]]
    np.testing.assert_allclose(sideways, upward, atol=0.01)
    assert 0.5 < sideways[0] < 0.8
