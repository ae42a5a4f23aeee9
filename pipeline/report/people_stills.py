"""Stills of the people of a clip: the frame in which a person is best visible, with their box and number drawn into
it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import FrameSource
from pipeline.media.pixels import rgb_of
from pipeline.mode_results import PersonReport
from pipeline.runtime.callbacks import Check
from pipeline.workspace.pictures import write_png

LONG_SIDE_PX = 960
"""Largest size of a still, which is only for viewing."""
_THIS_RGB = (255, 214, 0)
_OTHER_RGB = (200, 200, 200)
_INK_RGB = (0, 0, 0)


def write_people_stills(
    folder: Path, clip: FrameSource, people: Sequence[PersonReport], check: Check = lambda: None
) -> list[Path]:
    """Write ``person_NN.png`` for each person; return the paths in their order. Raises ``OSError`` on a full disk."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = sorted({person.still_frame for person in people})
    paths: dict[int, Path] = {}
    for frame in clip.frames_at(frames):
        check()
        picture = rgb_of(frame)
        for person in people:
            if person.still_frame == frame.index:
                paths[person.number] = folder / f"person_{person.number:02d}.png"
                write_png(paths[person.number], person_still(picture, person)[..., ::-1])
    return [paths[person.number] for person in people]


def person_still(picture: Picture, person: PersonReport) -> Picture:
    """Return a downscaled copy of the upright frame with everybody's box and number; this person's is highlighted."""
    height, width = picture.shape[:2]
    scale = min(1.0, LONG_SIDE_PX / max(width, height))
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    still = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA) if scale < 1 else picture.copy()
    for other in person.others:
        _draw_box(still, other.box_xyxy, other.number, scale, _OTHER_RGB, line_px=1)
    _draw_box(still, person.box_xyxy, person.number, scale, _THIS_RGB, line_px=3)
    return still


def _draw_box(
    still: Picture,
    box_xyxy: tuple[float, float, float, float],
    number: int,
    scale: float,
    color: tuple[int, int, int],
    line_px: int,
) -> None:
    height, width = still.shape[:2]
    # Boxes may extend beyond the picture; their outline is kept visible.
    limits = np.array([width, height, width, height]) - 1
    x0, y0, x1, y1 = np.clip(np.rint((np.array(box_xyxy) + 0.5) * scale - 0.5), 0, limits).astype(int).tolist()
    cv2.rectangle(still, (x0, y0), (x1, y1), color, line_px)
    size = max(0.5, min(width, height) / 600)
    stroke = max(1, round(2 * size))
    (text_wide, text_high), below = cv2.getTextSize(str(number), cv2.FONT_HERSHEY_SIMPLEX, size, stroke)
    pad = max(2, round(4 * size))
    left = min(x0, max(0, width - text_wide - 2 * pad))
    top = min(y0, max(0, height - text_high - below - 2 * pad))
    cv2.rectangle(
        still, (left, top), (left + text_wide + 2 * pad, top + text_high + below + 2 * pad), color, cv2.FILLED
    )
    cv2.putText(
        still,
        str(number),
        (left + pad, top + pad + text_high),
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        _INK_RGB,
        stroke,
        cv2.LINE_AA,
    )
