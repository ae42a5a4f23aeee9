"""Color histograms around one plate, and the models derived from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array
from pipeline.scene.body import FOREARM, HAND, HEAD, NUM_PARTS
from pipeline.scene.colors import NUM_BINS, density, smoothed
from pipeline.scene.hair import NUM_CELLS
from pipeline.scene.hand_colors import held_in_one_hand

_LEAST_PX = 30
"""Fewer pixels of a part do not show how consistently it has a color."""
_STEADY = (0.7, 0.95)
"""Fraction of the observations of a part in which a color is present: below, a held object may have caused it; above,
it is the subject's."""
_THING_WEIGHT = 4.0
_CLUTTER = 1.5
_LOOSE_SHARE = 0.05
"""For each pixel of a color on the limbs, this many beside them are protruding cloth and hair."""
_LEAST_BESIDE_PX = 3.0
_LEAST_TELLING = 0.1
"""Weight of a color that differs from the plate as often away from the hands as near them."""
_HELD_WEIGHT = 8.0
_HELD_SHARE = 0.12
_OUTLINE_SHARE = 0.15
"""Of a color beside the hands, this much along the outline away from them: that of a long stick is less."""
_SUMS = (
    "subject", "others", "foreign", "beside", "clutter", "hair", "outline", "_breadth", "_looks", "_first", "_second",
)  # fmt: skip
_LASTING = ("head", "hands", "hands_looks")
"""What stays with a hand or the head for seconds."""


class ColorCounts:
    """Histograms of the colors seen on each part of the subject, on other people and on foreign objects."""

    def __init__(self) -> None:
        self.subject = np.zeros((NUM_PARTS, NUM_BINS))
        self.others = np.zeros(NUM_BINS)
        self.foreign = np.zeros(NUM_BINS)
        self.beside = np.zeros(NUM_BINS)
        """Within reach of the hands, off the limbs and different from the plate."""
        self.clutter = np.zeros(NUM_BINS)
        """Expected number, from what differs from the plate elsewhere."""
        self.outline = np.zeros(NUM_BINS)
        """Along the outline, away from the hands."""
        self.hair = np.zeros(NUM_BINS)
        """Beside the mask, of what moves with the head."""
        self.head = np.zeros((2, NUM_CELLS, NUM_CELLS))
        """Sums of ``head_counts``."""
        self.hands = np.zeros((3, NUM_BINS))
        """Near the left hand, near the right one, and on the rest of the body."""
        self.hands_looks = np.zeros(1)
        self._breadth = np.zeros(2)
        """Sums over the observations of a foreign object's squared width and of its width, which is its weight."""
        self._looks = np.zeros((NUM_PARTS, 1))
        self._first = np.zeros((NUM_PARTS, NUM_BINS))
        self._second = np.zeros((NUM_PARTS, NUM_BINS))
        """Moments, over the observations, of a color's fraction of its part."""

    def add_subject(self, counts: Float64Array) -> None:
        """Add one frame's pixels of the subject's parts, (parts, NUM_BINS)."""
        self.subject += counts
        total = counts.sum(axis=1, keepdims=True)
        is_seen = total >= _LEAST_PX
        shares = np.where(is_seen, smoothed(counts) / np.maximum(total, 1.0), 0.0)
        self._looks += is_seen
        self._first += shares
        self._second += shares**2

    def add_foreign(self, counts: Float64Array, breadth_bh: float) -> None:
        """Add one frame's pixels of foreign objects, and their width."""
        self.foreign += counts
        if breadth_bh > 0:
            self._breadth += breadth_bh**2, breadth_bh

    def add_beside(self, near: Float64Array, away: Float64Array, area_ratio: float) -> None:
        """Add one frame's pixels beside the subject that differ from the plate: near the hands, and away from them.

        ``area_ratio`` is the ratio of the two examined areas, near to away.
        """
        self.beside += near
        self.clutter += area_ratio * away

    def add_hands(self, counts: Float64Array | None) -> None:
        """Add one frame's ``hand_counts``."""
        if counts is not None:
            self.hands += counts
            self.hands_looks += 1.0

    def in_one_hand(self) -> Float64Array:
        """Return (NUM_BINS,) the pixels of what one hand holds, by color."""
        return held_in_one_hand(self.hands, float(self.hands_looks[0]))

    def in_hand_colors(self) -> Float32Array:
        """Return (NUM_BINS,) probabilities on what one hand holds."""
        return density(self.in_one_hand())

    def held_shares(self) -> Float64Array:
        """Return (NUM_BINS,): for each pixel of a color on the subject, how many lie near the hands and are not the
        subject's.

        Cloth stays on the limbs; an object held in front of the body at times is beside it at others.
        """
        inside = smoothed(self.subject.sum(axis=0))
        loose = _CLUTTER * smoothed(self.clutter) + _LOOSE_SHARE * inside + _LEAST_BESIDE_PX
        return np.asarray(np.maximum(smoothed(self.beside) - loose, 0.0) / (inside + 1.0), np.float64)

    def is_held(self) -> NDArray[np.bool_]:
        """Return (NUM_BINS,): the colors of held objects, whether or not they also occur on the subject."""
        return np.asarray(self.held_shares() > _HELD_SHARE, np.bool_)

    def is_surely_held(self) -> NDArray[np.bool_]:
        """Return (NUM_BINS,): those that are no colors of a blurred outline, which passes the hands, too."""
        is_outline = smoothed(self.outline) > _OUTLINE_SHARE * smoothed(self.beside)
        return np.asarray(self.is_held() & ~is_outline, np.bool_)

    @property
    def breadth_bh(self) -> float:
        """Typical radius of the largest disc inside the foreign objects, body heights; 0 where none was seen."""
        return float(self._breadth[0] / self._breadth[1]) if self._breadth[1] > 0 else 0.0

    def add(self, other: ColorCounts, weight: float) -> None:
        """Add counts from elsewhere, with a weight: of what depends on the light and on what is seen of the subject."""
        for name in _SUMS:
            getattr(self, name).__iadd__(weight * getattr(other, name))
        for name in _LASTING:
            getattr(self, name).__iadd__(getattr(other, name))

    def own_colors(self) -> Float32Array:
        """Return (parts, NUM_BINS) probabilities on the subject, without colors caused by an object held in front of
        the body.

        Such a color is present in some observations only: if that fraction is p, (mean)² / mean of squares is p.
        """
        subject = density(self.subject)
        foreign = density(self.foreign)
        steadiness = self._first**2 / np.maximum(self._looks * self._second, 1e-12)
        low, high = _STEADY
        doubt = np.clip((high - steadiness) / (high - low), 0.0, 1.0)
        # What a hand holds is present in every observation of it.
        doubt[HAND] = 1.0
        own = (
            subject * subject / (subject + _THING_WEIGHT * doubt * foreign) / (1.0 + _HELD_WEIGHT * self.held_shares())
        )
        if self.hair.any():
            own[HEAD] = np.maximum(own[HEAD], density(self.hair))
        # What lies in a hand also lies on the end of its sleeve.
        ends = [FOREARM, HAND]
        seen = smoothed(self.subject[ends]) + 1.0
        own[ends] *= seen / (seen + _HELD_WEIGHT * smoothed(self.in_one_hand()))
        # The face shows which of its colors are skin.
        own[HAND] = np.maximum(own[HAND], np.minimum(subject[HAND], subject[HEAD]))
        return np.asarray(own, np.float32)

    def foreign_colors(self) -> Float32Array:
        """Return (NUM_BINS,) probabilities on foreign objects."""
        telling = np.clip((self.beside - _CLUTTER * self.clutter) / (self.beside + 1.0), _LEAST_TELLING, 1.0)
        return density(self.foreign * telling)

    def others_colors(self) -> Float32Array:
        """Return (NUM_BINS,) probabilities on other people."""
        return density(self.others)


def faded_sum(parts: list[tuple[float, ColorCounts]]) -> ColorCounts:
    """Return the weighted sum of several histograms."""
    total = ColorCounts()
    for weight, counts in parts:
        total.add(counts, weight)
    return total
