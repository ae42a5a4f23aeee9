"""Lay translucent panels over a picture, and take them away again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.datatypes.arrays import Float32Array
from pipeline.datatypes.panels import Panel
from pipeline.maths.boxes import Box

_LEAST_LEFT = 0.1
"""Least share of what is beneath a panel that is still restored: less is lost in the coding."""


def panel_weight(panel: Panel, box_xyxy: Box) -> Float32Array:
    """Return the opacity (h, w) of a panel in each pixel of a box, with soft edges.

    The signed distance to a rounded rectangle is that to the rectangle inset by the radius, minus the radius.
    """
    x0, y0, x1, y1 = panel.box_xyxy
    radius = min(panel.radius_px, (x1 - x0) / 2, (y1 - y0) / 2)
    columns = np.arange(box_xyxy[0], box_xyxy[2], dtype=np.float32) + np.float32(0.5)
    rows = np.arange(box_xyxy[1], box_xyxy[3], dtype=np.float32) + np.float32(0.5)
    across = np.maximum(x0 + radius - columns, columns - (x1 - radius))[None, :]
    down = np.maximum(y0 + radius - rows, rows - (y1 - radius))[:, None]
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    distance = outside + np.minimum(np.maximum(across, down), 0) - radius
    return np.asarray(np.clip(0.5 - distance, 0, 1) * panel.opacity, np.float32)


def beneath_panel(values: Float32Array, weight: Float32Array, color: float) -> Float32Array:
    """Return what lies beneath a panel of one ``color`` and ``weight`` (h, w) in a plane of values (h, w)."""
    left = np.maximum(1 - weight, np.float32(_LEAST_LEFT))
    return np.asarray((values - weight * np.float32(color)) / left, np.float32)


def with_panels(picture: Float32Array, panels: Sequence[Panel], box_xyxy: Box) -> Float32Array:
    """Return a picture (h, w, 3) of a box with panels over it."""
    result = picture.astype(np.float32)
    for panel in panels:
        weight = panel_weight(panel, box_xyxy)[..., None]
        result += weight * (np.asarray(panel.color, np.float32) - result)
    return result


def without_panels(picture: Float32Array, panels: Sequence[Panel], box_xyxy: Box) -> Float32Array:
    """Return a picture (h, w, 3) of a box as it was beneath its panels."""
    result = picture.astype(np.float32)
    for panel in reversed(panels):
        weight = panel_weight(panel, box_xyxy)
        for channel, color in enumerate(panel.color):
            result[..., channel] = beneath_panel(result[..., channel], weight, color)
    return result
