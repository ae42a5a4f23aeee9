"""Single finished frames instead of a clip: what a caller looks at before the whole is paid for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from pipeline.datatypes import Chunk, Plan, Presence
from pipeline.finish.finish import Finish, frame_inputs, make_frame
from pipeline.models.interfaces import Check
from pipeline.workspace.layers import ChunkedLayers
from worker.progress import Progress


def choose_stills(plan: Plan) -> list[int]:
    """Return one frame a segment, rising: the one nearest its middle in which the subject is clearly seen.

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
    """Return the plan with one chunk around each still: the frame alone, or a window of a clip generator about it."""
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


def finish_stills(job: Finish, stills: list[int], check: Check, progress: Progress) -> list[Path]:
    """Compose the frames and write them as upright ``frame_NNNNNN.png``; return their paths.

    Feet are not locked: that is a matter of movement. Raises ``OSError`` where the disk is full.
    """
    source = ChunkedLayers(job.chunks)
    grain = job.plates.grain if job.plates is not None and job.settings.plate.grain else None
    nowhere = np.full((21, 3), np.nan)
    paths = []
    try:
        for done, frame in enumerate(job.clip.frames_at(stills), 1):
            check()
            edited = make_frame(job, frame_inputs(job, source, frame), nowhere, np.zeros((2, 2)), grain)
            path = job.output_dir / f"frame_{frame.index:06d}.png"
            if not cv2.imwrite(str(path), edited.result_rgb[..., ::-1]):
                raise OSError(f"{path.name} could not be written")
            paths.append(path)
            progress("finish", done, len(stills))
    finally:
        source.close()
    return paths
