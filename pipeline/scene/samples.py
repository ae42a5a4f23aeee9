"""What one frame tells of the things around the subject: where the plate is seen, where they are, what is foreign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.masks import grow
from pipeline.scene.body import NUM_PARTS, PART_NAMES, Body, part_distances
from pipeline.scene.colors import NUM_BINS, bins_of, counted, density, his_likelihood
from pipeline.scene.views import Shown, View
from pipeline.shaped import Shaped, Shapes

FEET = PART_NAMES.index("foot")
_CORE_BH = 0.018
"""So deep inside a limb its pixels are surely covered by it: joints are right to about 2 % of body height."""
_BESIDE_MASK_BH = 0.025
"""Capsules are those of a clothed adult; a slim body ends that much within them."""
_SEAM_SHARE = 0.6
"""Of a place, along the mask: then all that is told there is told by limbs drawn too broad."""
OUTSIDE_BH = 0.035
"""So far from every limb there is neither clothing nor hair, as a rule."""
_REACH_BH = np.array([0.08, 0.08, 0.08, 0.08, 0.10, 0.08, 0.08, 0.12], np.float32)
"""Clothes and hair stand out from each part by so much; hands and feet are found less exactly than the rest."""
_TELLING = 15.0
_ELSEWHERE = np.float32(0.3)
"""Weight of a color that the subject has on another part: within the mask it may be a limb that was not found."""
UNLIKELY = 2e-3
"""A color that is rarer on the subject is not theirs: 99 of 100 of their pixels have one that is more frequent."""
_ARM_BH = 0.3
"""A thing in a hand lies no farther from it, as a rule."""
_AWAY_BH = 0.35
_BESIDE_BH = 0.06
"""Off all limbs, and off most of what hangs loosely on them."""
_GROUND_BH = 0.2
_SPILL_ODDS = np.float32(5.0)
_FAR_BH = 0.5
"""What is farther away than an arm and what it may hold tells of nothing that meets the subject."""
_OTHERS_BH = 0.02
_MOST_STRANGE = 0.25
"""Share of the free surroundings that may differ from the plate; beyond that it is the plate that is wrong."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample(Shaped):
    """One frame's view with the people in it, all (h, w) of the view."""

    SHAPES: ClassVar[Shapes] = {
        "distances": ("parts", "h", "w"), "outside": ("h", "w"), "bins": ("h", "w"), "subject_mask": ("h", "w"),
        "others_mask": ("h", "w"),
    }  # fmt: skip

    view: View
    body: Body
    distances: NDArray[np.float32]
    """(parts, h, w) from ``part_distances``, body heights."""
    outside: NDArray[np.float32]
    """(h, w) the least of them."""
    bins: NDArray[np.int32]
    subject_mask: Mask
    others_mask: Mask


def sample_of(view: View, body: Body, subject_mask: Mask, others_mask: Mask, gain: float) -> Sample:
    """Put together what is needed of one frame; the masks are (h, w) of the view's box.

    ``gain`` brightens the colors, as ``bins_of`` tells.
    """
    width, height = view.size_wh
    distances = part_distances(body.segments, height, width)
    distances /= np.float32(max(body.height_px, 1.0))
    outside = np.asarray(distances.min(axis=0), np.float32)
    his, theirs = view.reduced(subject_mask), view.reduced(others_mask)
    return Sample(view, body, distances, outside, bins_of(view.picture, gain), his, theirs)


def his_counts(sample: Sample) -> NDArray[np.float64]:
    """Return (parts, NUM_BINS): the colors of the parts near their bones."""
    core = eroded(sample.subject_mask, 1) & ~sample.others_mask
    core &= (sample.view.shown != Shown.PLATE) & (sample.outside < -0.01)
    nearest = sample.distances[:, core].argmin(axis=0)
    counts = np.bincount(nearest * NUM_BINS + sample.bins[core], minlength=NUM_PARTS * NUM_BINS)
    return counts.reshape(NUM_PARTS, NUM_BINS).astype(np.float64)


def others_counts(sample: Sample) -> NDArray[np.float64]:
    """Return (NUM_BINS,): the colors of other people."""
    core = eroded(sample.others_mask, 2) & ~sample.subject_mask
    return counted(sample.bins, core & (sample.view.shown != Shown.PLATE))


def covered(sample: Sample, likelihood: Float32Array) -> Mask:
    """Return where something static covers the subject: inside the silhouette the plate is seen.

    Where the plate has a color that the subject has there as well, it may as well be the subject.
    """
    height = sample.body.height_px
    # Feet are the last part.
    limbs = sample.distances[:FEET].min(axis=0) < -_CORE_BH
    inside = (limbs | eroded(sample.subject_mask, max(1, round(_CORE_BH * height)))) & ~sample.others_mask
    found = opened(inside & (sample.view.shown == Shown.PLATE) & (likelihood < _TELLING * UNLIKELY), 1)
    return found & ~_beside(sample.subject_mask, found, max(1, round(_BESIDE_MASK_BH * height)))


def _beside(subject_mask: Mask, found: Mask, reach_px: int) -> Mask:
    """Return what of ``found`` is no evidence: along the mask, where limbs drawn too broad reach into the background.

    What cuts the mask in two is a thing in front: it is narrow between two parts of the mask, or broader than the seam.
    """
    kernel = np.ones((4 * reach_px + 1, 4 * reach_px + 1), np.uint8)
    between = cv2.morphologyEx(subject_mask.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    seam = grow(subject_mask, reach_px) & ~between
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=4)
    in_seam = np.bincount(labeled[seam], minlength=count)
    is_seam = in_seam > _SEAM_SHARE * np.bincount(labeled.ravel(), minlength=count)
    return np.asarray(is_seam[labeled], np.bool_) & seam


def uncovered(sample: Sample) -> Mask:
    """Return where the subject is seen."""
    shown = sample.view.shown
    return sample.subject_mask & ~sample.others_mask & ((shown == Shown.OTHER) | (shown == Shown.SHADOW))


def surroundings(sample: Sample) -> Mask:
    """Return the places where nothing but the plate should be seen: neither people, nor what a hand may hold."""
    height = sample.body.height_px
    people = grow(sample.subject_mask | sample.others_mask, max(1, round(OUTSIDE_BH * height)))
    free = ~people & (sample.outside > OUTSIDE_BH)
    rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
    for x, y in sample.body.hands:
        free &= (columns - x) ** 2 + (rows - y) ** 2 > (_ARM_BH * height) ** 2
    return free


def beside_counts(sample: Sample, wrong: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return (NUM_BINS,) twice: colors off the limbs that differ from the plate, near the hands and away from them.

    And the ratio of the two areas that were looked at. ``wrong`` (h, w): where the plate is not to be trusted.
    """
    if not len(sample.body.hands):
        return np.zeros(NUM_BINS), np.zeros(NUM_BINS), 0.0
    height = sample.body.height_px
    others = grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    free = ~others & ~on_ground(sample) & ~wrong & (sample.outside > _BESIDE_BH)
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[: free.shape[0], : free.shape[1]])
    distance = np.min([np.hypot(columns - x, rows - y) for x, y in sample.body.hands], axis=0)
    near = free & (distance < _ARM_BH * height)
    away = free & (distance > _AWAY_BH * height) & (sample.outside < _FAR_BH)
    is_other = sample.view.shown == Shown.OTHER
    ratio = float(near.sum()) / max(float(away.sum()), 1.0)
    return counted(sample.bins, near & is_other), counted(sample.bins, away & is_other), ratio


def foreign_counts(
    sample: Sample, likelihood: Float32Array, wrong: Mask, is_held: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return (NUM_BINS,) the colors of things that are neither background nor people, and their breadth.

    The breadth is the radius of the largest disc inside the thing, body heights; 0 where nothing was found.

    Such a thing differs from the plate, has a color that the parts there do not have (``likelihood`` of ``likeness``),
    and a good part of it lies outside of the limbs. ``wrong`` (h, w): where the plate is not to be trusted;
    ``is_held`` (NUM_BINS,): colors that are known for those of a thing.
    """
    shown, height = sample.view.shown, sample.body.height_px
    others = grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    him = grow(sample.subject_mask, max(1, round(OUTSIDE_BH * height)))
    away = (sample.outside > 2 * OUTSIDE_BH) & ~him & ~others
    if np.count_nonzero(away & (shown == Shown.OTHER)) > _MOST_STRANGE * np.count_nonzero(away):
        return np.zeros(NUM_BINS), 0.0
    free = (shown == Shown.OTHER) & ~others & ~wrong & (sample.outside < _FAR_BH) & ~on_ground(sample)
    # Clothes spill over the limbs in the colors that the limbs have; what is far more frequent outside is foreign.
    around = density(counted(sample.bins, free & (sample.outside > OUTSIDE_BH)))
    limit = np.maximum(UNLIKELY, around[sample.bins] / _SPILL_ODDS)
    strange = free & ((likelihood < limit) | is_held[sample.bins])
    strange = opened(strange, 1)
    count, labels = cv2.connectedComponents(strange.view(np.uint8))
    areas = np.bincount(labels.ravel(), minlength=count)
    outside = np.bincount(labels[strange & (sample.outside > OUTSIDE_BH)], minlength=count)
    kept = (areas >= 40) & (outside >= 20)
    kept[0] = False
    things = kept[labels]
    inner = cv2.distanceTransform(things.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return counted(sample.bins, things), float(inner.max()) / height


def on_ground(sample: Sample) -> Mask:
    """Return where the ground at the feet is darkened: a shadow on grass or stones is not even."""
    near = sample.distances[FEET] < _GROUND_BH
    return near & sample.view.darker & ~sample.subject_mask & (sample.outside > 0)


def likeness(sample: Sample, his: Float32Array) -> Float32Array:
    """Return (h, w): how probable a pixel's color is on the subject, at its place; ``his`` (parts, NUM_BINS)."""
    likelihood = his_likelihood(sample.bins, sample.distances, his, _REACH_BH)
    is_lost = sample.subject_mask & (sample.outside > OUTSIDE_BH)
    anywhere = _ELSEWHERE * his.max(axis=0)[sample.bins[is_lost]]
    likelihood[is_lost] = np.maximum(likelihood[is_lost], anywhere)
    return np.asarray(likelihood, np.float32)


def eroded(mask: Mask, radius_px: int) -> Mask:
    """Return the mask shrunk by whole pixels, diagonally as well."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.erode(mask.view(np.uint8), kernel) > 0


def opened(mask: Mask, radius_px: int) -> Mask:
    """Return the mask without what is thinner than a square of twice the radius and one."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
