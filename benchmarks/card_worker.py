"""A worker with a simulated GPU: `CARD_SECONDS=1 python -m benchmarks.card_worker`.

Everything else is real: RunPod's SDK, the job's thread, the bucket. The simulated GPU sleeps ``CARD_SECONDS`` per chunk
and draws a gray box; the people backend finds the red box of ``write_clip`` without a model. What is measured is the
overhead around the GPU.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.shake import write_video
from handler import _serve
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.interfaces import Needs
from pipeline.models.loaded import LoadedModels
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from worker.command_line import parse_arguments
from worker.environment import read_worker_settings
from worker.logs import set_up_logging
from worker.models import ModelKeeper

SIZE_WH = (160, 90)
FPS = 10
CHUNK_FRAMES = 5
_STEP_SECONDS = 0.05


def write_clip(path: Path, chunks: int) -> Path:
    """Write a clip of ``chunks`` chunks (``segment.chunk_seconds`` is half a second): a red box crosses a wall."""
    wall = np.random.default_rng(1).integers(60, 120, (*SIZE_WH[::-1], 1), np.uint8).repeat(3, axis=2)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for t in range(chunks * CHUNK_FRAMES):
            picture = wall.copy()
            x = 40 + round(60 * t / (chunks * CHUNK_FRAMES))
            picture[20:80, x : x + 20] = (220, 20, 20)
            yield picture

    write_video(path, pictures(), fps=Fraction(FPS), crf=10)
    return path


class RedBoxPeople:
    """Detects the red person."""

    batch_frames = 1
    look_back = 0

    def reset(self) -> None:
        """There is no state to reset."""

    def find(self, picture: Picture) -> list[Person]:
        mask = (picture[..., 0] > 150) & (picture[..., 1] < 80)
        if mask.sum() < 50:
            return []
        rows, columns = np.nonzero(mask)
        x0, y0, x1, y1 = float(columns.min()), float(rows.min()), float(columns.max()) + 1, float(rows.max()) + 1
        joints = np.full((NUM_JOINTS, 3), 0.9, np.float32)
        joints[:, 0] = (x0 + x1) / 2
        joints[:, 1] = np.linspace(y0 + 2, y1 - 2, NUM_JOINTS)
        skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
        skeleton[:, 0] = (x0 + x1) / 2
        skeleton[:, 1] = np.linspace(y0 + 2, y1 - 2, NUM_SKELETON)
        return [Person(np.array([x0, y0, x1, y1]), 0.9, joints, skeleton, mask)]

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        return [self.find(picture) for picture in pictures]


class SleepingCard:
    """Draws a gray box in place of the subject, after sleeping for each window."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def needs(self) -> Needs:
        return Needs(crop_size_wh=(64, 96), window_frames=32)

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return ()

    def use_less_memory(self) -> bool:
        return False

    def rest(self) -> None:
        """There is nothing to release."""

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            check()
            time.sleep(_STEP_SECONDS)
        width, height = window.size_wh
        alpha = np.zeros((height, width), np.uint8)
        alpha[height // 4 :, width // 4 : -width // 4] = 255
        for t, joints in enumerate(window.joints):
            shade = np.uint8(100 + (window.start + t) % 50)
            yield Layer(np.full((height, width, 3), shade, np.uint8), alpha, joints)


def models_of(seconds: float) -> ModelKeeper:
    """Return the models of a worker whose simulated GPU takes this long per chunk."""

    def load(settings: Settings, kept: LoadedModels | None) -> LoadedModels:
        return LoadedModels(RedBoxPeople(), SleepingCard(seconds))

    return ModelKeeper(load)


def main() -> None:
    arguments = parse_arguments(["card_worker"], os.environ)
    assert arguments is not None
    worker = read_worker_settings(os.environ, arguments.origin)
    set_up_logging(os.environ, as_json=True)
    _serve(arguments, worker, models_of(float(os.environ["CARD_SECONDS"])))


if __name__ == "__main__":
    main()
