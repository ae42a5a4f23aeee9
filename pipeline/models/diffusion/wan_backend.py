"""The common part of the two Wan generators: what they hold, less memory, windows in which nobody is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import Layer, Window
from pipeline.models.diffusion.wan_loading import WanParts
from pipeline.runtime.callbacks import Check


class WanBackend(ABC):
    """A ``Generator`` without ``needs``, ``prepare`` and the call of the pipeline."""

    def __init__(self, parts: WanParts) -> None:
        self._parts = parts
        self._prompt: tuple[torch.Tensor, ...] = ()
        self._reference: NDArray[np.uint8] | None = None
        self._is_tiled = False

    def use_less_memory(self) -> bool:
        """Let the autoencoder work in tiles, once: the transformer's memory depends only on the window."""
        if self._is_tiled:
            return False
        self._parts.pipeline.vae.enable_tiling()
        self._is_tiled = True
        return True

    def use_all_memory(self) -> None:
        """Undo ``use_less_memory``: what an earlier job ran out of memory with does not change this one's pictures."""
        self._parts.pipeline.vae.disable_tiling()
        self._is_tiled = False

    def rest(self) -> None:
        """Release cached memory for other models."""
        if self._parts.device.type == "cuda":
            torch.cuda.empty_cache()

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield finished layers unchanged, then whole generated crops without alpha; absent frames are empty."""
        if (window.presence[len(window.finished) :] == Presence.ABSENT).all():
            yield from window.finished
            yield from (Layer.empty(window.size_wh) for _ in range(len(window.finished), window.num_frames))
            return
        check()
        yield from self._layers(window, seed, check)

    @abstractmethod
    def _layers(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield the layers of a window in which the subject is."""
