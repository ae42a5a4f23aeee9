"""The search for a near layer as a whole: from the frames of a clip to what stands in front of the subject in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.grain import Grain
from pipeline.media.clip import Clip
from pipeline.plate.plate_set import NODES, PlateSet
from pipeline.scene.body import NUM_PARTS
from pipeline.scene.colors import bins_of, counted, density
from pipeline.scene.learn import learn_scene
from pipeline.scene.near_layer import NearLayers
from pipeline.scene.near_search import NearSearch
from pipeline.scene.samples import eroded
from pipeline.scene.scene_model import SceneModel, SceneRow, save_row
from pipeline.workspace.subject_masks import SubjectMasks
from tests.support.clip_info import video_info
from tests.support.scene_truth import HEIGHT_PX, SHAPE, man_at, skeleton_at
from tests.support.still_plan import still_plan

HEIGHT, WIDTH = SHAPE
COUNT = 24
CUT = 12
"""Where the second scene begins, in the clip with two of them."""
MOVES = np.linspace(-1, 1, COUNT)
BEHIND_PX, NEAR_PX = -2.0, 9.0
ROOM_PX = 20
TEXTURE = cv2.GaussianBlur(
    np.random.default_rng(3).integers(90, 230, (HEIGHT, WIDTH + 2 * ROOM_PX, 3)).astype(np.uint8), (0, 0), 1.5
)
BOX = 0, 0, WIDTH, HEIGHT


def wall_at(move: float) -> Picture:
    """Return the wall as a moved camera sees it."""
    steps = np.array([[1, 0, -move * BEHIND_PX - ROOM_PX], [0, 1, 0]], np.float64)
    return np.asarray(cv2.warpAffine(TEXTURE, steps, (WIDTH, HEIGHT)), np.uint8)


def bars_at(move: float) -> Mask:
    """Return (h, w): bars of 4 px, 30 px apart, as a moved camera sees them."""
    x = np.arange(WIDTH) + move * NEAR_PX
    bars = np.zeros(SHAPE, np.bool_)
    bars[70:230, (x % 30 < 4) & (x > 20) & (x < 280)] = True
    return bars


def man_in(number: int) -> tuple[Mask, Picture]:
    return man_at(90.0 + 5 * number)


def picture_of(number: int, *, has_bars: bool = True, is_man_before: bool = False) -> Picture:
    move = float(MOVES[number])
    picture = wall_at(move).copy()
    man, colors = man_in(number)
    bars = bars_at(move)
    picture[man] = colors[man]
    if has_bars:
        picture[bars & (~man | (not is_man_before))] = (26, 30, 26)
    return picture


@dataclass(frozen=True)
class MadeClip:
    """Frames from memory."""

    pictures: list[Picture]

    @property
    def info(self) -> VideoInfo:
        return video_info(COUNT, (WIDTH, HEIGHT), fps=10, pix_fmt="gbrp", chroma_log2_wh=(0, 0))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        for index in indices:
            planes = tuple(np.ascontiguousarray(self.pictures[index][..., channel]) for channel in (1, 2, 0))
            yield Frame(index, index, 1, planes, self.info)


class MadeMasks:
    """The silhouettes; who is behind the bars is found without them."""

    def subject_mask(self, frame: int) -> Mask:
        return man_in(frame)[0]

    def others_mask(self, frame: int) -> Mask:
        return np.zeros(SHAPE, np.bool_)

    def overlay_mask(self, frame: int) -> Mask | None:
        return None

    def unfound_others_mask(self, frame: int) -> Mask | None:
        return None


def made_plan(*, has_cut: bool = False) -> Plan:
    boxes = np.array([box_of_mask(man_in(number)[0]) for number in range(COUNT)], np.float64)
    joints = np.full((COUNT, 21, 3), np.nan, np.float32)
    presence = np.full(COUNT, Presence.FOUND, np.uint8)
    plant = np.full((COUNT, 2), -1)
    cuts = (0, CUT) if has_cut else (0,)
    plan = still_plan(
        (WIDTH, HEIGHT), presence, boxes, joints, HEIGHT_PX, plant, np.full((COUNT, 2, 2), np.nan), cuts=cuts
    )
    skeletons = np.stack([skeleton_at(90.0 + 5 * number) for number in range(COUNT)])
    return replace(plan, subject=replace(plan.subject, skeletons=skeletons))


def made_plates(folder: Path, *, is_still: bool = False) -> PlateSet:
    """Write a plate that is registered to the wall, which lost the bars; the camera moves sideways."""
    folder.mkdir()
    cv2.imwrite(str(folder / "plate_0000.png"), wall_at(0.0)[..., ::-1])
    cv2.imwrite(str(folder / "seen_0000.png"), np.full(SHAPE, 255, np.uint8))
    nodes = np.zeros((COUNT, 2, 4, 5, 2), np.float16)
    if not is_still:
        nodes[:, 0, :, :, 0] = (MOVES * BEHIND_PX)[:, None, None]
    nodes.tofile(folder / NODES)
    same = np.tile(np.eye(3), (COUNT, 1, 1))
    rows = np.tile(np.array([0, -1], np.int32), (COUNT, 1))
    return PlateSet(
        folder,
        (WIDTH, HEIGHT),
        np.array([COUNT // 2]),
        same,
        rows,
        np.zeros(COUNT, np.float32),
        np.stack([same, same], axis=1),
        (4, 5),
        np.array([180.0]),
        Grain((0.0, 0.0, 0.0), 0.0, 0.0, 0.0),
    )


def searched(
    tmp_path: Path, pictures: list[Picture], *, has_cut: bool = False, is_still: bool = False, gain: float = 1.0
) -> NearLayers:
    """Search in all frames around the one plate."""
    folder = tmp_path / "scene"
    folder.mkdir()
    layers = NearLayers(folder, gain)
    model = SceneModel(folder, 1.0, gain, layers)
    man, colors = man_in(0)
    own = density(np.tile(counted(bins_of(colors, 1.0), man), (NUM_PARTS, 1)))
    nowhere = np.zeros((1, 1), np.bool_)
    save_row(folder, 0, SceneRow(own, own[0], own[0], 0.0, nowhere, nowhere))
    clip, masks = cast(Clip, MadeClip(pictures)), cast(SubjectMasks, MadeMasks())
    plates = made_plates(tmp_path / "plates", is_still=is_still)
    NearSearch(clip, made_plan(has_cut=has_cut), masks, plates, model).run(range(COUNT), {0}, lambda: None)
    return layers


def found_in(layers: NearLayers, number: int, picture: Picture) -> Mask:
    found = layers.mask(number, 0, BOX, cv2.GaussianBlur(picture, (0, 0), 0.6).astype(np.uint8))
    return np.zeros(SHAPE, np.bool_) if found is None else found[0]


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_bars_and_a_wide_plain_thing_before_the_subject_are_found_and_nothing_else(gain: float, tmp_path: Path) -> None:
    """Also at night."""
    trunks = [np.abs(np.arange(WIDTH) + move * NEAR_PX - 170) < 14 for move in MOVES]
    pictures = [picture_of(number) for number in range(COUNT)]
    for picture, trunk in zip(pictures, trunks, strict=True):
        picture[:, trunk] = (128, 92, 44)
    pictures = [np.rint(picture / gain).astype(np.uint8) for picture in pictures]
    layers = searched(tmp_path, pictures, gain=gain)
    shares = []
    for number in range(2, COUNT - 2):
        man = man_in(number)[0]
        trunk = man & trunks[number]
        bars = bars_at(float(MOVES[number])) & man & ~trunk
        found = found_in(layers, number, pictures[number]) & man
        assert (found & bars).sum() > 0.65 * bars.sum(), number
        shares.append((found & trunk).sum() / max(trunk.sum(), 1))
        assert (found & ~bars & ~trunk).sum() < 0.12 * bars.sum(), number
    assert min(shares[8:]) > 0.85


@pytest.mark.parametrize("kind", ["he walks before them", "nothing is there", "the camera stood still"])
def test_nothing_is_found_where_nothing_is_before_the_subject(kind: str, tmp_path: Path) -> None:
    is_before, is_there = kind == "he walks before them", kind != "nothing is there"
    pictures = [picture_of(number, has_bars=is_there, is_man_before=is_before) for number in range(COUNT)]
    layers = searched(tmp_path, pictures, is_still=kind == "the camera stood still")
    for number in range(COUNT):
        # A line of a pixel along his legs, where a bar is seen beside them, is no bar.
        man = man_in(number)[0]
        found = found_in(layers, number, pictures[number]) & eroded(man, 2)
        assert found.sum() <= 0.05 * (bars_at(float(MOVES[number])) & man).sum(), number


def test_a_layer_ends_at_a_cut(tmp_path: Path) -> None:
    pictures = [picture_of(number, has_bars=number < CUT) for number in range(COUNT)]
    layers = searched(tmp_path, pictures, has_cut=True)
    assert found_in(layers, CUT - 3, pictures[CUT - 3]).any()
    assert not any(found_in(layers, number, pictures[number]).any() for number in range(CUT, COUNT))


def scene_bytes(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "scene").iterdir())}


def learn(tmp_path: Path, plates: PlateSet, pictures: list[Picture]) -> tuple[SceneModel, list[str]]:
    """Learn the scene in a workspace; return the model and what was reported on the way."""
    steps: list[str] = []
    clip, masks = cast(Clip, MadeClip(pictures)), cast(SubjectMasks, MadeMasks())
    model = learn_scene(
        clip, made_plan(), masks, plates, tmp_path, lambda: None, lambda stage, done, total: steps.append(stage)
    )
    assert model is not None
    return model, steps


def test_a_scene_with_a_near_layer_is_kept_and_is_made_again_with_the_same_bytes(tmp_path: Path) -> None:
    pictures = [picture_of(number) for number in range(COUNT)]
    plates = made_plates(tmp_path / "plates")
    model, steps = learn(tmp_path, plates, pictures)
    first = scene_bytes(tmp_path)
    assert {"near_motions.npz", "near_0000_0.npz"} <= set(first)
    assert steps
    number = COUNT // 2
    bars = bars_at(float(MOVES[number])) & man_in(number)[0]
    assert (found_in(model.near, number, pictures[number]) & bars).sum() > 0.6 * bars.sum()
    # A finished scene is read, not learned again.
    kept, steps = learn(tmp_path, plates, pictures)
    assert not steps
    masks = [found_in(each.near, number, pictures[number]) for each in (model, kept)]
    assert np.array_equal(*masks)
    # A job that was killed while it wrote the layer starts over.
    damaged: NDArray[np.uint8] = np.frombuffer(first["near_0000_0.npz"][:-7], np.uint8)
    (tmp_path / "scene" / "near_0000_0.npz").write_bytes(damaged.tobytes())
    _, steps = learn(tmp_path, plates, pictures)
    assert steps
    assert scene_bytes(tmp_path) == first
