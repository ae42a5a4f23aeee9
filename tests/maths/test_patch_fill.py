"""Holes are filled with continuations of their surroundings."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.inpaint import fill_hole
from pipeline.maths.patch_fill import fill_by_patches

_SIZE = (150, 220)


def _stripes(slope: float) -> np.ndarray:
    y, x = np.mgrid[0 : _SIZE[0], 0 : _SIZE[1]]
    wave = 128 + 80 * np.sign(np.sin(2 * np.pi * (y + slope * x) / 14))
    return np.repeat(wave[..., None], 3, axis=2).astype(np.uint8)


def _bricks() -> np.ndarray:
    y, x = np.mgrid[0 : _SIZE[0], 0 : _SIZE[1]]
    course = y // 10
    joint = (y % 10 < 2) | ((x + 12 * (course % 2)) % 24 < 2)
    return np.where(joint[..., None], (190, 185, 180), (150, 70, 50)).astype(np.uint8)


def _hole() -> np.ndarray:
    hole = np.zeros(_SIZE, np.bool_)
    hole[35:115, 90:130] = True
    return hole


@pytest.mark.parametrize("wall", [_stripes(0.0), _stripes(0.5), _bricks()], ids=["level", "slanting", "bricks"])
def test_lines_and_texture_are_continued(wall: np.ndarray) -> None:
    hole = _hole()
    damaged = wall.copy()
    damaged[hole] = (0, 0, 255)
    filled = fill_by_patches(damaged, hole, ~hole)
    np.testing.assert_array_equal(filled[~hole], wall[~hole])

    def error(picture: np.ndarray) -> float:
        return float(np.mean((picture[hole].astype(float) - wall[hole]) ** 2))

    assert error(filled) < 0.5 * error(fill_hole(damaged, hole))
    np.testing.assert_array_equal(fill_by_patches(damaged, hole, ~hole), filled)


def test_patches_come_from_known_pixels_only() -> None:
    wall = _bricks()
    hole = _hole()
    wall[20:140, 140:180] = (0, 255, 0)
    known = ~hole
    known[:, 135:185] = False
    filled = fill_by_patches(wall, hole, known)
    assert (filled[hole][:, 1].astype(int) - filled[hole][:, 0]).max() < 60


def test_without_anything_known_nothing_is_changed() -> None:
    wall = _bricks()
    hole = np.ones(_SIZE, np.bool_)
    hole[:3] = False
    assert fill_by_patches(wall, hole, ~hole) is wall


def test_grass_stays_as_fine_as_around_the_hole() -> None:
    random = np.random.default_rng(4)
    grass = np.clip(90 + random.normal(0, 25, (*_SIZE, 1)) * np.array([0.6, 1.0, 0.5]), 0, 255).astype(np.uint8)
    hole = _hole()
    damaged = grass.copy()
    damaged[hole] = 0
    filled = fill_by_patches(damaged, hole, ~hole)
    assert filled[hole][:, 1].std() == pytest.approx(grass[hole][:, 1].std(), rel=0.15)
    # Every pixel is a copy of a known one.
    known = set(map(tuple, grass[~hole].tolist()))
    assert all(tuple(pixel) in known for pixel in filled[hole].tolist())
