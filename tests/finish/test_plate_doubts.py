"""Warnings about plates that do not match their frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.datatypes.clip import VideoInfo
from pipeline.finish.plate_doubts import plate_doubts


def _info(count: int) -> VideoInfo:
    return VideoInfo(
        path=Path("x"), container="none", codec="raw", width=64, height=48, pix_fmt="gbrp", bit_depth=8,
        chroma_log2_wh=(0, 0), time_base=Fraction(1, 30), frame_rate=Fraction(30), sample_aspect_ratio=Fraction(1),
        quarter_turns=0, display_matrix=None, color_range=2, color_matrix=0, color_primaries=1, color_transfer=1,
        chroma_location=0, pts=np.arange(count), durations=np.ones(count, int), audio=(),
    )  # fmt: skip


def _series(count: int) -> dict[str, np.ndarray]:
    # The first ten frames were not replaced.
    frames = np.arange(10, count, dtype=float)
    return {
        "frame": frames,
        "plate_fit": np.full(len(frames), 0.93),
        "unseen_px": np.zeros(len(frames)),
        "old_px": np.full(len(frames), 1000.0),
    }


def test_good_plates_cause_no_warning() -> None:
    series = _series(120)
    series["plate_fit"][5] = 0.2
    series["plate_fit"][60:90] = np.nan
    series["unseen_px"][:] = 40
    assert plate_doubts(series, _info(120)) == ()


def test_poor_plates_are_reported_with_their_times() -> None:
    series = _series(120)
    series["plate_fit"][20:50] = 0.4
    series["unseen_px"][80:95] = 200
    misfit, unseen = plate_doubts(series, _info(120))
    assert "does not fit" in misfit and "from 1.0 to 2.0 s" in misfit
    assert "never shown" in unseen and "from 3.0 to 3.5 s" in unseen
