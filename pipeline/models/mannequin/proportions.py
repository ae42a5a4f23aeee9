"""Fit the figure's limb lengths, shoulder and hip width and head size to the reference person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, BONES, LANDMARK, Figure
from pipeline.models.mannequin.raster import skin
from pipeline.models.mannequin.rotations import normalized

_ARM = 1.08
"""Ratio of BlazePose's length of an arm, from shoulder to elbow to wrist, to the rig's: 1.07, 1.07 and 1.11 in front
views of three rendered people with known joints. Where between them the elbow of a straight arm is the model does not
know: it was wrong by 1.5, .4 and .4 % of the standing height, and a body's own share, by .3, .6 and .2 %."""
_LEG: Mapping[str, tuple[str, str, float]] = {"thigh": ("hip", "knee", 0.976), "shin": ("knee", "ankle", 0.977)}
"""Segment of a leg -> joints at its ends, and the ratio of BlazePose's length to the rig's (.97, 1.00, .96 and .97,
.95, 1.01 in the same pictures; its joints are defined differently from a rig's)."""
_SHOULDERS = 1.0
"""The same for the shoulders' width."""
_TRUST = 0.7
"""Fraction of a measured difference that is applied: the rest is detector error."""
_RANGE = (0.85, 1.18)
_LARGEST_HEAD = 2.0
_SPINE = ("spine1", "spine2", "chest")
GROWN_EYES_APART = 0.034
"""Distance between the eyes of the average figures, standing heights (.0336 to .0345)."""


@dataclass(frozen=True, slots=True)
class Proportions:
    """Factors on the figure's own lengths."""

    upperarm: float = 1.0
    forearm: float = 1.0
    thigh: float = 1.0
    shin: float = 1.0
    shoulders: float = 1.0
    head: float = 1.0
    trunk: float = 1.0
    """Of the spine, up and down."""
    neck: float = 1.0


def measure_proportions(figure: Figure, skeleton: Float64Array, body_height_px: float) -> Proportions:
    """Compare (23, 3) joints of a standing person, x, y, z px, with the figure at rest; unknown factors stay 1.

    Both sides of the body count together; a limb that points at the camera is measured in 3D.
    """

    def length(first: str, second: str) -> float:
        return float(np.linalg.norm(skeleton[JOINT[first]] - skeleton[JOINT[second]])) / body_height_px

    def bone(name: str, child: str) -> float:
        return float(np.linalg.norm(figure.heads[BONE[child]] - figure.heads[BONE[name]]))

    def factor(seen: float, own: float) -> float:
        ratio = 1 + _TRUST * (seen / own - 1)
        return float(np.clip(ratio, *_RANGE)) if np.isfinite(ratio) else 1.0

    sides = ("left", "right")
    factors = {}
    for (name, (start, stop, bias)), child in zip(_LEG.items(), ("shin1.L", "foot.L"), strict=True):
        both = [length(f"{side}_{start}", f"{side}_{stop}") for side in sides]
        factors[name] = factor(float(np.mean(both)) / bias, bone(f"{name}1.L", child))
    arms = [
        length(f"{side}_{start}", f"{side}_{stop}")
        for start, stop in (("shoulder", "elbow"), ("elbow", "wrist"))
        for side in sides
    ]
    own_arm = bone("upperarm1.L", "forearm1.L") + bone("forearm1.L", "hand.L")
    factors["upperarm"] = factors["forearm"] = factor(float(np.sum(arms)) / 2 / _ARM, own_arm)
    wide = length("left_shoulder", "right_shoulder") / _SHOULDERS
    factors["shoulders"] = factor(wide, bone("upperarm1.L", "upperarm1.R"))
    return Proportions(**factors)


def eyes_apart(figure: Figure) -> float:
    """Return the distance between the eyes, standing heights."""
    left, right = (figure.landmarks[LANDMARK[f"{side}_eye"]] for side in ("left", "right"))
    return float(np.linalg.norm(left - right))


def head_factor(figure: Figure, relative_size: float) -> float:
    """Return by what the head must grow to be ``relative_size`` times as large when the figure is 1 tall again."""
    above = float(figure.heads[BONE["head"]][1] - figure.vertices[:, 1].min())
    return float(np.clip(relative_size * (1 - above) / (1 - relative_size * above), 1.0, _LARGEST_HEAD))


def with_proportions(figure: Figure, proportions: Proportions) -> Figure:
    """Return the figure with its bones lengthened; the surface follows by its weights, and its height is 1 again."""
    heads = figure.heads
    new = heads.copy()
    linear = np.repeat(np.eye(3)[None], len(BONES), 0)

    def stretch(bone: str, axis: Float64Array, factor: float) -> None:
        linear[BONE[bone]] = np.eye(3) + (factor - 1) * np.outer(axis, axis)

    linear[BONE["head"]] *= proportions.head
    raised = _stretch_trunk(heads, new, linear, proportions)
    for side in (".L", ".R"):
        across = np.array([1.0, 0.0, 0.0])
        stretch("clavicle" + side, across, proportions.shoulders)
        new[BONE["clavicle" + side]] += raised
        shift = raised.copy()
        shift[0] = (proportions.shoulders - 1) * heads[BONE["upperarm1" + side]][0]
        for limb, names in (("arm", ("upperarm", "forearm", "hand")), ("leg", ("thigh", "shin", "foot"))):
            moved = shift.copy() if limb == "arm" else np.zeros(3)
            for name, child in pairwise(names):
                start = heads[BONE[f"{name}1{side}"]]
                stop = heads[BONE[f"{child}{'' if child in ('hand', 'foot') else '1'}{side}"]]
                factor = getattr(proportions, name)
                for half in ("1", "2"):
                    new[BONE[f"{name}{half}{side}"]] = start + moved
                    stretch(f"{name}{half}{side}", normalized(stop - start), factor)
                moved = moved + (factor - 1) * (stop - start)
            for bone in ("hand",) if limb == "arm" else ("foot", "toe"):
                new[BONE[bone + side]] = heads[BONE[bone + side]] + moved
    offset = new - np.einsum("bij,bj->bi", linear, heads)
    vertices = skin(
        figure.vertices, figure.bone_index, figure.bone_weight, linear.astype(np.float32), offset.astype(np.float32)
    )
    carriers = _landmark_bones()
    marks = np.einsum("lij,lj->li", linear[carriers], figure.landmarks) + offset[carriers]
    return standing_at_one(replace(figure, vertices=vertices, heads=new, landmarks=marks))


def _stretch_trunk(
    heads: Float64Array, new: Float64Array, linear: Float64Array, proportions: Proportions
) -> Float64Array:
    """Lengthen spine and neck up and down, in ``new`` (bones, 3) and ``linear`` (bones, 3, 3); return by what (3,) the
    shoulders move."""
    down = np.array([0.0, 1.0, 0.0])
    start = heads[BONE["spine1"]]

    def moved(bone: str) -> Float64Array:
        return (proportions.trunk - 1) * (heads[BONE[bone]] - start) * down

    for bone in _SPINE:
        new[BONE[bone]] = heads[BONE[bone]] + moved(bone)
        linear[BONE[bone]] = np.diag([1.0, proportions.trunk, 1.0])
    new[BONE["neck"]] = heads[BONE["neck"]] + moved("neck")
    linear[BONE["neck"]] = np.diag([1.0, proportions.neck, 1.0])
    longer = (proportions.neck - 1) * (heads[BONE["head"]] - heads[BONE["neck"]]) * down
    new[BONE["head"]] = heads[BONE["head"]] + moved("neck") + longer
    return moved("clavicle.L")


def standing_at_one(figure: Figure) -> Figure:
    """Return the figure moved and scaled so that its soles are at 0 and its height is 1."""
    ground = float(figure.vertices[:, 1].max())
    height = ground - float(figure.vertices[:, 1].min())
    low = np.array([0.0, ground, 0.0])
    return replace(
        figure,
        vertices=((figure.vertices - low) / height).astype(np.float32),
        heads=(figure.heads - low) / height,
        landmarks=(figure.landmarks - low) / height,
    )


def _landmark_bones() -> NDArray[np.int64]:
    from pipeline.models.mannequin.figure import LANDMARKS

    bones = []
    for name in LANDMARKS:
        side, _, part = name.rpartition("_")
        suffix = ".L" if side == "left" else ".R"
        stem = {"heel": "foot", "toe": "toe", "knuckles": "hand"}.get(part)
        bones.append(BONE[stem + suffix] if stem else BONE["head"])
    return np.array(bones)
