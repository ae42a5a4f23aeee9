"""Skirts, coats, long hair and headwear of an outfit without a reference picture, as surfaces of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import ANKLES, HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import LANDMARK, Figure, Group, Pose
from pipeline.models.mannequin.hair_region import EYES_TO_CHIN, HairRegion
from pipeline.models.mannequin.hanging import Hanging, with_hanging
from pipeline.models.mannequin.long_hair import with_long_hair
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.raster import skin
from pipeline.models.mannequin.row_tube import RowTube, with_thing
from pipeline.models.mannequin.skeleton import relaxed_skeleton

_PX = 1000.0
"""Height of the picture in which everything is designed: one px is a thousandth of the figure."""
_MIDDLE, _GROUND = 500.0, 1040.0
_ABOVE_HIPS = 55
_FLARE = 0.32
"""By what fraction a cloth is wider at its hem than at the hips."""
_BELOW_KNEE, _ABOVE_ANKLE = 25, 25
_HAIR_WIDE, _HAIR_BELOW_CHIN = 0.9, 1.3
"""Half width of long hair, and its length below the chin, in lengths from eyes to chin."""
_HOOD_WIDE, _HOOD_BELOW_CHIN = 0.8, 0.3
_HAIR_THICK = 5
"""How far long hair lies over the skull above the eyes, px."""
_TUCKED = 0.66
"""Fraction of its radius at which a curtain starts, so that its corners are under the cap."""
_DOMES = {
    "hat": (53, 34), "cap": (50, 5), "beanie": (51, 9), "helmet": (60, 14), "hood": (52, 6), "mask": (52, 6),
    "visor": (78, 24), "greathelm": (64, 14),
}  # fmt: skip
"""Half width and height over the head, px."""
_BRIM, _BRIM_HIGH = 98, 9
_PEAK = (36, 52)
"""Half width of a cap's peak, and how far it reaches out, px."""
_ABOVE_EYES = {
    "hat": 26, "cap": 27, "beanie": 24, "helmet": 26, "hood": 14, "mask": 14, "visor": -85, "greathelm": -85,
}  # fmt: skip
"""How far above the eyes headwear ends, px."""
_CLOSED = ("visor", "greathelm")
"""Headwear that is around the whole head."""
_DEPTH = 1.22
"""Depth over width of what fits a skull."""
_AFRO = (84, 42, 14)
"""Half width, height over the head and distance behind its middle, px."""
_TAIL = (24, 150)
"""Half width and length of a ponytail, px."""
_BUN, _BUN_HIGH = 22, 36
"""Its radius and its height over the eyes, px."""
_OPEN = np.float32(0.85)
"""Least openness to the sky of bare limbs: what is baked for them is the dark inside of long legs and sleeves."""
_SHORTS_END = -0.325
"""Height of the hem of short trousers, standing heights: above the knee's lower edge, where skin begins under it."""
_WIDEST_BELOW = 130
"""Rows from the waist down in which the hips are the widest place."""
_OVER_SKIRT = 0.012
"""How far a tucked top reaches over the upper edge of what hangs, standing heights."""


def with_worn(figure: Figure, outfit: Outfit) -> Figure:
    """Return the figure with what hangs around its legs and head in an outfit, or unchanged."""
    if outfit.hanging == "none" and outfit.hair_style == "short" and outfit.headwear == "none":
        return figure
    skeleton = relaxed_skeleton(figure) * _PX + [_MIDDLE, _GROUND, 0.0]
    pose = Poser(figure).pose(skeleton.astype(np.float32), _PX)
    linear, offset = pose.linear.astype(np.float32), pose.offset.astype(np.float32)
    places = skin(figure.vertices, figure.bone_index, figure.bone_weight, linear, offset)
    body = figure
    scalp = places[np.unique(body.triangles[body.groups == Group.HAIR])].astype(np.float64)
    eyes = _eyes(body, pose)
    if outfit.headwear in ("hood", "mask"):
        curtain = _curtain(scalp, eyes, skeleton, _HOOD_WIDE, _HOOD_BELOW_CHIN)
        figure = with_long_hair(figure, pose, places, 1.0, 0.0, curtain, _PX, Group.THING, _TUCKED)
    elif outfit.hair_style == "long":
        curtain = _curtain(scalp, eyes, skeleton, _HAIR_WIDE, _HAIR_BELOW_CHIN)
        figure = with_long_hair(figure, pose, places, 1.0, 0.0, curtain, _PX, tucked=_TUCKED)
    elif outfit.hair_style != "short":
        tube = _hair_tube(outfit, scalp, eyes)
        figure = with_thing(figure, pose, tube, "head", 1.0, 0.0, Group.LONG_HAIR)
    if outfit.hanging != "none":
        figure = with_hanging(figure, pose, places, 1.0, 0.0, _cloth(body, places, skeleton, outfit))
    if outfit.headwear != "none":
        figure = with_thing(figure, pose, _headwear(outfit, scalp, float(eyes[1])), "head", 1.0, 0.0)
    if outfit.headwear == "cap":
        figure = with_thing(figure, pose, _peak(scalp, float(eyes[1])), "head", 1.0, 0.0)
    return figure


def with_straight_hems(figure: Figure, outfit: Outfit) -> Figure:
    """Return the figure whose short trousers, and a top that is tucked into a skirt, end at one height.

    What lies below is moved up to it. The legs' upper part completes short trousers down to their hem.
    """
    skirt = np.unique(figure.triangles[figure.groups == Group.SKIRT])
    if len(skirt):
        return _with_end(figure, Group.UPPER, float(figure.vertices[skirt, 1].min()) + _OVER_SKIRT)
    if outfit.long_legs:
        return figure
    level = figure.vertices[figure.triangles][:, :, 1]
    added = (figure.groups == Group.LEG) & (level.min(1) < _SHORTS_END)
    groups = np.where(added, Group.LOWER, figure.groups).astype(np.uint8)
    return _with_end(replace(figure, groups=groups), Group.LOWER, _SHORTS_END)


def _with_end(figure: Figure, group: Group, lowest: float) -> Figure:
    rows = np.unique(figure.triangles[figure.groups == group])
    vertices = figure.vertices.copy()
    vertices[rows, 1] = np.minimum(vertices[rows, 1], lowest)
    return replace(figure, vertices=vertices)


def with_bare_limbs(figure: Figure, outfit: Outfit) -> Figure:
    """Return the figure whose bare forearms and shins are not in the dark of the clothes that are not worn."""
    covers = ((Group.FOREARM, Group.SLEEVE), (Group.SHIN, Group.LEG))
    bare = [group for group, cover in covers if cover in outfit.hidden]
    rows = np.unique(figure.triangles[np.isin(figure.groups, bare)])
    occlusion = figure.occlusion.copy()
    occlusion[rows] = np.maximum(occlusion[rows], _OPEN)
    return replace(figure, occlusion=occlusion)


def _eyes(figure: Figure, pose: Pose) -> Float64Array:
    """(3,) px midway between the eyes."""
    eyes = [figure.landmarks[LANDMARK[f"{side}_eye"]] for side in ("left", "right")]
    return np.mean([pose.apply("head", eye) for eye in eyes], axis=0)


def _cloth(figure: Figure, places: NDArray[np.float32], skeleton: Float64Array, outfit: Outfit) -> Hanging:
    knees = [JOINT["left_knee"], JOINT["right_knee"]]
    hips_y, knees_y, ankles_y = (float(skeleton[rows, 1].mean()) for rows in (HIPS, knees, ANKLES))
    hem = knees_y + _BELOW_KNEE if outfit.hanging == "knee" else ankles_y - _ABOVE_ANKLE
    rows = np.arange(hips_y - _ABOVE_HIPS, hem)
    legs = np.unique(figure.triangles[np.isin(figure.groups, (Group.LOWER, Group.LEG))])
    apart = np.interp(
        rows, [hips_y, knees_y, ankles_y], [abs(float(np.ptp(skeleton[pair, 0]))) for pair in (HIPS, knees, ANKLES)]
    )
    reach = np.abs(places[legs, 0] - _MIDDLE)
    body = np.array([reach[np.abs(places[legs, 1] - row) < 12].max(initial=0.0) for row in rows])
    # From the widest place of the hips on it flares; above it lies on the waist.
    widest = int(body[:_WIDEST_BELOW].argmax())
    down = np.clip((rows - rows[widest]) / (rows[-1] - rows[widest]), 0, 1)
    half = np.maximum(body[widest] * (1.03 + _FLARE * down**1.3), 1.04 * body)
    half[:widest] = 1.03 * body[:widest]
    half = np.maximum.accumulate(half)
    return Hanging(rows, _MIDDLE - half, _MIDDLE + half, np.maximum(apart - apart[0], 0))


def _curtain(
    scalp: Float64Array, eyes: Float64Array, skeleton: Float64Array, wide: float, below_chin: float
) -> HairRegion:
    """The outline of what falls from the skull over the sides: as wide as the skull above, then straight down."""
    unit = EYES_TO_CHIN * _PX
    hem = eyes[1] + (1 + below_chin) * unit
    hem = min(hem, float(skeleton[SHOULDERS, 1].mean()) + unit)
    size = round(_GROUND) + 10, round(2 * _MIDDLE)
    rows, columns = np.mgrid[: size[0], : size[1]]
    levels = np.arange(size[0])
    reach = np.abs(scalp[:, 0] - eyes[0])
    skull = np.array([reach[np.abs(scalp[:, 1] - y) < 6].max(initial=0.0) for y in levels])
    down = np.clip((levels - (eyes[1] - unit)) / unit, 0, 1)
    half = np.where(levels < eyes[1], np.minimum(skull + _HAIR_THICK * down, wide * unit), wide * unit)
    half = np.maximum.accumulate(half)
    mask = (np.abs(columns - eyes[0]) < half[:, None]) & (rows > eyes[1] - 1.1 * unit) & (rows <= hem)
    nothing = np.zeros(3, np.float32)
    return HairRegion(mask, nothing, nothing, eyes[:2], unit, (hem, hem))


def _hair_tube(outfit: Outfit, scalp: Float64Array, eyes: Float64Array) -> RowTube:
    """Hair that is tied behind the head, or stands around it."""
    middle = scalp[:, [0, 2]].min(0) / 2 + scalp[:, [0, 2]].max(0) / 2
    top, back = float(scalp[:, 1].min()), float(scalp[:, 2].max())
    if outfit.hair_style == "afro":
        wide, high, behind = _AFRO
        rows = np.arange(top - high, eyes[1] + 30)
        round_ = np.sqrt(np.clip(1 - (2 * (rows - rows[0]) / np.ptp(rows) - 1) ** 2, 0, None))
        half = wide * np.maximum(round_, 0.05)
        # Its front stays behind the hairline.
        front = np.interp(rows, [top, eyes[1] - 55, eyes[1] - 20], [-60.0, -48.0, -8.0])
        depth = (half + behind - np.maximum(-half + behind, front)) / 2
        return RowTube(rows, np.full(len(rows), middle[0]), half, middle[1] + behind + half - depth, depth)
    if outfit.hair_style == "bun":
        rows = np.arange(eyes[1] - _BUN_HIGH - _BUN, eyes[1] - _BUN_HIGH + _BUN)
        half = np.sqrt(np.clip(_BUN**2 - (rows - eyes[1] + _BUN_HIGH) ** 2, 1, None))
        return RowTube(rows, np.full(len(rows), middle[0]), half, np.full(len(rows), back + 8), half)
    wide, long = _TAIL
    rows = np.arange(eyes[1] - 52, eyes[1] - 52 + long)
    down = (rows - rows[0]) / np.ptp(rows)
    half = wide * np.sin(np.pi * np.clip(0.03 + 0.94 * down, 0, 1)) ** 0.7
    # It springs off the head, then falls.
    out = back - 4 + 34 * np.sin(np.pi / 2 * np.clip(down / 0.35, 0, 1)) - 10 * down
    return RowTube(rows, np.full(len(rows), middle[0]), half, out, 0.75 * half)


def _headwear(outfit: Outfit, scalp: Float64Array, eyes_y: float) -> RowTube:
    wide, high = _DOMES[outfit.headwear]
    top = float(scalp[:, 1].min()) - high
    rows = np.arange(top, eyes_y - _ABOVE_EYES[outfit.headwear])
    down = (rows - rows[0]) / np.ptp(rows)
    middle = scalp[:, [0, 2]].min(0) / 2 + scalp[:, [0, 2]].max(0) / 2
    if outfit.headwear in _CLOSED:
        half = wide * np.clip(1 - np.abs(1.8 * down - 1) ** 2.8, 0.01, None) ** (1 / 2.4)
        return RowTube(rows, np.full(len(rows), middle[0]), half, np.full(len(rows), middle[1] - 8), 1.1 * half)
    # A hat's crown is flatter than a dome.
    flat = 6.0 if outfit.headwear == "hat" else 2.4
    half = wide * (1 - (1 - down) ** flat) ** (1 / flat)
    depth = _DEPTH * half
    if outfit.headwear == "hat":
        brim = rows > rows[-1] - _BRIM_HIGH
        half[brim] = _BRIM
        depth[brim] = _BRIM
    return RowTube(rows, np.full(len(rows), middle[0]), half, np.full(len(rows), middle[1]), depth)


def _peak(scalp: Float64Array, eyes_y: float) -> RowTube:
    """A cap's peak: a thin disc before the forehead."""
    wide, out = _PEAK
    rows = np.arange(eyes_y - _ABOVE_EYES["cap"] - 7, eyes_y - _ABOVE_EYES["cap"] + 1)
    middle = scalp[:, [0, 2]].min(0) / 2 + scalp[:, [0, 2]].max(0) / 2
    front = middle[1] - _DEPTH * _DOMES["cap"][0]
    flat = np.ones(len(rows))
    return RowTube(rows, middle[0] * flat, wide * flat, (front - out / 2 + 24) * flat, (out / 2 + 24) * flat)
