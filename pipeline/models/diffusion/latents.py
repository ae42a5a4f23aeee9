"""Pictures to latents and back, masks at the latents' size, and noise per frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional
from diffusers import AutoencoderTiny
from numpy.typing import NDArray
from torch import Tensor

from pipeline.models.device import check_finite, device_errors
from pipeline.models.diffusion.denoise import Noise
from pipeline.models.diffusion.loading import Components
from pipeline.runtime.callbacks import Check

SPATIAL = 8
"""Picture px per latent px, along each side, of Stable Diffusion's autoencoders."""


def encode(parts: Components, pictures: NDArray[np.uint8], batch: int, check: Check) -> Tensor:
    """Return (N, 4, H/8, W/8) latents of (N, H, W, 3) RGB: the mean of the encoder's distribution, not a sample."""
    pieces = []
    with device_errors(), torch.inference_mode():
        for i in range(0, len(pictures), batch):
            check()
            x = picture_tensor(parts, pictures[i : i + batch]) * 2 - 1
            if isinstance(parts.encoder, AutoencoderTiny):
                latents = parts.encoder.encode(x).latents
            else:
                latents = parts.encoder.encode(x).latent_dist.mode()
            pieces.append(latents * parts.encoder.config["scaling_factor"])
    return torch.cat(pieces)


def decode(parts: Components, latents: Tensor, batch: int, check: Check) -> NDArray[np.uint8]:
    """Return (N, H, W, 3) RGB of (N, 4, H/8, W/8). Raises ``GpuError`` for values that are not finite."""
    pieces = []
    with device_errors(), torch.inference_mode():
        for i in range(0, len(latents), batch):
            check()
            x = parts.vae.decode(latents[i : i + batch] / parts.vae.config["scaling_factor"]).sample
            check_finite(x)
            pixels = ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            pieces.append(pixels.permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(pieces)


def picture_tensor(parts: Components, pictures: NDArray[np.uint8]) -> Tensor:
    """Return (N, 3, H, W) 0..1 on the device, of (N, H, W, 3)."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).to(parts.device).permute(0, 3, 1, 2)
    return (x.to(parts.dtype) / 255).contiguous(memory_format=torch.channels_last)


def mask_tensor(parts: Components, masks: NDArray[np.bool_]) -> Tensor:
    """Return (N, 1, H/8, W/8), 1 where any pixel of (N, H, W) is set: no part of the mask is lost on the coarser
    grid."""
    x = torch.from_numpy(masks).to(parts.device)[:, None].to(parts.dtype)
    return torch.nn.functional.max_pool2d(x, SPATIAL)


def noise_of_frames(parts: Components, seed: int, frames: Sequence[int], latent_hw: tuple[int, int]) -> Noise:
    """Return independent noise for each frame *number*: windows that share a frame share its noise."""

    def of_step(step: int) -> Tensor:
        return torch.cat([draw_noise(parts, (seed, step, frame), latent_hw) for frame in frames])

    return of_step


def draw_noise(parts: Components, entropy: tuple[int, ...], latent_hw: tuple[int, int]) -> Tensor:
    """Return (1, 4, h, w) normal noise that depends on ``entropy`` alone."""
    # Drawn by numpy on the CPU: the same on every device, and without state between draws.
    values = np.random.default_rng(entropy).standard_normal((1, 4, *latent_hw), np.float32)
    return torch.from_numpy(values).to(parts.device, parts.dtype)
