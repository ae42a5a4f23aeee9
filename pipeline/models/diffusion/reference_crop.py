"""The reference picture as an image encoder wants it: the person alone, in a square; pure."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance

_MARGIN = 0.06
"""Of the person's height."""
_GRAY = 127
_SIDE_PX = 512


def only_first_reference(appearance: Appearance) -> tuple[str, ...]:
    """Return the warning that an image encoder of one picture has for further ones."""
    if not appearance.more_references:
        return ()
    return ("of several reference pictures this generator looks at the first one only",)


def framed_reference(appearance: Appearance) -> NDArray[np.uint8] | None:
    """Return (512, 512, 3): the reference's person, cut out over gray and centred, or None without a reference.

    CLIP's preprocessing cuts a portrait to its middle square, so head and feet would be lost; and what stands
    around the person would be wanted in the picture as well.
    """
    if appearance.reference is None or appearance.reference_person is None:
        return None
    person = appearance.reference_person
    picture = appearance.reference[..., :3].astype(np.float32)
    matte = cv2.GaussianBlur(person.mask.astype(np.float32), (0, 0), 1.5)[..., None]
    alone = np.rint(picture * matte + _GRAY * (1 - matte)).astype(np.uint8)
    x0, y0, x1, y1 = person.box_xyxy
    side = max(x1 - x0, y1 - y0) * (1 + 2 * _MARGIN)
    scale = _SIDE_PX / side
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    # The warp has no area filter of its own.
    size_wh = tuple(max(1, round(length * scale)) for length in alone.shape[1::-1])
    scaled = cv2.resize(alone, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    shift = (_SIDE_PX - 1) / 2 - scale * middle
    square_from_scaled = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    framed = cv2.warpAffine(
        scaled,
        square_from_scaled,
        (_SIDE_PX, _SIDE_PX),
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_GRAY, _GRAY, _GRAY),
    )
    return np.asarray(framed, np.uint8)
