"""Apply a fitted outline to the body: adjust width and depth of the figure's rest shape, independent of pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import BONE, BONES, LANDMARKS, Figure, Group, Pose
from pipeline.models.mannequin.proportions import standing_at_one
from pipeline.shaped import Shaped, Shapes

_BINS = 28
"""Along a limb, the torso or the head."""
_DEPTH_SHARE = {"torso": 0.75, "head": 0.9, "arm": 0.85, "leg": 0.8}
"""Fraction of a widening that is applied to the depth as well."""
_CHAINS = {
    "arm": ("upperarm1", "forearm1", "hand"),
    "leg": ("thigh1", "shin1", "foot"),
    "torso": ("pelvis", "neck"),
    "head": ("neck", "head"),
}
_OTHER_SIDE = {"L": "R", "R": "L"}
_RATIOS = (0.35, 2.0)
"""Bounds of a section's depth over its width."""
_SKULL = 0.9
"""Share of the head from which a vertex moves with it."""
_MOST = {"torso": 0.02, "head": 0.018, "arm": 0.014, "leg": 0.016}
"""Largest displacement, standing heights (on three rendered people in front views .012, .016, .006
and .008)."""
_MOST_OF_GROUP = {Group.HAIR: 0.03, Group.LONG_HAIR: 0.03, Group.SKIRT: 0.03}
_MOST_NECK = 0.025
"""Largest change of the neck's length."""
_LIMBS = ("arm.L", "arm.R", "leg.L", "leg.R")


@dataclass(frozen=True, slots=True, eq=False)
class _Along:
    """Vertices of one part, by their position along it."""

    rows: NDArray[np.int64]
    share: Float64Array
    """How much each belongs to the part."""
    low: NDArray[np.int64]
    fraction: Float64Array

    def mean(self, values: Float64Array, weights: Float64Array | None = None) -> Float64Array:
        """(bins, k) smooth mean of (n, k) values."""
        w = self.share if weights is None else self.share * weights
        total = np.zeros((_BINS + 1, values.shape[1]))
        count = np.full(_BINS + 1, 1e-9)
        for row, part in ((self.low, 1 - self.fraction), (self.low + 1, self.fraction)):
            np.add.at(total, row, (w * part)[:, None] * values)
            np.add.at(count, row, w * part)
        # Empty bins take their neighbors' values.
        total = gaussian_filter1d(total, 1.0, axis=0, mode="nearest")
        count = gaussian_filter1d(count, 1.0, mode="nearest")
        return total / count[:, None]

    def at(self, bins: Float64Array) -> Float64Array:
        return bins[self.low] * (1 - self.fraction)[:, None] + bins[self.low + 1] * self.fraction[:, None]


def reshaped(
    figure: Figure,
    shares: Float64Array,
    pose: Pose,
    places: NDArray[np.float32],
    moved: Float64Array,
    *,
    from_side: bool,
) -> Figure:
    """Return the figure whose rest shape includes the displacements (V, 2) of its posed vertices, px.

    ``places`` (V, 3) are the posed vertices that were displaced. Along limbs only the change of width counts: what
    moves a limb's centre line sideways is pose. Added width is partly added in depth too. Left and right are averaged,
    except for the head (hair is seldom symmetric). ``from_side`` is for a view of a figure that has its width already:
    it shows depth alone, and not the arms, which hang in front of the body there.
    """
    change = np.concatenate([moved, np.zeros((len(moved), 1))], 1)
    root = np.zeros((len(moved), 3))
    turned = _blended(figure, pose)
    heads = figure.heads.copy()
    chest = pose.linear[BONE["chest"]]
    pelvis_shift = _root_shift(figure, shares, change)
    change[:, :2] -= pelvis_shift
    for part in PARTS:
        along = _along(figure, shares[:, PARTS.index(part)], part)
        here = change[along.rows]
        centre = along.mean(here)
        if part in _LIMBS:
            start = centre[:2].mean(0) if part.startswith("arm") else np.zeros(3)
            change[along.rows] -= along.share[:, None] * along.at(centre)
            rest_start = np.linalg.solve(chest, start)
            root[along.rows] += along.share[:, None] * rest_start
            _move_limb(heads, part, rest_start)
        if not from_side:
            _deepen(change, places, along, part)
        elif part.startswith("arm"):
            change[along.rows] *= 1 - along.share[:, None]
            root[along.rows] *= 1 - along.share[:, None]
    rest = np.linalg.solve(turned, change[:, :, None])[:, :, 0] + root
    if from_side:
        rest[:, :2] = 0
        heads = figure.heads.copy()
    rest = _bounded(figure, shares, _symmetric(figure, shares, rest))
    vertices = (figure.vertices + rest).astype(np.float32)
    heads, marks = _carried(figure, shares, rest, _mirrored_heads(heads))
    return standing_at_one(replace(figure, vertices=vertices, heads=heads, landmarks=marks))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sections(Shaped):
    """The section of limb, torso or skirt through each posed vertex, as an ellipse about its middle."""

    SHAPES: ClassVar[Shapes] = {"half_width": ("V",), "depth_ratio": ("V",), "across": ("V", 2), "place": ("V",)}

    half_width: NDArray[np.float32]
    """(V,) px, across the limb in the picture; 0 at head, hands and feet, which are not round."""
    depth_ratio: NDArray[np.float32]
    """(V,) half depth over half width."""
    across: NDArray[np.float32]
    """(V, 2) unit vector across in the picture."""
    place: NDArray[np.float32]
    """(V,) where the vertex is across, in half widths: -1 at one outline to 1 at the other."""


def find_sections(figure: Figure, shares: Float64Array, places: NDArray[np.float32]) -> Sections:
    """Measure the sections of a posed figure, whose vertices are at ``places`` (V, 3)."""
    width, depth, place = np.zeros(len(places)), np.zeros(len(places)), np.zeros(len(places))
    across = np.zeros((len(places), 2))
    for part in PARTS:
        if part == "head":
            continue
        along = _along(figure, shares[:, PARTS.index(part)], part)
        points = places[along.rows].astype(np.float64)
        means = along.mean(points)
        ray = points - along.at(means)
        way = _across(means, along, part)
        beside = (ray[:, :2] * way).sum(1)
        # The mean square over an ellipse is half the square of its half axis.
        squared = along.at(along.mean(2 * np.stack([beside, ray[:, 2]], 1) ** 2))
        half = np.sqrt(squared)
        width[along.rows] += along.share * half[:, 0]
        depth[along.rows] += along.share * half[:, 1]
        place[along.rows] += along.share * beside / np.maximum(half[:, 0], 1e-6)
        across[along.rows] += along.share[:, None] * way
    _skirt_sections(figure, places, width, depth, across, place)
    ends = [BONE[f"{bone}.{side}"] for bone in ("hand", "foot", "toe") for side in "LR"]
    held = (figure.bone_weight * np.isin(figure.bone_index, ends)).sum(1)
    skull = shares[:, PARTS.index("head")]
    width *= np.clip(1 - 2 * held, 0, 1) * np.clip(1 - 2 * skull, 0, 1)
    ratio = np.clip(depth / np.maximum(width, 1e-6), *_RATIOS)
    return Sections(*(np.asarray(values, np.float32) for values in (width, ratio, across, place)))


def _skirt_sections(
    figure: Figure,
    places: NDArray[np.float32],
    width: Float64Array,
    depth: Float64Array,
    across: Float64Array,
    place: Float64Array,
) -> None:
    """Fill in those of a skirt, which is round about the middle of both legs, not about one of them."""
    skirt = np.unique(figure.triangles[figure.groups == Group.SKIRT])
    if not len(skirt):
        return
    level = figure.vertices[skirt, 1]
    ring = np.clip((level - level.min()) / max(np.ptp(level), 1e-9) * _BINS, 0, _BINS - 1 - 1e-6)
    points = places[skirt][:, [0, 2]].astype(np.float64)
    low, high = np.full((_BINS, 2), np.inf), np.full((_BINS, 2), -np.inf)
    np.minimum.at(low, ring.astype(np.int64), points)
    np.maximum.at(high, ring.astype(np.int64), points)
    known = np.flatnonzero(np.isfinite(low[:, 0]))
    middle, half = (low[known] + high[known]) / 2, (high[known] - low[known]) / 2
    at = np.clip(ring - 0.5, 0, _BINS - 1)
    middle_x, half_x, half_z = (np.interp(at, known, values) for values in (middle[:, 0], half[:, 0], half[:, 1]))
    width[skirt], depth[skirt] = half_x, half_z
    across[skirt] = [1.0, 0.0]
    place[skirt] = (points[:, 0] - middle_x) / np.maximum(half_x, 1e-6)


def _across(means: Float64Array, along: _Along, part: str) -> Float64Array:
    """(n, 2) unit vectors across the part in the picture; a limb runs where its bins' centers go."""
    if part not in _LIMBS:
        return np.tile([1.0, 0.0], (len(along.rows), 1))
    way = np.gradient(means[:, :2], axis=0)
    way = along.at(way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9))
    return np.stack([-way[:, 1], way[:, 0]], 1)


def _root_shift(figure: Figure, shares: Float64Array, change: Float64Array) -> Float64Array:
    """(2,) translation of the hips as a whole: position, not shape."""
    near = np.abs(figure.vertices[:, 1] - figure.heads[BONE["pelvis"]][1]) < 0.05
    near &= shares[:, PARTS.index("torso")] > 0.5
    return change[near, :2].mean(0) if near.any() else np.zeros(2)


def _along(figure: Figure, share: Float64Array, part: str) -> _Along:
    stem, _, side = part.partition(".")
    chain = [figure.heads[BONE[f"{bone}.{side}" if side else bone]] for bone in _CHAINS[stem]]
    rows = np.flatnonzero(share > 0.01)
    points = figure.vertices[rows].astype(np.float64)
    best = np.full(len(rows), np.inf)
    place = np.zeros(len(rows))
    lengths = [float(np.linalg.norm(b - a)) for a, b in pairwise(chain)]
    total = sum(lengths)
    done = 0.0
    for n, (start, stop, length) in enumerate(zip(chain[:-1], chain[1:], lengths, strict=True)):
        raw = (points - start) @ (stop - start) / length**2
        # Beyond the chain's ends too: hands, feet and crown have bins of their own.
        t = np.clip(raw, -0.3 if n == 0 else 0.0, 1.0 if n < len(lengths) - 1 else 1.6)
        apart = np.linalg.norm(points - start - t[:, None] * (stop - start), axis=1)
        nearer = apart < best
        place = np.where(nearer, done + t * length, place)
        best = np.minimum(best, apart)
        done += length
    low, high = -0.3 * lengths[0], total + 0.6 * lengths[-1]
    bins = np.clip((place - low) / (high - low), 0, 1 - 1e-9) * _BINS
    floor = bins.astype(np.int64)
    return _Along(rows, share[rows], floor, bins - floor)


def _deepen(change: Float64Array, places: NDArray[np.float32], along: _Along, part: str) -> None:
    """Scale depth about each bin's centre as its width was scaled."""
    points = places[along.rows].astype(np.float64)
    means = along.mean(points)
    ray = points - along.at(means)
    across = _across(means, along, part)
    out = (ray[:, :2] * across).sum(1)
    gain = (change[along.rows, :2] * across).sum(1)
    top, bottom = along.mean((out * gain)[:, None]), along.mean((out * out)[:, None])
    factor = np.clip(top / np.maximum(bottom, 1e-9), -0.35, 0.8)
    stem = part.partition(".")[0]
    change[along.rows, 2] += along.share * _DEPTH_SHARE[stem] * along.at(factor)[:, 0] * ray[:, 2]


def _blended(figure: Figure, pose: Pose) -> Float64Array:
    """(V, 3, 3) each vertex' own rotation and scale."""
    return np.einsum("vk,vkij->vij", figure.bone_weight, pose.linear[figure.bone_index])


def _move_limb(heads: Float64Array, part: str, shift: Float64Array) -> None:
    stem, _, side = part.partition(".")
    names = {"arm": ("upperarm1", "upperarm2", "forearm1", "forearm2", "hand"), "leg": ()}[stem]
    for name in names:
        heads[BONE[f"{name}.{side}"]] += shift


def _mirrored_heads(heads: Float64Array) -> Float64Array:
    """Both sides' mean."""
    flip = np.array([-1.0, 1.0, 1.0])
    out = heads.copy()
    for row, bone in enumerate(BONES):
        stem, _, side = bone.partition(".")
        other = BONE[f"{stem}.{_OTHER_SIDE[side]}"] if side else row
        out[row] = (heads[row] + flip * heads[other]) / 2
    return out


def mirror_of(figure: Figure) -> NDArray[np.int64]:
    """(V,) each vertex' nearest on the other side, among those of its own surface."""
    points = figure.vertices.astype(np.float64)
    groups = np.zeros(len(points))
    groups[figure.triangles.ravel()] = np.repeat(figure.groups, 3)
    _, near = cKDTree(np.concatenate([points, groups[:, None]], 1)).query(
        np.concatenate([points * [-1, 1, 1], groups[:, None]], 1)
    )
    return near


def _symmetric(figure: Figure, shares: Float64Array, change: Float64Array) -> Float64Array:
    mirrored = change[mirror_of(figure)] * [-1, 1, 1]
    alone = np.clip(shares[:, PARTS.index("head")] * 2 - 1, 0, 1)[:, None]
    return alone * change + (1 - alone) * (change + mirrored) / 2


def _bounded(figure: Figure, shares: Float64Array, rest: Float64Array) -> Float64Array:
    """Return displacements (V, 3) no larger than those by which people differ from the bodies.

    More is an error of the pose or of the outline. A head that is moved as a whole is only moved: its shape stays.
    """
    rest = rest.copy()
    head = shares[:, PARTS.index("head")]
    skull = head > _SKULL
    # Up and down is the neck's length, which counts.
    sideways = rest[skull].mean(0) * [1.0, 0.0, 1.0]
    rest -= head[:, None] * sideways
    most = shares @ np.array([_MOST[part.partition(".")[0]] for part in PARTS])
    for group, bound in _MOST_OF_GROUP.items():
        most[np.unique(figure.triangles[figure.groups == group])] = bound
    along = rest[skull].mean(0)[1]
    rest[:, 1] -= head * along
    size = np.linalg.norm(rest, axis=1)
    rest *= np.minimum(1.0, most / np.maximum(size, 1e-9))[:, None]
    rest[:, 1] += head * float(np.clip(along, -_MOST_NECK, _MOST_NECK))
    return rest


def _carried(
    figure: Figure, shares: Float64Array, rest: Float64Array, heads: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Heads of the spine's bones and landmarks of the head, moved as the surface around them did."""
    out = heads.copy()
    torso = shares[:, PARTS.index("torso")] + shares[:, PARTS.index("head")] > 0.7
    for bone in ("spine1", "spine2", "chest", "neck", "head"):
        row = BONE[bone]
        near = torso & (np.abs(figure.vertices[:, 1] - figure.heads[row][1]) < 0.02)
        if near.any():
            out[row, 1] += rest[near, 1].mean()
    marks = figure.landmarks.copy()
    skull = np.flatnonzero(shares[:, PARTS.index("head")] > 0.7)
    tree = cKDTree(figure.vertices[skull])
    for row, name in enumerate(LANDMARKS):
        if name.endswith(("eye", "ear", "nose")):
            _, near = tree.query(figure.landmarks[row], k=12)
            marks[row] += rest[skull[near]].mean(0)
    return out, marks
