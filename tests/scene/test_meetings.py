"""Others may be close to the subject shortly before and after their mask is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.scene.near_layer import NearLayers
from pipeline.scene.scene_model import SceneModel, save_meetings


def meetings_of(folder: Path, close_frames: list[int]) -> list[int]:
    save_meetings(folder, close_frames, 2)
    model = SceneModel(folder, 1.0, 1.0, NearLayers(folder))
    return [frame for frame in range(40) if model.may_meet(frame)]


def test_a_meeting_lasts_a_little_longer_than_the_mask(tmp_path: Path) -> None:
    assert meetings_of(tmp_path, [1, 12, 15]) == [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17]


def test_a_lone_subject_has_no_meetings(tmp_path: Path) -> None:
    assert meetings_of(tmp_path, []) == []


def test_someone_close_before_and_after_is_there_in_between(tmp_path: Path) -> None:
    save_meetings(tmp_path, [10, 11, 60, 200], reach=2, most_gap=60)
    meetings = np.load(tmp_path / "meetings.npy")
    assert np.flatnonzero(meetings).tolist() == [*range(8, 63), *range(198, 203)]
