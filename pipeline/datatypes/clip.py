"""A clip and its decoded frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Plane, Transforms
from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """One audio stream of the source."""

    index: int
    codec: str
    time_base: Fraction


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VideoInfo(Shaped):
    """Properties of a clip's video stream; all of them are kept in the result."""

    SHAPES: ClassVar[Shapes] = {"pts": ("T",), "durations": ("T",)}

    path: Path
    container: str
    """Demuxer name as FFmpeg gives it, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
    codec: str
    width: int
    """Coded, px."""
    height: int
    """Coded, px."""
    pix_fmt: str
    bit_depth: int
    chroma_log2_wh: tuple[int, int]
    """log2 of the chroma subsampling across and down: (1, 1) is 4:2:0; (0, 0) also for gray and RGB."""
    time_base: Fraction
    frame_rate: Fraction
    """Frames per second, measured from the frames' time stamps (not the container's claim); for estimates only: time is
    PTS."""
    sample_aspect_ratio: Fraction
    """Width over height of one pixel; 1 where the file does not state it."""
    quarter_turns: int
    """Clockwise quarter turns (0..3) that bring the coded picture upright, after ``mirrored``."""
    display_matrix: tuple[int, ...] | None
    """The nine values of the source's display matrix as stored, or None."""
    color_range: int
    color_matrix: int
    color_primaries: int
    color_transfer: int
    """FFmpeg's enumerations; 2 is unspecified (range: 0)."""
    chroma_location: int
    pts: NDArray[np.int64]
    """(T,) presentation times of the frames in ``time_base``, strictly rising."""
    durations: NDArray[np.int64]
    """(T,) in ``time_base``."""
    audio: tuple[AudioInfo, ...]
    warnings: tuple[str, ...] = ()
    mirrored: bool = False
    """Whether the coded picture is flipped horizontally before it is turned upright."""
    mastering_display: tuple[Fraction, ...] | None = None
    """(10,) red, green, blue and white x, y (CIE 1931), lowest and highest luminance in nits (SMPTE ST 2086)."""
    content_light: tuple[int, ...] | None = None
    """(2,) maximum content light level and maximum frame-average light level in nits (CTA-861.3)."""
    side_data: tuple[str, ...] = ()
    """FFmpeg's names of the frames' side data, such as captions and Dolby Vision metadata."""

    @property
    def num_frames(self) -> int:
        return len(self.pts)

    @property
    def pts_seconds(self) -> NDArray[np.float64]:
        """(T,) seconds from the first frame."""
        return (self.pts - self.pts[0]) * float(self.time_base)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the upright picture: of the ``source`` space."""
        return (self.height, self.width) if self.quarter_turns % 2 else (self.width, self.height)

    @property
    def coded_from_source(self) -> Transforms:
        """(3, 3): upright pixels to coded pixels."""
        w, h = self.width, self.height
        turned = np.array(
            {
                0: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
                1: [[0, 1, 0], [-1, 0, h - 1], [0, 0, 1]],
                2: [[-1, 0, w - 1], [0, -1, h - 1], [0, 0, 1]],
                3: [[0, -1, w - 1], [1, 0, 0], [0, 0, 1]],
            }[self.quarter_turns % 4],
            np.float64,
        )
        if not self.mirrored:
            return turned
        mirror = np.array([[-1, 0, w - 1], [0, 1, 0], [0, 0, 1]], np.float64)
        return mirror @ turned


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame(Shaped):
    """One decoded frame, as coded. ``decode.rgb_of(frame)`` gives the upright RGB view for models."""

    index: int
    """0-based in the clip's range."""
    pts: int
    duration: int
    planes: tuple[Plane, ...]
    """As coded (not turned): Y, U, V (semi-planar formats are split), or gray, or G, B, R; alpha last."""
    info: VideoInfo


class FrameSource(Protocol):
    """What the passes read of a clip."""

    @property
    def info(self) -> VideoInfo: ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start`` to ``stop`` (exclusive), in order."""
        ...

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of some rising indices."""
        ...
