"""A layer near the camera is found by its own motion, put together, and stays in front of who is behind it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest

from pipeline.datatypes.plan import Plan
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.front_edges import stands_out
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.near_fit import planes_through
from pipeline.scene.near_follow import NearFollower, PlaneAround, motions_of
from pipeline.scene.near_layer import NearLayers, save_motions, save_near_row
from pipeline.scene.near_mosaic import NearMosaic
from pipeline.scene.near_plane import Look, NearPlane, near_planes, plane_from_plate
from pipeline.scene.near_votes import RowVotes, in_front, surfaces_in_front
from pipeline.scene.parallax import RowParallax, row_parallax
from tests.support.scene_labels import NOTHING, learned
from tests.support.scene_truth import man_at, shot_at, wall

WIDTH, HEIGHT, BODY = 200, 160, 120.0
MOVES = np.linspace(-1, 1, 11)
BEHIND_PX, NEAR_PX, FAR_PX = -3.0, 7.0, 12.0
RANDOM = np.random.default_rng(3)
TEXTURE = cv2.GaussianBlur(RANDOM.integers(90, 230, (HEIGHT, 2 * WIDTH, 3)).astype(np.uint8), (0, 0), 1.2)


def bars_at(move: float, slope: float = 0.0) -> np.ndarray:
    """Return (h, w): bars 3 px wide and 24 px apart, where a move of the camera shows them; the ``slope`` is how much
    less they move a px further down."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    x = x + move * (NEAR_PX - slope * (y - 100))
    return np.asarray(((x - 10) % 24 < 3) & (x > 5) & (x < 190) & (y >= 50) & (y < 150), np.bool_)


def man_in(number: int) -> np.ndarray:
    """Return (h, w) the silhouette of somebody who walks to the right."""
    man = np.zeros((HEIGHT, WIDTH), np.bool_)
    man[40:150, 50 + 8 * number : 74 + 8 * number] = True
    return man


def look_at(number: int, *, has_bars: bool = True, is_man_before: bool = False, slope: float = 0.0) -> Look:
    """Return a frame: a textured wall, somebody in blue, and bars before (or behind) them."""
    move = float(MOVES[number])
    steps = np.array([[1, 0, -move * BEHIND_PX - 100], [0, 1, 0]], np.float64)
    picture = cv2.warpAffine(TEXTURE, steps, (WIDTH, HEIGHT))
    man = man_in(number)
    bars = bars_at(move, slope) if has_bars else np.zeros_like(man)
    picture[man] = (40, 60, 160)
    picture[bars & (~man | (not is_man_before))] = (30, 34, 30)
    free = cv2.dilate(man.view(np.uint8), np.ones((7, 7), np.uint8)) == 0
    calm = cv2.GaussianBlur(picture, (0, 0), 0.6)
    return Look(number, np.asarray(calm, np.uint8), free, man, np.eye(3), (WIDTH, HEIGHT), man, man & False)


def movement() -> RowParallax:
    still = np.repeat(np.eye(3)[None], len(MOVES), axis=0)
    depths = np.full((4, 5), BEHIND_PX, np.float32)
    # A point at x is seen at x - move * depth * direction.
    return RowParallax(np.arange(len(MOVES)), still, MOVES, np.array([1.0, 0.0]), depths)


@pytest.mark.parametrize("slope", [0.0, 0.06])
def test_a_railing_before_a_wall_is_a_plane_of_its_own(slope: float) -> None:
    """Also against a plate that is registered to the ground on which it stands."""
    (found,) = near_planes([look_at(number, slope=slope) for number in range(len(MOVES))], movement(), 1.0, BODY)
    for row in (70, 130):
        assert found.depth @ (100, row, 1) == pytest.approx(NEAR_PX - slope * (row - 100), abs=0.4)


def test_planes_that_are_too_steep_are_chance() -> None:
    x, y = (places.ravel().astype(np.float64) for places in np.meshgrid(np.arange(12), np.arange(12)))
    for slope, count in ((0.1, 1), (0.5, 0)):
        assert len(planes_through(np.column_stack([x, y, slope * y]), 20)) == count


def around_ground(slope: float) -> RowParallax:
    """Return the movement before a wall on the ground, which is a ``slope`` nearer a px further down."""
    rows = np.linspace(0, HEIGHT - 1, 9)[:, None]
    ground = np.maximum(BEHIND_PX + slope * (rows - 100), BEHIND_PX)
    return replace(movement(), plate_depths=np.repeat(ground, 5, axis=1).astype(np.float32))


def looks_at_two_depths() -> list[Look]:
    """Return looks at bars, and at others below them that are nearer."""
    looks = [look_at(number) for number in range(len(MOVES))]
    for move, look in zip(MOVES, looks, strict=True):
        x = np.arange(WIDTH) + move * FAR_PX
        look.picture[110:] = look_at(look.number, has_bars=False).picture[110:]
        look.picture[110:150, (x % 20 < 4) & (x > 5) & (x < 190)] = (230, 40, 30)
    return looks


def test_bars_at_two_depths_are_two_planes() -> None:
    looks = looks_at_two_depths()
    found = near_planes(looks, around_ground(0.15), 1.0, BODY)
    depths = [plane.depth @ (*plane.middle_xy, 1) for plane in found]
    for depth in (NEAR_PX, FAR_PX):
        assert np.abs(np.array(depths) - depth).min() < 0.4


def test_each_plane_is_followed_but_the_same_one_once_only() -> None:
    world = SimpleNamespace(world_from_source=np.repeat(np.eye(3)[None], len(MOVES), axis=0))
    plan = cast(Plan, SimpleNamespace(shot_starts=np.array([0]), camera=world))
    depths = (NEAR_PX, FAR_PX, NEAR_PX)
    planes = [
        NearPlane(np.array([0, 0, depth]), 50, np.array([100.0, 100.0]), first) for first, depth in enumerate(depths)
    ]
    follower = NearFollower(plan, [PlaneAround(movement(), plane) for plane in planes], 1.0, (WIDTH, HEIGHT), BODY, 4)
    ended = [layer for look in looks_at_two_depths() for layer in follower.push(look)] + follower.finish()
    assert len(ended) == 2
    for layer, depth in zip(ended, (NEAR_PX, FAR_PX), strict=True):
        first, motions = motions_of(layer, world.world_from_source)
        assert motions[:, 0, 2] - motions[0, 0, 2] == pytest.approx((MOVES[first:] - MOVES[first]) * depth, abs=0.6)


def test_layers_are_known_in_frames_of_their_own_and_seen_together(tmp_path: Path) -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 80, np.float32)
    fronts = np.zeros((2, HEIGHT, WIDTH), np.bool_)
    fronts[0, 20:60, 20:60] = fronts[1, 80:120, 90:130] = True
    for layer, front in enumerate(fronts):
        save_near_row(tmp_path, 0, layer, front, front, picture)
    still = np.repeat(np.eye(3)[None], 2, axis=0)
    save_motions(tmp_path, [(0, still), (1, still)])
    layers = NearLayers(tmp_path)
    seen = [layers.mask(frame, 0, (0, 0, WIDTH, HEIGHT), picture.astype(np.uint8)) for frame in range(4)]
    for found, expected in zip(seen, (fronts[0], fronts.any(axis=0), fronts[1]), strict=False):
        assert found is not None
        assert np.array_equal(found[0], expected)
    assert seen[3] is None


@pytest.mark.parametrize(("slope", "is_before"), [(0.15, True), (0.3, False)])
def test_what_stands_on_the_ground_behind_his_feet_is_no_near_plane(slope: float, is_before: bool) -> None:
    found = near_planes([look_at(number) for number in range(len(MOVES))], around_ground(slope), 1.0, BODY)
    assert bool(found) == is_before


def test_a_wall_alone_is_no_near_plane() -> None:
    looks = [look_at(number, has_bars=False) for number in range(len(MOVES))]
    assert not near_planes(looks, movement(), 1.0, BODY)


def test_a_plane_maps_what_a_frame_shows_to_one_place() -> None:
    plane = np.array([0.01, -0.02, 6.0])
    at = np.array([80.0, 60.0])
    for row, move in enumerate(MOVES):
        seen = at - move * (plane[:2] @ at + plane[2]) * np.array([1.0, 0.0])
        back = plane_from_plate(movement(), plane, row) @ (*seen, 1)
        assert back[:2] / back[2] == pytest.approx(at, abs=1e-9)


def mosaic_of(*, is_man_before: bool = False) -> tuple[NearMosaic, list[Look], list[np.ndarray]]:
    """Return the mosaic of all looks with their true motions."""
    mosaic = NearMosaic((WIDTH, HEIGHT), BODY)
    looks = [look_at(number, is_man_before=is_man_before) for number in range(len(MOVES))]
    motions = [mosaic.placed(np.array([[1, 0, move * NEAR_PX], [0, 1, 0], [0, 0, 1]], np.float64)) for move in MOVES]
    for look, motion in zip(looks, motions, strict=True):
        mosaic.add(look, motion)
    return mosaic, looks, motions


def test_a_look_is_aligned_with_the_bars_and_not_with_the_wall() -> None:
    mosaic, looks, motions = mosaic_of()
    for number in (6, 8):
        off = motions[number].copy()
        off[0, 2] += 0.5
        refined = mosaic.refined(looks[number], off)
        assert refined is not None
        places = [motion @ (60.0, 100.0, 1.0) for motion in (refined, motions[number])]
        assert places[0][:2] / places[0][2] == pytest.approx(places[1][:2], abs=0.3)


def test_a_look_without_the_layer_is_not_recognized() -> None:
    mosaic, _, motions = mosaic_of()
    blank = look_at(5)
    nothing = replace(blank, picture=np.full_like(blank.picture, 255))
    assert mosaic.refined(nothing, motions[5]) is None


@pytest.mark.parametrize("is_man_before", [False, True])
def test_bars_are_in_front_of_who_is_behind_them_only(is_man_before: bool, tmp_path: Path) -> None:
    mosaic, looks, motions = mosaic_of(is_man_before=is_man_before)
    parts, steady = mosaic.parts()
    votes = RowVotes(parts.shape)
    for look, motion in zip(looks, motions, strict=True):
        box = x0, y0, x1, y1 = mosaic.box_of(look, motion)
        shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ motion
        size_wh = x1 - x0, y1 - y0
        seen = cv2.warpPerspective(look.picture, shift, size_wh).astype(np.float32)
        inside = cv2.warpPerspective(look.body.view(np.uint8), shift, size_wh) > 0
        inside &= parts[y0:y1, x0:x1]
        apart = np.abs(seen - mosaic.picture[y0:y1, x0:x1]).max(axis=-1)
        votes.add(0, box, inside & (apart < 14), inside & (apart > 24))
    ((row, for_it, against),) = votes.before(None)
    save_near_row(tmp_path, row, 0, in_front(parts, steady, for_it, against, BODY), steady, mosaic.picture)
    save_motions(tmp_path, [(0, np.stack(motions))])
    layers = NearLayers(tmp_path)
    found = [layers.mask(look.number, 0, (0, 0, WIDTH, HEIGHT), look.picture) for look in looks]
    masks = [None if each is None else each[0] for each in found]
    if is_man_before:
        assert all(mask is None or not (mask & man_in(number)).any() for number, mask in enumerate(masks))
        return
    for number in (3, 5, 7):
        mask = masks[number]
        assert mask is not None
        truth = bars_at(float(MOVES[number])) & man_in(number)
        assert (mask & truth).sum() > 0.6 * truth.sum()
        assert (mask & ~truth & man_in(number)).sum() < 0.4 * truth.sum()


def test_clips_without_a_layer_ask_nothing(tmp_path: Path) -> None:
    assert NearLayers(tmp_path).mask(3, 0, (0, 0, 10, 10), np.zeros((10, 10, 3), np.uint8)) is None


def test_a_wide_plain_thing_is_in_front_as_a_whole_and_a_plain_wall_behind_is_not() -> None:
    """Little of it was seen inside their outline, and a mask's error shows as much of the wall."""
    mosaic = NearMosaic((WIDTH, HEIGHT), BODY)
    for number, move in enumerate(MOVES):
        blank = look_at(number, has_bars=False)
        picture, left = blank.picture.copy(), 60 - round(float(move) * NEAR_PX)
        picture[:, 120:] = (190, 180, 150)
        picture[:, left : left + 40] = (96, 74, 58)
        motion = mosaic.placed(np.array([[1, 0, 60 - left], [0, 1, 0], [0, 0, 1]], np.float64))
        mosaic.add(replace(blank, picture=picture, free=np.ones_like(blank.free)), motion)
    x0, y0 = np.rint(mosaic.placed(np.eye(3))[:2, 2]).astype(int)
    seen, hidden = np.zeros((2, *mosaic.count.shape), np.float32)
    seen[y0 + 40 : y0 + 140, x0 + 62 : x0 + 66] = 2
    seen[y0 + 40 : y0 + 140, x0 + 140 : x0 + 144] = 2
    hidden[y0 + 40 : y0 + 140, x0 + 144 : x0 + 168] = 2
    found = surfaces_in_front(mosaic.picture.astype(np.uint8), mosaic.plain(), seen, hidden, BODY)
    expected = np.zeros_like(found)
    expected[y0 : y0 + HEIGHT, x0 + 60 : x0 + 100] = True
    assert np.count_nonzero(found & expected) > 0.95 * np.count_nonzero(expected)
    assert np.count_nonzero(found & ~expected) < 0.05 * np.count_nonzero(expected)


def test_leaves_are_in_front_with_their_stem_or_by_themselves() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    stem, leaves, seen, hidden = nothing > 0, nothing > 0, nothing.copy(), nothing.copy()
    stem[40:120, 60:62] = True
    seen[stem] = 2
    for left in (62, 90, 120):
        leaves[60:72, left : left + 10] = True
    # He is seen before the stem's second leaf, behind the single one, and nobody came near the other.
    leaves[80:92, 62:72] = True
    hidden[80:92, 63:72] = 2
    seen[60:72, 90:100] = 2
    front = in_front(stem | leaves, leaves, seen, hidden, BODY)
    assert front[62:70, 63:71].all()
    assert front[62:70, 92:98].all()
    assert not front[80:92, 66:].any()
    assert not front[:, 110:].any()


def test_votes_fade_to_the_neighboring_plates_and_no_further() -> None:
    votes = RowVotes((4, 4))
    box = 0, 0, 4, 4
    everywhere = np.ones((4, 4), np.bool_)
    given = {}
    for row in range(5):
        for done, seen, hidden in votes.before(row):
            given[done] = float(seen[0, 0]), float(hidden[0, 0])
        votes.add(row, box, everywhere & (row == 2), everywhere & (row == 0))
    for done, seen, hidden in votes.before(None):
        given[done] = float(seen[0, 0]), float(hidden[0, 0])
    faded = pytest.approx(0.6)
    assert given == {0: (0, 1), 1: (faded, faded), 2: (1, 0), 3: (faded, 0), 4: (0, 0)}


def plates_with(nodes: np.ndarray) -> PlateSet:
    """Return what ``row_parallax`` needs of plates: one plate, and each frame's nodes."""
    count = len(nodes)
    rows = np.stack([np.zeros(count, np.int32), np.full(count, -1, np.int32)], axis=1)
    source = np.repeat(np.eye(3)[None, None], count, axis=0).repeat(2, axis=1)
    fields = {"plate_rows": rows, "anchors": np.array([count // 2]), "from_source": source}
    return cast(PlateSet, SimpleNamespace(**fields, nodes=lambda frame, side: nodes[frame]))


def test_the_cameras_movement_is_read_from_the_parallax_of_the_plate() -> None:
    pattern = RANDOM.normal(0, 2, (6, 5, 1)) * np.array([0.8, 0.6])
    moves = np.linspace(-1, 0.5, 12)
    moves -= moves[6]
    found = row_parallax(plates_with(moves[:, None, None, None] * pattern), 0)
    assert found is not None
    assert np.abs(np.corrcoef(found.moves, moves)[0, 1]) > 0.999
    assert np.abs(found.direction_xy @ (0.8, 0.6)) == pytest.approx(1)
    signed = found.plate_depths[..., None] * found.direction_xy * found.moves[0]
    assert signed == pytest.approx(moves[0] * pattern, abs=1e-3)


def test_a_camera_that_stands_still_tells_no_depths() -> None:
    assert row_parallax(plates_with(RANDOM.normal(0, 0.05, (12, 6, 5, 2))), 0) is None


def test_a_near_layer_is_labeled_in_front_where_it_stands_out() -> None:
    plate = wall()
    bars = NOTHING.copy()
    bars[60:200, 100:240:20] = bars[60:200, 101:240:20] = bars[60:200, 102:240:20] = True
    shots = [shot_at(x, plate) for x in range(60, 240, 20)]
    shown = plate.copy()
    shown[bars] = (20, 40, 30)
    # The plate does not show the bars in this place, and the mask runs over them.
    shot = replace(shot_at(150, shown, bars), plate=plate, subject_mask=man_at(150)[0])
    sample = shot.sample()
    row = learned(shots)
    empty = np.zeros(NOTHING.shape, np.bool_), np.zeros(NOTHING.shape, np.bool_)
    near = bars & man_at(150)[0]
    labels = labels_of(sample, row, empty, is_completed=False, near=(near, near & NOTHING))
    assert (labels[near] == Label.FRONT).mean() > 0.9
    assert (labels_of(sample, row, empty, is_completed=False)[near] == Label.FRONT).mean() < 0.1


def test_what_certainly_is_a_near_layer_may_have_the_color_of_cloth() -> None:
    sample = shot_at(150, wall()).sample()
    row = learned([shot_at(x, wall()) for x in range(60, 240, 20)])
    empty = NOTHING.copy(), NOTHING.copy()
    patch = man_at(150)[0] & (np.arange(NOTHING.shape[0])[:, None] > 120)
    for steady, share in ((patch, 1.0), (patch & NOTHING, 0.0)):
        labels = labels_of(sample, row, empty, is_completed=False, near=(patch, steady))
        assert (labels[patch] == Label.FRONT).mean() == pytest.approx(share, abs=0.1)


def test_cloth_in_a_main_color_of_the_subject_stands_out_as_a_line_only() -> None:
    sample = shot_at(150, wall()).sample()
    everything = np.ones(NOTHING.shape, np.bool_)
    assert stands_out(sample, ~everything).all()
    assert stands_out(sample, everything).mean() < 0.9
