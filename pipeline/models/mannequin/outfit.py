"""The mannequin's colors: its own, or those of the person in a reference picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import Group
from pipeline.models.mannequin.srgb import linear_from_srgb

Color = tuple[float, float, float]
"""sRGB, 0..255."""

_OWN: Mapping[str, Color] = MappingProxyType({
    "skin": (206, 160, 134),
    "hair": (62, 46, 38),
    "upper": (64, 96, 122),
    "lower": (58, 60, 68),
    "shoes": (52, 46, 44),
})  # fmt: skip
_MIN_PIXELS = 25
"""Fewer pixels give no reliable color."""

_SUIT_BRIGHTEST, _SUIT_CHROMA = 90, 24
"""Largest channel, and its distance to the smallest, of a top that is taken for a suit's jacket (bytes)."""


Length = Literal["none", "knee", "ankle"]
Headwear = Literal["none", "hat", "cap", "beanie", "helmet", "hood", "mask", "visor", "greathelm"]
HairStyle = Literal["short", "long", "ponytail", "bun", "afro"]
Beard = Literal["none", "stubble", "mustache", "goatee", "full", "long"]
Glasses = Literal["none", "clear", "dark"]
Front = Literal["closed", "suit", "open", "zip", "buttons"]
Wrap = Literal["none", "scarf", "hood", "cape"]
Pattern = Literal["stripes", "checks", "dots", "flowers", "camouflage", "bands"]


@dataclass(frozen=True, slots=True)
class Outfit:
    """What the figure wears."""

    colors: Mapping[str, Color] = field(default_factory=lambda: dict(_OWN))
    """``skin``, ``hair``, ``upper``, ``lower``, ``shoes``: sRGB 0..255; where they differ from the default
    also ``hanging``, ``headwear``, ``tie``, ``under`` (what an open top shows), ``wrap``, ``glasses``, ``beard`` and
    ``gloves``."""
    patterns: Mapping[str, tuple[Pattern, Color]] = field(default_factory=dict)
    """Of ``upper``, ``lower`` and ``hanging``: the pattern, and its second color."""
    long_sleeves: bool = True
    long_legs: bool = True
    front: Front = "closed"
    """How the top looks in front; a suit's jacket shows a shirt in its opening."""
    has_tie: bool = False
    hanging: Length = "none"
    """Down to where a skirt, or the lower part of a coat or dress, hangs around the legs."""
    hair_style: HairStyle = "short"
    is_bald: bool = False
    beard: Beard = "none"
    glasses: Glasses = "none"
    headwear: Headwear = "none"
    wrap: Wrap = "none"

    @property
    def hidden(self) -> frozenset[Group]:
        """Groups that this outfit does not show."""
        limbs = {Group.FOREARM if self.long_sleeves else Group.SLEEVE, Group.SHIN if self.long_legs else Group.LEG}
        return frozenset(limbs | ({Group.HAIR} if self.is_bald else set()))

    def group_colors(self) -> NDArray[np.float32]:
        """(groups, 3) linear light, 0..1."""
        c = self.colors
        table: Mapping[Group, Color] = {
            Group.SKIN: c["skin"], Group.FOREARM: c["skin"], Group.SHIN: c["skin"], Group.HAIR: c["hair"],
            Group.EYES: (226, 222, 216), Group.UPPER: c["upper"], Group.SLEEVE: c["upper"], Group.LOWER: c["lower"],
            Group.LEG: c["lower"], Group.SHOES: c["shoes"], Group.SKIRT: c.get("hanging", c["lower"]),
            Group.LONG_HAIR: c["hair"], Group.THING: c.get("headwear", c["upper"]),
            Group.WRAP: c.get("wrap", c["upper"]), Group.GLASSES: c.get("glasses", c["shoes"]),
        }  # fmt: skip
        return linear_from_srgb(np.array([table[group] for group in Group], np.float32) / np.float32(255))


def outfit_of(appearance: Appearance) -> Outfit:
    """Return the colors of the reference picture's person; parts that it does not show keep the figure's own.

    Each color is the median of the pixels at positions given by the joints, inside the person's mask, which is robust
    to logos, folds and slightly wrong joints. Sleeves and legs are long unless the forearm (shin) is nearer to the
    skin's color than to the garment's.
    """
    if appearance.reference is None or appearance.reference_person is None:
        return Outfit()
    person = appearance.reference_person
    sampler = _Sampler(appearance.reference, person.mask, person.joints[:, :2].astype(np.float64))
    own = Outfit()
    found = {name: color for name, color in sampler.parts().items() if color is not None}
    if "lower" not in found and "upper" in found and _is_dark_and_plain(found["upper"]):
        # Of a suit that is cut off the trousers are known too.
        found["lower"] = found["upper"]
    outfit = replace(own, colors={**own.colors, **found})
    fore = sampler.forearm()
    shin = sampler.shin()
    return replace(
        outfit,
        long_sleeves=fore is None or not _nearer(fore, outfit.colors["skin"], outfit.colors["upper"]),
        long_legs=shin is None or not _nearer(shin, outfit.colors["skin"], outfit.colors["lower"]),
    )


def _is_dark_and_plain(color: Color) -> bool:
    return max(color) < _SUIT_BRIGHTEST and max(color) - min(color) < _SUIT_CHROMA


def _nearer(color: Color, first: Color, second: Color) -> bool:
    here = np.array(color)
    return bool(np.linalg.norm(here - np.array(first)) < 0.8 * np.linalg.norm(here - np.array(second)))


def _limit_brightness(skin: Color | None) -> Color | None:
    """Skin under studio lamps is too bright: reduce its brightest channel to 224."""
    if skin is None:
        return None
    share = min(1.0, 224 / max(skin))
    return (skin[0] * share, skin[1] * share, skin[2] * share)


class _Sampler:
    def __init__(self, picture: NDArray[np.uint8], mask: Mask, joints: NDArray[np.float64]) -> None:
        self._rgb = picture[:, :, :3]
        self._inside = mask if picture.shape[2] == 3 else mask & (picture[:, :, 3] > 200)
        self._joints = joints
        left, right = self._at("left_shoulder"), self._at("right_shoulder")
        hips = (self._at("left_hip") + self._at("right_hip")) / 2
        self._down = hips - (left + right) / 2
        self._unit = float(np.linalg.norm(self._down))
        """Torso length, px: the unit of all positions."""
        self._rows, self._columns = np.mgrid[: picture.shape[0], : picture.shape[1]]

    def _at(self, name: str) -> NDArray[np.float64]:
        return self._joints[JOINT[name]]

    def parts(self) -> dict[str, Color | None]:
        if not np.isfinite(self._unit) or self._unit < 4:
            return {}
        up = -self._down / self._unit
        nose = self._at("nose")
        eyes = (self._at("left_eye") + self._at("right_eye")) / 2
        face_width = float(np.linalg.norm(self._at("left_eye") - self._at("right_eye")))
        cheeks = [nose + side * 0.75 * (self._at(f"{s}_eye") - eyes) for s in ("left", "right") for side in (1.0,)]
        skin = self._median([(c, 0.3 * face_width) for c in (*cheeks, nose)], bright=0.3)
        # Above the eyes by a forehead and a half: the crown; the topmost pixels of the mask when that is too high.
        crown = self._crown(eyes, up, face_width)
        chest = self._spots("shoulder", "hip", (0.12, 0.2, 0.28, 0.4), 0.09)
        thigh = self._spots("hip", "knee", (0.35, 0.55, 0.75), 0.07)
        return {
            "skin": _limit_brightness(skin or self._median(self._beyond("elbow", "wrist", 1.22, 0.04))),
            "hair": crown,
            "upper": self._median(chest),
            "lower": self._median(thigh),
            "shoes": self._median(self._beyond("knee", "ankle", 1.13, 0.06), least=12),
        }

    def forearm(self) -> Color | None:
        return self._median(self._spots("elbow", "wrist", (0.25, 0.4, 0.55), 0.03), least=9)

    def shin(self) -> Color | None:
        return self._median(self._spots("knee", "ankle", (0.3, 0.45, 0.6), 0.04), least=9)

    def _crown(self, eyes: NDArray[np.float64], up: NDArray[np.float64], width: float) -> Color | None:
        """Color of the top fifth of what the mask shows above the eyes."""
        if not np.isfinite(eyes).all() or not width > 0:
            return None
        along = (self._columns - eyes[0]) * up[0] + (self._rows - eyes[1]) * up[1]
        across = np.abs((self._columns - eyes[0]) * up[1] - (self._rows - eyes[1]) * up[0])
        above = self._inside & (along > 0.5 * width) & (along < 4.5 * width) & (across < 1.6 * width)
        if np.count_nonzero(above) < _MIN_PIXELS:
            return None
        top = float(np.quantile(along[above], 0.97))
        chosen = above & (along > 0.72 * top) & (along < 0.97 * top)
        return self._color(chosen, _MIN_PIXELS)

    def _spots(
        self, start: str, stop: str, shares: tuple[float, ...], radius: float
    ) -> list[tuple[NDArray[np.float64], float]]:
        return [
            (self._at(f"{s}_{start}") * (1 - t) + self._at(f"{s}_{stop}") * t, radius * self._unit)
            for s in ("left", "right")
            for t in shares
        ]

    def _beyond(self, start: str, stop: str, share: float, radius: float) -> list[tuple[NDArray[np.float64], float]]:
        return self._spots(start, stop, (share,), radius)

    def _median(
        self, spots: list[tuple[NDArray[np.float64], float]], least: int = _MIN_PIXELS, bright: float = 0.0
    ) -> Color | None:
        """Median of all the discs' pixels inside the mask; ``bright`` drops that fraction of the darkest."""
        chosen = np.zeros(self._inside.shape, bool)
        for center, radius in spots:
            if np.isfinite(center).all():
                near = (self._columns - center[0]) ** 2 + (self._rows - center[1]) ** 2 <= max(radius, 1.0) ** 2
                chosen |= near
        return self._color(chosen & self._inside, least, bright)

    def _color(self, chosen: Mask, least: int, bright: float = 0.0) -> Color | None:
        pixels = self._rgb[chosen].astype(np.float64)
        if len(pixels) < least:
            return None
        if bright:
            level = pixels.sum(1)
            pixels = pixels[level >= np.quantile(level, bright)]
        r, g, b = np.median(pixels, axis=0)
        return (float(r), float(g), float(b))
