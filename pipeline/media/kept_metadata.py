"""What a file says beside pictures and sound: kept where the result can hold it, else named in one warning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer

from pipeline.datatypes.clip import VideoInfo
from pipeline.media.clip import Clip
from pipeline.media.output_format import OutputFormat
from pipeline.media.pixels import planar_format

if TYPE_CHECKING:
    from av.container.core import Chapter

PROVENANCE = "The person in this video was replaced by Understudy (AI-generated content)."
PROVENANCE_KEY = "provenance"

_MUXER_TAGS = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "timecode")
"""Metadata that describes the source's file, not its content; the timecode has a place of its own."""
_OF_DECODERS = ("3x3 displaymatrix", "Skip samples", "Motion vectors", "Video encoding parameters")
"""Side data that is kept elsewhere, or that a decoder makes itself."""
_TIMECODE_RATES = (24, 25, 30, 48, 50, 60, 100, 120)


def write_metadata(
    output: OutputContainer,
    source: InputContainer,
    picture: av.VideoStream,
    video: av.VideoStream,
    clip: Clip,
    target: OutputFormat,
    tags: Mapping[str, str],
) -> list[str]:
    """Give the result the source's tags, chapters and timecode, and ``tags``; return warnings (one at most).

    The warning names all that the source's picture has beside its samples and the result has not.
    """
    kept = {key: value for key, value in source.metadata.items() if key.lower() not in _MUXER_TAGS}
    output.metadata.update({**kept, **tags})
    lost = _lost_side_data(clip.info, picture, target)
    chapters = _chapters(clip, source)
    if chapters:
        output.set_chapters(chapters)
    timecode = _timecode(source)
    if timecode is not None:
        advanced = _advanced(timecode, clip.trim_offset * clip.info.time_base, clip.info.frame_rate)
        # FFmpeg's MP4 muxer ties either a timecode or chapters to the picture.
        if advanced is None or (chapters and target.muxer != "matroska"):
            lost.append("the timecode")
        else:
            video.metadata["timecode"] = advanced
    return [f"Not in the result: {', '.join(lost)}."] if lost else []


def is_kept_elsewhere(stream: av.stream.Stream) -> bool:
    """Tell whether a stream of data is one that FFmpeg has read as the file's chapters or timecode."""
    if stream.type != "data":
        return False
    return "timecode" in stream.metadata or stream.discard == av.stream.Discard.all


def _lost_side_data(info: VideoInfo, picture: av.VideoStream, target: OutputFormat) -> list[str]:
    held = set(_OF_DECODERS)
    if target.holds_hdr_metadata:
        held |= {"Mastering display metadata"} if info.mastering_display is not None else set()
        held |= {"Content light level metadata"} if info.content_light is not None else set()
    lost = [name for name in info.side_data if name not in held]
    tags = {key.lower(): value for key, value in picture.metadata.items()}
    if tags.get("alpha_mode") == "1" and "a" not in planar_format(info).removeprefix("gray"):
        lost.append("the alpha channel")
    if tags.get("stereo_mode", "mono") != "mono":
        lost.append(f"the stereo mode {tags['stereo_mode']}")
    return lost


def _chapters(clip: Clip, source: InputContainer) -> list[Chapter]:
    """Return the chapters that lie in the clip's range, by the result's clock."""
    info = clip.info
    begin = int(info.pts[0]) * info.time_base
    end = int(info.pts[-1] + info.durations[-1]) * info.time_base
    shift = clip.trim_offset * info.time_base
    chapters: list[Chapter] = []
    for number, chapter in enumerate(source.chapters(), 1):
        base = chapter["time_base"] or Fraction(1, 1000)
        first = chapter["start"] * base
        last = chapter["end"] * base
        if clip.trimmed:
            first = max(first, begin) - shift
            last = min(last, end) - shift
        if last <= first:
            continue
        # MP4 keeps no chapter without a title.
        titled = {"title": f"Chapter {number}", **chapter["metadata"]}
        chapters.append(
            {
                "id": chapter["id"],
                "start": round(first / base),
                "end": round(last / base),
                "time_base": base,
                "metadata": titled,
            }
        )
    return chapters


def _timecode(source: InputContainer) -> str | None:
    for metadata in (source.metadata, *(stream.metadata for stream in source.streams)):
        for key, value in metadata.items():
            if key.lower() == "timecode":
                return value
    return None


def _advanced(timecode: str, seconds: Fraction, rate: Fraction) -> str | None:
    """Return a SMPTE timecode some time later; None where it cannot be told (drop frame, a rate without timecodes)."""
    frames_a_second = round(rate)
    if frames_a_second not in _TIMECODE_RATES or abs(rate - frames_a_second) > Fraction(frames_a_second, 500):
        return None
    if seconds == 0:
        return timecode
    parts = re.fullmatch(r"(\d\d):(\d\d):(\d\d):(\d\d)", timecode)
    if parts is None:
        return None
    hour, minute, second, frame = (int(part) for part in parts.groups())
    count = ((hour * 60 + minute) * 60 + second) * frames_a_second + frame + round(seconds * rate)
    second, frame = divmod(count, frames_a_second)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{hour % 24:02}:{minute:02}:{second:02}:{frame:02}"
