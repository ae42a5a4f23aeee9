"""Colors that one hand shows and the other does not: a small thing that a hand holds, over time.

A phone is no larger than the hand that holds it, and lies on the hand and its sleeve: neither size nor place tells it
from them in a frame. Over many frames it does: both hands have the same skin and the same sleeves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask, Picture
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import grow
from pipeline.scene.bare_hands import own_skin
from pipeline.scene.body import FOREARM, HAND, HEAD, SHIN, THIGH, TORSO, UPPER_ARM
from pipeline.scene.colors import AB_BINS, L_BINS, NUM_BINS, counted, smoothed
from pipeline.scene.displaced import shown_near_by
from pipeline.scene.samples import FEET, OUTSIDE_BH, Sample, eroded, hand_distances, on_ground, opened
from pipeline.scene.views import Shown

REACH_BH = 0.14
"""From the middle of a hand to the far end of what does not extend beyond it much, body heights."""
_APART_BH = 0.16
"""The hands must be farther apart, or one shows what the other holds."""
_CLOTH_BH = -0.01
_FIST_BH = 0.02
"""Distances from the surface of limbs and hands between which the body is dressed."""
_CLOTHED = (TORSO, THIGH, SHIN)
_OTHERS_BH = 0.02
_MOST_ON_OTHER = 0.3
"""A color of one hand may occur this much, relative to it, near the other one: hands cross, and joints swap sides."""
_ELSEWHERE = 0.3
"""For each pixel of a color on the rest of the body, this many at a hand are cloth."""
_PRINTED = 1.5
"""For each pixel of a color on the trunk away from the hands, this many at a hand are a print that it passes."""
_LEAST_PX = 0.8
"""Pixels of a color in a frame beyond those of the clothes, on average, while the hand is seen."""
_LEAST_LOOKS = 4.0
_OUTLINE_BH = 0.06
_OFF_HANDS_BH = 0.2
_DISPLACED_PX = 10
_MIXED_LEVELS = 30.0
"""Distance of a color from a mixture, gray levels."""
_HIGHLIGHT = np.float32(0.5)
"""How far a highlight is from skin to white: a paper cup is whiter."""
_SHADED = 0.45


def hand_counts(sample: Sample, wrong: Mask) -> Float64Array | None:
    """Return (3, NUM_BINS): colors near the left hand, near the right one, and on the clothes.

    Skin is left out. None where no hand is known, or both are close. ``wrong`` (h, w): where the plate is not to be
    trusted.
    """
    height = sample.body.height_px
    hands = sample.body.hands
    if not len(hands) or (len(hands) == 2 and float(np.hypot(*(hands[1] - hands[0]))) < _APART_BH * height):
        return None
    distances = hand_distances(sample)
    skins = own_skin(sample)
    others = grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    # Where nobody saw the background the mask tells.
    shown = (sample.view.shown == Shown.OTHER) | (sample.subject_mask & ~sample.view.known)
    shown &= ~others & ~wrong & ~on_ground(sample) & ~skins
    within = distances.min(axis=0) < REACH_BH * height
    shown &= within
    if not shown.any():
        return None
    # Rims are narrower than what a hand can hold.
    shown = opened(shown & ~_explained(sample, shown, skins), 1)
    side = sample.body.hand_sides[distances.argmin(axis=0)]
    left, right = (counted(sample.bins, shown & (side == number)) for number in range(2))
    inner = eroded(sample.subject_mask, 1) & (sample.outside < _CLOTH_BH) & (sample.distances[HAND] > _FIST_BH)
    bins = sample.bins[inner]
    part = sample.distances[:, inner].argmin(axis=0)
    is_arm = np.isin(part, (UPPER_ARM, FOREARM)) & (distances.min(axis=0)[inner] > (REACH_BH + OUTSIDE_BH) * height)
    # A stripe along a sleeve is seen on one side only, and so is a blurred edge.
    sides = np.bincount(bins[is_arm], minlength=NUM_BINS) + counted(sample.bins, _outline(sample, distances))
    cloth = np.bincount(bins[np.isin(part, _CLOTHED)], minlength=NUM_BINS)
    # A print is there also while no hand is near it.
    is_print = (part == TORSO) & (distances.min(axis=0)[inner] > (REACH_BH + OUTSIDE_BH) * height)
    prints = np.bincount(bins[is_print], minlength=NUM_BINS)
    return np.stack([left, right, cloth + (sides + _PRINTED * prints) / _ELSEWHERE])


def _explained(sample: Sample, found: Mask, skins: Mask) -> Mask:
    """Return the part of ``found`` (h, w) that is a displaced background, or a mixture of skin with what is behind.

    ``skins`` (h, w) is where skin is.
    """
    x0, y0, x1, y1 = box_of_mask(found)
    area = np.s_[y0:y1, x0:x1]
    picture, plate = sample.view.picture[area], sample.view.plate[area]
    explained = np.zeros(found.shape, np.bool_)
    known = sample.view.known[area]
    explained[area] = shown_near_by(picture, plate, _DISPLACED_PX) & known
    hands = sample.subject_mask & skins & (sample.distances[HAND] < 0)
    if hands.any():
        own = np.median(sample.view.picture[hands], axis=0).astype(np.float32)
        explained[area] |= _between(picture, plate.astype(np.float32), own) & known
        # Highlights, and skin in a light of its own.
        explained[area] |= _between(picture, own, own + _HIGHLIGHT * (np.float32(255) - own))
        explained[area] |= _between(picture, own, _SHADED * own)
    return explained


def _between(picture: Picture, one: Float32Array, other: Float32Array) -> Mask:
    """Return where a picture (h, w, 3) has mixtures of two colors."""
    toward = other - one
    apart = picture.astype(np.float32) - one
    along = (apart * toward).sum(axis=-1) / np.maximum((toward**2).sum(axis=-1), 1.0)
    off = np.linalg.norm(apart - along.clip(0.0, 1.0)[..., None] * toward, axis=-1)
    return np.asarray(off < _MIXED_LEVELS, np.bool_)


def outline_counts(sample: Sample) -> Float64Array:
    """Return (NUM_BINS,): the colors along the subject's outline away from the hands: blurred edges and halos."""
    if not len(sample.body.hands):
        return np.zeros(NUM_BINS)
    return counted(sample.bins, _outline(sample, hand_distances(sample)))


def _outline(sample: Sample, distances: NDArray[np.float32]) -> Mask:
    """Return what differs from the background along the outline, but not at head and feet, which are often dark."""
    height = sample.body.height_px
    along = (sample.view.shown == Shown.OTHER) & (sample.outside > 0) & (sample.outside < _OUTLINE_BH)
    along &= ~grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    along &= np.minimum(sample.distances[HEAD], sample.distances[FEET]) > _OUTLINE_BH
    return np.asarray(along & (distances.min(axis=0) > _OFF_HANDS_BH * height), np.bool_)


def held_in_one_hand(counts: Float64Array, looks: float) -> Float64Array:
    """Return (NUM_BINS,) how many pixels of each color belong to what one of the hands holds.

    ``counts`` (3, NUM_BINS) are sums of ``hand_counts`` over ``looks`` frames.
    """
    if looks < _LEAST_LOOKS:
        return np.zeros(NUM_BINS)
    left, right, away = smoothed(counts)
    held = np.zeros(NUM_BINS)
    for this, other in ((left, right), (right, left)):
        rest = other / _MOST_ON_OTHER + _ELSEWHERE * away
        is_held = _regions(this > rest, this, _LEAST_PX * looks)
        held += np.where(is_held, this - rest, 0.0)
    return held


def _regions(colors: NDArray[np.bool_], amounts: Float64Array, least: float) -> NDArray[np.bool_]:
    """Return the colors that, with like colors around them, amount to the ``least`` number of pixels."""
    cube = (L_BINS, AB_BINS, AB_BINS)
    labeled, count = label(colors.reshape(cube), np.ones((3, 3, 3)))
    total = np.bincount(labeled.ravel(), amounts, count + 1)
    is_large = total >= least
    is_large[0] = False
    return np.asarray(is_large[labeled].ravel(), np.bool_)
