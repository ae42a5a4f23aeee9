"""Properties of a synthetic clip."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datatypes.clip import VideoInfo


def video_info(
    num_frames: int = 150, size_wh: tuple[int, int] = (640, 360), fps: int = 30, **changes: Any
) -> VideoInfo:
    """Return the facts of an H.264 clip of constant rate, BT.709 in limited range; ``size_wh`` is as coded."""
    info = VideoInfo(
        path=Path("none.mp4"),
        container="mov,mp4",
        codec="h264",
        width=size_wh[0],
        height=size_wh[1],
        pix_fmt="yuv420p",
        bit_depth=8,
        chroma_log2_wh=(1, 1),
        time_base=Fraction(1, fps),
        frame_rate=Fraction(fps),
        sample_aspect_ratio=Fraction(1),
        quarter_turns=0,
        display_matrix=None,
        color_range=1,
        color_matrix=1,
        color_primaries=1,
        color_transfer=1,
        chroma_location=1,
        pts=np.arange(num_frames),
        durations=np.ones(num_frames, np.int64),
        audio=(),
    )
    return replace(info, **changes)
