"""The body of a reference picture's person among MakeHuman's: age from words or the head, weight from the outline.

What an outline leaves open, above all the depth, is then that of such a body, and what the smooth deformation has to do
afterwards is small.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.bodies import ADULT_YEARS, AVERAGE, Bodies, BodyType
from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.fitting import fit_shape, posed
from pipeline.models.mannequin.hair_region import grown_height_px
from pipeline.models.mannequin.hanging import find_hanging
from pipeline.models.mannequin.hem_colors import stands
from pipeline.models.mannequin.proportions import eyes_apart
from pipeline.models.mannequin.raster import rasterize
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.silhouette import Outline, outline_of

_YEARS = (2.0, 4.0, 6.0, 8.0, 10.0, 14.0)
"""Ages that are told from the size of the head."""
_GROWN_HEAD = 0.195
"""Height from grown-ups' shoulders to the top of the head, standing heights (.177 to .203 in ten pictures)."""
_CHILD, _PERHAPS_CHILD = 1.2, 1.07
"""Ratio to a grown-up's from which somebody is a child, and the same where the eyes are far apart as well: the faces of
heavy people are wide, and tall hair is high."""
_TALL_HAIR, _HAIR = 1.25, 0.1
"""Ratio that is believed where the eyes are not as far apart, and by how much hair may exceed what they say."""
_NEAR_HEAD = 0.05
"""Half width of a head, standing heights."""
_WEIGHTS = (-1.0, 1.25)
_STEP = 0.25
"""Change of the weight by which its effect on the outline is measured."""
_ROUNDS = 3
_LINES = 300
"""Height of the person in the pictures in which outlines are compared."""
_LEAST_POINTS = 80
"""Of the outline, in pictures of that height; trunk and thighs have about 300."""
_FAR = 0.06
"""Largest distance of a match, standing heights."""
_TURNED = 0.3
"""Least cosine between the directions of matched outlines."""
_MOST = 0.03
"""Largest distance that counts: what is farther away is a bag, or an error of the outline. Standing heights."""
_USUAL = 0.5
"""Standard deviation of the weight of people."""
_UNCLEAR, _CLEAR = 0.2, 0.5
"""Weights between which the outline begins to tell them: below, people are average."""
_CLOTH = 0.012
"""Standard deviation of an outline about the body's with its clothes, standing heights."""
_EVIDENCE = 12.0
"""Number of independent measurements that a whole outline counts for: its points lie side by side."""


def fit_body(bodies: Bodies, reference: ReferenceView, words: BodyType, drawn: NDArray[np.bool_]) -> BodyType:
    """Return the body type of a front or back view's person. What the prompt's ``words`` say is kept.

    ``drawn`` (F,) are the triangles that are shown. The weight is a ridge regression on the distances of the outlines
    of trunk and thighs along their normals, iterated as matches change.
    """
    body = words if words.age_years != ADULT_YEARS else _aged(bodies, reference, words)
    if words.weight != AVERAGE.weight or reference.view not in ("front", "back"):
        return body
    for _ in range(_ROUNDS):
        step = _weight_step(bodies, reference, body, drawn)
        body = replace(body, weight=float(np.clip(body.weight + step, *_WEIGHTS)))
    # Sexes and clothes differ as much as slight weights do.
    certainty = float(smoothstep((abs(body.weight) - _UNCLEAR) / (_CLEAR - _UNCLEAR)))
    return replace(body, weight=body.weight * certainty)


def _aged(bodies: Bodies, reference: ReferenceView, body: BodyType) -> BodyType:
    """Return the body of the age at which head and neck take as much of the height as in a front view; a grown-up's
    unless that is much, or somewhat and the eyes are far apart too."""
    if reference.view != "front" or not reference.is_whole:
        return body
    by_eyes = grown_height_px(reference) / reference.height_px
    by_height = _head_height(reference) / _GROWN_HEAD if stands(reference) else 1.0
    if max(by_eyes, by_height) < _CHILD and not (by_eyes > 1.0 and by_height > _PERHAPS_CHILD):
        return body
    measure = _own_head_height if by_height > _PERHAPS_CHILD else eyes_apart
    # Tall hair alone makes no toddler.
    tall = min(by_height, max(_TALL_HAIR, by_eyes + _HAIR))
    ratio = tall if by_height > _PERHAPS_CHILD else by_eyes
    own = measure(bodies.average)
    ratios = [measure(bodies.of(replace(body, age_years=years))) / own for years in _YEARS]
    # The larger the head, the younger: ascending ratios for interpolation.
    return replace(body, age_years=float(np.interp(ratio, ratios[::-1], _YEARS[::-1])))


def _head_height(reference: ReferenceView) -> float:
    """Return the height from the shoulders to the top of the head, standing heights; NaN where a joint is unknown."""
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], 0]
    shoulders = reference.joints[SHOULDERS, 1]
    if not np.isfinite([*eyes, *shoulders]).all():
        return float("nan")
    reach = _NEAR_HEAD * reference.height_px
    columns = slice(max(int(eyes.mean() - reach), 0), int(eyes.mean() + reach) + 1)
    # Raised hands are beside the head.
    top = np.flatnonzero(reference.mask[:, columns].any(1))
    return float(shoulders.mean() - top[0]) / reference.height_px if len(top) else float("nan")


def _own_head_height(figure: Figure) -> float:
    shoulders = figure.heads[[BONE["upperarm1.L"], BONE["upperarm1.R"]], 1].mean()
    return float(shoulders - figure.vertices[:, 1].min())


def _weight_step(bodies: Bodies, reference: ReferenceView, body: BodyType, drawn: NDArray[np.bool_]) -> float:
    scale = _LINES / reference.height_px
    goal = outline_of(reference.mask, scale, _LINES)
    here = _places(bodies, reference, body)
    there = _places(bodies, reference, replace(body, weight=body.weight + _STEP))
    figure = bodies.average
    triangles = np.ascontiguousarray(figure.triangles[drawn])
    flat = here.copy()
    flat[:, :2] = (flat[:, :2] + 0.5) * scale - 0.5
    height, width = goal.size_hw
    _, nearest = rasterize(flat, triangles, width, height)
    below = np.arange(height) < reference.cut_row * scale
    own = Outline.of((nearest >= 0) & below[:, None])
    if not len(own.points) or not len(goal.outline.points):
        return 0.0
    owner = nearest[own.rows, own.columns]
    match, distance = goal.nearest(own, _LINES)
    keep = (distance < _FAR) & _telling(figure)[triangles[owner]].all(1)
    keep &= (own.normals * goal.outline.normals[match]).sum(1) > _TURNED
    if find_hanging(reference) is not None:
        # A skirt or coat is not as wide as the thighs under it.
        keep &= own.points[:, 1] < scale * reference.joints[HIPS, 1].mean()
    if np.count_nonzero(keep) < _LEAST_POINTS:
        # Arms hide the trunk, a skirt the thighs: nothing is known.
        return -body.weight
    normals = own.normals[keep]
    gap = ((goal.outline.points[match[keep]] - own.points[keep]) * normals).sum(1) / _LINES
    gap = np.clip(gap, -_MOST, _MOST)
    moved = (there - here)[:, :2][triangles[owner[keep]]].mean(1) * scale / _LINES
    gain = (moved * normals).sum(1) / _STEP
    # Mean over the outline: how many points it has says nothing.
    precision = _EVIDENCE / _CLOTH**2
    pull = precision * float((gain * gap).mean()) - body.weight / _USUAL**2
    return pull / (precision * float((gain * gain).mean()) + 1 / _USUAL**2)


def _places(bodies: Bodies, reference: ReferenceView, body: BodyType) -> NDArray[np.float32]:
    return posed(fit_shape(bodies.of(body), reference), reference)[1]


def _telling(figure: Figure) -> NDArray[np.bool_]:
    """(V,) what is wide in heavy people: trunk and thighs, not arms, head, or feet."""
    shares: Float64Array = part_shares(figure)
    columns = [PARTS.index(part) for part in ("torso", "leg.L", "leg.R")]
    out: NDArray[np.bool_] = shares[:, columns].sum(1) > 0.6
    out[np.unique(figure.triangles[figure.groups == Group.SHOES])] = False
    return out
