"""Metrics over pictures, pooled over frames: PSNR, edit region, samples outside it, preserved pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
KEPT_LEVELS = 24
"""Of 255: codec and light matching change a pixel by less, different contents change it by more."""


@dataclass(slots=True)
class SquareError:
    """Pools squared differences of 8-bit samples over frames."""

    total: float = 0.0
    samples: int = 0

    def add(self, picture: NDArray[np.uint8], true: NDArray[np.uint8], where: Bools) -> None:
        """Add the pixels of (H, W, C) pictures under an (H, W) mask."""
        error = picture[where].astype(np.float64) - true[where]
        self.total += float(np.sum(error**2))
        self.samples += error.size

    @property
    def psnr_db(self) -> float:
        """PSNR of the pooled error; infinite if equal, NaN if nothing was added."""
        if not self.samples:
            return float("nan")
        return float(10 * np.log10(255**2 * self.samples / self.total)) if self.total else float("inf")


@dataclass(slots=True)
class RegionArea:
    """Areas of edit region and people, and source weight left over the subject, pooled over frames."""

    region_px: int = 0
    person_px: int = 0
    old_px: int = 0
    left: float = 0.0

    def add(self, edit_region: NDArray[np.uint8], old: Bools, layer_alpha: NDArray[np.uint8]) -> None:
        """Add one frame: ``edit_region`` is 0 where unchanged and 255 where no source is left; ``old`` is the true
        mask."""
        self.region_px += int(np.count_nonzero(edit_region))
        self.person_px += int(np.count_nonzero(old | (layer_alpha > 0)))
        self.old_px += int(np.count_nonzero(old))
        self.left += float(np.sum(1 - edit_region[old] / 255.0))

    @property
    def ratio(self) -> float:
        """Area of the edit region relative to that of (subject ∪ new layer)."""
        return self.region_px / self.person_px if self.person_px else float("nan")

    @property
    def source_left_percent(self) -> float:
        """Mean source weight over all pixels of the true masks, in per cent."""
        return 100 * self.left / self.old_px if self.old_px else float("nan")


def changed_outside(
    source: tuple[NDArray[np.generic], ...],
    result: tuple[NDArray[np.generic], ...],
    edit_region: NDArray[np.uint8],
) -> int:
    """Count the samples that differ outside the edit region, over all planes as coded.

    A sample of a subsampled plane is outside when all pixels that it covers are.
    """
    count = 0
    height, width = edit_region.shape
    for before, after in zip(source, result, strict=True):
        step_y, step_x = -(-height // before.shape[0]), -(-width // before.shape[1])
        rows = np.minimum(np.arange(before.shape[0] * step_y), height - 1)
        columns = np.minimum(np.arange(before.shape[1] * step_x), width - 1)
        inside = (edit_region > 0)[np.ix_(rows, columns)]
        touched = np.any(inside.reshape(before.shape[0], step_y, before.shape[1], step_x), axis=(1, 3))
        count += int(np.count_nonzero((before != after) & ~touched))
    return count


class KeptShare:
    """The fraction of some pixels that a job leaves unchanged, pooled over frames."""

    def __init__(self) -> None:
        self._kept = 0
        self._all = 0

    def add(self, source: NDArray[np.uint8], result: NDArray[np.uint8], pixels: Bools) -> None:
        """Add one frame, (H, W, 3) each; unchanged means differing by at most ``KEPT_LEVELS`` in every channel."""
        apart = np.abs(source[pixels].astype(np.int16) - result[pixels]).max(axis=-1, initial=0)
        self._kept += int(np.count_nonzero(apart <= KEPT_LEVELS))
        self._all += int(np.count_nonzero(pixels))

    @property
    def share(self) -> float:
        """1 where there were no such pixels."""
        return self._kept / self._all if self._all else 1.0
