"""Grain where it is asked for is the grain of the whole picture, and a new person has only that of the camera."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.maths.grain import Grain, add_grain, estimate_grain, noise_inside


@pytest.mark.parametrize("radius_px", [0.0, 0.5, 1.0])
def test_grain_in_a_part_is_that_of_the_whole_picture(radius_px: float) -> None:
    picture = np.full((40, 50, 3), 120, np.uint8)
    grain = Grain((4.0, 3.0, 5.0), 0.3, radius_px)
    where = np.zeros((40, 50), np.bool_)
    where[8:20, 5:31] = True
    where[33, 44] = True

    whole = add_grain(picture, grain, 7, 3)
    part = add_grain(picture, grain, 7, 3, where)

    np.testing.assert_array_equal(part[where], whole[where])
    assert (part[:5, 40:] == picture[:5, 40:]).all()
    assert np.count_nonzero(whole != picture) > 0.5 * picture.size


def test_a_new_person_gets_the_noise_of_the_camera_and_not_gravel_or_patterns() -> None:
    rng = np.random.default_rng(0)
    noise = 3.0

    def noisy(picture: NDArray[np.float64]) -> Picture:
        return np.clip(np.rint(picture + rng.normal(0, noise, picture.shape)), 0, 255).astype(np.uint8)

    # Fine gravel, which the plate lacks since it cannot be registered, beside a wall.
    wall = np.full((120, 160, 3), 120.0)
    gravel = wall + rng.normal(0, 12, (120, 160, 1)) * (np.arange(160)[:, None] > 30)
    plates = [wall.astype(np.uint8)] * 3
    sources = [noisy(gravel) for _ in plates]
    clothes = noise_inside(noisy(gravel[:, 60:]), np.ones((120, 100), np.bool_))
    grain = estimate_grain(plates, sources, [np.ones((120, 160), np.bool_)] * 3, [clothes])

    assert min(grain.sigma) > 2 * noise
    shown = [sigma * np.sqrt(grain.common + 0.45 * (1 - grain.common)) for sigma in grain.of_people().sigma]
    assert shown == pytest.approx(3 * [noise * np.sqrt(0.45)], rel=0.15)


@pytest.mark.parametrize(("noise", "share"), [(4.0, 1.0), (1.0, 0.25)])
def test_fine_gravel_that_the_plate_lacks_is_no_grain_on_people(noise: float, share: float) -> None:
    random = np.random.default_rng(3)
    plate = np.full((120, 160, 3), 120, np.uint8)
    ground = np.clip(np.rint(plate + random.normal(0, 4, (120, 160, 1))), 0, 255).astype(np.uint8)
    person = np.full((120, 60, 3), 60.0) + random.normal(0, noise, (120, 60, 1))
    person[:, 40:] += 40 * np.sin(np.arange(20))[None, :, None]
    on_people = noise_inside(np.rint(person).astype(np.uint8), np.ones((120, 60), np.bool_))
    grain = estimate_grain([plate], [ground], [np.ones((120, 160), bool)], [on_people])
    assert grain.on_people == pytest.approx(share, abs=0.08)
    assert grain.sigma[1] == pytest.approx(4, abs=0.4)
    assert grain.of_people().sigma[1] == pytest.approx(share * 4, abs=0.6)
    # Nobody to measure: of the background all looks like noise.
    assert estimate_grain([plate], [ground], [np.ones((120, 160), bool)]).on_people == pytest.approx(1, abs=0.05)


def test_grain_is_measured_and_repeats() -> None:
    random = np.random.default_rng(2)
    plate = np.full((120, 160, 3), 120, np.uint8)
    noisy = np.clip(np.rint(plate + random.normal(0, 4, plate.shape)), 0, 255).astype(np.uint8)
    grain = estimate_grain([plate], [noisy], [np.ones((120, 160), bool)])
    assert np.allclose(grain.sigma, 4, atol=0.6) and grain.common < 0.1
    once = add_grain(plate, grain, 5, 9)
    again = add_grain(plate, grain, 5, 9)
    np.testing.assert_array_equal(once, again)
    assert (add_grain(plate, grain, 5, 10) != once).any()
    assert np.isclose(once.std(), 4, atol=0.6)
    assert add_grain(plate, Grain((0.0, 0.0, 0.0)), 5, 9) is plate
