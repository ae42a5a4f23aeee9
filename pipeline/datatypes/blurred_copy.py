"""A blurred, enlarged copy of a picture that an editor put behind it, to fill another shape of frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BlurredCopy:
    """How a frame's place ``scale * place + offset`` shows a place of the picture; places in px of the frame, in which
    the first pixel reaches from 0 to 1."""

    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]
    sigma_px: float
    """Of the Gaussian blur, after the enlargement."""
    gain: float
    """Contrast of the copy against the picture's."""

    def scaled(self, factors_xy: tuple[float, float]) -> BlurredCopy:
        """Return it for frames of ``factors_xy`` times the size."""
        x, y = factors_xy
        offset = self.offset_xy[0] * x, self.offset_xy[1] * y
        return BlurredCopy(self.scale_xy, offset, self.sigma_px * float(np.sqrt(x * y)), self.gain)


def copy_table(copies: Sequence[BlurredCopy | None]) -> NDArray[np.float64]:
    """Return (B, 6) the scales, offsets, blur and gain of some copies; NaN for None."""
    rows = [
        [np.nan] * 6 if copy is None else [*copy.scale_xy, *copy.offset_xy, copy.sigma_px, copy.gain] for copy in copies
    ]
    return np.array(rows, np.float64).reshape(-1, 6)


def copy_of_row(row: NDArray[np.float64]) -> BlurredCopy | None:
    """Return the copy of a row of ``copy_table``."""
    across, down, x, y, sigma_px, gain = row.tolist()
    return None if np.isnan(gain) else BlurredCopy((across, down), (x, y), sigma_px, gain)
