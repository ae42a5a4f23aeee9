"""Noise that the frames of a clip share: fixed to the figure's surface on the figure, and to the crop around it.

Were it fixed to the crop everywhere, the texture that comes of it would stand still while limbs move under it. Chang et
al. ("How I Warped Your Noise", ICLR 2024) carry noise along optical flow; here the place on the body is known, so each
frame looks its noise up without the frames before it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.models.diffusion.denoise import Noise
from pipeline.models.diffusion.latents import draw_noise
from pipeline.models.diffusion.loading import Components

_FILLED = 0.65
"""Fraction of the crop's height that a standing person fills (.62 to .68 measured): there a cell on the body is as
large as a latent px."""
_TABLE_SIZE = 1 << 15
"""About twenty times as many as a figure has latent px: one in forty shares a row with another."""
_PRIMES = np.array([73856093, 19349663, 83492791], np.int64)
"""Of the spatial hash by Teschner et al. (2003)."""
_OF_BODY = 1
"""Tells the body's noise from the crop's, which has one number less."""


def shared_noise(
    parts: Components, seed: int, surface: NDArray[np.float32] | None, frames: int, latent_hw: tuple[int, int]
) -> Noise:
    """Return the noise of frames whose ``surface`` (N, h, w, 3) is that of ``FigureGuide``; None: the crop's alone.

    It differs at each step. In each frame it is independent between pixels, as denoising requires.
    """
    cells = None if surface is None else noise_cells(surface)

    def of_step(step: int) -> Tensor:
        noise = draw_noise(parts, (seed, step), latent_hw).expand(frames, -1, -1, -1)
        if cells is None:
            return noise
        noise = noise.clone()
        table = draw_noise(parts, (seed, step, 0, _OF_BODY), (1, _TABLE_SIZE))[0, :, 0]
        for of_frame, chosen in zip(noise, cells, strict=True):
            y, x = (torch.from_numpy(axis).to(parts.device) for axis in np.nonzero(chosen >= 0))
            rows = torch.from_numpy(chosen[chosen >= 0]).to(parts.device)
            of_frame[:, y, x] = table[:, rows]
        return noise

    return of_step


def noise_cells(surface: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return (N, h, w): the row of a table of noise for each latent px, -1 where the noise is the crop's.

    ``surface`` (N, h, w, 3) is in body heights, NaN outside the figure. No row occurs twice in a frame: where the
    surface appears enlarged, or two of its cells share a row, one px has it and the others have the crop's noise.
    """
    num_frames, height, width, _ = surface.shape
    on_figure = np.asarray(np.isfinite(surface).all(axis=-1))
    places = np.floor(np.where(on_figure[..., None], surface, 0) * (_FILLED * height)).astype(np.int64)
    hashed = np.bitwise_xor.reduce(places * _PRIMES, axis=-1) % _TABLE_SIZE
    cells = np.full((num_frames, height * width), -1, np.int64)
    for of_frame, rows, inside in zip(cells, hashed, on_figure, strict=True):
        where = np.flatnonzero(inside)
        unique, first = np.unique(rows.ravel()[where], return_index=True)
        of_frame[where[first]] = unique
    return cells.reshape(num_frames, height, width)
