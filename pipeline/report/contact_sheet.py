"""Contact sheet: eight moments, source above result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.report.moments import MomentPictures

_GAP_PX = 6


_SHEET_COLUMN_PX = 320


_SHEET_COLUMNS = 4


def write_contact_sheet(path: Path, moments: Sequence[MomentPictures]) -> Path:
    """Write a PNG: source above result for each moment, four moments per row, in the given order."""
    pairs = []
    for moment in moments:
        source, result = _column(moment.source), _column(moment.result)
        gap = np.full((_GAP_PX, source.shape[1], 3), 255, np.uint8)
        pairs.append(
            np.pad(np.vstack([source, gap, result]), ((0, 2 * _GAP_PX), (0, _GAP_PX), (0, 0)), constant_values=255)
        )
    while len(pairs) > _SHEET_COLUMNS and len(pairs) % _SHEET_COLUMNS:
        pairs.append(np.full_like(pairs[0], 255))
    rows = [np.hstack(pairs[at : at + _SHEET_COLUMNS]) for at in range(0, len(pairs), _SHEET_COLUMNS)]
    path.write_bytes(bytes(cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))[1]))
    return path


def _column(picture: Picture) -> Picture:
    scale = _SHEET_COLUMN_PX / picture.shape[1]
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
