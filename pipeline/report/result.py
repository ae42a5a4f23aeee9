"""The fields of a job's result that are no files."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.result import JobReport, Quality, SegmentReport
from pipeline.settings import Settings


def make_report(
    info: VideoInfo,
    plan: Plan,
    settings: Settings,
    seed: int,
    timings: dict[str, float],
    quality: Quality,
    warnings: tuple[str, ...],
) -> JobReport:
    """Return what is known of the result. Times are seconds from the clip's start."""
    seconds = np.append(info.pts_seconds, info.pts_seconds[-1] + int(info.durations[-1]) * float(info.time_base))
    presence = plan.subject.presence
    return JobReport(
        preset=settings.preset,
        seed=seed,
        frames=info.num_frames,
        frames_replaced=quality.frames_replaced or 0,
        frames_absent=int(np.count_nonzero(presence == Presence.ABSENT)),
        frames_uncertain=int(np.count_nonzero(presence == Presence.UNCERTAIN)),
        duration_s=round(float(seconds[-1]), 6),
        width=info.width,
        height=info.height,
        segments=tuple(
            SegmentReport(
                shot=segment.shot,
                kind=segment.kind,
                start_frame=segment.start,
                end_frame=segment.stop,
                start_s=round(float(seconds[segment.start]), 6),
                end_s=round(float(seconds[segment.stop]), 6),
            )
            for segment in plan.segments
        ),
        timings_s={stage: round(value, 3) for stage, value in timings.items()},
        quality=quality,
        warnings=(*info.warnings, *plan.warnings, *warnings),
        versions={name: version(name) for name in ("av", "numba", "numpy", "opencv-python", "runpod")},
    )
