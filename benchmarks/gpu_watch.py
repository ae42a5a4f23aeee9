"""Instrumentation of a job's models for ``benchmarks.gpu_check``: a timed generator whose memory is measured, a people
backend that returns the requested person, and the GPU's utilization."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import OutOfMemory
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.models.interfaces import Generator, Needs, PeopleBackend
from pipeline.runtime.callbacks import Check

_SAMPLE_SECONDS = 0.1
"""NVML's own value is a mean over about this interval."""
_PROVOKED_SHARE = 0.6
"""Fraction of the memory that a window needs beyond the weights that is available when an out-of-memory error is
provoked."""


class Busyness:
    """The mean utilization of the GPU, sampled in a thread between ``start`` and ``stop``."""

    def __init__(self, read: Callable[[], float] | None) -> None:
        """``read`` returns 0..1; without it nothing is measured."""
        self._read = read
        self._samples: list[float] = []
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start sampling, if not started."""
        if self._read is not None and self._thread is None:
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop sampling; the samples are kept."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    @property
    def idle_share(self) -> float | None:
        """1 minus the mean utilization; None where nothing was sampled."""
        return 1.0 - float(np.mean(self._samples)) if self._samples else None

    def _sample(self) -> None:
        assert self._read is not None
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._samples.append(self._read())


def nvml_utilization() -> Callable[[], float] | None:
    """Return a reader of the first GPU's utilization, 0..1; None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    import pynvml

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    return lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100


@dataclass
class WatchedGenerator:
    """A timed generator whose memory is measured after every chunk."""

    inner: Generator
    busyness: Busyness
    asked: deque[Person] = field(default_factory=deque)
    """The requested person in each picture without a matte so far: what ``RehearsedPeople`` returns."""
    peaks_gb: list[float] = field(default_factory=list)
    left_gb: list[float] = field(default_factory=list)
    seconds: float = 0.0
    frames: int = 0
    last: Window | None = None
    panels: dict[int, list[Picture]] = field(default_factory=dict)
    """Frame number -> source crop, plate, start, guides, mask, generated picture, for the contact sheets."""
    keeps_panels: bool = False

    @property
    def needs(self) -> Needs:
        return self.inner.needs

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        return self.inner.prepare(appearance)

    def use_less_memory(self) -> bool:
        return self.inner.use_less_memory()

    def rest(self) -> None:
        """Record the peak, release memory, and record what remains."""
        if torch.cuda.is_available():
            self.peaks_gb.append(torch.cuda.max_memory_allocated() / 1e9)
        self.inner.rest()
        if torch.cuda.is_available():
            self.left_gb.append(torch.cuda.memory_reserved() / 1e9)
            torch.cuda.reset_peak_memory_stats()

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield the inner generator's layers; only its own time is counted."""
        self.busyness.start()
        self.last = window
        layers = self.inner.generate(window, seed, check)
        chosen = {0, window.num_frames // 2, window.num_frames - 1} if self.keeps_panels else set()
        row = 0
        while True:
            begin = time.perf_counter()
            layer = next(layers, None)
            self.seconds += time.perf_counter() - begin
            if layer is None:
                return
            self.frames += row >= len(window.finished)
            if layer.alpha is None:
                self.asked.append(person_as_asked(window, row))
            if row in chosen:
                self.panels[window.start + row] = _panels(window, row, layer)
            yield layer
            row += 1


def person_as_asked(window: Window, row: int) -> Person:
    """Return a person in a window's frame exactly as the generator was asked to draw them."""
    assert window.masks is not None
    mask = window.masks[row]
    if window.figure is not None and window.figure.silhouette[row].any():
        mask = window.figure.silhouette[row]
    return Person(box_of(mask), 1.0, window.joints[row], window.skeletons[row], mask)


def box_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (4,) x0, y0, x1, y1 of a mask; zeros where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


class RehearsedPeople:
    """Finds people in the clip by ``finder``; in generated pictures it returns the requested person.

    Random weights generate noise: nobody would be found in it, and every window would be generated twice. ``load`` is
    still run on the generated pictures, for its time and memory, and its detections are discarded.
    """

    def __init__(self, finder: PeopleBackend | None, load: PeopleBackend | None, asked: deque[Person]) -> None:
        self._finder = finder
        self._load = load
        self._asked = asked

    @property
    def look_back(self) -> int:
        return self._finder.look_back if self._finder is not None else 0

    @property
    def batch_frames(self) -> int:
        return 8 if self._asked else 1

    def reset(self) -> None:
        if self._finder is not None and not self._asked:
            self._finder.reset()

    def find(self, picture: Picture) -> list[Person]:
        """Without a ``finder`` (its library may be missing) the reference picture's person is what is not gray."""
        if self._finder is not None:
            return self._finder.find(picture)
        return [standing_person(picture)]

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        if not self._asked:
            return [self.find(picture) for picture in pictures]
        if self._load is not None:
            self._load.find_batch(pictures)
        return [[self._asked.popleft()] for _ in pictures]


def standing_person(picture: Picture) -> Person:
    """Return the person of a reference picture with a plain gray background; only the head's joints are estimated."""
    mask = np.abs(picture.astype(int) - 128).max(axis=-1) > 2
    x0, y0, x1, y1 = box_of(mask)
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    joints[:, 2] = 0
    height = y1 - y0
    middle = (x0 + x1) / 2
    head = np.array([[0, 0.07], [0.015, 0.06], [-0.015, 0.06], [0.035, 0.065], [-0.035, 0.065]])
    joints[:5, :2] = np.array([middle, y0]) + head * height
    joints[:5, 2] = 1
    return Person(np.array([x0, y0, x1, y1]), 1.0, joints, np.full((NUM_SKELETON, 3), np.nan, np.float32), mask)


def provoke_out_of_memory(
    generator: Generator, window: Window, limited: Callable[[], AbstractContextManager[Any]]
) -> dict[str, Any]:
    """Make a window run out of memory, as a job would, and report what happened.

    ``limited`` makes a context in which memory is short; a first run without it is the reference for the second.
    """
    plain, _ = _timed_run(generator, window)
    with limited():
        try:
            short, _ = _timed_run(generator, window)
        except OutOfMemory:
            if not generator.use_less_memory():
                return {"outcome": "OUT_OF_MEMORY: there is nothing left to halve", "plain_s": round(plain, 2)}
        else:
            return {"outcome": "did not run out", "plain_s": round(plain, 2), "short_s": round(short, 2)}
        generator.rest()
        try:
            short, frames = _timed_run(generator, window)
        except OutOfMemory:
            return {"outcome": "OUT_OF_MEMORY, also with less", "plain_s": round(plain, 2)}
    told = f"finished {frames} frames with less memory"
    return {"outcome": told, "plain_s": round(plain, 2), "short_s": round(short, 2)}


def _timed_run(generator: Generator, window: Window) -> tuple[float, int]:
    begin = time.perf_counter()
    count = sum(1 for _ in generator.generate(window, 0, lambda: None))
    return time.perf_counter() - begin, count


def memory_limit(generator: Generator, window: Window) -> Callable[[], AbstractContextManager[Any]]:
    """Return a context that limits GPU memory to what is loaded plus 60 % of what a window needs beyond that."""
    if not torch.cuda.is_available():
        return nullcontext
    generator.rest()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    _timed_run(generator, window)
    needed = torch.cuda.max_memory_allocated() - held
    total = torch.cuda.get_device_properties(0).total_memory

    @contextmanager
    def limited() -> Iterator[None]:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((held + _PROVOKED_SHARE * needed) / total)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    return limited


def _panels(window: Window, row: int, layer: Layer) -> list[Picture]:
    shown: list[Picture] = []
    for pictures in (window.pictures, window.plates):
        if pictures is not None:
            shown.append(pictures[row])
    if window.figure is not None and window.plates is not None:
        figure = window.figure.layers[row]
        assert figure.alpha is not None
        cover = figure.alpha[..., None].astype(np.float32) / 255
        start = figure.picture * cover + window.plates[row] * (1 - cover)
        shown.append(np.rint(start).astype(np.uint8))
    shown += [pictures[row] for pictures in window.controls.values()]
    if window.masks is not None:
        shown.append(np.repeat(window.masks[row][..., None].astype(np.uint8) * 255, 3, axis=-1))
    return [*shown, layer.picture]
