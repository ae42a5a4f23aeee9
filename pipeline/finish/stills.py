"""Single finished frames instead of a clip: a preview before paying for the whole clip."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from pipeline.finish.compose_frame import make_frame
from pipeline.finish.group_frame import make_group_frame, order_of, read_group_inputs
from pipeline.finish.inputs import FinishInputs
from pipeline.runtime.callbacks import Check, Progress
from pipeline.workspace.pictures import write_png


def finish_stills(inputs: FinishInputs, stills: list[int], check: Check, progress: Progress) -> list[Path]:
    """Compose the frames and write them as upright ``frame_NNNNNN.png``; return their paths.

    Feet are not locked: that only matters in motion. Raises ``OSError`` where the disk is full.
    """
    grain = inputs.plates.grain if inputs.plates is not None and inputs.settings.plate.grain else None
    nowhere = [np.full((21, 3), np.nan)] * len(inputs.subjects)
    unmoved = [np.zeros((2, 2))] * len(inputs.subjects)
    order = order_of(inputs) if inputs.further else None
    paths = []
    with ExitStack() as opened:
        layers = [opened.enter_context(closing(each.open_layers())) for each in inputs.subjects]
        for done, frame in enumerate(inputs.clip.frames_at(stills), 1):
            check()
            read = read_group_inputs(inputs, layers, frame)
            if order is None:
                edited = make_frame(inputs, read[0], nowhere[0], unmoved[0], grain)
            else:
                edited = make_group_frame(inputs, read, nowhere, unmoved, order[frame.index].tolist(), grain).edited
            path = inputs.output_dir / f"frame_{frame.index:06d}.png"
            write_png(path, edited.result_rgb[..., ::-1])
            paths.append(path)
            progress("finish", done, len(stills))
    return paths
