"""Candidates of a plate are told by the place that they show, in whatever light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.maths.geometry import translation
from pipeline.maths.light import apply_light, fit_light
from pipeline.maths.reduce import reduced
from pipeline.maths.uneven_light import LightField, light_field
from pipeline.plate.misfit import MISFIT, HoleSurroundings, misfit
from pipeline.plate.warp import Warp
from tests.plate.test_plate import HEIGHT, WIDTH, texture


def light_of(candidate: Picture, anchor: Picture) -> tuple[NDArray[np.float64], LightField | None]:
    """Return the light that makes a candidate look like the anchor, as ``misfit`` takes it."""
    there, here = (reduced(each, (WIDTH // 8, HEIGHT // 8)) for each in (candidate, anchor))
    light = fit_light(there.reshape(-1, 3), here.reshape(-1, 3))
    return light, light_field(apply_light(there, light), here, np.ones(here.shape[:2], np.bool_))


def test_a_place_is_known_in_a_light_leak_and_another_one_is_told_from_it() -> None:
    anchor = texture(WIDTH, HEIGHT, 4)
    veil = np.exp(-(((np.arange(WIDTH) - 120) / 60) ** 2))[None, :, None] * np.array([0.7, 0.4, 0.1])
    leaked = np.rint(255 - (255 - anchor) * (1 - veil)).astype(np.uint8)
    background = np.ones((HEIGHT, WIDTH), np.bool_)
    hole = np.zeros_like(background)
    hole[60:200, 120:170] = True
    around = HoleSurroundings.of(anchor, background, hole, 120.0)
    nodes = np.zeros((4, 4, 2), np.float32)
    even, field = light_of(leaked, anchor)
    assert field is not None
    here, beside = (Warp(translation(x, 0), nodes, 1) for x in (0, 12))
    assert misfit(around, leaked, background, here, even) > MISFIT
    assert misfit(around, leaked, background, here, even, field) < MISFIT
    assert misfit(around, leaked, background, beside, even, field) > MISFIT
