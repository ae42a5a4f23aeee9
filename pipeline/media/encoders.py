"""Which settings an encoder accepts at a size: tested with the encoder itself, before anything is written."""

from __future__ import annotations

from functools import cache, lru_cache

import av
from llvmlite.binding import get_host_cpu_features

_SLICE_NUMBERS = sorted(
    {rows * columns for rows in range(1, 9) for columns in range(rows, 2 * rows + 1) if 4 <= rows * columns <= 64}
)
"""Numbers of slices into which FFV1 divides a picture, from 4."""


def encoder_opens(codec: str, pix_fmt: str, size_wh: tuple[int, int], options: dict[str, str]) -> bool:
    """Return whether an encoder accepts a picture size and a format with these options."""
    context = av.VideoCodecContext.create(codec, "w")
    context.width, context.height = size_wh
    context.pix_fmt = pix_fmt
    context.framerate = 25
    context.thread_count = 1
    context.options = options
    try:
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def ffv1_options(pix_fmt: str, size_wh: tuple[int, int]) -> dict[str, str]:
    """Return options with which FFV1 encodes such pictures: version 3 with few slices, else version 1.

    Four slices on every machine: the bytes depend on their number. Not every number fits every size, since each slice
    must start on a chroma sample; where none does, version 1 has no slices (and no checksums).
    """
    # With 4:1 horizontal chroma subsampling FFmpeg's slices lose the last column where it is incomplete.
    if "41" in pix_fmt and (size_wh[0] % 4 or size_wh[1] % 4):
        return {"level": "1", "g": "1"}
    for slices in (*_SLICE_NUMBERS, 1, 2):
        options = {"level": "3", "slices": str(slices), "slicecrc": "1", "g": "1"}
        if encoder_opens("ffv1", pix_fmt, size_wh, options):
            return options
    return {"level": "1", "g": "1"}


def reproducible_x264() -> list[str]:
    """Return the x264 parameters without which the same frames may produce different bytes on this CPU.

    x264's lookahead has AVX-512 code that reads uninitialized memory: at some sizes (320x180, 608x1080, 432x768) the
    same frames produced different bytes from run to run. With AVX2 they never did, and it is no slower.
    """
    return ["asm=avx2"] if _has_avx512() else []


@cache
def _has_avx512() -> bool:
    return bool(get_host_cpu_features().get("avx512f"))
