"""Video properties of a clip, from its stream and its first frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from pipeline.datatypes.clip import AudioInfo, VideoInfo
from pipeline.errors import UnsupportedMedia
from pipeline.media.formats import planar_name
from pipeline.media.matrices import KNOWN_MATRICES
from pipeline.media.orientation import orientation_of
from pipeline.media.side_data import (
    FrameFacts,
    content_light_of,
    display_matrix_of,
    mastering_display_of,
    side_data_of,
)
from pipeline.media.timing import FrameTimes

_UNSPECIFIED_MATRIX = 2
_NO_MATRICES_OF_YUV = (0, 3)
"""Matrix numbers of RGB and reserved: writers that zero-fill the field mean unspecified."""


def describe_video(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    first: av.VideoFrame,
    times: FrameTimes,
    facts: FrameFacts,
    warnings: list[str],
) -> VideoInfo:
    """Return the properties of a clip; adds to ``warnings``, which become its own.

    Raises ``UnsupportedMedia`` for unsupported pixel formats and matrices.
    """
    planar = planar_name(first.format.name)
    if planar is None:
        raise UnsupportedMedia(f"The pixel format {first.format.name} is not handled.", field="video_url")
    color_matrix = _matrix(first, planar, warnings)
    if first.interlaced_frame:
        warnings.append("The video is interlaced; the result has the same fields, but is not flagged as interlaced.")
    beside = side_data_of(first)
    display_matrix = display_matrix_of(beside)
    orientation = orientation_of(display_matrix)
    if not orientation.exact:
        warnings.append("The display matrix does more than mirror and turn by quarters: the rest is ignored.")
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        bit_depth=av.VideoFormat(planar, first.width, first.height).components[0].bits,
        chroma_log2_wh=_chroma_log2_wh(first, planar),
        time_base=stream.time_base or Fraction(1, 1000),
        frame_rate=times.rate,
        sample_aspect_ratio=stream.sample_aspect_ratio or facts.sample_aspect_ratio or Fraction(1),
        quarter_turns=orientation.quarter_turns,
        display_matrix=display_matrix,
        color_range=int(first.color_range),
        color_matrix=color_matrix,
        color_primaries=int(first.color_primaries),
        color_transfer=int(first.color_trc),
        chroma_location=facts.chroma_location,
        pts=times.pts,
        durations=times.durations,
        audio=_audio_of(container),
        warnings=tuple(warnings),
        mirrored=orientation.mirrored,
        mastering_display=mastering_display_of(beside),
        content_light=content_light_of(beside),
        side_data=facts.side_data,
    )


def _chroma_log2_wh(first: av.VideoFrame, planar: str) -> tuple[int, int]:
    """Return the binary logarithms of the chroma subsampling; 0 where there is none."""
    components = av.VideoFormat(planar, first.width, first.height).components
    if len(components) < 3 or planar.startswith("gbr"):
        return 0, 0
    return _log2_ratio(first.width, components[1].width), _log2_ratio(first.height, components[1].height)


def _audio_of(container: av.container.InputContainer) -> tuple[AudioInfo, ...]:
    return tuple(
        AudioInfo(audio.index, audio.codec_context.name, audio.time_base or Fraction(1, 1000))
        for audio in container.streams.audio
        if audio.codec_context is not None
    )


def _matrix(first: av.VideoFrame, planar: str, warnings: list[str]) -> int:
    matrix = int(first.colorspace)
    if planar.startswith("gbr") or matrix in KNOWN_MATRICES:
        return matrix
    if planar.startswith("gray"):
        # Without chroma the matrix has no effect.
        return _UNSPECIFIED_MATRIX
    if matrix in _NO_MATRICES_OF_YUV:
        warnings.append(f"The color matrix {matrix} does not exist for YUV pictures: it is read as unspecified.")
        return _UNSPECIFIED_MATRIX
    raise UnsupportedMedia(f"The color matrix {matrix} is not handled.", field="video_url")


def _log2_ratio(full: int, part: int) -> int:
    return max(range(3), key=lambda log2: -abs(part - -(-full // 2**log2)) * 10 - log2)
