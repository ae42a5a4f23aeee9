"""Opening and reading clips: exact times, planes, views, trims, caps, damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.settings import LimitSettings
from tests.support.media import FFV1_SPECS, SPECS, ClipSpec, make_clip, spec, spoil_middle, truncate

SAMPLE = Path(__file__).parents[2] / "assets" / "walk_a" / "sample.mp4"
LONG = ClipSpec("long", pts=tuple(range(0, 120 * 512, 512)), options={"crf": "23", "g": "20"})
Shelf = Callable[[ClipSpec], Path]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def get(of: ClipSpec) -> Path:
        if of.name not in made:
            made[of.name] = make_clip(folder, of)
        return made[of.name]

    return get


def plain_planes(path: Path) -> list[list[np.ndarray]]:
    """Decode with PyAV's own conversion: a second way to the samples of planar YUV."""
    with av.open(str(path)) as container:
        return [
            [
                np.frombuffer(plane, np.uint8)
                .reshape(-1, plane.line_size)[: plane.height, : plane.width * (2 if "le" in frame.format.name else 1)]
                .copy()
                for plane in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("of", [*SPECS, *FFV1_SPECS], ids=lambda of: of.name)
def test_times_and_tags_are_the_clips(shelf: Shelf, of: ClipSpec) -> None:
    info = open_clip(shelf(of)).info
    assert [pts * info.time_base for pts in info.pts.tolist()] == [pts * of.time_base for pts in of.pts]
    # With B-frames MP4 keeps the DTS distance, not the last frame's duration.
    if of.name != "vfr":
        assert info.durations[-1] * info.time_base == of.last_duration * of.time_base
    assert (info.durations[:-1] == np.diff(info.pts)).all()
    assert (info.width, info.height) == of.size_wh
    assert info.sample_aspect_ratio == (of.sar or 1)
    if of.name not in ("gray", "rgb"):
        assert (info.color_range, info.color_matrix, info.color_primaries, info.color_transfer) == of.colors
        assert info.pix_fmt.replace("yuvj", "yuv") == of.pix_fmt
    num_audio = 2 if of.second_audio else 1
    assert len(info.audio) == (0 if of.audio is None else num_audio)
    assert info.warnings == ()


@pytest.mark.parametrize("name", ["cfr", "ten_bit", "odd_444", "alpha", "rotated"])
def test_planes_are_the_coded_samples(shelf: Shelf, name: str) -> None:
    path = shelf(spec(name))
    for frame, expected in zip(open_clip(path).frames(), plain_planes(path), strict=True):
        for plane, samples in zip(frame.planes, expected, strict=True):
            assert np.array_equal(np.ascontiguousarray(plane).view(np.uint8), samples)


def test_planes_stay_valid_and_cannot_be_written(shelf: Shelf) -> None:
    clip = open_clip(shelf(LONG))
    kept = list(clip.frames())
    for frame, again in zip(kept, clip.frames(), strict=True):
        assert np.array_equal(frame.planes[0], again.planes[0])
    with pytest.raises(ValueError, match="read-only"):
        kept[0].planes[0][0, 0] = 1


@pytest.mark.parametrize(("rotation", "turns"), [(-90, 1), (180, 2), (90, 3)])
def test_rotation_is_clockwise_quarter_turns(tmp_path: Path, rotation: int, turns: int) -> None:
    clip = open_clip(make_clip(tmp_path, replace(spec("cfr"), rotation=rotation)))
    assert clip.info.quarter_turns == turns
    plain = open_clip(make_clip(tmp_path, replace(spec("cfr"), name="plain")))
    turned = next(clip.frames())
    upright = next(plain.frames())
    assert np.array_equal(rgb_of(turned), np.rot90(rgb_of(upright), -turns))


def check_same(frames: list, expected: list) -> None:
    assert [frame.pts for frame in frames] == [frame.pts for frame in expected]
    assert [frame.index for frame in frames] == [frame.index for frame in expected]
    assert all(np.array_equal(a.planes[1], b.planes[1]) for a, b in zip(frames, expected, strict=True))


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm", "avi"])
def test_reading_from_anywhere_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    coded = {
        "mp4": LONG,
        "mkv": replace(LONG, suffix=".mkv", time_base=spec("mkv").time_base, pts=tuple(range(0, 4800, 40))),
        "webm": replace(
            LONG, suffix=".webm", codec="libvpx", audio=None, time_base=spec("mkv").time_base,
            pts=tuple(range(0, 4800, 40)), options={"deadline": "realtime", "g": "20"},
        ),
        "avi": replace(
            LONG, suffix=".avi", codec="mpeg4", audio="pcm_s16le", time_base=Fraction(1, 25),
            options={"g": "12", "bf": "2"}, pts=tuple(range(120)), last_duration=1,
        ),
    }[name]  # fmt: skip
    clip = open_clip(make_clip(tmp_path, coded))
    every = list(clip.frames())
    assert len(every) == 120
    check_same(list(clip.frames(57, 63)), every[57:63])
    check_same(list(clip.frames(119)), every[119:])
    check_same(list(clip.frames(5, 5)), [])
    wanted = [0, 3, 41, 42, 110]
    check_same(list(clip.frames_at(wanted)), [every[index] for index in wanted])


def test_trim_is_half_open_and_keeps_source_times(shelf: Shelf) -> None:
    whole = open_clip(shelf(LONG))
    clip = open_clip(shelf(LONG), start_s=1.0, end_s=2.0)
    assert clip.info.num_frames == 30
    assert clip.info.pts[0] == 30 * 512
    assert clip.trim_offset == 30 * 512
    check_same([replace(frame, index=frame.index + 30) for frame in clip.frames()], list(whole.frames(30, 60)))
    with pytest.raises(InvalidInput) as caught:
        open_clip(shelf(LONG), start_s=100.0)
    assert caught.value.field == "start_s"


@pytest.mark.parametrize(
    "limits",
    [{"max_frames": 100}, {"max_side_px": 90}, {"max_megapixels": 0.006}, {"max_fps": 29.0}, {"max_bytes": 99}],
)
def test_caps(shelf: Shelf, limits: dict[str, float]) -> None:
    with pytest.raises(TooLarge):
        open_clip(shelf(LONG), LimitSettings(**limits))


def test_caps_count_the_range(shelf: Shelf) -> None:
    assert open_clip(shelf(LONG), LimitSettings(max_frames=100), end_s=2.0).info.num_frames == 60


@pytest.mark.parametrize(
    "content",
    [
        b"",
        os.urandom(4000),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nSECRET\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile SECRET\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        b"\x89PNG\r\n\x1a\n" + bytes(64),
    ],
    ids=["empty", "noise", "hls", "concat", "sdp", "dash", "png"],
)
def test_a_file_without_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content.replace(b"SECRET", str(SAMPLE).encode()))
    with pytest.raises(UnsupportedMedia):
        open_clip(path)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf\n<!DOCTYPE HTML>\n", b'<?xml version="1.0"?>\n<html>'])
def test_a_page_that_shows_a_video_is_told_from_a_damaged_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(UnsupportedMedia, match="a web page, not a video"):
        open_clip(path)


def test_a_missing_file_and_an_audio_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_clip(tmp_path / "nothing.mp4")
    assert caught.value.field == "video_url"
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        block.sample_rate = 48000
        output.mux([*stream.encode(block), *stream.encode(None)])
    with pytest.raises(UnsupportedMedia, match="no video"):
        open_clip(sound)


def damaged(shelf: Shelf, folder: Path, kind: str) -> Clip:
    source = shelf(LONG)
    if kind == "middle":
        return open_clip(spoil_middle(source, folder / "spoiled.mp4"))
    fast = folder / "fast.mp4"
    with av.open(str(source)) as given, av.open(str(fast), "w", container_options={"movflags": "+faststart"}) as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return open_clip(truncate(fast, folder / "broken.mp4", 0.6))


@pytest.mark.parametrize("kind", ["middle", "end"])
def test_damage_leaves_the_rest_and_a_warning(shelf: Shelf, tmp_path: Path, kind: str) -> None:
    clip = damaged(shelf, tmp_path, kind)
    assert 40 < clip.info.num_frames < 120
    assert clip.info.warnings
    for _ in range(2):
        assert [frame.pts for frame in clip.frames()] == clip.info.pts.tolist()
    assert set(clip.info.pts.tolist()) <= set(LONG.pts)


def test_a_file_without_its_index_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia):
        open_clip(truncate(shelf(LONG), tmp_path / "cut.mp4", 0.7))


def test_a_file_that_changes_is_noticed(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "changing.mp4"
    path.write_bytes(shelf(LONG).read_bytes())
    clip = open_clip(path)
    path.write_bytes(shelf(spec("cfr")).read_bytes())
    with pytest.raises(UnsupportedMedia):
        list(clip.frames())


def test_nothing_is_read_beyond_the_end_of_a_range(tmp_path: Path) -> None:
    path = make_clip(tmp_path, ClipSpec("long", pts=tuple(range(0, 400 * 512, 512)), audio=None))
    looks: list[int] = []
    part = open_clip(path, end_s=0.5, check=lambda: looks.append(1))
    assert part.info.num_frames == 15 and len(looks) < 150
    whole = open_clip(path)
    np.testing.assert_array_equal(part.info.pts, whole.info.pts[:15])


def test_reading_up_to_a_range_is_limited(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path, ClipSpec("long", ".mkv", time_base=Fraction(1, 1000), pts=tuple(range(0, 400 * 40, 40)), audio=None)
    )
    few = LimitSettings(max_frames=7)
    with pytest.raises(TooLarge):
        open_clip(path, few, start_s=15.9)
    assert open_clip(path, few, end_s=0.2).info.num_frames == 5
