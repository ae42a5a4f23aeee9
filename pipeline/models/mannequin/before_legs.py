"""A thing in front of both legs in a picture, such as a ball: it is painted over with the trousers' cloth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.hem_colors import stands
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.unclear_body import usual_color

_BELOW_HIPS = 0.01
"""Distance below the hips from which on something is before the legs, standing heights."""
_LEG = 0.012
"""Half width of the strip along each leg in which its cloth is looked at, standing heights."""
_OTHER_CLOTH = 0.9
"""Least difference of the logarithms of linear channels from the legs' cloth: shade and light differ less."""
_LEAST, _MOST = 0.0012, 0.035
"""Bounds of its area, squared standing heights: a fist has .003, a football about .015."""
_COMPACT = 0.55
"""Least fraction of its bounding box that it fills: a disk has .79, and folds and stripes less."""
_HIGHEST = 0.2
"""Largest height, standing heights: more is a bag, an apron or a skirt."""
_RIM = 0.012
"""Width of its rim, in which colors are mixed, standing heights."""
_FLOOR = 8e-3
"""Linear light below which colors are equally dark."""


def without_thing_before_legs(reference: ReferenceView) -> tuple[ReferenceView, bool]:
    """Return the view with what is in front of both legs in their usual color, and whether there was something."""
    thing = find_before_legs(reference)
    if thing is None:
        return reference, False
    strips = _legs(reference)
    cloth = usual_color(reference.colors[strips & reference.mask & ~thing])
    colors = np.where(thing[..., None], cloth, reference.colors).astype(np.float32)
    return replace(reference, colors=colors), True


def find_before_legs(reference: ReferenceView) -> Mask | None:
    """Return where (h, w) something of another color than the trousers lies across both legs; None where nothing does.

    It begins below the hips and ends above the ankles, with the same cloth above and below: shorts, a shirt's tails,
    skirts and boots do not.
    """
    if reference.view not in ("front", "back") or not reference.is_whole or not stands(reference):
        return None
    height = reference.height_px
    strips = _legs(reference) & reference.mask
    if not strips.any():
        return None
    cloth = usual_color(reference.colors[strips])
    first, last = (
        int(pick(reference.joints[[JOINT[f"{side}_{part}"] for side in ("left", "right")], 1]))
        for part, pick in (("hip", np.max), ("ankle", np.min))
    )
    first += round(_BELOW_HIPS * height)
    other = _apart(reference.colors, cloth) > _OTHER_CLOTH
    other &= reference.mask & ~find_lower_arms(reference).area
    count, labels, stats, _ = cv2.connectedComponentsWithStats(other.astype(np.uint8), connectivity=4)
    for number in range(1, count):
        _, top, wide, high, area = (int(v) for v in stats[number])
        if top < first or top + high > last or not _LEAST < area / height**2 < _MOST or high > _HIGHEST * height:
            continue
        thing = np.asarray(labels == number)
        on_both = all((thing & _legs(reference, (side,))).any() for side in ("left", "right"))
        if on_both and area > _COMPACT * wide * high:
            radius = max(1, round(_RIM * height))
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
            return np.asarray(cv2.dilate(thing.astype(np.uint8), kernel) > 0)
    return None


def _legs(reference: ReferenceView, sides: tuple[str, ...] = ("left", "right")) -> Mask:
    """(h, w) strips along the lines from the hips to the ankles."""
    drawn = np.zeros(reference.mask.shape, np.uint8)
    width = max(1, round(2 * _LEG * reference.height_px))
    for side in sides:
        line = reference.joints[[JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")], :2]
        cv2.polylines(drawn, [np.rint(line).astype(np.int32)], False, 1, width)
    return drawn > 0


def _apart(colors: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) root mean square of the differences of log channels between (h, w, 3) and (3,)."""
    logs = np.log(np.maximum(colors, _FLOOR)) - np.log(np.maximum(other, _FLOOR))
    return np.asarray(np.sqrt((logs**2).mean(axis=2)))
