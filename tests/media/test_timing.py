"""Wrong rates, repeated time stamps, ranges that start between keyframes, hidden frames."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.hidden_frames import is_hidden
from pipeline.media.timing import last_duration, measured_rate, mended_stamps
from pipeline.settings import OutputSettings
from tests.support.media import ClipSpec, make_clip, spec

MS = Fraction(1, 1000)
STEADY = list(range(0, 3000, 33))


@pytest.mark.parametrize(
    ("pts", "stated", "rate"),
    [
        (STEADY, Fraction(1000), 30.3),
        (STEADY, Fraction(30000, 1001), 29.97),
        (STEADY, None, 30.3),
        (STEADY, Fraction(1), 30.3),
        ([*STEADY, 60_000, *(60_000 + t for t in STEADY[1:])], Fraction(1000), 30.3),
        ([t for t in range(0, 3000, 50) for t in (t, t + 17)], Fraction(1000), 40.0),
        ([5], Fraction(24), 24.0),
        ([5], None, 25.0),
    ],
    ids=["lying", "true", "none", "slow", "pause", "jitter", "one_frame", "one_frame_untold"],
)
def test_the_rate_is_what_the_time_stamps_say(pts: list[int], stated: Fraction | None, rate: float) -> None:
    measured = measured_rate(np.array(sorted(set(pts))), MS, stated)
    assert abs(float(measured) - rate) < 0.02 * rate


def test_the_last_frames_duration_is_believed_where_the_others_are_right() -> None:
    pts = np.arange(0, 400, 40)
    assert last_duration([40] * 9 + [80], pts, Fraction(25), MS) == 80
    assert last_duration([1] * 10, pts, Fraction(25), MS) == 40
    assert last_duration([0] * 10, pts, Fraction(25), MS) == 40


def level_of(path: Path) -> int:
    with av.open(str(path)) as container:
        # avcC: version, profile, compatibility, level.
        return int(container.streams.video[0].codec_context.extradata[3])


def test_a_wrong_stated_rate_changes_nothing(tmp_path: Path) -> None:
    honest = replace(spec("mkv"), name="honest", size_wh=(320, 192), audio=None)
    lying = replace(honest, name="lying", stated_rate=1000)
    clips = [open_clip(make_clip(tmp_path, of)) for of in (honest, lying)]
    with av.open(str(clips[1].info.path)) as container:
        assert container.streams.video[0].average_rate == 1000, "the file lies"
    assert clips[0].info.frame_rate == clips[1].info.frame_rate == 25
    assert clips[0].info.durations.tolist() == clips[1].info.durations.tolist()
    results = [encode_clip(clip.frames(), clip, tmp_path / clip.info.path.stem, OutputSettings()) for clip in clips]
    assert level_of(results[1].path) == level_of(results[0].path) <= 13


@pytest.mark.parametrize(
    ("stamps", "mended", "number"),
    [
        ([0, 40, 40, 120], [0, 40, 80, 120], 1),
        ([0, 17, 50, 50, 117, 117, 150], [0, 17, 50, 84, 117, 134, 150], 2),
        ([0, 40, 1000, 120, 160], [0, 40, 80, 120, 160], 1),
        ([0, None, 80, 120], [0, 40, 80, 120], 1),
        ([None, 40, 80, 120], [0, 40, 80, 120], 1),
        ([0, 40, 80, 80], [0, 40, 80, 120], 1),
        ([0, 40, 40, 41, 80], [0, 40, 41, 42, 80], 1),
        ([0, 40, 40, 40, 160], [0, 40, 80, 120, 160], 2),
    ],
)
def test_only_non_increasing_time_stamps_are_repaired(stamps: list[int | None], mended: list[int], number: int) -> None:
    got = mended_stamps(stamps, 40)
    assert got is not None
    assert (got[0].tolist(), got[1]) == (mended, number)


@pytest.mark.parametrize("stamps", [[0] * 8, [None] * 4, [7, 6, 5, 4]])
def test_unusable_time_stamps_are_discarded(stamps: list[int | None]) -> None:
    assert mended_stamps(stamps, 40) is None


def repeat_stamps(path: Path, frames: list[int]) -> None:
    """Give frames of a Matroska file with one block a frame the time of the frame before."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pts, p.pos, bytes(p)) for p in container.demux(video=0) if p.size]
    for index in frames:
        _, position, payload = packets[index]
        start = data.index(payload, position) - 3
        _, other, payload = packets[index - 1]
        before = data.index(payload, other) - 3
        data[start : start + 2] = data[before : before + 2]
    path.write_bytes(data)


def test_repeated_time_stamps_do_not_change_the_others(tmp_path: Path) -> None:
    times = tuple(np.cumsum([0, 17, 50, 33, 16, 51, 34, 33, 17, 49, 40, 33, 60, 20]).tolist())
    of = replace(spec("mkv"), name="twice", pts=times, audio=None, options={"crf": "20", "bf": "0", "g": "4"})
    path = make_clip(tmp_path, of)
    repeat_stamps(path, [3, 9])
    clip = open_clip(path)
    expected = list(times)
    expected[3] = round((times[2] + times[4]) / 2)
    expected[9] = round((times[8] + times[10]) / 2)
    assert clip.info.pts.tolist() == expected
    assert [warning for warning in clip.info.warnings if "2 of the frames' 14 time stamps" in warning]
    every = list(clip.frames())
    assert [frame.pts for frame in every] == expected
    for start in range(len(times)):
        got = next(clip.frames(start))
        assert got.index == start
        assert np.array_equal(got.planes[0], every[start].planes[0])
    trimmed = open_clip(path, start_s=0.1)
    assert trimmed.info.pts.tolist() == [time for time in expected if time >= 100]


RANGES = {
    "intra_refresh": {"x264-params": "intra-refresh=1:keyint=10:bframes=0:open-gop=0"},
    "open_gop": {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=3:b-adapt=0:scenecut=0"},
    "closed": {"g": "8", "bf": "2"},
    "hevc_open_gop": {"x265-params": "log-level=none:open-gop=1:keyint=10:min-keyint=10:bframes=3"},
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", RANGES)
def test_a_range_is_exact_from_its_first_frame(tmp_path: Path, kind: str, suffix: str) -> None:
    time_base = MS if suffix == ".mkv" else Fraction(1, 12800)
    step = int(40 * MS / time_base)
    options = {"preset": "veryfast", "crf": "18", **RANGES[kind]}
    codec = "libx265" if kind.startswith("hevc") else "libx264"
    of = ClipSpec(kind, suffix=suffix, codec=codec, size_wh=(160, 96), time_base=time_base,
                  pts=tuple(range(0, 60 * step, step)),
                  last_duration=step, options=options, audio=None)  # fmt: skip
    path = make_clip(tmp_path, of)
    whole = open_clip(path)
    assert whole.info.warnings == ()
    every = list(whole.frames())
    for first in (1, 9, 17, 30, 39, 59):
        clip = open_clip(path, start_s=first * 0.04)
        assert clip.info.warnings == (), first
        assert clip.info.pts.tolist() == whole.info.pts.tolist()[first:]
        for frame, same in zip(clip.frames(), every[first:], strict=True):
            assert np.array_equal(frame.planes[0], same.planes[0]), (first, frame.index)
        assert np.array_equal(next(whole.frames(first)).planes[0], every[first].planes[0])


def hide_keyframes(path: Path, codec: str) -> int:
    """Clear show_frame in the header of each keyframe of a file; returns how many there are."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        keys = [(p.pos, bytes(p)) for p in container.demux(video=0) if p.size and p.is_keyframe]
    for position, payload in keys:
        data[data.index(payload, position)] &= ~(0x10 if codec == "libvpx" else 0x02)
    path.write_bytes(data)
    return len(keys)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("libvpx", "yuv420p"), ("libvpx-vp9", "yuv420p"), ("libvpx-vp9", "yuv444p")]
)
def test_hidden_frames_are_no_damage(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    options = {"deadline": "realtime", "cpu-used": "4", "g": "10"}
    of = ClipSpec("hidden", suffix=".webm", codec=codec, pix_fmt=pix_fmt, time_base=MS, audio=None,
                  pts=tuple(range(0, 40 * 40, 40)), last_duration=40, options=options)  # fmt: skip
    path = make_clip(tmp_path, of)
    hidden = hide_keyframes(path, codec)
    assert hidden >= 4
    clip = open_clip(path)
    assert clip.info.num_frames == 40 - hidden
    assert clip.info.warnings == ()
    assert [frame.pts for frame in clip.frames()] == clip.info.pts.tolist()


SHOWN = b"\x86\x00"
HIDDEN = b"\x84\x00"


@pytest.mark.parametrize(
    ("data", "hidden"),
    [
        (SHOWN, False),
        (HIDDEN, True),
        # Profiles 1, 2 and 3; then the bit show_existing_frame.
        (b"\xa6", False),
        (b"\xa4", True),
        (b"\x96", False),
        (b"\x94", True),
        (b"\xb3", False),
        (b"\xb2", True),
        (b"\x88", False),
        (b"\xb4", False),
        # A superframe of a hidden and a shown frame, one of two hidden ones, and one that is no superframe after all.
        (HIDDEN + SHOWN + b"\xc1\x02\x02\xc1", False),
        (HIDDEN + HIDDEN + b"\xc1\x02\x02\xc1", True),
        (HIDDEN + b"\xc1", True),
    ],
)
def test_the_header_of_vp9_marks_hidden_frames(data: bytes, hidden: bool) -> None:
    assert is_hidden(av.Packet(data), "vp9") is hidden
    assert not is_hidden(av.Packet(data), "h264")
