"""The new person's motion from frame to frame in the crop, taken from the posed figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Plan
from pipeline.datatypes.window import Layer
from pipeline.models.interfaces import FigureBackend
from pipeline.perform.generate import window_of_plan


def with_motion(
    layers: Iterable[tuple[int, Layer]], plan: Plan, pts_seconds: NDArray[np.float64], figure: FigureBackend
) -> Iterator[tuple[int, Layer, NDArray[np.float32]]]:
    """Yield (frame, layer, motion) for layers in frame order; see ``FigureBackend.motion``."""
    for frame, layer in layers:
        if frame == 0:
            width, height = plan.crop.size_wh
            yield frame, layer, np.full((height, width, 2), np.nan, np.float32)
            continue
        yield frame, layer, figure.motion(window_of_plan(plan, frame - 1, frame + 1, pts_seconds))
