"""The cross-fades of a clip are analyzed when they are reached, beneath what lies over the picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.datatypes.panels import Panel
from pipeline.finish import dissolves
from pipeline.finish.composite import EditedFrame
from pipeline.finish.dissolves import Dissolves
from pipeline.joints import NUM_JOINTS
from tests.support import dissolving_clip as clip_of

PANEL = Panel((0.0, 0.0, float(clip_of.WH[0]), float(clip_of.WH[1])), 0.0, (0.0, 0.0, 0.0), 0.5)
"""It darkens the picture by half."""


def made_with(monkeypatch: pytest.MonkeyPatch, panels: list[Panel], further: tuple[Any, ...] = ()) -> Any:
    motion = SimpleNamespace(
        advance=lambda frame: None,
        joints_unlocked=np.zeros((clip_of.COUNT, NUM_JOINTS, 3)),
        foot_offsets_px=np.zeros((clip_of.COUNT, 2, 2)),
    )
    monkeypatch.setattr(dissolves, "read_frame_inputs", lambda inputs, layers, frame: frame)
    monkeypatch.setattr(dissolves, "make_frame", lambda inputs, frame, *rest: clip_of.edited(frame.index))
    monkeypatch.setattr(dissolves, "panels_of", lambda inputs, frame: panels)
    inputs: Any = SimpleNamespace(clip=clip_of.clip(), plan=clip_of.plan(), further=further)
    nothing: Any = None
    of_clip: Any = Dissolves(inputs, nothing, motion)  # type: ignore[arg-type]
    for number in range(clip_of.FIRST + 1):
        of_clip.advance(number)
    return of_clip


def mixed(of_clip: Any, number: int) -> EditedFrame:
    result: EditedFrame = of_clip.mixed(clip_of.edited(number), None)
    return result


def test_frames_of_a_cross_fade_are_mixed_and_the_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    of_clip = made_with(monkeypatch, [])
    for number in (clip_of.FIRST - 1, clip_of.STOP):
        edited = clip_of.edited(number)
        assert of_clip.mixed(edited, None) is edited
    for number in (clip_of.FIRST, clip_of.STOP - 1):
        result = mixed(of_clip, number)
        assert (result.result.planes[0] != result.source.planes[0]).any()


def test_new_people_and_backgrounds_lie_under_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    number = clip_of.FIRST + 2
    weight = clip_of.WEIGHTS[2]
    of_clip = made_with(monkeypatch, [PANEL])
    inner = np.s_[40:60, clip_of.LEFT + 8 : clip_of.LEFT + 16]
    # The earlier picture's share of a new person of half the brightness; the later picture is not darkened there.
    expected = (1 - weight) * clip_of.NEW / 2 + weight * clip_of.WALLS[1][inner].astype(float)
    assert np.abs(mixed(of_clip, number).result_rgb[inner] - expected).mean() < 4


def test_clips_with_several_subjects_are_treated_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    of_clip = made_with(monkeypatch, [], further=(None,))
    edited = clip_of.edited(clip_of.FIRST + 2)
    assert of_clip.mixed(edited, None) is edited
