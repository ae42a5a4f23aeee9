"""A generated person in wrong light of known gain and direction, beside a figure in the right one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.maths.light import linear_of, srgb_of
from pipeline.maths.light_transfer import agreed_level, agreed_slope, compare_light, gain_field, relit

_HEIGHT_PX = 200.0
_NOSE = np.array([60.0, 42.0])
_SKIN = np.array([0.50, 0.31, 0.22])
_COAT = np.array([0.10, 0.12, 0.20])


def _body() -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return silhouette (h, w) and normals (h, w, 3) of an upright column."""
    y, x = np.mgrid[:240, :120].astype(np.float32)
    across = (x - 60) / 26
    silhouette = (np.abs(across) < 1) & (y > 20) & (y < 220)
    across = np.clip(across, -1, 1)
    normals = np.dstack([across, np.zeros_like(across), -np.sqrt(1 - across**2)]) * silhouette[..., None]
    return silhouette, normals.astype(np.float32)


def _person(coat: NDArray[np.float64], light: NDArray[np.float64], towards_x: float, seed: int = 0) -> np.ndarray:
    """Paint skin above and a coat below, with fine texture, lit from the side ``towards_x``; sRGB."""
    silhouette, normals = _body()
    albedo = np.where(np.arange(240)[:, None, None] < 62, _SKIN, coat) * np.ones((240, 120, 1))
    if seed:
        noise = np.random.default_rng(seed).normal(0, 0.25, (240, 120))
        albedo = albedo * np.exp(noise - cv2.GaussianBlur(noise, (0, 0), 3.0))[..., None]
    shade = np.exp(towards_x * normals[..., :1])
    return np.where(silhouette[..., None], srgb_of(albedo * light * shade), 0).astype(np.uint8)


def _matched(painted: np.ndarray, figure: np.ndarray) -> np.ndarray:
    silhouette, normals = _body()
    matte = silhouette.astype(np.float32)
    difference = compare_light(painted, matte, figure, silhouette, normals, _NOSE, _HEIGHT_PX)
    assert difference is not None
    gain = gain_field(agreed_level(difference), agreed_slope([difference]), normals, silhouette, _HEIGHT_PX)
    return relit(painted, gain)


def _mean_light(picture: np.ndarray, rows: slice, columns: slice = slice(45, 75)) -> NDArray[np.float64]:
    return np.asarray(linear_of(picture)[rows, columns].mean(axis=(0, 1)), np.float64)


def _detail(picture: np.ndarray) -> float:
    light = linear_of(picture)[80:200, 45:75].mean(axis=2)
    return float((light / cv2.GaussianBlur(light, (0, 0), 3.0)).std())


def test_a_painting_too_bright_and_blue_gets_the_light_of_the_scene_and_keeps_its_detail() -> None:
    dusk = np.array([0.30, 0.24, 0.20])
    painted = _person(_COAT, np.array([0.9, 1.0, 1.5]), 0.0, seed=3)
    figure = _person(_COAT, dusk, 0.0)
    matched = _matched(painted, figure)
    for rows in (slice(30, 55), slice(90, 200)):  # face and coat
        before = np.abs(np.log(_mean_light(painted, rows) / _mean_light(figure, rows)))
        after = np.abs(np.log(_mean_light(matched, rows) / _mean_light(figure, rows)))
        assert before.max() > 1.0
        assert after.max() < 0.2, after
    assert 0.9 < _detail(matched) / _detail(painted) < 1.1


def test_light_from_the_wrong_side_is_turned() -> None:
    light = np.ones(3)
    painted = _person(_COAT, light, 0.35, seed=5)
    figure = _person(_COAT, light, -0.35)

    def asymmetry(picture: np.ndarray) -> float:
        rows = slice(90, 200)
        sides = (_mean_light(picture, rows, slice(*columns)).mean() for columns in ((38, 50), (70, 82)))
        left, right = sides
        return float(np.log(right / left))

    matched = _matched(painted, figure)
    assert asymmetry(painted) > 0.2
    assert asymmetry(matched) < -0.1
    assert 0.9 < _detail(matched) / _detail(painted) < 1.1


def test_other_clothes_are_not_taken_for_light() -> None:
    """The figure of a prompt wears gray; what is painted is white, and its face is as bright as the figure's."""
    light = np.full(3, 0.8)
    painted = _person(np.array([0.7, 0.7, 0.7]), light, 0.0, seed=7)
    matched = _matched(painted, _person(np.array([0.12, 0.12, 0.12]), light, 0.0))
    change = np.log(_mean_light(matched, slice(90, 200)) / _mean_light(painted, slice(90, 200)))
    # The clothes' own ratio is 1.76.
    assert np.abs(change).max() < 0.45


def test_too_few_pixels_of_a_person_give_no_estimate() -> None:
    silhouette, normals = _body()
    person = _person(_COAT, np.ones(3), 0.0)
    assert compare_light(person, np.zeros((240, 120), np.float32), person, silhouette, normals, _NOSE, 200.0) is None


def test_brightening_rolls_off_before_white() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (2, 1, 3))
    brighter = relit(ramp, np.full((2, 256, 3), 3.0, np.float32))[0, :, 0].astype(int)
    assert (np.diff(brighter) >= 0).all()
    assert brighter[240] < 252 and (brighter >= ramp[0, :, 0]).all()
    assert np.array_equal(relit(ramp, np.ones((2, 256, 3), np.float32)), ramp)
