"""Measure how much flicker the temporal stage removes and at what cost: `python -m benchmarks.flicker assets/walk_a`.

Flicker of known strength is added to the mannequin's layers of a preview job (gain ±4 %, colored blotches of 24 px and
four levels, new in each frame, fixed seed), and they go through ``pipeline.perform.temporal``. The baseline is a
running mean of the same strength without flow. All layers are in source space; the flow is the source's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.judged_job import run, video_of
from benchmarks.shake import read_rgb
from pipeline.datatypes.window import Layer
from pipeline.finish.quality_metrics import warping_error
from pipeline.maths.optical_flow import flow_between, gray_of
from pipeline.media.ffv1 import read_artifact
from pipeline.perform.temporal import reduce_flicker
from pipeline.settings import TemporalSettings

_GAIN = 0.04
_BLOTCH_LEVELS = 4.0
_BLOTCH_PX = 24
_GHOST_LEVELS = 24
_AIM_FLICKER = 60.0
_AIM_SHARPNESS = 3.0
Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Scene:
    """Frames in order: source, clean layers, subject masks."""

    source: Pictures
    layers: list[Layer]
    subject_masks: list[NDArray[np.bool_]]


def flickering(layers: Sequence[Layer], seed: int = 7) -> list[Layer]:
    """Return copies with a gain and blotches drawn anew for each frame."""
    rng = np.random.default_rng(seed)
    result = []
    for layer in layers:
        height, width = layer.picture.shape[:2]
        coarse = rng.normal(0, _BLOTCH_LEVELS, (height // _BLOTCH_PX + 2, width // _BLOTCH_PX + 2, 3))
        blotches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        picture = layer.picture * (1 + rng.uniform(-_GAIN, _GAIN)) + blotches
        result.append(Layer(np.rint(picture).clip(0, 255).astype(np.uint8), layer.alpha))
    return result


def running_mean(layers: Sequence[Layer], strength: float) -> list[Layer]:
    """The baseline: each picture mixed with the previous one at the same position, ignoring motion."""
    result: list[Layer] = []
    for layer in layers:
        before = result[-1].picture if result else layer.picture
        picture = layer.picture * (1 - strength) + before * strength
        result.append(Layer(np.rint(picture).astype(np.uint8), layer.alpha))
    return result


def with_flow(scene: Scene, layers: Sequence[Layer], strength: float) -> list[Layer]:
    """The temporal stage."""
    frames = zip(range(len(layers)), layers, motion_of(scene.layers), strict=True)
    return [layer for _, layer in reduce_flicker(frames, frozenset({0}), strength)]


def motion_of(layers: Sequence[Layer]) -> list[NDArray[np.float32]]:
    """Return (h, w, 2) per frame: the optical flow of the clean layers to the previous frame, inside them."""
    motions = [np.full((*layers[0].picture.shape[:2], 2), np.nan, np.float32)]
    for before, layer in pairwise(layers):
        flow = flow_between(gray_of(layer.picture), gray_of(before.picture))
        motions.append(np.where(_inside(layer)[..., None], flow, np.float32(np.nan)))
    return motions


def flicker_of(scene: Scene, layers: Sequence[Layer]) -> float:
    """Mean warping error (Lai et al. 2018; ``quality.warping_error``) of the layers over the source, RGB in 0..1."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    shown = list(_over(scene.source, layers))
    values = [
        warping_error(shown[t], shown[t + 1], _inside(layers[t]), flow)
        for t in range(len(shown) - 1)
        if _inside(layers[t]).any()
    ]
    return float(np.nanmean(values))


def sharpness_of(layers: Sequence[Layer]) -> float:
    """Mean magnitude of the luma gradient inside the layers, levels per px."""
    total = 0.0
    count = 0
    for layer in layers:
        inside = cv2.erode(_inside(layer).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        gray = cv2.cvtColor(layer.picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        total += float(np.hypot(cv2.Scharr(gray, -1, 1, 0), cv2.Scharr(gray, -1, 0, 1))[inside].sum()) / 32
        count += int(inside.sum())
    return total / count


def ghost_percent(clean: Sequence[Layer], made: Sequence[Layer]) -> float:
    """Percentage of the layers' pixels that differ by more than 24 levels from the clean layer."""
    ghosts = 0
    count = 0
    for a, b in zip(clean, made, strict=True):
        inside = _inside(a)
        away = np.abs(a.picture.astype(np.int16) - b.picture).max(axis=2)
        ghosts += int(np.count_nonzero(away[inside] > _GHOST_LEVELS))
        count += int(inside.sum())
    return 100 * ghosts / count


def _inside(layer: Layer) -> NDArray[np.bool_]:
    assert layer.alpha is not None
    return np.asarray(layer.alpha > 250)


def _over(source: Pictures, layers: Sequence[Layer]) -> Iterator[NDArray[np.uint8]]:
    for picture, layer in zip(source, layers, strict=True):
        assert layer.alpha is not None
        alpha = (layer.alpha / 255.0)[..., None]
        yield np.rint(layer.picture * alpha + picture * (1 - alpha)).astype(np.uint8)


def load_scene(clip: Path, work: Path) -> Scene:
    """Run the preview job on a clip and return its layers."""
    made = video_of(run(clip, work, "output=lossless", artifacts=("layer", "mask"))).parent
    rgba = list(read_artifact(made / "layer.mkv"))
    layers = [Layer(np.ascontiguousarray(each[..., :3]), np.ascontiguousarray(each[..., 3])) for each in rgba]
    return Scene(list(read_rgb(clip)), layers, [mask > 0 for mask in read_artifact(made / "mask.mkv")])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flicker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with sample.mp4; such as assets/walk_a")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="flicker-") as temporary:
        scene = load_scene(folder / "sample.mp4", Path(temporary))
    strength = TemporalSettings().strength
    bad = flickering(scene.layers)
    own = flicker_of(scene, scene.layers)
    worst = flicker_of(scene, bad)
    sharp = sharpness_of(bad)
    print(f"warping error: clean layers {own:.5f}, with flicker {worst:.5f}")
    missed = False
    for name, made, still in (
        ("ours", with_flow(scene, bad, strength), with_flow(scene, scene.layers, strength)),
        ("running mean", running_mean(bad, strength), running_mean(scene.layers, strength)),
    ):
        down = 100 * (worst - flicker_of(scene, made)) / (worst - own)
        softer = 100 * (1 - sharpness_of(made) / sharp)
        ghosts = ghost_percent(scene.layers, made)
        of_clean = ghost_percent(scene.layers, still)
        print(
            f"{name:<13} flicker down {down:5.1f} % (aim {_AIM_FLICKER:.0f})  sharpness lost {softer:5.1f} %"
            f" (aim {_AIM_SHARPNESS:.0f})  ghosts {ghosts:5.2f} %, on clean layers {of_clean:5.2f} %"
        )
        missed |= name == "ours" and (down < _AIM_FLICKER or softer > _AIM_SHARPNESS)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
