"""Glasses, scarves, hoods and capes of an outfit, built on the figure at rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group
from pipeline.models.mannequin.outfit import Outfit

_LENS = (0.0135, 0.0105)
"""Half width and height of a lens, standing heights; likewise all lengths."""
_FRAME = 0.0014
"""Radius of a frame's wire: a pixel where the figure is as tall as most subjects."""
_BEFORE_FACE = 0.004
_AROUND_WIRE, _AROUND_LENS = 6, 28
_AROUND_CLOTH, _AROUND_NECK = 16, 40
_SCARF_RING, _SCARF_THICK = (0.05, 0.054), 0.017
_HOOD_RING, _HOOD_THICK, _HOOD_BEHIND = (0.058, 0.05), 0.004, 0.027
_CAPE_ROWS, _CAPE_COLUMNS = 30, 24
_CAPE_TOP, _CAPE_HEM = -0.815, -0.16
_CAPE_WIDTHS = (0.1, 0.2)
"""Half width of a cape at the shoulders and at its hem."""
_CAPE_OFF = 0.012
"""Distance from the back."""


def with_accessories(figure: Figure, outfit: Outfit) -> Figure:
    """Return the figure with an outfit's glasses and with what lies around its neck, or unchanged."""
    if outfit.glasses != "none":
        figure = _with_glasses(figure, has_dark_lenses=outfit.glasses == "dark")
    if outfit.wrap == "cape":
        return _with_cape(figure)
    if outfit.wrap != "none":
        return _with_ring(figure, lies_on_back=outfit.wrap == "hood")
    return figure


def with_surface(
    figure: Figure, points: Float64Array, triangles: NDArray[np.int64], group: Group, weights: dict[str, Float64Array]
) -> Figure:
    """Return the figure with a further surface at rest: (n, 3) points, and each one's weights (n,) by bone."""
    count = len(points)
    bones = sorted(weights)
    index = np.zeros((count, 4), np.uint8)
    weight = np.zeros((count, 4), np.float32)
    for column, bone in enumerate(bones):
        index[:, column] = BONE[bone]
        weight[:, column] = weights[bone]
    return replace(
        figure,
        vertices=np.concatenate([figure.vertices, points]).astype(np.float32),
        triangles=np.concatenate([figure.triangles, triangles + len(figure.vertices)]).astype(np.int32),
        groups=np.concatenate([figure.groups, np.full(len(triangles), group, np.uint8)]),
        bone_index=np.concatenate([figure.bone_index, index]),
        bone_weight=np.concatenate([figure.bone_weight, weight]),
        tint=np.concatenate([figure.tint, np.ones((count, 3), np.float32)]),
        occlusion=np.concatenate([figure.occlusion, np.full(count, 0.95, np.float32)]),
    )


def tube_along(
    path: Float64Array, radius: Float64Array, around: int, *, is_closed: bool
) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return points and triangles, normals outwards, of a round tube of ``radius`` (n,) along a path (n, 3)."""
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if is_closed else np.gradient(path, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-12)
    # Any direction across will do; the least aligned axis is never parallel.
    axis = np.eye(3)[np.abs(ahead).mean(0).argmin()]
    first = np.cross(ahead, axis)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    second = np.cross(ahead, first)
    angle = 2 * np.pi * np.arange(around) / around
    across = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    points = (path[:, None] + radius[:, None, None] * across).reshape(-1, 3)
    rings = len(path) if is_closed else len(path) - 1
    ring, place = np.mgrid[:rings, :around]
    a = (ring * around + place).ravel()
    b = (ring * around + (place + 1) % around).ravel()
    c = ((ring + 1) % len(path) * around + place).ravel()
    d = ((ring + 1) % len(path) * around + (place + 1) % around).ravel()
    return points, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def _with_glasses(figure: Figure, *, has_dark_lenses: bool) -> Figure:
    skin = figure.vertices[np.unique(figure.triangles[figure.groups == Group.SKIN])].astype(np.float64)
    left, right = (figure.landmarks[LANDMARK[f"{side}_eye"]].astype(np.float64) for side in ("left", "right"))
    ears = [figure.landmarks[LANDMARK[f"{side}_ear"]].astype(np.float64) for side in ("left", "right")]
    bridge = skin[(np.abs(skin[:, 0]) < 0.25 * left[0]) & (np.abs(skin[:, 1] - left[1]) < 0.3 * _LENS[1])]
    front = float(bridge[:, 2].min()) - _BEFORE_FACE
    wire = _FRAME * np.ones(_AROUND_LENS)
    angle = 2 * np.pi * np.arange(_AROUND_LENS) / _AROUND_LENS
    for eye, ear in ((left, ears[0]), (right, ears[1])):
        out = float(np.sign(eye[0]))
        x = eye[0] + out * 0.002 + _LENS[0] * np.cos(angle)
        # Lenses curve back at their outer ends.
        z = front + 0.18 * np.maximum(out * (x - eye[0]), 0)
        rim = np.stack([x, eye[1] + 0.001 + _LENS[1] * np.sin(angle), z], 1)
        figure = _with_tube(figure, rim, wire, is_closed=True)
        temple_start = rim[np.argmax(out * x)] - [0, 0.003, 0]
        ear_top = np.array([ear[0] - out * 0.001, ear[1] - 0.006, ear[2] - 0.002])
        temple = np.linspace(temple_start, ear_top, 6)
        figure = _with_tube(figure, temple, wire[:6], is_closed=False)
        if has_dark_lenses:
            figure = _with_lens(figure, rim)
    ends = [side * (abs(left[0]) + 0.002 - _LENS[0]) for side in (-1, 1)]
    bow = np.linspace(ends[0], ends[1], 5)
    over_nose = np.stack([bow, np.full(5, left[1] - 0.002), np.full(5, front - 0.001)], 1)
    return _with_tube(figure, over_nose, wire[:5], is_closed=False)


def _with_tube(figure: Figure, path: Float64Array, radius: Float64Array, *, is_closed: bool) -> Figure:
    points, triangles = tube_along(path, radius, _AROUND_WIRE, is_closed=is_closed)
    return with_surface(figure, points, triangles, Group.GLASSES, {"head": np.ones(len(points))})


def _with_lens(figure: Figure, rim: Float64Array) -> Figure:
    points = np.concatenate([rim.mean(0, keepdims=True), rim])
    around = np.arange(len(rim))
    fan = np.stack([np.zeros(len(rim), np.int64), 1 + (around + 1) % len(rim), 1 + around], 1)
    return with_surface(figure, points, fan, Group.GLASSES, {"head": np.ones(len(points))})


def _with_ring(figure: Figure, *, lies_on_back: bool) -> Figure:
    """A scarf around the neck, or a hood on the back: a ring that is thicker behind."""
    neck = figure.heads[BONE["neck"]]
    angle = 2 * np.pi * np.arange(_AROUND_NECK) / _AROUND_NECK
    behind = 0.5 + 0.5 * np.cos(angle)
    wide, deep = _HOOD_RING if lies_on_back else _SCARF_RING
    x = neck[0] + wide * np.sin(angle)
    z = neck[2] + 0.002 + deep * np.cos(angle)
    y = neck[1] + (0.012 + 0.02 * behind if lies_on_back else 0.018 * (1 - behind))
    thick = _HOOD_THICK + (_HOOD_BEHIND - _HOOD_THICK) * behind**2 if lies_on_back else np.full(len(x), _SCARF_THICK)
    points, triangles = tube_along(np.stack([x, y, z], 1), thick, _AROUND_CLOTH, is_closed=True)
    return with_surface(figure, points, triangles, Group.WRAP, {"chest": np.ones(len(points))})


def _with_cape(figure: Figure) -> Figure:
    """A sheet behind the back, which falls straight from its farthest point."""
    body = figure.vertices[np.isin(figure.bone_index[:, 0], [BONE[b] for b in ("chest", "spine1", "spine2", "pelvis")])]
    rows = np.linspace(_CAPE_TOP, _CAPE_HEM, _CAPE_ROWS)
    step = rows[1] - rows[0]
    depth = np.array([body[np.abs(body[:, 1] - row) < step, 2].max(initial=0.0) for row in rows])
    depth = np.maximum.accumulate(depth) + _CAPE_OFF
    down = (rows - rows[0]) / np.ptp(rows)
    half = _CAPE_WIDTHS[0] + (_CAPE_WIDTHS[1] - _CAPE_WIDTHS[0]) * down**0.7
    across = np.linspace(-1, 1, _CAPE_COLUMNS)
    x = half[:, None] * across
    # Around the sides it comes forward, and it has folds towards its hem.
    z = depth[:, None] - 0.045 * across**2 * (1 - down[:, None]) + 0.008 * down[:, None] * np.cos(5 * np.pi * across)
    points = np.stack([x, np.repeat(rows[:, None], _CAPE_COLUMNS, 1), z], 2).reshape(-1, 3)
    ring, place = np.mgrid[: _CAPE_ROWS - 1, : _CAPE_COLUMNS - 1]
    a = (ring * _CAPE_COLUMNS + place).ravel()
    c = a + _CAPE_COLUMNS
    triangles = np.concatenate([np.stack([a, a + 1, c], 1), np.stack([a + 1, c + 1, c], 1)])
    on_chest = np.repeat(np.clip(1 - down / 0.5, 0, 1), _CAPE_COLUMNS)
    return with_surface(figure, points, triangles, Group.WRAP, {"chest": on_chest, "pelvis": 1 - on_chest})
