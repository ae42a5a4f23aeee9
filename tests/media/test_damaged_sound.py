"""Audio that a muxer refuses costs some packets, not the result."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import av

from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.settings import OutputSettings
from tests.support.media import make_clip, spec


def _sound(path: Path) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.audio[0])
        return [(packet.pts, packet.pos, bytes(packet)) for packet in packets if packet.size]


def _times_fall_back(path: Path, first: int, last: int) -> list[bytes]:
    """Set the times of the sound packets ``first`` to ``last`` (exclusive) in a Matroska file to 0.

    Returns the packets that keep their time.
    """
    data = bytearray(path.read_bytes())
    packets = _sound(path)
    stored = struct.pack(">h", 0)
    for _, position, payload in packets[first:last]:
        # A block: its number of track, its time in the cluster, one byte of flags, the payload.
        start = data.index(payload, position) - 3
        data[start : start + 2] = stored
    path.write_bytes(data)
    return [payload for number, (_, _, payload) in enumerate(packets) if not first <= number < last]


def test_packets_with_decreasing_times_are_dropped_with_a_warning(tmp_path: Path) -> None:
    path = make_clip(tmp_path, spec("mkv"))
    kept = _times_fall_back(path, 20, 23)
    times = [pts for pts, _, _ in _sound(path)]
    assert any(after < before for before, after in pairwise(times)), "the file is damaged"
    clip = open_clip(path)
    written = encode_clip(clip.frames(), clip, tmp_path / "copy", OutputSettings())
    assert written.path.suffix == ".mp4"
    assert [payload for _, _, payload in _sound(written.path)] == kept
    assert [warning for warning in written.warnings if "lacks 3 damaged packets" in warning]


def test_sound_of_an_unknown_rate_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = make_clip(tmp_path, spec("mkv"))
    data = bytearray(path.read_bytes())
    # AAC's own header (5 bits of type, 4 bits of rate) in Matroska's CodecPrivate; 13 is no rate.
    place = data.index(b"\x63\xa2") + 3
    while data[place : place + 2] != b"\x11\x90":
        place += 1
    data[place : place + 2] = b"\x16\x90"
    # And the container's own rate, a double behind 0xB5.
    rate = data.index(b"\xb5\x88" + struct.pack(">d", 48000.0))
    data[rate + 2 : rate + 10] = bytes(8)
    path.write_bytes(data)
    clip = open_clip(path)
    written = encode_clip(clip.frames(), clip, tmp_path / "copy", OutputSettings())
    with av.open(str(written.path)) as container:
        assert not container.streams.audio and container.streams.video[0].frames == clip.info.num_frames
    assert any("is not in the result" in warning for warning in written.warnings)
