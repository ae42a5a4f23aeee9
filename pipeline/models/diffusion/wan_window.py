"""The common part of the two Wan generators: windows of 4k + 1 frames, pictures as Wan expects them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import Layer, Window
from pipeline.errors import GpuError
from pipeline.models.diffusion.conditioner import composite_over, inpaint_regions
from pipeline.models.diffusion.wan_cost import padded_frames
from pipeline.models.diffusion.windows import mirrored_indices
from pipeline.runtime.callbacks import Check


def padded_rows(frames: int, at_least: int = 1) -> list[int]:
    """Return row numbers: 0 … frames - 1 and then mirrored ones, 4k + 1 in total."""
    return mirrored_indices(frames, padded_frames(frames, at_least))


def kept_pictures(window: Window) -> NDArray[np.uint8]:
    """Return (N, h, w, 3): the finished frames over their plates, and the plates of the others."""
    assert window.plates is not None
    kept = window.plates.copy()
    for row, layer in enumerate(window.finished):
        kept[row] = composite_over(layer, kept[row])
    return kept


def regions_to_make(window: Window) -> NDArray[np.bool_]:
    """Return (N, h, w): where the new person may be; nowhere in finished frames and where the subject is absent."""
    regions = inpaint_regions(window, range(window.num_frames))
    regions[: len(window.finished)] = False
    regions[window.presence == Presence.ABSENT] = False
    return regions


def pil(picture: Picture) -> PIL.Image.Image:
    """Return a picture as diffusers' pipelines expect it."""
    return PIL.Image.fromarray(np.ascontiguousarray(picture))


def pil_mask(mask: Mask) -> PIL.Image.Image:
    """Return a mask likewise: white where the picture is generated."""
    return PIL.Image.fromarray(mask.astype(np.uint8) * 255)


def generator_of(seed: int, start: int) -> torch.Generator:
    """Return the CPU's generator of a window: the same numbers on every device."""
    entropy = int(np.random.SeedSequence((seed, start)).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator("cpu").manual_seed(entropy)


def stop_between_steps(check: Check) -> Callable[..., dict[str, Any]]:
    """Return a callback of diffusers' pipelines that lets ``check`` raise after every step."""

    def after_step(pipeline: Any, step: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        check()
        return values

    return after_step


def layers_of(window: Window, frames: NDArray[np.floating[Any]], rows: Sequence[int]) -> list[Layer]:
    """Return the window's layers of generated frames (N, h, w, 3) 0..1, without alpha; absent ones are empty.

    ``rows`` are the indices in ``frames`` of the window's frames. Finished layers are returned unchanged. Raises
    ``GpuError`` for values that are not finite.
    """
    if not np.isfinite(frames).all():
        raise GpuError("the model gave values that are not finite")
    layers = list(window.finished)
    for row in range(len(window.finished), window.num_frames):
        if window.presence[row] == Presence.ABSENT:
            layers.append(Layer.empty(window.size_wh))
        else:
            layers.append(Layer(np.rint(np.clip(frames[rows[row]], 0, 1) * 255).astype(np.uint8), None))
    return layers
