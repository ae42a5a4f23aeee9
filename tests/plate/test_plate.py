"""Plates of synthetic scenes with known background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.light import CastShadows, WallShape
from pipeline.maths.geometry import apply_transform, fit_homography_cauchy
from pipeline.maths.light import fit_light, match_light
from pipeline.maths.reduce import reduced
from pipeline.plate.anchors import background_grade, plan_anchors
from pipeline.plate.build import make_plates
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.median import masked_median
from pipeline.plate.plate_set import PlateSet, load_plates
from pipeline.plate.registration import RegistrationTarget, fit_warp, work_gray
from pipeline.settings import PlateSettings
from tests.support.clip_info import video_info

WIDTH = 320
HEIGHT = 240
FRAMES = 36
BODY_PX = 120.0


def texture(width: int, height: int, seed: int) -> Picture:
    """Smooth random blobs of several sizes: corners everywhere, nothing repeats."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for sigma, weight in ((1.5, 0.5), (4.0, 1.0), (12.0, 1.0)):
        noise = cv2.GaussianBlur(random.standard_normal((height, width, 3)).astype(np.float32), (0, 0), sigma)
        total += weight * noise / noise.std()
    return np.clip(128 + 28 * total, 5, 250).astype(np.uint8)


@dataclass
class Scene:
    """A clip in memory with its truth."""

    pictures: list[Picture]
    truth: list[Picture]
    masks: list[Mask]
    world_from_source: Transforms

    @property
    def info(self) -> VideoInfo:
        planar = {"pix_fmt": "gbrp", "chroma_log2_wh": (0, 0), "color_range": 2, "color_matrix": 0}
        return video_info(len(self.pictures), (WIDTH, HEIGHT), **planar)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        assert list(indices) == sorted(indices)
        for index in indices:
            picture = self.pictures[index]
            planes = tuple(np.ascontiguousarray(picture[..., channel]) for channel in (1, 2, 0))
            yield Frame(index, index, 1, planes, self.info)

    def plates(self, folder: Path, shot_starts: Sequence[int] = (0,), samples: int = 9) -> PlateSet:
        inputs = PlateInputs(
            clip=self,
            world_from_source=self.world_from_source,
            shot_starts=np.array(shot_starts),
            needed=np.array([mask.any() for mask in self.masks]),
            people_mask=lambda t: self.masks[t],
            body_height_px=BODY_PX,
            shadows=CastShadows.none(len(self.pictures)),
        )
        return make_plates(inputs, PlateSettings(samples=samples), folder, lambda: None, lambda done, total: None)

    def psnr_db(self, plates: PlateSet, frames: Sequence[int]) -> list[float]:
        """PSNR of the plate over the person's pixels."""
        result = []
        for t in frames:
            picture, seen = plates.render(t, (0, 0, WIDTH, HEIGHT))
            inside = self.masks[t]
            assert seen[inside].all()
            error = picture[inside].astype(float) - self.truth[t][inside]
            result.append(float(10 * np.log10(255**2 / np.mean(error**2))))
        return result


def make_scene(shift_px: float = 0.0, parallax_px: float = 0.0, gain: float = 0.0, still: bool = False) -> Scene:
    """A person walks (or stands) in front of a wall; the ground below row 150 moves ``parallax_px`` a frame more."""
    wide = WIDTH + 200
    wall = texture(wide, HEIGHT, 1)
    ground = texture(wide, HEIGHT, 2)
    random = np.random.default_rng(3)
    scene = Scene([], [], [], np.tile(np.eye(3), (FRAMES, 1, 1)))
    for t in range(FRAMES):
        offset = 100 - shift_px * t
        scene.world_from_source[t, 0, 2] = offset - 100

        def view(picture: Picture, x: float) -> NDArray[np.float32]:
            move = np.array([[1, 0, x], [0, 1, 0]], np.float64)
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            return cv2.warpAffine(picture, move, (WIDTH, HEIGHT), flags=flags).astype(np.float32)

        clean = view(wall, offset)
        clean[150:] = view(ground, offset - parallax_px * t)[150:]
        clean = np.clip(clean * (1 + gain * t), 0, 255)
        left = 150 if still else 30 + 6 * t
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[80 : 80 + int(BODY_PX), left : left + 36] = True
        picture = clean.copy()
        picture[mask] = (30, 60, 220)
        scene.truth.append(np.rint(clean).astype(np.uint8))
        scene.pictures.append(np.clip(np.rint(picture + random.normal(0, 2, clean.shape)), 0, 255).astype(np.uint8))
        scene.masks.append(mask)
    return scene


@pytest.mark.parametrize(
    ("scene", "least_db"),
    [({}, 39.0), ({"shift_px": 1.3}, 34.0), ({"shift_px": 0.5, "parallax_px": 0.35}, 30.0)],
    ids=["static", "pan", "parallax"],
)
def test_plate_is_the_background(scene: dict[str, float], least_db: float, tmp_path: Path) -> None:
    made = make_scene(**scene)
    plates = made.plates(tmp_path)
    assert len(plates.anchors) >= 2
    assert min(made.psnr_db(plates, range(0, FRAMES, 5))) >= least_db
    assert sorted(path.name for path in tmp_path.glob("plate_*.png"))[0] == "plate_0000.png"
    assert not (tmp_path / "candidates").exists()


def test_plate_of_an_exposure_ramp_is_in_the_anchors_light(tmp_path: Path) -> None:
    made = make_scene(gain=0.01)
    plates = made.plates(tmp_path)
    assert min(made.psnr_db(plates, plates.anchors.tolist())) >= 33.0


def test_plate_of_flickering_lamps_is_in_the_anchors_light(tmp_path: Path) -> None:
    """Bands of light drift over the picture: no gain for the whole of it matches two frames.

    Frames in nearly the anchor's light are taken first; those in another one serve where there are few of them.
    """
    made = make_scene()
    rows = np.arange(HEIGHT)[:, None, None] / HEIGHT
    for t in range(FRAMES):
        bands = 1 + 0.15 * np.sin(2 * np.pi * (1.2 * rows + 0.37 * t))
        for pictures in (made.pictures, made.truth):
            pictures[t] = np.clip(np.rint(pictures[t] * bands), 0, 255).astype(np.uint8)
    plates = made.plates(tmp_path)
    assert min(made.psnr_db(plates, plates.anchors.tolist())) >= 36.5


def test_checkpoint_reads_back_the_same(tmp_path: Path) -> None:
    made = make_scene(shift_px=0.5, parallax_px=0.35)
    plates = made.plates(tmp_path)
    again = load_plates(tmp_path)
    box = (-8, 20, 90, 251)
    for t in (0, 9, 10, 35):
        for a, b in zip(plates.render(t, box), again.render(t, box), strict=True):
            np.testing.assert_array_equal(a, b)
    assert plates.render(9, box)[0].shape == (231, 98, 3)
    assert again.plate_from_source.shape == (FRAMES, 3, 3)
    assert again.grain == plates.grain


def test_a_smaller_view_is_the_reduced_one(tmp_path: Path) -> None:
    made = make_scene(shift_px=0.5, parallax_px=0.35)
    plates = made.plates(tmp_path)
    box = (-8, 20, 90, 250)
    for t, size_wh in ((3, (90, 210)), (10, (60, 141)), (30, (33, 77))):
        picture, seen = plates.render(t, box, size_wh)
        whole, whole_seen = plates.render(t, box)
        wanted = reduced(whole, size_wh)
        assert picture.shape == wanted.shape and seen.shape == wanted.shape[:2]
        apart = np.abs(picture.astype(float) - wanted).mean()
        # Half a pixel beside it as much more of the texture changes.
        assert apart < 0.35 * np.abs(wanted[:, 1:].astype(float) - wanted[:, :-1]).mean()
        assert np.mean(seen == (cv2.resize(whole_seen.view(np.uint8), size_wh) > 0)) > 0.98
    for path in tmp_path.glob("*.png"):
        path.unlink()
    # At further sizes a plate is not read again.
    for size_wh in ((55, 129), (50, 117), (44, 103), (36, 84)):
        assert plates.render(30, box, size_wh)[0].shape[1::-1] == size_wh


def test_background_that_no_frame_shows_is_reported(tmp_path: Path) -> None:
    made = make_scene(still=True)
    picture, seen = made.plates(tmp_path).render(10, (0, 0, WIDTH, HEIGHT))
    assert not seen[made.masks[10]][::7].any()
    assert seen[:, :100].all() and seen[:, 240:].all()
    # Filled from around, not with the person.
    assert np.abs(picture[140, 168].astype(int) - (30, 60, 220)).max() > 40


def test_shots_do_not_mix(tmp_path: Path) -> None:
    first, second = make_scene(), make_scene(shift_px=0.5)
    joined = Scene(
        first.pictures[:20] + [255 - picture for picture in second.pictures[:20]],
        first.truth[:20] + [255 - picture for picture in second.truth[:20]],
        first.masks[:20] + second.masks[:20],
        np.concatenate([first.world_from_source[:20], second.world_from_source[:20]]),
    )  # fmt: skip
    plates = joined.plates(tmp_path, (0, 20))
    assert min(joined.psnr_db(plates, (10, 19, 20, 30))) >= 31.0
    rows = plates.plate_rows[[0, 19, 20, 39]]
    assert set(plates.anchors[rows[:2][rows[:2] >= 0]] // 20) == {0}
    assert set(plates.anchors[rows[2:][rows[2:] >= 0]] // 20) == {1}


def test_someone_who_stands_for_most_of_the_clip_is_seen_through_once_they_leave() -> None:
    """The person sways, so that frames near by show a little more of the place, and never what is behind them."""
    count = 300
    leaves = 245

    def people_mask(t: int) -> Mask:
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        left = 120 + round(24 * np.sin(t)) if t < leaves else WIDTH
        mask[60:180, left : left + 60] = True
        return mask

    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    scene = Scene([picture] * count, [], [], np.tile(np.eye(3), (count, 1, 1)))
    inputs = PlateInputs(
        clip=scene,
        world_from_source=scene.world_from_source,
        shot_starts=np.zeros(1, np.int64),
        needed=np.ones(count, np.bool_),
        people_mask=people_mask,
        body_height_px=BODY_PX,
        shadows=CastShadows.none(count),
    )
    plans = plan_anchors(inputs, PlateSettings().anchor_seconds, PlateSettings().samples)
    seen_through = [sum(frame >= leaves for frame in plan.candidates) for plan in plans if plan.frame < leaves]
    assert min(seen_through) >= 3


def test_candidates_that_show_another_place_are_left_out(tmp_path: Path) -> None:
    scene = make_scene()
    # In every second candidate of both anchors the picture is of elsewhere: the median alone would take it.
    other = texture(WIDTH, HEIGHT, 9)
    for t in range(FRAMES - 1):
        if t % 6 in (2, 3):
            scene.pictures[t] = other
    plates = scene.plates(tmp_path)
    assert min(scene.psnr_db(plates, [0, FRAMES - 1])) > 30


def test_frames_without_people_need_no_plate(tmp_path: Path) -> None:
    made = make_scene()
    made.masks = [np.zeros_like(mask) for mask in made.masks]
    plates = made.plates(tmp_path)
    assert len(plates.anchors) == 0
    assert not plates.render(3, (0, 0, 20, 10))[1].any()


def test_warp_finds_a_known_homography_and_its_parallax() -> None:
    base = texture(WIDTH, HEIGHT, 5)
    moving_from_base = np.array([[1.01, 0.01, 3.2], [-0.008, 0.995, -2.4], [1e-5, -2e-5, 1.0]])
    moved = cv2.warpPerspective(base, moving_from_base, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
    nobody = np.zeros((HEIGHT, WIDTH), bool)
    reference = RegistrationTarget(base, nobody)
    rows, found = reference.match(work_gray(moved), nobody, np.eye(3))
    assert len(rows) > 150
    warp = fit_warp(reference.features()[rows], found, (WIDTH, HEIGHT), BODY_PX, np.eye(3))
    dense = warp.coordinates((0, 0, WIDTH, HEIGHT), (WIDTH, HEIGHT))
    corners = np.array([[20, 20], [300, 20], [300, 220], [20, 220], [160, 120]])
    error = dense[corners[:, 1], corners[:, 0]] - apply_transform(moving_from_base, corners)
    assert np.abs(error).max() < 0.15


def test_homography_is_robust_to_false_matches() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(0, 300, (200, 2))
    truth = np.array([[0.98, 0.02, 5], [-0.01, 1.02, -3], [2e-5, 1e-5, 1]])
    there = apply_transform(truth, points)
    there[:50] += random.uniform(-40, 40, (50, 2))
    fitted = fit_homography_cauchy(there, points)
    assert np.abs(apply_transform(fitted, points) - apply_transform(truth, points)).max() < 0.05


def test_median_prefers_clear_samples() -> None:
    stack = np.zeros((5, 1, 2, 3), np.uint8)
    stack[:, 0, 0, :] = np.array([90, 90, 200, 201, 199])[:, None]
    stack[:, 0, 1, :] = 50
    grade = np.array([[[1, 0]], [[1, 0]], [[2, 0]], [[2, 0]], [[2, 0]]], np.uint8)
    merged, count = masked_median(stack, grade, 5, np.zeros(5, np.int64))
    assert merged[0, 0].tolist() == [200, 200, 200] and count[0, 0] == 3
    assert count[0, 1] == 0
    # Two clear samples cannot outvote the others.
    grade[4] = 1
    assert masked_median(stack, grade, 5, np.zeros(5, np.int64))[1][0, 0] == 5


def test_grade_covers_people_and_the_ground_beside_their_feet() -> None:
    mask = np.zeros((240, 320), bool)
    mask[60:180, 150:180] = True
    grade = background_grade(mask, BODY_PX)
    assert (grade[mask] == 0).all() and grade[100, 149] == 0
    assert grade[172, 220] == 1 and grade[100, 220] == 2 and grade[172, 300] == 2
    # and the shadow: 100 px to the right and 30 up from the height of the head
    shaded = background_grade(mask, BODY_PX, (100 / 120, 30 / 120))
    assert shaded[155, 255] == 1 and grade[155, 255] == 2 and shaded[100, 255] == 2
    assert (shaded[mask] == 0).all()
    # and on a wall: the silhouette, half a body height to the right
    walled = background_grade(mask, BODY_PX, wall=WallShape(0.5, 0.0, 1.0, 2.0, 0.01))
    right = 165 + round(0.5 * BODY_PX)
    assert walled[100, right] == 1 and grade[100, right] == 2 and walled[100, right + 40] == 2
    assert (walled[mask] == 0).all()


def test_light_is_matched_in_spite_of_outliers() -> None:
    plate = texture(60, 50, 7)
    source = np.clip(np.rint(plate * np.array([0.8, 0.9, 1.1]) + np.array([12.0, 0, -5])), 0, 255).astype(np.uint8)
    ring = np.ones((50, 60), bool)
    ring[10:40, 15:45] = False
    source[:5] = 255
    result = match_light(plate, source, ring)
    inside = ~ring & (source < 245).all(axis=2)
    assert np.abs(result[inside].astype(int) - source[inside]).mean() < 1.5
    np.testing.assert_array_equal(fit_light(plate[0, :3], source[0, :3]), [[1, 1, 1], [0, 0, 0]])
