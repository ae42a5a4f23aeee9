"""Apply a known shake to a clip with ground truth: `python -m benchmarks.shake assets/walk_a OUT`.

The clip is zoomed just enough that the shake never shows a border, so that every pixel still shows the scene. OUT gets
``sample.mp4``, ``plate.mp4``, ``gt.npz`` and ``mask.npz`` like the original folder, all transformed by the same
matrices; ``gt.npz`` has one K per frame, and the matrices as ``shaken_from_source``.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import clip_of, load_masks, moved

AMPLITUDE_PX = 12.0
AMPLITUDE_DEG = 1.5
AMPLITUDE_SCALE = 0.02
_BAND_HZ = (0.5, 4.0)
"""The band of hand-held shake; slower motion is intended, faster motion is mostly averaged out by the exposure."""


def shake_matrices(
    num_frames: int,
    size_wh: tuple[int, int],
    *,
    seed: int = 0,
    strength: float = 1.0,
    fps: float = 30.0,
) -> NDArray[np.float64]:
    """Return (T, 3, 3) ``shaken_from_source``: band-limited random similarities about the picture's center.

    The largest excursions are ±12 px, ±1.5° and ±2 % times ``strength`` at 360 lines (pixels grow with the height).
    The zoom that hides the borders is part of the matrices.
    """
    width, height = size_wh
    x, y, degrees, scale = (
        strength * _noise(num_frames, fps, seed * 4 + row) * peak
        for row, peak in enumerate((AMPLITUDE_PX, AMPLITUDE_PX, AMPLITUDE_DEG, AMPLITUDE_SCALE))
    )
    x, y = x * height / 360, y * height / 360
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    shakes = np.tile(np.eye(3), (num_frames, 1, 1))
    for t in range(num_frames):
        angle = np.deg2rad(degrees[t])
        size = np.exp(scale[t])
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shakes[t, :2, :2] = turn
        shakes[t, :2, 2] = center + np.array([x[t], y[t]]) - turn @ center
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float64)
    zoom = 1.0
    for shake in shakes:
        reach = np.abs(moved(np.linalg.inv(shake), corners) - center) / np.abs(corners - center)
        zoom = max(zoom, float(reach.max()))
    # One more pixel for the interpolation's support.
    zoom *= 1 + 4 / min(width, height)
    enlarged = np.array([[zoom, 0, center[0] * (1 - zoom)], [0, zoom, center[1] * (1 - zoom)], [0, 0, 1]])
    return np.asarray(shakes @ enlarged)


def shake_clip(folder: Path, out: Path, *, seed: int = 0, strength: float = 1.0) -> NDArray[np.float64]:
    """Write a shaken copy of a truth folder to ``out`` and return its (T, 3, 3) ``shaken_from_source``."""
    truth = dict(np.load(folder / "gt.npz"))
    width, height = (int(v) for v in truth["size"])
    matrices = shake_matrices(len(truth["RT"]), (width, height), seed=seed, strength=strength)
    out.mkdir(parents=True, exist_ok=True)
    for source, name in ((clip_of(folder), "sample.mp4"), (folder / "plate.mp4", "plate.mp4")):
        warp_video(source, out / name, lambda t: matrices[t])
    np.savez_compressed(out / "gt.npz", **shaken_truth(truth, matrices))  # type: ignore[arg-type]
    for path in sorted(folder.glob("*mask.npz")):
        masks = load_masks(path).view(np.uint8)
        warped = [_warp(mask, matrix, cv2.INTER_NEAREST) for mask, matrix in zip(masks, matrices, strict=True)]
        np.savez_compressed(out / path.name, mask=np.packbits(warped, axis=-1), shape=np.array(masks.shape))
    return matrices


def shaken_truth(
    truth: dict[str, NDArray[np.generic]], matrices: NDArray[np.float64]
) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of ``gt.npz`` as seen by the shaken camera; points that leave the picture are no longer
    visible."""
    width, height = (int(v) for v in truth["size"])
    new = dict(truth)
    for points, shown in (("keypoints2d", "visible"), ("bg_tracks", "bg_visible")):
        now = np.stack([moved(m, p.astype(np.float64)) for m, p in zip(matrices, truth[points], strict=True)])
        inside = (now >= 0).all(axis=-1) & (now[..., 0] <= width - 1) & (now[..., 1] <= height - 1)
        new[points] = now
        new[shown] = truth[shown].astype(np.bool_) & inside
        if points == "keypoints2d":
            new["kp_state"] = np.where(inside, truth["kp_state"], 0).astype(np.uint8)
    new["K"] = matrices @ truth["K"].astype(np.float64)
    new["shaken_from_source"] = matrices
    return new


def warp_video(source: Path, out: Path, matrix_of: Callable[[int], NDArray[np.float64]], *, crf: int = 14) -> None:
    """Write the clip with each frame warped by ``out_from_source``, with the same size and times, without sound."""
    write_video(out, (_warp(rgb, matrix_of(t), cv2.INTER_CUBIC) for t, rgb in enumerate(read_rgb(source))), crf=crf)


def read_rgb(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames as (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def write_video(out: Path, frames: Iterable[NDArray[np.uint8]], *, fps: Fraction = Fraction(30), crf: int = 14) -> None:
    """Encode RGB frames as BT.709 limited-range H.264."""
    with av.open(str(out), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"crf": str(crf), "preset": "veryfast", "threads": "1"}
        )
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = 1
        stream.codec_context.color_range = 1
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        for index, rgb in enumerate(frames):
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts = index
            frame.time_base = 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _warp(picture: NDArray[np.uint8], matrix: NDArray[np.float64], interpolation: int) -> NDArray[np.uint8]:
    size = (picture.shape[1], picture.shape[0])
    warped = cv2.warpPerspective(picture, matrix, size, flags=interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _noise(num_frames: int, fps: float, seed: int) -> NDArray[np.float64]:
    """(T,) band-limited noise with a maximum of 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(max(num_frames, 2) * 2))
    hertz = np.fft.rfftfreq(max(num_frames, 2) * 2, 1 / fps)
    # The spectrum of hand shake falls with frequency.
    gain = np.where((hertz >= _BAND_HZ[0]) & (hertz <= _BAND_HZ[1]), 1 / np.maximum(hertz, 0.1), 0.0)
    noise = np.fft.irfft(spectrum * gain)[:num_frames]
    peak = np.abs(noise).max()
    return np.asarray(noise / peak if peak > 0 else noise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with sample.mp4, plate.mp4, gt.npz, mask.npz")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=1.0)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    matrices = shake_clip(arguments.folder, arguments.out, seed=arguments.seed, strength=arguments.strength)
    steps = np.linalg.norm(np.diff(matrices[:, :2, 2], axis=0), axis=-1)
    print(
        f"{len(matrices)} frames in {arguments.out}; zoom {matrices[0, 0, 0]:.3f}, step {steps.mean():.2f} px a frame"
    )


if __name__ == "__main__":
    main()
