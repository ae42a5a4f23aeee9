"""The reference picture as an image encoder expects it: the person alone, in a square."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.survey import Person
from pipeline.joints import JOINT, SHOULDERS
from pipeline.maths.head import face_is_seen, head_square

_MARGIN = 0.06
"""Margin, as a fraction of the person's height."""
GRAY = 127
WHITE = 255
_SIDE_PX = 512
_FACE_HEADS = 1.5
"""Side of the face's square, head heights."""
_NOSE_TO_SHOULDERS_BH = 0.11
"""From the nose to the middle of the shoulders, body heights."""


def only_first_reference(appearance: Appearance) -> tuple[str, ...]:
    """Return the warning of an image encoder for one picture about further ones."""
    if not appearance.more_references:
        return ()
    return ("of several reference pictures this generator uses only the first",)


def framed_reference(appearance: Appearance, backdrop: int = GRAY) -> NDArray[np.uint8] | None:
    """Return (512, 512, 3): the reference's person, cut out over a plain backdrop and centered; None without one.

    CLIP's preprocessing crops a portrait to its center square, so head and feet would be lost; and the person's
    surroundings would be reproduced as well.
    """
    if appearance.reference_person is None:
        return None
    x0, y0, x1, y1 = appearance.reference_person.box_xyxy
    side = max(x1 - x0, y1 - y0) * (1 + 2 * _MARGIN)
    return _square(appearance, np.array([(x0 + x1) / 2, (y0 + y1) / 2]), side, backdrop)


def framed_face(appearance: Appearance) -> NDArray[np.uint8] | None:
    """Return (512, 512, 3): the reference's head, likewise; None where its face is not visible."""
    person = appearance.reference_person
    if person is None or not face_is_seen(person.joints, person.skeleton):
        return None
    x, y, side = head_square(person.joints, _body_height_px(person), _FACE_HEADS)
    return _square(appearance, np.array([x, y]), float(side), GRAY)


def _body_height_px(person: Person) -> float:
    """Return the person's height, from the distance between nose and shoulders, or from the box where they are not
    visible.

    A reference may show only a bust, whose box says nothing about the body.
    """
    shoulders = person.joints[SHOULDERS]
    nose = person.joints[JOINT["nose"], :2]
    if np.isfinite(shoulders[:, :2]).all() and (shoulders[:, 2] > 0.3).all():
        return float(np.linalg.norm(shoulders[:, :2].mean(axis=0) - nose)) / _NOSE_TO_SHOULDERS_BH
    return float(person.box_xyxy[3] - person.box_xyxy[1])


def _square(appearance: Appearance, middle: NDArray[np.float64], side: float, backdrop: int) -> NDArray[np.uint8]:
    """Cut a square out of the reference, with the person alone."""
    assert appearance.reference is not None and appearance.reference_person is not None
    person = appearance.reference_person
    picture = appearance.reference[..., :3].astype(np.float32)
    matte = cv2.GaussianBlur(person.mask.astype(np.float32), (0, 0), 1.5)[..., None]
    alone = np.rint(picture * matte + backdrop * (1 - matte)).astype(np.uint8)
    scale = _SIDE_PX / side
    reduced = min(scale, 1.0)
    if reduced < 1:
        # The warp has no area filter of its own.
        size_wh = tuple(max(1, round(length * reduced)) for length in alone.shape[1::-1])
        alone = np.asarray(cv2.resize(alone, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    enlarged = scale / reduced
    shift = (_SIDE_PX - 1) / 2 - scale * middle
    square_from_reduced = np.array([[enlarged, 0.0, shift[0]], [0.0, enlarged, shift[1]]])
    framed = cv2.warpAffine(
        alone,
        square_from_reduced,
        (_SIDE_PX, _SIDE_PX),
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(backdrop,) * 3,
    )
    return framed
