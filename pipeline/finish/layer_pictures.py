"""Visualizations of the pixel labels of a frame, in colors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.finish.inputs import FinishInputs
from pipeline.finish.surrounding_scene import find_labels
from pipeline.media.pixels import rgb_of
from pipeline.scene.layers import LABEL_COLORS, Label

OVERLAY_COLOR = (0, 255, 255)


def _color(label: Label) -> tuple[int, int, int]:
    red, green, blue = LABEL_COLORS[label].tolist()
    return red, green, blue


LEGEND: Mapping[str, tuple[int, int, int]] = {
    "the subject": _color(Label.SUBJECT),
    "other people": _color(Label.OTHERS),
    "carried": _color(Label.CARRIED),
    "static, in front of the subject": _color(Label.FRONT),
    "moves on its own": _color(Label.THING),
    "burnt-in graphics": OVERLAY_COLOR,
}
"""The meaning of each color (RGB)."""


def layer_pictures(inputs: FinishInputs, frames: Sequence[int]) -> dict[int, Picture]:
    """Return the source of some frames, ascending, tinted by the pixel labels; frames without labels are left out.

    Where several people are replaced, all of them are labeled as the subject.
    """
    pictures: dict[int, Picture] = {}
    for frame in inputs.clip.frames_at(frames):
        told = [labels for each in inputs.subjects if (labels := find_labels(each, frame)) is not None]
        if told:
            labels = told[0].copy()
            for other in told[1:]:
                labels[other == Label.SUBJECT] = Label.SUBJECT
            pictures[frame.index] = tinted(rgb_of(frame), labels, inputs.masks.overlay_mask(frame.index))
    return pictures


def tinted(picture: Picture, labels: NDArray[np.uint8] | None, overlay_mask: Mask | None = None) -> Picture:
    """Return a picture (H, W, 3) with ``labels`` (H, W) as colors over it, half and half."""
    result = picture.copy()
    if labels is not None:
        told = labels > 0
        result[told] = result[told] // 2 + LABEL_COLORS[labels[told]] // 2
    if overlay_mask is not None:
        result[overlay_mask] = picture[overlay_mask] // 2 + np.array(OVERLAY_COLOR, np.uint8) // 2
    return result
