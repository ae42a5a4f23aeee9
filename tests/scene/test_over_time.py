"""What one frame cannot tell and many can: a thing that stays in a hand, and hair that stays at a head."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scene.color_counts import ColorCounts
from pipeline.scene.hair import hair, head_counts, worn_cells, worn_places
from pipeline.scene.hand_colors import hand_counts, held_in_one_hand
from pipeline.scene.layers import Label
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import SHAPE, Mask, Shot, disc, man_at, shot_at, wall

LOOKS = PATH[::3]
BLACK = (14, 16, 24)
HAIR = (40, 160, 60)


def painted(shot: Shot, thing: Mask, color: tuple[int, int, int]) -> Shot:
    picture = shot.picture.copy()
    noise = np.random.default_rng(int(shot.x)).normal(0, 2, (int(thing.sum()), 3))
    picture[thing] = (np.array(color) + noise).clip(0, 255)
    return replace(shot, picture=picture)


def phone_at(x: float) -> Mask:
    """A phone in the left hand: no larger than it."""
    phone = NOTHING.copy()
    phone[118:134, round(x + 50) : round(x + 58)] = True
    return phone


def with_phone(x: float) -> Shot:
    return painted(shot_at(x, wall()), phone_at(x), BLACK)


def test_a_phone_no_larger_than_the_hand_is_carried() -> None:
    shots = [with_phone(x) for x in LOOKS]
    row = learned(shots)
    for shot in shots:
        phone = phone_at(shot.x)
        labels = labeled(shot, row)
        assert share(labels == Label.CARRIED, phone) > 0.9
        assert share(labels == Label.SUBJECT, man_at(shot.x)[0] & ~phone) > 0.97


def test_a_paper_cup_is_whiter_than_a_highlight_on_skin() -> None:
    def seen_at(x: float) -> Shot:
        hands = disc(x + 48, 124, 10) | disc(x - 48, 124, 10)
        return painted(painted(shot_at(x, wall()), hands, (176, 126, 100)), phone_at(x), (238, 234, 226))

    row = learned([seen_at(x) for x in LOOKS])
    for x in LOOKS:
        assert share(labeled(seen_at(x), row) == Label.CARRIED, phone_at(x)) > 0.9


def test_a_key_smaller_than_any_object_seen_once_is_carried_where_the_hand_showed_more_of_it() -> None:
    row = learned([with_phone(x) for x in LOOKS])
    whole = NOTHING.copy()
    whole[124:128, 208:212] = True
    beside_a_finger = NOTHING.copy()
    beside_a_finger[120:123, 208:211] = True
    beside_a_finger[127:130, 208:211] = True
    for key in (whole, beside_a_finger):
        labels = labeled(painted(shot_at(150, wall()), key, BLACK), row)
        assert share(labels == Label.CARRIED, key) > 0.9


@pytest.mark.parametrize("is_print", [True, False])
def test_a_print_that_a_hand_passes_over_stays_on_the_chest_without_it(is_print: bool) -> None:
    def counted(near: bool, x: float) -> np.ndarray | None:
        print_ = disc(x, 95, 9)
        shot = painted(shot_at(x, wall()), print_, (238, 234, 226)) if is_print or near else shot_at(x, wall())
        sample = shot.sample()
        hands = sample.body.hands.copy()
        if near:
            hands[sample.body.hand_sides == 0] = x + 16, 104
        return hand_counts(replace(sample, body=replace(sample.body, hands=hands)), NOTHING)

    counts = [counted(near=number % 2 == 0, x=x) for number, x in enumerate(PATH[::2])]
    known = [each for each in counts if each is not None]
    sample = painted(shot_at(150, wall()), disc(150, 95, 9), (238, 234, 226)).sample()
    white = np.bincount(sample.bins[disc(150, 95, 5)]).argmax()
    assert len(known) == len(counts)
    assert (held_in_one_hand(np.sum(known, axis=0), len(known))[white] > 0) != is_print


def test_a_color_of_both_hands_or_of_the_sleeves_is_no_thing() -> None:
    def counted(shots: list[Shot]) -> float:
        colors = ColorCounts()
        for shot in shots:
            colors.add_hands(hand_counts(shot.sample(), NOTHING))
        return float(held_in_one_hand(colors.hands, float(colors.hands_looks[0])).sum())

    def gloved(x: float) -> Shot:
        return painted(with_phone(x), phone_at(x - 108), BLACK)

    def striped(x: float) -> Shot:
        stripe = np.zeros(SHAPE, np.uint8)
        cv2.line(stripe, (round(x + 20), 64), (round(x + 48), 122), 1, 4)
        return painted(shot_at(x, wall()), stripe > 0, BLACK)

    held = counted([with_phone(x) for x in LOOKS])
    assert held > 0
    assert counted([gloved(x) for x in LOOKS]) < 0.1 * held
    assert counted([striped(x) for x in LOOKS]) < 0.1 * held
    assert counted([shot_at(x, wall()) for x in LOOKS]) == 0


@pytest.mark.parametrize("color", [(200, 170, 60), (60, 100, 200)], ids=["gold", "blue"])
def test_a_coin_in_the_only_hand_in_the_picture_is_told_from_skin_where_nobody_saw_the_background(
    color: tuple[int, int, int],
) -> None:
    def counted(has_coin: bool) -> float:
        colors = ColorCounts()
        for x in LOOKS:
            shot = shot_at(x, wall())
            coin = disc(x + 47, 124, 5) & shot.subject_mask
            sample = (painted(shot, coin, color) if has_coin else shot).sample(seen=NOTHING)
            left = replace(sample.body, hands=sample.body.hands[:1], hand_sides=sample.body.hand_sides[:1])
            colors.add_hands(hand_counts(replace(sample, body=left), NOTHING))
        return float(held_in_one_hand(colors.hands, float(colors.hands_looks[0])).sum())

    assert counted(has_coin=True) > 0
    assert counted(has_coin=False) == 0


def test_a_stick_along_the_arm_is_carried_as_it_was_when_it_stood_off() -> None:
    def with_stick(x: float, tip: tuple[float, float]) -> tuple[Shot, Mask]:
        stick = np.zeros(SHAPE, np.uint8)
        cv2.line(stick, (round(x + 54), 128), (round(x + tip[0]), round(tip[1])), 1, 4)
        shot = shot_at(x, wall())
        return replace(
            painted(shot, stick > 0, (235, 200, 30)), subject_mask=shot.subject_mask & ~(stick > 0)
        ), stick > 0

    row = learned([with_stick(x, (90, 90))[0] for x in LOOKS])
    shot, stick = with_stick(150, (30, 66))
    assert share(labeled(shot, row) == Label.CARRIED, stick) > 0.9


def with_knot(x: float, *, is_with_other: bool) -> tuple[Shot, Mask]:
    """Return the subject with a knot of hair that the mask misses; the same color is on somebody far from them."""
    shot = shot_at(x, wall())
    knot = disc(x, 9, 9) & ~shot.subject_mask
    other = NOTHING.copy()
    if is_with_other:
        aside = 20 if x > 150 else 260
        other[60:240, aside : aside + 24] = True
    return replace(painted(shot, knot | other, HAIR), others_mask=other), knot


def test_a_knot_of_hair_is_the_subjects_though_somebody_else_has_hair_like_it() -> None:
    shots = [with_knot(x, is_with_other=True)[0] for x in LOOKS]
    row = learned(shots)
    for x in LOOKS:
        shot, knot = with_knot(x, is_with_other=False)
        assert share(labeled(shot, row) == Label.SUBJECT, knot) > 0.9


def test_only_what_stays_at_the_head_is_worn() -> None:
    counts = sum(head_counts(with_knot(x, is_with_other=False)[0].sample()) for x in LOOKS)
    shot, knot = with_knot(150, is_with_other=False)
    assert share(worn_places(worn_cells(counts), shot.sample()), knot) > 0.8
    passed = sum(head_counts(painted(shot_at(150, wall()), disc(x, 12, 9), HAIR).sample()) for x in PATH)
    assert share(worn_places(worn_cells(passed), shot.sample()), knot) < 0.1


def test_dark_letters_on_a_sign_before_the_face_are_no_hair() -> None:
    row = learned([with_knot(x, is_with_other=False)[0] for x in LOOKS])
    shot, knot = with_knot(150.0, is_with_other=False)
    middle_y = round(float(np.nonzero(man_at(150.0)[0].any(axis=1))[0][0])) + 16
    sign, letter = disc(150.0, middle_y, 12), disc(150.0, middle_y, 3)
    sample = painted(painted(shot, sign, (235, 200, 30)), letter, HAIR).sample()
    found = hair(sign | knot, NOTHING, sample, row)
    assert share(found, knot & ~sign) > 0.9
    assert not found[letter].any()
