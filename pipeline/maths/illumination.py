"""Estimate the light on a person from the picture: from their own surfaces and their surroundings.

The brightness of a surface is its albedo times its light, and neither is known. Four cues of the intensity are combined
(face, clothes, the mean and the bright end of the surroundings), each relative to the average albedo of such surfaces;
an outlying cue loses its weight, so that dark skin or a dark wall alone does not darken the light, and backlight is
recognized by the person's cues together. Color is estimated from skin, whose hue varies little between people, and from
the surroundings. Direction is estimated from the person's own shading: along the silhouette the normals are known
(Johnson and Farid, "Exposing Digital Forgeries by Detecting Inconsistencies in Lighting", 2005). Change over time is
measured on their own parts, whose albedo is constant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.light import SceneLight
from pipeline.maths.backlight import backlit_strength
from pipeline.maths.light_sample import LUMINANCE, PARTS, LightSample
from pipeline.maths.robust import agreed_value
from pipeline.maths.smoothing import gaussian_smooth

_DARK = 2e-4
"""Floor of the logarithm: a tenth of the first 8-bit step."""

_TYPICAL = {"face": 0.41, "clothes": 0.15, "around": 0.27, "bright": 0.45}
"""Luminance of each cue under daylight: skin 0.35 to 0.45, cloth 0.15, scenery 0.2 to 0.3 (mean; its bright end as the
6th-power mean of Finlayson and Trezzi, "Shades of Gray", 2004)."""
_TRUST = {"face": 6.0, "clothes": 1.5, "around": 1.5, "bright": 1.5, "usual": 3.0}
"""Approximate inverse variance of the cue's logarithm. Both cues of the surroundings are of the same pixels: a dark
street must not count twice."""
_DARK_COLOR = 0.3
"""Log deviation below the other cues at which the trust in a face or in clothes falls to a half. With these constants
the RMS error of the logarithm is 0.13 instead of 0.18 over two rendered scenes, two people in each, in six lights."""
_USUAL = 0.85
"""Intensity of daylight after a camera's exposure."""
_DISAGREE = 0.5
"""Log deviation at which a cue's weight falls to a half."""
_STRENGTHS = (0.01, 1.3)
_SKIN = np.log(np.array([1.65, 1.0, 0.70]))
"""Log-ratio of skin's linear red and blue to its green, under white light."""
_DARKER_SKIN = np.array([0.11, 0.0, -0.05])
"""What darker skin adds to it per unit of the logarithm of its luminance: from the light to the dark skin of the
ColorChecker (McCamy, Marcus and Davidson, 1976), which reflects 0.28 of it, red over green grows from 1.77 to 2.03."""
_DARKEST_SKIN = 1.5
"""Log deviation of the darkest skin from usual skin."""
_CHROMA_TRUST = {"face": 20.0, "bright": 8.0, "usual": 16.0}
"""No cue outweighs the others together: a face in a warm glow is not lit by it alone."""
_CHROMA_DISAGREE = 0.2
_MOST_CHROMA = 1.6
_SWITCHED = 0.15
"""Change of the logarithm of the light in one frame, across which nothing is smoothed."""
_DARK_SURFACE = 0.02
"""Linear light of the darkest fiftieth of a clear picture at most: 0.001 to 0.02 on five clips, 0.05 and more against
the sun."""
_MOST_VEIL = 0.15


def light_over_time(
    samples: list[LightSample],
    sample_seconds: NDArray[np.float64],
    seconds: NDArray[np.float64],
    steps: NDArray[np.float32] | None = None,
) -> SceneLight:
    """Return the light of frames at ``seconds`` (N,) of one shot from samples at ``sample_seconds`` (S,), ascending.

    ``steps`` (N, 3) is the logarithm of the scene's light as far as it changes from one frame to the next: samples are
    smoothed over time without these changes. Without samples it is daylight.
    """
    if not samples:
        return SceneLight.daylight(len(seconds))
    sudden: NDArray[np.floating] = np.zeros((len(seconds), 3))
    lamp = np.zeros(len(seconds), np.int64)
    if steps is not None and np.ptp(steps, axis=0).any():
        rows = np.minimum(np.searchsorted(seconds, sample_seconds), len(seconds) - 1)
        sudden = steps - np.median(steps[rows], axis=0).astype(np.float64)
        lamp = np.concatenate([[0], np.cumsum(np.abs(np.diff(steps, axis=0)).max(axis=1) > _SWITCHED)])
        samples = [_in_light(sample, sudden[row]) for sample, row in zip(samples, rows, strict=True)]
    strength_rgb = _strength_rgb(samples)
    change = _change(samples, sample_seconds, seconds, lamp) + sudden
    rgb = np.exp(change) * strength_rgb
    direction, contrast = _key(samples)
    daylight = SceneLight.daylight(1)
    usual = mean_light(daylight.key_direction[0], daylight.key_rgb[0], daylight.ambient_rgb[0])
    key_rgb = contrast * daylight.key_rgb[0]
    ambient_rgb = daylight.ambient_rgb[0]
    # What the key light loses the sky gains: contrast does not affect the intensity.
    ambient_rgb = ambient_rgb * (1 + (1 - contrast) * float(np.mean(daylight.key_rgb)) / float(np.mean(ambient_rgb)))
    gain = usual / mean_light(direction, key_rgb, ambient_rgb)
    return SceneLight(
        np.tile(direction, (len(seconds), 1)).astype(np.float32),
        np.asarray(rgb * (gain * key_rgb), np.float32),
        np.asarray(rgb * (gain * ambient_rgb), np.float32),
        (_veil(samples) * np.exp(sudden)).astype(np.float32),
    )


def _in_light(sample: LightSample, sudden: NDArray[np.float64]) -> LightSample:
    """Return a sample as it would be without a change (3,) of the light's logarithm."""
    gain = np.exp(-sudden)
    return replace(
        sample,
        parts=sample.parts * gain,
        clothes=sample.clothes * gain,
        around=sample.around * gain,
        bright=sample.bright * gain,
        highlights=sample.highlights * float(gain @ LUMINANCE),
        darkest=sample.darkest * gain,
    )


def _veil(samples: list[LightSample]) -> NDArray[np.float64]:
    """Return the (3,) light that lies over everything: what even the darkest surfaces have, of the person and around
    them, beyond what dark surfaces reflect."""
    least = np.median([sample.darkest.min(axis=0) for sample in samples], axis=0)
    return np.asarray(np.clip(least - _DARK_SURFACE, 0, _MOST_VEIL), np.float64)


def mean_light(direction: NDArray[np.floating], key_rgb: NDArray[np.floating], sky_rgb: NDArray[np.floating]) -> float:
    """Return the mean light on the visible side of an upright cylinder."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 33)
    facing = np.clip((np.sin(angle) * direction[0] - np.cos(angle) * direction[2] + 0.25) / 1.25, 0, None)
    seen = np.cos(angle) / np.cos(angle).sum()
    # The ground reflects two fifths of the sky's light, and fills half of an upright surface's view.
    return float(facing @ seen * np.mean(key_rgb) + 0.7 * np.mean(sky_rgb))


def _median(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the (3,) median of the known ones, NaN where none is."""
    known = [value for value in values if np.isfinite(value).all()]
    return np.median(known, axis=0) if known else np.full(3, np.nan)


def _strength_rgb(samples: list[LightSample]) -> NDArray[np.float64]:
    """Return the (3,) intensity of the light relative to daylight over all samples."""
    signs = {
        "face": _median([sample.parts[0] for sample in samples]),
        "clothes": _median([sample.clothes for sample in samples]),
        "around": _median([sample.around for sample in samples]),
        "bright": _median([sample.bright for sample in samples]),
    }
    told = {name: float(np.log(max(rgb @ LUMINANCE, _DARK) / _TYPICAL[name])) for name, rgb in signs.items()
            if np.isfinite(rgb).all()}  # fmt: skip
    told["usual"] = float(np.log(_USUAL))
    highlights = float(np.median([sample.highlights for sample in samples]))
    strength = float(np.exp(backlit_strength(_agreed(told, _trust_in(told), _DISAGREE), told, highlights)))
    # No surface reflects more light than it receives: the person's highlights are a lower bound.
    strength = float(np.clip(max(strength, min(highlights / 0.9, 1.0)), *_STRENGTHS))
    # A face that is darker than its light is brown, and brown skin is redder.
    brown = float(np.clip(np.log(strength) - told.get("face", np.inf), 0.0, _DARKEST_SKIN))
    chroma = np.zeros(3)
    for channel in (0, 2):
        hints = {"usual": 0.0}
        for name, usual in (("face", _SKIN[channel] + brown * _DARKER_SKIN[channel]), ("bright", 0.0)):
            rgb = signs[name]
            if np.isfinite(rgb).all() and rgb.min() > _DARK:
                hints[name] = float(np.log(rgb[channel] / rgb[1]) - usual)
        chroma[channel] = np.clip(_agreed(hints, _CHROMA_TRUST, _CHROMA_DISAGREE), -_MOST_CHROMA, _MOST_CHROMA)
    color = np.exp(chroma)
    return strength * color / (color @ LUMINANCE)


def _trust_in(told: dict[str, float]) -> dict[str, float]:
    """Return the trust in each cue: less in a face, or clothes, darker than all else suggests: both may be dark.

    A bright surface is in bright light whatever its color; a dark one in dim light has dim surroundings, too.
    """
    trust = dict(_TRUST)
    for name in ("face", "clothes"):
        others = {other: value for other, value in told.items() if other != name}
        if name in told:
            darker = max(_agreed(others, trust, _DISAGREE) - told[name], 0.0)
            trust[name] = _TRUST[name] / (1 + (darker / _DARK_COLOR) ** 2)
    return trust


def _agreed(told: dict[str, float], trust: dict[str, float], disagree: float) -> float:
    """Return the robust mean of the named cues."""
    return agreed_value(np.array(list(told.values())), np.array([trust[name] for name in told]), disagree)


def _change(
    samples: list[LightSample],
    sample_seconds: NDArray[np.float64],
    seconds: NDArray[np.float64],
    lamp: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (N, 3): the logarithm of the light's change over time, about its median.

    Light changes on all parts of a body alike, a turn or a bent arm affects some: the median of the parts' changes is
    used. ``lamp`` (N,) changes with a sudden change of the light, across which nothing is smoothed.
    """
    if len(samples) < 3:
        return np.zeros((len(seconds), 3))
    values = np.log(np.maximum(np.array([sample.parts for sample in samples]), _DARK))
    known = np.isfinite(values).all(axis=2)
    changes = np.full(values.shape, np.nan)
    for part in range(len(PARTS)):
        if np.count_nonzero(known[:, part]) >= 3:
            changes[:, part] = values[:, part] - np.median(values[known[:, part], part], axis=0)
    rows = np.flatnonzero(np.isfinite(changes).all(axis=2).sum(axis=1) >= 3)
    if len(rows) < 3:
        return np.zeros((len(seconds), 3))
    common = np.nanmedian(changes[rows], axis=1)
    at = sample_seconds[rows]
    lamp_at = lamp[np.minimum(np.searchsorted(seconds, at), len(seconds) - 1)]
    smooth = np.concatenate(
        [gaussian_smooth(common[lamp_at == each], at[lamp_at == each], 0.25) for each in np.unique(lamp_at)]
    )
    level = smooth @ LUMINANCE
    tint = smooth - level[:, None]
    # A level below a tenth is shading due to pose.
    trust = np.maximum(np.abs(level) - 0.1, 0) / np.maximum(np.abs(level), 1e-6)
    # Color that changes alone, as between two lamps, counts as well; a turn changes it by up to a fifth.
    is_colored = np.clip(np.linalg.norm(tint, axis=1) / 0.2 - 1, 0, 1)
    told = (trust * level)[:, None] + np.maximum(trust, is_colored)[:, None] * tint
    change = np.stack([np.interp(seconds, at, told[:, channel]) for channel in range(3)], axis=1)
    if lamp[-1] > lamp[0]:
        for each in np.unique(lamp_at):
            own, under = lamp == each, lamp_at == each
            for channel in range(3):
                change[own, channel] = np.interp(seconds[own], at[under], told[under, channel])
    return change


def _key(samples: list[LightSample]) -> tuple[NDArray[np.float64], float]:
    """Return the (3,) direction to the key light and its contrast, 1 for daylight's.

    The regression's slopes are about half of the direction's x and y under a clear sky (measured on two renders with
    a known sun). It cannot observe z, for which daylight's is assumed; light from above is the most likely, and dark
    hair hides some of it.
    """
    usual = SceneLight.daylight(1).key_direction[0].astype(np.float64)
    matrix = np.sum([sample.normal_matrix for sample in samples], axis=0)
    shading = np.sum([sample.normal_shading for sample in samples], axis=0)
    pixels = float(np.trace(matrix))
    if pixels < 50:
        return usual, 1.0
    # A prior worth a twentieth of the pixels: where the light is even there is no slope.
    slope = np.linalg.solve(matrix + 0.05 * pixels * np.eye(2), shading)
    towards = np.array([2.0 * slope[0], min(2.0 * slope[1], -0.45), -0.5])
    contrast = float(np.clip(np.hypot(*slope) / 0.40, 0.25, 1.2))
    return towards / np.linalg.norm(towards), contrast
