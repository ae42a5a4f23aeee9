"""Ages and builds of the figure, and how they are told from a picture and from words."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.joints import JOINT
from pipeline.models.mannequin.bodies import AVERAGE, Bodies, BodyType, load_bodies
from pipeline.models.mannequin.body_fitting import fit_body
from pipeline.models.mannequin.body_words import body_from_words
from pipeline.models.mannequin.figure import BONE, Figure, Group
from pipeline.models.mannequin.fitting import fit_shape
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.person import plain_person
from pipeline.models.mannequin.proportions import eyes_apart
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.mannequin.wardrobe import choose_from_words
from pipeline.models.weights.folder import weight_path

SIZE_WH = (600, 760)


@pytest.fixture(scope="module", params=["auto", "female", "male"])
def bodies(request: pytest.FixtureRequest) -> Bodies:
    return load_bodies(weight_path("figure.npz"), request.param)


def _waist(figure: Figure) -> np.ndarray:
    """(2,) width and depth of the top around the waist."""
    top = figure.vertices[np.unique(figure.triangles[figure.groups == Group.UPPER])]
    level = figure.heads[BONE["spine1"], 1]
    ring = top[(np.abs(top[:, 1] - level) < 0.02) & (np.abs(top[:, 0]) < 0.2)]
    return np.ptp(ring[:, [0, 2]], axis=0)


def _head(figure: Figure) -> float:
    return float(figure.heads[BONE["head"], 1] - figure.vertices[:, 1].min())


def test_every_body_stands_on_the_ground_with_height_one(bodies: Bodies) -> None:
    for body in (BodyType(2), BodyType(8, 0.5), BodyType(70), BodyType(30, 1.0), BodyType(30, -1.0, 1.0)):
        figure = bodies.of(body)
        assert figure.vertices[:, 1].max() == pytest.approx(0, abs=1e-4)
        assert figure.vertices[:, 1].min() == pytest.approx(-1, abs=1e-4)
        heads = figure.heads
        order = [heads[BONE[b], 1] for b in ("head", "neck", "chest", "pelvis", "shin1.L", "foot.L")]
        assert order == sorted(order)
    assert bodies.of(AVERAGE) is bodies.average


def test_heavy_people_are_wider_and_deeper_and_slim_ones_are_not(bodies: Bodies) -> None:
    slim, average, heavy = (_waist(bodies.of(BodyType(weight=weight))) for weight in (-1.0, 0.0, 1.0))
    assert (heavy > 1.15 * average).all()
    assert (slim < 1.01 * average).all() and slim[1] < 0.97 * average[1]


def test_the_younger_the_larger_the_head(bodies: Bodies) -> None:
    sizes = [_head(bodies.of(BodyType(years))) for years in (1.0, 4.0, 8.0, 12.0, 25.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1.4 * sizes[-1]


def test_ages_between_the_known_ones_are_mixed() -> None:
    assert BodyType(5.5).shares()["baby"] == pytest.approx(0.5)
    assert BodyType(5.5).shares()["child"] == pytest.approx(0.5)
    assert not any(BodyType(25).shares().values())
    assert BodyType(120).shares()["old"] == 1.0


@pytest.mark.parametrize(
    ("prompt", "age", "weight", "muscle"),
    [
        ("a fat man", 25, 1.0, 0),
        ("a skinny girl in a dress", 9, -0.8, 0),
        ("a girl, 5 years old", 5, 0, 0),
        ("an 8-year-old boy", 8, 0, 0),
        ("an elderly slim woman", 78, -0.45, 0),
        ("a middle-aged man", 50, 0, 0),
        ("a muscular man in a heavy coat and skinny jeans", 25, 0, 1.0),
        ("a woman", 25, 0, 0),
    ],
)
def test_words_describe_bodies(prompt: str, age: float, weight: float, muscle: float) -> None:
    assert choose_from_words(prompt).body == BodyType(age, weight, muscle)


def test_words_of_the_body_are_understood_and_those_of_a_garment_are_not() -> None:
    assert choose_from_words("a chubby boy, 9 years old").unknown == ()
    assert choose_from_words("a toddler").unknown == ()
    body, used = body_from_words(["thin", "tie"], {"tie"})
    assert body == AVERAGE and not used
    # An age in years is no old person.
    assert choose_from_words("a girl, 6 years old").outfit.colors["hair"] == Outfit().colors["hair"]


def test_a_prompt_shapes_the_figure() -> None:
    mannequin = Mannequin(weight_path("figure.npz"))
    mannequin.prepare(Appearance("a man in a suit"))
    before = mannequin.person.figure
    assert mannequin.prepare(Appearance("a fat boy in a suit")) == ()
    after = mannequin.person.figure
    assert _head(after) > 1.05 * _head(before)
    assert _waist(after)[0] > 1.1 * _waist(before)[0]


def _view_of(bodies: Bodies, body: BodyType) -> ReferenceView:
    """The front view of a figure, with its exact joints as a landmark model has them."""
    figure = bodies.of(body)
    mannequin = Mannequin(weight_path("figure.npz"))
    mannequin.become(plain_person(figure, Outfit()))
    size = (SIZE_WH[0], SIZE_WH[1])
    layer = mannequin.turned(0.0, size)
    assert layer.alpha is not None
    mask = layer.alpha > 200
    rows = np.flatnonzero(mask.any(1))
    height = float(rows[-1] - rows[0] + 1)
    skeleton = relaxed_skeleton(figure) * [height, height, 0.0]
    skeleton += [(size[0] - 1) / 2, rows[-1] + 0.5, 0.0]
    joints = layer.joints.astype(np.float64)
    colors = np.full((*mask.shape, 3), 0.5, np.float32)
    return ReferenceView("front", colors, mask, joints, skeleton, height, True)


def test_the_weight_is_found_from_the_outline() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    found = [
        fit_body(bodies, _view_of(bodies, BodyType(weight=weight)), AVERAGE, drawn).weight
        for weight in (-0.6, 0.0, 0.8)
    ]
    assert found[0] < -0.1 and found[2] > 0.4
    assert abs(found[1]) < 0.15


def test_a_child_is_told_by_the_head_and_has_it_once() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    view = _view_of(bodies, BodyType(5.0))
    found = fit_body(bodies, view, AVERAGE, drawn)
    assert 1.5 < found.age_years < 8
    shaped = fit_shape(bodies.of(found), view)
    assert eyes_apart(shaped) == pytest.approx(eyes_apart(bodies.of(BodyType(5.0))), rel=0.2)
    assert fit_body(bodies, _view_of(bodies, AVERAGE), AVERAGE, drawn).age_years == AVERAGE.age_years


def test_tall_hair_and_bent_knees_make_no_toddler() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    view = _view_of(bodies, AVERAGE)
    middle = float(view.joints[[JOINT["left_eye"], JOINT["right_eye"]], 0].mean())
    top = int(np.flatnonzero(view.mask.any(1))[0])
    mask = np.pad(view.mask, ((150, 0), (0, 0)))
    mask[top + 10 : top + 150, round(middle) - 20 : round(middle) + 20] = True
    moved = [points + np.array([0.0, 150.0, 0.0]) for points in (view.joints, view.skeleton)]
    tall = ReferenceView("front", np.full((*mask.shape, 3), 0.5, np.float32), mask, *moved, view.height_px + 140, True)
    assert fit_body(bodies, tall, AVERAGE, drawn).age_years > 3.5
    child = _view_of(bodies, BodyType(5.0))
    bent = child.joints.copy()
    bent[JOINT["left_knee"], 0] += 120
    eyes = bent[[JOINT["left_eye"], JOINT["right_eye"]], 0]
    bent[[JOINT["left_eye"], JOINT["right_eye"]], 0] = eyes.mean() + 0.5 * (eyes - eyes.mean())
    assert fit_body(bodies, replace(child, joints=bent), AVERAGE, drawn).age_years == AVERAGE.age_years


def test_slight_weights_are_average() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    assert abs(fit_body(bodies, _view_of(bodies, BodyType(weight=0.1)), AVERAGE, drawn).weight) < 0.1


def test_what_the_words_say_is_kept() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    words = BodyType(80.0, -0.5, 0.2)
    assert fit_body(bodies, _view_of(bodies, BodyType(weight=1.0)), words, drawn) == words


def test_a_side_view_leaves_the_weight_open() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    view = replace(_view_of(bodies, BodyType(weight=1.0)), view="left")
    assert fit_body(bodies, view, AVERAGE, drawn) == AVERAGE


def test_a_bag_does_not_make_heavy() -> None:
    bodies = load_bodies(weight_path("figure.npz"), "auto")
    drawn = ~np.isin(bodies.average.groups, sorted(Outfit().hidden))
    view = _view_of(bodies, AVERAGE)
    alone = fit_body(bodies, view, AVERAGE, drawn).weight
    mask = view.mask.astype(np.uint8)
    cv2.rectangle(mask, (400, 330), (500, 470), 1, -1)
    assert fit_body(bodies, replace(view, mask=mask > 0), AVERAGE, drawn).weight < alone + 0.3
