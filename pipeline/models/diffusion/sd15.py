"""The ``sd15`` generator: Stable Diffusion 1.5 with ControlNet inpainting, in batches of independent frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.datatypes.plan import Presence
from pipeline.datatypes.window import Layer, Window
from pipeline.models.diffusion.backend import DiffusionBackend
from pipeline.models.diffusion.conditioner import inpaint_regions, start_pictures
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.latents import decode, encode, mask_tensor
from pipeline.models.diffusion.surface_noise import shared_noise
from pipeline.runtime.callbacks import Check


class StableDiffusion(DiffusionBackend):
    """Frames are consistent because they share their noise, which moves with the figure, and start from that figure.

    Frames are independent, so the batch size changes only rounding.
    """

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield finished layers unchanged, then whole generated crops without alpha; absent frames are empty."""
        yield from window.finished
        batch = self._conditioner.batch()
        rows = range(len(window.finished), window.num_frames)
        for i in range(0, len(rows), batch):
            some = rows[i : i + batch]
            present = [row for row in some if window.presence[row] != Presence.ABSENT]
            made = dict(zip(present, self._made(window, present, seed, check), strict=True)) if present else {}
            for row in some:
                yield Layer(made[row], None) if row in made else Layer.empty(window.size_wh)

    def _made(self, window: Window, rows: list[int], seed: int, check: Check) -> list[np.ndarray]:
        assert window.plates is not None
        parts = self._parts
        conditioner = self._conditioner
        settings = self._settings
        batch = conditioner.batch()
        known_latents = encode(parts, window.plates[rows], batch, check)
        start = None
        if window.figure is not None and settings.strength < 1:
            start = encode(parts, start_pictures(window, rows), batch, check)
        surface = None
        if window.figure is not None and window.figure.surface is not None:
            surface = window.figure.surface[rows]
        task = DenoiseInputs(
            start=start,
            known_latents=known_latents,
            inpaint_mask=mask_tensor(parts, inpaint_regions(window, rows)),
            noise=shared_noise(parts, seed, surface, len(rows), conditioner.latent_hw),
            guides=conditioner.guides(window, rows),
            steps=settings.steps,
            strength=settings.strength,
            guidance=settings.guidance,
            batch=batch,
        )
        return list(decode(parts, denoise(parts, conditioner.conditioning, task, check), batch, check))
