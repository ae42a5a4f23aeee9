"""A low object hides shins and feet, also of somebody who stands behind it all the time."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.scene.colors import density
from pipeline.scene.covered import covered
from pipeline.scene.hidden_feet import hidden_feet
from pipeline.scene.occluders import Evidence, PlateEvidence
from pipeline.scene.samples import FEET, likeness, subject_counts
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, man_at, shot_at, wall

_PLACES = np.dstack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))).astype(np.float32)
_STANDING = [float(x) for x in np.tile([149.0, 150.0, 151.0, 150.0], 5)]


def _region(x0: int, x1: int, y0: int, y1: int) -> Mask:
    region = np.zeros(SHAPE, np.bool_)
    region[y0:y1, x0:x1] = True
    return region


def _front(thing: Mask) -> Mask:
    """Return what is found in front of somebody who stands behind ``thing``, a textured one."""
    plate = wall()
    plate[thing] = plate[thing] // 3 + np.array((20, 70, 30), np.uint8)
    evidence = PlateEvidence(SHAPE[::-1], HEIGHT_PX)
    samples = [shot_at(x, plate, thing).sample() for x in _STANDING]
    colors = density(sum(subject_counts(sample) for sample in samples))
    for sample in samples:
        evidence.add(_PLACES, Evidence.of(sample, likeness(sample, colors)))
    return evidence.front(plate)


def test_a_low_box_is_in_front_of_the_shins_and_feet_of_who_stands_behind_it() -> None:
    box = _region(60, 240, 178, 250)
    hidden = man_at(150)[0] & box
    front = _front(box)
    assert (front & hidden).sum() > 0.95 * hidden.sum()
    assert not (front & ~box)[:170].any()


def test_the_feet_below_hidden_shins_are_evidence_of_the_box() -> None:
    box = _region(60, 240, 178, 250)
    plate = wall()
    plate[box] = plate[box] // 3 + np.array((20, 70, 30), np.uint8)
    sample = shot_at(150, plate, box).sample()
    found = covered(sample, likeness(sample, density(subject_counts(sample))))
    feet = sample.distances[FEET] < -0.018
    assert (found & feet).sum() > 0.95 * feet.sum()


def test_feet_below_a_board_are_not_behind_it() -> None:
    board = _region(60, 240, 164, 206)
    feet = man_at(150)[0] & _region(0, SHAPE[1], 218, SHAPE[0])
    front = _front(board)
    assert front[175:200, 133:137].all()
    assert not (front & feet).any()


def test_one_leg_beside_the_mask_is_no_object() -> None:
    assert not _front(_region(158, 240, 178, 250)).any()


@pytest.mark.parametrize(
    ("covered", "seen", "is_hidden"),
    [
        ((10, 20, 0, 30), None, True),  # hidden, at the end of a hidden shin
        ((10, 20, 0, 20), None, False),  # the shin is seen down to the ankle
        ((10, 20, 0, 30), (5, 12, 30, 40), False),  # a third of the foot is seen
    ],
)
def test_a_foot_is_hidden_where_nothing_of_it_is_seen_below_a_hidden_shin(
    covered: tuple[int, int, int, int], seen: tuple[int, int, int, int] | None, is_hidden: bool
) -> None:
    foot = _region(5, 25, 30, 40)
    shows_plate = np.ones(SHAPE, np.bool_) if seen is None else ~_region(*seen)
    found = hidden_feet(_region(*covered), foot, shows_plate)
    assert np.array_equal(found, foot if is_hidden else np.zeros_like(foot))
