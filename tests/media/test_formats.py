"""Every supported pixel format, at sizes of every kind: read as swscale does, written losslessly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.errors import EncodeFailed
from pipeline.media.clip import Clip, ReadSettings
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.formats import READ_FORMATS, planar_name, planes_of
from pipeline.media.output_format import choose_output_format
from pipeline.media.pixels import planes_from_rgb, rgb_of
from pipeline.settings import LimitSettings, OutputSettings
from tests.support.media import make_clip, spec

PLANAR = (
    *(f"yuv{layout}p" for layout in ("410", "411", "420", "422", "440", "444")),
    *(f"yuvj{layout}p" for layout in ("420", "422", "444")),
    *(f"yuv{layout}p{depth}le" for layout in ("420", "422", "444") for depth in (9, 10, 12, 14, 16)),
    *(f"yuv440p{depth}le" for depth in (10, 12)),
    *(f"yuva{layout}p{depth}" for layout in ("420", "422", "444") for depth in ("", "9le", "10le", "16le")),
    *(f"yuva{layout}p12le" for layout in ("422", "444")),
    *(f"gray{depth}" for depth in ("", "9le", "10le", "12le", "14le", "16le")),
    *(f"gbrp{depth}" for depth in ("", "9le", "10le", "12le", "14le", "16le")),
    *(f"gbrap{depth}" for depth in ("", "10le", "12le", "14le", "16le")),
)
"""Planar formats, little-endian; the others are read as one of these."""
BIG_ENDIAN = ("yuv420p10be", "yuv444p16be", "yuva444p10be", "gray16be", "gbrp12be", "gbrap16be")
SIZES = ((48, 32), (33, 47), (35, 43), (38, 50))
"""Widths and heights of every remainder modulo 4."""


def random_picture(pix_fmt: str, size_wh: tuple[int, int], seed: int = 0) -> av.VideoFrame:
    """A picture whose bytes are noise, with no bit set that its format does not have."""
    picture = av.VideoFrame(*size_wh, pix_fmt)
    noise = np.random.default_rng(seed)
    depth = max(component.bits for component in picture.format.components)
    for plane in picture.planes:
        samples = noise.integers(0, 256, plane.buffer_size, np.uint8)
        if depth > 8:
            kind = ">u2" if pix_fmt.endswith("be") else "<u2"
            words = noise.integers(0, 2**depth, plane.buffer_size // 2).astype(np.uint16)
            high = pix_fmt.startswith(("p0", "p2", "p4"))
            samples = (words << (16 - depth) if high else words).astype(kind).view(np.uint8)
        plane.update(samples.tobytes())
    return picture


def samples_by_swscale(picture: av.VideoFrame, planar: str) -> list[np.ndarray]:
    same = picture.reformat(format=planar, threads=1)
    kind = np.uint8 if same.format.components[0].bits == 8 else np.dtype("<u2")
    components = sorted(same.format.components, key=lambda component: component.plane)
    return [
        np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)[: part.height, : part.width]
        for plane, part in zip(same.planes, components, strict=True)
    ]


@pytest.mark.parametrize("pix_fmt", [*READ_FORMATS, *PLANAR, *BIG_ENDIAN])
def test_samples_are_what_swscale_reads(pix_fmt: str) -> None:
    planar = planar_name(pix_fmt)
    assert planar is not None
    for size in ((48, 32), (34, 22)):
        picture = random_picture(pix_fmt, size)
        for plane, expected in zip(planes_of(picture), samples_by_swscale(picture, planar), strict=True):
            assert np.array_equal(plane, expected), size
            assert not plane.flags.writeable or plane.base is None


@pytest.mark.parametrize("pix_fmt", ["gbrpf32le", "xyz12le", "bayer_rggb8", "vaapi", "grayf32le"])
def test_other_formats_are_not_read(pix_fmt: str) -> None:
    assert planar_name(pix_fmt) is None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return open_clip(make_clip(tmp_path_factory.mktemp("base"), replace(spec("silent"), pts=(0, 512)))).info


def clip_of(base: VideoInfo, pix_fmt: str, size_wh: tuple[int, int]) -> Clip:
    """Return a clip of two frames in a format, for encoding; its file is another one, without sound."""
    parts = av.VideoFormat(pix_fmt, *size_wh).components
    subsampled = not pix_fmt.startswith("g")
    shrink = [-(-size_wh[0] // parts[1].width), -(-size_wh[1] // parts[1].height)] if subsampled else [1, 1]
    info = replace(
        base, pix_fmt=pix_fmt, width=size_wh[0], height=size_wh[1], bit_depth=parts[0].bits,
        chroma_log2_wh=(shrink[0].bit_length() - 1, shrink[1].bit_length() - 1),
        color_matrix=0 if pix_fmt.startswith("gbr") else 1, chroma_location=0,
    )  # fmt: skip
    return Clip(info, LimitSettings().max_side_px, ReadSettings((0, 512), False, (), (), "AUTO"), 0, trimmed=False)


def frames_of(clip: Clip) -> Iterator[Frame]:
    info = clip.info
    for index in range(2):
        planes = planes_of(random_picture(info.pix_fmt, (info.width, info.height), index))
        yield Frame(index, int(info.pts[index]), int(info.durations[index]), planes, info)


@pytest.mark.parametrize("pix_fmt", PLANAR)
def test_every_format_is_written_at_every_size(tmp_path: Path, base: VideoInfo, pix_fmt: str) -> None:
    for size in SIZES:
        clip = clip_of(base, pix_fmt, size)
        path = encode_clip(frames_of(clip), clip, tmp_path / "result", OutputSettings(codec="lossless")).path
        with av.open(str(path)) as container:
            written = list(container.decode(video=0))
        assert len(written) == 2
        for frame, picture in zip(frames_of(clip), written, strict=True):
            for plane, same in zip(frame.planes, planes_of(picture), strict=False):
                assert np.array_equal(plane, same), (size, path.suffix)


@pytest.mark.parametrize("size", [(405, 719), (407, 287), (23, 719), (719, 717), (912, 1199), (1, 289), (2, 719)])
def test_sizes_at_which_ffv1_refuses_four_slices_are_written(
    tmp_path: Path, base: VideoInfo, size: tuple[int, int]
) -> None:
    for pix_fmt in ("yuv420p", "yuv422p10le"):
        clip = clip_of(base, pix_fmt, size)
        path = encode_clip(frames_of(clip), clip, tmp_path / "result", OutputSettings(codec="lossless")).path
        with av.open(str(path)) as container:
            first = next(container.decode(video=0))
        for plane, same in zip(next(frames_of(clip)).planes, planes_of(first), strict=True):
            assert np.array_equal(plane, same)


def test_a_format_without_an_encoder_is_found_before_the_work(base: VideoInfo) -> None:
    with pytest.raises(EncodeFailed, match="No encoder takes xyz12le pictures of 64x64"):
        choose_output_format(replace(base, pix_fmt="xyz12le", width=64, height=64), OutputSettings())


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("rawvideo", "uyvy422", ".avi"),
        ("rawvideo", "yuyv422", ".avi"),
        ("png", "rgb48be", ".mov"),
        ("png", "rgba64be", ".mov"),
        ("png", "gray16be", ".mov"),
        ("png", "pal8", ".mov"),
        ("png", "ya8", ".mov"),
        ("v210", "yuv422p10le", ".mov"),
    ],
)
def test_clips_of_cameras_and_editors_are_read_and_written(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str
) -> None:
    path = tmp_path / f"source{suffix}"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = pix_fmt
        for index in range(3):
            picture = random_picture(pix_fmt, (64, 48), index)
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    clip = open_clip(path)
    assert clip.info.pix_fmt == pix_fmt
    result = open_clip(encode_clip(clip.frames(), clip, tmp_path / "result", OutputSettings(codec="lossless")).path)
    assert result.info.num_frames == 3
    for old, new in zip(clip.frames(), result.frames(), strict=True):
        for a, b in zip(old.planes, new.planes, strict=False):
            assert np.array_equal(a, b)
        assert rgb_of(old).shape == (48, 64, 3)


@pytest.mark.parametrize("pix_fmt", ["gbrp", "gbrp10le", "gbrp16le", "gbrap12le"])
def test_deep_rgb_there_and_back(base: VideoInfo, pix_fmt: str) -> None:
    info = clip_of(base, pix_fmt, (16, 8)).info
    picture = np.random.default_rng(3).integers(0, 256, (8, 16, 3)).astype(np.uint8)
    kind = np.uint8 if info.bit_depth == 8 else np.uint16
    planes = tuple(np.rint(plane).astype(kind) for plane in planes_from_rgb(picture, info))
    assert np.array_equal(rgb_of(Frame(0, 0, 1, planes, info)), picture)


def test_a_non_yuv_matrix_is_read_as_unspecified(tmp_path: Path) -> None:
    zero = open_clip(make_clip(tmp_path, replace(spec("cfr"), name="zero", colors=(1, 0, 1, 1))))
    with av.open(str(zero.info.path)) as container:
        assert int(next(container.decode(video=0)).colorspace) == 0, "the file says so"
    unspecified = open_clip(make_clip(tmp_path, replace(spec("cfr"), name="unspecified", colors=(1, 2, 1, 1))))
    assert [warning for warning in zero.info.warnings if "matrix 0" in warning]
    assert zero.info.color_matrix == 2
    assert np.array_equal(rgb_of(next(zero.frames())), rgb_of(next(unspecified.frames())))
    result = open_clip(encode_clip(zero.frames(), zero, tmp_path / "result", OutputSettings()).path)
    assert result.info.color_matrix == 2
    assert result.info.warnings == ()
