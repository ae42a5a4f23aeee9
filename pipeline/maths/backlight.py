"""Recognize a person who stands against the light: everything about them is much darker than the scene suggests."""

from __future__ import annotations

import numpy as np

_LEAST_LUMINANCE = 2e-4
_HIGHLIGHTS = 0.40
"""Luminance of the brightest twentieth of a person under daylight: 0.23 to 0.55 of the light on six clips."""
_DARKER = (0.5, 1.0)
"""Log deviation of the person from the scene at which they may be, and are, backlit: 0.4 for a dark-skinned man in blue
clothes in daylight, 1.1 and 1.5 for people with a third of the scene's light."""
_TRUST = (0.6, 1.0)
"""Trust in that where the surroundings are as bright as usual, since a dark-skinned person may wear black, and where
they are overexposed."""
_OVEREXPOSED = (0.9, 1.3)
"""The bright end of the surroundings, relative to daylight, between which the trust grows."""


def backlit_strength(strength: float, told: dict[str, float], highlights: float) -> float:
    """Return the logarithm of the light's intensity: ``strength``, or less where the person stands against the light.

    ``told`` maps the cues of ``illumination`` to the logarithm of the intensity that each suggests, relative to
    daylight, ``highlights`` is the luminance of the person's brightest twentieth. One dark cue may be a dark color: the
    brightest of face, clothes and highlights decides.
    """
    if not {"face", "clothes", "around", "bright"} <= told.keys():
        return strength
    scene = (told["around"] + told["bright"]) / 2
    brightest = float(np.log(max(highlights, _LEAST_LUMINANCE) / _HIGHLIGHTS))
    person = max(told["face"], told["clothes"], brightest)
    is_backlit = float(np.interp(scene - person, _DARKER, (0.0, 1.0)))
    trust = float(np.interp(told["bright"], np.log(_OVEREXPOSED), _TRUST))
    return strength + is_backlit * trust * min(person - strength, 0.0)
