"""Hands that something hides the arms of: below a box, behind a bag, they look like a part of it."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.bare_hands import face_skin
from pipeline.scene.body import HEAD, SHIN
from pipeline.scene.samples import FEET, Sample, opened

_WIDE_BH = 0.035
"""Half of a width that no hand has, body heights."""
_PALM_BH = 0.008
"""Half of the least width of a palm: straps and handles are narrower."""
_AREA_BH2 = (0.001, 0.009)
"""Of the visible part of a hand, square body heights."""
_SHARE = 0.4
_MOST_KNOWN = 0.3
_LEAST_FACE_PX = 60
_BRIGHTNESS = (0.6, 2.5)
"""Of a hand relative to the face: it may be in the sun, and the face in the shade."""
_CHROMA_LEVELS = 14.0
"""How far its chroma may lie from that of the face, of 8-bit Lab, at the face's brightness."""
_OFF_BODY_BH = 0.15
_EDGE_PX = 2
_BESIDE_BH = 0.06
_LEAST_APART = 12.0
"""Levels of 8-bit Lab."""


def hands_at_things(things: Mask, known: Mask, sample: Sample) -> Mask:
    """Return the hands (h, w) among ``things`` (h, w): what sticks out of something wide, in the colors of the face.

    ``known`` (h, w): where the place or the color of a thing is known over time. The joints of a hidden arm are
    guesses, so that a hand is told by its size alone, and by its colors; feet are no hands.
    """
    nothing = np.zeros(things.shape, np.bool_)
    height = sample.body.height_px
    near = things & (sample.outside < _OFF_BODY_BH)
    if not near.any():
        return nothing
    room_px = 2 * round(_WIDE_BH * height) + 2
    x0, y0, x1, y1 = clipped(grown(box_of_mask(near), room_px), (near.shape[1], near.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    alike = _like_face(sample)[area] & near[area]
    if not opened(alike, max(1, round(_PALM_BH * height))).any():
        return nothing
    wide = opened(things[area], max(1, round(_WIDE_BH * height)))
    narrow = things[area] & ~wide & ~_color_of_thing(wide, sample.view.picture[area], round(_BESIDE_BH * height))
    count, labeled = cv2.connectedComponents((narrow & alike).view(np.uint8), connectivity=4)
    areas = areas_of(labeled, count)
    least, most = (limit * height**2 for limit in _AREA_BH2)
    palms = opened(narrow & alike, max(1, round(_PALM_BH * height)))
    is_hand = (areas >= least) & (areas <= most)
    is_hand &= counts_in(labeled, palms, count) >= _SHARE * areas
    is_hand &= counts_in(labeled, known[area], count) <= _MOST_KNOWN * areas
    low = sample.distances[[SHIN, FEET, HEAD]].min(axis=0) <= sample.outside
    is_hand &= counts_in(labeled, low[area], count) <= _MOST_KNOWN * areas
    is_hand[0] = False
    found = nothing
    found[area] = grow(those_of(labeled, is_hand), _EDGE_PX) & ~known[area]
    return found & things


def _color_of_thing(wide: Mask, picture: Picture, reach_px: int) -> Mask:
    """Return where a picture (h, w, 3) has the mean color of the ``wide`` things (h, w) within reach: the corner of a
    box has the color of the box."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    size = (2 * reach_px + 1, 2 * reach_px + 1)
    weight = cv2.blur(wide.astype(np.float32), size)
    mean = cv2.blur(lab * wide[..., None], size) / np.maximum(weight, np.float32(1e-6))[..., None]
    return np.asarray((weight > 0) & (np.linalg.norm(lab - mean, axis=-1) < _LEAST_APART), np.bool_)


def _like_face(sample: Sample) -> Mask:
    """Return the pixels (h, w) in the chroma of the subject's face; none where it is not seen."""
    face = face_skin(sample)
    if np.count_nonzero(face) < _LEAST_FACE_PX:
        return np.zeros(face.shape, np.bool_)
    lab = cv2.cvtColor(sample.view.picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    lightness, chroma = lab[..., 0], lab[..., 1:] - np.float32(128)
    usual = np.median(lab[face], axis=0).astype(np.float32)
    low, high = _BRIGHTNESS
    relative = lightness / max(float(usual[0]), 1.0)
    # Chroma grows with brightness.
    expected: Float32Array = (usual[1:] - np.float32(128)) * np.sqrt(relative)[..., None]
    apart = np.linalg.norm(chroma - expected, axis=-1)
    return np.asarray((relative > low) & (relative < high) & (apart < _CHROMA_LEVELS), np.bool_)
