"""Choose the single frames that the mode ``frame`` generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.datatypes.plan import Chunk, Plan, Presence


def choose_stills(plan: Plan) -> list[int]:
    """Return one frame per segment, ascending: the one nearest its middle in which the subject is clearly visible.

    Segments without the subject have none.
    """
    chosen = []
    for segment in plan.segments:
        seen = segment.start + np.flatnonzero(plan.subject.presence[segment.start : segment.stop] == Presence.FOUND)
        if len(seen):
            middle = (segment.start + segment.stop - 1) / 2
            chosen.append(int(seen[np.argmin(np.abs(seen - middle))]))
    return chosen


def plan_of_stills(plan: Plan, stills: list[int], window_frames: int, can_be_alone: bool) -> Plan:
    """Return the plan with one chunk around each still: the frame alone, or a clip generator's window around it."""
    chunks = []
    for index, still in enumerate(stills):
        segment = next(part for part in plan.segments if part.start <= still < part.stop)
        start, stop = still, still + 1
        if not can_be_alone:
            start = max(segment.start, min(still - window_frames // 2, segment.stop - window_frames))
            stop = min(segment.stop, start + window_frames)
        chunks.append(
            Chunk(index=index, shot=segment.shot, segment=plan.segments.index(segment), start=start, stop=stop)
        )
    return replace(plan, chunks=tuple(chunks))


def plans_of_stills(plans: Sequence[Plan], window_frames: int, *, can_be_alone: bool) -> tuple[Plan, ...]:
    """Return the plans of several subjects with chunks around the first one's stills, where all of them are present."""
    stills = choose_stills(plans[0])
    return tuple(
        plan_of_stills(
            plan,
            [still for still in stills if plan.subject.presence[still] > Presence.ABSENT],
            window_frames,
            can_be_alone,
        )
        for plan in plans
    )
