"""A post that stands beside its place in the plate is put where the frame shows it in front of the subject."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.scene.front_in_place import with_front_in_place
from pipeline.scene.samples import Sample
from pipeline.scene.views import Shown
from tests.support.scene_truth import SHAPE, Mask, Picture, man_at, shot_at, wall

POST = (50, 64, 53)
X = 152


def post_at(x: int) -> Mask:
    post = np.zeros(SHAPE, np.bool_)
    post[20:245, x : x + 18] = True
    return post


def street(post: Mask) -> Picture:
    plate = wall()
    plate[post] = POST
    return plate


def behind_post(plate: Picture) -> tuple[Sample, Mask]:
    """Return a frame in which he stands behind a post, compared with a plate, and what the post hides of him."""
    post = post_at(146)
    shot = replace(shot_at(X, street(post), post), plate=plate)
    whole, _ = man_at(X)
    return replace(shot, subject_mask=whole).sample(), whole & post


def shown(sample: Sample, where: Mask) -> float:
    return float((sample.view.shown[where] == Shown.PLATE).mean())


@pytest.mark.parametrize("shift_px", [-5, 4])
def test_a_displaced_post_is_moved_to_where_it_is_seen(shift_px: int) -> None:
    plate = street(post_at(146 + shift_px))
    sample, hides = behind_post(plate)
    placed, found = with_front_in_place(sample, lambda: plate)
    assert found is not None and found.is_moved
    assert np.abs(found.shift[found.front & hides, 0] + shift_px).mean() < 1
    assert shown(sample, hides) < 0.7 and shown(placed, hides) > 0.86
    visible = sample.subject_mask & ~hides
    assert shown(placed, visible) < shown(sample, visible) + 0.01, "he himself is no background"
    # The place that it leaves is filled: the plate is right where he hides it.
    true = street(post_at(146)).astype(int)
    wrong = [(np.abs(each.view.plate - true).max(axis=2) > 30)[sample.subject_mask].sum() for each in (sample, placed)]
    assert wrong[1] < 0.25 * wrong[0]


def test_of_two_plates_that_show_it_twice_one_is_used() -> None:
    one, other = street(post_at(146)), street(post_at(152))
    blend = (one // 2 + other // 2).astype(np.uint8)
    sample, hides = behind_post(blend)
    placed, found = with_front_in_place(sample, lambda: one)
    assert found is not None and not found.is_moved
    np.testing.assert_array_equal(found.of_moved().laid_over(blend, one), blend)
    assert shown(sample, hides) < 0.7 and shown(placed, hides) > 0.85


def test_he_is_not_behind_a_post_that_he_stands_before() -> None:
    plate = street(post_at(150))
    sample = replace(shot_at(X, street(post_at(146))), plate=plate).sample()
    placed, _ = with_front_in_place(sample, lambda: plate)
    assert shown(placed, sample.subject_mask) < shown(sample, sample.subject_mask) + 0.002
