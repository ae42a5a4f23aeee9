"""Which of several streams is the video, and side data unknown to PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av
import pytest
from av.sidedata.sidedata import Type
from av.stream import Disposition

from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.orientation import orientation_of
from pipeline.media.side_data import display_matrix_of, frame_facts, side_data_of
from pipeline.settings import OutputSettings


class Video(NamedTuple):
    size_wh: tuple[int, int]
    disposition: Disposition = Disposition(0)
    codec: str = "libx264"
    frames: int = 10


def several_videos(path: Path, videos: list[Video]) -> Path:
    with av.open(str(path), "w") as output:
        streams = []
        for video in videos:
            stream = output.add_stream(video.codec, rate=25)
            stream.width, stream.height = video.size_wh
            stream.pix_fmt = "yuvj420p" if video.codec == "mjpeg" else "yuv420p"
            stream.disposition = video.disposition
            streams.append(stream)
        for video, stream in zip(videos, streams, strict=True):
            for _ in range(video.frames):
                output.mux(stream.encode(av.VideoFrame(*video.size_wh, stream.pix_fmt)))
            output.mux(stream.encode(None))
    return path


MAIN = Video((128, 96), Disposition.default)
BOTH = (".mkv", ".mov")
CASES = {
    "preview_first": ([Video((64, 48)), MAIN], 1, BOTH),
    "default_is_smaller": ([Video((256, 192)), MAIN], 1, BOTH),
    # MOV marks the first one as default if none is.
    "no_default": ([Video((64, 48)), Video((128, 96)), Video((96, 64))], 1, (".mkv",)),
    "two_defaults": ([Video((64, 48), Disposition.default), MAIN], 1, BOTH),
    # Only MP4's muxer writes cover art; it comes back as the last stream.
    "cover_art": ([MAIN, Video((256, 192), Disposition.attached_pic, "mjpeg", 1)], 0, (".mp4",)),
    "the_first": ([MAIN, Video((128, 96)), Video((128, 96))], 0, BOTH),
}


@pytest.mark.parametrize(("name", "suffix"), [(name, suffix) for name in CASES for suffix in CASES[name][2]])
def test_the_video_is_the_one_that_players_show(tmp_path: Path, name: str, suffix: str) -> None:
    videos, chosen, _ = CASES[name]
    path = several_videos(tmp_path / f"clip{suffix}", videos)
    with av.open(str(path)) as container:
        assert [stream.disposition for stream in container.streams.video] == [video.disposition for video in videos]
    clip = open_clip(path)
    assert (clip.info.width, clip.info.height) == videos[chosen].size_wh
    assert clip.info.num_frames == videos[chosen].frames
    warnings = encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings()).warnings
    for number in range(len(videos)):
        assert any(f"Stream {number} (video" in warning for warning in warnings) == (number != chosen)


def test_side_data_unknown_to_pyav_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV that has never heard of a kind is had by taking a name away from it."""
    matrix = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, width=64, height=64)
        video.set_display_matrix(matrix)
        for _ in range(3):
            output.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(video.encode(None))
    members = {number: kind for number, kind in Type._value2member_map_.items() if kind is not Type.SEI_UNREGISTERED}
    monkeypatch.setattr(Type, "_value2member_map_", members)
    monkeypatch.setattr(
        Type, "_member_map_", {name: kind for name, kind in Type._member_map_.items() if kind in members.values()}
    )
    monkeypatch.setattr(Type, "_member_names_", [kind.name for kind in members.values()])
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    with pytest.raises(ValueError, match="not a valid Type"):
        len(picture.side_data)
    assert list(side_data_of(picture)) == [Type.DISPLAYMATRIX]
    assert display_matrix_of(side_data_of(picture)) == matrix
    assert "3x3 displaymatrix" in frame_facts(picture).side_data
    info = open_clip(path).info
    assert (info.num_frames, info.quarter_turns) == (3, 1)


def test_a_zero_display_matrix_is_ignored() -> None:
    assert orientation_of((0,) * 9) == orientation_of(None) == (False, 0, True)
