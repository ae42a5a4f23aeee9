"""Which container, codec and pixel format a result gets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pipeline.datatypes.clip import VideoInfo
from pipeline.errors import EncodeFailed
from pipeline.media.encoders import encoder_opens, ffv1_options, reproducible_x264
from pipeline.media.pixels import is_rgb, planar_format
from pipeline.media.side_data import CHROMA_LOCATIONS
from pipeline.settings import OutputSettings

_MP4_AUDIO = ("aac", "mp3", "mp3float", "mp2", "ac3", "eac3", "alac", "opus", "libopus", "flac")
"""What players expect in MP4; FFmpeg's muxer accepts more."""


_X264_FORMATS = tuple(
    f"{layout}{depth}" for layout in ("yuv420p", "yuv422p", "yuv444p", "gray") for depth in ("", "10le")
)

_HEVC_IN_BROWSERS = ("av1", "libdav1d", "libaom-av1", "vp9")
"""Codecs whose 10-bit 4:2:0 pictures hardware decodes."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How a clip is written."""

    muxer: str
    suffix: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def holds_hdr_metadata(self) -> bool:
        """Whether the codec carries mastering display and content light level in its own stream."""
        return self.codec in ("libx264", "libx265")


def choose_output_format(info: VideoInfo, settings: OutputSettings) -> OutputFormat:
    """Return how a clip is written: HEVC, H.264, or FFV1 for what neither supports; in MP4 wherever possible.

    10-bit HEVC stays HEVC, tagged ``hvc1`` as Apple's players require: hardware that decodes it (phones, Safari, Chrome
    and Edge on most machines) does not decode 10-bit H.264. 10-bit AV1 and VP9 in 4:2:0 become HEVC, too. Each encoder
    is tested with the size before it is chosen; where none does, ``EncodeFailed`` is raised.
    """
    pix_fmt = planar_format(info).replace("yuvj", "yuv")
    for codec in _wanted_codecs(info, settings.codec, pix_fmt):
        options = _options_of(codec, info, settings)
        if encoder_opens(codec, pix_fmt, (info.width, info.height), options):
            muxer, warning = _container_for_sound(info)
            warnings = [warning] if warning else []
            return _finished(muxer, codec, pix_fmt, options, warnings, info)
    reason = f"the format {info.pix_fmt}" if pix_fmt not in _X264_FORMATS else "such a width and height"
    if is_rgb(info) and info.bit_depth == 8:
        pix_fmt = "bgra" if "a" in pix_fmt else "bgr0"
    options = ffv1_options(pix_fmt, (info.width, info.height)) | {"threads": "1"} | _siting_option(info)
    if not encoder_opens("ffv1", pix_fmt, (info.width, info.height), options):
        raise EncodeFailed(f"No encoder takes {info.pix_fmt} pictures of {info.width}x{info.height}.")
    warnings = [f"H.264 cannot hold {reason}: the result is lossless FFV1 in MKV."]
    return _finished("matroska", "ffv1", pix_fmt, options, warnings, info)


def _finished(
    muxer: str, codec: str, pix_fmt: str, options: dict[str, str], warnings: list[str], info: VideoInfo
) -> OutputFormat:
    if muxer == "matroska" and 1000 % info.time_base.denominator:
        warnings.append("MKV rounds the time stamps of the result to 1 ms.")
    suffix = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}[muxer]
    return OutputFormat(muxer, suffix, codec, pix_fmt, options, tuple(warnings))


def _wanted_codecs(info: VideoInfo, wanted: str, pix_fmt: str) -> tuple[str, ...]:
    if pix_fmt not in _X264_FORMATS or not _fits_chroma(info):
        return ()
    plays_hevc = info.codec == "hevc" or (info.codec in _HEVC_IN_BROWSERS and pix_fmt == "yuv420p10le")
    if wanted == "auto" and info.bit_depth > 8 and plays_hevc:
        return "libx265", "libx264"
    return ("libx264",)


def _options_of(codec: str, info: VideoInfo, settings: OutputSettings) -> dict[str, str]:
    # Durations that differ would need DTS that MP4 cannot keep beside exact durations: no B-frames then.
    steady = len(set(info.durations.tolist())) <= 1
    options: dict[str, str] = {"preset": settings.encoder_preset}
    options |= {"threads": str(settings.threads)} if codec == "libx264" else {}
    options |= {"qp": "0"} if settings.codec == "lossless" else {"crf": str(settings.crf)}
    options |= {} if steady else {"bf": "0"}
    options |= _siting_option(info)
    own = _x265_parameters(info, settings.threads) if codec == "libx265" else _x264_parameters(info)
    if own:
        options[codec.removeprefix("lib") + "-params"] = ":".join(own)
    return options


def _siting_option(info: VideoInfo) -> dict[str, str]:
    return {"chroma_sample_location": CHROMA_LOCATIONS[info.chroma_location]} if info.chroma_location else {}


def _x264_parameters(info: VideoInfo) -> list[str]:
    own = reproducible_x264()
    if info.mastering_display is not None:
        own.append(f"mastering-display={_mastering_display(info.mastering_display)}")
    if info.content_light is not None:
        own.append("cll={},{}".format(*info.content_light))
    return own


def _x265_parameters(info: VideoInfo, threads: int) -> list[str]:
    # The bytes depend on the number of frames encoded in parallel; `info` would write the machine's CPU into them.
    own = [f"pools={threads}", "frame-threads=2", "info=0", "log-level=none"]
    if info.mastering_display is not None:
        own.append(f"master-display={_mastering_display(info.mastering_display)}")
    if info.content_light is not None:
        own.append("max-cll={},{}".format(*info.content_light))
    return own


def _mastering_display(values: tuple[Fraction, ...]) -> str:
    """Format SMPTE ST 2086 metadata as both encoders expect it: 1/50,000 of CIE xy, 1/10,000 of a nit."""
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y = (round(value * 50_000) for value in values[:8])
    low, high = (round(value * 10_000) for value in values[8:])
    return f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})WP({white_x},{white_y})L({high},{low})"


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
    """Return whether a stream of this codec is copied into a container."""
    if kind == "audio":
        return codec in _MP4_AUDIO or muxer == "matroska" or (muxer == "mov" and codec.startswith(("pcm_", "amr")))
    return kind == "subtitle" and (codec == "mov_text") == (muxer != "matroska")
