"""Fades of the whole picture from and to one color, at the ends of a clip, around blank frames, and within a shot that
dips to a color or flashes.

Each picture of such a fade is a mixture of the scene with one color: a panel over the whole picture that grows more
opaque. Its sorted values tell the mixture even though the scene moves: all quantiles lie on one line over those of a
clear picture nearby.
"""

from __future__ import annotations

from collections.abc import Iterator

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
_DEEP = 0.7
"""Largest share that the palest picture of a dip or flash within a shot shows."""
_PALER = 0.02
"""Relative step of the spread by which a dip goes on."""
_BLACK, _WHITE = 15.0, 225.0
"""Colors of a dip or flash; in a pan the blurred picture comes closer to its own mean."""
_SAME = 0.25
"""Most by which the spreads before and after a dip may differ, relative to the larger one."""


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
        values = picture[:: self._step, :: self._step].reshape(-1, 3)
        ranks = np.rint(_QUANTILES * (len(values) - 1))
        # Bytes are counted faster than sorted.
        ends = (np.cumsum(np.bincount(channel, minlength=256)) for channel in values.T)
        self._values.append(np.stack([np.searchsorted(end, ranks, side="right") for end in ends], axis=1))

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
            for first, opacities, color in _dips(shot, self._longest):
                firsts.append(start + first)
                courses.append(opacities)
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
    spreads = _spreads(values)
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
        mixture = _mixture(values[first:end], np.median(values[end : end + _SETTLED_FRAMES], axis=0))
        if mixture is None:
            return None
        shares, color = mixture
        steps = np.diff([*shares, 1.0])
        if steps.min() < -_BACK or steps.max() > _LARGEST_STEP:
            return None
        count = int(np.flatnonzero(shares < _CLEAR)[-1]) + 1
        return np.clip(np.concatenate([np.ones(first), 1 - shares[:count]]), 0, 1), color
    return None


def _dips(values: Float64Array, longest: int) -> Iterator[tuple[int, Float64Array, Float64Array]]:
    """Yield first frame, opacities (n,) and color (3,) of each time in a shot when it dips to one color, or flashes,
    and returns. ``values`` (T, Q, 3) are the quantiles of its pictures."""
    spreads = _spreads(values)
    done = 0
    for frame in range(_SETTLED_FRAMES, len(spreads) - _SETTLED_FRAMES):
        usual = float(np.quantile(spreads[max(frame - longest, 0) : frame + longest + 1], 0.75))
        if frame < done or spreads[frame] >= _DEEP * usual:
            continue
        first, end = frame, frame + 1
        while first > done and spreads[first - 1] > spreads[first] + _PALER * usual:
            first -= 1
        while end < len(spreads) and (
            spreads[end - 1] < _DEEP * usual or spreads[end] > spreads[end - 1] + _PALER * usual
        ):
            end += 1
        # The last frame that was paler than the one after it is clear again.
        first, end = first + 1, end - 1
        done = end + 1
        if not _SETTLED_FRAMES <= first < end <= min(first + longest, len(spreads) - _SETTLED_FRAMES):
            continue
        sides = [np.median(values[part], axis=0) for part in _beside(first, end)]
        before, after = _spreads(np.stack(sides)).tolist()
        if abs(before - after) > _SAME * max(before, after):
            continue
        way = ((np.arange(end - first) + 1) / (end - first + 1))[:, None, None]
        mixture = _mixture(values[first:end], (1 - way) * sides[0] + way * sides[1])
        if mixture is not None and (mixture[1].max() <= _BLACK or mixture[1].min() >= _WHITE):
            yield first, np.clip(1 - mixture[0], 0, 1), mixture[1]


def _beside(first: int, end: int) -> tuple[slice, slice]:
    return slice(first - _SETTLED_FRAMES, first), slice(end, end + _SETTLED_FRAMES)


def _spreads(values: Float64Array) -> Float64Array:
    """Return (T,) the spread of each picture's quantiles (T, Q, 3)."""
    return np.asarray(np.sqrt(values.var(axis=1).sum(axis=1)))


def _mixture(values: Float64Array, clear: Float64Array) -> tuple[Float64Array, Float64Array] | None:
    """Return (n,) the share of the scene in some pictures and the color (3,), where all their quantiles (n, Q, 3) are
    mixtures of ``clear`` ones (Q, 3), or (n, Q, 3), with it."""
    clear = np.broadcast_to(clear, values.shape)
    middle = clear.mean(axis=1, keepdims=True)
    away = clear - middle
    sizes = np.sum(away * away, axis=(1, 2))
    shares = np.einsum("tqc,tqc->t", values - values.mean(axis=1, keepdims=True), away) / sizes
    added = values.mean(axis=1) - shares[:, None] * middle[:, 0]
    off = values - shares[:, None, None] * clear - added[:, None]
    spreads = np.sqrt(sizes / away[0].size)
    is_on_line = np.sqrt(np.mean(off * off, axis=(1, 2))) <= _OFF_LINE[0] + _OFF_LINE[1] * shares * spreads
    if not is_on_line.all():
        return None
    opacities = 1 - shares
    color = opacities @ added / float(opacities @ opacities)
    if np.abs(added - opacities[:, None] * color).max() > _OFF_COLOR:
        return None
    return shares, np.clip(color, 0, 255)
