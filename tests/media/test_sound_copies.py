"""Audio that a muxer refuses, and audio and pictures hidden by an edit list."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import EncodeFailed
from pipeline.media.containers import failures_told
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.settings import OutputSettings
from tests.support.media import ClipSpec, make_clip, spec

AMR_SILENCE = bytes([0x3C]) + bytes(31)
"""A frame of AMR at 12.2 kbit/s: 32 bytes, 20 ms."""
Box = tuple[int, int]
"""Where a box's content begins and ends."""


def boxes(data: bytes, name: bytes, start: int = 0, stop: int | None = None) -> Iterator[Box]:
    """Yield the boxes of a name anywhere in a stretch of an MP4 file."""
    stop = len(data) if stop is None else stop
    while start + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8:
            return
        if kind == name:
            yield start + 8, start + size
        elif kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"):
            yield from boxes(data, name, start + 8, start + size)
        start += size


def track_of(data: bytes, kind: bytes) -> Box:
    """Return the track of ``vide`` or ``soun``."""
    for track in boxes(data, b"trak"):
        handler = next(boxes(data, b"hdlr", *track))
        if data[handler[0] + 8 : handler[0] + 12] == kind:
            return track
    raise AssertionError(f"no track of {kind!r}")


def with_amr(folder: Path, frames_a_packet: int) -> Path:
    """A 3GP file as old phones write it: several frames of AMR in one sample, which FFmpeg's muxer refuses."""
    source = make_clip(folder, replace(spec("silent"), name="picture"))
    path = folder / f"amr{frames_a_packet}.3gp"
    with av.open(str(source)) as given, av.open(str(path), "w", format="3gp") as output:
        copy = output.add_stream_from_template(given.streams.video[0])
        sound = output.add_mux_stream("amrnb", rate=8000)
        sound.time_base = Fraction(1, 8000)
        packets = [packet for packet in given.demux(video=0) if packet.size]
        for packet in packets:
            packet.stream = copy
            output.mux(packet)
        for number in range(20):
            packet = av.Packet(AMR_SILENCE)
            packet.pts = packet.dts = number * 160
            packet.duration = 160
            packet.time_base = Fraction(1, 8000)
            packet.stream = sound
            output.mux(packet)
    data = bytearray(path.read_bytes())
    track = track_of(data, b"soun")
    times = next(boxes(data, b"stts", *track))[0]
    struct.pack_into(">II", data, times + 8, 20 // frames_a_packet, 160 * frames_a_packet)
    sizes = next(boxes(data, b"stsz", *track))[0]
    struct.pack_into(">II", data, sizes + 4, 32 * frames_a_packet, 20 // frames_a_packet)
    chunks = next(boxes(data, b"stsc", *track))[0]
    for entry in range(struct.unpack_from(">I", data, chunks + 4)[0]):
        place = chunks + 8 + 12 * entry + 4
        samples = struct.unpack_from(">I", data, place)[0]
        struct.pack_into(">I", data, place, samples // frames_a_packet)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("frames_a_packet", [1, 2, 4])
def test_amr_in_pairs_is_left_out_with_a_warning(tmp_path: Path, frames_a_packet: int) -> None:
    clip = open_clip(with_amr(tmp_path, frames_a_packet))
    with av.open(str(clip.info.path)) as container:
        assert {packet.size for packet in container.demux(audio=0)} - {0} == {32 * frames_a_packet}
    result = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    info = open_clip(result.path).info
    assert info.num_frames == clip.info.num_frames
    refused = frames_a_packet > 1
    assert len(info.audio) == (0 if refused else 1)
    assert result.warnings == (("Stream 1 (audio, amrnb) is not in the result.",) if refused else ())


def test_a_refused_packet_loses_only_itself(tmp_path: Path) -> None:
    """One AMR frame whose header claims more bytes than the packet has."""
    path = with_amr(tmp_path, 1)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    # Mode 0 is 13 bytes long: the muxer sees a packet of several frames.
    data[packets[7].pos] = 0x04
    path.write_bytes(data)
    clip = open_clip(path)
    result = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    with av.open(str(result.path)) as container:
        kept = [packet.pts for packet in container.demux(audio=0) if packet.size]
    assert len(kept) == len(packets) - 1
    assert result.warnings == ("Stream 1 of the result lacks 1 damaged packets that its container refuses.",)


def test_no_path_is_in_a_message(tmp_path: Path) -> None:
    clip = open_clip(make_clip(tmp_path, replace(spec("silent"), pts=(0, 512))))
    with pytest.raises(EncodeFailed) as caught:
        encode_clip(clip.frames(), clip, tmp_path / "no folder" / "result", OutputSettings())
    assert str(tmp_path) not in caught.value.message and "no folder" not in caught.value.message
    with pytest.raises(EncodeFailed) as caught, failures_told():
        (tmp_path / "missing").replace(tmp_path / "other")
    assert str(tmp_path) not in caught.value.message


LOUD = ClipSpec("loud", pts=tuple(range(0, 30 * 512, 512)), options={"crf": "30", "bf": "2", "g": "10"})


def edit_list(path: Path, kind: bytes, edits: list[tuple[float, float | None]]) -> Path:
    """Give a track of an MP4 file this edit list: lengths in s, and where in the media each begins (None: nothing)."""
    data = bytearray(path.read_bytes())
    header = next(boxes(data, b"mvhd"))[0]
    movie_scale = struct.unpack_from(">I", data, header + 12)[0]
    track = track_of(data, kind)
    media = next(boxes(data, b"mdhd", *track))[0]
    media_scale = struct.unpack_from(">I", data, media + 12)[0]
    old = next(boxes(data, b"edts", *track), None)
    entries = b"".join(
        struct.pack(">IiI", round(length * movie_scale), -1 if begin is None else round(begin * media_scale), 0x10000)
        for length, begin in edits
    )
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, len(edits)) + entries
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    place = track[0] if old is None else old[0] - 8
    removed = 0 if old is None else old[1] - place
    if old is None:
        # After the track's header.
        place += struct.unpack_from(">I", data, track[0])[0]
    growth = len(edts) - removed
    moov = next(boxes(data, b"moov"))[0] - 8
    assert data.index(b"mdat") < moov, "offsets into the media do not move"
    for start in (moov, track[0] - 8):
        struct.pack_into(">I", data, start, struct.unpack_from(">I", data, start)[0] + growth)
    data[place : place + removed] = edts
    path.write_bytes(data)
    return path


def audible(path: Path, rate: int = 48000) -> tuple[float, float]:
    """Return when a file's sound begins and ends to be heard, s, as FFmpeg plays it."""
    begin, end = np.inf, -np.inf
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()).max(axis=0) > 0.02)
            if len(loud) and frame.time is not None:
                begin = min(begin, frame.time + loud[0] / rate)
                end = max(end, frame.time + loud[-1] / rate)
    return float(begin), float(end)


@pytest.mark.parametrize(
    "edits",
    [
        [(0.5, None), (0.6, 0.2)],
        [(0.8, 0.1)],
        [(0.3, None), (0.5, 0.0)],
    ],
    ids=["late_and_trimmed", "trimmed", "late"],
)
def test_sound_that_an_edit_list_hides_stays_hidden(tmp_path: Path, edits: list[tuple[float, float | None]]) -> None:
    path = edit_list(make_clip(tmp_path, LOUD), b"soun", edits)
    clip = open_clip(path)
    result = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings())
    assert result.warnings == ()
    begin, end = audible(result.path)
    expected_begin, expected_end = audible(path)
    frame_of_aac = 1024 / 48000
    assert abs(begin - expected_begin) <= frame_of_aac
    assert abs(end - expected_end) <= frame_of_aac
    late = sum(length for length, start in edits if start is None)
    # The encoder's own priming is a frame of silence.
    assert abs(begin - late) <= 2 * frame_of_aac


@pytest.mark.parametrize(
    "edits",
    [
        [(0.3, 0.0), (0.3, 0.5)],
        [(0.2, None), (0.3, 0.1), (0.2, 0.6)],
        [(0.5, 0.2)],
        [(0.3, 0.5), (0.3, 0.0)],
        [(0.4, 0.0), (0.4, 0.0)],
    ],
    ids=["two_parts", "late_two_parts", "trimmed", "swapped", "repeated"],
)
def test_pictures_of_an_edit_list_are_what_a_player_shows(
    tmp_path: Path, edits: list[tuple[float, float | None]]
) -> None:
    path = edit_list(make_clip(tmp_path, replace(LOUD, audio=None, options={"g": "10", "bf": "0"})), b"vide", edits)
    clip = open_clip(path)
    assert clip.info.warnings == ()
    late = sum(length for length, start in edits if start is None)
    shown = sum(length for length, start in edits if start is not None)
    assert abs(float(clip.info.pts[0] * clip.info.time_base) - late) < 1e-6
    assert clip.info.num_frames == round(shown * 30)
    with av.open(str(path)) as container:
        expected = [(frame.pts, bytes(frame.planes[0])) for frame in container.decode(video=0)]
    assert clip.info.pts.tolist() == [pts for pts, _ in expected]
    assert [frame.pts for frame in clip.frames()] == clip.info.pts.tolist()
