"""The fields of a job's result other than files."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.result import JobReport, Quality, SegmentReport, SubjectReport


@dataclass(frozen=True, slots=True, eq=False)
class JobFacts:
    """What a report says of a job besides its metrics."""

    info: VideoInfo
    plans: tuple[Plan, ...]
    """Of each subject; the segments are the first one's."""
    preset: str
    seed: int
    timings: dict[str, float]
    """Seconds per stage."""


def make_report(
    job: JobFacts, quality: Quality, warnings: tuple[str, ...], subjects: tuple[SubjectReport, ...] = ()
) -> JobReport:
    """Return the report of a result. Times are seconds from the clip's start."""
    info = job.info
    plans = job.plans
    seconds = np.append(info.pts_seconds, info.pts_seconds[-1] + int(info.durations[-1]) * float(info.time_base))
    plan = plans[0]
    presence = np.stack([each.subject.presence for each in plans])
    report = JobReport(
        preset=job.preset,
        seed=job.seed,
        frames=info.num_frames,
        frames_replaced=quality.frames_replaced or 0,
        frames_absent=int(np.count_nonzero((presence == Presence.ABSENT).all(axis=0))),
        frames_uncertain=int(np.count_nonzero((presence == Presence.UNCERTAIN).any(axis=0))),
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
        timings_s={stage: round(value, 3) for stage, value in job.timings.items()},
        quality=quality,
        warnings=(*info.warnings, *(warning for each in plans for warning in each.warnings), *warnings),
        versions={name: version(name) for name in ("av", "numba", "numpy", "opencv-python", "runpod")},
    )
    return report.model_copy(update={"subjects": subjects}) if subjects else report
