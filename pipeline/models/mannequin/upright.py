"""People who stand in a reference picture stand upright: the lengths of trunk and neck that the picture shows.

A landmark model leans people who face the camera towards it, by 10 to 15 degrees in three rendered pictures of people
who stood straight. A figure posed so has the trunk foreshortened and the neck stretched: it fits the picture, but
whoever walks off in it has buttons, hems and shoulders too high.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Pose
from pipeline.models.mannequin.hem_colors import stands
from pipeline.models.mannequin.posing import HIPS_BEHIND
from pipeline.models.mannequin.proportions import Proportions, with_proportions
from pipeline.models.mannequin.reference import ReferenceView

_UPPER_BODY = np.array(
    [
        *(row for name, row in JOINT.items() if name.endswith(("nose", "eye", "ear", "elbow", "wrist", "hand"))),
        *SHOULDERS,
    ]
)
_ASLANT = 0.12
"""Largest slope of the trunk sideways of people who stand straight."""
_TRUNK = (0.88, 1.1)
_NECK = (0.8, 1.35)
"""Bounds of the factors: more is an error of the landmarks."""


def stands_upright(reference: ReferenceView) -> bool:
    """Whether a front view shows somebody, whole, on straight legs and with a vertical trunk."""
    if reference.view != "front" or not reference.is_whole or not stands(reference):
        return False
    trunk = reference.skeleton[HIPS, :2].mean(axis=0) - reference.skeleton[SHOULDERS, :2].mean(axis=0)
    return bool(abs(trunk[0]) < _ASLANT * trunk[1])


def with_trunk_upright(reference: ReferenceView, figure: Figure) -> ReferenceView:
    """Return the view of somebody who stands upright with the shoulders as far before the hips as a figure's own.

    Other views are returned as they are.
    """
    if not stands_upright(reference):
        return reference
    shoulders = figure.heads[[BONE["upperarm1.L"], BONE["upperarm1.R"]], 2].mean()
    hips = figure.heads[[BONE["thigh1.L"], BONE["thigh1.R"]], 2].mean()
    # The pose moves the hips behind the landmarks'.
    goal = HIPS_BEHIND + float(shoulders - hips)
    skeleton = reference.skeleton.copy()
    seen = float(skeleton[SHOULDERS, 2].mean() - skeleton[HIPS, 2].mean()) / reference.height_px
    skeleton[_UPPER_BODY, 2] += (goal - seen) * reference.height_px
    return replace(reference, skeleton=skeleton)


def with_trunk_as_posed(figure: Figure, pose: Pose, scale: float) -> Figure:
    """Return the figure at rest with trunk and neck as long, from top to bottom, as in an upright ``pose`` of it.

    ``scale`` is the standing height to which it was posed.
    """

    def below(first: str, second: str) -> tuple[float, float]:
        """From one joint down to another: posed, and at rest."""
        posed = [np.mean([_place(figure, pose, bone)[1] for bone in _sides(name)]) for name in (first, second)]
        rest = [np.mean([figure.heads[BONE[bone]][1] for bone in _sides(name)]) for name in (first, second)]
        return float(posed[1] - posed[0]), float(rest[1] - rest[0])

    trunk, own_trunk = below("upperarm1", "thigh1")
    _, spine = below("clavicle", "spine1")
    ears = figure.landmarks[[LANDMARK["left_ear"], LANDMARK["right_ear"]]]
    head = float(np.mean([pose.apply("head", ear)[1] for ear in ears]))
    shoulders = float(np.mean([_place(figure, pose, bone)[1] for bone in _sides("upperarm1")]))
    own = float(figure.heads[[BONE[bone] for bone in _sides("upperarm1")], 1].mean() - ears[:, 1].mean())
    _, neck = below("head", "neck")
    # The neck starts above the shoulders, where the trunk's change has moved it.
    factor = float(np.clip(1 + (trunk / scale - own_trunk) / spine, *_TRUNK))
    _, above = below("neck", "clavicle")
    missing = (shoulders - head) / scale - own - (factor - 1) * above
    return with_proportions(figure, Proportions(trunk=factor, neck=float(np.clip(1 + missing / neck, *_NECK))))


def _sides(name: str) -> list[str]:
    return [name] if name in BONE else [f"{name}.L", f"{name}.R"]


def _place(figure: Figure, pose: Pose, bone: str) -> Float64Array:
    return np.asarray(pose.apply(bone, figure.heads[BONE[bone]]))
