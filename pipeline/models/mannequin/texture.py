"""Colors of the reference person baked onto the figure's surface, once per job.

Each surface sample is projected into the picture to which the figure was fitted. Front-facing samples take the
picture's color, back-facing ones that of the cloth in front of them, and the back of the head is hair.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.albedo import BRIGHTEST_SKIN, flattened, shared_exposure
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.back_texture import back_colors
from pipeline.models.mannequin.cut_texture import cut_off, far_beside, with_matching_legs, with_matching_top
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.face_sides import is_foreign, read_within_face
from pipeline.models.mannequin.figure import LANDMARK, Figure, Group
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import find_hair
from pipeline.models.mannequin.hairline import hair_share
from pipeline.models.mannequin.hand_texture import with_even_hands
from pipeline.models.mannequin.head_texture import hair_in_picture
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, MeshColors, sample_grid, with_levels
from pipeline.models.mannequin.raster import vertex_normals
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.sampling import sample_picture
from pipeline.models.mannequin.seam_leveling import leveled
from pipeline.models.mannequin.shape import find_sections
from pipeline.models.mannequin.skin_tone import with_usual_chroma
from pipeline.models.mannequin.surface_samples import SurfaceSamples
from pipeline.models.mannequin.turned_head import with_far_side_mirrored
from pipeline.models.mannequin.unclear_body import is_unclear, usual_color, with_plain_arms, with_plain_gaps
from pipeline.models.mannequin.unrolling import unrolled

_DEPTH_SLACK = 0.012
"""Depth behind the front surface at which a point still counts as visible, standing heights: layers of clothes
touch."""
_FACING_HAIR = (0.4, 0.65)
"""Cosines between which a view's weight rises where hair is assumed on skin."""
_SHARPNESS = 14.0
"""Sharpness of the transition between views as the surface turns."""
_PREFERENCE = {"front": 0.2, "back": 0.1}
"""Bonus of the front view's cosine: it has the face, and arms hide much from the side."""
_ARM_RADIUS = 0.055
"""Margin around an arm seen from the side that is not sampled: its depth, and what it hides, are unknown. Standing
heights."""
_LEAST_SKIN = 200
"""Number of samples from which skin color is measured."""
_CHEEKS = 0.03
"""Distance from the nose within which a face tells its tone, standing heights."""
_WELL = 0.8
"""How well a view shows a sample, 0..1, from which its color is no guess."""
_LEAST_KNOWN = 0.02
"""Fraction of a layer that must be visible for the rest to be filled from it."""


def bake(
    figure: Figure,
    shares: Float64Array,
    drawn: NDArray[np.bool_],
    views: list[FittedView],
    plain: NDArray[np.float32],
) -> MeshColors:
    """Return the colors of the figure's drawn triangles, in their order.

    ``plain`` (F, S, 3) are the drawn triangles' flat colors: the fallback where no view shows the surface.
    """
    triangles = np.ascontiguousarray(figure.triangles[drawn])
    groups = figure.groups[drawn]
    parts = shares[triangles].sum(1).argmax(1)
    # A collar surrounds the neck, but the garment's back is behind it, not the head's.
    parts = np.where((groups == Group.UPPER) & (parts == PARTS.index("head")), PARTS.index("torso"), parts)
    parts = np.where(groups == Group.LONG_HAIR, PARTS.index("head"), parts)
    total = np.zeros((len(triangles), NUM_SAMPLES, 3), np.float32)
    weight = np.zeros((len(triangles), NUM_SAMPLES, 1), np.float32)
    strength = np.zeros_like(weight)
    known = np.zeros((len(triangles), NUM_SAMPLES), bool)
    behind = np.zeros_like(total)
    under_hair = hair_share(figure, triangles, groups)
    seen = [_sampled(view, figure, shares, parts, groups) for view in views]
    given = [_share(samples, view) for samples, view in zip(seen, views, strict=True)]
    albedos = []
    exposure = shared_exposure(views)
    for view, samples in zip(views, seen, strict=True):
        telling = samples.seen.all(1) & (samples.facing.min(1) > 0.2)
        shiny = hair_in_picture(samples.colors, view, parts) | (groups == Group.SHOES)[:, None]
        albedos.append(flattened(samples.colors, telling, view, figure, parts, shiny, exposure))
    albedos = leveled(albedos, given, triangles, len(figure.vertices))
    for view, samples, flat, one in zip(views, seen, albedos, given, strict=True):
        good = samples.seen & (samples.facing > 0)
        share = one[..., None]
        total += share * flat
        weight += share
        sure = samples.facing_weight()
        # At the temples a front view sees hair at a glance only: skin beside it would be smeared over it.
        hairy = np.maximum(under_hair, (groups == Group.HAIR)[:, None])
        sure *= 1 - hairy * (1 - samples.facing_weight(_FACING_HAIR))
        strength = np.maximum(strength, np.where(good, sure, 0)[..., None])
        through = samples.own_part[..., None] & ~known[..., None]
        back = back_colors(view, samples, flat, groups, parts, under_hair)
        behind = np.where(through, back, behind)
        known |= samples.own_part
    # Where views are weak, the fallback is blended in; a single weak view is not normalized to full weight.
    front = total / np.maximum(weight, 1e-9)
    fine = np.where(known[..., None], strength * front + (1 - strength) * behind, front)
    fine, shown = with_far_side_mirrored(fine, strength[..., 0], figure, triangles, groups, parts)
    known |= shown > 0.3
    faces = _in_front_of_ears(figure, triangles, groups, parts)
    arms = np.isin(parts, [PARTS.index("arm.L"), PARTS.index("arm.R")])
    if not any(view.reference.view == "front" for view in views):
        # No view shows the face, or half of it at a glance: use a plain one, not hair or smears over eyes and mouth.
        seen_skin = faces if any(view.reference.view != "back" for view in views) else (groups == Group.SKIN) & arms
        tone = fine[seen_skin][known[seen_skin]]
        # Arms in front of and behind the body are not sampled from the side: they are none of the top's color.
        bare = arms & np.isin(groups, [Group.SKIN, Group.FOREARM]) & ~known.any(1)
        for plain_skin in (faces, bare):
            fine[plain_skin] = _in_tone(plain[plain_skin], tone)
            known[plain_skin] = True
    hair = next((found for view in views if (found := find_hair(view.reference)) is not None), None)
    unread = np.any([find_lower_arms(view.reference).of_triangles(figure, triangles) for view in views], axis=0)
    unclear = all(is_unclear(view.reference) for view in views)
    vague = (parts != PARTS.index("head")) & (unread | unclear)
    # What is known of skin is the face's there.
    bare_hands = unread & np.isin(groups, [Group.SKIN, Group.FOREARM]) & ~known.any(1)
    cheeks = _around_nose(figure, triangles, faces)
    fine[bare_hands] = _in_tone(plain[bare_hands], fine[cheeks][known[cheeks]])
    known[bare_hands] = True
    tone = _tone(fine[cheeks][known[cheeks]])
    if hair is not None and tone is not None:
        bare_head = (groups == Group.SKIN) & (parts == PARTS.index("head"))
        depths = np.einsum("sk,tk->ts", sample_grid()[1], figure.vertices[triangles[bare_head]][..., 2])
        at_a_glance = strength[bare_head, :, 0] < _WELL
        known[bare_head] &= ~(at_a_glance & is_foreign(fine[bare_head], depths, figure, tone, hair))
    fine = with_usual_chroma(fine, known, groups, parts, faces, hair)
    tone = _tone(fine[cheeks][known[cheeks]])
    fine = with_even_hands(fine, known, figure, triangles, groups, tone)
    if all(np.isfinite(view.reference.cut_row) for view in views):
        ends = set.intersection(*(set(find_lower_arms(view.reference).cut_off) for view in views))
        fine, known = with_plain_arms(
            fine,
            known,
            strength[..., 0] > _WELL,
            groups,
            parts,
            [PARTS.index(arm) for arm in sorted(ends)],
            tone,
        )
        fine, known = with_matching_legs(fine, known, figure.vertices[triangles], groups)
        # A neck under a collar is no model for hands that are not seen.
        hands = (groups == Group.SKIN) & (parts != PARTS.index("head")) & ~known.any(1)
        fine[hands] = _in_tone(plain[hands], fine[cheeks][known[cheeks]])
        known[hands] = True
    fine = _filled(fine, known, figure, triangles, groups, plain)
    fine = with_plain_gaps(fine, known, figure, triangles, groups, vague, arms)
    if all(np.isfinite(view.reference.cut_row) for view in views):
        fine = with_matching_top(fine, known, figure.vertices[triangles], groups, parts)
    return with_levels(fine.astype(np.float32), triangles, len(figure.vertices))


def _share(samples: SurfaceSamples, view: FittedView) -> NDArray[np.float32]:
    """(T, S) weight of a view: one is selected, with a narrow seam to the next.

    Details slightly misaligned between two views would show twice.
    """
    good = samples.seen & (samples.facing > 0)
    score = _SHARPNESS * (samples.facing + _PREFERENCE.get(view.reference.view, 0.0))
    return np.where(good, samples.facing_weight() * np.exp(score), 0).astype(np.float32)


def _in_front_of_ears(
    figure: Figure, triangles: NDArray[np.int32], groups: NDArray[np.uint8], parts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(T,) the triangles of the face."""
    faces = np.isin(groups, [Group.SKIN, Group.EYES]) & (parts == PARTS.index("head"))
    ears = figure.landmarks[[LANDMARK["left_ear"], LANDMARK["right_ear"]], 2].mean()
    return faces & (figure.vertices[triangles][:, :, 2].mean(1) < ears)


def _around_nose(figure: Figure, triangles: NDArray[np.int32], faces: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) the triangles of a face that neither hair nor a hat hides."""
    nose = figure.landmarks[LANDMARK["nose"]]
    return faces & (np.linalg.norm(figure.vertices[triangles].mean(1) - nose, axis=1) < _CHEEKS)


def _tone(skin: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the usual color (3,) of visible skin (m, 3); None where too little is."""
    return usual_color(skin) if len(skin) >= _LEAST_SKIN else None


def _in_tone(plain: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flat colors (n, S, 3) of a face matched to the usual color of visible skin (m, 3)."""
    tone = _tone(skin)
    if tone is None or not len(plain):
        return plain
    tone *= min(1.0, BRIGHTEST_SKIN / max(float(tone.max()), 1e-6))
    return np.asarray(plain * (tone / np.median(plain.reshape(-1, 3), axis=0)), np.float32)


def _sampled(
    view: FittedView, figure: Figure, shares: Float64Array, parts: NDArray[np.int64], groups: NDArray[np.uint8]
) -> SurfaceSamples:
    reference = view.reference
    _, corners = sample_grid()
    triangles = view.triangles
    normals = vertex_normals(view.places, triangles)
    place = np.einsum("sk,tkd->tsd", corners, view.places[triangles])
    facing = -np.einsum("sk,tk->ts", corners, normals[triangles][..., 2])
    x, y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    inwards = unrolled(find_sections(figure, shares, view.places), triangles, corners)
    read_x, read_y = x + inwards[..., 0], y + inwards[..., 1]
    if reference.view == "front":
        face = (groups == Group.SKIN) & (parts == PARTS.index("head"))
        at_rest = np.einsum("sk,tkd->tsd", corners, figure.vertices[triangles[face]])
        read_x[face] = read_within_face(x[face], y[face], facing[face], at_rest, figure, reference.height_px)
    colors = sample_picture(reference.colors, read_x, read_y)
    height, width = view.nearest.shape
    column = np.clip(np.rint(x), 0, width - 1).astype(np.int64)
    row = np.clip(np.rint(y), 0, height - 1).astype(np.int64)
    owner = view.nearest[row, column]
    front = np.where(owner >= 0, view.depth[row, column], np.float32(1e9))
    seen = place[..., 2] <= front + _DEPTH_SLACK * reference.height_px
    if reference.view in ("left", "right"):
        arms = np.isin(parts, [PARTS.index("arm.L"), PARTS.index("arm.R")])
        hidden = _near_arms(reference)[row, column]
        seen &= ~arms[:, None] & ~hidden
        owner = np.where(hidden, -2, owner)
    lower = find_lower_arms(reference)
    covered = np.broadcast_to(lower.of_triangles(figure, triangles)[:, None], row.shape).copy()
    for arm, area in zip(("arm.L", "arm.R"), lower.areas, strict=True):
        # An arm does not hide itself, but a folded one hides the other.
        covered |= area[row, column] & (parts != PARTS.index(arm))[:, None]
    # A head may be behind a hand, but joints do not tell.
    covered &= (parts != PARTS.index("head"))[:, None]
    seen &= ~covered
    owner = np.where(covered, -2, owner)
    # Far beside the person and where the picture ends nothing is seen, and nothing is known of what is behind. Only
    # fingers never lie exactly on those of a picture.
    hands = (groups == Group.SKIN) & np.isin(parts, [PARTS.index("arm.L"), PARTS.index("arm.R")])
    is_outside = far_beside(reference)[row, column] & ~hands[:, None]
    is_outside |= (y >= reference.cut_row) | cut_off(reference, parts, groups)[:, None]
    seen &= ~is_outside
    owner = np.where(is_outside, -2, owner)
    own_part = owner != -2
    own_part &= (owner < 0) | (parts[owner] == parts[:, None])
    return SurfaceSamples(colors, facing.astype(np.float32), seen, own_part, read_x, read_y)


def _near_arms(reference: ReferenceView) -> NDArray[np.bool_]:
    """(h, w) the area close to an arm or hand."""
    drawn = np.zeros(reference.mask.shape, np.uint8)
    width = max(1, round(2 * _ARM_RADIUS * reference.height_px))
    for side in ("left", "right"):
        chain = [reference.skeleton[JOINT[f"{side}_{part}"], :2] for part in ("shoulder", "elbow", "wrist", "hand")]
        # Fingers extend as far beyond the knuckles as these beyond the wrist.
        chain.append(2 * chain[3] - chain[2])
        points = np.array([point for point in chain[1:] if np.isfinite(point).all()])
        if len(points) > 1:
            cv2.polylines(drawn, [np.rint(points).astype(np.int32)], False, 1, width)
    return drawn > 0


def _filled(
    fine: NDArray[np.float32],
    known: NDArray[np.bool_],
    figure: Figure,
    triangles: NDArray[np.int32],
    groups: NDArray[np.uint8],
    plain: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Fill surfaces that no picture shows from the same position on the other side, or from the nearest on the same
    layer."""
    if known.all():
        return fine
    _, corners = sample_grid()
    place = np.einsum("sk,tkd->tsd", corners, figure.vertices[triangles])
    out = fine.copy()
    for group in np.unique(groups):
        row = groups == group
        here = place[row].reshape(-1, 3)
        have = known[row].ravel()
        if have.all():
            continue
        if have.mean() < _LEAST_KNOWN:
            # Almost nothing is known of this layer: spreading a small patch over all of it would be a guess.
            out[row] = np.where(known[row][..., None], fine[row], plain[row])
            continue
        tree = cKDTree(here[have])
        wanted = here[~have]
        mirrored = wanted * np.array([-1, 1, 1], np.float32)
        apart, other = tree.query(mirrored)
        distance, near = tree.query(wanted, k=4)
        share = 1 / (distance + 1e-3) ** 2
        share /= share.sum(1, keepdims=True)
        colors = fine[row].reshape(-1, 3)
        source = colors[have]
        blended = (share[..., None] * source[near]).sum(1)
        colors[~have] = np.where((apart < 0.006)[:, None], source[other], blended)
        out[row] = colors.reshape(-1, NUM_SAMPLES, 3)
    return out
