"""The new person turning once against a plain background: a short video, and stills from four sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer
from pipeline.media.short_video import write_short_video
from pipeline.runtime.callbacks import Check
from pipeline.workspace.pictures import write_png

FRAMES = 48
FRAME_RATE = 16
"""Three seconds per turn: slow enough to see seams, fast enough not to bore."""
SIZE_WH = (448, 672)
"""Twice as many lines as most subjects have."""
SIDES = {"front": 0.0, "left": 0.25, "back": 0.5, "right": 0.75}
"""Which side of the person a still shows, and after which fraction of the turn."""
_GROUND_RGB = (224, 226, 230)


def write_turntable(
    folder: Path,
    turned: Callable[[float, tuple[int, int]], Layer],
    check: Check = lambda: None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, list[Path]]:
    """Write ``turntable.mp4`` and ``character_SIDE.png`` into ``folder``; return the video and the stills.

    ``turned`` draws the person rotated by an angle (radians) at a given size. Raises ``NoSpace``, ``EncodeFailed`` and
    ``OSError``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stills: dict[str, Path] = {}
    side_at = {round(share * FRAMES): side for side, share in SIDES.items()}

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index in range(FRAMES):
            check()
            picture = _before_ground(turned(2 * np.pi * index / FRAMES, SIZE_WH))
            if index in side_at:
                side = side_at[index]
                stills[side] = folder / f"character_{side}.png"
                write_png(stills[side], picture[..., ::-1])
            tell(index + 1, FRAMES)
            yield picture

    film = folder / "turntable.mp4"
    write_short_video(film, pictures(), SIZE_WH, FRAME_RATE)
    return film, [stills[side] for side in SIDES]


def _before_ground(layer: Layer) -> NDArray[np.uint8]:
    assert layer.alpha is not None  # a figure cuts itself out
    share = layer.alpha[..., None].astype(np.float32) / np.float32(255)
    ground = np.array(_GROUND_RGB, np.float32)
    return np.asarray(np.rint(layer.picture * share + ground * (1 - share)), np.uint8)
