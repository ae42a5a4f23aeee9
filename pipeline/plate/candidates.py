"""Frames from which plates are built, on disk while they are needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import FrameSource
from pipeline.media.pixels import rgb_of
from pipeline.plate.anchors import AnchorPlan


class CandidateReader:
    """One read of the clip: frames stay in a memory-mapped file until they are no longer needed."""

    def __init__(
        self,
        clip: FrameSource,
        plans: Sequence[AnchorPlan],
        chosen: dict[int, list[int]],
        folder: Path,
        check: Callable[[], None],
    ) -> None:
        self._plans = plans
        self._check = check
        self._spool = folder / "candidates"
        self._last_use: dict[int, int] = {}
        for row, plan in enumerate(plans):
            self._last_use.update(dict.fromkeys(plan.candidates, row))
        self._frames = clip.frames_at(sorted({*self._last_use, *chosen}))
        self._there: set[int] = set()

    def __enter__(self) -> CandidateReader:
        shutil.rmtree(self._spool, ignore_errors=True)
        self._spool.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._spool)

    def candidates(self, row: int) -> dict[int, Picture]:
        """Return the pictures of a plan's candidates."""
        return {frame: self.picture(frame) for frame in self._plans[row].candidates}

    def picture(self, index: int) -> Picture:
        """Return the RGB picture (H, W, 3) of a frame, read-only."""
        while index not in self._there:
            self._check()
            frame = next(self._frames)
            np.save(self._spool / f"{frame.index}.npy", rgb_of(frame))
            self._there.add(frame.index)
        return np.asarray(np.load(self._spool / f"{index}.npy", mmap_mode="r"))

    def release(self, row: int, next_frame: int | None) -> None:
        """Drop frames that no later plate stacks and that were registered; ``next_frame`` is the first that was not."""
        for used in sorted(self._there):
            if self._last_use.get(used, -1) <= row and (next_frame is None or used < next_frame):
                (self._spool / f"{used}.npy").unlink()
                self._there.remove(used)
