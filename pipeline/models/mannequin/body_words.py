"""The body that a prompt's words describe: age, weight, muscles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pipeline.models.mannequin.bodies import BodyType

AGES: Mapping[str, float] = {
    "baby": 1.5, "infant": 1.5, "toddler": 2.5, "preschooler": 4.5, "child": 8, "children": 8, "kid": 8, "kids": 8,
    "boy": 9, "girl": 9, "schoolboy": 9, "schoolgirl": 9, "preteen": 12, "teenager": 15, "teenage": 15, "teen": 15,
    "old": 72, "elderly": 78, "senior": 72, "aged": 72, "pensioner": 72, "grandmother": 75, "grandma": 75, "granny": 78,
    "grandfather": 75, "grandpa": 75,
}  # fmt: skip
WEIGHTS: Mapping[str, float] = {
    "stocky": 0.45, "chubby": 0.65, "plump": 0.65, "stout": 0.7, "overweight": 0.8, "heavy": 0.8, "heavyset": 0.8,
    "fat": 1.0, "obese": 1.25, "lean": -0.35, "slim": -0.45, "slender": -0.5, "thin": -0.6, "petite": -0.4,
    "skinny": -0.8, "scrawny": -0.9,
}  # fmt: skip
MUSCLES: Mapping[str, float] = {
    "muscular": 1.0, "muscled": 1.0, "bodybuilder": 1.0, "brawny": 0.8, "strong": 0.6, "athletic": 0.5,
}  # fmt: skip
GRAY_FROM_YEARS = 65.0
"""Age from which hair is gray unless a word says otherwise."""
_MIDDLE_AGED = 50.0
_OLDEST = 110.0


def body_from_words(words: Sequence[str], nouns: Collection[str]) -> tuple[BodyType, frozenset[int]]:
    """Return the body, and the positions of the words that describe it.

    Of several ages the first counts. A word right before one of ``nouns`` (garments, hair) describes that instead:
    skinny jeans, a heavy coat.
    """
    body = BodyType()
    used: set[int] = set()
    years = _in_years(words)
    if years is not None:
        age, places = years
        body = replace(body, age_years=age)
        used.update(places)
    for place, word in enumerate(words):
        following = words[place + 1 : place + 2]
        if place in used or (following and following[0] in nouns):
            continue
        if word in AGES:
            age = _MIDDLE_AGED if word == "aged" and "middle" in words[max(place - 1, 0) : place] else AGES[word]
            if body.age_years == BodyType().age_years:
                body = replace(body, age_years=age)
            used.update({place} if age != _MIDDLE_AGED else {place - 1, place})
        elif word in WEIGHTS:
            body = replace(body, weight=WEIGHTS[word])
            used.add(place)
        elif word in MUSCLES:
            body = replace(body, muscle=MUSCLES[word])
            used.add(place)
    return body, frozenset(used)


def _in_years(words: Sequence[str]) -> tuple[float, range] | None:
    """Return the age of "8 years old", and where it says so."""
    for place in range(len(words) - 2):
        number, unit, old = words[place : place + 3]
        if number.isdecimal() and unit in ("year", "years") and old == "old" and int(number) <= _OLDEST:
            return float(number), range(place, place + 3)
    return None
