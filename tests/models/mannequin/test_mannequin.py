"""The mannequin: posing of known skeletons, drawn against reported joints, colors of reference pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Window
from pipeline.errors import Cancelled
from pipeline.joints import JOINT, NUM_SKELETON
from pipeline.models.mannequin.figure import BONE, Figure, Group, load_figure, posed_joints
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.outfit import Outfit, outfit_of
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path

SIZE = (200, 320)
HEIGHT = 240.0
ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]
ASSETS = Path(__file__).parents[3] / "assets"
REFERENCE_JOINTS = {
    # Projected from the characters' rigs; nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
    "suit": [(319.5, 162.04), (337.27, 142), (301.73, 142), (370.49, 151.87), (268.51, 151.87), (423.57, 289.99),
             (215.43, 289.99), (505.44, 404.28), (133.56, 404.28), (589.69, 522.21), (49.31, 522.21), (379.44, 545.55),
             (259.56, 545.55), (396.96, 779.53), (242.04, 779.53), (404.83, 1007.13), (234.17, 1007.13)],
    "sport": [(319.5, 174.63), (335.58, 160.25), (303.42, 160.25), (363.54, 173.59), (275.46, 173.59), (408.07, 297.19),
              (230.93, 297.19), (485.97, 405.97), (153.03, 405.97), (556.16, 504.36), (82.84, 504.36), (373.98, 555.37),
              (265.02, 555.37), (393.44, 768.86), (245.56, 768.86), (404.83, 983.81), (234.17, 983.81)],
}  # fmt: skip


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


@pytest.fixture(scope="module")
def mannequin() -> Mannequin:
    return Mannequin(weight_path("figure.npz"))


def _standing(figure: Figure, yaw: float = 0.0) -> np.ndarray:
    """(23, 3) px: the relaxed figure in the middle of the crop, turned by ``yaw``."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    out = relaxed_skeleton(figure) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T * HEIGHT
    return (out + np.array([SIZE[0] / 2, 290, 0])).astype(np.float32)


def _window(skeletons: list[np.ndarray], presence: Presence = Presence.FOUND) -> Window:
    """A window as the people stage would give it."""
    n = len(skeletons)
    return Window(
        start=0,
        size_wh=SIZE,
        pts_seconds=np.arange(n) / 30,
        joints=np.ones((n, 21, 3), np.float32),
        skeletons=np.array(skeletons, np.float32),
        planted=np.ones((n, 2), bool),
        body_height_px=np.full(n, HEIGHT),
        presence=np.full(n, presence, np.uint8),
    )


def _draw(mannequin: Mannequin, skeleton: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layer = next(mannequin.generate(_window([skeleton]), 0, lambda: None))
    assert layer.alpha is not None and layer.joints is not None
    return layer.picture, layer.alpha, layer.joints


def _walking(figure: Figure) -> list[np.ndarray]:
    """Poses with bent knees, a raised arm, a turn, a step: none of them the figure's own proportions."""
    out = []
    rng = np.random.default_rng(5)
    for yaw in (0.0, 0.7, 1.5, -2.4, 3.1):
        s = _standing(figure, yaw)
        s[JOINT["left_ankle"]] += [14, -22, 10]
        s[JOINT["left_heel"]] += [14, -24, 10]
        s[JOINT["left_toe"]] += [14, -18, 10]
        s[JOINT["left_knee"]] += [9, -10, -12]
        s[JOINT["right_wrist"]] += [-20, -90, -15]
        out.append((s + rng.normal(0, 1.5, s.shape)).astype(np.float32))
    return out


def test_ankles_land_on_the_subjects(figure: Figure) -> None:
    poser = Poser(figure)
    for skeleton in _walking(figure):
        joints = posed_joints(figure, poser.pose(skeleton, HEIGHT))
        np.testing.assert_allclose(joints[ANKLES, :2], skeleton[ANKLES, :2], atol=0.05)


def test_its_own_skeleton_gives_its_own_joints_back(figure: Figure) -> None:
    skeleton = _standing(figure)
    joints = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    rows = [
        JOINT[f"{s}_{p}"] for s in ("left", "right") for p in ("hip", "knee", "ankle", "elbow", "wrist", "shoulder")
    ]
    assert np.abs(joints[rows, :2] - skeleton[rows, :2]).max() < 0.03 * HEIGHT


def test_limbs_keep_their_lengths_and_knees_bend_backwards(figure: Figure) -> None:
    rest = relaxed_skeleton(figure) * HEIGHT
    for skeleton in _walking(figure):
        pose = Poser(figure).pose(skeleton, HEIGHT)
        for suffix, side in ((".L", "left"), (".R", "right")):
            places = {b: pose.apply(b + suffix, figure.heads[BONE[b + suffix]]) for b in ("thigh1", "shin1", "foot")}
            thigh, shin = places["shin1"] - places["thigh1"], places["foot"] - places["shin1"]
            for bone, start, stop in ((thigh, "hip", "knee"), (shin, "knee", "ankle")):
                own = np.linalg.norm(rest[JOINT[f"{side}_{stop}"]] - rest[JOINT[f"{side}_{start}"]])
                assert np.linalg.norm(bone) == pytest.approx(own, rel=0.04)
            left = pose.linear[BONE["pelvis"]] @ [1, 0, 0]
            assert np.cross(thigh, shin) @ left > -1e-6


def test_left_and_right_follow_the_turn(figure: Figure) -> None:
    front = posed_joints(figure, Poser(figure).pose(_standing(figure), HEIGHT))
    back = posed_joints(figure, Poser(figure).pose(_standing(figure, np.pi), HEIGHT))
    left, right = JOINT["left_shoulder"], JOINT["right_shoulder"]
    assert front[left, 0] > front[right, 0] + 0.1 * HEIGHT
    assert back[right, 0] > back[left, 0] + 0.1 * HEIGHT


def test_a_small_change_of_the_skeleton_is_a_small_change_of_the_pose(figure: Figure) -> None:
    poser = Poser(figure)
    rng = np.random.default_rng(11)
    for skeleton in _walking(figure):
        before = posed_joints(figure, poser.pose(skeleton, HEIGHT))[:, :2]
        after = posed_joints(figure, poser.pose(skeleton + rng.normal(0, 0.1, (23, 3)), HEIGHT))[:, :2]
        assert np.abs(after - before).max() < 2.0


def test_unknown_joints_hang(figure: Figure) -> None:
    skeleton = _standing(figure)
    arm = [JOINT["left_elbow"], JOINT["left_wrist"], JOINT["left_hand"]]
    skeleton[arm] = np.nan
    joints = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    assert np.isfinite(joints).all()
    assert joints[JOINT["left_wrist"], 1] > joints[JOINT["left_elbow"], 1] > joints[JOINT["left_shoulder"], 1]
    skeleton[:] = np.nan
    skeleton[JOINT["left_hip"]] = [100, 160, 0]
    assert np.isfinite(posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))).all()
    with pytest.raises(ValueError, match="without any known joint"):
        Poser(figure).pose(np.full((NUM_SKELETON, 3), np.nan, np.float32), HEIGHT)


def test_the_drawn_feet_and_head_are_where_the_joints_say(mannequin: Mannequin, figure: Figure) -> None:
    _, alpha, joints = _draw(mannequin, _standing(figure, 0.4))
    solid = alpha > 200
    rows = np.flatnonzero(solid.any(1))
    ankle = joints[ANKLES, 1].max()
    # Soles are 3 to 7 % of the height below the ankles; the figure is as tall as it stands, minus the stance.
    assert 0.03 * HEIGHT < rows[-1] - ankle < 0.075 * HEIGHT
    assert rows[-1] - rows[0] == pytest.approx(HEIGHT, rel=0.03)
    for name in ("nose", "left_knee", "right_shoulder", "left_hip", "right_ankle"):
        x, y = np.rint(joints[JOINT[name], :2]).astype(int)
        assert solid[y, x], name


def test_an_arm_before_the_body_covers_it_and_behind_is_covered(mannequin: Mannequin, figure: Figure) -> None:
    skin = np.array(Outfit().colors["skin"])
    upper = np.array(Outfit().colors["upper"])

    def looks(depth: float) -> tuple[float, float]:
        s = _standing(figure)
        shoulder = s[JOINT["right_shoulder"]].copy()
        s[JOINT["right_elbow"]] = shoulder + np.array([-10, 30, depth])
        s[JOINT["right_wrist"]] = shoulder + np.array([24, 40, 1.8 * depth])
        s[JOINT["right_hand"]] = shoulder + np.array([38, 42, 1.9 * depth])
        picture, _, joints = _draw(mannequin, s)
        x, y = np.rint(joints[JOINT["right_wrist"], :2] + [7, 0]).astype(int)
        tone = picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(0)
        tone = tone / np.linalg.norm(tone)
        return float(tone @ (skin / np.linalg.norm(skin))), float(tone @ (upper / np.linalg.norm(upper)))

    like_skin, like_upper = looks(-28.0)
    assert like_skin > like_upper
    like_skin, like_upper = looks(60.0)
    assert like_upper > like_skin


def test_alpha_is_soft_at_the_edge_only_and_shadow_is_black(mannequin: Mannequin, figure: Figure) -> None:
    picture, alpha, joints = _draw(mannequin, _standing(figure))
    above = alpha[: int(joints[JOINT["left_knee"], 1])]
    assert (above == 255).sum() > 4 * ((above > 0) & (above < 255)).sum() > 0
    # Two pixels from the outline only slits narrower than a pixel, as between hand and thigh, are soft.
    beside = cv2.dilate((above < 128).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert (above[~beside] < 255).mean() < 0.02
    ground = int(joints[ANKLES, 1].mean() + 0.05 * HEIGHT)
    shadow = (alpha[ground] > 0) & (alpha[ground] < 200) & (picture[ground].max(1) < 8)
    assert shadow.sum() > 10
    assert alpha[:, 0].max() == 0 and alpha[0].max() == 0


def test_feet_darken_the_ground_less_where_the_key_light_does_most(mannequin: Mannequin, figure: Figure) -> None:
    window = _window([_standing(figure)])
    daylight = SceneLight.daylight(1)
    dull = replace(daylight, key_rgb=np.zeros_like(daylight.key_rgb))
    dark = []
    for light in (dull, daylight):
        layer = next(mannequin.generate(replace(window, light=light), 0, lambda: None))
        assert layer.alpha is not None
        is_shadow = (layer.alpha > 0) & (layer.picture.max(2) < 8)
        dark.append(float(layer.alpha[is_shadow & (np.arange(SIZE[1])[:, None] > 280)].sum()))
    assert dark[1] < 0.65 * dark[0]


def test_same_input_same_bytes_and_windows_do_not_matter(mannequin: Mannequin, figure: Figure) -> None:
    skeletons = _walking(figure)
    together = list(mannequin.generate(_window(skeletons), 0, lambda: None))
    again = Mannequin(weight_path("figure.npz"))
    for skeleton, layer in zip(skeletons, together, strict=True):
        alone = next(again.generate(_window([skeleton]), 7, lambda: None))
        assert np.array_equal(alone.picture, layer.picture) and np.array_equal(alone.alpha, layer.alpha)


def test_the_figure_is_lit_by_the_windows_light(mannequin: Mannequin, figure: Figure) -> None:
    window = _window([_standing(figure)] * 2)
    key = np.array([[-0.9, -0.1, -0.42], [0.9, -0.1, -0.42]], np.float32)
    lamp = np.tile(np.array([0.9, 0.6, 0.3], np.float32), (2, 1))
    lit = replace(window, light=SceneLight(key, lamp, 0.1 * lamp, 0 * lamp))
    dim = replace(window, light=SceneLight(key, 0.1 * lamp, 0.01 * lamp, 0 * lamp))
    left, right = mannequin.generate(lit, 0, lambda: None)
    middle = round(SIZE[0] / 2)
    solid = left.alpha > 250
    sides = np.arange(SIZE[0]) < middle
    brighter = [float(p.picture[solid & side].mean()) for p in (left, right) for side in (sides, ~sides)]
    assert brighter[0] > 1.2 * brighter[1] and brighter[3] > 1.2 * brighter[2]
    red, _, blue = left.picture[solid].mean(axis=0)
    (plain, _), (dark, _) = (tuple(mannequin.generate(w, 0, lambda: None)) for w in (window, dim))
    plain_red, _, plain_blue = plain.picture[solid].mean(axis=0)
    assert red / blue > 1.2 * plain_red / plain_blue
    assert dark.picture[solid].mean() < 0.5 * left.picture[solid].mean()
    daylight = replace(window, light=SceneLight.daylight(2))
    np.testing.assert_array_equal(next(mannequin.generate(daylight, 0, lambda: None)).picture, plain.picture)


def test_absent_unknown_and_out_of_the_crop(mannequin: Mannequin, figure: Figure) -> None:
    absent = next(mannequin.generate(_window([_standing(figure)], Presence.ABSENT), 0, lambda: None))
    unknown = next(mannequin.generate(_window([np.full((23, 3), np.nan)]), 0, lambda: None))
    for layer in (absent, unknown):
        assert layer.alpha is not None and layer.alpha.max() == 0 and layer.picture.shape == (SIZE[1], SIZE[0], 3)
        assert layer.joints is not None and np.isnan(layer.joints[:, :2]).all()
    _, alpha, _ = _draw(mannequin, _standing(figure) + np.array([SIZE[0] / 2, 0, 0], np.float32))
    assert alpha[:, -1].max() == 255 and alpha[:, : SIZE[0] // 3].max() == 0
    _, alpha, _ = _draw(mannequin, _standing(figure) + np.array([5000, 0, 0], np.float32))
    assert alpha.max() == 0


def test_a_raised_check_stops_generation(mannequin: Mannequin, figure: Figure) -> None:
    def stop() -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        next(mannequin.generate(_window([_standing(figure)]), 0, stop))


def _reference(name: str) -> Appearance:
    coded = cv2.imread(str(ASSETS / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    picture = cv2.cvtColor(coded, cv2.COLOR_BGRA2RGBA)
    joints = np.full((21, 3), np.nan, np.float32)
    joints[:17, :2] = REFERENCE_JOINTS[name]
    joints[:17, 2] = 1
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    skeleton[:17] = joints[:17] * [1, 1, 0]
    person = Person(
        box_xyxy=np.array([0, 0, 640, 1152.0]),
        score=1.0,
        joints=joints,
        skeleton=skeleton,
        mask=picture[:, :, 3] > 127,
    )
    return Appearance(reference=picture, reference_person=person)


def _near(color: tuple[float, float, float], expected: tuple[int, int, int], within: float = 30) -> bool:
    return bool(np.abs(np.array(color) - expected).max() <= within)


def test_colors_of_the_suit() -> None:
    outfit = outfit_of(_reference("suit"))
    assert _near(outfit.colors["upper"], (60, 60, 61)) and _near(outfit.colors["lower"], (64, 64, 65))
    assert _near(outfit.colors["skin"], (224, 195, 170)) and _near(outfit.colors["hair"], (120, 92, 87))
    assert outfit.long_sleeves and outfit.long_legs


def test_colors_and_short_sleeves_of_the_sport_kit() -> None:
    outfit = outfit_of(_reference("sport"))
    assert _near(outfit.colors["upper"], (64, 98, 157)) and _near(outfit.colors["lower"], (73, 74, 75))
    assert _near(outfit.colors["skin"], (150, 103, 86)) and _near(outfit.colors["shoes"], (34, 34, 35))
    assert not outfit.long_sleeves and outfit.long_legs
    assert outfit.hidden == {Group.SLEEVE, Group.SHIN}


def test_the_reference_colors_are_drawn(figure: Figure) -> None:
    dressed = Mannequin(weight_path("figure.npz"))
    dressed.prepare(_reference("sport"))
    picture, _, joints = _draw(dressed, _standing(figure))
    shoulders, hips = (joints[[JOINT[f"{s}_{p}"] for s in ("left", "right")], :2].mean(0) for p in ("shoulder", "hip"))
    # Below the shirt's hem the belly is bare.
    chest = 0.75 * shoulders + 0.25 * hips
    x, y = np.rint(chest).astype(int)
    r, g, b = picture[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3).mean(0)
    assert b > 1.5 * r and b > 1.2 * g
    dressed.prepare(Appearance())
    plain, _, _ = _draw(dressed, _standing(figure))
    assert not np.array_equal(plain, picture)


def test_the_figure_is_dressed_only_when_it_wears_something_else() -> None:
    mannequin = Mannequin(weight_path("figure.npz"))
    own = mannequin.person
    mannequin.prepare(Appearance())
    assert mannequin.person is own
    mannequin.prepare(Appearance(prompt="a red dress"))
    dressed = mannequin.person
    assert dressed is not own
    mannequin.become(own)
    mannequin.prepare(Appearance(prompt="a red dress"))
    np.testing.assert_array_equal(mannequin.person.colors.fine, dressed.colors.fine)


def test_a_reference_without_a_face_keeps_the_figures_own_colors() -> None:
    reference = _reference("suit")
    assert reference.reference_person is not None
    reference.reference_person.joints[:] = np.nan
    assert outfit_of(reference) == Outfit()
