"""The gait cycle of somebody who walks: its period, and where a leg should be by the steps before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.maths.smoothing import gaussian_smooth, velocity

ANKLE = 1
"""Row of the ankle among a leg's points."""
WALKING_BH_PER_S = 0.25
_HIP_SIGMA_SECONDS = 0.12
_STANDING_SECONDS = 0.15
_SAME_WAY = 0.8
"""Cosine of two directions of walking, and ratio of two speeds, that make steps comparable."""
_SAME_SPEED = 0.6
_STRIDES_SECONDS = np.arange(0.75, 1.6, 1 / 60)
"""From brisk to very slow walking (Murray 1967: 0.9 to 1.3 s for adults)."""
_COMPARED = (1, 2, 3)
"""Half strides between two moments that are compared. Over three of them an error of the period counts three times;
four are a period of a walk that is a third slower, too."""
_MIN_PAIRS = 20
"""Of legs that a period compares: with fewer, two moments that look alike by chance make a rhythm."""
_MISFIT_BH = 0.05
"""Two steps of one walk differ by less in the picture, guesses of hidden legs by much more: their weight in the misfit
is limited (Geman and McClure 1987)."""
_CLEAR_MISFIT = 0.62
_CLEAR = 0.82
"""Misfit at the period found, and relative to the mean over all periods, up to which there is a rhythm: walks have 0.3
to 0.6 and 0.5 to 0.8 (half of the legs hidden), people who run, jump and balance more of one or the other."""
_LEVEL = 0.6
"""Steepest way of the hips in the picture, vertical over horizontal: who jumps or crouches does not walk meanwhile."""
_DONORS = tuple(
    (halves, 2.0 ** (-abs(halves) / 2) * (1.0 if halves % 2 == 0 else 0.5)) for halves in (-4, -3, -2, -1, 1, 2, 3, 4)
)
"""Half strides away and weight. An odd number is the other leg, which looks somewhat different."""
_ALIKE_BH = 0.12
"""Ankles of the same moment of two strides differ by less."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The legs of one person over a run of frames, as far as they are known, in ``world``."""

    shapes: NDArray[np.float64]
    """(T, 2, L, 2) knee, ankle and so on, relative to each leg's own hip, body heights."""
    pace: NDArray[np.float64]
    """(T, 2) velocity of the hips, body heights per second; 0 in both where the person does not walk."""
    stands: NDArray[np.bool_]
    """(T,) where the hips hardly move, nor just before or after: at the top of a jump they rest, too."""
    seconds: NDArray[np.float64]

    def stride_seconds(self, good: NDArray[np.bool_]) -> float | None:
        """Return the period at which ``good`` (T, 2) legs repeat themselves, and each other half a period later.

        None where nobody walks, or the steps are too few or too small in the picture to tell.
        """
        misfits = []
        for stride in _STRIDES_SECONDS:
            apart = [self._apart(good, halves * stride / 2, halves % 2) for halves in _COMPARED]
            squares = np.concatenate(apart) ** 2
            misfit = squares / (squares + _MISFIT_BH**2)
            misfits.append(float(misfit.mean()) if len(misfit) >= _MIN_PAIRS else np.nan)
        known = np.isfinite(misfits)
        if not known.any():
            return None
        best = int(np.nanargmin(misfits))
        is_edge = best in (0, len(misfits) - 1)
        if is_edge or misfits[best] > min(_CLEAR_MISFIT, _CLEAR * float(np.nanmean(misfits))):
            return None
        return float(_STRIDES_SECONDS[best])

    def in_step(self, good: NDArray[np.bool_], stride_seconds: float) -> NDArray[np.float64]:
        """Return ``shapes`` as the ``good`` ones half strides and strides away predict them; NaN where none does."""
        donors = np.stack([self._later(good, halves * stride_seconds / 2, halves % 2) for halves, _ in _DONORS])
        known = np.isfinite(donors[..., 0, 0])
        # The middle one of several: a step of which the model was wrong must not spoil the others.
        middle = _median(np.where(known[..., None], donors[..., ANKLE, :], np.nan))
        alike = known & (np.linalg.norm(donors[..., ANKLE, :] - middle, axis=-1) <= _ALIKE_BH)
        weights = np.array([weight for _, weight in _DONORS])[:, None, None] * alike
        total = (weights[..., None, None] * np.nan_to_num(donors)).sum(axis=0)
        sums = weights.sum(axis=0)[..., None, None]
        return np.where(sums > 0, total / np.maximum(sums, 1e-9), np.nan)

    def _apart(self, good: NDArray[np.bool_], lag_seconds: float, other_leg: int) -> NDArray[np.float64]:
        """(N, 2): distances of knee and ankle of each good leg from those (or the other leg's) a lag later."""
        later = self._later(good, lag_seconds, other_leg)[:, :, : ANKLE + 1]
        here = np.where(good[..., None, None], self.shapes[:, :, : ANKLE + 1], np.nan)
        distances = np.linalg.norm(later - here, axis=-1)
        return distances[np.isfinite(distances).all(axis=-1)]

    def _later(self, good: NDArray[np.bool_], lag_seconds: float, other_leg: int) -> NDArray[np.float64]:
        """Return (T, 2, L, 2): the shapes a lag later, where good and walked alike; each leg's, or the other one's."""
        order = [1, 0] if other_leg else [0, 1]
        when = self.seconds + lag_seconds
        after = np.clip(np.searchsorted(self.seconds, when - 1e-9), 1, len(self.seconds) - 1)
        before = after - 1
        spacing = self.seconds[after] - self.seconds[before]
        share = np.clip((when - self.seconds[before]) / spacing, 0, 1)[:, None, None, None]
        values = (1 - share) * self.shapes[before][:, order] + share * self.shapes[after][:, order]
        inside = (when >= self.seconds[0] - 1e-9) & (when <= self.seconds[-1] + 1e-9)
        alike = self._walked_alike(np.where(share[:, 0, 0, 0] < 0.5, before, after))
        known = (inside & alike)[:, None] & (good[before] & good[after])[:, order]
        return np.where(known[..., None, None], values, np.nan)

    def _walked_alike(self, there: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(T,): whether the person walks the same way at the same speed as in the frames ``there`` (T,)."""
        speed = np.linalg.norm(self.pace, axis=1)
        slower = np.minimum(speed, speed[there])
        faster = np.maximum(speed, speed[there])
        along = (self.pace * self.pace[there]).sum(axis=1)
        return (slower > 0) & (slower > _SAME_SPEED * faster) & (along > _SAME_WAY * slower * faster)


def _median(donors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the first axis without NaN, the lower of two middle ones; NaN where all are."""
    ordered = np.sort(donors, axis=0)
    count = np.isfinite(donors).sum(axis=0)
    return np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]


def make_walk(
    legs: NDArray[np.float64],
    hips: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> Walk:
    """Return the walk of ``legs`` (T, 2, L, 2) under ``hips`` (T, 2, 2), all in ``world``, NaN where unknown."""
    shapes = (legs - hips[:, :, None]) / body_height_px[:, None, None, None]
    middle = gaussian_smooth(hips.mean(axis=1), seconds, _HIP_SIGMA_SECONDS)
    pace = np.nan_to_num(velocity(middle, seconds) / body_height_px[:, None])
    moves = np.linalg.norm(pace, axis=1) >= WALKING_BH_PER_S
    walks = moves & (np.abs(pace[:, 1]) <= _LEVEL * np.abs(pace[:, 0]))
    first = np.searchsorted(seconds, seconds - _STANDING_SECONDS)
    last = np.searchsorted(seconds, seconds + _STANDING_SECONDS, side="right")
    moments = np.concatenate([[0], np.cumsum(moves)])
    return Walk(shapes, np.where(walks[:, None], pace, 0.0), moments[last] == moments[first], seconds)
