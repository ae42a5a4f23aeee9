"""Samples to RGB and back: matrix, range, bit depth, chroma subsampling, HDR, and orientation.

Convention: planes are as coded; the RGB view is upright, 8 bit, display-referred SDR. A stream that does not
name its matrix is read as BT.709 from 720 lines up and BT.601 below, in both directions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Picture, Plane
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.media.formats import planar_name
from pipeline.media.hdr import HLG, PQ, hdr_from_sdr, sdr_from_hdr
from pipeline.media.matrices import LUMA_WEIGHTS
from pipeline.runtime.compiled import njit

_Taps = tuple[NDArray[np.int64], NDArray[np.float32]]
_Filter = tuple[int, int, NDArray[np.float32]]
"""Which samples are kept, how many before a kept one the filter begins, and its weights."""
_BAND_ROWS = 64
"""Rows that are converted before they are interleaved: they stay in the cache."""
_Any = TypeVar("_Any", bound=np.generic)


def turned(array: NDArray[_Any], quarter_turns: int) -> NDArray[_Any]:
    """Rotate a picture (H, W, ...) clockwise by quarter turns, exactly; negative turns rotate back. C-contiguous."""
    return np.ascontiguousarray(np.rot90(array, -quarter_turns))


def upright_from_coded(array: NDArray[_Any], info: VideoInfo) -> NDArray[_Any]:
    """Rotate a coded picture (H, W, ...) upright, as players show it. C-contiguous."""
    return turned(np.flip(array, axis=1) if info.mirrored else array, info.quarter_turns)


def coded_from_upright(array: NDArray[_Any], info: VideoInfo) -> NDArray[_Any]:
    """Rotate an upright picture (H, W, ...) back to the coded orientation. C-contiguous."""
    back = turned(array, -info.quarter_turns)
    return np.ascontiguousarray(np.flip(back, axis=1)) if info.mirrored else back


def matrix_of(info: VideoInfo) -> int:
    """Return the matrix to use, as FFmpeg's number; for unspecified ones see the module."""
    if info.color_matrix != 2:
        return info.color_matrix
    return 1 if info.height >= 720 else 6


def planar_format(info: VideoInfo) -> str:
    """Return the pixel format whose planes a ``Frame`` of this clip holds (packed and semi-planar ones are split)."""
    return planar_name(info.pix_fmt) or info.pix_fmt


def is_rgb(info: VideoInfo) -> bool:
    """Return whether the planes are G, B, R."""
    return planar_format(info).startswith("gbr")


def is_full_range(info: VideoInfo) -> bool:
    """Return whether samples use the full range; unspecified means limited for YUV and gray, full for RGB."""
    return info.color_range == 2 or info.pix_fmt.startswith("yuvj") or is_rgb(info)


def video_frame(planes: tuple[Plane, ...], pix_fmt: str, width: int, height: int) -> av.VideoFrame:
    """Copy planes (h, w) into a new frame of a planar format."""
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, target in zip(planes, frame.planes, strict=True):
        view = np.frombuffer(target, plane.dtype).reshape(target.height, target.line_size // plane.itemsize)
        view[: plane.shape[0], : plane.shape[1]] = plane
    return frame


def luma_of(frame: Frame) -> NDArray[np.uint8]:
    """Return the upright (H, W) 8-bit luma, in the range of the source (of the RGB view for RGB clips)."""
    info = frame.info
    if is_rgb(info):
        return cv2.cvtColor(rgb_of(frame), cv2.COLOR_RGB2GRAY)
    luma = frame.planes[0]
    if info.bit_depth > 8:
        luma = (luma >> (info.bit_depth - 8)).astype(np.uint8)
    return upright_from_coded(luma, info)


def tints_of(frame: Frame) -> NDArray[np.uint8]:
    """Return the upright (h, w, 2) 8-bit chroma as sampled in the source, 128 where it is neutral."""
    info = frame.info
    if is_rgb(info):
        return np.ascontiguousarray(cv2.cvtColor(rgb_of(frame), cv2.COLOR_RGB2YCrCb)[..., :0:-1])
    if len(frame.planes) < 3:
        return np.full((*upright_from_coded(frame.planes[0], info).shape, 2), 128, np.uint8)
    blue, red = (
        (plane >> (info.bit_depth - 8)).astype(np.uint8) if info.bit_depth > 8 else plane for plane in frame.planes[1:3]
    )
    return upright_from_coded(cv2.merge((blue, red)), info)


def rgb_of(frame: Frame) -> Picture:
    """Return the upright RGB view (H, W, 3) uint8 of a frame: what models and plates see.

    HLG and PQ become SDR: 203 nits map to 255 and brighter values clip; BT.2020 becomes BT.709.
    """
    return upright_from_coded(coded_rgb(frame.planes, frame.info), frame.info)


def coded_rgb(planes: tuple[Plane, ...], info: VideoInfo) -> Picture:
    """Return the RGB view (h, w, 3) uint8 of a clip's planes, or of a part of them that starts on the chroma grid; in
    the coded orientation."""
    hdr = info.color_transfer in (PQ, HLG)
    if is_rgb(info):
        return _rgb_of_rgb(planes, info, hdr)
    if len(planes) < 3:
        levels = _gray_levels(info.bit_depth, is_full_range(info))[planes[0]]
        return cv2.merge((levels, levels, levels))
    rgb = np.empty((*planes[0].shape, 3), np.uint16 if hdr else np.uint8)
    # Copies have one memory layout, so the code is compiled only once.
    y, u, v = (np.array(plane, order="C") for plane in planes[:3])
    conversion = _conversion(info, 65535 if hdr else 255)
    planar = np.empty_like(rgb, shape=(3, min(_BAND_ROWS, len(y)), y.shape[1]))
    for first in range(0, len(y), _BAND_ROWS):
        band = rgb[first : first + _BAND_ROWS]
        _convert(y, u, v, planar, first, *conversion)
        # Interleaved by OpenCV, which has instructions for it: in a compiled loop it takes as long as the arithmetic.
        cv2.merge([plane[: len(band)] for plane in planar], band)
    return sdr_from_hdr(rgb, info.color_transfer) if hdr else rgb


def _rgb_of_rgb(planes: tuple[Plane, ...], info: VideoInfo, hdr: bool) -> Picture:
    green, blue, red = (np.ascontiguousarray(plane) for plane in planes[:3])
    merged = cv2.merge((red, green, blue))
    depth = info.bit_depth
    if hdr:
        signal = np.rint(merged.astype(np.float32) * np.float32(65535 / (2**depth - 1))).astype(np.uint16)
        return sdr_from_hdr(signal, info.color_transfer)
    return np.asarray(merged if depth == 8 else _gray_levels(depth, True)[merged], np.uint8)


def _conversion(info: VideoInfo, top: int) -> tuple[NDArray[np.float32], tuple[_Taps, _Taps], np.float32]:
    """Return the conversion of samples to RGB in 0..top: (5,) coefficients, the chroma taps of both axes, top."""
    kr, kb = LUMA_WEIGHTS[matrix_of(info)]
    kg = 1 - kr - kb
    y_gain, y_zero, c_gain, c_zero = _sample_scale(info)
    red = 2 * (1 - kr) / c_gain
    blue = 2 * (1 - kb) / c_gain
    gains = np.array([1 / y_gain, red, -red * kr / kg, -blue * kb / kg, blue, y_zero, c_zero], np.float64)
    gains[:5] *= top
    column_shared, row_shared = _siting(info)
    across, down = info.chroma_log2_wh
    taps = (_taps(across, column_shared), _taps(down, row_shared))
    return gains.astype(np.float32), taps, np.float32(top)


def _taps(log2: int, shared: bool) -> _Taps:
    """Return bilinear upsampling of one chroma axis: for each of 2**log2 phases a step and the next sample's weight."""
    factor = 2**log2
    place = (np.arange(factor) - (0 if shared else (factor - 1) / 2)) / factor
    return np.floor(place).astype(np.int64), (place - np.floor(place)).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _convert(
    y: Plane,
    u: Plane,
    v: Plane,
    planar: NDArray[np.integer],
    first: int,
    gains: NDArray[np.float32],
    taps: tuple[_Taps, _Taps],
    top: np.float32,
) -> None:
    """Fill ``planar`` (3, n, W) with RGB of the rows from ``first`` on, up to the last one. Compiled, since swscale
    assumes centered chroma: half a pixel off."""
    height, width = y.shape
    chroma_height, chroma_width = u.shape
    (across_steps, across), (down_steps, down) = taps
    y_gain, v_red, v_green, u_green, u_blue, y_zero, c_zero = gains
    one = np.float32(1)
    half = np.float32(0.5)
    nothing = np.float32(0)
    # One extra sample at both ends, so that the inner loops need no bounds checks.
    rows = np.empty((2, chroma_width + 2), np.float32)
    full = np.empty((2, chroma_width * len(across)), np.float32)
    for r in range(first, min(first + planar.shape[1], height)):
        upper = r // len(down) + down_steps[r % len(down)]
        lower = min(max(upper + 1, 0), chroma_height - 1)
        upper = min(max(upper, 0), chroma_height - 1)
        share = down[r % len(down)]
        for c in range(chroma_width):
            rows[0, c + 1] = u[upper, c] * (one - share) + u[lower, c] * share - c_zero
            rows[1, c + 1] = v[upper, c] * (one - share) + v[lower, c] * share - c_zero
        for i in range(2):
            row = rows[i]
            row[0], row[-1] = row[1], row[-2]
            for phase in range(len(across)):
                weight = across[phase]
                before = row[1 + across_steps[phase] :]
                after = before[1:]
                target = full[i, phase :: len(across)]
                for c in range(chroma_width):
                    target[c] = before[c] * (one - weight) + after[c] * weight
        red = planar[0, r - first]
        green = planar[1, r - first]
        blue = planar[2, r - first]
        luma = y[r]
        blueness = full[0]
        redness = full[1]
        for c in range(width):
            light = (luma[c] - y_zero) * y_gain + half
            red[c] = np.int32(min(max(light + v_red * redness[c], nothing), top))
            green[c] = np.int32(min(max(light + v_green * redness[c] + u_green * blueness[c], nothing), top))
            blue[c] = np.int32(min(max(light + u_blue * blueness[c], nothing), top))


def _sample_scale(info: VideoInfo) -> tuple[float, float, float, float]:
    """Return samples of luma for 0..1, luma's zero, samples of chroma for -0.5..0.5, chroma's zero."""
    peak = 2.0**info.bit_depth - 1
    step = 2.0 ** (info.bit_depth - 8)
    if is_full_range(info):
        return peak, 0.0, peak, 128 * step
    return 219 * step, 16 * step, 224 * step, 128 * step


def _siting(info: VideoInfo) -> tuple[bool, bool]:
    """Return whether chroma samples share a luma sample's column, and its row (AVChromaLocation; unspecified is
    left)."""
    return info.chroma_location in (0, 1, 3, 5), info.chroma_location in (3, 4)


@lru_cache(maxsize=8)
def _gray_levels(bit_depth: int, full: bool) -> NDArray[np.uint8]:
    """Return the lookup table (2**depth,) from gray samples to 0..255."""
    samples = np.arange(2**bit_depth, dtype=np.float64)
    scale = 2.0 ** (bit_depth - 8)
    levels = samples * 255 / (2**bit_depth - 1) if full else (samples / scale - 16) * 255 / 219
    return np.asarray(np.clip(np.round(levels), 0, 255), np.uint8)


def planes_from_rgb(picture: NDArray[np.uint8] | Float32Array, info: VideoInfo) -> tuple[Float32Array, ...]:
    """Convert an RGB patch into the sample values of the clip's own planes.

    Convention: ``picture`` is (h, w, 3) in 0..255 in *coded* orientation, SDR as ``rgb_of`` gives it; float input keeps
    its precision. The patch's origin lies on the chroma grid; its far edges may be odd (chroma is rounded up).
    Returns float32 planes, not rounded and not clipped, in the clip's matrix, range, bit depth and subsampling:
    Y, U, V; or Y for gray; or G, B, R. Chroma is filtered to its siting: co-sited axes with a triangle, others
    with a box. There is no alpha plane in the result.
    """
    rgb: NDArray[Any] = np.ascontiguousarray(picture)
    scale = 1 / 255
    if info.color_transfer in (PQ, HLG):
        rgb = hdr_from_sdr(rgb * np.float32(scale), info.color_transfer)
        scale = 1.0
    if is_rgb(info):
        peak = np.float32((2**info.bit_depth - 1) * scale)
        return tuple(rgb[..., channel] * peak for channel in (1, 2, 0))
    kr, kb = LUMA_WEIGHTS[matrix_of(info)]
    y_gain, y_zero, c_gain, c_zero = _sample_scale(info)
    luma_row = np.array([kr, 1 - kr - kb, kb])
    rows = np.stack(
        [
            luma_row * y_gain,
            (np.array([0, 0, 1]) - luma_row) / (2 * (1 - kb)) * c_gain,
            (np.array([1, 0, 0]) - luma_row) / (2 * (1 - kr)) * c_gain,
        ]
    )
    weights = (rows * scale).astype(np.float32)
    across, down = (_filter(log2, shared) for log2, shared in zip(info.chroma_log2_wh, _siting(info), strict=True))
    luma, u, v = _samples_of(rgb, weights, np.array([y_zero, c_zero], np.float32), across, down)
    return (luma,) if info.pix_fmt.startswith("gray") else (luma, u, v)


@lru_cache(maxsize=8)
def _filter(log2: int, shared: bool) -> _Filter:
    """Return the low-pass of one chroma axis that keeps each 2**log2-th sample: a triangle where ``shared``, else a
    box."""
    factor = 2**log2
    weights = np.bartlett(2 * factor + 1)[1:-1] if shared else np.ones(factor)
    return factor, factor - 1 if shared else 0, (weights / weights.sum()).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True)
def _samples_of(
    rgb: NDArray[np.uint8] | Float32Array,
    weights: NDArray[np.float32],
    zeros: NDArray[np.float32],
    across: _Filter,
    down: _Filter,
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """Return luma (h, w) and both subsampled chroma planes of RGB (h, w, 3), in one pass over it.

    ``weights`` (3, 3) are those of R, G, B; ``zeros`` are added to luma and chroma. Beyond an edge its sample is
    repeated.
    """
    height, width, _ = rgb.shape
    step, before, taps = across
    zero = zeros[0]
    luma = np.empty((height, width), np.float32)
    narrow = np.zeros((2, height, -(-width // step)), np.float32)
    # Separated row by row: the arithmetic is vectorized, and planar pictures would cost more than it.
    line = np.empty((3, width), np.float32)
    row = np.empty(before + width + len(taps) + step, np.float32)
    for r in range(height):
        pixels = rgb[r]
        for c in range(width):
            line[0, c] = pixels[c, 0]
            line[1, c] = pixels[c, 1]
            line[2, c] = pixels[c, 2]
        red = line[0]
        green = line[1]
        blue = line[2]
        bright = luma[r]
        of_red, of_green, of_blue = weights[0]
        for c in range(width):
            bright[c] = of_red * red[c] + of_green * green[c] + of_blue * blue[c] + zero
        for k in range(2):
            inner = row[before : before + width]
            of_red, of_green, of_blue = weights[k + 1]
            for c in range(width):
                inner[c] = of_red * red[c] + of_green * green[c] + of_blue * blue[c]
            row[:before] = inner[0]
            row[before + width :] = inner[width - 1]
            kept = narrow[k, r]
            for t in range(len(taps)):
                share = taps[t]
                shifted = row[t::step]
                for c in range(len(kept)):
                    kept[c] += share * shifted[c]
    return luma, _halved_down(narrow[0], zeros[1], down), _halved_down(narrow[1], zeros[1], down)


@njit(cache=True, nogil=True, fastmath=True)
def _halved_down(plane: Float32Array, zero: np.float32, down: _Filter) -> Float32Array:
    """Return a plane (h, w) filtered and subsampled along its columns, plus ``zero``."""
    height, width = plane.shape
    step, before, taps = down
    result = np.full((-(-height // step), width), zero, np.float32)
    for r in range(len(result)):
        kept = result[r]
        for t in range(len(taps)):
            share = taps[t]
            row = plane[min(max(r * step - before + t, 0), height - 1)]
            for c in range(width):
                kept[c] += share * row[c]
    return result
