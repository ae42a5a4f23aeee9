"""Contact sheets of the windows of a GPU check: inputs, output and matte of each frame."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu_watch import (
    WatchedGenerator,
)
from pipeline.datatypes.arrays import Picture
from pipeline.workspace.layers import LayerReader

_SHEET_HEIGHT_PX = 256


def write_sheets(watched: WatchedGenerator, passes: Path, folder: Path) -> list[Path]:
    """Write one sheet per window, one row per frame: inputs, output, and its matte. Return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    mattes: dict[int, NDArray[np.uint8]] = {}
    for path in sorted((passes / "layers").glob("chunk_*.zip")):
        with closing(LayerReader(path)) as reader:
            for frame in reader.frames():
                if frame in watched.panels:
                    alpha = reader.read(frame).alpha
                    assert alpha is not None
                    mattes[frame] = alpha
    written = []
    frames = sorted(watched.panels)
    for i in range(0, len(frames), 3):
        rows = [_sheet_row(watched.panels[frame], mattes.get(frame)) for frame in frames[i : i + 3]]
        width = max(row.shape[1] for row in rows)
        sheet = np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
        path = folder / f"window_{frames[i]:05d}.png"
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        written.append(path)
    return written


def _sheet_row(panels: list[Picture], matte: NDArray[np.uint8] | None) -> Picture:
    shown = [*panels, np.repeat(matte[..., None], 3, axis=-1)] if matte is not None else panels
    small = []
    for picture in shown:
        height, width = picture.shape[:2]
        size_wh = (max(1, round(width * _SHEET_HEIGHT_PX / height)), _SHEET_HEIGHT_PX)
        small.append(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA))
    return np.asarray(np.hstack(small), np.uint8)
