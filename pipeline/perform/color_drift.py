"""Color drift correction: keep layers at the new person's colors in the job's first window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.window import Layer
from pipeline.maths.light import linear_of, srgb_of

_LEAST_AREA = 0.6
"""Least area relative to the reference's: a person half out of the picture has other mean colors because the legs are
missing."""
_SHARE = 0.8
"""Fraction of a difference that is corrected; the estimate of the light may be off."""
_MOST_LAB = 12.0
"""Largest correction, Lab units (8 bit)."""
_MEMORY_FRAMES = 12
"""Frames over which the difference is averaged: a correction that follows every frame would itself flicker."""


@dataclass(frozen=True, slots=True)
class ColorReference:
    """Mean colors of the new person, and their area in px."""

    mean_lab: tuple[float, float, float]
    area_px: float
    light_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Linear light in which they were seen."""

    def lab_in(self, light_rgb: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean color (3,) in another light."""
        gain = light_rgb / np.maximum(self.light_rgb, 1e-4)
        mean = np.array([[self.mean_lab]])
        if np.allclose(gain, 1, atol=0.02):
            return mean[0, 0]
        rgb = cv2.cvtColor(np.clip(np.rint(mean), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
        changed = cv2.cvtColor(srgb_of(linear_of(rgb) * gain), cv2.COLOR_RGB2LAB)
        return changed[0, 0].astype(np.float64)


def measure_color_reference(
    layers: Iterable[tuple[int, Layer]], light: SceneLight | None = None
) -> ColorReference | None:
    """Return the color reference: the median over the layers in which the person is largest; None where they are in
    none.

    ``layers`` are (frame, layer); ``light`` is the whole clip's.
    """
    seen = [
        (area, mean, _light_rgb(light, frame))
        for frame, layer in layers
        if (area := _area(layer)) > 0 and (mean := _mean_lab(layer)) is not None
    ]
    if not seen:
        return None
    areas = np.array([area for area, _, _ in seen], np.float64)
    whole = areas >= np.median(areas)
    mean = np.median(np.array([mean for _, mean, _ in seen])[whole], axis=0)
    red, green, blue = np.median(np.array([rgb for _, _, rgb in seen])[whole], axis=0).tolist()
    return ColorReference(
        (float(mean[0]), float(mean[1]), float(mean[2])), float(areas[whole].mean()), (red, green, blue)
    )


def _light_rgb(light: SceneLight | None, frame: int) -> NDArray[np.float64]:
    """Return the (3,) strength of the light in a frame, as far as it changes over a clip."""
    if light is None:
        return np.ones(3)
    return np.asarray(light.key_rgb[frame] + light.ambient_rgb[frame], np.float64)


def correct_color_drift(
    layers: Iterable[tuple[int, Layer]], anchor: ColorReference | None, light: SceneLight | None = None
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their mean Lab color slowly pulled back to the reference's; unchanged where it is None.

    ``light`` is the whole clip's: where it changes, the reference changes with it.
    """
    drift = np.zeros(3)
    for frame, layer in layers:
        mean = _mean_lab(layer)
        if anchor is not None and mean is not None:
            if _area(layer) >= _LEAST_AREA * anchor.area_px:
                drift += (mean - anchor.lab_in(_light_rgb(light, frame)) - drift) / _MEMORY_FRAMES
            layer = _shifted(layer, -_SHARE * np.clip(drift, -_MOST_LAB, _MOST_LAB))
        yield frame, layer


def _area(layer: Layer) -> int:
    return int(np.count_nonzero(layer.alpha > 200)) if layer.alpha is not None else 0


def _mean_lab(layer: Layer) -> NDArray[np.float64] | None:
    if not _area(layer):
        return None
    assert layer.alpha is not None
    lab = cv2.cvtColor(layer.picture, cv2.COLOR_RGB2LAB)
    return lab[layer.alpha > 200].mean(axis=0)


def _shifted(layer: Layer, shift: NDArray[np.float64]) -> Layer:
    if np.abs(shift).max() < 0.5:
        return layer
    lab = cv2.cvtColor(layer.picture, cv2.COLOR_RGB2LAB).astype(np.float32) + shift.astype(np.float32)
    moved = cv2.cvtColor(np.clip(np.rint(lab), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return replace(layer, picture=np.asarray(moved, np.uint8))
