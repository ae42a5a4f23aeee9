"""Relight a truth folder in linear light: `python -m benchmarks.relight FOLDER OUT --light night`.

The same light and the same noise are applied to every video of the folder, so that the ideal result and the clean
background remain the ground truth of a clip filmed at dusk, at night, half in the shade, in haze, on a stage, in the
bands of lamps that flicker quicker than the shutter rolls, under lamps that are switched, or with a light leak that an
editor lays over it. Light that varies over the scene is attached to the background by its true tracks. Relit pictures
keep the shading of the render: only the intensity and the color of the light change.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.shake import read_rgb, write_video

Light = Callable[[NDArray[np.float64], float], NDArray[np.float32]]
"""Columns of the picture (w,) px and its width -> gain of linear light (w, 3)."""

_VIDEOS = ("rgb", "sample", "plate", "pair_suit", "without")


def _dusk(column: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Simulate an evening sky: a sixth of the light, redder to the right."""
    west = (column / width)[:, None]
    return np.asarray((1 - west) * np.array([0.13, 0.14, 0.19]) + west * np.array([0.21, 0.15, 0.13]), np.float32)


def _night(column: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Simulate sodium street lamps, 0.7 picture widths apart, with a trace of blue between them."""
    near = np.exp(-0.5 * (((column / width + 0.1) % 0.7 - 0.35) / 0.14) ** 2)[:, None]
    return np.asarray(np.array([0.010, 0.013, 0.021]) + near * np.array([0.085, 0.055, 0.024]), np.float32)


def _shade(column: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Keep the sun on the left; the right is in blue shade, with a soft edge as from a high roof."""
    dark = (1 / (1 + np.exp(-(column / width - 0.55) * 40)))[:, None]
    return np.asarray(1 - dark * (1 - np.array([0.20, 0.24, 0.33])), np.float32)


def _stage(column: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Simulate a stage: saturated red, blue and green spots side by side, and a little white between them."""
    place = (column / width + 0.15) % 1.5
    gain = np.full((len(column), 3), 0.02)
    for middle, color in ((0.25, (1.0, 0.10, 0.16)), (0.75, (0.10, 0.20, 1.0)), (1.25, (0.15, 0.9, 0.3))):
        gain += np.exp(-0.5 * ((place - middle) / 0.17) ** 2)[:, None] * np.array(color)
    return np.asarray(gain, np.float32)


def _haze(column: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Take away what the haze before everything scatters; what it adds is in ``_VEIL``."""
    return np.full((len(column), 3), 0.85, np.float32)


def _bands(frame: int, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Simulate lamps at twice the mains' frequency under a rolling shutter: bands that drift over the picture."""
    rows = np.arange(shape[0]) / shape[0]
    gain = 1 + 0.3 * np.sin(2 * np.pi * (1.5 * rows + 0.37 * frame))
    return np.asarray(gain[:, None, None], np.float32), np.zeros(3, np.float32)


def _leak(frame: int, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Simulate a warm light leak that passes over the picture every two seconds, blended as a screen."""
    across, down = np.arange(shape[1]) / shape[1], np.arange(shape[0])[:, None] / shape[0]
    middle = (frame % 60) / 60 * 1.6 - 0.3
    near = np.exp(-(((across - middle) / 0.22) ** 2) - ((down - 0.3) / 0.6) ** 2)
    light = np.asarray(near[..., None] * np.array([0.5, 0.18, 0.03]), np.float32)
    return 1 - light, light


def _lamps(frame: int, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Simulate lamps that are switched every two thirds of a second: bright, warm and dim, cold and dim."""
    color = ((1.0, 1.0, 1.0), (0.55, 0.36, 0.20), (0.22, 0.32, 0.55))[frame // 20 % 3]
    return np.full((1, 1, 3), color, np.float32), np.zeros(3, np.float32)


LIGHTS: dict[str, Light] = {"dusk": _dusk, "night": _night, "shade": _shade, "haze": _haze, "stage": _stage}
OVERLAYS: dict[str, Callable[[int, tuple[int, int]], tuple[NDArray[np.float32], NDArray[np.float32]]]] = {
    "bands": _bands,
    "lamps": _lamps,
    "leak": _leak,
}
"""Number of the frame and its (h, w) -> gain of linear light, and the light that is added to it."""
_NOISE = {"dusk": 0.004, "night": 0.006, "shade": 0.0, "haze": 0.0, "stage": 0.002}
"""Standard deviation of the sensor's noise in linear light after raising the exposure, 1 is white."""
_VEIL = {"haze": np.array([0.060, 0.066, 0.085], np.float32)}
"""Linear light that lies over the whole picture."""
_EXPOSURE = {"dusk": 1.6, "night": 3.0, "shade": 1.0, "haze": 1.0, "stage": 1.0}
"""Exposure gain of the camera in dark scenes."""


def relit(
    frames: Iterator[NDArray[np.uint8]], light: str, shifts_px: NDArray[np.float64]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames (h, w, 3) in another light; ``shifts_px`` (T,) is the background's shift to the right."""
    for t, rgb in enumerate(frames):
        if light in OVERLAYS:
            overlaid, added = OVERLAYS[light](t, (rgb.shape[0], rgb.shape[1]))
            yield srgb_of(linear_of(rgb) * overlaid + added)
            continue
        width = rgb.shape[1]
        gain = LIGHTS[light](np.arange(width) - shifts_px[t], float(width)) * _EXPOSURE[light]
        linear = linear_of(rgb) * gain[None] + _VEIL.get(light, np.float32(0))
        if _NOISE[light]:
            normal = np.random.default_rng((7, t)).standard_normal(rgb.shape).astype(np.float32)
            # Shot noise and read noise: the deviation grows with the square root of the light.
            linear += normal * _NOISE[light] * np.sqrt(0.05 + linear)
        yield srgb_of(linear)


def linear_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return linear light 0..1 of sRGB bytes."""
    value = np.arange(256, dtype=np.float32) / 255
    table = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return np.asarray(table[rgb], np.float32)


def srgb_of(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return sRGB bytes of linear light, clipped to 0..1."""
    value = np.clip(linear, 0, 1)
    curved = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * curved), np.uint8)


def background_shifts(bg_tracks: NDArray[np.float64], bg_visible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (T,) how far the background moved to the right since the first frame, px, by its tracks (T, P, 2)."""
    tracks = np.where(bg_visible[..., None], bg_tracks, np.nan)
    shifts = np.zeros(len(tracks))
    for t in range(1, len(tracks)):
        both = np.isfinite(tracks[[t - 1, t]]).all(axis=(0, 2))
        shifts[t] = shifts[t - 1] + np.median(tracks[t, both, 0] - tracks[t - 1, both, 0])
    return shifts


def relight_folder(folder: Path, out: Path, light: str) -> None:
    """Write a copy of a truth folder in another light; masks and geometry are the same."""
    out.mkdir(parents=True, exist_ok=True)
    with np.load(folder / "gt.npz") as truth:
        shifts = background_shifts(truth["bg_tracks"], truth["bg_visible"])
    for name in _VIDEOS:
        if (folder / f"{name}.mp4").exists():
            with av.open(str(folder / f"{name}.mp4")) as container:
                rate = Fraction(container.streams.video[0].average_rate or 30)
            frames = relit(read_rgb(folder / f"{name}.mp4"), light, shifts)
            write_video(out / f"{name}.mp4", frames, fps=rate, crf=14)
    for path in folder.glob("*.npz"):
        shutil.copyfile(path, out / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with videos, gt.npz and masks")
    parser.add_argument("out", type=Path)
    parser.add_argument("--light", choices=sorted({*LIGHTS, *OVERLAYS}), default="dusk")
    arguments = parser.parse_args()
    relight_folder(arguments.folder, arguments.out, arguments.light)


if __name__ == "__main__":
    main()
