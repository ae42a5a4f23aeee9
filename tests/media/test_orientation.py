"""All eight orientations, compared with ffmpeg's autorotation of the same frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.pixels import coded_from_upright, luma_of, rgb_of, upright_from_coded
from pipeline.settings import OutputSettings
from tests.support.media import make_clip, spec

MATRICES = {
    "upright": (1, 0, 0, 1),
    "turned_right": (0, 1, -1, 0),
    "upside_down": (-1, 0, 0, -1),
    "turned_left": (0, -1, 1, 0),
    "hflip": (-1, 0, 0, 1),
    "vflip": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed_the_other_way": (0, -1, -1, 0),
}
"""a, b, c, d of (x, y) -> (a x + c y, b x + d y)."""


def autorotated(picture: av.VideoFrame, matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return the luma as ffmpeg shows it: the filters that ``configure_input_video_filter`` of fftools inserts."""
    a, b, c, d = matrix
    # av_display_rotation_get, then get_rotation: clockwise degrees, 0 to 360.
    theta = round(float(np.degrees(np.arctan2(b / np.hypot(b, d), a / np.hypot(a, c))))) % 360
    filters: list[tuple[str, str]] = []
    if theta == 90:
        filters.append(("transpose", "cclock_flip" if c > 0 else "clock"))
    elif theta == 180:
        filters += [("hflip", "")] if a < 0 else []
        filters += [("vflip", "")] if d < 0 else []
    elif theta == 270:
        filters.append(("transpose", "clock_flip" if c < 0 else "cclock"))
    elif d < 0:
        filters.append(("vflip", ""))
    # vflip reverses the lines, which PyAV does not read; two more rotations rewrite them.
    filters += [("transpose", "clock"), ("transpose", "cclock")]
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=1)]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.push(picture)
    shown = graph.pull()
    plane = shown.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: shown.height, : shown.width]


def oriented_clip(folder: Path, name: str) -> Clip:
    return open_clip(make_clip(folder, replace(spec("cfr"), name=name, display_matrix=MATRICES[name])))


@pytest.mark.parametrize("name", MATRICES)
def test_the_picture_has_the_orientation_that_players_show(tmp_path: Path, name: str) -> None:
    clip = oriented_clip(tmp_path, name)
    with av.open(str(clip.info.path)) as container:
        expected = autorotated(next(container.decode(video=0)), MATRICES[name])
    frame = next(clip.frames())
    assert clip.info.warnings == ()
    assert np.array_equal(luma_of(frame), expected)
    assert rgb_of(frame).shape[:2] == expected.shape == clip.info.size_wh[::-1]


@pytest.mark.parametrize("name", MATRICES)
def test_points_and_pictures_go_the_same_way(tmp_path: Path, name: str) -> None:
    info: VideoInfo = oriented_clip(tmp_path, name).info
    coded = np.arange(info.width * info.height).reshape(info.height, info.width)
    upright = upright_from_coded(coded, info)
    for x, y in ((0, 0), (5, 3), (info.size_wh[0] - 1, 7)):
        u, v, _ = (info.coded_from_source @ (x, y, 1)).astype(int)
        assert upright[y, x] == coded[v, u]
    assert np.array_equal(coded_from_upright(upright, info), coded)


@pytest.mark.parametrize("name", MATRICES)
def test_the_result_has_the_same_matrix(tmp_path: Path, name: str) -> None:
    clip = oriented_clip(tmp_path, name)
    result = open_clip(encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings(codec="lossless")).path)
    assert result.info.display_matrix == clip.info.display_matrix
    assert np.array_equal(luma_of(next(result.frames())), luma_of(next(clip.frames())))


def test_unsupported_parts_of_a_display_matrix_cause_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "sheared.mp4"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, width=64, height=64)
        video.set_display_matrix((65536, 0, 0, 30000, 65536, 0, 0, 0, 1 << 30))
        for _ in range(3):
            output.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(video.encode(None))
    assert "more than mirror" in open_clip(path).info.warnings[0]
