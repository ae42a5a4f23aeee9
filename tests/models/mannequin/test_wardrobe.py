"""The effect of a prompt's words on the figure, and which words are reported as unsupported."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.models.mannequin.figure import Group, load_figure
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.person import plain_person
from pipeline.models.mannequin.wardrobe import choose_from_words
from pipeline.models.weights.folder import weight_path


def _is(color: tuple[float, float, float], name: str) -> bool:
    r, g, b = color
    return {
        "red": r > 1.6 * max(g, b),
        "blue": b > 1.3 * max(r, g),
        "green": g > 1.2 * max(r, b),
        "dark": max(color) < 110,
        "bright": min(color) > 190,
        "gray": max(color) - min(color) < 12,
    }[name]


def test_an_empty_prompt_changes_nothing() -> None:
    chosen = choose_from_words("")
    assert chosen.outfit == Outfit() and chosen.sex is None and chosen.unknown == ()


@pytest.mark.parametrize(
    ("prompt", "part", "look"),
    [
        ("a woman in a red t-shirt and blue jeans", "upper", "red"),
        ("a woman in a red t-shirt and blue jeans", "lower", "blue"),
        ("man, green jacket, white sneakers", "upper", "green"),
        ("man, green jacket, white sneakers", "shoes", "bright"),
        ("an elderly man in a suit", "hair", "gray"),
        ("a dark-skinned runner", "skin", "dark"),
        ("a woman with red hair in a blue dress shirt", "hair", "red"),
        ("a woman with red hair in a blue dress shirt", "upper", "blue"),
        ("police officer", "upper", "dark"),
        ("a man in a red suit", "lower", "red"),
    ],
)
def test_colors_are_applied_to_the_named_garments(prompt: str, part: str, look: str) -> None:
    assert _is(choose_from_words(prompt).outfit.colors[part], look)


def test_lengths_ties_and_sex() -> None:
    kit = choose_from_words("female athlete in shorts").outfit
    assert not kit.long_sleeves and not kit.long_legs and not kit.has_tie
    suit = choose_from_words("a businessman")
    assert suit.sex == "male" and suit.outfit.has_tie and suit.outfit.long_sleeves
    assert choose_from_words("an old lady in a beige coat").sex == "female"
    bald = choose_from_words("a bald man").outfit
    assert bald.colors["hair"] == bald.colors["skin"]


def test_unsupported_words_are_named_once_and_in_order() -> None:
    chosen = choose_from_words("photo of an astronaut with a sword, full body, astronaut, blue shirt")
    assert chosen.unknown == ("astronaut", "sword")
    # A color of something that it has not is not done either.
    assert choose_from_words("a man with a green sword").unknown == ("green", "sword")


def test_the_mannequin_wears_the_outfit_and_reports_the_rest() -> None:
    mannequin = Mannequin(weight_path("figure.npz"))
    assert mannequin.prepare(Appearance("a woman in a red shirt")) == ()
    female = load_figure(weight_path("figure.npz"), "female")
    assert np.array_equal(mannequin._figure.vertices, female.vertices)
    (warning,) = mannequin.prepare(Appearance("a dragon in a suit"))
    assert "dragon" in warning and "suit" not in warning
    fixed = Mannequin(weight_path("figure.npz"), "male")
    fixed.prepare(Appearance("a woman"))
    assert not np.array_equal(fixed._figure.vertices, female.vertices)


def test_a_suit_shows_shirt_and_tie_only_in_front() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    suit = plain_person(figure, choose_from_words("a suit").outfit)
    bright = suit.colors.fine.min(2).mean(1) > 0.5
    triangles = figure.triangles[suit.drawn]
    top = figure.groups[suit.drawn] == Group.UPPER
    assert 40 < (bright & top).sum() < 800
    assert (figure.vertices[triangles[bright & top]].mean(1)[:, 2] < 0).all()
