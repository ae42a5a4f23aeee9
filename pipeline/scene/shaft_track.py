"""The shafts that the hands hold, over time: where one is to be looked for in a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.scene.shafts import ANY_DEG, Shaft

_NEAR_SECONDS = 0.5
_LEAST_NEAR = 3
"""As many other sightings nearby must agree: an edge of a sleeve is straight for a moment, too."""
_COLOR_LEVELS = 40.0
"""How far apart the colors of one shaft lie in 8-bit Lab, in the sun and in the shade."""
_DRIFT_DEG_PER_SECOND = 125.0
_SCATTER_DEG = 8.0
_LONGEST_GAP_SECONDS = 1.5
_BEYOND_SECONDS = 1.0
"""Before the first and after the last sighting; farther from the next one its angle is unknown."""
_LONGEST_SECONDS = 3.0
"""A thing whose shaft is not seen for longer may have been put down."""
_WIDENING_DEG_PER_SECOND = 30.0
_COLOR_SIGHTINGS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ShaftTracks:
    """The shafts seen in N frames, ascending; those that nothing near in time agrees with are left out."""

    rate: float
    """Frames per second."""
    shot_starts: NDArray[np.int64]
    """Ascending."""
    frames: NDArray[np.int64]
    """(N,)."""
    sides: NDArray[np.int64]
    """(N,) ``Shaft.side``."""
    angles_deg: NDArray[np.float64]
    """(N,) ``Shaft.angle_deg``."""
    widths_bh: NDArray[np.float64]
    """(N,)."""
    labs: NDArray[np.float32]
    """(N, 3)."""

    @classmethod
    def of(cls, seen: list[tuple[int, Shaft]], shot_starts: NDArray[np.int64], rate: float) -> ShaftTracks:
        """Return the tracks of shafts ``seen``, each with its frame, in ascending order."""
        tracks = cls(
            rate,
            np.asarray(shot_starts, np.int64),
            np.array([frame for frame, _ in seen], np.int64),
            np.array([shaft.side for _, shaft in seen], np.int64),
            np.array([shaft.angle_deg for _, shaft in seen], np.float64),
            np.array([shaft.width_bh for _, shaft in seen], np.float64),
            np.array([shaft.lab for _, shaft in seen], np.float32).reshape(-1, 3),
        )
        return tracks._of_those([tracks._is_confirmed(number) for number in range(len(seen))])

    def expected(self, frame: int) -> list[tuple[Shaft, float]]:
        """Return the shafts to look for in a frame, each with the tolerance of its angle in degrees: ``ANY_DEG`` where
        its angle is unknown."""
        same_shot = self._shots == np.searchsorted(self.shot_starts, frame, side="right")
        found = [self._expected(frame, np.flatnonzero((self.sides == side) & same_shot)) for side in (0, 1)]
        return [each for each in found if each is not None]

    def _expected(self, frame: int, which: NDArray[np.int64]) -> tuple[Shaft, float] | None:
        """Return the shaft to look for, given those in the same hand."""
        if not len(which):
            return None
        frames = self.frames[which]
        after = int(np.searchsorted(frames, frame))
        before = max(after - 1, 0) if after == len(frames) or frames[after] != frame else after
        after = min(after, len(frames) - 1)
        gap = int(frames[after] - frames[before])
        away = int(np.abs(frames[[before, after]] - frame).min())
        if away > _LONGEST_SECONDS * self.rate:
            return None
        share = float(np.clip((frame - frames[before]) / max(gap, 1), 0, 1))
        ends = self.angles_deg[which[[before, after]]]
        angle = float(ends[0] + share * _turn(np.diff(ends))[0])
        nearest = which[np.argsort(np.abs(frames - frame), kind="stable")[:_COLOR_SIGHTINGS]]
        width = float(np.median(self.widths_bh[nearest]))
        color = np.median(self.labs[nearest], axis=0).astype(np.float32)
        tolerance = _SCATTER_DEG + _WIDENING_DEG_PER_SECOND * away / self.rate
        if gap > _LONGEST_GAP_SECONDS * self.rate or away > _BEYOND_SECONDS * self.rate:
            tolerance = ANY_DEG
        return Shaft(int(self.sides[which[0]]), angle % 180, width, color), tolerance

    @property
    def _shots(self) -> NDArray[np.int64]:
        """(N,) the shot of each frame."""
        return np.searchsorted(self.shot_starts, self.frames, side="right")

    def _is_confirmed(self, number: int) -> bool:
        """Return whether enough others near in time, in the same hand, have nearly the same angle
        and color."""
        apart = np.abs(self.frames - self.frames[number]) / self.rate
        same = (self.sides == self.sides[number]) & (self._shots == self._shots[number])
        same &= (apart > 0) & (apart <= _NEAR_SECONDS)
        same &= np.linalg.norm(self.labs - self.labs[number], axis=1) <= _COLOR_LEVELS
        turned = np.abs(_turn(self.angles_deg - self.angles_deg[number]))
        return bool(np.count_nonzero(same & (turned <= _SCATTER_DEG + _DRIFT_DEG_PER_SECOND * apart)) >= _LEAST_NEAR)

    def _of_those(self, kept: list[bool]) -> ShaftTracks:
        which = np.array(kept, np.bool_)
        return replace(
            self,
            frames=self.frames[which],
            sides=self.sides[which],
            angles_deg=self.angles_deg[which],
            widths_bh=self.widths_bh[which],
            labs=self.labs[which],
        )

    def save(self, path: Path) -> None:
        """Write the tracks, where there are any."""
        if len(self.frames):
            np.savez(
                path,
                rate=np.float64(self.rate),
                shot_starts=self.shot_starts,
                frames=self.frames,
                sides=self.sides,
                angles_deg=self.angles_deg,
                widths_bh=self.widths_bh,
                labs=self.labs,
            )

    @classmethod
    def load(cls, path: Path) -> ShaftTracks:
        """Read what ``save`` wrote; no tracks where there is no file."""
        if not path.exists():
            return cls.of([], np.zeros(0, np.int64), 1.0)
        with np.load(path) as saved:
            values = (saved[name] for name in ("shot_starts", "frames", "sides", "angles_deg", "widths_bh", "labs"))
            return cls(float(saved["rate"]), *values)


def _turn(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest turns between two lines, -90 to 90 degrees."""
    return np.asarray((degrees + 90.0) % 180.0 - 90.0)
