"""Color drift correction: keep layers at the new person's colors in the job's first window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer

_LEAST_AREA = 0.6
"""Least area relative to the reference's: a person half out of the picture has other mean colors because the legs are
missing."""
_SHARE = 0.8
"""Fraction of a difference that is corrected; the scene's light may change as well."""
_MOST_LAB = 12.0
"""Largest correction, Lab units (8 bit)."""
_MEMORY_FRAMES = 12
"""Frames over which the difference is averaged: a correction that follows every frame would itself flicker."""


@dataclass(frozen=True, slots=True)
class ColorReference:
    """Mean colors of the new person, and their area in px."""

    mean_lab: tuple[float, float, float]
    area_px: float


def measure_color_reference(layers: Iterable[Layer]) -> ColorReference | None:
    """Return the color reference: the median over the layers in which the person is largest; None where they are in
    none."""
    seen = [(area, mean) for layer in layers if (area := _area(layer)) > 0 and (mean := _mean_lab(layer)) is not None]
    if not seen:
        return None
    areas = np.array([area for area, _ in seen], np.float64)
    whole = areas >= np.median(areas)
    mean = np.median(np.array([mean for _, mean in seen])[whole], axis=0)
    return ColorReference((float(mean[0]), float(mean[1]), float(mean[2])), float(areas[whole].mean()))


def correct_color_drift(
    layers: Iterable[tuple[int, Layer]], anchor: ColorReference | None
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their mean Lab color slowly pulled back to the reference's; unchanged where it is None."""
    drift = np.zeros(3)
    for frame, layer in layers:
        mean = _mean_lab(layer)
        if anchor is not None and mean is not None:
            if _area(layer) >= _LEAST_AREA * anchor.area_px:
                drift += (mean - np.array(anchor.mean_lab) - drift) / _MEMORY_FRAMES
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
