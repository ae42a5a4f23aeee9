"""Words of prompts and what they mean for the figure: colors, garments, styles, costumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.models.mannequin.outfit import Beard, Color, Front, Glasses, HairStyle, Headwear, Length, Pattern, Wrap

Sex = Literal["female", "male"]

COLORS: Mapping[str, Color] = {
    "black": (34, 34, 36), "white": (228, 228, 224), "gray": (120, 122, 124), "grey": (120, 122, 124),
    "red": (170, 40, 42), "blue": (46, 84, 150), "navy": (32, 42, 74), "green": (52, 110, 66), "yellow": (222, 186, 62),
    "orange": (216, 120, 44), "purple": (104, 62, 132), "pink": (220, 140, 160), "brown": (104, 72, 50),
    "beige": (204, 184, 152), "khaki": (158, 142, 104), "turquoise": (62, 160, 164), "cream": (232, 222, 196),
    "maroon": (96, 32, 40), "burgundy": (98, 28, 44), "crimson": (160, 26, 48), "scarlet": (192, 40, 32),
    "gold": (196, 160, 72), "golden": (196, 160, 72), "silver": (176, 178, 182), "teal": (24, 112, 116),
    "violet": (116, 76, 156), "magenta": (178, 44, 122), "tan": (186, 156, 116), "olive": (100, 102, 58),
    "charcoal": (58, 60, 64), "ivory": (234, 228, 208), "lavender": (178, 164, 208), "lime": (150, 196, 64),
    "cyan": (70, 180, 200), "mint": (160, 210, 184), "coral": (226, 120, 100), "peach": (236, 184, 150),
    "indigo": (62, 58, 122), "bronze": (140, 104, 60), "copper": (168, 100, 64), "rose": (206, 120, 136),
    "mustard": (198, 158, 52), "denim": (58, 78, 112), "camel": (178, 140, 96), "emerald": (24, 124, 88),
    "aqua": (92, 186, 190), "rust": (156, 78, 44), "leather": (58, 42, 34), "neon": (196, 220, 48),
}  # fmt: skip
MATERIALS = ("leather", "denim")
"""Colors that another one before the same garment overrules."""
HAIR: Mapping[str, Color] = {
    "black": (30, 27, 26), "brown": (74, 52, 38), "brunette": (74, 52, 38), "blond": (196, 160, 104),
    "blonde": (196, 160, 104), "golden": (196, 160, 104), "red": (140, 70, 40), "ginger": (160, 84, 46),
    "auburn": (108, 56, 38), "chestnut": (92, 58, 40), "gray": (158, 156, 152), "grey": (158, 156, 152),
    "white": (214, 212, 206), "silver": (186, 186, 186), "dark": (44, 36, 32), "pink": (216, 130, 160),
    "blue": (56, 88, 160), "green": (64, 124, 76), "purple": (110, 70, 140),
}  # fmt: skip
SKIN: Mapping[str, Color] = {
    "pale": (228, 188, 166), "white": (228, 188, 166), "fair": (226, 184, 160), "light": (218, 174, 148),
    "tan": (192, 144, 112), "tanned": (192, 144, 112), "olive": (188, 144, 110), "brown": (142, 98, 74),
    "dark": (94, 64, 50), "black": (86, 58, 46),
}  # fmt: skip
SEX: Mapping[str, Sex] = {
    "man": "male", "male": "male", "boy": "male", "guy": "male", "gentleman": "male", "businessman": "male",
    "schoolboy": "male", "grandfather": "male", "grandpa": "male", "fireman": "male", "policeman": "male",
    "king": "male", "prince": "male", "groom": "male", "waiter": "male", "dad": "male", "father": "male",
    "schoolgirl": "female", "grandmother": "female", "grandma": "female", "granny": "female",
    "woman": "female", "female": "female", "girl": "female", "lady": "female", "businesswoman": "female",
    "policewoman": "female", "queen": "female", "princess": "female", "bride": "female", "waitress": "female",
    "mom": "female", "mother": "female", "ballerina": "female",
}  # fmt: skip
COMPOUNDS: Mapping[str, str] = {
    "space suit": "spacesuit", "track suit": "tracksuit", "sweat shirt": "sweatshirt", "sweat pants": "sweatpants",
    "tank top": "tanktop", "t shirt": "t-shirt", "tee shirt": "t-shirt", "dress shirt": "shirt",
    "dress shoes": "shoes", "dress pants": "trousers", "running shoes": "sneakers", "tennis shoes": "sneakers",
    "high heels": "heels", "hard hat": "hardhat", "baseball cap": "cap", "baseball hat": "cap", "bucket hat": "hat",
    "cowboy hat": "hat", "straw hat": "hat", "top hat": "hat", "sun hat": "hat", "wool hat": "beanie",
    "bobble hat": "beanie", "cowboy boots": "boots", "trench coat": "trenchcoat", "rain coat": "raincoat",
    "lab coat": "labcoat", "polka dots": "dotted", "polka dot": "dotted", "polka-dot": "dotted",
    "hi vis": "hi-vis", "high vis": "hi-vis", "high visibility": "hi-vis", "high-visibility": "hi-vis",
    "sun glasses": "sunglasses", "head scarf": "headscarf", "pony tail": "ponytail", "wedding dress": "gown",
    "evening dress": "gown", "evening gown": "gown", "ball gown": "gown", "summer dress": "sundress",
    "bow tie": "bowtie", "construction worker": "builder", "hood up": "hooded", "super hero": "superhero",
    "turtle neck": "turtleneck", "business suit": "suit", "santa claus": "santa", "police officer": "policeofficer",
    "fire fighter": "firefighter", "pant suit": "suit", "trouser suit": "suit", "no hair": "bald",
    "long-sleeved": "longsleeved", "long-sleeve": "longsleeved", "long sleeved": "longsleeved",
    "long sleeve": "longsleeved", "short sleeved": "short-sleeved", "short sleeve": "short-sleeved",
    "not wearing": "without", "without hair": "bald", "no sleeves": "sleeveless", "without sleeves": "sleeveless",
    "five o'clock shadow": "stubble",
}  # fmt: skip
"""Words that mean something else together, and the one word for it."""
PART: Mapping[str, str] = {
    "shirt": "upper", "t-shirt": "upper", "tshirt": "upper", "tee": "upper", "blouse": "upper", "top": "upper",
    "sweater": "upper", "pullover": "upper", "jumper": "upper", "hoodie": "upper", "sweatshirt": "upper",
    "jacket": "upper", "blazer": "upper", "vest": "upper", "cardigan": "upper", "jersey": "upper", "polo": "upper",
    "tanktop": "upper", "tunic": "upper", "turtleneck": "upper", "fleece": "upper", "windbreaker": "upper",
    "anorak": "upper", "waistcoat": "upper", "parka": "upper",
    "trousers": "lower", "pants": "lower", "jeans": "lower", "leggings": "lower", "shorts": "lower", "chinos": "lower",
    "slacks": "lower", "joggers": "lower", "sweatpants": "lower", "tights": "lower", "bermudas": "lower",
    "shoes": "shoes", "boots": "shoes", "sneakers": "shoes", "trainers": "shoes", "heels": "shoes",
    "sandals": "shoes", "loafers": "shoes", "flats": "shoes", "slippers": "shoes", "shoe": "shoes", "boot": "shoes",
    "gloves": "gloves", "mittens": "gloves",
}  # fmt: skip
WHOLE = ("jumpsuit", "overalls", "dungarees", "coveralls", "romper", "onesie", "pajamas", "pyjamas", "boilersuit")
"""Garments that are top and trousers in one color."""
FRONTS: Mapping[str, Front] = {
    "jacket": "zip", "windbreaker": "zip", "anorak": "zip", "parka": "zip", "blazer": "suit", "cardigan": "buttons",
    "shirt": "buttons", "blouse": "buttons", "waistcoat": "buttons", "polo": "closed",
}  # fmt: skip
"""How garments look in front; others are closed."""
OPEN = ("open", "unbuttoned", "unzipped")
PATTERNS: Mapping[str, Pattern] = {
    "striped": "stripes", "stripes": "stripes", "stripy": "stripes", "pinstripe": "stripes", "checked": "checks",
    "checkered": "checks", "checked-pattern": "checks", "plaid": "checks", "tartan": "checks", "flannel": "checks",
    "gingham": "checks", "dotted": "dots", "spotted": "dots", "floral": "flowers", "flowered": "flowers",
    "flowery": "flowers", "hawaiian": "flowers", "camouflage": "camouflage", "camo": "camouflage",
    "hi-vis": "bands", "reflective": "bands",
}  # fmt: skip
SECOND: Mapping[Pattern, Color] = {
    "stripes": (228, 228, 224), "checks": (34, 34, 36), "dots": (228, 228, 224), "flowers": (222, 150, 160),
    "camouflage": (52, 46, 34), "bands": (206, 208, 204),
}  # fmt: skip
"""A pattern's second color where the prompt names one only."""
GROUND: Mapping[Pattern, Color] = {
    "stripes": (46, 84, 150), "checks": (170, 40, 42), "camouflage": (104, 104, 66), "bands": (222, 132, 40),
}  # fmt: skip
"""A pattern's first color where the prompt names none."""
HANGING = ("skirt", "dress", "gown", "sundress", "kilt", "miniskirt", "minidress", "robe", "kimono")
LONG = ("long", "maxi", "floor-length", "ankle-length")
BARE_SHINS = ("shorts", "bermudas")
LONG_ALONE = ("gown", "robe", "kimono")
KNEE_LONG = ("knee-length", "midi")
LONG_COATS = ("coat", "overcoat", "raincoat", "trenchcoat", "labcoat")
HEADWEAR: Mapping[str, Headwear] = {
    "hat": "hat", "fedora": "hat", "stetson": "hat", "sombrero": "hat", "cap": "cap", "beanie": "beanie",
    "toque": "beanie", "helmet": "helmet", "hardhat": "helmet", "hooded": "hood", "hijab": "hood", "balaclava": "mask",
    "headscarf": "hood", "veil": "hood",
}  # fmt: skip
GLASSES: Mapping[str, Glasses] = {
    "glasses": "clear", "spectacles": "clear", "eyeglasses": "clear", "bespectacled": "clear", "sunglasses": "dark",
    "shades": "dark", "aviators": "dark",
}  # fmt: skip
BEARDS: Mapping[str, Beard] = {
    "beard": "full", "bearded": "full", "goatee": "goatee", "mustache": "mustache", "moustache": "mustache",
    "stubble": "stubble", "unshaven": "stubble", "stubbly": "stubble",
}  # fmt: skip
HAIR_STYLES: Mapping[str, HairStyle] = {
    "ponytail": "ponytail", "bun": "bun", "afro": "afro", "topknot": "bun", "long-haired": "long",
}  # fmt: skip
WRAPS: Mapping[str, Wrap] = {"scarf": "scarf", "shawl": "scarf", "cape": "cape", "cloak": "cape"}
LIGHTER = ("light", "pale", "bright", "pastel")
DARKER = ("dark", "deep")
SHORT_SLEEVES = ("t-shirt", "tshirt", "tee", "vest", "short-sleeved", "sleeveless", "tanktop", "polo", "jersey")
IGNORED = frozenset((
    "a", "an", "the", "in", "on", "at", "of", "to", "and", "or", "with", "without", "as", "who", "is", "has", "his",
    "her", "their", "its", "wearing", "wears", "dressed", "very", "nice", "person", "people", "human", "character",
    "someone", "adult", "young", "photo", "photograph", "picture", "image", "portrait", "full", "body", "length",
    "natural", "light", "lighting", "sharp", "focus", "realistic", "photorealistic", "cinematic", "detailed",
    "high", "quality", "hd", "4k", "8k", "daylight", "studio", "outdoor", "outdoors", "indoors", "standing",
    "walking", "hair", "haired", "skin", "skinned", "clothes", "clothing", "outfit", "business", "formal",
    "colored", "coloured", "color", "colour", "style", "styled", "wear", "worn", "whose", "that", "this", "he",
    "she", "they", "man's", "woman's", "pair", "some", "clad", "attire", "costume", "over", "under", "beautiful",
    "pretty", "handsome", "stylish", "elegant", "fashionable", "modern", "classic", "casual-looking", "attractive",
    "normal", "typical", "ordinary", "plain", "simple", "shot", "ultra", "highly", "best", "masterpiece", "3d",
    "render", "looking", "like",
))  # fmt: skip
"""Common prompt words that do not describe the figure."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a word for a way to dress, a profession or a costume means; garments named beside it take precedence."""

    words: tuple[str, ...]
    colors: Mapping[str, Color]
    long_sleeves: bool = True
    long_legs: bool = True
    has_tie: bool = False
    front: Front = "closed"
    patterns: Mapping[str, tuple[Pattern, Color]] = field(default_factory=dict)
    headwear: Headwear = "none"
    hanging: Length = "none"
    beard: Beard = "none"
    wrap: Wrap = "none"
    has_own_lower: bool = False
    """A color before the word is the top's alone; else also the trousers' and whatever has the top's own color."""


_STEEL: Color = (138, 142, 148)
_TAPE: Color = (214, 210, 96)

STYLES = (
    Style(
        ("astronaut", "cosmonaut", "spaceman", "spacesuit"),
        {"upper": (222, 222, 220), "lower": (222, 222, 220), "shoes": (200, 200, 200), "headwear": (226, 226, 226),
         "gloves": (206, 206, 206)},
        headwear="visor",
    ),
    Style(
        ("knight", "armor", "armour"),
        {"upper": _STEEL, "lower": (116, 120, 126), "shoes": _STEEL, "headwear": _STEEL,
         "gloves": _STEEL},
        headwear="greathelm",
    ),
    Style(
        ("ninja",),
        {"upper": (28, 28, 30), "lower": (28, 28, 30), "shoes": (24, 24, 26), "headwear": (28, 28, 30),
         "gloves": (30, 30, 32)},
        headwear="mask",
    ),
    Style(
        ("santa",),
        {"upper": (166, 28, 32), "lower": (166, 28, 32), "shoes": (28, 26, 26), "headwear": (166, 28, 32),
         "beard": (226, 226, 222), "hair": (226, 226, 222)},
        front="buttons", headwear="beanie", beard="long",
    ),
    Style(
        ("superhero", "superheroine"),
        {"upper": (40, 66, 150), "lower": (40, 66, 150), "shoes": (160, 34, 36), "wrap": (168, 34, 38),
         "gloves": (160, 34, 36)},
        wrap="cape",
    ),
    Style(
        ("wizard", "monk", "druid"),
        {"upper": (70, 56, 92), "lower": (60, 48, 80), "hanging": (70, 56, 92), "headwear": (62, 50, 82)},
        hanging="ankle", headwear="hat",
    ),
    Style(
        ("soldier", "military", "army"),
        {"upper": (104, 104, 66), "lower": (104, 104, 66), "shoes": (62, 54, 42), "headwear": (84, 86, 56)},
        patterns={"upper": ("camouflage", (52, 46, 34)), "lower": ("camouflage", (52, 46, 34))}, headwear="helmet",
    ),
    Style(
        ("firefighter", "fireman"),
        {"upper": (52, 50, 48), "lower": (52, 50, 48), "shoes": (28, 27, 26), "headwear": (170, 40, 36)},
        patterns={"upper": ("bands", _TAPE), "lower": ("bands", _TAPE)}, front="zip", headwear="helmet",
    ),
    Style(
        ("builder", "roadworker", "workman"),
        {"upper": (222, 112, 38), "lower": (48, 52, 66), "shoes": (112, 82, 52), "headwear": (222, 186, 62)},
        patterns={"upper": ("bands", (206, 208, 204))}, front="zip", headwear="helmet", has_own_lower=True,
    ),
    Style(
        ("cowboy", "cowgirl"),
        {"upper": (104, 84, 66), "lower": (58, 78, 112), "shoes": (92, 60, 38), "headwear": (110, 80, 54)},
        front="buttons", headwear="hat", has_own_lower=True,
    ),
    Style(
        ("bride",),
        {"upper": (232, 230, 226), "hanging": (232, 230, 226), "lower": (232, 230, 226), "shoes": (226, 224, 220),
         "headwear": (236, 235, 232)},
        long_legs=False, hanging="ankle",
    ),
    Style(
        ("princess", "queen"),
        {"upper": (206, 120, 150), "hanging": (206, 120, 150), "lower": (206, 120, 150), "shoes": (206, 176, 110)},
        long_legs=False, hanging="ankle",
    ),
    Style(
        ("doctor", "scientist", "labcoat"),
        {"upper": (226, 228, 228), "lower": (58, 62, 72), "shoes": (52, 46, 44), "under": (120, 150, 180)},
        front="open", hanging="knee", has_own_lower=True,
    ),
    Style(("robot", "android", "cyborg"), dict.fromkeys(("upper", "lower", "shoes", "skin", "hair"), _STEEL)),
    Style(
        ("suit", "pantsuit", "tuxedo", "businessman", "businesswoman", "groom"),
        {"upper": (44, 46, 54), "lower": (44, 46, 54), "shoes": (28, 24, 24)},
        has_tie=True, front="suit",
    ),
    Style(
        ("tracksuit",),
        {"upper": (42, 110, 176), "lower": (42, 110, 176), "shoes": (226, 226, 226)},
        front="zip",
    ),
    Style(
        ("sports", "sport", "sporty", "athlete", "athletic", "runner", "gym", "jogger", "sportswear", "footballer"),
        {"upper": (42, 110, 176), "lower": (36, 38, 44), "shoes": (226, 226, 226)},
        long_sleeves=False,
    ),
    Style(("casual",), {"upper": (92, 116, 104), "lower": (58, 78, 112), "shoes": (216, 212, 204)}),
    Style(
        LONG_COATS,
        {"upper": (150, 118, 82), "lower": (48, 50, 58), "shoes": (58, 42, 34)},
        front="buttons", hanging="knee", has_own_lower=True,
    ),
    Style(
        ("nurse", "scrubs", "surgeon"),
        {"upper": (96, 150, 176), "lower": (96, 150, 176), "shoes": (222, 222, 222)},
        long_sleeves=False,
    ),
    Style(
        ("chef", "cook"),
        {"upper": (228, 228, 224), "lower": (40, 42, 48), "shoes": (30, 28, 28), "headwear": (230, 230, 228)},
        front="buttons", headwear="beanie", has_own_lower=True,
    ),
    Style(
        ("waiter", "waitress", "butler"),
        {"upper": (36, 36, 40), "lower": (34, 34, 38), "shoes": (26, 25, 25)},
        front="suit", has_tie=True,
    ),
    Style(
        ("policeofficer", "police", "policeman", "policewoman", "pilot", "captain"),
        {"upper": (34, 44, 78), "lower": (30, 36, 58), "shoes": (22, 22, 24), "headwear": (28, 34, 56)},
        has_tie=True, headwear="cap",
    ),
    Style(
        ("uniform", "officer", "guard"),
        {"upper": (34, 44, 78), "lower": (30, 36, 58), "shoes": (22, 22, 24)},
        has_tie=True,
    ),
)  # fmt: skip
"""The first one with a word of the prompt counts."""
