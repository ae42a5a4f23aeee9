"""The denoising loop of both diffusion generators, over diffusers' modules.

The pipelines' own call is not used because there a ControlNet runs in every step and for both halves of the guidance,
noise is drawn per batch (so a batch of eight is not eight single frames), and AnimateDiff's accepts no mask. The
computation is otherwise the same, and a test compares the two.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import LCMScheduler
from torch import Tensor

from pipeline.models.device import check_finite, device_errors
from pipeline.models.diffusion.loading import Components
from pipeline.models.diffusion.steps import guides_in_step, num_steps_run
from pipeline.runtime.callbacks import Check

Noise = Callable[[int], Tensor]
"""Step number to (N, 4, h, w) normal noise; 0 is the initial noise."""


@dataclass(frozen=True, slots=True, eq=False)
class ControlNetInput:
    """One ControlNet with its control images."""

    name: str
    weight: float
    end: float
    """Fraction of the steps in which it is active."""
    pictures: Tensor
    """(N, 3, H, W) 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """Encodings of prompt and reference picture."""

    prompt: Tensor
    """(1, tokens, width)."""
    negative: Tensor
    """(1, tokens, width)."""
    image: tuple[Tensor, ...]
    """One per reference picture: (1, images, ...), as the IP-Adapter's projection expects it."""
    negative_image: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DenoiseInputs:
    """N frames to denoise together; h, w are latent px."""

    start: Tensor | None
    """(N, 4, h, w) latents to start from, or None: from noise alone."""
    known_latents: Tensor
    """(N, 4, h, w) latents of the known region."""
    inpaint_mask: Tensor
    """(N, 1, h, w): 1 where the picture is generated, 0 where ``known_latents`` is kept."""
    noise: Noise
    guides: tuple[ControlNetInput, ...]
    steps: int
    strength: float
    """Fraction of the steps that are run; 1 without ``start``."""
    guidance: float
    batch: int
    """Frames that a ControlNet processes at once."""


def denoise(parts: Components, conditioning: Conditioning, task: DenoiseInputs, check: Check) -> Tensor:
    """Return (N, 4, h, w) latents. ``check`` is called before every step.

    The known region is kept as in RePaint (Lugmayr et al., CVPR 2022), without its resampling: after each step the
    known latents, noised to that step, replace what was generated outside the mask.

    Raises ``OutOfMemory``, and ``GpuError`` for a failing device or values that are not finite.
    """
    # Schedulers count their own steps.
    scheduler = copy.deepcopy(parts.scheduler)
    with device_errors(), torch.inference_mode():
        scheduler.set_timesteps(task.steps, device=parts.device)
        runs = num_steps_run(task.steps, task.strength, has_start=task.start is not None)
        timesteps = scheduler.timesteps[len(scheduler.timesteps) - runs * scheduler.order :]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(scheduler.timesteps) - len(timesteps))
        noise = task.noise(0)
        if task.start is None:
            x = noise * scheduler.init_noise_sigma
        else:
            x = scheduler.add_noise(task.start, noise, timesteps[:1])
        for i, t in enumerate(timesteps):
            check()
            scaled = scheduler.scale_model_input(x, t)
            guides = [guide for guide in task.guides if guides_in_step(i, len(timesteps), guide.end)]
            residuals = _residuals(parts, conditioning, guides, scaled, t, task.batch)
            predicted = _predict(parts, scaled, t, conditioning.prompt, conditioning.image, residuals)
            if task.guidance > 1:
                # Without ControlNets: half their cost, and a stronger effect of their guidance.
                without = _predict(parts, scaled, t, conditioning.negative, conditioning.negative_image, None)
                predicted = without + task.guidance * (predicted - without)
            is_last = i + 1 == len(timesteps)
            if isinstance(scheduler, LCMScheduler):
                # Its own noise would be drawn for the whole batch at once.
                x = scheduler.step(predicted, t, x).denoised
                noise = task.noise(i + 1)
                if not is_last:
                    x = scheduler.add_noise(x, noise, timesteps[i + 1 : i + 2])
            else:
                x = scheduler.step(predicted, t, x, return_dict=False)[0]
            held = (
                task.known_latents
                if is_last
                else scheduler.add_noise(task.known_latents, noise, timesteps[i + 1 : i + 2])
            )
            x = (1 - task.inpaint_mask) * held + task.inpaint_mask * x
        check_finite(x)
    return x


def _predict(
    parts: Components,
    x: Tensor,
    t: Tensor,
    text: Tensor,
    image: tuple[Tensor, ...],
    residuals: tuple[list[Tensor], Tensor] | None,
) -> Tensor:
    """Return the UNet's (N, 4, h, w)."""
    frames = len(x)
    down, mid = residuals if residuals is not None else (None, None)
    # UNetMotionModel takes the image encodings once per clip and repeats them itself, but the text encodings per frame.
    images = list(image) if parts.has_motion_module else [part.expand(frames, *part.shape[1:]) for part in image]
    made = parts.unet(
        x.transpose(0, 1)[None] if parts.has_motion_module else x,
        t,
        encoder_hidden_states=text.expand(frames, -1, -1),
        added_cond_kwargs={"image_embeds": images} if images else None,
        down_block_additional_residuals=down,
        mid_block_additional_residual=mid,
        return_dict=False,
    )[0]
    result: Tensor = made[0].transpose(0, 1) if parts.has_motion_module else made
    return result


def _residuals(
    parts: Components, conditioning: Conditioning, guides: Sequence[ControlNetInput], x: Tensor, t: Tensor, batch: int
) -> tuple[list[Tensor], Tensor] | None:
    """Return the summed residuals of the ControlNets for the UNet's down blocks and middle block."""
    total: tuple[list[Tensor], Tensor] | None = None
    for guide in guides:
        if guide.weight == 0:
            continue
        pieces = [
            parts.controlnets[guide.name](
                x[i : i + batch],
                t,
                encoder_hidden_states=conditioning.prompt.expand(len(x[i : i + batch]), -1, -1),
                controlnet_cond=guide.pictures[i : i + batch],
                conditioning_scale=guide.weight,
                return_dict=False,
            )
            for i in range(0, len(x), batch)
        ]
        down = [torch.cat(same) for same in zip(*(piece[0] for piece in pieces), strict=True)]
        mid = torch.cat([piece[1] for piece in pieces])
        total = (down, mid) if total is None else ([a + b for a, b in zip(total[0], down, strict=True)], total[1] + mid)
    return total
