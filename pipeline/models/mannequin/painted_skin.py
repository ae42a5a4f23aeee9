"""What a prompt's outfit shows on skin and helmets: hair around the cap, beards, hoods, visors, gloves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group
from pipeline.models.mannequin.hair_region import EYES_TO_CHIN
from pipeline.models.mannequin.hairline import hair_share
from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.outfit import Color, Headwear, Outfit
from pipeline.models.mannequin.srgb import linear_from_srgb

_VISOR: Color = (30, 33, 40)
_VISORS: Mapping[Headwear, tuple[float, float, float]] = {
    "visor": (-0.035, 0.05, 0.06), "greathelm": (-0.006, 0.008, 0.045),
}  # fmt: skip
"""Upper and lower edge from the eyes, and half width, standing heights."""
_SOFT = 0.004
_LEAST_COVERED = 0.02
_BELOW_SHOULDERS = 0.05
"""Skin this far below the shoulders is hands, standing heights."""
_BESIDE_FACE = (0.5, 0.62)
"""Between eyes (0) and ears (1), where a hood begins to cover the cheeks."""
_CHIN = (0.98, 1.06)
"""Between eyes (0) and chin (1), where it covers the throat."""
_MASK_OPEN = 0.3
"""Half height of a mask's slit for the eyes, in lengths from eyes to chin."""


def paint_skin(
    fine: NDArray[np.float32],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
    outfit: Outfit,
    beard: NDArray[np.float32],
) -> None:
    """Paint onto ``fine`` (T, S, 3) of the drawn triangles; ``beard`` (V,) is 0..1 of the whole figure's vertices."""
    _, weights = sample_grid()
    if not outfit.is_bald:
        _mix(fine, hair_share(figure, triangles, groups), outfit.colors["hair"])
    covered = np.einsum("sk,tk->ts", weights, beard[triangles])
    if covered.max(initial=0.0) > _LEAST_COVERED:
        _mix(fine, covered, outfit.colors.get("beard", outfit.colors["hair"]))
    if outfit.headwear not in (*_VISORS, "hood", "mask") and "gloves" not in outfit.colors:
        return
    places = np.einsum("sk,tkd->tsd", weights, figure.vertices[triangles]).astype(np.float64)
    eyes = figure.landmarks[LANDMARK["left_eye"]] * [0, 1, 1]
    if outfit.headwear in _VISORS:
        share = _visor(places - eyes, *_VISORS[outfit.headwear])
        share *= ((groups == Group.THING) & (places[..., 2].mean(1) < 0))[:, None]
        _mix(fine, share, _VISOR)
    if outfit.headwear in ("hood", "mask"):
        share = _hooded(places, figure, has_slit=outfit.headwear == "mask")
        _mix(fine, share * (groups == Group.SKIN)[:, None], outfit.colors.get("headwear", outfit.colors["upper"]))
    if "gloves" in outfit.colors:
        hands = places[..., 1] > figure.heads[BONE["upperarm1.L"], 1] + _BELOW_SHOULDERS
        _mix(fine, (hands & (groups == Group.SKIN)[:, None]).astype(np.float64), outfit.colors["gloves"])


def _visor(from_eyes: Float64Array, top: float, bottom: float, half: float) -> Float64Array:
    """(T, S) share of a window in a helmet's front; ``from_eyes`` (T, S, 3)."""
    above = (from_eyes[..., 1] - top) / _SOFT
    below = (bottom - from_eyes[..., 1]) / _SOFT
    beside = (half - np.abs(from_eyes[..., 0])) / _SOFT
    return np.asarray(np.clip(np.minimum(np.minimum(above, below), beside), 0, 1))


def _hooded(places: Float64Array, figure: Figure, *, has_slit: bool) -> Float64Array:
    """(T, S) share of cloth on the skin of head and neck."""
    eyes = figure.landmarks[LANDMARK["left_eye"]]
    ears = figure.landmarks[LANDMARK["left_ear"]]
    down = (places[..., 1] - eyes[1]) / EYES_TO_CHIN
    behind = (places[..., 2] - eyes[2]) / (ears[2] - eyes[2])
    covered = np.maximum(_ramp(behind, *_BESIDE_FACE), _ramp(down, *_CHIN))
    if has_slit:
        covered = np.maximum(covered, _ramp(np.abs(down) - _MASK_OPEN, -0.02, 0.02))
    return covered * (places[..., 1] < figure.heads[BONE["upperarm1.L"], 1])


def _ramp(value: Float64Array, low: float, high: float) -> Float64Array:
    return np.asarray(np.clip((value - low) / (high - low), 0, 1))


def _mix(fine: NDArray[np.float32], share: NDArray[np.floating], color: Color) -> None:
    paint = linear_from_srgb(np.array(color, np.float32) / np.float32(255))
    fine += share[..., None].astype(np.float32) * (paint - fine)
