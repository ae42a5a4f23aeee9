"""Clothes, colors and body from the words of a prompt, where no picture shows the person.

Only words that change the figure are used: garments, colors before a garment, hair or skin, and the body. Everything
else that describes the person is returned, so that a caller learns what was ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.models.mannequin.bodies import AVERAGE, BodyType
from pipeline.models.mannequin.body_words import GRAY_FROM_YEARS, body_from_words
from pipeline.models.mannequin.outfit import Color, Headwear, Outfit

Sex = Literal["female", "male"]

_COLORS: Mapping[str, Color] = {
    "black": (34, 34, 36), "white": (228, 228, 224), "gray": (120, 122, 124), "grey": (120, 122, 124),
    "red": (170, 40, 42), "blue": (46, 84, 150), "navy": (32, 42, 74), "green": (52, 110, 66), "yellow": (222, 186, 62),
    "orange": (216, 120, 44), "purple": (104, 62, 132), "pink": (220, 140, 160), "brown": (104, 72, 50),
    "beige": (204, 184, 152), "khaki": (158, 142, 104), "turquoise": (62, 160, 164), "cream": (232, 222, 196),
}  # fmt: skip
_HAIR: Mapping[str, Color] = {
    "black": (30, 27, 26), "brown": (74, 52, 38), "brunette": (74, 52, 38), "blond": (196, 160, 104),
    "blonde": (196, 160, 104), "red": (140, 70, 40), "ginger": (160, 84, 46), "gray": (158, 156, 152),
    "grey": (158, 156, 152), "white": (214, 212, 206), "silver": (186, 186, 186), "dark": (44, 36, 32),
}  # fmt: skip
_SKIN: Mapping[str, Color] = {
    "pale": (228, 188, 166), "fair": (226, 184, 160), "light": (218, 174, 148), "tan": (192, 144, 112),
    "tanned": (192, 144, 112), "olive": (188, 144, 110), "brown": (142, 98, 74), "dark": (94, 64, 50),
    "black": (86, 58, 46),
}  # fmt: skip
_SEX: Mapping[str, Sex] = {
    "man": "male", "male": "male", "boy": "male", "guy": "male", "gentleman": "male", "businessman": "male",
    "schoolboy": "male", "grandfather": "male", "grandpa": "male", "schoolgirl": "female", "grandmother": "female",
    "grandma": "female", "granny": "female",
    "woman": "female", "female": "female", "girl": "female", "lady": "female", "businesswoman": "female",
}  # fmt: skip
_PART: Mapping[str, str] = {
    "shirt": "upper", "t-shirt": "upper", "tshirt": "upper", "tee": "upper", "blouse": "upper", "top": "upper",
    "sweater": "upper", "pullover": "upper", "hoodie": "upper", "jacket": "upper", "blazer": "upper", "vest": "upper",
    "trousers": "lower", "pants": "lower", "jeans": "lower", "leggings": "lower", "shorts": "lower", "chinos": "lower",
    "shoes": "shoes", "boots": "shoes", "sneakers": "shoes", "trainers": "shoes", "heels": "shoes",
}  # fmt: skip
_HANGING = ("skirt", "dress", "gown")
_LONG = ("long", "maxi", "floor-length")
_SHORT = ("short", "mini", "knee-length")
_LONG_COATS = ("coat", "overcoat", "raincoat", "trenchcoat", "robe")
_HEADWEAR: Mapping[str, Headwear] = {
    "hat": "hat", "fedora": "hat", "cap": "cap", "beanie": "cap", "helmet": "helmet", "hardhat": "helmet",
}  # fmt: skip
_NOUNS = frozenset((*_PART, *_HANGING, *_LONG_COATS, *_HEADWEAR, "hair", "haired", "tie", "necktie", "suit"))
_FELT: Color = (96, 74, 56)
_LIGHTER = ("light", "pale", "bright")
_DARKER = ("dark", "deep")
_DENIM: Color = (58, 78, 112)
_SHORT_SLEEVES = ("t-shirt", "tshirt", "tee", "vest", "short-sleeved")
_IGNORED = frozenset(
    (
        *(
            "a",
            "an",
            "the",
            "in",
            "on",
            "at",
            "of",
            "to",
            "and",
            "or",
            "with",
            "without",
            "as",
            "who",
            "is",
            "has",
            "his",
        ),
        *(
            "her",
            "their",
            "wearing",
            "wears",
            "dressed",
            "very",
            "nice",
            "person",
            "people",
            "human",
            "character",
            "someone",
        ),
        *("adult", "young", "photo", "photograph", "picture", "image", "portrait", "full", "body", "length", "natural"),
        *(
            "light",
            "lighting",
            "sharp",
            "focus",
            "realistic",
            "photorealistic",
            "cinematic",
            "detailed",
            "high",
            "quality",
        ),
        *(
            "hd",
            "4k",
            "8k",
            "daylight",
            "studio",
            "outdoor",
            "outdoors",
            "indoors",
            "standing",
            "walking",
            "hair",
            "haired",
        ),
        *("skin", "skinned", "clothes", "clothing", "outfit", "business", "formal"),
    )
)
"""Common prompt words that do not describe the figure."""


@dataclass(frozen=True, slots=True)
class _Style:
    words: tuple[str, ...]
    colors: Mapping[str, Color]
    long_sleeves: bool = True
    long_legs: bool = True
    has_tie: bool = False


_STYLES = (
    _Style(
        ("suit", "tuxedo", "businessman", "businesswoman"),
        {"upper": (44, 46, 54), "lower": (44, 46, 54), "shoes": (28, 24, 24)},
        has_tie=True,
    ),
    _Style(
        ("sports", "sport", "sporty", "athlete", "athletic", "runner", "gym", "tracksuit", "jogger", "sportswear"),
        {"upper": (42, 110, 176), "lower": (36, 38, 44), "shoes": (226, 226, 226)},
        long_sleeves=False,
    ),
    _Style(("casual",), {"upper": (92, 116, 104), "lower": (58, 78, 112), "shoes": (216, 212, 204)}),
    _Style(
        (*_LONG_COATS, "parka"),
        {"upper": (150, 118, 82), "lower": (48, 50, 58), "shoes": (58, 42, 34)},
    ),
    _Style(
        ("nurse", "scrubs", "surgeon"),
        {"upper": (96, 150, 176), "lower": (96, 150, 176), "shoes": (222, 222, 222)},
        long_sleeves=False,
    ),
    _Style(("chef", "cook"), {"upper": (228, 228, 224), "lower": (40, 42, 48), "shoes": (30, 28, 28)}),
    _Style(
        ("uniform", "officer", "police", "policeman", "policewoman", "guard", "pilot"),
        {"upper": (34, 44, 78), "lower": (30, 36, 58), "shoes": (22, 22, 24)},
        has_tie=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """The choices made by a prompt's words."""

    outfit: Outfit = field(default_factory=Outfit)
    sex: Sex | None = None
    body: BodyType = AVERAGE
    unknown: tuple[str, ...] = ()
    """Words without effect, in order, each once."""


def choose_from_words(prompt: str) -> Wardrobe:
    """Read a prompt in English. A color belongs to the next garment, hair or skin within two words.

    An empty prompt results in the figure's own outfit and no unknown words.
    """
    words = [part for word in re.findall(r"[a-z0-9'-]+", prompt.lower()) for part in _parts(_plain(word))]
    reader = _Reader(words, [word in _IGNORED for word in words])
    outfit = _with_garments(_with_style(Outfit(), reader), reader)
    outfit = _with_headwear(_with_skirt(outfit, reader), reader)
    body, places = body_from_words(words, _NOUNS)
    reader.understand(places)
    if body.age_years >= GRAY_FROM_YEARS:
        outfit = replace(outfit, colors={**outfit.colors, "hair": _HAIR["gray"]})
    outfit, sex = _with_skin_and_hair(outfit, reader)
    return Wardrobe(outfit, sex, body, reader.unknown())


@dataclass(slots=True)
class _Reader:
    """Words, and which of them were understood."""

    words: list[str]
    used: list[bool]

    def find(self, known: Iterable[str]) -> list[int]:
        """Return the positions of words of ``known``, and mark them as understood."""
        known = frozenset(known)
        places = [n for n, word in enumerate(self.words) if word in known]
        self.understand(places)
        return places

    def understand(self, places: Iterable[int]) -> None:
        """Mark words as understood."""
        for n in places:
            self.used[n] = True

    def color_before(self, place: int, table: Mapping[str, Color]) -> Color | None:
        """Return the color among the two words before a noun."""
        for n in range(place - 1, max(place - 3, -1), -1):
            if self.words[n] in table and not self.used[n]:
                self.used[n] = True
                return self._shaded(table[self.words[n]], n)
            if self.words[n] in _PART or self.words[n] in ("and", "with"):
                return None
        return None

    def _shaded(self, color: Color, place: int) -> Color:
        """Return a color as light or dark as the word before it says."""
        before = self.words[place - 1] if place else ""
        if before in _LIGHTER:
            self.used[place - 1] = True
            red, green, blue = (channel + 0.45 * (255 - channel) for channel in color)
            return red, green, blue
        if before in _DARKER:
            self.used[place - 1] = True
            red, green, blue = (0.6 * channel for channel in color)
            return red, green, blue
        return color

    def has_before(self, place: int, known: Iterable[str], reach: int = 3) -> bool:
        """Return whether one of the ``known`` words is among the ``reach`` before a noun, and mark it as understood."""
        for n in range(place - 1, max(place - 1 - reach, -1), -1):
            if self.words[n] in known:
                self.used[n] = True
                return True
            if self.words[n] in ("and", "with", "in"):
                return False
        return False

    def unknown(self) -> tuple[str, ...]:
        """Return what was not understood, each word once."""
        return tuple(dict.fromkeys(w for w, known in zip(self.words, self.used, strict=True) if not known))


def _with_style(outfit: Outfit, reader: _Reader) -> Outfit:
    """Dress in the first style that the prompt names."""
    for style in _STYLES:
        places = reader.find(style.words)
        if not places:
            continue
        colors = {**outfit.colors, **style.colors}
        for place in places:
            color = reader.color_before(place, _COLORS)
            if color is not None:
                colors["upper"] = color
                colors["lower"] = colors["lower"] if style.words[0] == "coat" else color
        return Outfit(colors, style.long_sleeves, style.long_legs, style.has_tie)
    return outfit


def _with_garments(outfit: Outfit, reader: _Reader) -> Outfit:
    """Change single garments, with their sleeve and leg lengths."""
    colors = dict(outfit.colors)
    long_sleeves = outfit.long_sleeves
    long_legs = outfit.long_legs
    for place in reader.find((*_PART, *_SHORT_SLEEVES)):
        word = reader.words[place]
        long_sleeves = long_sleeves and word not in _SHORT_SLEEVES
        long_legs = long_legs and word != "shorts"
        color = reader.color_before(place, _COLORS) or (_DENIM if word == "jeans" else None)
        if word in _PART and color is not None:
            colors[_PART[word]] = color
    return replace(outfit, colors=colors, long_sleeves=long_sleeves, long_legs=long_legs)


def _with_skirt(outfit: Outfit, reader: _Reader) -> Outfit:
    """Hang a skirt, a dress or a coat's lower part around the legs, and color a tie."""
    colors = dict(outfit.colors)
    if any(word in _LONG_COATS for word in reader.words):
        outfit = replace(outfit, hanging="knee", colors={**colors, "hanging": colors["upper"]})
    for place in reader.find(("tie", "necktie")):
        color = reader.color_before(place, _COLORS)
        colors = {**outfit.colors, **({"tie": color} if color is not None else {})}
        outfit = replace(outfit, has_tie=True, colors=colors)
    for place in reader.find(_HANGING):
        colors = dict(outfit.colors)
        is_long = reader.has_before(place, _LONG)
        reader.has_before(place, _SHORT)
        color = reader.color_before(place, _COLORS)
        if reader.words[place] != "skirt":
            colors["upper"] = color or colors["upper"]
            color = colors["upper"]
        colors["hanging"] = color or colors["lower"]
        sleeves = outfit.long_sleeves and reader.words[place] == "skirt"
        outfit = replace(
            outfit, colors=colors, hanging="ankle" if is_long else "knee", long_legs=False, long_sleeves=sleeves
        )
    return outfit


def _with_headwear(outfit: Outfit, reader: _Reader) -> Outfit:
    for place in reader.find(_HEADWEAR):
        color = reader.color_before(place, _COLORS) or _FELT
        outfit = replace(outfit, headwear=_HEADWEAR[reader.words[place]], colors={**outfit.colors, "headwear": color})
    return outfit


def _with_skin_and_hair(outfit: Outfit, reader: _Reader) -> tuple[Outfit, Sex | None]:
    """Color hair and skin, and determine the sex."""
    colors = dict(outfit.colors)
    is_long = outfit.long_hair
    for place in [n for n, word in enumerate(reader.words) if word in ("skin", "skinned")]:
        colors["skin"] = reader.color_before(place, _SKIN) or colors["skin"]
    for place in [n for n, word in enumerate(reader.words) if word in ("hair", "haired")]:
        is_long = is_long or reader.has_before(place, ("long",))
        colors["hair"] = reader.color_before(place, _HAIR) or colors["hair"]
    sex: Sex | None = None
    for place in reader.find(_SEX):
        sex = sex or _SEX[reader.words[place]]
        colors["skin"] = reader.color_before(place, {name: _SKIN[name] for name in ("black", "dark")}) or colors["skin"]
    for place in reader.find(("blond", "blonde", "brunette", "ginger")):
        colors["hair"] = _HAIR[reader.words[place]]
    if reader.find(("bald",)):
        colors["hair"] = colors["skin"]
    return replace(outfit, colors=colors, long_hair=is_long), sex


def _plain(word: str) -> str:
    return word.strip("'-").removesuffix("'s")


def _parts(word: str) -> list[str]:
    """``dark-skinned`` is two words, ``t-shirt`` is one."""
    if word in _PART or word in _SHORT_SLEEVES:
        return [word]
    return [part for part in word.split("-") if part]
