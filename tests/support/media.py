"""Small clips of every awkward kind, made with PyAV alone; their samples, times and tags are known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.media.pixels import video_frame


@dataclass(frozen=True)
class ClipSpec:
    """Specification of a synthetic clip."""

    name: str
    suffix: str = ".mp4"
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    size_wh: tuple[int, int] = (96, 64)
    time_base: Fraction = Fraction(1, 15360)
    pts: Sequence[int] = tuple(range(0, 24 * 512, 512))
    last_duration: int = 512
    options: dict[str, str] = field(default_factory=lambda: {"crf": "20", "preset": "veryfast", "g": "8"})
    colors: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Range, matrix, primaries, transfer: FFmpeg's numbers."""
    rotation: int | None = None
    """Counter-clockwise degrees, as phones write them (-90: turn clockwise to see it upright)."""
    display_matrix: tuple[int, int, int, int] | None = None
    """a, b, c, d of a display matrix, whole numbers."""
    stated_rate: Fraction | int = 25
    """The mean rate stated by the container."""
    sar: Fraction | None = None
    audio: str | None = "aac"
    audio_start: Fraction = Fraction(0)
    second_audio: str | None = None


_CFR = tuple(range(0, 24 * 512, 512))
_VFR = tuple(np.cumsum([0, 512, 530, 490, 1024, 512, 37, 987, 512, 600, 333, 512, 512, 1500, 512, 511]).tolist())

SPECS = (
    ClipSpec("cfr"),
    ClipSpec("ntsc", time_base=Fraction(1, 30000), pts=tuple(range(0, 24 * 1001, 1001)), last_duration=1001),
    ClipSpec("vfr", pts=_VFR, last_duration=800),
    ClipSpec("vfr_no_b", pts=_VFR, last_duration=800, options={"crf": "20", "bf": "0"}),
    ClipSpec("rotated", rotation=-90),
    ClipSpec("upside_down", rotation=180, size_wh=(64, 96)),
    ClipSpec("ten_bit", pix_fmt="yuv420p10le", colors=(1, 9, 9, 1)),
    ClipSpec("hlg", pix_fmt="yuv420p10le", colors=(1, 9, 9, 18)),
    ClipSpec("pq", pix_fmt="yuv420p10le", colors=(1, 9, 9, 16)),
    ClipSpec("mov_pcm", suffix=".mov", audio="pcm_s16le"),
    ClipSpec("sar", sar=Fraction(4, 3)),
    ClipSpec("square_sar", sar=Fraction(1)),
    ClipSpec("full_range_601", colors=(2, 6, 6, 6)),
    ClipSpec("untagged", colors=(0, 2, 2, 2)),
    ClipSpec("chroma_422", pix_fmt="yuv422p"),
    ClipSpec("chroma_444", pix_fmt="yuv444p"),
    ClipSpec("gray", pix_fmt="gray"),
    ClipSpec("odd_444", pix_fmt="yuv444p", size_wh=(97, 65)),
    ClipSpec("silent", audio=None),
    ClipSpec("one_frame", pts=(0,)),
    ClipSpec("late_audio", audio_start=Fraction(1, 4)),
    ClipSpec("late_video", pts=tuple(p + 700 for p in _CFR)),
    ClipSpec("two_sounds", second_audio="aac"),
    ClipSpec("mkv", suffix=".mkv", time_base=Fraction(1, 1000), pts=tuple(range(0, 24 * 40, 40)), last_duration=40),
)
"""Clips whose result is H.264 in MP4 or MOV."""
FFV1_SPECS = (
    ClipSpec("odd_420", suffix=".mkv", codec="ffv1", size_wh=(97, 65), time_base=Fraction(1, 1000), options={},
             pts=tuple(range(0, 12 * 40, 40)), last_duration=40),
    ClipSpec("alpha", suffix=".mkv", codec="ffv1", pix_fmt="yuva420p", time_base=Fraction(1, 1000), options={},
             pts=tuple(range(0, 12 * 40, 40)), last_duration=40),
    ClipSpec("twelve_bit", suffix=".mkv", codec="ffv1", pix_fmt="yuv420p12le", time_base=Fraction(1, 1000), options={},
             pts=tuple(range(0, 12 * 40, 40)), last_duration=40),
    ClipSpec("rgb", suffix=".mkv", codec="ffv1", pix_fmt="bgr0", time_base=Fraction(1, 1000), options={},
             pts=tuple(range(0, 12 * 40, 40)), last_duration=40, colors=(2, 0, 1, 1)),
)  # fmt: skip
"""Clips that H.264 cannot hold."""


def spec(name: str) -> ClipSpec:
    """Return the spec of that name."""
    return next(one for one in (*SPECS, *FFV1_SPECS) if one.name == name)


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Put the process's scheduling back afterwards.

    Run by root, SVT-AV1's encoder makes the thread that opens it a real-time one; all that it starts later would be,
    too, and two that wait busily leave two cores to nobody.
    """
    # Its banner goes to stderr otherwise, past FFmpeg's log.
    os.environ.setdefault("SVT_LOG", "0")
    policy = os.sched_getscheduler(0)
    parameters = os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def make_clip(folder: Path, of: ClipSpec) -> Path:
    """As ``_make_clip``, whatever the encoder does to the process."""
    with kept_scheduling():
        return _make_clip(folder, of)


def _make_clip(folder: Path, of: ClipSpec) -> Path:
    """Encode a clip into a folder; returns its path."""
    path = folder / f"{of.name}{of.suffix}"
    scale = of.time_base.denominator
    options = {"fflags": "+bitexact"}
    if of.suffix != ".mkv":
        options |= {"video_track_timescale": str(scale), "movie_timescale": str(scale)}
    with av.open(str(path), "w", container_options=options) as output:
        video = output.add_stream(of.codec, rate=of.stated_rate, options=dict(of.options))
        context = video.codec_context
        video.width, video.height, video.pix_fmt = *of.size_wh, of.pix_fmt
        context.time_base = video.time_base = of.time_base
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.frame_duration
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = of.colors
        if of.sar is not None:
            context.sample_aspect_ratio = of.sar
        if of.rotation is not None:
            video.set_display_rotation(of.rotation)
        if of.display_matrix is not None:
            a, b, c, d = (value * 65536 for value in of.display_matrix)
            video.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
        names = [name for name in (of.audio, of.second_audio) if name is not None]
        sounds = [output.add_stream(name, rate=48000) for name in names]
        ends = [*of.pts[1:], of.pts[-1] + of.last_duration]
        for index, (pts, end) in enumerate(zip(of.pts, ends, strict=True)):
            picture = _picture(of, index)
            picture.pts = pts
            picture.duration = end - pts
            picture.time_base = of.time_base
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        for number, sound in enumerate(sounds):
            for block in _blocks(of, float(ends[-1] * of.time_base), number):
                output.mux(sound.encode(block))
            output.mux(sound.encode(None))
    return path


def _picture(of: ClipSpec, index: int) -> av.VideoFrame:
    """A smooth pattern that moves, the same for any depth."""
    layout = av.VideoFrame(*of.size_wh, of.pix_fmt)
    if of.pix_fmt == "bgr0":
        channels = [_pattern(*of.size_wh, index, phase) for phase in range(3)]
        view = np.frombuffer(layout.planes[0], np.uint8).reshape(of.size_wh[1], -1)
        view[:, : of.size_wh[0] * 4] = (
            np.stack([*channels, channels[0] * 0], axis=-1).astype(np.uint8).reshape(of.size_wh[1], -1)
        )
        return layout
    bits = layout.format.components[0].bits
    kind = np.uint8 if bits == 8 else np.dtype("<u2")
    planes = tuple(
        np.round(_pattern(part.width, part.height, index, phase) * 2 ** (bits - 8)).astype(kind)
        for phase, part in enumerate(layout.format.components)
    )
    picture = video_frame(planes, of.pix_fmt, *of.size_wh)
    picture.color_range = of.colors[0]
    return picture


def _pattern(width: int, height: int, index: int, phase: int) -> NDArray[np.float64]:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return 126 + 90 * np.sin(6 * x + 0.2 * index + phase) * np.cos(4 * y - phase)


def _blocks(of: ClipSpec, end_s: float, number: int) -> list[av.AudioFrame]:
    blocks = []
    start = round(of.audio_start * 48000)
    for first in range(start, max(round(end_s * 48000), start + 1024), 1024):
        time = np.arange(first, first + 1024) / 48000
        wave = 0.3 * np.sin(2 * np.pi * (440 + 220 * number) * time)
        block = av.AudioFrame.from_ndarray(np.repeat((wave * 32767).astype(np.int16), 2)[None], "s16", "stereo")
        block.sample_rate = 48000
        block.pts = first
        block.time_base = Fraction(1, 48000)
        blocks.append(block)
    return blocks


def video_payloads(path: Path) -> list[tuple[int, int]]:
    """Return (position, size) of the video packets of a file, in decoding order."""
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return [(packet.pos, packet.size) for packet in packets if packet.size and packet.pos is not None]


def spoil_middle(path: Path, target: Path) -> Path:
    """Copy a clip, overwriting the payload of its video packets around the middle with noise."""
    data = bytearray(path.read_bytes())
    packets = video_payloads(path)
    noise = np.random.default_rng(1)
    for position, size in packets[len(packets) // 2 - 2 : len(packets) // 2 + 2]:
        data[position : position + size] = noise.integers(0, 256, size, np.uint8).tobytes()
    target.write_bytes(data)
    return target


def truncate(path: Path, target: Path, share: float) -> Path:
    """Copy the first part of a file."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target
