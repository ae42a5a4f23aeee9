"""Remove the light from a reference picture: estimate the albedo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.datatypes.light import SceneLight
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Figure
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.raster import vertex_normals
from pipeline.models.mannequin.shading import unshadowed_light

BRIGHTEST_SKIN = 0.745
"""Largest albedo of the brightest channel, linear: an sRGB value of 224."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_GAIN = (0.6, 1.8)
"""Bounds of the light correction: beyond them the cause is another color, or a wrong normal, rather than light."""
_OWN_LIGHT = 0.8
"""Exponent with which the figure's own soft light is assumed to be in the picture too."""
_LEAST_LIGHT = 0.3
"""Relative to a surface facing the camera: deeper in a fold the baked occlusion does not match the picture."""


def flattened(
    colors: NDArray[np.float32],
    use: NDArray[np.bool_],
    view: FittedView,
    figure: Figure,
    parts: NDArray[np.int64],
    shiny: NDArray[np.bool_],
    exposure_factor: float | None = None,
) -> NDArray[np.float32]:
    """Remove the picture's light from the samples' ``colors`` (T, S, 3): the albedo that reproduces the picture under
    the figure's own light.

    ``use`` (T,) are triangles whose colors are used to estimate the light, ``parts`` (T,) their body parts, ``shiny``
    (T, S) what keeps its exposure: hair and leather look as bright as their sheen, in the picture and in a scene.
    ``exposure_factor`` is that of ``shared_exposure``; None for the picture's own.

    A picture of a person is assumed to be taken in soft light from above, like the figure's own: that is removed first,
    since a figure that is darker at chin, neck and legs in the picture must not be darkened there a second time. The
    rest is fitted robustly by a plane over the normals (first-order spherical harmonics, Ramamoorthi and Hanrahan,
    2001): logos, folds and stripes are not light.
    """
    normals = vertex_normals(view.places, view.triangles)
    _, corners = sample_grid()
    soft = _soft_light(normals, figure.occlusion)
    own = np.einsum("sk,tk->ts", corners, soft[view.triangles])
    middle = normals[view.triangles].mean(1).astype(np.float64)
    level = np.log(np.maximum(colors.mean(1) @ _LUMA, 1e-3)) - np.log(own.mean(1))
    slope = _light_slope(middle[use], level[use].astype(np.float64), parts[use])
    tilt = np.einsum("sk,tkd->tsd", corners, normals[view.triangles]).astype(np.float64)
    tilt[..., 2] = np.minimum(tilt[..., 2], 0)
    ahead = np.array([0.0, 0.0, -1.0])
    gain = np.exp(-np.clip((tilt - ahead) @ slope, -0.7, 0.7)) / own
    # A surface is not brighter than its picture, and pale skin in a studio looks brighter than skin is.
    factor = shared_exposure([view]) if exposure_factor is None else exposure_factor
    exposure = np.where(shiny, np.float32(1), np.float32(factor))
    return np.asarray(colors * (np.clip(gain, *_GAIN) * exposure)[..., None], np.float32)


def _soft_light(normals: NDArray[np.float32], occlusion: NDArray[np.float32]) -> NDArray[np.float32]:
    """(V,) daylight from above on the figure without cast shadows, over that on a surface which faces the camera."""
    light = SceneLight.daylight(1)
    # Back faces take the color of what is in front of them, which is lit from there, and not in a fold of the back.
    seen = normals.copy()
    seen[:, 2] = -np.abs(seen[:, 2])
    occlusion = occlusion + np.clip(normals[:, 2], 0, 1) * (1 - occlusion)
    # The side of a studio lamp is unknown: assume both.
    both = [unshadowed_light(seen * np.array([way, 1, 1], np.float32), occlusion, light) for way in (1, -1)]
    ahead = unshadowed_light(np.array([[0, 0, -1]], np.float32), np.ones(1, np.float32), light) @ _LUMA
    relative = (both[0] + both[1]) @ _LUMA / (2 * ahead)
    return np.asarray(np.maximum(relative, _LEAST_LIGHT) ** _OWN_LIGHT, np.float32)


def shared_exposure(views: Sequence[FittedView]) -> float:
    """Return the factor that reduces the face to the largest albedo of skin; 1 where it is darker already.

    It is one for all pictures of a person: one from behind shows no face, and in a profile hair and shade are taken for
    skin, so that a jacket had a brighter back than front. Pictures in different light are matched where they meet.
    """
    skins = {view.reference.view: skin_color(view.reference) for view in views}
    front = skins.get("front")
    known = [skin for skin in skins.values() if skin is not None] if front is None else [front]
    # Values extrapolated beyond the picture's white must not darken everything that is not skin.
    brightest = max((float(np.clip(skin.max(), 1e-6, 1.0)) for skin in known), default=BRIGHTEST_SKIN)
    return min(1.0, BRIGHTEST_SKIN / brightest)


def _light_slope(normals: Float64Array, level: Float64Array, parts: NDArray[np.int64]) -> Float64Array:
    """(3,) gradient of log brightness along x, y, z of the normal; zero where there is too little evidence."""
    if len(level) < 200:
        return np.zeros(3)
    design = np.concatenate([normals, np.eye(len(PARTS))[parts]], 1)
    weight = np.ones(len(level))
    solution = np.zeros(design.shape[1])
    damping = np.diag([20.0, 20.0, 20.0] + [1e-3] * len(PARTS))
    for _ in range(8):
        weighted = design * weight[:, None]
        solution = np.linalg.solve(weighted.T @ design + damping, weighted.T @ level)
        apart = np.abs(level - design @ solution)
        weight = 1 / (1 + (apart / 0.12) ** 2)
    return np.clip(solution[:3], -0.5, 0.5)
