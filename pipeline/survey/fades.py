"""Fades of the whole picture from and to one color, at the ends of a clip and around blank frames.

Each picture of such a fade is a mixture of the scene with one color: a panel over the whole picture that grows more
opaque. Its sorted values tell the mixture even though the scene moves: all quantiles lie on one line over those of a
clear picture nearby.
"""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array, Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.panels import Panels
from pipeline.media.hdr import HLG, PQ

_SHORT_SIDE = 90
"""Px of the short side that are looked at."""
_QUANTILES = np.linspace(0.04, 0.96, 14)
_BLANK_LEVELS = 1.0
"""Spread of a picture's quantiles, gray levels: less is one color."""
_LONGEST_SECONDS = 1.6
_DIM = 0.45
"""Share of the scene that the palest picture of a fade shows at most: exposure does not fall that far."""
_SETTLED = 0.05
"""Relative change of the spread over the frames after a fade."""
_SETTLED_FRAMES = 4
_LEAST_FRAMES = 2
_LARGEST_STEP = 0.6
"""Of the share, from frame to frame; more is a cut or a flash."""
_BACK = 0.03
"""By which the share may fall on the way up."""
_OFF_LINE = (2.5, 0.12)
"""RMS distance of the quantiles from their line, gray levels, and relative to what shows of their spread."""
_OFF_COLOR = 6.0
"""Gray levels by which the color may differ from frame to frame."""
_CLEAR = 0.98


class FadeFinder:
    """Takes a clip's pictures in order; keeps 42 numbers of each."""

    def __init__(self, info: VideoInfo) -> None:
        self._size_wh = info.size_wh
        self._step = max(1, min(info.size_wh) // _SHORT_SIDE)
        self._longest = max(_LEAST_FRAMES, round(_LONGEST_SECONDS * (float(info.frame_rate) or 30.0)))
        self._is_mixed_in_sdr = info.color_transfer not in (PQ, HLG)
        self._values: list[np.ndarray] = []

    def push(self, picture: Picture) -> None:
        """Take the next frame, upright RGB (H, W, 3)."""
        if not self._is_mixed_in_sdr:
            return
        values = np.sort(picture[:: self._step, :: self._step].reshape(-1, 3), axis=0)
        self._values.append(values[np.rint(_QUANTILES * (len(values) - 1)).astype(int)])

    def finish(self, shot_starts: list[int]) -> Panels | None:
        """Return one panel over the whole picture for each fade; None where there are none."""
        if not self._values:
            return None
        width, height = self._size_wh
        values = np.array(self._values, np.float64)
        firsts, courses, colors = [], [], []
        for start, stop in zip(shot_starts, [*shot_starts[1:], len(values)], strict=True):
            shot = values[start:stop]
            for is_end in (False, True):
                found = _fade_in(shot[::-1] if is_end else shot, self._longest)
                if found is None:
                    continue
                opacities, color = found
                firsts.append(stop - len(opacities) if is_end else start)
                courses.append(opacities[::-1] if is_end else opacities)
                colors.append(color)
        if not firsts:
            return None
        return Panels(
            # No edge lies in the picture.
            boxes_xyxy=np.tile([-2.0, -2.0, width + 2.0, height + 2.0], (len(firsts), 1)),
            radii_px=np.zeros(len(firsts)),
            colors=np.array(colors),
            firsts=np.array(firsts, np.int64),
            offsets=np.concatenate([[0], np.cumsum([len(course) for course in courses])]).astype(np.int64),
            opacities=np.concatenate(courses),
        )


def _fade_in(values: Float64Array, longest: int) -> tuple[Float64Array, Float64Array] | None:
    """Return the opacities (n,) in the first frames of a shot, and the color (3,), where it begins with a fade.

    ``values`` (T, Q, 3) are the quantiles of its pictures.
    """
    spreads = np.sqrt(values.var(axis=1).sum(axis=1))
    shown = np.flatnonzero(spreads > _BLANK_LEVELS)
    if not len(shown):
        return None
    first = int(shown[0])
    for end in range(first + _LEAST_FRAMES, min(first + longest, len(values) - _SETTLED_FRAMES) + 1):
        settled = spreads[end : end + _SETTLED_FRAMES]
        if np.ptp(settled) > _SETTLED * settled.max():
            continue
        if spreads[first] > _DIM * settled.mean():
            return None
        return _mixture(values[first:end], np.median(values[end : end + _SETTLED_FRAMES], axis=0), first)
    return None


def _mixture(values: Float64Array, clear: Float64Array, first: int) -> tuple[Float64Array, Float64Array] | None:
    """Return what ``_fade_in`` does where all quantiles (n, Q, 3) are mixtures of ``clear`` (Q, 3) and one color."""
    away = clear - clear.mean(axis=0)
    shares = np.einsum("tqc,qc->t", values - values.mean(axis=1, keepdims=True), away) / np.sum(away * away)
    added = values.mean(axis=1) - shares[:, None] * clear.mean(axis=0)
    off = values - shares[:, None, None] * clear - added[:, None]
    spread = float(np.sqrt(np.mean(away * away)))
    is_on_line = np.sqrt(np.mean(off * off, axis=(1, 2))) <= _OFF_LINE[0] + _OFF_LINE[1] * shares * spread
    steps = np.diff([*shares, 1.0])
    if not is_on_line.all() or steps.min() < -_BACK or steps.max() > _LARGEST_STEP:
        return None
    opacities = 1 - shares
    color = opacities @ added / float(opacities @ opacities)
    if np.abs(added - opacities[:, None] * color).max() > _OFF_COLOR:
        return None
    count = int(np.flatnonzero(shares < _CLEAR)[-1]) + 1
    return np.clip(np.concatenate([np.ones(first), opacities[:count]]), 0, 1), np.clip(color, 0, 255)
