"""A finished job without running one: two clips whose gray levels encode the frame, a plan, metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence, Segment
from pipeline.joints import NUM_JOINTS
from pipeline.media.decode import open_clip
from pipeline.report.page import ReportInputs
from pipeline.result import JobReport
from pipeline.settings import Settings
from tests.support.clip_info import video_info
from tests.support.still_plan import still_plan

W = 160
H = 120
T = 90
FPS = 30
COMES = 10
LEAVES = 80
BODY_HEIGHT_PX = 60.0


def made_job(folder: Path) -> ReportInputs:
    """Return a job of 3 s whose source is ``source_level`` and whose result is ``result_level`` gray all over."""
    clips = []
    for name, level in (("source", source_level), ("written", result_level)):
        _write(folder / f"{name}.mp4", [level(frame) for frame in range(T)])
        clips.append(open_clip(folder / f"{name}.mp4"))
    return ReportInputs(clips[0], clips[1], [made_plan()], Settings(), made_facts(), made_series())


def source_level(frame: int) -> int:
    return 40 + frame


def result_level(frame: int) -> int:
    return 200 - frame


def made_plan(frames: int = T, cuts: tuple[int, ...] = (0,)) -> Plan:
    """A person stands in the middle; the left foot is planted in frames 20..29 and 50..69, the right one in 30..44."""
    presence = np.full(frames, Presence.FOUND, np.uint8)
    presence[:COMES] = Presence.ABSENT
    presence[LEAVES:T] = Presence.ABSENT
    presence[40:45] = Presence.UNCERTAIN
    joints = np.full((frames, NUM_JOINTS, 3), np.nan, np.float32)
    joints[:, 13:, :2] = [80.0, 80.0]
    boxes = np.tile([65.0, 30.0, 95.0, 90.0], (frames, 1))
    plant = np.full((frames, 2), -1)
    plant[20:30, 0] = 0
    plant[50:70, 0] = 1
    plant[30:45, 1] = 0
    anchors = np.where(plant[..., None] >= 0, 80.0, np.nan).repeat(2, axis=2)
    third = frames // 3
    segments = (
        Segment(0, 0, third, "approach"),
        Segment(0, third, 2 * third, "hold"),
        Segment(0, 2 * third, frames, "exit"),
    )
    return still_plan((W, H), presence, boxes, joints, BODY_HEIGHT_PX, plant, anchors, cuts=cuts, segments=segments)


def made_series(frames: int = T) -> dict[str, NDArray[np.float64]]:
    """The seam is strongest in frame 33, the flicker in frame 56, the slide in frame 25; a background misfits in 66."""
    flat = np.full(frames, 10.0)
    seam = flat.copy()
    flicker = np.full(frames, 0.01)
    slide = np.zeros((frames, 2))
    seam[33] = 30.0
    flicker[56] = 0.02
    slide[25, 0] = 0.01
    fit = np.full(frames, 0.95)
    fit[66] = 0.5
    ankles = np.full((frames, 2, 2), 80.0)
    return {
        "frame": np.arange(frames, dtype=np.float64),
        "region_px": flat,
        "seam_source": flat,
        "seam_result": seam,
        "warping_error_source": np.full(frames, 0.01),
        "warping_error_result": flicker,
        "plate_fit": fit,
        "foot_slide_locked_bh": slide,
        "ankles_unlocked": ankles,
        "ankles_locked": ankles,
    }


def made_facts(**changed: Any) -> JobReport:
    facts = {
        "preset": "preview",
        "seed": 7,
        "frames": T,
        "frames_replaced": LEAVES - COMES,
        "frames_absent": T - LEAVES + COMES,
        "frames_uncertain": 5,
        "duration_s": T / FPS,
        "width": W,
        "height": H,
        "segments": [],
        "timings_s": {"survey": 1.5, "finish": 4.5},
        "quality": {"foot_slide_percent": 0.04, "changed_outside": 0, "psnr_outside_db": 39.0},
        "warnings": ["a foot was not seen"],
        "versions": {"numpy": "2.4"},
    }
    return JobReport.model_validate({**facts, **changed})


def info_of(frames: int) -> VideoInfo:
    return video_info(frames, (W, H), FPS)


def _write(path: Path, levels: list[int]) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"qp": "0", "preset": "ultrafast"})
        stream.width = W
        stream.height = H
        stream.pix_fmt = "yuv420p"
        for level in levels:
            picture = np.full((H, W, 3), level, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
