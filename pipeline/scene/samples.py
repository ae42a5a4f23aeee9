"""One frame's evidence around the subject: where the plate is visible, where the subject is, what is foreign."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import Box, part_of
from pipeline.maths.channels import distances_to
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import HAND, HEAD, NUM_PARTS, PART_NAMES, Body, part_distances
from pipeline.scene.colors import NUM_BINS, bins_of, counted, density, subject_likelihood
from pipeline.scene.other_light import in_other_light
from pipeline.scene.views import Shown, View
from pipeline.shaped import Shaped, Shapes

FEET = PART_NAMES.index("foot")
_HAIR_BH = 0.1
"""How far from the skull the mask's pixels are hair or a hat: the head of a child is larger than the capsule."""
_HAIR_FROM_HAND_BH = 0.35
"""Nearer to a hand it may be an object: a racket reaches as far."""
OUTSIDE_BH = 0.035
"""Distance from every limb beyond which there is usually neither clothing nor hair."""
_REACH_BH = np.array([0.12, 0.08, 0.08, 0.08, 0.10, 0.08, 0.08, 0.12], np.float32)
"""How far clothes and hair protrude from each part; hands and feet are located less accurately than the rest."""
_SPECKLE_BH = 0.004
"""Radius of a speckle."""
_ELSEWHERE = np.float32(0.3)
"""Weight of a color that the subject has on another part: within the mask it may be a limb that was not detected."""
UNLIKELY = 2e-3
"""A color rarer than this on the subject is not theirs: 99 of 100 of their pixels have a more frequent one."""
COMMON = 0.008
"""A color as frequent as this on a part of the subject is one of its main colors."""
_ARM_BH = 0.3
"""A held object usually lies within this distance of the hand."""
_AWAY_BH = 0.35
_BESIDE_BH = 0.06
"""Away from all limbs, and from most loose clothing."""
_GROUND_BH = 0.2
_SPILL_ODDS = np.float32(5.0)
_FAR_BH = 0.5
"""Beyond the reach of an arm with a held object there is no evidence about what touches the subject."""
_OTHERS_BH = 0.02
_MAX_UNEXPLAINED = 0.25
"""Fraction of the free surroundings that may differ from the plate; above it the plate is wrong."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sample(Shaped):
    """One frame's view with the people in it, all (h, w) of the view."""

    SHAPES: ClassVar[Shapes] = {
        "distances": ("parts", "h", "w"), "outside": ("h", "w"), "bins": ("h", "w"), "subject_mask": ("h", "w"),
        "others_mask": ("h", "w"), "borrowed": ("h", "w"),
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
    borrowed: Mask | None = None
    """The subject's mask as it was in another frame; None where they were detected."""
    is_unsure: bool = False
    """Whether the plate does not show what the frame shows, as in a fast pan."""
    is_veiled: bool = False
    """Whether a veil of light lies over the subject: their colors tell nothing."""

    def within(self, box: Box) -> Sample:
        """Return the part of the sample in a box of its pixels."""
        x0, y0, x1, y1 = box
        return replace(
            self,
            view=self.view.within(box),
            body=self.body.seen_from(x0, y0),
            distances=np.ascontiguousarray(self.distances[:, y0:y1, x0:x1]),
            outside=part_of(self.outside, box),
            bins=part_of(self.bins, box),
            subject_mask=part_of(self.subject_mask, box),
            others_mask=part_of(self.others_mask, box),
            borrowed=None if self.borrowed is None else part_of(self.borrowed, box),
        )


def sample_of(view: View, body: Body, subject_mask: Mask, others_mask: Mask, gain: float) -> Sample:
    """Assemble the sample of one frame; the masks are (h, w) of the view's box.

    ``gain`` brightens the colors, see ``bins_of``.
    """
    width, height = view.size_wh
    distances, outside = body_distances(body, height, width)
    subject = view.reduced(subject_mask)
    others = view.reduced(others_mask)
    lit = in_other_light(view, subject | others)
    if lit.any():
        view = replace(view, shown=np.where(lit, np.uint8(Shown.SHADOW), view.shown))
    return Sample(view, body, distances, outside, bins_of(view.picture, gain), subject, others)


def body_distances(body: Body, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the ``distances`` and ``outside`` of a body's sample."""
    distances = part_distances(body.segments, height, width)
    distances /= np.float32(max(body.height_px, 1.0))
    return distances, np.asarray(distances.min(axis=0), np.float32)


def without_background(sample: Sample, subject: Float32Array) -> Sample:
    """Return a sample whose subject mask has no part of the background in it, nor of what hides the subject.

    A mask moved from another frame fits roughly, and is wider. A pixel of the subject that looks like the plate shows
    what would replace it. Beside an occluder the plate fits less: what has none of the colors ``subject``
    (parts, NUM_BINS), or is a speckle, is not the subject.
    """
    background = opened(sample.view.shown == Shown.PLATE, 1)
    seen = sample.subject_mask & ~background & (likeness(sample, subject) > UNLIKELY)
    seen = opened(seen, max(1, round(_SPECKLE_BH * sample.body.height_px)))
    return replace(sample, subject_mask=seen, borrowed=sample.subject_mask)


def subject_counts(sample: Sample) -> NDArray[np.float64]:
    """Return (parts, NUM_BINS): the colors of the parts near their bones, and of the hair around the head."""
    inner = eroded(sample.subject_mask, 1) & ~sample.others_mask & (sample.view.shown != Shown.PLATE)
    core = inner & (sample.outside < -0.01)
    # Not what a hand holds to the head.
    hair = inner & (sample.view.shown == Shown.OTHER) & (sample.distances[HEAD] <= np.minimum(sample.outside, _HAIR_BH))
    core |= hair & (sample.distances[HAND] > _HAIR_FROM_HAND_BH)
    nearest = sample.distances[:, core].argmin(axis=0)
    counts = np.bincount(nearest * NUM_BINS + sample.bins[core], minlength=NUM_PARTS * NUM_BINS)
    return counts.reshape(NUM_PARTS, NUM_BINS).astype(np.float64)


def others_counts(sample: Sample) -> NDArray[np.float64]:
    """Return (NUM_BINS,): the colors of other people."""
    core = eroded(sample.others_mask, 2) & ~sample.subject_mask
    return counted(sample.bins, core & (sample.view.shown != Shown.PLATE))


def uncovered(sample: Sample) -> Mask:
    """Return where the subject is seen."""
    shown = sample.view.shown
    return sample.subject_mask & ~sample.others_mask & ((shown == Shown.OTHER) | (shown == Shown.SHADOW))


def surroundings(sample: Sample) -> Mask:
    """Return the places where nothing but the plate should be visible: neither people nor held objects."""
    height = sample.body.height_px
    people = grow(sample.subject_mask | sample.others_mask, max(1, round(OUTSIDE_BH * height)))
    free = ~people & (sample.outside > OUTSIDE_BH)
    rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
    for x, y in sample.body.hands:
        free &= (columns - x) ** 2 + (rows - y) ** 2 > (_ARM_BH * height) ** 2
    return free


def beside_counts(sample: Sample, wrong: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return (NUM_BINS,) twice: colors off the limbs that differ from the plate, near the hands and away from them.

    And the ratio of the two examined areas. ``wrong`` (h, w): where the plate is not to be trusted.
    """
    if not len(sample.body.hands):
        return np.zeros(NUM_BINS), np.zeros(NUM_BINS), 0.0
    height = sample.body.height_px
    others = grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    free = ~others & ~on_ground(sample) & ~wrong & (sample.outside > _BESIDE_BH)
    distance = hand_distances(sample).min(axis=0)
    near = free & (distance < _ARM_BH * height)
    away = free & (distance > _AWAY_BH * height) & (sample.outside < _FAR_BH)
    is_other = sample.view.shown == Shown.OTHER
    ratio = float(near.sum()) / max(float(away.sum()), 1.0)
    return counted(sample.bins, near & is_other), counted(sample.bins, away & is_other), ratio


def foreign_counts(
    sample: Sample, likelihood: Float32Array, wrong: Mask, is_held: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return (NUM_BINS,) the colors of objects that are neither background nor people, and their width.

    The width is the radius of the largest disc inside the object, body heights; 0 where nothing was found. Such an
    object differs from the plate, has a color that the parts there do not have (``likelihood`` of ``likeness``), and
    lies to a good part outside the limbs. ``wrong`` (h, w): where the plate is not to be trusted; ``is_held``
    (NUM_BINS,): colors known to belong to an object.
    """
    shown = sample.view.shown
    height = sample.body.height_px
    others = grow(sample.others_mask, max(1, round(_OTHERS_BH * height)))
    subject = grow(sample.subject_mask, max(1, round(OUTSIDE_BH * height)))
    away = (sample.outside > 2 * OUTSIDE_BH) & ~subject & ~others
    if np.count_nonzero(away & (shown == Shown.OTHER)) > _MAX_UNEXPLAINED * np.count_nonzero(away):
        return np.zeros(NUM_BINS), 0.0
    free = (shown == Shown.OTHER) & ~others & ~wrong & (sample.outside < _FAR_BH) & ~on_ground(sample)
    # Clothes extend beyond the limbs in the colors of the limbs; a color far more frequent outside is foreign.
    around = density(counted(sample.bins, free & (sample.outside > OUTSIDE_BH)))
    limit = np.maximum(UNLIKELY, around[sample.bins] / _SPILL_ODDS)
    unexplained = free & ((likelihood < limit) | is_held[sample.bins])
    unexplained = opened(unexplained, 1)
    count, labels = cv2.connectedComponents(unexplained.view(np.uint8))
    areas = areas_of(labels, count)
    outside = counts_in(labels, unexplained & (sample.outside > OUTSIDE_BH), count)
    kept = (areas >= 40) & (outside >= 20)
    kept[0] = False
    things = those_of(labels, kept)
    inner = cv2.distanceTransform(things.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return counted(sample.bins, things), float(inner.max()) / height


def hand_distances(sample: Sample) -> NDArray[np.float32]:
    """Return (hands, h, w): the distance from the middle of each hand, px of the view."""
    return np.stack([distances_to(float(x), float(y), *sample.outside.shape) for x, y in sample.body.hands])


def on_ground(sample: Sample) -> Mask:
    """Return where the ground at the feet is darkened: a shadow on grass or stones is not uniform."""
    near = sample.distances[FEET] < _GROUND_BH
    return near & sample.view.darker & ~sample.subject_mask & (sample.outside > 0)


def likeness(sample: Sample, subject: Float32Array) -> Float32Array:
    """Return (h, w): how probable a pixel's color is on the subject at its position; ``subject`` (parts, NUM_BINS)."""
    likelihood = subject_likelihood(sample.bins, sample.distances, subject, _REACH_BH)
    is_lost = sample.subject_mask & (sample.outside > OUTSIDE_BH)
    anywhere = _ELSEWHERE * subject.max(axis=0)[sample.bins[is_lost]]
    likelihood[is_lost] = np.maximum(likelihood[is_lost], anywhere)
    return np.asarray(likelihood, np.float32)


def eroded(mask: Mask, radius_px: int) -> Mask:
    """Return the mask eroded by whole pixels, diagonally as well."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.erode(mask.view(np.uint8), kernel) > 0


def opened(mask: Mask, radius_px: int) -> Mask:
    """Return the mask opened by a square of side twice the radius plus one."""
    kernel = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
