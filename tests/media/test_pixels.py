"""Conversion between samples and RGB: known colors, there and back, HDR, quarter turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.media.pixels import (
    coded_from_upright,
    coded_rgb,
    luma_of,
    planes_from_rgb,
    rgb_of,
    turned,
    upright_from_coded,
)
from tests.support.clip_info import video_info

INFO = video_info(1, (64, 48))

FORMATS = {
    "yuv420p": replace(INFO),
    "full": replace(INFO, color_range=2),
    "yuvj420p": replace(INFO, pix_fmt="yuvj420p", color_range=2, color_matrix=6, chroma_location=2),
    "601": replace(INFO, color_matrix=5),
    "2020": replace(INFO, color_matrix=9, chroma_location=3, pix_fmt="yuv420p10le", bit_depth=10),
    "untagged": replace(INFO, color_matrix=2, color_range=0),
    "10 bit": replace(INFO, pix_fmt="yuv420p10le", bit_depth=10),
    "12 bit": replace(INFO, pix_fmt="yuv422p12le", bit_depth=12, chroma_log2_wh=(1, 0)),
    "422": replace(INFO, pix_fmt="yuv422p", chroma_log2_wh=(1, 0)),
    "444": replace(INFO, pix_fmt="yuv444p", chroma_log2_wh=(0, 0)),
    "odd": replace(INFO, width=63, height=47),
    "gray": replace(INFO, pix_fmt="gray", chroma_log2_wh=(0, 0)),
    "nv12": replace(INFO, pix_fmt="nv12"),
    "rgb": replace(INFO, pix_fmt="bgr0", chroma_log2_wh=(0, 0), color_matrix=0),
    "hlg": replace(INFO, pix_fmt="yuv420p10le", bit_depth=10, color_matrix=9, color_transfer=18),
    "pq": replace(INFO, pix_fmt="yuv420p10le", bit_depth=10, color_matrix=9, color_transfer=16),
}


def frame_of(rgb: np.ndarray, info: VideoInfo) -> Frame:
    kind = np.uint8 if info.bit_depth == 8 else np.uint16
    planes = planes_from_rgb(rgb, info)
    return Frame(0, 0, 1, tuple(np.clip(np.round(p), 0, 2**info.bit_depth - 1).astype(kind) for p in planes), info)


def smooth_picture(info: VideoInfo, seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[0 : info.height, 0 : info.width]
    a, b, c = np.random.default_rng(seed).uniform(0, 6, 3)
    channels = [128 + 80 * np.sin(x / 20 + a), 128 + 80 * np.cos(y / 16 + b), 128 + 80 * np.sin((x + y) / 25 + c)]
    rgb = np.stack(channels, axis=-1)
    return np.repeat(rgb.mean(-1, keepdims=True), 3, -1) if info.pix_fmt == "gray" else rgb


@pytest.mark.parametrize(
    ("kind", "rgb", "samples"),
    [
        # The 100 % red bar of each system, and white and black; ITU-R BT.709 and BT.601, tables of bars.
        ("yuv420p", (255, 0, 0), (63, 102, 240)),
        ("601", (255, 0, 0), (81, 90, 240)),
        ("yuv420p", (0, 255, 0), (173, 42, 26)),
        ("601", (0, 255, 0), (145, 54, 34)),
        ("yuvj420p", (255, 0, 0), (76, 85, 255.5)),
        ("10 bit", (255, 0, 0), (250, 409, 960)),
        ("yuv420p", (255, 255, 255), (235, 128, 128)),
        ("yuv420p", (0, 0, 0), (16, 128, 128)),
        ("full", (255, 255, 255), (255, 128, 128)),
        ("untagged", (255, 0, 0), (81, 90, 240)),
        ("rgb", (10, 20, 30), (20, 30, 10)),
    ],
)
def test_known_colors(kind: str, rgb: tuple[int, ...], samples: tuple[float, ...]) -> None:
    info = FORMATS[kind]
    picture = np.full((info.height, info.width, 3), rgb, np.uint8)
    for plane, expected in zip(planes_from_rgb(picture, info), samples, strict=True):
        assert np.abs(plane - expected).max() <= 0.6
    assert np.abs(rgb_of(frame_of(picture, info)).astype(int) - rgb).max() <= 2


def test_untagged_pictures_of_720_lines_are_bt709() -> None:
    info = replace(FORMATS["untagged"], width=16, height=720)
    planes = planes_from_rgb(np.full((720, 16, 3), (255, 0, 0), np.uint8), info)
    assert [round(float(plane[0, 0])) for plane in planes] == [63, 102, 240]


@pytest.mark.parametrize("kind", FORMATS)
@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_there_and_back(kind: str, seed: int) -> None:
    info = FORMATS[kind]
    rgb = smooth_picture(info, seed)
    frame = frame_of(rgb, info)
    # Chroma averaged on HDR's steep curve is not what it would be on SDR's.
    tolerance = 6 if kind in ("hlg", "pq") else 3
    difference = rgb_of(frame).astype(float) - rgb
    assert np.abs(difference).mean() < 0.8
    assert np.abs(difference[2:-2, 2:-2]).max() <= tolerance
    assert np.abs(difference.mean((0, 1))).max() < 0.5


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_white_is_203_nits(transfer: int) -> None:
    info = replace(FORMATS["pq"], color_transfer=transfer)
    white = planes_from_rgb(np.full((4, 4, 3), 255, np.uint8), info)[0][0, 0]
    # BT.2408: 58 % of the PQ signal, 75 % of the HLG signal; limited range, 10 bit.
    assert abs((white - 64) / 876 - {16: 0.58, 18: 0.75}[transfer]) < 0.005


def test_float_keeps_more_than_eight_bits() -> None:
    info = FORMATS["10 bit"]
    low, high = (planes_from_rgb(np.full((2, 2, 3), v, np.float32), info)[0][0, 0] for v in (100.0, 100.25))
    assert 0.8 < high - low < 0.95


def test_chroma_siting() -> None:
    rgb = np.zeros((4, 16, 3), np.float32)
    rgb[:, 8:] = (255, 0, 0)
    left = planes_from_rgb(rgb, INFO)[2]
    center = planes_from_rgb(rgb, replace(INFO, chroma_location=2))[2]
    # A red edge before column 8: the co-sited filter reaches a quarter over it, the box not at all.
    assert np.allclose(left[0, 3:5], [128, 240 - 112 / 4], atol=0.2)
    assert np.allclose(center[0, 3:5], [128, 240], atol=0.2)


@pytest.mark.parametrize("turns", range(4))
def test_turning_agrees_with_the_matrix(turns: int) -> None:
    info = replace(INFO, quarter_turns=turns)
    coded = np.arange(48 * 64).reshape(48, 64)
    upright = upright_from_coded(coded, info)
    assert upright.shape[::-1] == info.size_wh
    for x, y in ((0, 0), (5, 3), (info.size_wh[0] - 1, 7)):
        u, v, _ = (info.coded_from_source @ (x, y, 1)).astype(int)
        assert upright[y, x] == coded[v, u]
    assert np.array_equal(coded_from_upright(upright, info), coded)
    assert np.array_equal(turned(turned(coded, turns), -turns), coded)


def test_views_are_upright() -> None:
    info = replace(INFO, quarter_turns=1)
    frame = frame_of(smooth_picture(info), info)
    plain = Frame(0, 0, 1, frame.planes, INFO)
    assert np.array_equal(rgb_of(frame), np.rot90(rgb_of(plain), -1))
    assert np.array_equal(luma_of(frame), np.rot90(plain.planes[0], -1))


def test_ten_bit_luma_is_eight_bit() -> None:
    frame = frame_of(np.full((48, 64, 3), 255, np.uint8), FORMATS["10 bit"])
    assert luma_of(frame).dtype == np.uint8
    assert (luma_of(frame) == 235).all()


@pytest.mark.parametrize("height", [64, 150, 193])
def test_a_tall_picture_is_converted_like_each_of_its_parts(height: int) -> None:
    samples = np.random.default_rng(height).integers(16, 240, (3, height, 64)).astype(np.uint8)
    half = -(-height // 2)
    y, u, v = samples[0], samples[1, :half, :32], samples[2, :half, :32]
    whole = coded_rgb((y, u, v), replace(INFO, height=height))
    for first in range(2, height - 14, 10):
        part = coded_rgb((y[first - 2 : first + 14], *(c[first // 2 - 1 : first // 2 + 7] for c in (u, v))), INFO)
        # The outermost rows have no neighbor to interpolate chroma with.
        np.testing.assert_array_equal(part[2:12], whole[first : first + 10])
    assert whole[-1].any()
