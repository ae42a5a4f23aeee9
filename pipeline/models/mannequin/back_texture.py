"""Colors of the side of the body that a picture does not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Group
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import looks_like_hair
from pipeline.models.mannequin.head_texture import head_colors
from pipeline.models.mannequin.reference import extended
from pipeline.models.mannequin.sampling import sample_picture
from pipeline.models.mannequin.surface_samples import FACING, SurfaceSamples
from pipeline.models.mannequin.torso_texture import back_picture
from pipeline.models.mannequin.unclear_body import is_unclear, plain_cloth

_BORDER = 0.004
"""Depth inside the torso's border to which other parts' colors are mixed in, standing heights."""


def back_colors(
    view: FittedView,
    samples: SurfaceSamples,
    flat: NDArray[np.float32],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
    under_hair: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(T, S, 3) colors of the other side of the body: the same cloth, and on the head hair instead of the face."""
    out = flat.copy()
    if view.reference.view == "back":
        return out
    trunk = (groups != Group.THING) & (parts == PARTS.index("torso"))
    if is_unclear(view.reference):
        out = plain_cloth(out, samples.seen & (samples.facing > FACING[1]), trunk, groups)
    else:
        out[trunk] = _back_of_trunk(view, samples, flat, groups, trunk)
    head = (groups != Group.THING) & (parts == PARTS.index("head"))
    out[head] = _back_of_head(view, samples, flat, groups, parts, under_hair, head)
    return out


def _back_of_trunk(
    view: FittedView,
    samples: SurfaceSamples,
    flat: NDArray[np.float32],
    groups: NDArray[np.uint8],
    trunk: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """(n, S, 3) colors of the n triangles of the ``trunk`` (T,): the front's cloth, without its features."""
    shown = (view.nearest >= 0) & ~find_lower_arms(view.reference).area
    torso = shown & trunk[view.nearest]
    # A collar rises at the nape to where the front shows neck and shirt.
    border = _BORDER * view.reference.height_px
    back = extended(back_picture(view, torso), torso, border)
    gain = flat[trunk] / np.maximum(samples.colors[trunk], 1e-6)
    x, y = samples.x[trunk], samples.y[trunk]
    out = np.asarray(gain * sample_picture(back, x, y), np.float32)
    # The seat reaches lower than the belly: a top's color does not go on there.
    seat = groups[trunk] == Group.LOWER
    trousers = shown & np.isin(groups, [Group.LOWER, Group.LEG])[view.nearest]
    if seat.any() and trousers.any():
        cloth = extended(view.reference.colors, trousers, border)
        out[seat] = gain[seat] * sample_picture(cloth, x[seat], y[seat])
    return out


def _back_of_head(
    view: FittedView,
    samples: SurfaceSamples,
    flat: NDArray[np.float32],
    groups: NDArray[np.uint8],
    parts: NDArray[np.int64],
    under_hair: NDArray[np.float32],
    head: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """(n, S, 3) colors of the n triangles of the ``head`` (T,): hair instead of the face."""
    colors = head_colors(view)
    if colors is None:
        return flat[head]
    behind = colors.at(samples.x[head], samples.y[head], np.isin(groups[head], [Group.HAIR, Group.LONG_HAIR]))
    hair = sample_picture(colors.hair, samples.x[head], samples.y[head])
    behind += under_hair[head][..., None] * (hair - behind)
    # What is hair in front has another exposure than the skin beside it.
    in_front = looks_like_hair(samples.colors[head], colors.hair_color, colors.skin_color)
    is_hair = looks_like_hair(behind, colors.hair_color, colors.skin_color)
    gains = [_mean_gain(samples, flat, head, alike) for alike in (in_front, ~in_front)]
    return np.asarray(np.where(is_hair, *gains)[..., None] * behind, np.float32)


def _mean_gain(
    samples: SurfaceSamples, flat: NDArray[np.float32], head: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> float:
    """Return by what flattening changed what is seen well of the ``head``, n of (T,); ``chosen`` are (n, S)."""
    use = samples.seen[head] & chosen & (samples.facing[head] > 0.4)
    if not use.any():
        return 1.0
    return float(flat[head][use].sum() / max(float(samples.colors[head][use].sum()), 1e-6))
