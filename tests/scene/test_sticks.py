"""A stick that leaves a fist on one side continues along the same line on the other."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.scene.sticks import other_end

HEIGHT_PX = 240.0
HAND = np.array([100, 100], np.float32)


def line(first: tuple[int, int], last: tuple[int, int], width: int = 5) -> np.ndarray:
    return cv2.line(np.zeros((220, 240), np.uint8), first, last, 1, width) > 0


def odds_with(*parts: tuple[np.ndarray, float]) -> np.ndarray:
    odds = np.full((220, 240), -4.0, np.float32)
    for where, value in parts:
        odds[where] = value
    return odds


EVERYWHERE = np.ones((220, 240), np.bool_)
UPPER = line((40, 40), (92, 92))
LOWER = line((110, 110), (140, 140))


def test_the_end_beyond_the_fist_is_found_although_clothes_have_its_color() -> None:
    found = other_end(UPPER, odds_with((UPPER, 3.0), (LOWER, -1.0)), EVERYWHERE, HAND, HEIGHT_PX)
    assert (found & LOWER).sum() > 0.6 * LOWER.sum()
    assert (found & ~line((108, 108), (142, 142), 9)).sum() == 0


def test_a_line_slightly_bent_at_the_fist_is_followed() -> None:
    lower = line((110, 108), (144, 137))
    found = other_end(UPPER, odds_with((UPPER, 3.0), (lower, -1.0)), EVERYWHERE, HAND, HEIGHT_PX)
    assert (found & lower).sum() > 0.5 * lower.sum()


def test_a_stick_is_not_extended_without_contrast() -> None:
    assert not other_end(UPPER, odds_with((UPPER, 3.0)), EVERYWHERE, HAND, HEIGHT_PX).any()


def test_a_bag_has_no_axis() -> None:
    bag = np.zeros((220, 240), np.bool_)
    bag[50:90, 50:90] = True
    assert not other_end(bag, odds_with((bag, 3.0), (LOWER, -1.0)), EVERYWHERE, HAND, HEIGHT_PX).any()


def test_visible_background_is_not_the_end_of_a_stick() -> None:
    odds = odds_with((UPPER, 3.0), (LOWER, 2.0))
    assert not other_end(UPPER, odds, ~LOWER, HAND, HEIGHT_PX).any()


def test_a_disc_near_the_fist_does_not_hide_that_its_handle_is_a_stick() -> None:
    disc = cv2.circle(np.zeros((220, 240), np.uint8), (47, 47), 28, 1, -1) > 0
    held = disc | line((66, 66), (94, 94))
    found = other_end(held, odds_with((held, 3.0), (LOWER, -1.0)), EVERYWHERE, HAND, HEIGHT_PX)
    assert (found & LOWER).sum() > 0.6 * LOWER.sum()
