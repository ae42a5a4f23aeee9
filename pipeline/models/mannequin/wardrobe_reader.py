"""Reading a prompt word by word: what belongs to which noun, and what was understood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from pipeline.models.mannequin.body_words import AGES
from pipeline.models.mannequin.outfit import Color, Pattern
from pipeline.models.mannequin.wardrobe_words import (
    BEARDS,
    COMPOUNDS,
    DARKER,
    HAIR_STYLES,
    HANGING,
    HEADWEAR,
    IGNORED,
    LIGHTER,
    LONG,
    LONG_COATS,
    MATERIALS,
    PART,
    PATTERNS,
    SEX,
    SHORT_SLEEVES,
    STYLES,
    WHOLE,
    WRAPS,
)

_ABSENT = re.compile(
    r"\b(without|no)( an?| any| his| her| their)? "
    r"(beard|mustache|moustache|hat|cap|glasses|sunglasses|helmet|tie|scarf|gloves|hood)\b"
)
"""What the figure has only where a prompt names it: naming its absence changes nothing."""
_REACH = 3
"""How many words before a noun its color may stand: a blue short-sleeved cotton shirt."""
_NOUNS = frozenset((
    *PART, *WHOLE, *HANGING, *LONG_COATS, *HEADWEAR, *WRAPS, *BEARDS, *HAIR_STYLES, *SEX, *AGES, "tie", "bowtie",
    *(word for style in STYLES for word in style.words),
))  # fmt: skip
_PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("men", "man"))
_NEGATIONS = ("without", "no")
_CLAUSE_ENDS = ("and", "or", "with", "in", "but", ",", ".", ";")
_WHOLE_WORDS = frozenset((*PART, *SHORT_SLEEVES, *PATTERNS, *LONG, "long-haired", "shoulder-length", "shaven-headed"))


def words_of(prompt: str) -> list[str]:
    """Return a prompt's words in lower case, nouns in the singular. ``without shirt`` is one word, and so is a comma,
    as it ends what belongs together."""
    text = re.sub(r"\s+", " ", prompt.lower())
    for several, one in COMPOUNDS.items():
        text = re.sub(rf"\b{re.escape(several)}s?\b", one, text)
    text = _ABSENT.sub(" ", text)
    words = re.findall(r"[a-z0-9'-]+|[,.;]", text)
    return _with_negations_joined([part for word in words for part in _parts(_plain(word))])


def _plain(word: str) -> str:
    return _singular(word.strip("'-").removesuffix("'s"))


def _singular(word: str) -> str:
    """Return a noun that the wardrobe knows in the singular alone; ``trousers`` stay."""
    if word in _NOUNS:
        return word
    singulars = (word.removesuffix(ending) + instead for ending, instead in _PLURALS if word.endswith(ending))
    return next((singular for singular in singulars if singular in _NOUNS), word)


def _with_negations_joined(words: list[str]) -> list[str]:
    """Join ``without a blue shirt`` to one word, which no garment matches: what is said to be absent is not put on."""
    joined = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word in _NEGATIONS:
            ahead = list(takewhile(lambda each: each not in _CLAUSE_ENDS, words[place : place + _REACH + 1]))
            noun = next((n for n, each in enumerate(ahead) if each in _NOUNS), min(1, len(ahead) - 1))
            word = " ".join((word, *(each for each in ahead[: noun + 1] if each not in IGNORED)))
            place += noun + 1
        joined.append(word)
    return joined


def _parts(word: str) -> list[str]:
    """``dark-skinned`` is two words, ``t-shirt`` is one."""
    if word in _WHOLE_WORDS:
        return [word]
    return [part for part in word.split("-") if part]


@dataclass(slots=True)
class Reader:
    """Words, and which of them were understood."""

    words: list[str]
    used: list[bool]

    @classmethod
    def of(cls, words: list[str]) -> Reader:
        return cls(words, [word in IGNORED or not word[0].isalnum() for word in words])

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
        """Return the color among the words before a noun."""
        return self.colors_before(place, table)[0]

    def colors_before(self, place: int, table: Mapping[str, Color]) -> tuple[Color | None, Color | None]:
        """Return the color among the words before a noun, and a second one: "red and white" is both."""
        material = None
        for n in self._before(place):
            if self.words[n] not in table or self.used[n]:
                continue
            self.used[n] = True
            color = self._shaded(table[self.words[n]], n)
            if self.words[n] in MATERIALS:
                material = color
                continue
            if n >= 2 and self.words[n - 1] == "and" and self.words[n - 2] in table and not self.used[n - 2]:
                self.used[n - 2] = True
                return self._shaded(table[self.words[n - 2]], n - 2), color
            return color, None
        return material, None

    def pattern_before(self, place: int, table: Mapping[str, Pattern]) -> Pattern | None:
        """Return the pattern among the words before a noun."""
        found = None
        for n in self._before(place):
            if self.words[n] in table:
                self.used[n] = True
                found = found or table[self.words[n]]
        return found

    def has_before(self, place: int, known: Iterable[str], reach: int = _REACH) -> bool:
        """Return whether one of the ``known`` words is among the ``reach`` before a noun, and mark it as understood."""
        for n in range(place - 1, max(place - 1 - reach, -1), -1):
            if self.words[n] in known:
                self.used[n] = True
                return True
            if self.words[n] in ("and", "with", "in", ","):
                return False
        return False

    def unknown(self) -> tuple[str, ...]:
        """Return what was not understood, each word once."""
        return tuple(dict.fromkeys(w for w, known in zip(self.words, self.used, strict=True) if not known))

    def _before(self, place: int) -> Iterable[int]:
        """Yield the positions before a noun that describe it, the nearest first."""
        for n in range(place - 1, max(place - 1 - _REACH, -1), -1):
            if self.words[n] in PART or self.words[n] in ("and", "with", "in", ",", ".", ";"):
                return
            yield n

    def _shaded(self, color: Color, place: int) -> Color:
        """Return a color as light or dark as the word before it says."""
        before = self.words[place - 1] if place else ""
        if before in LIGHTER:
            self.used[place - 1] = True
            red, green, blue = (channel + 0.45 * (255 - channel) for channel in color)
            return red, green, blue
        if before in DARKER:
            self.used[place - 1] = True
            red, green, blue = (0.6 * channel for channel in color)
            return red, green, blue
        return color
