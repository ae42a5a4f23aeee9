"""Fit the figure to a reference picture: pose from the joints, lengths, then the outline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.cut_body import measurable
from pipeline.models.mannequin.deformation import PARTS, DeformationGraph, make_graph, part_shares
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group, Pose
from pipeline.models.mannequin.hair_region import EYES_TO_CHIN, find_hair, grown_height_px
from pipeline.models.mannequin.hanging import find_hanging, near_hem, with_hanging
from pipeline.models.mannequin.landmark_bias import BLAZEPOSE
from pipeline.models.mannequin.long_hair import with_long_hair
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.proportions import (
    GROWN_EYES_APART,
    eyes_apart,
    head_factor,
    measure_proportions,
    with_proportions,
)
from pipeline.models.mannequin.raster import rasterize, skin
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.shape import reshaped
from pipeline.models.mannequin.silhouette import fit_outline
from pipeline.models.mannequin.unclear_body import is_turned_aside
from pipeline.models.mannequin.upright import stands_upright, with_trunk_as_posed
from pipeline.shaped import Shaped, Shapes

_FACE = {"nose": 12.0, "left_eye": 12.0, "right_eye": 12.0, "left_ear": 6.0, "right_ear": 6.0}
"""Weights of the constraints on a face."""
_MIDDLE = ("nose", "left_eye", "right_eye")
_CHIN = 4.0
_GROWTH = (0.8, 1.3)
"""Bounds of a face's size relative to the posed figure's."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittedView(Shaped):
    """The figure fitted to a reference picture."""

    SHAPES: ClassVar[Shapes] = {"places": ("V", 3), "nearest": ("h", "w"), "depth": ("h", "w"), "triangles": ("F", 3)}

    reference: ReferenceView
    places: NDArray[np.float32]
    """(V, 3) its vertices, px of the picture; z grows away from the camera."""
    nearest: NDArray[np.int32]
    """(h, w) index of the front drawn triangle, -1 none."""
    depth: NDArray[np.float32]
    """(h, w) its depth, px."""
    triangles: NDArray[np.int32]
    """(F, 3) the drawn triangles."""
    overlap: float
    """Intersection over union of the figure's and the person's silhouettes."""


def fit_shape(figure: Figure, reference: ReferenceView) -> Figure:
    """Return the figure with the limb lengths of a front or back view, at its standing height of 1."""
    skeleton = BLAZEPOSE.without(reference.skeleton, reference.height_px)
    skeleton = measurable(skeleton, reference.mask.shape[::-1], reference.cut_row)
    proportions = measure_proportions(figure, skeleton, reference.height_px)
    if reference.view == "front":
        # A small child's head is too large for the outline alone to find.
        relative = grown_height_px(reference) / reference.height_px * GROWN_EYES_APART / eyes_apart(figure)
        proportions = replace(proportions, head=head_factor(figure, relative))
    shaped = with_proportions(figure, proportions)
    if not stands_upright(reference):
        return shaped
    return with_trunk_as_posed(shaped, posed(shaped, reference)[0], reference.height_px)


def fit_view(
    figure: Figure,
    reference: ReferenceView,
    drawn: NDArray[np.bool_],
    *,
    reshape: bool,
    graph: DeformationGraph | None = None,
) -> tuple[Figure, FittedView]:
    """Pose the figure like the picture's person and fit its outline to the person's.

    ``drawn`` (F,) are the triangles that are shown, ``graph`` is the figure's where it is known already. Returns the
    figure, whose rest shape with ``reshape`` includes the outline's difference, and its fit to the picture.
    """
    shares = part_shares(figure)
    pose, places, _, _ = posed(figure, reference)
    graph = make_graph(figure, shares) if graph is None else graph
    triangles = np.ascontiguousarray(figure.triangles[drawn])
    loose = np.isin(figure.bone_index[:, 0], [BONE["hand.L"], BONE["hand.R"]])
    # Unlike fingers, cuffs have an outline that matches.
    loose[figure.triangles[figure.groups == Group.SLEEVE]] = False
    # A hem's corners and the shoes under them would attract each other.
    loose |= near_hem(figure)
    if reference.view in ("left", "right"):
        # Arms are in front of and behind the body there, and their depth is the least certain.
        loose |= shares[:, [PARTS.index("arm.L"), PARTS.index("arm.R")]].sum(1) > 0.5
    moved = fit_outline(
        places,
        triangles,
        np.asarray(loose[triangles].all(1)),
        graph,
        _face_anchors(figure, shares, graph, pose, places, reference),
        reference.mask,
        reference.height_px,
        reference.cut_row,
        (_of_arms(shares, triangles), find_lower_arms(reference).area),
    )
    from_side = reference.view in ("left", "right")
    shaped = reshaped(figure, shares, pose, places, moved, from_side=from_side) if reshape else figure
    laid = places.copy()
    laid[:, :2] += moved
    height, width = reference.mask.shape
    depth, nearest = rasterize(laid, triangles, width, height)
    own = (nearest >= 0) & (np.arange(height) < reference.cut_row)[:, None]
    overlap = float((own & reference.mask).sum() / max((own | reference.mask).sum(), 1))
    return shaped, FittedView(reference, laid, nearest, depth, triangles, overlap)


def _of_arms(shares: Float64Array, triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    arms = shares[:, [PARTS.index("arm.L"), PARTS.index("arm.R")]].sum(1) > 0.5
    return np.asarray(arms[triangles].any(1))


def with_cloth_and_hair(figure: Figure, reference: ReferenceView) -> Figure:
    """Return the figure with the skirt or coat and the long hair that the picture shows, or unchanged."""
    cloth, hair = find_hanging(reference), find_hair(reference)
    if cloth is None and hair is None:
        return figure
    pose, places, y_scale, y_shift = posed(figure, reference)
    if hair is not None and hair.covers_ears:
        figure = with_long_hair(figure, pose, places, y_scale, y_shift, hair, reference.height_px)
    return figure if cloth is None else with_hanging(figure, pose, places, y_scale, y_shift, cloth)


def posed(figure: Figure, reference: ReferenceView) -> tuple[Pose, NDArray[np.float32], float, float]:
    """Pose the figure like a picture's person.

    Return the pose, the posed vertices (V, 3), and by what their y were scaled and shifted afterwards."""
    # Of people who face the camera far away, chest and upright tell more than a few pixels of face.
    is_still = np.isfinite(reference.cut_row) or is_turned_aside(reference)
    poser = Poser(figure, BLAZEPOSE, is_still=bool(is_still))
    pose = poser.pose(reference.skeleton.astype(np.float32), reference.height_px)
    places = skin(
        figure.vertices,
        figure.bone_index,
        figure.bone_weight,
        pose.linear.astype(np.float32),
        pose.offset.astype(np.float32),
    )
    scale = 1.0
    shift = 0.0
    if reference.is_whole:
        # The person's top and soles are accurate to a pixel, and joints are not.
        rows = np.flatnonzero(reference.mask.any(1))
        top = float(rows[0]) - 0.5
        ground = float(rows[-1]) + 0.5
        low, high = float(places[:, 1].max()), float(places[:, 1].min())
        scale = (ground - top) / (low - high)
        shift = ground - scale * low
        places[:, 1] = places[:, 1] * scale + shift
    return pose, places, scale, shift


def _face_anchors(
    figure: Figure,
    shares: Float64Array,
    graph: DeformationGraph,
    pose: Pose,
    places: NDArray[np.float32],
    reference: ReferenceView,
) -> tuple[sparse.csr_matrix, Float64Array, Float64Array]:
    """Constrain eyes, nose and ears to their positions in a front view, and the chin to where these have it.

    Wide hair, and hair or a neck beside the chin, would else stretch and bend the face.

    A head seen from behind has no constraint, and neither has a profile: its outline is exact, and landmarks there,
    one eye of which is hidden, turned heads by up to 15 degrees.
    """
    asked = _FACE if np.isfinite(reference.cut_row) else _MIDDLE
    names = [n for n in asked if reference.view == "front" and reference.joints[JOINT[n], 2] > 0.5]
    if not names:
        return sparse.csr_matrix((0, graph.num_nodes)), np.zeros((0, 2)), np.zeros(0)
    skull = np.flatnonzero(shares[:, PARTS.index("head")] > 0.9)
    tree = cKDTree(figure.vertices[skull])
    rows = []
    targets = []
    for name in names:
        _, near = tree.query(figure.landmarks[LANDMARK[name]], k=6)
        rows.append(graph.follow[skull[near]].mean(0))
        here = places[skull[near]].astype(np.float64).mean(0)
        mark = pose.apply("head", figure.landmarks[LANDMARK[name]])
        rest = pose.apply("head", figure.vertices[skull[near]].astype(np.float64).mean(0))
        targets.append(reference.joints[JOINT[name], :2] - (here + mark - rest)[:2])
    if set(_FACE) <= set(names):
        chin_at, step = _chin(figure, pose, reference)
        _, near = tree.query(chin_at, k=6)
        rows.append(graph.follow[skull[near]].mean(0))
        targets.append(step)
    return (
        sparse.csr_matrix(np.asarray(np.concatenate(rows))),
        np.array(targets),
        np.array([*(_FACE[name] for name in names), _CHIN][: len(targets)]),
    )


def _chin(figure: Figure, pose: Pose, reference: ReferenceView) -> tuple[Float64Array, Float64Array]:
    """Return the chin (3,) of the figure at rest, and by how much (2,) px it moves where a view's face is.

    It moves and grows with eyes and nose.
    """
    marks = {name: figure.landmarks[LANDMARK[name]] for name in _MIDDLE}
    chin = (marks["left_eye"] + marks["right_eye"]) / 2 + [0.0, EYES_TO_CHIN, 0.0]
    own = np.array([pose.apply("head", mark) for mark in marks.values()])[:, :2]
    seen = reference.joints[[JOINT[name] for name in _MIDDLE], :2]
    apart = [float(np.hypot(*(face[1] - face[2]))) for face in (seen, own)]
    growth = float(np.clip(apart[0] / max(apart[1], 1e-6), *_GROWTH))
    below = pose.apply("head", chin)[:2] - own.mean(axis=0)
    return chin, seen.mean(axis=0) + growth * below - own.mean(axis=0) - below
