"""Skirts, coats, long hair and headwear of an outfit without a reference picture, as surfaces of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
_ABOVE_HIPS = 35
_FLARE = 0.4
"""By what fraction a cloth is wider at its hem than at the hips."""
_BELOW_KNEE, _ABOVE_ANKLE = 25, 25
_HAIR_WIDE, _HAIR_BELOW_CHIN = 0.92, 1.3
"""Half width of long hair, and its length below the chin, in lengths from eyes to chin."""
_DOMES = {"hat": (53, 34), "cap": (52, 6), "helmet": (60, 14)}
"""Half width and height over the head, px."""
_BRIM, _BRIM_HIGH = 98, 9
_ABOVE_EYES = 26
_DEPTH = 1.22
"""Depth over width of what fits a skull."""
_OPEN = np.float32(0.85)
"""Least openness to the sky of bare limbs: what is baked for them is the dark inside of long legs and sleeves."""


def with_worn(figure: Figure, outfit: Outfit) -> Figure:
    """Return the figure with what hangs around its legs and head in an outfit, or unchanged."""
    if outfit.hanging == "none" and not outfit.long_hair and outfit.headwear == "none":
        return figure
    skeleton = relaxed_skeleton(figure) * _PX + [_MIDDLE, _GROUND, 0.0]
    pose = Poser(figure).pose(skeleton.astype(np.float32), _PX)
    linear, offset = pose.linear.astype(np.float32), pose.offset.astype(np.float32)
    places = skin(figure.vertices, figure.bone_index, figure.bone_weight, linear, offset)
    body = figure
    if outfit.long_hair:
        figure = with_long_hair(figure, pose, places, 1.0, 0.0, _hair(body, pose, skeleton), _PX)
    if outfit.hanging != "none":
        figure = with_hanging(figure, pose, places, 1.0, 0.0, _cloth(body, places, skeleton, outfit))
    if outfit.headwear != "none":
        scalp = places[np.unique(body.triangles[body.groups == Group.HAIR])].astype(np.float64)
        eyes = _eyes(body, pose)
        figure = with_thing(figure, pose, _headwear(outfit, scalp, float(eyes[1])), "head", 1.0, 0.0)
    return figure


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


def _cloth(figure: Figure, places: np.ndarray, skeleton: Float64Array, outfit: Outfit) -> Hanging:
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
    down = (rows - rows[0]) / np.ptp(rows)
    half = np.maximum(body[:80].max() * (1.02 + _FLARE * down), 1.04 * body)
    half = np.maximum.accumulate(half)
    return Hanging(rows, _MIDDLE - half, _MIDDLE + half, np.maximum(apart - apart[0], 0))


def _hair(figure: Figure, pose: Pose, skeleton: Float64Array) -> HairRegion:
    eyes = _eyes(figure, pose)
    unit = EYES_TO_CHIN * _PX
    hem = eyes[1] + (1 + _HAIR_BELOW_CHIN) * unit
    hem = min(hem, float(skeleton[SHOULDERS, 1].mean()) + unit)
    size = round(_GROUND) + 10, round(2 * _MIDDLE)
    rows, columns = np.mgrid[: size[0], : size[1]]
    mask = (np.abs(columns - eyes[0]) < _HAIR_WIDE * unit) & (rows > eyes[1] - 1.1 * unit) & (rows <= hem)
    nothing = np.zeros(3, np.float32)
    return HairRegion(mask, nothing, nothing, eyes[:2], unit, (hem, hem))


def _headwear(outfit: Outfit, scalp: Float64Array, eyes_y: float) -> RowTube:
    wide, high = _DOMES[outfit.headwear]
    top = float(scalp[:, 1].min()) - high
    rows = np.arange(top, eyes_y - _ABOVE_EYES)
    down = (rows - rows[0]) / np.ptp(rows)
    # A hat's crown is flatter than a dome.
    flat = 6.0 if outfit.headwear == "hat" else 2.4
    half = wide * (1 - (1 - down) ** flat) ** (1 / flat)
    depth = _DEPTH * half
    if outfit.headwear == "hat":
        brim = rows > rows[-1] - _BRIM_HIGH
        half[brim] = _BRIM
        depth[brim] = _BRIM
    middle = scalp[:, [0, 2]].min(0) / 2 + scalp[:, [0, 2]].max(0) / 2
    return RowTube(rows, np.full(len(rows), middle[0]), half, np.full(len(rows), middle[1]), depth)
