"""Burnt-in graphics are found where the scene moves behind them, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.survey import Overlays
from pipeline.settings import StabilizeSettings
from pipeline.survey.camera import CameraEstimator
from pipeline.survey.graphic import Graphic, Seen, graphics_of
from pipeline.survey.overlays import OverlayFinder
from tests.support.clip_info import video_info
from tests.support.graphics import one_graphic
from tests.support.motion_truth import SIZE_WH

COUNT = 60
NOBODY = np.zeros(SIZE_WH[::-1], np.bool_)
Luma = NDArray[np.uint8]


def texture() -> Luma:
    noise = np.random.default_rng(5).normal(0, 1, (700, 1100)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 4)
    picture = np.clip(120 + 25 * coarse / coarse.std(), 0, 255).astype(np.uint8)
    # Straight edges, some of them along the motion.
    for row in range(40, 700, 90):
        cv2.line(picture, (0, row), (1100, row), 230, 4)
    cv2.rectangle(picture, (300, 100), (420, 330), 20, 5)
    return picture


def path(step_xy: tuple[float, float]) -> NDArray[np.float64]:
    """(T, 3, 3) source to world of a camera that moves by ``step_xy`` px a frame, and swings."""
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    frames = np.arange(COUNT)
    world[:, 0, 2] = step_xy[0] * frames
    world[:, 1, 2] = step_xy[1] * frames + (3 * np.sin(frames / 4) if any(step_xy) else 0)
    return world


def scene(world: NDArray[np.float64]) -> list[Luma]:
    start = np.array([[1, 0, 60], [0, 1, 60], [0, 0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return [cv2.warpPerspective(texture(), start @ matrix, SIZE_WH, flags=flags) for matrix in world]


def caption(words: str, row: int = 300) -> Mask:
    drawn = np.zeros(SIZE_WH[::-1], np.uint8)
    cv2.putText(drawn, words, (60, row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 6)
    return drawn > 0


def with_caption(luma: Luma, words: str, row: int = 300) -> Luma:
    drawn = luma.copy()
    cv2.putText(drawn, words, (60, row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 6, cv2.LINE_AA)
    cv2.putText(drawn, words, (60, row), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    return drawn


def found_in(pictures: list[Luma], world: NDArray[np.float64], people: list[Mask] | None = None) -> Overlays:
    finder = OverlayFinder(video_info(len(pictures)))
    for picture, matrix, mask in zip(pictures, world, people or [NOBODY] * len(pictures), strict=True):
        finder.push(picture, mask, matrix, is_cut=False)
    return finder.finish()


def covered(overlays: Overlays, frame: int, truth: Mask) -> float:
    """Return the share of a graphic's pixels that are found in a frame."""
    mask = overlays.mask(frame)
    return 0.0 if mask is None else float(mask[truth].mean())


def test_a_scene_without_graphics_has_none() -> None:
    for step in ((2.0, 0.3), (0.0, 1.5), (0.0, 0.0)):
        world = path(step)
        overlays = found_in(scene(world), world)
        assert all(overlays.mask(frame) is None for frame in range(COUNT)), step


def test_an_icon_and_a_caption_are_found_in_every_frame_and_little_else() -> None:
    world = path((2.0, 0.3))
    truth = caption("stays for good")
    pictures = [with_caption(luma, "stays for good") for luma in scene(world)]
    for picture in pictures:
        cv2.circle(picture, (580, 80), 24, 250, -1, cv2.LINE_AA)
        cv2.putText(picture, "9", (570, 90), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 10, 3, cv2.LINE_AA)
    icon = cv2.circle(np.zeros(SIZE_WH[::-1], np.uint8), (580, 80), 23, 255, -1) > 0
    overlays = found_in(pictures, world)
    for frame in range(COUNT):
        mask = overlays.mask(frame)
        assert mask is not None
        assert mask[truth].mean() > 0.85
        assert mask[icon].mean() > 0.95
        assert np.count_nonzero(mask & ~truth & ~icon) < 0.01 * mask.size


def test_words_on_darkened_ground_are_found_where_little_shows_that_it_moves() -> None:
    world = path((2.0, 0.3))[:30]
    rows = np.arange(SIZE_WH[1])[:, None]
    shade = 1 - 0.82 * np.clip((rows - 180) / 60, 0, 1)
    truth = cv2.putText(np.zeros(SIZE_WH[::-1], np.uint8), "learning", (60, 300), 0, 0.9, 255, 2)
    pictures = []
    for luma in scene(world):
        dark = cv2.GaussianBlur((16 + (luma - 16.0) * shade), (0, 0), 3).astype(np.uint8)
        pictures.append(np.maximum(dark, cv2.putText(np.zeros_like(dark), "learning", (60, 300), 0, 0.9, 220, 2)))
    assert covered(found_in(pictures, world), 20, truth > 0) > 0.8


def test_a_static_camera_gives_no_evidence_of_a_caption() -> None:
    world = path((0.0, 0.0))
    overlays = found_in([with_caption(luma, "who knows") for luma in scene(world)], world)
    assert all(overlays.mask(frame) is None for frame in range(COUNT))


def test_captions_that_change_every_second_are_separated() -> None:
    world = path((2.0, 0.3))
    captions = [("a first line", 300), ("THEN OTHERS", 260)]
    pictures = [with_caption(luma, *captions[frame // 30]) for frame, luma in enumerate(scene(world))]
    overlays = found_in(pictures, world)
    first, second = overlays.mask(15), overlays.mask(45)
    assert first is not None
    assert second is not None
    assert first[caption(*captions[0])].mean() > 0.8
    assert second[caption(*captions[1])].mean() > 0.8
    assert second[caption(*captions[0]) & ~caption(*captions[1])].mean() < 0.4


def test_the_clearest_edges_of_a_half_transparent_logo_are_found() -> None:
    world = path((2.0, 0.3))
    drawn = np.zeros(SIZE_WH[::-1], np.uint8)
    cv2.putText(drawn, "LOGO", (440, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 6, cv2.LINE_AA)
    share = drawn / 255 * 0.6
    pictures = [(luma * (1 - share) + 255 * share).astype(np.uint8) for luma in scene(world)]
    mask = found_in(pictures, world).mask(30)
    assert mask is not None
    assert mask[drawn > 200].mean() > 0.4


def test_the_camera_follows_no_point_of_a_graphic() -> None:
    pictures = [with_caption(luma, "corners here") for luma in scene(path((2.0, 0.3)))[:6]]
    overlay = caption("corners here")
    on_it = []
    for known in (None, overlay):
        camera = CameraEstimator(video_info(len(pictures)), StabilizeSettings())
        for luma in pictures:
            camera.push(luma, NOBODY, np.empty((0, 2)), False, known)
        points = np.round(np.concatenate(camera.finish().pairs)[:, :2]).astype(int)
        on_it.append(int(overlay[points[:, 1], points[:, 0]].sum()))
        assert len(points) > 100
    assert on_it[1] == 0


def test_points_that_turn_out_to_lie_on_a_graphic_do_not_draw_on_the_motion() -> None:
    world = path((0.7, 0.1))
    words = "many corners stand here"
    pictures = []
    for luma in scene(world)[:12]:
        for row in range(100, 341, 60):
            luma = with_caption(luma, words, row)
        pictures.append(luma)
    overlay = np.logical_or.reduce([caption(words, row) for row in range(100, 341, 60)])
    overlays = one_graphic(overlay, 0, len(pictures) - 1)
    errors = []
    for graphics in (None, overlays):
        camera = CameraEstimator(video_info(len(pictures)), StabilizeSettings())
        for luma in pictures:
            camera.push(luma, NOBODY, np.empty((0, 2)), False)
        motion = camera.finish(graphics)
        errors.append(np.abs(motion.world_from_source[-1, :2, 2] - world[11, :2, 2]).max())
    assert errors[0] > 1.0
    assert errors[1] < 0.5


@pytest.mark.parametrize("step", [(2.0, 0.3), (0.0, 0.0)], ids=["moving", "still"])
def test_a_caption_that_begins_and_ends_within_a_shot_is_found_from_its_first_to_its_last_frame(
    step: tuple[float, float],
) -> None:
    world = path(step)
    shown = range(17, 43)
    pictures = [with_caption(luma, "for a while") if t in shown else luma for t, luma in enumerate(scene(world))]
    overlays = found_in(pictures, world)
    truth = caption("for a while")
    assert min(covered(overlays, frame, truth) for frame in shown) > 0.8
    assert max(covered(overlays, frame, truth) for frame in [*range(15), *range(46, COUNT)]) < 0.1


@pytest.mark.parametrize("step", [(2.0, 0.3), (0.0, 0.0)], ids=["moving", "still"])
def test_words_that_change_three_times_a_second_are_found(step: tuple[float, float]) -> None:
    world = path(step)
    words = ["one", "AND THEN", "others", "FOLLOW"]
    pictures = [
        with_caption(luma, words[(t - 10) // 10]) if 10 <= t < 50 else luma for t, luma in enumerate(scene(world))
    ]
    overlays = found_in(pictures, world)
    for frame in range(10, 50):
        assert covered(overlays, frame, caption(words[(frame - 10) // 10])) >= 0.7
    assert covered(overlays, 56, caption("FOLLOW")) < 0.1


def test_words_that_grow_in_are_found_while_they_grow_and_not_before() -> None:
    world = path((2.0, 0.3))[:30]
    sizes = {12: 0.6, 13: 1.2}
    pictures, truth = scene(world), caption("grows")
    drawn = [cv2.putText(np.zeros_like(pictures[0]), "grows", (60, 300), 0, 0.9, 255, width) for width in (6, 2)]
    ys, xs = np.nonzero(drawn[0])
    center = (float(xs.min() + xs.max()) / 2, float(ys.min() + ys.max()) / 2)
    truths = {}
    for frame in range(12, 30):
        scaling = cv2.getRotationMatrix2D(center, 0, sizes.get(frame, 1.0))
        outline, word = (cv2.warpAffine(each, scaling, SIZE_WH).astype(np.float32) / 255 for each in drawn)
        pictures[frame] = np.rint(pictures[frame] * (1 - outline) + 255 * word).astype(np.uint8)
        truths[frame] = outline > 0.5
    overlays = found_in(pictures, world)
    assert all(covered(overlays, frame, truths[frame]) > 0.8 for frame in truths)
    assert all(covered(overlays, frame, truth) == 0 for frame in range(12))


def test_words_and_a_sticker_wholly_in_front_of_somebody_are_found() -> None:
    person = np.zeros(SIZE_WH[::-1], np.bool_)
    person[:, 40:] = True
    world = path((0.0, 0.0))
    words = ["so HE", "walks", "HOME"]
    pictures = [with_caption(luma, words[frame // 9 % 3]) for frame, luma in enumerate(scene(world[:36]))]
    overlays = found_in(pictures, world[:36], [person] * 36)
    assert min(covered(overlays, frame, caption(words[frame // 9 % 3])) for frame in range(9, 36)) > 0.8
    world = path((2.0, 0.3))[:36]
    pictures = scene(world)
    for picture in pictures:
        cv2.circle(picture, (300, 180), 30, 250, -1, cv2.LINE_AA)
        cv2.circle(picture, (300, 180), 27, 140, -1, cv2.LINE_AA)
        for x in (290, 310):
            cv2.circle(picture, (x, 172), 5, 40, -1, cv2.LINE_AA)
        cv2.ellipse(picture, (300, 184), (18, 12), 0, 0, 180, 60, -1, cv2.LINE_AA)
    sticker = cv2.circle(np.zeros(SIZE_WH[::-1], np.uint8), (300, 180), 29, 255, -1) > 0
    assert covered(found_in(pictures, world, [person] * 36), 18, sticker) > 0.9


def test_background_that_a_person_uncovers_is_no_graphic() -> None:
    world = path((0.0, 0.0))
    pictures = scene(world)
    people = []
    for t, picture in enumerate(pictures):
        # Walks, and after a jump cut is elsewhere.
        left = 20 + 3 * t if t < 30 else 400 + 2 * (t - 30)
        mask = NOBODY.copy()
        mask[120:340, left : left + 70] = True
        picture[mask] = 60 + 40 * (np.nonzero(mask)[0] // 9 % 2)
        people.append(mask)
    overlays = found_in(pictures, world, people)
    assert all(overlays.mask(frame) is None for frame in range(COUNT))


def seen_of(luma: Luma, index: int) -> Seen:
    return Seen(index, luma, NOBODY, np.eye(3))


def graphic_of(luma: Luma, *, is_lasting: bool = False) -> Graphic:
    drawn = caption("steady")
    (graphic,) = graphics_of(drawn, drawn, luma.astype(np.float32), 0, 19)
    graphic.is_lasting = is_lasting
    return graphic


def test_letters_are_steady_and_leaves_in_the_wind_are_not() -> None:
    background = scene(path((0.0, 0.0))[:1])[0]
    letters = with_caption(background, "steady")
    graphic = graphic_of(letters)
    random = np.random.default_rng(4)
    coded = [np.clip(letters + random.normal(0, 1, letters.shape), 0, 255).astype(np.uint8) for _ in range(20)]
    # The next word is shown already in the last frames.
    frames = [seen_of(background if t >= 18 else luma, t) for t, luma in enumerate(coded)]
    assert graphic.is_steady(frames)
    swaying = [np.roll(letters, round(1.5 * np.sin(t)), axis=1) for t in range(20)]
    assert not graphic.is_steady([seen_of(luma, t) for t, luma in enumerate(swaying)])
    assert graphic.is_steady([seen_of(letters, t) for t in range(40, 60)])


def test_a_faint_edge_that_comes_and_goes_is_no_watermark() -> None:
    background = np.full(SIZE_WH[::-1], 120, np.uint8)
    faint = background.copy()
    faint[caption("steady")] += 12
    graphic = graphic_of(faint, is_lasting=True)
    assert graphic.is_steady([seen_of(faint, t) for t in range(20)])
    shares = 1 + 0.4 * np.sin(np.arange(20))
    light = [(background + share * (faint - background)).astype(np.uint8) for share in shares]
    assert not graphic.is_steady([seen_of(luma, t) for t, luma in enumerate(light)])


def test_a_graphic_is_trimmed_to_the_frames_that_show_it() -> None:
    background = scene(path((0.0, 0.0))[:1])[0]
    graphic = graphic_of(with_caption(background, "steady"))
    shown = range(5, 15)
    frames = [seen_of(with_caption(background, "steady" if t in shown else "OTHERS"), t) for t in range(20)]
    assert not graphic.is_steady(frames)
    graphic.trim(frames)
    assert (graphic.first, graphic.last) == (5, 14)
    assert graphic.is_steady(frames)


def test_what_is_not_steady_is_no_graphic() -> None:
    """Something appears before a still camera, and then flickers as leaves in the sun do."""
    world = path((0.0, 0.0))
    pictures = scene(world)
    leaves = caption("leaves")
    rows = np.nonzero(leaves)[0]
    for t in range(20, COUNT):
        pictures[t][leaves] = np.round(195 + 14 * np.sin(rows / 3 + 2 * t) * (t > 24))
    overlays = found_in(pictures, world)
    assert max(covered(overlays, frame, leaves) for frame in range(COUNT)) < 0.1


def test_a_picture_that_stands_still_is_no_graphic_whatever_motion_was_measured() -> None:
    """Light that changes misled the camera's motion."""
    width, height = SIZE_WH
    blocks = np.random.default_rng(2).integers(20, 200, (height // 20, width // 20), np.uint8)
    still = cv2.resize(blocks, SIZE_WH, interpolation=cv2.INTER_NEAREST)
    pictures = [cv2.add(still, 30) if t % 7 < 2 else still for t in range(COUNT)]
    overlays = found_in(pictures, path((2.0, 1.5)))
    assert all(overlays.mask(frame) is None for frame in range(COUNT))


def test_a_graphic_ends_where_a_word_with_many_of_its_strokes_follows() -> None:
    background = scene(path((0.0, 0.0))[:1])[0]
    letters = with_caption(background, "steady")
    graphic = graphic_of(letters)
    other = letters.copy()
    x0, y0, x1, y1 = graphic.box_xyxy
    other[y0:y1, x0 : x0 + round(0.4 * (x1 - x0))] ^= 128
    graphic.trim([seen_of(letters if t < 12 else other, t) for t in range(20)])
    assert (graphic.first, graphic.last) == (0, 11)
