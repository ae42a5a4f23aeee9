"""What a prompt's clothes show on their surface: shirts and ties in openings, zips, buttons, lapels, patterns.

Everything is a function of a sample's place on the figure at rest, with edges as soft as the samples are apart.
Lengths in standing heights, colors linear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.mesh_colors import STEPS
from pipeline.models.mannequin.outfit import Color, Outfit, Pattern
from pipeline.models.mannequin.srgb import linear_from_srgb

_SOFT = 0.0022
"""Width of a painted edge: the distance of samples."""
_COLLAR = 0.012
"""Distance above the neck joint at which a jacket's opening starts."""
_OPENING = (0.036, 0.15)
"""Half width at the collar and depth of a suit's opening."""
_OPEN_WIDTH = 0.034
"""Half width of an open jacket's gap."""
_COAT_GAP = 0.024
_LAPEL = 0.02
_SHIRT: Color = (220, 222, 226)
_TIE: Color = (64, 38, 48)
_GROUPS: Mapping[str, tuple[Group, ...]] = {
    "upper": (Group.UPPER, Group.SLEEVE),
    "lower": (Group.LOWER, Group.LEG),
    "hanging": (Group.SKIRT,),
}
_STRIPE, _CHECK, _DOT, _BAND = 0.026, 0.034, 0.03, 0.012
_BAND_LEVELS: Mapping[str, tuple[float, ...]] = {"upper": (-0.655, -0.585), "lower": (-0.16,), "hanging": (-0.2,)}


def paint_clothes(
    fine: NDArray[np.float32],
    places: NDArray[np.float32],
    figure: Figure,
    groups: NDArray[np.uint8],
    outfit: Outfit,
) -> None:
    """Paint an outfit's patterns and fronts onto ``fine`` (T, S, 3), whose samples are at ``places`` (T, S, 3)."""
    for part, (pattern, color) in outfit.patterns.items():
        chosen = np.isin(groups, _GROUPS[part])
        unrolled = _unrolled(places[chosen].astype(np.float64))
        _mix(fine, chosen, _PATTERNS[pattern](unrolled, part), color)
    if outfit.front == "suit" or outfit.has_tie:
        _paint_suit(fine, places, figure, groups, outfit)
    elif outfit.front != "closed":
        _paint_front(fine, places, figure, groups, outfit)


def _unrolled(places: Float64Array) -> Float64Array:
    """Return (t, S, 3) with x replaced by z on triangles that face sideways: patterns are not stretched there."""
    first, second, third = places[:, 0], places[:, STEPS], places[:, -1]
    normal = np.abs(np.cross(second - first, third - first))
    out = places.copy()
    sideways = normal[:, 0] > normal[:, 2]
    out[sideways, :, 0] = places[sideways, :, 2]
    return out


def _mix(fine: NDArray[np.float32], chosen: NDArray[np.bool_], share: Float64Array, color: Color) -> None:
    """Blend a color into the chosen triangles' samples; ``share`` (t, S) 0..1."""
    paint = _linear(color)
    fine[chosen] += share[..., None].astype(np.float32) * (paint - fine[chosen])


def _linear(color: Color) -> NDArray[np.float32]:
    return linear_from_srgb(np.array(color, np.float32) / np.float32(255))


def _darker(color: Color, factor: float) -> Color:
    return (factor * color[0], factor * color[1], factor * color[2])


def _in_front(
    places: NDArray[np.float32], figure: Figure, groups: NDArray[np.uint8]
) -> tuple[NDArray[np.bool_], Float64Array, Float64Array]:
    """Return the top's front triangles, and of their samples the distance below the collar and from the middle."""
    neck = figure.heads[BONE["neck"]]
    chosen = (groups == Group.UPPER) & (places[..., 2].mean(1) < neck[2])
    down = places[chosen][..., 1].astype(np.float64) - neck[1] + _COLLAR
    return chosen, down, np.abs(places[chosen][..., 0]).astype(np.float64)


def _paint_suit(
    fine: NDArray[np.float32],
    places: NDArray[np.float32],
    figure: Figure,
    groups: NDArray[np.uint8],
    outfit: Outfit,
) -> None:
    """Shirt and tie in a V, lapels beside it, and the jacket's edge with two buttons below."""
    chosen, down, across = _in_front(places, figure, groups)
    jacket = outfit.colors["upper"]
    edge = _OPENING[0] * (1 - down / _OPENING[1])
    if outfit.front == "suit":
        lapel_edge = edge + _LAPEL * np.clip(1.15 - down / _OPENING[1], 0, 1) + 0.004
        _mix(fine, chosen, 0.35 * _line(across - lapel_edge, 0.002) * _inside(down, -1.0, _OPENING[1]), (0, 0, 0))
        below = _inside(down, _OPENING[1], 1.0)
        _mix(fine, chosen, 0.6 * below * _line(across, 0.0014), _darker(jacket, 0.4))
        for button in (0.02, 0.075):
            spot = np.hypot(across, down - _OPENING[1] - button)
            _mix(fine, chosen, _below(spot, 0.005), _darker(jacket, 0.45))
    opening = _below(across, edge) * _inside(down, -1.0, _OPENING[1])
    _mix(fine, chosen, opening, outfit.colors.get("under", _SHIRT))
    if outfit.has_tie:
        knot = 0.011 - 0.004 * np.clip(down / 0.02, 0, 1) + 0.05 * np.clip(down - 0.02, 0, 1)
        _mix(fine, chosen, opening * _below(across, knot), outfit.colors.get("tie", _TIE))


def _paint_front(
    fine: NDArray[np.float32],
    places: NDArray[np.float32],
    figure: Figure,
    groups: NDArray[np.uint8],
    outfit: Outfit,
) -> None:
    """An open jacket with what is under it, a zip, or a row of buttons."""
    chosen, down, across = _in_front(places, figure, groups)
    top = outfit.colors["upper"]
    if outfit.front == "open":
        width = _OPEN_WIDTH * (1 - 0.35 * np.clip(down / 0.3, 0, 1))
        _mix(fine, chosen, 0.5 * _line(across - width - 0.003, 0.002), _darker(top, 0.3))
        _mix(fine, chosen, _below(across, width), outfit.colors.get("under", _SHIRT))
        # A coat hangs open as well.
        coat = (groups == Group.SKIRT) & (places[..., 2].mean(1) < figure.heads[BONE["pelvis"], 2])
        _mix(fine, coat, _below(np.abs(places[coat][..., 0]).astype(np.float64), _COAT_GAP), outfit.colors["lower"])
    elif outfit.front == "zip":
        _mix(fine, chosen, 0.7 * _below(across, 0.0022), _darker(top, 0.45))
    else:
        _mix(fine, chosen, 0.35 * _line(across - 0.007, 0.0014), _darker(top, 0.4))
        gap = np.abs((down - 0.02) % 0.05 - 0.025)
        _mix(fine, chosen, _below(np.hypot(across, 0.025 - gap), 0.0035), _darker(top, 0.55))


def _stripes(places: Float64Array, part: str) -> Float64Array:
    return _wave(places[..., 1], _STRIPE)


def _checks(places: Float64Array, part: str) -> Float64Array:
    return 0.5 * (_wave(places[..., 1], _CHECK) + _wave(places[..., 0], _CHECK))


def _dots(places: Float64Array, part: str) -> Float64Array:
    return _spots(places, _DOT, 0.3)


def _flowers(places: Float64Array, part: str) -> Float64Array:
    # Petals: spots whose radius changes with the angle.
    return np.maximum(_spots(places, 0.042, 0.3, petals=5), 0.7 * _spots(places + 0.021, 0.042, 0.14))


def _camouflage(places: Float64Array, part: str) -> Float64Array:
    x, y, z = (places[..., k] / 0.05 for k in range(3))
    field = np.sin(1.3 * x + 2.1 * np.sin(0.9 * y)) + np.sin(1.7 * y + 1.4 * np.sin(1.1 * z + 0.6 * x))
    field += np.sin(1.2 * z + 0.8 * x + 1.9 * np.sin(1.6 * y + 0.7 * x))
    blots = np.clip((field - 0.25) / 0.15, 0, 1)
    return np.maximum(blots, 0.55 * np.clip((-0.9 - field) / 0.15, 0, 1))


def _bands(places: Float64Array, part: str) -> Float64Array:
    """Reflecting tape around the trunk or the shins."""
    levels = _BAND_LEVELS[part]
    return np.max([_below(np.abs(places[..., 1] - level), _BAND) for level in levels], axis=0)


_PATTERNS: Mapping[Pattern, Callable[[Float64Array, str], Float64Array]] = {
    "stripes": _stripes, "checks": _checks, "dots": _dots, "flowers": _flowers, "camouflage": _camouflage,
    "bands": _bands,
}  # fmt: skip


def _spots(places: Float64Array, pitch: float, radius: float, petals: int = 0) -> Float64Array:
    """Share (...) of round spots in a hexagonal grid over front and back."""
    row = np.floor(places[..., 1] / pitch)
    u = places[..., 0] / pitch + 0.5 * (row % 2)
    across, down = u % 1 - 0.5, places[..., 1] / pitch - row - 0.5
    reach = radius * np.ones_like(u)
    if petals:
        reach *= 0.75 + 0.3 * np.cos(petals * np.arctan2(down, across))
    return _below(pitch * np.hypot(across, down), pitch * reach)


def _wave(value: Float64Array, period: float) -> Float64Array:
    """A square wave between 0 and 1 with soft edges."""
    distance = np.abs(value / period % 1 - 0.5) - 0.25
    return np.clip(0.5 - distance * period / _SOFT, 0, 1)


def _below(value: Float64Array, limit: Float64Array | float) -> Float64Array:
    return np.clip(0.5 + (limit - value) / _SOFT, 0, 1)


def _line(distance: Float64Array, half: float) -> Float64Array:
    return _below(np.abs(distance), half)


def _inside(value: Float64Array, low: float, high: float) -> Float64Array:
    return np.minimum(_below(value, high), 1 - _below(value, low))
