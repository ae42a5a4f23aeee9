"""Metadata beside the pictures: kept, or named in a warning; and results that play where the source played."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.encode import EncodedFile, encode_clip
from pipeline.media.kept_metadata import PROVENANCE
from pipeline.media.side_data import side_data_of
from pipeline.settings import OutputSettings
from tests.support.media import ClipSpec, make_clip, spec

_MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10 = ClipSpec(
    "hdr10", codec="libx265", pix_fmt="yuv420p10le", colors=(1, 9, 9, 16),
    options={"preset": "ultrafast", "x265-params": f"log-level=none:master-display={_MASTERING}:max-cll=1000,400"},
)  # fmt: skip


def encoded(clip: Clip, folder: Path, codec: str = "auto") -> EncodedFile:
    settings = OutputSettings(codec=codec, encoder_preset="ultrafast")  # type: ignore[arg-type]
    return encode_clip(clip.frames(), clip, folder / "result", settings)


@pytest.mark.parametrize("codec", ["auto", "h264"])
def test_hdr10_metadata_is_in_the_first_frame(tmp_path: Path, codec: str) -> None:
    clip = open_clip(make_clip(tmp_path, HDR10))
    assert clip.info.mastering_display is not None
    assert clip.info.mastering_display[8:] == (Fraction(1, 200), 1000)
    result = encoded(clip, tmp_path, codec)
    assert result.warnings == ()
    with av.open(str(result.path)) as container:
        kinds = side_data_of(next(container.decode(video=0)))
    assert Type.MASTERING_DISPLAY_METADATA in kinds and Type.CONTENT_LIGHT_LEVEL in kinds
    info = open_clip(result.path).info
    assert info.mastering_display == clip.info.mastering_display
    assert info.content_light == clip.info.content_light == (1000, 400)


def test_formats_that_ffv1_cannot_hold_are_named(tmp_path: Path) -> None:
    info = open_clip(make_clip(tmp_path, replace(HDR10, pix_fmt="yuv420p12le"))).info
    clip = open_clip(info.path)
    warnings = encoded(clip, tmp_path).warnings
    named = [warning for warning in warnings if "Not in the result" in warning]
    assert named == ["Not in the result: Mastering display metadata, Content light level metadata."]


TEN_BIT = {
    "hevc": (replace(HDR10, name="hevc", colors=(1, 1, 1, 1), options={"x265-params": "log-level=none"}), "hevc"),
    "hevc_422": (replace(HDR10, name="hevc_422", pix_fmt="yuv422p10le"), "hevc"),
    "av1": (replace(HDR10, name="av1", codec="libsvtav1", options={"preset": "12"}, colors=(1, 1, 1, 1)), "hevc"),
    "h264": (replace(spec("ten_bit"), name="h264"), "h264"),
    "hevc_8_bit": (replace(HDR10, name="hevc_8_bit", pix_fmt="yuv420p", colors=(1, 1, 1, 1)), "h264"),
}


@pytest.mark.parametrize("name", TEN_BIT)
def test_ten_bits_play_where_the_source_played(tmp_path: Path, name: str) -> None:
    of, codec = TEN_BIT[name]
    clip = open_clip(make_clip(tmp_path, replace(of, pts=of.pts[:6])))
    for setting in ("auto", "h264"):
        result = encoded(clip, tmp_path, setting)
        with av.open(str(result.path)) as container:
            context = container.streams.video[0].codec_context
            expected = codec if setting == "auto" else "h264"
            assert (context.name, context.codec_tag) == (expected, {"hevc": "hvc1", "h264": "avc1"}[expected])
            assert context.pix_fmt == of.pix_fmt
        info = open_clip(result.path).info
        assert info.pts.tolist() == clip.info.pts.tolist()
        assert (info.color_matrix, info.color_transfer) == (clip.info.color_matrix, clip.info.color_transfer)
        assert clip.info.chroma_location in (0, info.chroma_location)


def test_hevc_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    clip = open_clip(make_clip(tmp_path, replace(HDR10, size_wh=(320, 192), pts=tuple(range(0, 30 * 512, 512)))))
    assert len({encoded(clip, tmp_path).path.read_bytes() for _ in range(3)}) == 1


def remuxed(source: Path, target: Path, *, alter: object = None) -> Path:
    """Copy a file's streams with the metadata, chapters and stream tags that ``alter`` (output, video) gives them."""
    flags = {"movflags": "use_metadata_tags"} if target.suffix in (".mp4", ".mov") else {}
    with av.open(str(source)) as given, av.open(str(target), "w", container_options=flags) as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        alter(output, copies[given.streams.video[0].index])  # type: ignore[operator]
        for packet in given.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    return target


def with_chapters(output: av.container.OutputContainer, video: av.VideoStream) -> None:
    output.set_chapters(
        [
            {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
            {"id": 2, "start": 400, "end": 800, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
        ]
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("start", "spans"), [(None, [(0, 0.4), (0.4, 0.8)]), (0.2, [(0, 0.2), (0.2, 0.6)])])
def test_chapters_are_copied(
    tmp_path: Path, suffix: str, start: float | None, spans: list[tuple[float, float]]
) -> None:
    path = remuxed(make_clip(tmp_path, spec("mkv")), tmp_path / f"chapters{suffix}", alter=with_chapters)
    result = encoded(open_clip(path, start_s=start), tmp_path)
    assert result.warnings == ()
    with av.open(str(result.path)) as container:
        chapters = container.chapters()
    got = [(float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"])) for c in chapters]
    assert np.allclose(got, spans, atol=0.002)
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["one", "two"]


TAGS = {
    "title": "A walk", "comment": "mine", "artist": "me", "location": "+48.8577+002.2950/",
    "com.apple.quicktime.make": "Apple", "com.android.version": "15", "creation_time": "2024-07-10T20:30:23.000000Z",
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_sources_tags_stay_and_provenance_has_its_own(tmp_path: Path, suffix: str) -> None:
    def alter(output: av.container.OutputContainer, video: av.VideoStream) -> None:
        output.metadata.update(TAGS)

    path = remuxed(make_clip(tmp_path, spec("mkv")), tmp_path / f"tags{suffix}", alter=alter)
    result = encoded(open_clip(path), tmp_path)
    with av.open(str(result.path)) as container:
        metadata = {key.lower(): value for key, value in container.metadata.items()}
    assert {key: metadata.get(key) for key in TAGS} == TAGS
    assert metadata["provenance"] == PROVENANCE


@pytest.mark.parametrize(
    ("start", "timecode", "kept"),
    [
        (None, "01:02:03:04", "01:02:03:04"),
        (0.6, "01:02:03:20", "01:02:04:10"),
        (0.6, "01:02:03;20", None),
    ],
)
def test_the_timecode_is_kept_and_moves_with_the_start(
    tmp_path: Path, start: float | None, timecode: str, kept: str | None
) -> None:
    def alter(output: av.container.OutputContainer, video: av.VideoStream) -> None:
        video.metadata["timecode"] = timecode

    path = remuxed(make_clip(tmp_path, spec("mkv")), tmp_path / "timecode.mkv", alter=alter)
    result = encoded(open_clip(path, start_s=start), tmp_path)
    with av.open(str(result.path)) as container:
        assert container.streams.video[0].metadata.get("timecode") == kept
    assert result.warnings == (() if kept else ("Not in the result: the timecode.",))
    if kept:
        # The source has a timecode track as cameras write it, which is read and not reported as lost.
        (tmp_path / "again").mkdir()
        again = encoded(open_clip(result.path), tmp_path / "again")
        assert again.warnings == ()


def test_alpha_of_vp9_is_named(tmp_path: Path) -> None:
    def alter(output: av.container.OutputContainer, video: av.VideoStream) -> None:
        video.metadata["alpha_mode"] = "1"

    of = replace(spec("mkv"), name="vp9", suffix=".webm", codec="libvpx-vp9", audio=None, options={"cpu-used": "4"})
    path = remuxed(make_clip(tmp_path, of), tmp_path / "alpha.webm", alter=alter)
    assert encoded(open_clip(path), tmp_path).warnings == ("Not in the result: the alpha channel.",)


def sei(kind: int, payload: bytes) -> bytes:
    """An H.264 NAL unit of supplemental enhancement information, with its length before it."""
    body = bytes([6, kind, len(payload)]) + payload + b"\x80"
    return struct.pack(">I", len(body)) + body


CAPTIONS = b"\xb5\x00\x31GA94\x03\xc1\xff\xfc\x94\x2c\xff"
"""ATSC A/53 part 4: user data of CEA-608, one pair of bytes."""
AMBIENT = struct.pack(">IHH", 314_0000, 15635, 16450)


@pytest.mark.parametrize(
    ("kind", "payload", "frame", "name"),
    [
        (4, CAPTIONS, 0, "ATSC A53 Part 4 Closed Captions"),
        (4, CAPTIONS, 7, "ATSC A53 Part 4 Closed Captions"),
        (148, AMBIENT, 0, "Ambient viewing environment"),
        (5, bytes(range(16)) + b"telemetry", 0, "H.26[45] User Data Unregistered SEI message"),
        (5, bytes(range(16)) + b"telemetry", 8, "H.26[45] User Data Unregistered SEI message"),
    ],
    ids=["captions", "late_captions", "ambient", "user_data", "late_user_data"],
)
def test_side_data_between_pictures_is_named(tmp_path: Path, kind: int, payload: bytes, frame: int, name: str) -> None:
    source = make_clip(tmp_path, replace(spec("cfr"), audio=None, options={"crf": "30", "bf": "0"}))
    path = tmp_path / "carries.mp4"
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        video = given.streams.video[0]
        copy = output.add_stream_from_template(video)
        for number, packet in enumerate(packet for packet in given.demux(video) if packet.size):
            with_sei = av.Packet((sei(kind, payload) if number >= frame else b"") + bytes(packet))
            with_sei.pts = packet.pts
            with_sei.dts = packet.dts
            with_sei.duration = packet.duration
            with_sei.time_base = packet.time_base
            with_sei.is_keyframe = packet.is_keyframe
            with_sei.stream = copy
            output.mux(with_sei)
    clip = open_clip(path)
    assert encoded(clip, tmp_path).warnings == (f"Not in the result: {name}.",)
    assert encoded(open_clip(source), tmp_path).warnings == ()


@pytest.mark.parametrize("matrix", [None, (0, 1, -1, 0), (-1, 0, 0, 1)])
@pytest.mark.parametrize("audio", [None, "pcm_s16le", "aac"])
def test_pixels_that_are_not_square_stay_so_in_ffv1(
    tmp_path: Path, audio: str | None, matrix: tuple[int, int, int, int] | None
) -> None:
    of = ClipSpec("dv", suffix=".mov", codec="dvvideo", pix_fmt="yuv411p", size_wh=(720, 480), options={}, audio=audio,
                  time_base=Fraction(1, 30000), pts=tuple(range(0, 3003, 1001)), last_duration=1001,
                  sar=Fraction(8, 9), colors=(1, 6, 6, 6), display_matrix=matrix)  # fmt: skip
    clip = open_clip(make_clip(tmp_path, of))
    assert clip.info.sample_aspect_ratio == Fraction(8, 9)
    result = open_clip(encoded(clip, tmp_path).path)
    assert result.info.codec == "ffv1"
    assert result.info.sample_aspect_ratio == Fraction(8, 9)
    assert result.info.display_matrix == clip.info.display_matrix
    # MKV counts in ms; sound that begins before 0 moves nothing.
    apart = result.info.pts_seconds + float(result.info.pts[0] * result.info.time_base) - clip.info.pts_seconds
    assert np.abs(apart).max() <= 0.0006
    assert len(result.info.audio) == len(clip.info.audio)
    for old, new in zip(clip.frames(), result.frames(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(old.planes, new.planes, strict=True))
