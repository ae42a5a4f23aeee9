"""What the old person's mask misses is found by its difference from the plate, and nothing else is."""

import cv2
import numpy as np

from pipeline.finish.complete_mask import complete_mask

HEIGHT_PX = 200.0
SHAPE = (260, 200)


def place(seed: int = 0) -> np.ndarray:
    texture = np.random.default_rng(seed).uniform(60, 200, (*SHAPE, 3)).astype(np.float32)
    return cv2.GaussianBlur(texture, (0, 0), 2.0).clip(0, 255).astype(np.uint8)


def body() -> np.ndarray:
    subject_mask = np.zeros(SHAPE, np.bool_)
    subject_mask[30:230, 80:120] = True
    return subject_mask


def found(source: np.ndarray, plate: np.ndarray, subject_mask: np.ndarray, **given: np.ndarray) -> np.ndarray:
    nobody, everything = np.zeros(SHAPE, np.bool_), np.ones(SHAPE, np.bool_)
    others_mask, seen = given.get("others_mask", nobody), given.get("seen", everything)
    return complete_mask(subject_mask, others_mask, source, plate, seen, HEIGHT_PX) & ~subject_mask


def with_hand(plate: np.ndarray, away: int = 0) -> tuple[np.ndarray, np.ndarray]:
    hand = np.zeros(SHAPE, np.bool_)
    hand[110:124, 120 + away : 132 + away] = True
    source = plate.copy()
    source[hand] = (230, 180, 150)
    return source, hand


def widened(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0


def test_a_hand_beside_the_mask_is_found() -> None:
    source, hand = with_hand(place())
    added = found(source, place(), body())
    assert (added & hand).sum() >= 0.85 * hand.sum()
    assert (added & ~widened(hand)).sum() == 0


def test_grain_and_a_plate_that_lies_half_a_pixel_wrong_add_nothing() -> None:
    plate = place()
    moved = cv2.warpAffine(plate, np.array([[1, 0, 0.5], [0, 1, -0.4]]), SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(1).normal(0, 4, moved.shape)
    assert found((moved + grain).clip(0, 255).astype(np.uint8), plate, body()).sum() == 0


def test_a_shadow_is_not_the_person() -> None:
    plate = place()
    source = plate.copy()
    source[200:240, 60:150] = np.rint(plate[200:240, 60:150] * 0.7).astype(np.uint8)
    assert found(source, plate, body()).sum() == 0


def test_another_person_is_left() -> None:
    source, hand = with_hand(place())
    assert found(source, place(), body(), others_mask=widened(hand)).sum() == 0


def test_a_place_that_no_frame_ever_saw_says_nothing() -> None:
    source, hand = with_hand(place())
    assert found(source, place(), body(), seen=~widened(hand)).sum() == 0


def test_what_stands_apart_from_him_is_left() -> None:
    source, _ = with_hand(place(), away=8)
    assert found(source, place(), body()).sum() == 0


def test_nobody_stays_nobody() -> None:
    source, _ = with_hand(place())
    assert not complete_mask(
        np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_), source, place(), np.ones(SHAPE, np.bool_), HEIGHT_PX
    ).any()
