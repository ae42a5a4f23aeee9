"""How the light of a shot changes: light leaks, exposure and white balance that follow the scene, lamps that are
switched on. A person's colors are compared as they were in the shot's first light, or not where a veil hides them.

The light is measured on the background that a frame shares with an earlier one of the shot, the key. A new key is taken
where little of the old one is in the picture, and passes its own light on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture, Transforms
from pipeline.datatypes.survey import Track
from pipeline.maths.geometry import invert, scaling
from pipeline.maths.reduce import reduced
from pipeline.maths.uneven_light import LightField, light_between
from pipeline.survey.color_histogram import color_histogram_of
from pipeline.survey.people import PeopleInFrame
from pipeline.survey.sudden_light import without_light

_SIZE_PX = 96
"""Longer side of the pictures that are compared: light varies smoothly, and small errors of registration average
out."""
_SAMPLED_PX = 384
"""Longer side of what is averaged to that."""
_LEAST_SHARE = 0.5
"""Of the background that a key must share with a frame."""
_LEAST_PX = 300
_DETAIL_SIGMA, _DETAIL = 0.04, 15.0
"""Of the longer side: parts whose details are compared; and what is no detail, ``without_light``."""
_LEAST_LIKENESS = 0.4
"""Correlation of the details of two pictures of one place."""
_SIGMA, _LEAST_PART = 0.07, 0.3
"""Size of the parts that are compared, of the longer side, and what of them must be known."""
_LEAST_CHANGE = 8.0
"""Gray levels by which a part becomes lighter or darker; smaller ones leave most colors in their bins."""
_MIDDLE = 128
"""The gray level whose change tells one light from another."""


@dataclass(frozen=True, slots=True, eq=False)
class _Key:
    picture: Picture
    free: Mask
    world_from_source: Transforms
    light: LightField | None
    """From the shot's first frame to this one; None where it is the same."""


class LightWatcher:
    """Takes a clip's frames in order; holds one of them at a small size."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        ratio = min(1.0, _SIZE_PX / max(size_wh))
        self._small_wh = max(8, round(size_wh[0] * ratio)), max(8, round(size_wh[1] * ratio))
        self._small_from_source = scaling(self._small_wh[0] / size_wh[0], self._small_wh[1] / size_wh[1])
        self._step = max(1, max(size_wh) // _SAMPLED_PX)
        self._key: _Key | None = None
        self._last: LightField | None = None

    def push(
        self, picture: Picture, people_mask: Mask, world_from_source: Transforms, *, is_cut: bool
    ) -> LightField | None:
        """Return how the light of the next frame (H, W, 3) differs from that of the shot's first; None where it does
        not. ``people_mask`` (H, W) is everybody in it."""
        small = reduced(picture[:: self._step, :: self._step], self._small_wh)
        people = cv2.resize(people_mask.view(np.uint8), self._small_wh, interpolation=cv2.INTER_NEAREST)
        now = _Key(small, people == 0, world_from_source, None)
        if is_cut or self._key is None:
            self._key = now
            self._last = None
            return None
        key = self._key
        to_key = self._small_from_source @ invert(key.world_from_source) @ world_from_source
        to_key = to_key @ invert(self._small_from_source)
        moved, both = self._moved(key, to_key)
        both &= now.free
        if np.count_nonzero(both) < max(_LEAST_PX, _LEAST_SHARE * np.count_nonzero(now.free)):
            self._key = _Key(now.picture, now.free, world_from_source, self._last)
            return self._last
        before = None if key.light is None else _warped(key.light, to_key, self._small_wh)
        change = _change(moved, small, both)
        if change is not None:
            before = change if before is None else before.then(change)
        self._last = before
        return before

    def _moved(self, key: _Key, to_key: Transforms) -> tuple[Picture, Mask]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpPerspective(key.picture, to_key, self._small_wh, flags=flags)
        free = cv2.warpPerspective(key.free.astype(np.uint8) * 255, to_key, self._small_wh, flags=flags)
        return np.asarray(moved, np.uint8), np.asarray(free == 255)


def _change(before: Picture, now: Picture, both: Mask) -> LightField | None:
    """Return the light that makes one small picture of a place (h, w, 3) the other; None where it is the same, or
    something else differs."""
    if not _is_lighter_or_darker(before, now, both):
        return None
    kept = both & _shows_the_same(before, now)
    if np.count_nonzero(kept) < max(_LEAST_PX, _LEAST_SHARE * np.count_nonzero(both)):
        return None
    light = light_between(before, now, kept)
    is_same = np.abs(light.gain * _MIDDLE + light.offset - _MIDDLE).max() <= _LEAST_CHANGE
    return None if is_same else light


def _shows_the_same(before: Picture, now: Picture) -> Mask:
    """Return (h, w) where two pictures have the same details, or both have none; not where something new stands."""
    grays = (np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), np.uint8) for each in (before, now))
    a, b = (without_light(gray).astype(np.float32) - 128 for gray in grays)
    sigma = _DETAIL_SIGMA * max(a.shape)
    own_a, own_b, shared = (cv2.GaussianBlur(each, (0, 0), sigma) for each in (a * a, b * b, a * b))
    is_flat = np.maximum(own_a, own_b) < _DETAIL**2
    return np.asarray(is_flat | (shared > _LEAST_LIKENESS * np.sqrt(own_a * own_b)))


def _is_lighter_or_darker(before: Picture, now: Picture, both: Mask) -> bool:
    """Return whether there are large parts of a picture in which a channel rose or fell; what moved does not matter."""
    sigma = _SIGMA * max(both.shape)
    rise = np.where(both[..., None], now.astype(np.float32) - before, 0)
    share = cv2.GaussianBlur(both.astype(np.float32), (0, 0), sigma)
    mean = np.abs(cv2.GaussianBlur(rise, (0, 0), sigma)).max(axis=2) / np.maximum(share, _LEAST_PART)
    return bool((mean > _LEAST_CHANGE).any())


def _warped(light: LightField, to_key: Transforms, size_wh: tuple[int, int]) -> LightField:
    """Return the light of a key as it lies in another frame."""
    box = 0, 0, *size_wh
    gain, offset = (_at(part, to_key, size_wh) for part in light.over(box, size_wh))
    return LightField(gain, offset)


def _at(field: Float32Array, to_key: Transforms, size_wh: tuple[int, int]) -> Float32Array:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpPerspective(field, to_key, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


class ColorsInOneLight:
    """Takes a clip's frames and people in order; gives the tracks the colors they have in the light of their shot's
    first frame."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._watcher = LightWatcher(size_wh)
        self._found: dict[int, dict[int, NDArray[np.uint8]]] = {}
        """By track and frame."""

    def push(
        self, index: int, picture: Picture, seen: PeopleInFrame, world_from_source: Transforms, *, is_cut: bool
    ) -> None:
        """Take the next frame (H, W, 3), its people and its camera motion since the shot began."""
        light = self._watcher.push(picture, seen.people_mask, world_from_source, is_cut=is_cut)
        if light is not None:
            for track_id, person in seen.people.items():
                self._found.setdefault(track_id, {})[index] = color_histogram_of(picture, person, light)

    def finish(self, tracks: Sequence[Track]) -> tuple[Track, ...]:
        """Return the tracks with their ``lit_histograms``; without where the light never changed."""
        return tuple(self._lit(track) for track in tracks) if self._found else tuple(tracks)

    def _lit(self, track: Track) -> Track:
        lit = track.color_histograms.copy()
        for frame, histogram in self._found.get(track.track_id, {}).items():
            lit[np.searchsorted(track.frames, frame)] = histogram
        return replace(track, lit_histograms=lit)
