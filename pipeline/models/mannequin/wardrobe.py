"""Clothes, colors and body from the words of a prompt, where no picture shows the person.

Only words that change the figure are used: garments, colors before a garment, hair or skin, and the body. Everything
else that describes the person is returned, so that a caller learns what was ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipeline.models.mannequin.bodies import AVERAGE, BodyType
from pipeline.models.mannequin.body_words import GRAY_FROM_YEARS, body_from_words
from pipeline.models.mannequin.outfit import Color, Front, Outfit, Pattern
from pipeline.models.mannequin.wardrobe_reader import Reader, words_of
from pipeline.models.mannequin.wardrobe_words import (
    BARE_SHINS,
    BEARDS,
    COLORS,
    FRONTS,
    GLASSES,
    GROUND,
    HAIR,
    HAIR_STYLES,
    HANGING,
    HEADWEAR,
    KNEE_LONG,
    LONG,
    LONG_ALONE,
    LONG_COATS,
    OPEN,
    PART,
    PATTERNS,
    SECOND,
    SEX,
    SHORT_SLEEVES,
    SKIN,
    STYLES,
    WHOLE,
    WRAPS,
    Sex,
)

_NOUNS = frozenset((
    *PART, *WHOLE, *HANGING, *LONG_COATS, *HEADWEAR, "beard", *WRAPS, "hair", "haired", "tie", "necktie", "suit",
))  # fmt: skip
_FELT: Color = (96, 74, 56)
_DENIM: Color = COLORS["denim"]
_DYES = {**COLORS, **HAIR}
_OF_PEOPLE = {name: SKIN[name] for name in ("black", "dark", "white", "pale")}
"""Colors before "man" or "woman" that mean the skin."""


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """The choices made by a prompt's words."""

    outfit: Outfit = field(default_factory=Outfit)
    sex: Sex | None = None
    body: BodyType = AVERAGE
    unknown: tuple[str, ...] = ()
    """Words without effect, in order, each once."""


def choose_from_words(prompt: str) -> Wardrobe:
    """Read a prompt in English. A color belongs to the next garment, hair or skin within three words.

    An empty prompt results in the figure's own outfit and no unknown words.
    """
    reader = Reader.of(words_of(prompt))
    outfit = _with_style(Outfit(), reader)
    outfit = _with_garments(outfit, reader)
    outfit = _with_hanging(_with_tie(outfit, reader), reader)
    if reader.find(("longsleeved",)):
        outfit = replace(outfit, long_sleeves=True)
    outfit = _with_headwear(outfit, reader)
    body, places = body_from_words(reader.words, _NOUNS)
    reader.understand(places)
    if body.age_years >= GRAY_FROM_YEARS:
        outfit = replace(outfit, colors={**outfit.colors, "hair": HAIR["gray"]})
    outfit, sex = _with_skin_and_hair(outfit, reader)
    outfit = _with_beard_and_glasses(outfit, reader)
    return Wardrobe(outfit, sex, body, reader.unknown())


def _with_style(outfit: Outfit, reader: Reader) -> Outfit:
    """Dress in the first style that the prompt names; the words of others are understood as part of it."""
    chosen = None
    for style in STYLES:
        places = reader.find(style.words)
        found = [reader.pattern_before(place, PATTERNS) for place in places]
        if not places or chosen is not None:
            continue
        chosen = style
        colors = {**outfit.colors, **style.colors}
        patterns = dict(style.patterns)
        for place, pattern in zip(places, found, strict=True):
            if pattern is not None and style.hanging == "none":
                colors["upper"], patterns["upper"] = _patterned(pattern, None, None, colors["upper"])
            color = reader.color_before(place, COLORS)
            if color is not None:
                same = [part for part, own in style.colors.items() if own == style.colors["upper"]]
                dyed = ["upper"] if style.has_own_lower else ["upper", "lower", *same]
                colors.update(dict.fromkeys(dyed, color))
        if style.hanging != "none":
            colors["hanging"] = colors["upper"]
        outfit = Outfit(
            colors,
            patterns,
            long_sleeves=style.long_sleeves,
            long_legs=style.long_legs,
            front=style.front,
            has_tie=style.has_tie,
            hanging=style.hanging,
            beard=style.beard,
            headwear=style.headwear,
            wrap=style.wrap,
        )
    return outfit


def _with_garments(outfit: Outfit, reader: Reader) -> Outfit:
    """Change single garments: colors, patterns, fronts, sleeve and leg lengths."""
    colors = dict(outfit.colors)
    for place in reader.find(WHOLE):
        color = reader.color_before(place, COLORS) or _DENIM
        colors.update(upper=color, lower=color)
    outfit = replace(outfit, colors=colors)
    tops = [n for n in reader.find(PART) if PART[reader.words[n]] == "upper"]
    # Of two tops the one that is named first, or that the other is "under", is on the outside.
    outer = min(tops, key=lambda n: (reader.words[n] not in FRONTS or reader.words[n] == "shirt", n), default=None)
    for place in reader.find((*PART, *SHORT_SLEEVES)):
        word = reader.words[place]
        if place in tops and place != outer:
            continue
        outfit = _with_garment(outfit, reader, place)
        if word in SHORT_SLEEVES and (outer is None or place >= outer - 2):
            outfit = replace(outfit, long_sleeves=False)
    for place in tops:
        if place != outer:
            color = reader.color_before(place, COLORS) or outfit.colors.get("under", COLORS["white"])
            front: Front = outfit.front if outfit.front == "suit" else "open"
            outfit = replace(outfit, front=front, colors={**outfit.colors, "under": color})
    return outfit


def _with_garment(outfit: Outfit, reader: Reader, place: int) -> Outfit:
    word = reader.words[place]
    part = PART.get(word)
    if part is None:
        return outfit
    pattern = reader.pattern_before(place, PATTERNS)
    first, second = reader.colors_before(place, COLORS)
    color = first or (_DENIM if word == "jeans" else None)
    colors = dict(outfit.colors)
    usual = colors.get(part, COLORS["black"])
    patterns = {name: kind for name, kind in outfit.patterns.items() if name != part}
    if part == "gloves":
        return replace(outfit, colors={**colors, part: color or usual})
    if pattern is not None:
        color, patterns[part] = _patterned(pattern, color, second, usual)
    if color is not None:
        colors[part] = color
    outfit = replace(outfit, colors=colors, patterns=patterns)
    if word in BARE_SHINS:
        outfit = replace(outfit, long_legs=False)
    if word == "hoodie" and outfit.wrap == "none":
        red, green, blue = colors["upper"]
        outfit = replace(outfit, wrap="hood", colors={**colors, "wrap": (0.85 * red, 0.85 * green, 0.85 * blue)})
    if part == "upper" and outfit.front != "suit":
        is_open = word in FRONTS and reader.has_before(place, OPEN)
        outfit = replace(outfit, front="open" if is_open else FRONTS.get(word, "closed"))
    return outfit


def _patterned(
    pattern: Pattern, first: Color | None, second: Color | None, usual: Color
) -> tuple[Color, tuple[Pattern, Color]]:
    """Return a garment's color, and its pattern with the second one."""
    ground = first or GROUND.get(pattern, usual)
    if second is None and pattern != "bands" and max(ground) - min(ground) < 20 and min(ground) > 180:
        # White stripes on white would not show.
        second = COLORS["navy"]
    return ground, (pattern, second or SECOND[pattern])


def _with_tie(outfit: Outfit, reader: Reader) -> Outfit:
    for place in reader.find(("tie", "necktie", "bowtie")):
        color = reader.color_before(place, COLORS)
        colors = {**outfit.colors, **({"tie": color} if color is not None else {})}
        outfit = replace(outfit, has_tie=True, colors=colors)
    return outfit


def _with_hanging(outfit: Outfit, reader: Reader) -> Outfit:
    """Hang a skirt, a dress or a coat's lower part around the legs."""
    if any(word in LONG_COATS for word in reader.words):
        outfit = replace(outfit, hanging="knee", colors={**outfit.colors, "hanging": outfit.colors["upper"]})
    has_stockings = any(PART.get(word) == "lower" and word not in BARE_SHINS for word in reader.words)
    for place in reader.find(HANGING):
        word = reader.words[place]
        is_skirt = word in ("skirt", "miniskirt", "kilt")
        is_long = reader.has_before(place, LONG) or word in LONG_ALONE
        reader.has_before(place, KNEE_LONG)
        pattern = reader.pattern_before(place, PATTERNS)
        color, second = reader.colors_before(place, COLORS)
        colors = dict(outfit.colors)
        patterns = {name: kind for name, kind in outfit.patterns.items() if name != "hanging"}
        if color is None:
            color = colors["lower" if is_skirt else "upper"]
            color = colors.get("hanging", color)
        if pattern is not None:
            color, patterns["hanging"] = _patterned(pattern, color, second, color)
        colors["hanging"] = color
        if not is_skirt:
            colors["upper"] = color
            patterns = {name: patterns["hanging"] for name in ("upper", "hanging") if "hanging" in patterns}
        outfit = replace(
            outfit,
            colors=colors,
            patterns=patterns,
            hanging="ankle" if is_long or outfit.hanging == "ankle" else "knee",
            long_legs=has_stockings,
            long_sleeves=outfit.long_sleeves and (is_skirt or word in LONG_ALONE[1:]),
            front=outfit.front if is_skirt else "closed",
        )
    return outfit


def _with_headwear(outfit: Outfit, reader: Reader) -> Outfit:
    for place in reader.find(HEADWEAR):
        word = reader.words[place]
        usual = outfit.colors["upper"] if word == "hooded" else outfit.colors.get("headwear", _usual_headwear(word))
        color = reader.color_before(place, COLORS) or usual
        # A knight's or an astronaut's helmet is closed.
        is_closed = outfit.headwear in ("visor", "greathelm") and word == "helmet"
        worn = outfit.headwear if is_closed else HEADWEAR[word]
        outfit = replace(outfit, headwear=worn, colors={**outfit.colors, "headwear": color})
    for place in reader.find(WRAPS):
        color = reader.color_before(place, COLORS) or outfit.colors.get("wrap", COLORS["red"])
        outfit = replace(outfit, wrap=WRAPS[reader.words[place]], colors={**outfit.colors, "wrap": color})
    return outfit


def _usual_headwear(word: str) -> Color:
    return COLORS["charcoal"] if HEADWEAR[word] in ("hood", "mask", "beanie") else _FELT


def _with_skin_and_hair(outfit: Outfit, reader: Reader) -> tuple[Outfit, Sex | None]:
    """Color hair and skin, choose how the hair is worn, and determine the sex."""
    colors = dict(outfit.colors)
    style = outfit.hair_style
    says_length = False
    for place in [n for n, word in enumerate(reader.words) if word in ("skin", "skinned")]:
        colors["skin"] = reader.color_before(place, {**COLORS, **SKIN}) or colors["skin"]
    sex: Sex | None = None
    for place in reader.find(SEX):
        sex = sex or SEX[reader.words[place]]
        colors["skin"] = reader.color_before(place, _OF_PEOPLE) or colors["skin"]
    for place in reader.find(HAIR_STYLES):
        style = HAIR_STYLES[reader.words[place]]
        says_length = True
        colors["hair"] = reader.color_before(place, _DYES) or colors["hair"]
    for place in [n for n, word in enumerate(reader.words) if word in ("hair", "haired")]:
        if reader.has_before(place, ("long", "shoulder-length", "flowing")):
            style = "long" if style == "short" else style
            says_length = True
        says_length = reader.has_before(place, ("short", "cropped", "buzzed")) or says_length
        colors["hair"] = reader.color_before(place, _DYES) or colors["hair"]
    for place in reader.find(("blond", "blonde", "brunette", "ginger", "redhead", "redhaired")):
        colors["hair"] = HAIR.get(reader.words[place], HAIR["red"])
    is_bald = bool(reader.find(("bald", "shaven-headed")))
    if is_bald:
        colors["hair"] = colors["skin"]
    elif sex == "female" and not says_length:
        style = "long"
    return replace(outfit, colors=colors, hair_style=style, is_bald=is_bald), sex


def _with_beard_and_glasses(outfit: Outfit, reader: Reader) -> Outfit:
    for place in reader.find(BEARDS):
        word = reader.words[place]
        beard = BEARDS[word]
        if beard == "full" and reader.has_before(place, ("long", "bushy")):
            beard = "long"
        reader.has_before(place, ("short", "full", "trimmed"))
        hair = outfit.colors["hair"] if not outfit.is_bald else Outfit().colors["hair"]
        color = reader.color_before(place, _DYES) or outfit.colors.get("beard", hair)
        outfit = replace(outfit, beard=beard, colors={**outfit.colors, "beard": color})
    for place in reader.find(GLASSES):
        frame = reader.color_before(place, COLORS) or COLORS["black"]
        colors = {**outfit.colors, "glasses": frame}
        outfit = replace(outfit, glasses=GLASSES[reader.words[place]], colors=colors)
    return outfit
