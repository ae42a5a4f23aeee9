"""Single finished frames instead of a clip: what a caller looks at before the whole is paid for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.finish.compose_frame import FinishInputs, make_frame, read_frame_inputs
from pipeline.runtime.callbacks import Check, Progress
from pipeline.workspace.layers import ChunkedLayers
from pipeline.workspace.pictures import write_png


def finish_stills(inputs: FinishInputs, stills: list[int], check: Check, progress: Progress) -> list[Path]:
    """Compose the frames and write them as upright ``frame_NNNNNN.png``; return their paths.

    Feet are not locked: that is a matter of movement. Raises ``OSError`` where the disk is full.
    """
    layers = ChunkedLayers(inputs.chunks)
    grain = inputs.plates.grain if inputs.plates is not None and inputs.settings.plate.grain else None
    nowhere = np.full((21, 3), np.nan)
    paths = []
    try:
        for done, frame in enumerate(inputs.clip.frames_at(stills), 1):
            check()
            edited = make_frame(inputs, read_frame_inputs(inputs, layers, frame), nowhere, np.zeros((2, 2)), grain)
            path = inputs.output_dir / f"frame_{frame.index:06d}.png"
            write_png(path, edited.result_rgb[..., ::-1])
            paths.append(path)
            progress("finish", done, len(stills))
    finally:
        layers.close()
    return paths
