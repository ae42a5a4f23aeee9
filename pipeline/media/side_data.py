"""Side data of a decoded picture: read through PyAV where supported, else parsed from FFmpeg's log.

PyAV rejects *all* side data of a frame that has one kind unknown to it (views of spatial video, and whatever FFmpeg
adds next); those kinds are removed first.
"""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass, replace
from fractions import Fraction
from uuid import UUID

import av
import av.filter
import av.logging
import numpy as np
from av.sidedata.sidedata import SideData, Type

CHROMA_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
"""Names by FFmpeg's number."""
_KINDS_OF_FFMPEG = 64
"""More kinds of side data than FFmpeg has."""
_USER_DATA = "H.26[45] User Data Unregistered SEI message"
_ENCODERS_OWN = {
    UUID("dc45e9bd-e6d9-48b7-962c-d820d923eeef").bytes,
    UUID("2ca2de09-b517-47db-bb55-a4fe7fc2fc4e").bytes,
    UUID("47564adc-5c4c-433f-94ef-c5113cd143a8").bytes,
}
"""User data in which x264, x265 and Apple's encoder identify themselves."""
_log_level_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """Properties of a frame that FFmpeg reports and PyAV does not expose."""

    chroma_location: int
    sample_aspect_ratio: Fraction | None
    """None where unspecified."""
    side_data: tuple[str, ...]
    """FFmpeg's names of all kinds of side data, including those unknown to PyAV, except encoder identification."""


def frame_facts(picture: av.VideoFrame) -> FrameFacts:
    """Return the properties of a frame, from the log line of FFmpeg's ``showinfo`` filter."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
    )
    # Each byte of user data would be a log line: PyAV is used for that.
    silent = graph.add("sidedata", "mode=delete:type=SEI_UNREGISTERED")
    show = graph.add("showinfo", "checksum=0")
    graph.link_nodes(source, silent, show, graph.add("buffersink")).configure()
    # The log level is global to the process.
    with _log_level_lock:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with av.logging.Capture() as lines:
                graph.push(picture)
                graph.pull()
        finally:
            av.logging.set_level(level)
    text = "".join(line[2] for line in lines)
    location = re.search(r"\bcl:(\w+)", text)
    ratio = re.search(r"\bsar:(\d+)/(\d+)", text)
    sar = Fraction(int(ratio[1]), int(ratio[2])) if ratio and int(ratio[2]) else Fraction(0)
    names = [name.strip() for name in re.findall(r"^  side data - ([^:\n(]+)", text, re.MULTILINE)]
    user_data = {uuid for kind, uuid in _kinds_of(picture) if kind is Type.SEI_UNREGISTERED}
    names += [_USER_DATA] if user_data - _ENCODERS_OWN else []
    return FrameFacts(
        CHROMA_LOCATIONS.index(location[1]) if location and location[1] in CHROMA_LOCATIONS else 0,
        sar or None,
        tuple(dict.fromkeys(names)),
    )


class FactsOfClip:
    """The properties of a clip's first frame, with the side data of frames 0, 1, 2, 4, 8 ...: captions may start
    late."""

    def __init__(self) -> None:
        self._kinds: set[tuple[Type, bytes]] = set()
        self._facts: FrameFacts | None = None

    def look(self, index: int, picture: av.VideoFrame) -> None:
        """Add a frame; other frame numbers and kinds already seen cost nothing."""
        if index & (index - 1):
            return
        kinds = _kinds_of(picture)
        if self._facts is not None and kinds <= self._kinds:
            return
        self._kinds |= kinds
        facts = frame_facts(picture)
        if self._facts is None:
            self._facts = facts
        names = dict.fromkeys((*self._facts.side_data, *facts.side_data))
        self._facts = replace(self._facts, side_data=tuple(names))

    @property
    def facts(self) -> FrameFacts:
        """The first frame's properties; there must have been one."""
        assert self._facts is not None
        return self._facts


def side_data_of(picture: av.VideoFrame) -> dict[Type, SideData]:
    """Return the side data that PyAV knows, by its kind."""
    return {data.type: data for data in _known_side_data(picture)}


def _kinds_of(picture: av.VideoFrame) -> set[tuple[Type, bytes]]:
    """Return the kinds of side data that PyAV knows; user data with the UUID that identifies its owner."""
    return {
        (data.type, bytes(data)[:16] if data.type is Type.SEI_UNREGISTERED else b"")
        for data in _known_side_data(picture)
    }


def _known_side_data(picture: av.VideoFrame) -> list[SideData]:
    with contextlib.suppress(ValueError):
        return list(picture.side_data)
    return list(_without_unknown_kinds(picture).side_data)


def _without_unknown_kinds(picture: av.VideoFrame) -> av.VideoFrame:
    known = {kind.value for kind in Type}
    graph = av.filter.Graph()
    last = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
    )
    for number in set(range(_KINDS_OF_FFMPEG)) - known:
        delete = graph.add("sidedata", f"mode=delete:type={number}")
        last.link_to(delete)
        last = delete
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(picture)
    cleaned = graph.pull()
    assert isinstance(cleaned, av.VideoFrame)
    return cleaned


def display_matrix_of(side_data: dict[Type, SideData]) -> tuple[int, ...] | None:
    """Return the nine values as stored (16.16 and 2.30 fixed point), or None."""
    data = side_data.get(Type.DISPLAYMATRIX)
    return None if data is None else _integers(data, 9)


def mastering_display_of(side_data: dict[Type, SideData]) -> tuple[Fraction, ...] | None:
    """Return ten values as in ``VideoInfo.mastering_display``, or None where missing or incomplete."""
    data = side_data.get(Type.MASTERING_DISPLAY_METADATA)
    if data is None:
        return None
    # AVMasteringDisplayMetadata: ten fractions, then whether there are primaries and luminances.
    *parts, has_primaries, has_luminance = _integers(data, 22)
    if not (has_primaries and has_luminance) or 0 in parts[1::2]:
        return None
    return tuple(Fraction(above, below) for above, below in zip(parts[::2], parts[1::2], strict=True))


def content_light_of(side_data: dict[Type, SideData]) -> tuple[int, ...] | None:
    """Return the two values of the content light level, or None."""
    data = side_data.get(Type.CONTENT_LIGHT_LEVEL)
    return None if data is None else _integers(data, 2)


def _integers(data: SideData, number: int) -> tuple[int, ...]:
    return tuple(int(value) for value in np.frombuffer(bytes(data), np.int32, number))
