"""The figure fitted to a reference picture: outline, colors on every side, and fallbacks where nothing fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance, ReferencePicture
from pipeline.datatypes.arrays import Float64Array
from pipeline.datatypes.light import SceneLight
from pipeline.joints import JOINT, SKELETON_NAMES
from pipeline.models.interfaces import FittedBackend
from pipeline.models.mannequin.bodies import load_bodies
from pipeline.models.mannequin.figure import BONES, Figure, Group, Pose, load_figure
from pipeline.models.mannequin.fitting import FittedView, fit_view
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.head_texture import head_colors
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.person import NewPerson, make_person, plain_person
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.torso_texture import back_picture
from pipeline.models.weights.folder import weight_path
from pipeline.workspace.values import load_values, save_values
from tests.models.mannequin.test_mannequin import _reference

BODIES = load_bodies(weight_path("figure.npz"), "auto")

HEIGHT = 400.0
SIZE = (320, 440)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


@pytest.fixture(scope="module")
def fitted() -> dict[str, NewPerson]:
    return {name: make_person(BODIES, _reference(name)) for name in ("suit", "sport")}


@pytest.fixture(params=["suit", "sport"])
def person(request: pytest.FixtureRequest, fitted: dict[str, NewPerson]) -> NewPerson:
    return fitted[request.param]


@pytest.fixture(scope="module")
def suit(fitted: dict[str, NewPerson]) -> Mannequin:
    mannequin = Mannequin(weight_path("figure.npz"))
    mannequin.become(fitted["suit"])
    return mannequin


def _turned(mannequin: Mannequin, yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Picture and alpha of the person at rest, turned about the vertical."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) * HEIGHT
    offset = np.tile(np.array([SIZE[0] / 2, HEIGHT + 20, 0]), (len(BONES), 1))
    pose = Pose(np.repeat(turn[None], len(BONES), 0), offset)
    layer = mannequin._draw(pose, HEIGHT, SIZE, 0.0, SceneLight.daylight(1))
    assert layer.alpha is not None
    return layer.picture, layer.alpha


def test_the_outline_is_the_persons(person: NewPerson) -> None:
    assert person.fit.overlap is not None and person.fit.overlap > 0.95
    assert person.warnings == ()


def test_cuffs_have_the_pictures_outline_up_to_the_hands(suit: Mannequin) -> None:
    assert suit.fit.overlap is not None and suit.fit.overlap > 0.9635


def test_the_shape_stays_a_body(person: NewPerson, figure: Figure) -> None:
    vertices = person.figure.vertices
    assert vertices[:, 1].max() == pytest.approx(0, abs=1e-6)
    assert vertices[:, 1].min() == pytest.approx(-1, abs=1e-6)
    # Bones no longer or shorter than people's differ, and left as long as right.
    for bone in ("forearm1", "hand", "shin1", "foot"):
        left, right = (person.figure.heads[BONES.index(f"{bone}{side}")] for side in (".L", ".R"))
        np.testing.assert_allclose(left, right * [-1, 1, 1], atol=2e-3)
        own = figure.heads[BONES.index(f"{bone}.L")]
        assert np.linalg.norm(left - own) < 0.08


def test_a_person_from_a_file_is_drawn_with_the_same_bytes(suit: Mannequin, tmp_path: Path) -> None:
    save_values(tmp_path / "person.zip", suit.person)
    other = Mannequin(weight_path("figure.npz"))
    assert isinstance(other, FittedBackend)
    other.become(load_values(tmp_path / "person.zip", type(other.person)))
    for drawn, again in zip(_turned(suit, 0.7), _turned(other, 0.7), strict=True):
        assert np.array_equal(drawn, again)
    assert other.fit == suit.fit


def test_the_front_shows_shirt_and_tie_and_a_face(suit: Mannequin) -> None:
    picture, alpha = _turned(suit, 0.0)
    solid = picture[alpha > 250].astype(int)
    bright = (solid.min(1) > 150).mean()
    skin = ((solid[:, 0] - solid[:, 2] > 25) & (solid[:, 0] > 110)).mean()
    assert bright > 0.004 and skin > 0.03


def test_the_back_of_the_head_is_hair(suit: Mannequin) -> None:
    def face(yaw: float) -> Float64Array:
        picture, alpha = _turned(suit, yaw)
        top = int(np.flatnonzero((alpha > 250).any(1))[0])
        rows = slice(top + int(0.04 * HEIGHT), top + int(0.09 * HEIGHT))
        columns = slice(SIZE[0] // 2 - 12, SIZE[0] // 2 + 13)
        return np.asarray(np.median(picture[rows, columns].reshape(-1, 3), axis=0), np.float64)

    front, back = face(0.0), face(np.pi)
    assert back.sum() < 0.8 * front.sum()
    assert np.abs(back - [105, 75, 70]).max() < 45


def test_the_back_of_the_head_has_no_stripes(figure: Figure) -> None:
    striped = _reference("suit")
    assert striped.reference is not None and striped.reference_person is not None
    reference = make_view(striped.reference, striped.reference_person)
    assert reference is not None
    column = np.arange(reference.colors.shape[1])
    bars = np.where(column // 12 % 2 == 0, 0.6, 1.4)[None, :, None]
    drawn = ~np.isin(figure.groups, sorted(Outfit().hidden))
    view = fit_view(figure, reference, drawn, reshape=False)[1]
    eyes = reference.joints[JOINT["left_eye"], 1]
    lit = np.where(np.arange(len(reference.colors)) < eyes - 0.06 * reference.height_px, 3.0, 1.0)[:, None, None]
    plain, barred, crowned = (
        head_colors(replace(view, reference=replace(reference, colors=(reference.colors * factor).astype(np.float32))))
        for factor in (1.0, bars, lit)
    )
    assert plain is not None and barred is not None and crowned is not None
    row = round(float(reference.joints[JOINT["nose"], 1]))
    near = np.abs(column - plain.middle) < 60
    added = np.log(barred.hair[row, near] / plain.hair[row, near])
    assert np.std(added) < 0.5 * np.std(np.log(bars))
    # Nor is it as bright as a crown in the light.
    assert np.median(crowned.hair[row, near] / plain.hair[row, near]) < 1.5


def test_a_second_view_colors_its_side_and_is_left_out_where_it_does_not_fit(figure: Figure) -> None:
    front = _reference("sport")
    person = front.reference_person
    assert front.reference is not None and person is not None
    # The same outline from behind: left and right change places, and all is green.
    behind = front.reference.copy()
    behind[..., :3] = (30, 160, 60)
    rows = [JOINT[name.replace("left", "x").replace("right", "left").replace("x", "right")] for name in SKELETON_NAMES]
    turned = replace(person, joints=person.joints[rows[:21]], skeleton=person.skeleton[rows])
    both = replace(front, more_references=(ReferencePicture(behind, turned),))
    made = make_person(BODIES, both)
    assert made.warnings == ()
    triangles = figure.triangles[made.drawn]
    top = figure.groups[made.drawn] == Group.UPPER
    depth = made.figure.vertices[triangles].mean(1)[:, 2]
    tone = made.colors.fine.mean(1)
    at_back = top & (depth > 0.03)
    at_front = top & (depth < -0.06)
    assert (tone[at_back, 1] > 1.5 * tone[at_back, 2]).mean() > 0.9
    assert (tone[at_front, 1] > 1.5 * tone[at_front, 2]).mean() < 0.2
    elsewhere = np.zeros_like(person.mask)
    elsewhere[900:, :250] = True
    lost = ReferencePicture(behind, replace(turned, mask=elsewhere))
    assert len(make_person(BODIES, replace(front, more_references=(lost,))).warnings) == 1


def test_the_back_has_no_tie(suit: Mannequin) -> None:
    def bright(yaw: float) -> float:
        picture, alpha = _turned(suit, yaw)
        top = int(np.flatnonzero((alpha > 250).any(1))[0])
        chest = picture[top + int(0.19 * HEIGHT) : top + int(0.3 * HEIGHT), SIZE[0] // 2 - 14 : SIZE[0] // 2 + 15]
        return float((chest.min(2) > 90).mean())

    assert bright(0.0) > 0.1
    assert bright(np.pi) < 0.02


def test_stripes_and_plain_cloth_continue_over_the_back() -> None:
    reference = _reference("suit")
    assert reference.reference is not None and reference.reference_person is not None
    view = make_view(reference.reference, reference.reference_person)
    assert view is not None
    rows, columns = np.mgrid[: view.mask.shape[0], : view.mask.shape[1]]
    torso = (np.abs(columns - 300) < 110) & (rows > 250) & (rows < 550)
    stripes = np.where((columns // 9 % 2 == 0)[..., None], [0.5, 0.1, 0.1], [0.05, 0.05, 0.06]).astype(np.float32)
    laid = FittedView(replace(view, colors=stripes), np.zeros((0, 3), np.float32), *_nothing(view.mask.shape))
    assert np.array_equal(back_picture(laid, torso), stripes)
    logo = torso & (np.abs(columns - 300) < 40) & (np.abs(rows - 400) < 30)
    printed = np.where(logo[..., None], np.float32([0.1, 0.8, 0.2]), stripes)
    laid = replace(laid, reference=replace(view, colors=printed))
    plain = back_picture(laid, torso)
    assert np.abs(plain[logo][:, 1] - 0.08).max() < 0.1
    assert np.median(np.abs(plain[logo] - stripes[logo])) < 0.01
    assert np.corrcoef(plain[logo][:, 0], stripes[logo][:, 0])[0, 1] > 0.8
    far = ~cv2.dilate(logo.astype(np.uint8), np.ones((41, 41), np.uint8)).astype(bool)
    assert np.array_equal(plain[far], printed[far])


def test_a_neckline_is_closed_behind_and_a_bare_belly_is_bare(figure: Figure) -> None:
    appearance = _reference("suit")
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    skin = skin_color(view)
    assert skin is not None
    rows, columns = np.mgrid[: view.mask.shape[0], : view.mask.shape[1]]
    torso = (np.abs(columns - 300) < 110) & (rows > 250) & (rows < 550)
    neckline = torso & (np.abs(columns - 300) < (330 - rows) * 0.6)
    # As wide as the garment, so that it occurs at the sides as well.
    belly = torso & (rows > 480)
    cloth = np.array([0.07, 0.15, 0.4], np.float32)
    colors = np.where((neckline | belly)[..., None], skin, cloth).astype(np.float32)
    laid = FittedView(replace(view, colors=colors), np.zeros((0, 3), np.float32), *_nothing(view.mask.shape))
    back = back_picture(laid, torso)
    assert np.abs(back[neckline] / cloth - 1).max() < 0.15
    deep = belly & (rows > 500)
    assert np.median(np.abs(back[deep] / skin - 1)) < 0.1


def test_a_plain_back_has_no_lapels_and_two_garments_stay_two(figure: Figure) -> None:
    appearance = _reference("suit")
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    rows, columns = np.mgrid[: view.mask.shape[0], : view.mask.shape[1]]
    torso = (np.abs(columns - 300) < 110) & (rows > 250) & (rows < 550)
    cloth = np.where((rows < 450)[..., None], [0.05, 0.05, 0.06], [0.3, 0.1, 0.05]).astype(np.float32)
    lapel = torso & (np.abs(np.abs(columns - 300) - (rows - 250) * 0.3) < 2.5) & (rows < 420)
    seamed = np.where(lapel[..., None], cloth * np.float32(0.75), cloth)
    laid = FittedView(replace(view, colors=seamed), np.zeros((0, 3), np.float32), *_nothing(view.mask.shape))
    back = back_picture(laid, torso)
    assert np.abs(back[lapel] / cloth[lapel] - 1).max() < 0.12
    # A placket's line and its buttons are as dark as another garment, and narrow.
    placket = torso & (np.abs(columns - 300) < 3)
    buttoned = np.where(placket[..., None], cloth * np.float32(0.3), cloth)
    laid = replace(laid, reference=replace(view, colors=buttoned))
    inner = placket & (rows > 265) & (rows < 535) & (np.abs(rows - 450) > 15)
    assert np.abs(back_picture(laid, torso)[inner] / cloth[inner] - 1).max() < 0.12
    border = torso & (np.abs(rows - 450) > 3)
    assert np.abs(back[border] / cloth[border] - 1).max() < 0.25


def test_a_collar_is_the_jackets_behind(suit: Mannequin) -> None:
    """Before, it took the shirt's white from the picture of the front, triangle by triangle."""
    back, alpha = _turned(suit, np.pi)
    figure = suit._figure
    collar = figure.vertices[np.unique(figure.triangles[figure.groups == Group.UPPER])]
    nape = collar[collar[:, 2] > 0.02]
    top = nape[:, 1].min()
    row = round(HEIGHT + 20 + (top + 0.012) * HEIGHT)
    strip = back[row : row + 6, SIZE[0] // 2 - 12 : SIZE[0] // 2 + 12]
    assert (alpha[row : row + 6, SIZE[0] // 2 - 12 : SIZE[0] // 2 + 12] > 250).all()
    assert strip.max() < 110


def _nothing(shape: tuple[int, ...]) -> tuple:
    return np.full(shape, -1, np.int32), np.zeros(shape, np.float32), np.zeros((0, 3), np.int32), 1.0


def test_the_same_picture_gives_the_same_person(fitted: dict[str, NewPerson]) -> None:
    first, second = fitted["sport"], make_person(BODIES, _reference("sport"))
    assert np.array_equal(first.figure.vertices, second.figure.vertices)
    assert np.array_equal(first.colors.fine, second.colors.fine)


def test_an_unfittable_reference_gives_plain_colors_and_a_warning(figure: Figure) -> None:
    appearance = _reference("suit")
    assert appearance.reference_person is not None
    elsewhere = np.zeros_like(appearance.reference_person.mask)
    elsewhere[900:, :250] = True
    blind = replace(appearance, reference_person=replace(appearance.reference_person, mask=elsewhere))
    person = make_person(BODIES, blind)
    assert len(person.warnings) == 1 and np.array_equal(person.figure.vertices, figure.vertices)
    unknown = np.full_like(appearance.reference_person.skeleton, np.nan)
    blind = replace(appearance, reference_person=replace(appearance.reference_person, skeleton=unknown))
    assert len(make_person(BODIES, blind).warnings) == 1
    assert make_person(BODIES, Appearance()).warnings == ()


def _seen_from_behind(reference: Appearance) -> Appearance:
    """The same picture, declared as a back view."""
    person = reference.reference_person
    assert person is not None
    rows = [JOINT[name.replace("left", "x").replace("right", "left").replace("x", "right")] for name in SKELETON_NAMES]
    turned = replace(person, joints=person.joints[rows[:21]], skeleton=person.skeleton[rows])
    return replace(reference, reference_person=turned)


def test_a_face_that_nobody_saw_is_plain(figure: Figure) -> None:
    person = make_person(BODIES, _seen_from_behind(_reference("suit")))
    assert len(person.warnings) == 1 and "face" in person.warnings[0]
    assert person.fit.overlap is not None and person.fit.overlap > 0.9
    triangles = person.figure.triangles[person.drawn]
    places = person.figure.vertices[triangles].mean(1)
    nose = person.figure.landmarks[0]
    face = (np.linalg.norm(places - nose, axis=1) < 0.02) & (person.figure.groups[person.drawn] == Group.SKIN)
    # The figure's own face, in one tone of skin: nothing of the picture is on it.
    drawn = ~np.isin(figure.groups, sorted(Outfit().hidden))
    own = plain_person(figure, Outfit()).colors.fine[(person.drawn & drawn)[drawn]]
    assert np.array_equal(person.drawn, drawn) and face.sum() > 50
    ratio = person.colors.fine[face] / own[face]
    assert ratio.std(axis=(0, 1)).max() < 0.05
    tone = np.median(person.colors.fine[face].reshape(-1, 3), axis=0)
    assert tone[0] > 1.2 * tone[2] and tone.max() < 0.8


def test_no_layer_is_left_black(figure: Figure) -> None:
    reference = _reference("suit")
    assert reference.reference_person is not None
    skeleton = reference.reference_person.skeleton.astype(np.float64) - [320, 0, 0]
    skeleton[0, 2] = -60
    side = (skeleton @ np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]]).T + [320, 0, 0]).astype(np.float32)
    joints = np.concatenate([side[:21, :2], np.ones((21, 1))], 1).astype(np.float32)
    picture = np.full_like(reference.reference, 200)
    body = np.zeros(picture.shape[:2], np.uint8)
    cv2.line(body, (320, 120), (320, 1020), 1, 150)
    person = replace(reference.reference_person, joints=joints, skeleton=side, mask=body > 0)
    made = make_person(BODIES, Appearance(reference=picture, reference_person=person))
    assert any("face" in warning for warning in made.warnings)
    for group in np.unique(made.figure.groups[made.drawn]):
        tone = made.colors.fine[made.figure.groups[made.drawn] == group].mean()
        assert tone > 0.01, Group(group).name


def test_colors_beyond_the_border_are_the_persons() -> None:
    reference = _reference("suit")
    assert reference.reference is not None and reference.reference_person is not None
    picture = reference.reference[..., :3].copy()
    picture[~reference.reference_person.mask] = (0, 255, 0)
    view = make_view(picture, reference.reference_person)
    assert view is not None and view.is_whole
    green = view.colors[..., 1] - view.colors[..., [0, 2]].max(2)
    assert green.max() < 0.2
