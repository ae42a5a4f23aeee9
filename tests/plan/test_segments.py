"""Cuts, segments and chunks."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datatypes.plan import Subject
from pipeline.plan.segments import cut_chunks, cut_segments
from pipeline.settings import SegmentSettings
from pipeline.survey.shots import CutDetector
from tests.support.clip_info import video_info
from tests.support.motion_truth import WALK_A, true_motion, true_subject, walk_truth

THREE = SegmentSettings(count=3)


def walk_pictures() -> list[np.ndarray]:
    with av.open(str(WALK_A / "sample.mp4")) as file:
        return [
            cv2.resize(frame.to_ndarray(format="rgb24"), (320, 180), interpolation=cv2.INTER_AREA)
            for frame in file.decode(video=0)
        ]


def cuts_of(pictures: list[np.ndarray], method: Literal["content", "off"] = "content") -> list[int]:
    detector = CutDetector(video_info(len(pictures), (320, 180)), method)
    return [i for i, picture in enumerate(pictures) if detector.push(np.ascontiguousarray(picture), i)]


def test_cuts_are_found_and_nothing_else() -> None:
    pictures = walk_pictures()
    assert cuts_of(pictures) == []
    joined = pictures[:50] + [picture[:, ::-1] for picture in pictures[50:90]] + pictures[100:140]
    assert cuts_of(joined) == [50, 90]
    assert cuts_of(joined, "off") == []


def test_light_and_fast_pans_are_no_cuts() -> None:
    pictures = walk_pictures()
    ramp = [np.clip(p * np.linspace(0.4, 1.8, 150)[i], 0, 255).astype(np.uint8) for i, p in enumerate(pictures)]
    assert cuts_of(ramp) == []
    lamp = [np.clip(p * (0.5 if i < 75 else 1.3), 0, 255).astype(np.uint8) for i, p in enumerate(pictures)]
    assert cuts_of(lamp) == []
    wide = cv2.resize(pictures[70], (1280, 720))
    pan = [wide[200:380, 30 * i : 30 * i + 320] for i in range(30)]
    assert cuts_of(pan) == []


def standing(num_frames: int, speed_bh_per_s: np.ndarray | None = None, fps: float = 30) -> Subject:
    joints = np.full((num_frames, 21, 3), np.nan, np.float32)
    x = 100 + 200 * (np.zeros(num_frames) if speed_bh_per_s is None else np.cumsum(speed_bh_per_s) / fps)
    joints[:, 11:13, 0] = x[:, None]
    joints[:, 11:13, 1] = 150
    joints[:, 11:13, 2] = 0.9
    boxes = np.column_stack([x - 40, np.full(num_frames, 50), x + 40, np.full(num_frames, 250)])
    return Subject(
        np.zeros(num_frames, np.int64), np.full(num_frames, 2, np.uint8), boxes, joints,
        np.zeros((num_frames, 23, 3), np.float32), np.full(num_frames, 200.0),
    )  # fmt: skip


def still_camera(num_frames: int) -> np.ndarray:
    return np.tile(np.eye(3), (num_frames, 1, 1))


@pytest.mark.parametrize("noise_bh", [0.0, 0.01])
def test_walk_a_borders_against_phase(noise_bh: float) -> None:
    truth = walk_truth()
    subject = true_subject(truth, noise_bh)
    motion = true_motion(truth)
    segments = cut_segments(subject, motion.world_from_source, np.array([0]), np.arange(150) / 30, THREE)
    assert [segment.kind for segment in segments] == ["approach", "hold", "exit"]
    borders = np.flatnonzero(np.diff(truth["phase"])) + 1
    assert abs(segments[1].start - borders[0]) <= 5
    assert abs(segments[1].stop - borders[1]) <= 5


def test_parts_where_motion_does_not_tell() -> None:
    starts = np.array([0])
    seconds = np.arange(200) / 30
    nobody = standing(200)
    nobody.joints[:] = np.nan
    for subject in (standing(200), standing(200, np.full(200, 0.8)), nobody):
        segments = cut_segments(subject, still_camera(200), starts, seconds, THREE)
        assert [(s.start, s.stop, s.kind) for s in segments] == [(0, 66, "part"), (66, 133, "part"), (133, 200, "part")]


@pytest.mark.parametrize("fps", [24, 60])
def test_hold_at_other_rates(fps: int) -> None:
    n = 6 * fps
    speed = np.where((np.arange(n) >= 2 * fps) & (np.arange(n) < 4 * fps), 0.0, 0.8)
    segments = cut_segments(standing(n, speed, fps), still_camera(n), np.array([0]), np.arange(n) / fps, THREE)
    assert segments[1].kind == "hold"
    assert abs(segments[1].start / fps - 2) < 0.15
    # The speed here jumps from 0, as no body's does: followed back, its rise begins a little early.
    assert abs(segments[1].stop / fps - 4) < 0.22


def test_automatic_count_goes_by_length() -> None:
    seconds = np.arange(300) / 30
    segments = cut_segments(standing(300), still_camera(300), np.array([0, 60]), seconds, SegmentSettings())
    assert [(s.shot, s.kind) for s in segments] == [(0, "whole"), (1, "part"), (1, "part"), (1, "part")]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(0, 12), length=st.integers(1, 120))
def test_every_frame_is_in_exactly_one_segment_and_chunk(data: st.DataObject, count: int, length: int) -> None:
    cuts = data.draw(st.sets(st.integers(1, max(1, length - 1)), max_size=4))
    starts = np.array(sorted({0, *(cut for cut in cuts if cut < length)}))
    gaps = data.draw(st.lists(st.floats(0.005, 1.5), min_size=length, max_size=length))
    seconds = np.cumsum(gaps) - gaps[0]
    given_settings = SegmentSettings(count=count, chunk_seconds=1.0)
    segments = cut_segments(standing(length), still_camera(length), starts, seconds, given_settings)
    chunks = cut_chunks(segments, seconds, given_settings.chunk_seconds)
    for parts in (segments, chunks):
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == length
        assert all(part.start < part.stop for part in parts)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    for segment in segments:
        assert starts[segment.shot] <= segment.start
        assert segment.shot + 1 == len(starts) or segment.stop <= starts[segment.shot + 1]
    for chunk in chunks:
        segment = segments[chunk.segment]
        assert segment.start <= chunk.start < chunk.stop <= segment.stop
        assert chunk.shot == segment.shot
        if chunk.stop - chunk.start > 1 and chunk.stop < length:
            assert seconds[chunk.stop] - seconds[chunk.start] <= 1.0 + 1e-6


def test_chunks_are_even() -> None:
    seconds = np.arange(301) / 30
    chunks = cut_chunks(
        cut_segments(standing(301), still_camera(301), np.array([0]), seconds, SegmentSettings(count=1)),
        seconds,
        SegmentSettings().chunk_seconds,
    )
    lengths = [b - a for a, b in pairwise([0, *(chunk.stop for chunk in chunks)])]
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) <= 1
