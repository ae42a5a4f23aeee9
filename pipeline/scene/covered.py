"""Where something static stands in front of the subject in one frame: the plate is seen inside their silhouette."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.channels import largest_channel
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import part_distances
from pipeline.scene.hidden_feet import hidden_feet
from pipeline.scene.narrow import narrow_lines, opened_by_lines
from pipeline.scene.pattern import shows_pattern
from pipeline.scene.samples import FEET, UNLIKELY, Sample, eroded, opened
from pipeline.scene.views import Shown, View

_CORE_BH = 0.018
"""Depth inside a limb from which its pixels are certainly covered by it: joints are accurate to about 2 % of body
height."""
_BESIDE_MASK_BH = 0.025
"""Capsules are those of a clothed adult; a slim body ends this far inside them."""
_SEAM_SHARE = 0.6
"""Fraction of a region along the mask from which its evidence comes only from capsules that are too wide."""
_INSIDE = 0.2
"""Share of a region that lies to a good part inside the mask."""
_HIDDEN_BONE_BH = 0.02
"""Least length of the bones that something in front hides; its radius on the picture is ``_BONE_PX``."""
_BONE_PX = 0.75
_TELLING = 15.0
_BLENDING = (0.08, 0.16)
"""Fraction of the mask's inside that shows the plate in the subject's own colors, of the parts of the body in which it
is least: by day 0 to 0.01, behind a post 0.02 to 0.08, of somebody in gray at night, on a noisy clip, mostly 0.16 to
0.27."""
_FEW_PARTS = 0.25
_LEAST_PART_PX = 60
_HALF = 0.5
_SAME_LEVELS = 8


def covered(sample: Sample, likelihood: Float32Array) -> Mask:
    """Return where something static covers the subject: the plate is visible inside the silhouette.

    Where the plate has a color that the subject has there too, it may be the subject, unless its pattern is seen.
    """
    height = sample.body.height_px
    every = _distances_in_picture(sample)
    # Feet are the last part.
    distances = every[:FEET]
    limbs = distances.min(axis=0) < -_CORE_BH
    core = eroded(sample.subject_mask, max(1, round(_CORE_BH * height)))
    free = (sample.view.shown == Shown.PLATE) & ~sample.others_mask
    shows_plate = (limbs | core) & free
    blends_in = blending(core & limbs, shows_plate & (likelihood >= UNLIKELY), distances.argmin(axis=0))
    telling = np.where(sample.subject_mask, np.float32(1 + (_TELLING - 1) * (1 - blends_in)), np.float32(_TELLING))
    found = opened(shows_plate & (likelihood < telling * UNLIKELY), 1)
    # A narrow line of the plate, seen in its place and color, is no coincidence.
    is_line = narrow_lines(sample.view.plate, height) & (_differences(sample.view) < _SAME_LEVELS)
    if blends_in > _HALF:
        is_line &= ~sample.subject_mask
    found |= opened_by_lines(shows_plate & is_line) | opened(shows_plate & shows_pattern(sample.view), 1)
    found &= core | _across_bones(found, core, sample)
    found &= ~_beside(sample.subject_mask, found, max(1, round(_BESIDE_MASK_BH * height)))
    return found | hidden_feet(found, every[FEET] < -_CORE_BH, free & ~sample.subject_mask)


def blending(core: Mask, alike: Mask, part: NDArray[np.int64]) -> float:
    """Return 0..1 how little the subject differs from the plate behind them, as in the dark: then what looks like the
    plate inside the mask is the subject, unless its color is not theirs at all.

    ``core`` (h, w) is what is surely inside the mask, ``alike`` where the plate is shown, in the subject's own colors,
    ``part`` the part of the body. Darkness is everywhere, while an object in their colors covers some of the parts.
    """
    sizes = np.bincount(part[core], minlength=FEET)
    shares = np.bincount(part[core & alike], minlength=FEET) / np.maximum(sizes, 1)
    large = sizes >= _LEAST_PART_PX
    if not large.any():
        return 0.0
    low, high = _BLENDING
    return float(np.clip((np.quantile(shares[large], _FEW_PARTS) - low) / (high - low), 0, 1))


def _distances_in_picture(sample: Sample) -> NDArray[np.float32]:
    """Return ``Sample.distances`` without the limbs that leave the picture."""
    body = sample.body
    if body.in_picture.all():
        return sample.distances
    distances = part_distances(body.segments[body.in_picture], *sample.outside.shape)
    return distances / np.float32(max(body.height_px, 1.0))


def _differences(view: View) -> NDArray[np.uint8]:
    """Return (h, w) the largest difference of a channel from the plate, gray levels."""
    pair = (cv2.GaussianBlur(picture, (0, 0), 0.8) for picture in (view.picture, view.plate))
    return np.asarray(largest_channel(cv2.absdiff(*pair)), np.uint8)


def _beside(subject_mask: Mask, found: Mask, reach_px: int) -> Mask:
    """Return the part of ``found`` that is not evidence: along the mask, where too wide capsules cover background.

    A region that splits the mask is an object in front: narrow between two parts of the mask, or wider than the seam.
    """
    kernel = np.ones((4 * reach_px + 1, 4 * reach_px + 1), np.uint8)
    between = cv2.morphologyEx(subject_mask.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    seam = grow(subject_mask, reach_px) & ~between
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=4)
    is_seam = counts_in(labeled, seam, count) > _SEAM_SHARE * areas_of(labeled, count)
    return those_of(labeled, is_seam) & seam


def _across_bones(found: Mask, core: Mask, sample: Sample) -> Mask:
    """Return the regions of ``found`` that hide a bone or lie to a good part in ``core``, the inside of the mask.

    Beside a thin neck under a large head, or a slim arm, a capsule covers background on both sides of the bone, in
    every frame; what really stands in front hides the bone as well while the subject passes behind it. A shoulder or
    elbow that was located beside the arm only touches such a region: most of its bone is seen in the mask.
    """
    bones = sample.body.segments[sample.body.in_picture].copy()
    bones[:, 4] = _BONE_PX
    bone = np.asarray(part_distances(bones, *found.shape).min(axis=0) < 0, np.bool_)
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    told = counts_in(labeled, core, count) > _INSIDE * areas_of(labeled, count)
    hidden_px = counts_in(labeled, bone & ~sample.subject_mask, count) / (2 * _BONE_PX)
    told |= hidden_px >= _HIDDEN_BONE_BH * sample.body.height_px
    told[0] = False
    return those_of(labeled, told)
