"""Which container, codec and pixel format a result gets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from llvmlite.binding import get_host_cpu_features

from pipeline.datatypes import VideoInfo
from pipeline.media.pixels import is_rgb, planar_format
from pipeline.media.side_data import CHROMA_LOCATIONS
from pipeline.settings import OutputSettings

_MP4_AUDIO = ("aac", "mp3", "mp3float", "mp2", "ac3", "eac3", "alac", "opus", "libopus", "flac")
"""What players expect in MP4; FFmpeg's muxer takes more."""


_X264_FORMATS = tuple(
    f"{layout}{depth}" for layout in ("yuv420p", "yuv422p", "yuv444p", "gray") for depth in ("", "10le")
)


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How a clip is written."""

    muxer: str
    suffix: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    warnings: tuple[str, ...]


def choose_output_format(info: VideoInfo, settings: OutputSettings) -> OutputFormat:
    warnings: list[str] = []
    pix_fmt = planar_format(info).replace("yuvj", "yuv")
    if info.codec and pix_fmt in _X264_FORMATS and _fits_chroma(info):
        codec = "libx264"
        # Durations that differ would need DTS that MP4 cannot keep beside exact durations: no B-frames then.
        steady = len(set(info.durations.tolist())) <= 1
        options = {"preset": settings.encoder_preset, "threads": str(settings.threads)}
        options |= {"qp": "0"} if settings.codec == "lossless" else {"crf": str(settings.crf)}
        options |= {} if steady else {"bf": "0"}
        if _has_avx512():
            # x264's lookahead has AVX-512 code that reads what nobody wrote: at some sizes (320x180, 608x1080) the same
            # frames gave other bytes from run to run. With AVX2 they never did, and it is no slower.
            options |= {"x264-params": "asm=avx2"}
        muxer, warning = _container_for_sound(info)
        warnings += [warning] if warning else []
    else:
        codec, muxer = "ffv1", "matroska"
        pix_fmt = ("bgra" if "a" in pix_fmt else "bgr0") if is_rgb(info) else pix_fmt
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "1"}
        reason = f"the format {info.pix_fmt}" if pix_fmt not in _X264_FORMATS else "an odd width or height"
        warnings.append(f"H.264 cannot hold {reason}: the result is lossless FFV1 in MKV.")
    if muxer == "matroska" and 1000 % info.time_base.denominator:
        warnings.append("MKV rounds the time stamps of the result to 1 ms.")
    if info.chroma_location and codec == "libx264":
        options["chroma_sample_location"] = CHROMA_LOCATIONS[info.chroma_location]
    suffix = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}[muxer]
    return OutputFormat(muxer, suffix, codec, pix_fmt, options, tuple(warnings))


@cache
def _has_avx512() -> bool:
    return bool(get_host_cpu_features().get("avx512f"))


def _fits_chroma(info: VideoInfo) -> bool:
    across, down = info.chroma_log2_wh
    return not (info.width % 2**across or info.height % 2**down)


def _container_for_sound(info: VideoInfo) -> tuple[str, str]:
    if not info.audio or info.audio[0].codec in _MP4_AUDIO:
        return "mp4", ""
    if info.audio[0].codec.startswith(("pcm_", "amr", "adpcm_ima_qt", "qdm")):
        return "mov", ""
    return "matroska", f"Neither MP4 nor MOV can hold the sound ({info.audio[0].codec}): the result is an MKV."


def container_holds(muxer: str, kind: str, codec: str) -> bool:
    if kind == "audio":
        return codec in _MP4_AUDIO or muxer == "matroska" or (muxer == "mov" and codec.startswith(("pcm_", "amr")))
    return kind == "subtitle" and (codec == "mov_text") == (muxer != "matroska")
