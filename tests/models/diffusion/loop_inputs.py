"""Settings, pictures and conditioning for tests of the denoising loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.models.diffusion.denoise import Conditioning, ControlNetInput
from pipeline.models.diffusion.latents import picture_tensor
from pipeline.settings import ControlSettings, DiffusionSettings

WH = (64, 128)
LATENT_HW = (WH[1] // 8, WH[0] // 8)


def settings_of(preset: str, *overrides: str) -> DiffusionSettings:
    return compose_settings(preset, (*tiny_overrides(preset), *overrides)).generate


def random_pictures(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (frames, WH[1], WH[0], 3), np.uint8)


def conditioning_of(parts: Any) -> Conditioning:
    prompt, negative = parts.pipeline.encode_prompt("a dancer", parts.device, 1, True, "blurry")
    gray = np.full((64, 64, 3), 128, np.uint8)
    given = [gray] * len(parts.unet.encoder_hid_proj.image_projection_layers)
    images = [e.chunk(2) for e in parts.pipeline.prepare_ip_adapter_image_embeds(given, None, parts.device, 1, True)]
    return Conditioning(prompt, negative, tuple(e[1] for e in images), tuple(e[0] for e in images))


def guides_of(parts: Any, controls: tuple[ControlSettings, ...], frames: int) -> tuple[ControlNetInput, ...]:
    return tuple(
        ControlNetInput(c.name, c.weight, c.end, picture_tensor(parts, random_pictures(frames, 50 + i)))
        for i, c in enumerate(controls)
    )
