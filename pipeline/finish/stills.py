"""Single finished frames instead of a clip: what a caller looks at before the whole is paid for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipeline.finish.compose_frame import FinishInputs, frame_inputs, make_frame
from pipeline.runtime.callbacks import Check, Progress
from pipeline.workspace.layers import ChunkedLayers


def finish_stills(job: FinishInputs, stills: list[int], check: Check, progress: Progress) -> list[Path]:
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
