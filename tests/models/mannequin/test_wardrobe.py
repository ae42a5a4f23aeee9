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
from pipeline.models.mannequin.wardrobe_words import COLORS
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
    assert Group.HAIR in choose_from_words("a bald man").outfit.hidden


def test_unsupported_words_are_named_once_and_in_order() -> None:
    chosen = choose_from_words("photo of a dragon with a sword, full body, dragon, blue shirt")
    assert chosen.unknown == ("dragon", "sword")
    # A color of something that it has not is not done either.
    assert choose_from_words("a man with a green sword").unknown == ("green", "sword")


def test_the_mannequin_wears_the_outfit_and_reports_the_rest() -> None:
    mannequin = Mannequin(weight_path("figure.npz"))
    assert mannequin.prepare(Appearance("a woman with short hair in a red shirt")) == ()
    female = load_figure(weight_path("figure.npz"), "female")
    assert np.array_equal(mannequin._figure.vertices, female.vertices)
    (warning,) = mannequin.prepare(Appearance("a dragon in a suit"))
    assert "dragon" in warning and "suit" not in warning
    fixed = Mannequin(weight_path("figure.npz"), "male")
    fixed.prepare(Appearance("a woman with short hair"))
    assert not np.array_equal(fixed._figure.vertices, female.vertices)


def test_a_suit_shows_shirt_and_tie_only_in_front() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    suit = plain_person(figure, choose_from_words("a suit").outfit)
    bright = suit.colors.fine.min(2).mean(1) > 0.5
    triangles = figure.triangles[suit.drawn]
    top = figure.groups[suit.drawn] == Group.UPPER
    assert 40 < (bright & top).sum() < 800
    assert (figure.vertices[triangles[bright & top]].mean(1)[:, 2] < 0).all()


@pytest.mark.parametrize(
    ("prompt", "hanging", "color", "long_legs"),
    [
        ("a woman in a long red dress", "ankle", "red", False),
        ("a woman in a white blouse and a green skirt", "knee", "green", False),
        ("a man in a brown coat and black trousers", "knee", "brown", True),
    ],
)
def test_skirts_dresses_and_coats_hang(prompt: str, hanging: str, color: str, long_legs: bool) -> None:
    chosen = choose_from_words(prompt)
    assert chosen.unknown == ()
    assert (chosen.outfit.hanging, chosen.outfit.long_legs) == (hanging, long_legs)
    assert chosen.outfit.colors["hanging"] == COLORS[color]


def test_headwear_long_hair_ties_and_shades_are_understood() -> None:
    chosen = choose_from_words("a woman with long dark hair, a yellow helmet and light blue scrubs")
    assert chosen.unknown == () and chosen.outfit.hair_style == "long" and chosen.outfit.headwear == "helmet"
    assert chosen.outfit.colors["headwear"] == COLORS["yellow"]
    assert sum(chosen.outfit.colors["upper"]) > sum(COLORS["blue"]) + 150
    tie = choose_from_words("a businessman in a navy suit with a red tie").outfit
    assert tie.has_tie and tie.colors["tie"] == COLORS["red"] and tie.colors["upper"] == COLORS["navy"]


def test_what_is_worn_becomes_a_surface_around_the_body() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    outfit = choose_from_words("a woman in a long red dress and a black hat, long blond hair").outfit
    person = plain_person(figure, outfit)
    shown = set(person.figure.groups[person.drawn].tolist())
    assert {Group.SKIRT, Group.THING, Group.LONG_HAIR} <= shown
    skirt, hat = (
        person.figure.vertices[np.unique(person.figure.triangles[person.figure.groups == group])]
        for group in (Group.SKIRT, Group.THING)
    )
    # From the hips to above the ankles, and above the head.
    assert skirt[:, 1].min() < -0.45 and -0.12 < skirt[:, 1].max() < -0.03
    assert hat[:, 1].min() < -1.0 and hat[:, 1].max() < -0.9
    # Legs under the cloth are not drawn, and the figure's height is none of the hat's.
    legs = np.isin(person.figure.groups, [Group.LOWER, Group.LEG])
    assert person.drawn[legs].mean() < 0.2
    assert figure.vertices[:, 1].min() == pytest.approx(-1, abs=1e-5)


def test_bare_shins_are_not_as_dark_as_the_inside_of_trousers() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    person = plain_person(figure, choose_from_words("a man in shorts").outfit)
    shins = np.unique(figure.triangles[figure.groups == Group.SHIN])
    assert figure.occlusion[shins].min() < 0.3
    assert person.figure.occlusion[shins].min() >= 0.85


@pytest.mark.parametrize(
    "prompt",
    [
        "a woman in a red dress",
        "old man with gray beard and hat",
        "an astronaut in a space suit",
        "a knight in armor",
        "girl in jeans and white t-shirt, blond hair",
        "man in a black leather jacket and sunglasses",
        "businessman in a gray suit with red tie and glasses",
        "a soldier in camouflage uniform",
        "red and white striped shirt, white pants, woman with ponytail",
        "man in a red plaid flannel shirt, blue jeans, brown boots, full beard and beanie",
        "woman in a floral dress, sunglasses and hat",
        "man in white t-shirt under an open blue jacket, baseball cap, stubble",
        "construction worker with hi-vis vest",
        "a teenage girl in a pink hoodie and black shorts, ponytail, white sneakers",
    ],
)
def test_what_is_commonly_written_is_understood(prompt: str) -> None:
    assert choose_from_words(prompt).unknown == ()


def test_beards_glasses_and_hair_styles_take_their_own_colors() -> None:
    chosen = choose_from_words("bearded old man with brown hair, sunglasses, green scarf").outfit
    assert (chosen.beard, chosen.glasses, chosen.wrap) == ("full", "dark", "scarf")
    assert chosen.colors["beard"] == chosen.colors["hair"] and chosen.colors["wrap"] == COLORS["green"]
    assert choose_from_words("man with a long white beard, black hair").outfit.beard == "long"
    assert choose_from_words("woman with short blond hair").outfit.hair_style == "short"
    assert choose_from_words("a woman").outfit.hair_style == "long"
    assert choose_from_words("a man").outfit.hair_style == "short"
    assert choose_from_words("a man without a hat, no glasses") == choose_from_words("a man")


def test_patterns_have_two_colors_and_fronts_show_what_is_under_them() -> None:
    striped = choose_from_words("red and white striped shirt").outfit
    assert striped.colors["upper"] == COLORS["red"] and striped.patterns["upper"] == ("stripes", COLORS["white"])
    # White stripes on white would not show.
    assert choose_from_words("white striped shirt").outfit.patterns["upper"][1] != COLORS["white"]
    opened = choose_from_words("man in yellow t-shirt under an open blue jacket").outfit
    assert (opened.front, opened.long_sleeves) == ("open", True)
    assert opened.colors["upper"] == COLORS["blue"] and opened.colors["under"] == COLORS["yellow"]
    # What it is made of gives the color only where no other is named.
    assert choose_from_words("black leather jacket").outfit.colors["upper"] == COLORS["black"]
    assert choose_from_words("a leather jacket").outfit.colors["upper"] == COLORS["leather"]


def test_a_closed_helmet_stays_closed_and_single_garments_overrule_a_costume() -> None:
    knight = choose_from_words("a knight with a red helmet, blue pants").outfit
    assert knight.headwear == "greathelm" and knight.colors["headwear"] == COLORS["red"]
    assert knight.colors["lower"] == COLORS["blue"]


def test_plurals_mean_what_one_of_them_means() -> None:
    several = choose_from_words("women in blue jeans, white t-shirts and straw hats")
    assert several == choose_from_words("woman in blue jeans, white t-shirt and straw hat")
    assert several.unknown == () and several.sex == "female" and several.outfit.headwear == "hat"
    assert not several.outfit.long_sleeves and several.outfit.colors["upper"] == COLORS["white"]


def test_what_a_prompt_excludes_is_not_put_on_and_is_named_where_the_figure_has_it() -> None:
    bare = choose_from_words("a man without a red shirt, in blue shorts")
    assert bare.unknown == ("without red shirt",) and bare.outfit.colors["upper"] == Outfit().colors["upper"]
    assert not choose_from_words("a man not wearing a tie").outfit.has_tie
    assert choose_from_words("a man with no hair").outfit.is_bald
    # Skirts have one short length.
    assert choose_from_words("a woman in a short skirt").unknown == ("short",)


def test_long_sleeves_and_tights_go_with_a_dress_of_its_usual_length() -> None:
    dressed = choose_from_words("a long-sleeved red dress and black tights").outfit
    assert (dressed.long_sleeves, dressed.hanging, dressed.long_legs) == (True, "knee", True)
    assert not choose_from_words("a red dress").outfit.long_legs
    assert not choose_from_words("a man in bermudas").outfit.long_legs


def test_a_color_dyes_all_of_a_costume_that_has_one_color_and_skin_and_hair_have_any() -> None:
    colors = choose_from_words("a knight in black armor").outfit.colors
    assert {colors[part] for part in ("upper", "lower", "shoes", "gloves", "headwear")} == {COLORS["black"]}
    assert choose_from_words("a man in a red suit").outfit.colors["shoes"] != COLORS["red"]
    alien = choose_from_words("green skin, turquoise hair")
    assert alien.unknown == () and alien.outfit.colors["skin"] == COLORS["green"]
    assert alien.outfit.colors["hair"] == COLORS["turquoise"]
