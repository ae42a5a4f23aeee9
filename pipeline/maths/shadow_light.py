"""What a shadow on the ground tells of the light: from which side the key light comes, and how strong it is at most.

A point's shadow moves sideways by as much, per unit of its height, as the key light comes from the other side. That
needs no camera and no surface: it corrects what the shading of clothes suggests. And ground in the shadow has lost all
of the key light, and some of the sky's that the person hides: the key light's share is not larger than what is lost.
"""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.arrays import Float64Array
from pipeline.datatypes.light import CastShadows, SceneLight
from pipeline.maths.illumination import mean_light

_TRUST_IN_SHADING = 0.5
"""Weight of the side that the person's own shading tells, beside the shadow's."""


def light_with_shadow(light: SceneLight, shadows: CastShadows) -> SceneLight:
    """Return the light of N frames, with the side and the largest share of the key light that the shadows tell.

    The strength of the light on upright surfaces stays as it is, and so do frames without a shadow on the ground.
    """
    thrown = np.flatnonzero(shadows.darkness.any(axis=1))
    direction = light.key_direction.copy()
    key_rgb = light.key_rgb.copy()
    ambient_rgb = light.ambient_rgb.copy()
    for frame in thrown:
        before = mean_light(light.key_direction[frame], light.key_rgb[frame], light.ambient_rgb[frame])
        direction[frame] = _turned(light.key_direction[frame].astype(np.float64), float(shadows.shear[frame, 0]))
        key_rgb[frame] *= _weaker(
            float(light.key_rgb[frame].mean()) * -float(direction[frame, 1]),
            float(light.ambient_rgb[frame].mean()),
            float(shadows.darkness[frame].mean()),
        )
        gain = before / mean_light(direction[frame], key_rgb[frame], ambient_rgb[frame])
        key_rgb[frame] *= gain
        ambient_rgb[frame] *= gain
    return SceneLight(direction, key_rgb, ambient_rgb, light.veil_rgb)


def _turned(direction: Float64Array, shear_right: float) -> Float64Array:
    """Return a unit vector towards a key light (3,) whose shadow moves by ``shear_right`` per px of height."""
    sideways = shear_right * direction[1]
    turned = np.array([_TRUST_IN_SHADING * direction[0] + (1 - _TRUST_IN_SHADING) * sideways, *direction[1:]])
    return turned / np.linalg.norm(turned)


def _weaker(key: float, sky: float, darkness: float) -> float:
    """Return the factor, at most 1, on the key light of level ground after which its share is no larger than the
    ``darkness`` of the shadow."""
    most = sky * darkness / max(1 - darkness, 1e-3)
    return min(most / max(key, 1e-6), 1.0)
