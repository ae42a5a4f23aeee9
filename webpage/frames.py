"""Single frames of a clip, on which the user clicks a person."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.media.sandbox import open_untrusted
from pipeline.settings import LimitSettings


def last_second(path: Path, limits: LimitSettings) -> float:
    """Return the time of a clip's last frame, in seconds from its first. Raises like ``open_untrusted``."""
    return float(_clip(path, limits).info.pts_seconds[-1])


def frame_at(path: Path, at_s: float, limits: LimitSettings) -> tuple[NDArray[np.uint8], float]:
    """Return the frame nearest to a time, upright (H, W, 3) RGB, and its own time. Raises like ``open_untrusted``."""
    clip = _clip(path, limits)
    number = int(np.argmin(np.abs(clip.info.pts_seconds - at_s)))
    [frame] = clip.frames_at([number])
    return rgb_of(frame), float(clip.info.pts_seconds[number])


def marked(picture: NDArray[np.uint8], x: float, y: float) -> NDArray[Any]:
    """Return a copy of a picture with a cross at a point: yellow on black, visible on any background."""
    copy = picture.copy()
    size = max(8, round(min(copy.shape[:2]) / 30))
    for width, color in ((size // 3 + 2, (0, 0, 0)), (size // 6 + 1, (255, 230, 0))):
        cv2.drawMarker(copy, (round(x), round(y)), color, cv2.MARKER_CROSS, 2 * size, width)
    return copy


def _clip(path: Path, limits: LimitSettings) -> Clip:
    stat = path.stat()
    return _opened(path, stat.st_mtime_ns, stat.st_size, limits.model_dump_json())


def picture_at(path: Path) -> NDArray[np.uint8]:
    """Return a PNG or JPEG written by one of our jobs, (H, W, 3) RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path.name} is not a picture")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


@lru_cache(maxsize=2)
def _opened(path: Path, changed_ns: int, size: int, limits: str) -> Clip:
    """Return an opened clip, cached: opening reads all of it, and the slider requests many frames.

    ``limits`` is JSON so that it is hashable.
    """
    return open_untrusted(path, LimitSettings.model_validate_json(limits))
