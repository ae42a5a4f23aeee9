"""The tight matte of a generated picture: the generated person, segmented by the people backend."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.joints import ANKLES
from pipeline.maths.optical_flow import flow_between, gray_of, warp_alpha_by_flow
from pipeline.models.interfaces import PeopleBackend, SafetyBackend
from pipeline.perform.difference import with_difference
from pipeline.perform.scene_light import WindowLight

_SAFETY_SPAN = 8
_LEAST_OVERLAP = 0.5
_JOINT_SIGMA_BH = 0.08
"""Tolerance of a joint's position against the requested one, body heights: between OpenPose's sigmas of wrists and
hips."""
_SHADOW_ABOVE_BH = 0.03
"""How far above an ankle a shadow on the ground appears beside the foot, body heights."""
_EDGE_PX = 1.5
"""Standard deviation of the edge's softness."""


def cut_out(layer: Layer, window: Window, row: int, candidates: Sequence[Person]) -> Layer | None:
    """Return the layer with the matte of the person in its picture, or None where nobody has the requested pose.

    Of the people detected in the picture, ``candidates``, the one is taken whose joints best overlap those that the
    generator was given in this ``row`` of the window. Where plate and figure are known, the person's mask is completed
    by what differs from the plate. In the soft band the color is extended from the person's interior, so that the
    background does not bleed through.
    """
    joints = window.joints[row]
    body_height_px = float(window.body_height_px[row])
    scored = [(joint_overlap(person.joints, joints, body_height_px), i) for i, person in enumerate(candidates)]
    best, chosen = max(scored, default=(0.0, -1))
    if best < _LEAST_OVERLAP:
        return None
    person = candidates[chosen]
    if not person.mask.any():
        return None
    mask = person.mask
    if window.plates is not None and window.figure is not None:
        figure = window.figure.silhouette[row]
        ground_y = _ground_y(joints, body_height_px)
        mask = with_difference(mask, figure, layer.picture, window.plates[row], body_height_px, ground_y)
    return replace(with_matte(layer, mask), joints=person.joints)


def _ground_y(joints: NDArray[np.float32], body_height_px: float) -> float:
    """Return the row (px) below which shadows lie beside the feet; below the picture where no ankle is known."""
    ankles = joints[ANKLES, 1]
    known = ankles[np.isfinite(ankles)]
    return float(known.min()) - _SHADOW_ABOVE_BH * body_height_px if len(known) else float("inf")


def joint_overlap(found: NDArray[np.float32], asked: NDArray[np.float32], body_height_px: float) -> float:
    """Return 0..1: the mean over the requested joints of exp(-d² / 2σ²), as in COCO's object keypoint similarity.
    Requested joints that were not detected count 0.

    0 where none was requested.
    """
    wanted = np.isfinite(asked[:, :2]).all(axis=1) & (asked[:, 2] > 0.3)
    if not wanted.any() or not np.isfinite(body_height_px):
        return 0.0
    distance = np.linalg.norm(found[wanted, :2] - asked[wanted, :2], axis=1) / (_JOINT_SIGMA_BH * body_height_px)
    return float(np.mean(np.where(np.isfinite(distance), np.exp(-(distance**2) / 2), 0.0)))


def with_matte(layer: Layer, mask: Mask) -> Layer:
    """Return the layer with a soft alpha from a hard mask, and interior colors extended over the soft band."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _EDGE_PX)
    # The model's mask extends slightly beyond the person: the soft band lies inside.
    alpha = np.clip(alpha * 1.6 - 0.6, 0.0, 1.0)
    return replace(layer, picture=_inside_colors(layer.picture, alpha), alpha=np.rint(alpha * 255).astype(np.uint8))


def over_ground_shadow(layer: Layer, figure: Layer, silhouette: Mask) -> Layer:
    """Return the layer with the posed figure's ground shadow under it: without one a generated person floats.

    ``figure`` is the mannequin's layer, whose alpha outside its ``silhouette`` (h, w) is its shadow, in black.
    """
    assert layer.alpha is not None and figure.alpha is not None
    shadow = np.where(silhouette, np.float32(0), figure.alpha.astype(np.float32) / 255)
    alpha = layer.alpha.astype(np.float32) / 255
    total = alpha + (1 - alpha) * shadow
    # Straight (unpremultiplied) color: the person's, mixed with the black of the shadow where both overlap.
    color = layer.picture * (alpha / np.maximum(total, 1e-6))[..., None]
    return replace(
        layer, picture=np.rint(color).astype(np.uint8), alpha=np.rint(np.clip(total, 0, 1) * 255).astype(np.uint8)
    )


def flagged_runs(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (N,): the frames flagged together with their neighbors, and those in between.

    The checker is occasionally wrong in a single frame, and one pixelated frame looks like a flash: a frame counts
    where at least three of eight consecutive ones around it are flagged; then all frames from the first to the last of
    them count. Shorter windows use the same fraction.
    """
    count = len(flags)
    span = min(_SAFETY_SPAN, count)
    needed = max(1, -(-3 * span // _SAFETY_SPAN))
    held = np.zeros(count, np.bool_)
    for begin in range(count - span + 1):
        rows = begin + np.flatnonzero(flags[begin : begin + span])
        if len(rows) >= needed:
            held[rows[0] : rows[-1] + 1] = True
    return held


def propagated_matte(layer: Layer, picture_before: Picture, alpha_before: NDArray[np.uint8]) -> Layer:
    """Return the layer with the previous frame's alpha, warped by the motion of the generated picture; marked as
    such."""
    back = flow_between(gray_of(layer.picture), gray_of(picture_before))
    return replace(layer, alpha=warp_alpha_by_flow(alpha_before, back), matte_is_propagated=True)


def pixelated(layer: Layer, cells: int = 24) -> Layer:
    """Return the layer pixelated to ``cells`` along its height, where the safety checker flagged it; marked as such."""
    height, width = layer.picture.shape[:2]
    small_wh = (max(1, round(cells * width / height)), cells)
    assert layer.alpha is not None
    cover = layer.alpha[..., None].astype(np.float32) / 255
    # Weighted by alpha, so that the surroundings do not bleed into the person.
    colors = cv2.resize(layer.picture * cover, small_wh, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(cover, small_wh, interpolation=cv2.INTER_AREA)[..., None]
    squares = np.clip(colors / np.maximum(weight, 1e-6), 0, 255)
    picture = cv2.resize(np.rint(squares).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return replace(layer, picture=np.asarray(picture, np.uint8), is_pixelated=True)


def cut_out_window(layers: Sequence[Layer], window: Window, people: PeopleBackend) -> list[Layer | None]:
    """Return each layer with its matte, or None (see ``cut_out``); layers that have an alpha stay unchanged."""
    people.reset()
    painted = [row for row, layer in enumerate(layers) if layer.alpha is None]
    found: dict[int, list[Person]] = {}
    step = max(1, people.batch_frames)
    for begin in range(0, len(painted), step):
        rows = painted[begin : begin + step]
        found.update(zip(rows, people.find_batch([layers[row].picture for row in rows]), strict=True))
    return [layer if row not in found else cut_out(layer, window, row, found[row]) for row, layer in enumerate(layers)]


def _inside_colors(picture: Picture, alpha: NDArray[np.float32]) -> Picture:
    """Replace colors where alpha is soft by the mean of the nearby interior, weighted by distance (a normalized
    blur)."""
    inside = (alpha > 0.95).astype(np.float32)
    spread = 3 * _EDGE_PX
    color = cv2.GaussianBlur(picture * inside[..., None], (0, 0), spread)
    weight = cv2.GaussianBlur(inside, (0, 0), spread)
    near = color / np.maximum(weight, 1e-4)[..., None]
    soft = ((alpha > 0) & (inside == 0) & (weight > 1e-3))[..., None]
    return np.where(soft, np.clip(np.rint(near), 0, 255), picture).astype(np.uint8)


_STEADY_FRAMES = 9
"""Frames over which the median distance of the new joints from the requested ones is taken."""


_REMAKE_FRACTION = 0.15
"""Fraction of a window's frames that must fail for it to be regenerated."""
_OTHER_SEED = 7919
"""Added to the job's seed where a window is regenerated."""


class MatteMaker:
    """Makes the mattes of generated pictures, and pixelates what must not be shown; one instance per chunk."""

    def __init__(
        self, people: PeopleBackend, safety: SafetyBackend | None, *, match_light: bool = True, remakes: bool = True
    ) -> None:
        """``match_light``: the painted person gets the light in which the window's figure stands.

        Without ``remakes`` no window is generated twice.
        """
        self._people = people
        self._safety = safety
        self._matches_light = match_light
        self._remakes = remakes
        self._last: Layer | None = None
        self._beside: deque[NDArray[np.float32]] = deque(maxlen=_STEADY_FRAMES)

    def cut(
        self, window: Window, layers: Iterable[Layer], again: Callable[[int], Iterable[Layer]], seed: int
    ) -> Iterator[Layer]:
        """Yield a window's layers with their mattes.

        Where pictures would be pixelated, or nobody has the requested pose in many of them, the window is generated
        ``again`` with another seed, once, and the better of the two is taken: a single failure is not worth a window's
        cost. After a second try that was no better, the chunk's further windows are generated once. In remaining
        failures the previous frame's matte is propagated.
        """
        pictures = list(layers)
        cut = cut_out_window(pictures, window, self._people)
        flags = self._flags(pictures, len(window.finished))
        if self._remakes and (flags.any() or _failures(cut) >= _REMAKE_FRACTION * len(cut)):
            others = list(again(seed + _OTHER_SEED))
            others_cut = cut_out_window(others, window, self._people)
            others_flags = self._flags(others, len(window.finished))
            self._remakes = _badness(others_cut, others_flags) < _badness(cut, flags)
            if self._remakes:
                pictures = others
                cut = others_cut
                flags = others_flags
        # Frames finished before have their light already.
        painted = [found if picture.alpha is None else None for picture, found in zip(pictures, cut, strict=True)]
        light = WindowLight(window, painted) if self._matches_light else None
        for row, (picture, found) in enumerate(zip(pictures, cut, strict=True)):
            layer = found if found is not None else self._propagated(window, row, picture)
            if picture.alpha is None and light is not None:
                layer = light.on(layer, row)
            if picture.alpha is None and window.figure is not None:
                layer = over_ground_shadow(layer, window.figure.layers[row], window.figure.silhouette[row])
            if picture.alpha is None:
                # Frames finished before, or without the subject, are kept.
                layer = replace(layer, joints=self._steady(layer.joints, window.joints[row]))
            self._last = pixelated(layer) if flags[row] else layer
            # The next matte is propagated from this picture.
            self._picture = picture.picture
            yield self._last

    def _propagated(self, window: Window, row: int, layer: Layer) -> Layer:
        if self._last is not None and self._last.alpha is not None:
            return propagated_matte(layer, self._picture, self._last.alpha)
        # There is no previous frame: the figure's outline, or else the subject's, is the best approximation.
        outlines = window.masks if window.figure is None else window.figure.silhouette
        assert outlines is not None
        return replace(with_matte(layer, outlines[row]), matte_is_propagated=True)

    def _steady(self, found: NDArray[np.float32] | None, asked: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the new person's joints: the requested ones plus the recent median offset of the detected ones.

        Detected frame by frame they jitter by a few px; the requested ones are smooth, and the new proportions change
        slowly.
        """
        unknown = np.full((len(asked), 2), np.nan, np.float32)
        self._beside.append(found[:, :2] - asked[:, :2] if found is not None else unknown)
        recent = np.stack(self._beside)
        known = np.isfinite(recent[..., 0]).any(axis=0)
        joints = asked.copy()
        joints[known, :2] += np.nanmedian(recent[:, known], axis=0)
        return joints

    def _flags(self, pictures: list[Layer], finished: int) -> NDArray[np.bool_]:
        flags = np.zeros(len(pictures), np.bool_)
        made = [row for row, layer in enumerate(pictures) if row >= finished and layer.alpha is None]
        if self._safety is not None and made:
            flags[made] = flagged_runs(self._safety.flagged(np.stack([pictures[row].picture for row in made])))
        return flags


def _badness(cut: list[Layer | None], flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Return what is compared of two tries: pixelated frames first, as they are worse than a carried matte."""
    return int(np.count_nonzero(flags)), _failures(cut)


def _failures(cut: list[Layer | None]) -> int:
    return sum(layer is None for layer in cut)
