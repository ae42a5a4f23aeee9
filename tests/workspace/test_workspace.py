from __future__ import annotations

import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cattrs.errors import ForbiddenExtraKeysError
from numpy.typing import NDArray

from pipeline.datatypes.clip import AudioInfo, VideoInfo
from pipeline.datatypes.survey import CameraMotion, Survey, Track
from pipeline.datatypes.window import Layer
from pipeline.maths.boxes import box_of_mask
from pipeline.workspace.layers import LayerReader, write_layers
from pipeline.workspace.masks import MaskStore
from pipeline.workspace.values import load_values, save_values
from tests.support.clip_info import video_info


def _info() -> VideoInfo:
    sound = (AudioInfo(1, "aac", Fraction(1, 48000)),)
    return video_info(3, (31, 17), time_base=Fraction(1, 90000), frame_rate=Fraction(30000, 1001), audio=sound)


def _layer(seed: int, shape: tuple[int, int] = (40, 30)) -> Layer:
    random = np.random.default_rng(seed)
    alpha = np.zeros(shape, np.uint8)
    alpha[5:20, 3:17] = random.integers(0, 256, (15, 14))
    picture = np.where(alpha[..., None] > 0, random.integers(0, 256, (*shape, 3)), 0).astype(np.uint8)
    return Layer(picture, alpha, random.random((21, 3)).astype(np.float32))


def test_masks_are_read_back_in_any_order(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    masks = {frame: {7: random.random((17, 31)) > 0.5, 9: np.zeros((17, 31), bool)} for frame in (4, 0, 2)}
    store = MaskStore(tmp_path / "masks.zip", (31, 17))
    for frame, of_frame in masks.items():
        store.put(frame, of_frame)
    for frame in (2, 0, 4):
        got = store.get(frame)
        assert set(got) == {7, 9}
        assert all(np.array_equal(got[k], masks[frame][k]) for k in got)
    assert store.get(1) == {}
    with pytest.raises(ValueError, match="complete"):
        store.put(5, masks[0])
    store.close()
    again = MaskStore(tmp_path / "masks.zip", (31, 17))
    assert np.array_equal(again.get(4)[7], masks[4][7])
    again.close()


def test_layers_are_read_back_exactly_and_repeatably(tmp_path: Path) -> None:
    layers = [(frame, _layer(frame)) for frame in range(10, 14)]
    write_layers(tmp_path / "a.zip", layers)
    write_layers(tmp_path / "b.zip", layers)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    reader = LayerReader(tmp_path / "a.zip")
    assert list(reader.frames()) == [10, 11, 12, 13]
    for frame, layer in layers:
        got = reader.read(frame)
        assert np.array_equal(got.picture, layer.picture) and np.array_equal(got.alpha, layer.alpha)
        assert np.array_equal(got.joints, layer.joints) and np.array_equal(reader.joints(frame), layer.joints)
    reader.close()


def test_a_chunk_that_failed_is_not_there(tmp_path: Path) -> None:
    def broken():
        yield 0, _layer(0)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_layers(tmp_path / "a.zip", broken())
    assert not (tmp_path / "a.zip").exists()


def test_values_are_read_back(tmp_path: Path) -> None:
    track = Track(
        3, np.arange(2), np.ones((2, 4)), np.ones(2, np.float32), np.full((2, 21, 3), np.nan, np.float32),
        np.zeros((2, 23, 3), np.float32), np.zeros((2, 3, 70), np.uint8), np.ones(2, np.float32),
        np.ones(2, np.int64),
    )  # fmt: skip
    motion = CameraMotion(np.tile(np.eye(3), (3, 1, 1)), np.ones(3, bool), (np.zeros((0, 4), np.float32),) * 3)
    survey = Survey(_info(), np.array([0]), np.zeros(3, np.float32), motion, (track,))
    save_values(tmp_path / "survey.zip", survey)
    got = load_values(tmp_path / "survey.zip", Survey)
    assert got.info.time_base == Fraction(1, 90000) and got.info.audio == survey.info.audio
    assert got.info.path == Path("none.mp4") and got.info.chroma_log2_wh == (1, 1)
    assert np.array_equal(got.tracks[0].joints, track.joints, equal_nan=True)
    assert len(got.motion.pairs) == 3 and got.motion.pairs[1].shape == (0, 4)
    with zipfile.ZipFile(tmp_path / "survey.zip") as archive:
        assert all(not name.endswith(".pkl") for name in archive.namelist())


@dataclass(frozen=True)
class _Older:
    count: int
    gone: NDArray[np.int64]


@dataclass(frozen=True)
class _Newer:
    count: int = 0


def test_unstorable_types_and_unknown_fields_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "values.zip"
    # A scalar of numpy would come back as another type.
    with pytest.raises(TypeError, match="int64 cannot be kept"):
        save_values(path, _Older(np.int64(3), np.arange(2)))  # type: ignore[arg-type]
    assert not path.exists()
    save_values(path, _Older(3, np.arange(2)))
    assert load_values(path, _Older).gone.tolist() == [0, 1]
    # A checkpoint of a version with other fields.
    with pytest.raises(ForbiddenExtraKeysError):
        load_values(path, _Newer)


def test_box_of_is_half_open() -> None:
    mask = np.zeros((9, 9), bool)
    assert box_of_mask(mask) == (0, 0, 0, 0)
    mask[2, 3] = mask[5, 7] = True
    assert box_of_mask(mask) == (3, 2, 8, 6)


def test_only_the_masks_that_are_looked_up_are_read(tmp_path: Path) -> None:
    names = []

    class Told(MaskStore):
        def _read(self, name: str) -> np.ndarray:
            names.append(name)
            return super()._read(name)

    store = Told(tmp_path / "masks.zip", (31, 17))
    store.put(4, {1: np.ones((17, 31), np.bool_), 7: np.zeros((17, 31), np.bool_)})

    masks = store.get(4)

    assert list(masks) == [1, 7]
    assert masks[1].all()
    assert names == ["4/1"]
