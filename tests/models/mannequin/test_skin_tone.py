"""Skin is no more saturated than people's skin, whatever lamps and exposure made of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Group
from pipeline.models.mannequin.hair_region import HairRegion
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES
from pipeline.models.mannequin.skin_tone import saturation_factor, with_usual_chroma

STUDIO = np.array([0.79, 0.47, 0.33], np.float32)
"""A pale hand under warm lamps, linear."""
HAIR = np.array([0.15, 0.08, 0.06], np.float32)


def chroma_and_hue(color: np.ndarray) -> tuple[float, float]:
    lab = cv2.cvtColor(color.reshape(1, 1, 3).astype(np.float32), cv2.COLOR_LRGB2LAB)[0, 0]
    return float(np.hypot(lab[1], lab[2])), float(np.arctan2(lab[2], lab[1]))


@pytest.mark.parametrize("tone", [(0.45, 0.29, 0.22), (0.2, 0.12, 0.09), (0.5, 0.5, 0.5)])
def test_usual_skin_is_left_alone(tone: tuple[float, float, float]) -> None:
    assert saturation_factor(np.array(tone, np.float32)) == 1


def test_a_studios_skin_becomes_paler_and_keeps_hue_and_exposure() -> None:
    groups = np.repeat(np.array([Group.SKIN, Group.UPPER], np.uint8), 40)
    fine = np.tile(STUDIO, (80, NUM_SAMPLES, 1)).astype(np.float32)
    known = np.ones(fine.shape[:2], bool)
    parts = np.full(80, PARTS.index("arm.L"))
    out = with_usual_chroma(fine, known, groups, parts, np.zeros(80, bool), None)
    before, hue = chroma_and_hue(STUDIO)
    after, kept = chroma_and_hue(out[0, 0])
    assert before > 23
    assert after == pytest.approx(20, abs=1.5)
    assert kept == pytest.approx(hue, abs=0.12)
    assert out[0, 0].max() == pytest.approx(STUDIO.max(), abs=1e-3)
    # Stubble and shade keep their exposure as well.
    fine[:5] = 0.2
    gray = with_usual_chroma(fine, known, groups, parts, np.zeros(80, bool), None)
    np.testing.assert_allclose(gray[:5], 0.2, atol=1e-3)
    # A garment of the same color is no skin.
    assert np.array_equal(out[40:], fine[40:])


def test_hair_on_the_skin_of_the_head_stays() -> None:
    fine = np.tile(STUDIO, (60, NUM_SAMPLES, 1)).astype(np.float32)
    fine[40:] = HAIR
    faces = np.arange(60) < 40
    region = HairRegion(np.ones((2, 2), bool), HAIR, STUDIO, np.zeros(2), 10.0, (0.0, 0.0))
    groups = np.full(60, Group.SKIN, np.uint8)
    parts = np.full(60, PARTS.index("head"))
    out = with_usual_chroma(fine, np.ones(fine.shape[:2], bool), groups, parts, faces, region)
    assert np.array_equal(out[40:], fine[40:])
    assert (out[:40] != fine[:40]).any()
