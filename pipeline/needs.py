"""Estimate of a job's memory and disk; a job that will not fit is refused instead of failing late.

The figures were measured with the preset preview, 24 frames of one person at 640x360 to 3840x2160, 8 bit, two cores,
including the decoder process: the peak of all processes together was 0.56, 0.72 and 0.95 GB at 0.23, 0.92 and 2.07
megapixels. The 2.6 GB at 4096x2160 in 10 bit (4.3 GB with four artifacts) are older: they were measured on 2026-11-25
in a review, before decoding had a process of its own. All are slightly low on purpose: a job that might just fit is
attempted.
"""

from __future__ import annotations

from collections.abc import Collection

from pipeline.datatypes.clip import VideoInfo

_IDLE_BYTES = 400 * 10**6
"""Memory of an idle worker with loaded models, including the decoder process."""
_TORCH_BYTES = 600 * 10**6
"""Memory of torch and diffusers, before any weights."""
_BASE_BYTES = 90 * 10**6
_BYTES_PER_PIXEL = 200
_BYTES_PER_PIXEL_OF_ARTIFACT = 45
"""FFV1 is written in four threads."""
_VIDEO_ARTIFACTS = frozenset(("mask", "plate", "layer", "edit_region"))
_USUAL_PIXELS = 1280 * 720
_PLATE_SHARE = 0.4
_MOST_PLATE_PICTURES = 60
"""Uncompressed pictures on disk while plates are built: 16 of 24 frames, 49 of 100, 66 of 150."""
_SURVEY_BYTES_PER_FRAME = 4_000


def memory_bytes(info: VideoInfo, artifacts: Collection[str] = ()) -> int:
    """Return how much memory a job needs beyond an idle worker's: it grows with the picture size, not the length."""
    videos = len(_VIDEO_ARTIFACTS & set(artifacts))
    a_pixel = _BYTES_PER_PIXEL + _BYTES_PER_PIXEL_OF_ARTIFACT * videos
    deep = 1.25 if info.bit_depth > 8 else 1.0
    return _BASE_BYTES + round(info.width * info.height * a_pixel * deep)


def disk_bytes(info: VideoInfo, artifacts: Collection[str] = ()) -> int:
    """Return the least disk space that a job needs in its folder, besides its source: the need while plates are
    built."""
    pixels = info.width * info.height
    pictures = round(min(_PLATE_SHARE * info.num_frames, _MOST_PLATE_PICTURES) * pixels * 3)
    # Losslessly compressed, to a quarter.
    videos = round(0.7 * info.num_frames * pixels) if "plate" in artifacts else 0
    return max(pictures, videos) + info.num_frames * _SURVEY_BYTES_PER_FRAME


def worker_bytes(*, with_torch: bool) -> int:
    """Return the minimum memory of a useful machine: that of a job at 1280x720."""
    torch = _TORCH_BYTES if with_torch else 0
    return _IDLE_BYTES + torch + _BASE_BYTES + _USUAL_PIXELS * _BYTES_PER_PIXEL
