"""Match a window of painted layers to the scene's light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.joints import JOINT
from pipeline.maths.light_transfer import (
    LightDifference,
    agreed_level,
    agreed_slope,
    compare_light,
    gain_field,
    relit,
)
from pipeline.maths.smoothing import gaussian_smooth

_SMOOTH_SECONDS = 0.4
"""Over so long the level is averaged: light that changes faster is flicker of the painting."""


class WindowLight:
    """The gains that give the painted layers of one window the light in which the posed figure stands."""

    def __init__(self, window: Window, layers: Sequence[Layer | None]) -> None:
        """``layers`` are the window's, with their mattes; None where the painting is not to be compared."""
        self._window = window
        found = {
            row: difference
            for row, layer in enumerate(layers)
            if layer is not None and (difference := _compared(window, row, layer)) is not None
        }
        self._levels: NDArray[np.float64] | None = None
        if found:
            rows = np.array(sorted(found))
            seconds = window.pts_seconds
            levels = np.array([agreed_level(found[row]) for row in rows])
            smooth = gaussian_smooth(levels, seconds[rows], _SMOOTH_SECONDS) if len(rows) > 2 else levels
            self._levels = np.stack(
                [np.interp(seconds, seconds[rows], smooth[:, channel]) for channel in range(3)], axis=1
            )
            self._slope = agreed_slope(list(found.values()))

    def on(self, layer: Layer, row: int) -> Layer:
        """Return the layer of a row in the scene's light; unchanged where nothing could be compared."""
        guide = self._window.figure
        if self._levels is None or guide is None:
            return layer
        height_px = float(self._window.body_height_px[row])
        gain = gain_field(self._levels[row], self._slope, guide.normals[row], guide.silhouette[row], height_px)
        return replace(layer, picture=relit(layer.picture, gain))


def _compared(window: Window, row: int, layer: Layer) -> LightDifference | None:
    guide: FigureGuide | None = window.figure
    height_px = float(window.body_height_px[row])
    if guide is None or layer.alpha is None or not np.isfinite(height_px):
        return None
    return compare_light(
        layer.picture,
        np.asarray(layer.alpha / np.float32(255), np.float32),
        guide.layers[row].picture,
        guide.silhouette[row],
        guide.normals[row],
        window.joints[row, JOINT["nose"], :2].astype(np.float64),
        height_px,
    )
