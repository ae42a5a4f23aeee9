"""The denoising loop against diffusers' own pipelines, as the presets use it: LCM, fused LoRA, ControlNets, masks.

The schedulers of the other side are built here from the published values, not taken from the loading code, and every
step has noise of its own, handed to both sides.
"""

from __future__ import annotations

import diffusers.pipelines.animatediff.pipeline_animatediff_video2video_controlnet as video_to_video
import diffusers.schedulers.scheduling_lcm as scheduling_lcm
import numpy as np
import pytest
import torch
from diffusers import LCMScheduler
from PIL import Image
from safetensors.torch import load_file

from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.latents import decode, encode, mask_tensor, noise_of_frames
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.weights.folder import weight_folder
from tests.models.diffusion.loop_inputs import LATENT_HW, WH, conditioning_of, guides_of, random_pictures, settings_of


def _lcm(beta_schedule: str) -> LCMScheduler:
    """Stable Diffusion 1.5's published schedule; AnimateLCM's motion modules were trained with linear betas."""
    return LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule=beta_schedule, steps_offset=1, clip_sample=False
    )


def _hand_out(monkeypatch: pytest.MonkeyPatch, noises: list[torch.Tensor]) -> None:
    """Let LCM's own steps draw these, in their order."""
    monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *args, **more: noises.pop(0))


def test_inpainting_with_lcm_is_diffusers_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("fast", "generate.steps=4")
    parts = load_parts(key_of(settings))
    conditioning = conditioning_of(parts)
    frames = 2
    known = encode(parts, random_pictures(frames, 1), 8, lambda: None)
    noise = torch.randn(frames, 4, *LATENT_HW, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(frames, 1, *LATENT_HW)
    mask[0, :, 3:9, 2:6] = 1
    mask[1, :, 5:12, 1:4] = 1
    task = DenoiseInputs(
        start=None,
        known_latents=known,
        inpaint_mask=mask,
        noise=lambda step: noise,
        guides=guides_of(parts, settings.controls, frames),
        steps=4,
        strength=1.0,
        guidance=1.0,
        batch=8,
    )
    ours = denoise(parts, conditioning, task, lambda: None)
    parts.pipeline.scheduler = _lcm("scaled_linear")
    _hand_out(monkeypatch, [noise] * 3)
    theirs = parts.pipeline(
        image=torch.from_numpy(random_pictures(frames, 1)).permute(0, 3, 1, 2) / 255,
        mask_image=mask.repeat_interleave(8, 2).repeat_interleave(8, 3),
        control_image=[guide.pictures for guide in task.guides],
        prompt_embeds=conditioning.prompt.expand(frames, -1, -1),
        negative_prompt_embeds=conditioning.negative.expand(frames, -1, -1),
        ip_adapter_image_embeds=list(conditioning.image),
        latents=noise,
        num_inference_steps=4,
        strength=1.0,
        guidance_scale=1.0,
        controlnet_conditioning_scale=[c.weight for c in settings.controls],
        control_guidance_end=[c.end for c in settings.controls],
        output_type="latent",
        height=WH[1],
        width=WH[0],
    ).images
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("preset", ["balanced", "high"])
def test_animatediff_with_lcm_is_diffusers_bit_for_bit(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(preset, "generate.guidance=1", "generate.decoder=tiny")
    parts = load_parts(key_of(settings))
    conditioning = conditioning_of(parts)
    frames = 16
    steps = settings.steps
    runs = round(steps * settings.strength)
    started = encode(parts, random_pictures(frames, 1), 8, lambda: None)
    noises = [torch.randn(frames, 4, *LATENT_HW, generator=torch.Generator().manual_seed(i)) for i in range(runs + 1)]
    task = DenoiseInputs(
        start=started,
        known_latents=started,
        inpaint_mask=torch.ones(frames, 1, *LATENT_HW),
        noise=lambda step: noises[step],
        guides=guides_of(parts, settings.controls, frames),
        steps=steps,
        strength=settings.strength,
        guidance=1.0,
        batch=8,
    )
    ours = denoise(parts, conditioning, task, lambda: None)
    pipeline = parts.pipeline
    pipeline.scheduler = _lcm("linear")
    monkeypatch.setattr(video_to_video, "randn_tensor", lambda *args, **more: noises[0][None])
    _hand_out(monkeypatch, [noise.transpose(0, 1)[None] for noise in noises[1:runs]])
    pictures = [
        [Image.fromarray(picture) for picture in random_pictures(frames, 50 + i)] for i in range(len(settings.controls))
    ]
    theirs = pipeline(
        video=[Image.fromarray(picture) for picture in random_pictures(frames, 1)],
        conditioning_frames=pictures,
        # With contexts they encode the prompt themselves.
        prompt="a dancer",
        ip_adapter_image_embeds=list(conditioning.image),
        num_inference_steps=steps,
        strength=runs / steps,
        guidance_scale=1.0,
        controlnet_conditioning_scale=[c.weight for c in settings.controls],
        control_guidance_end=[c.end for c in settings.controls],
        output_type="latent",
        height=WH[1],
        width=WH[0],
    ).frames
    assert torch.allclose(ours, theirs[0].transpose(0, 1), atol=1e-5)


@pytest.mark.parametrize(("preset", "kind", "betas"), [("fast", "sd15", "scaled_linear"), ("high", "motion", "linear")])
def test_the_presets_scheduler_is_lcm_with_the_published_betas(preset: str, kind: str, betas: str) -> None:
    scheduler = load_parts(key_of(settings_of(preset))).scheduler
    assert type(scheduler) is LCMScheduler and kind
    assert torch.allclose(scheduler.alphas_cumprod, _lcm(betas).alphas_cumprod)
    assert scheduler.config.clip_sample is False and scheduler.config.prediction_type == "epsilon"


@pytest.mark.parametrize(("preset", "folder", "scale"), [("fast", "lcm_lora", 1.0), ("balanced", "animatelcm", 0.8)])
def test_the_lora_is_fused_at_its_scale(preset: str, folder: str, scale: float) -> None:
    fused = load_parts(key_of(settings_of(preset))).unet
    plain = load_parts(key_of(settings_of(preset, "generate.lora=none"))).unet
    state = load_file(next(weight_folder(folder).glob("*lora*.safetensors")))
    name = next(key for key in state if "down_blocks.1.attentions.0" in key and "attn1.to_q" in key and "down" in key)
    down = state[name]
    up = state[name.replace(".down.", ".up.").replace("lora_A", "lora_B")]
    module = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    change = dict(fused.named_parameters())[module] - dict(plain.named_parameters())[module]
    # Alpha is the rank where the file has none.
    assert torch.allclose(change, scale * up @ down, atol=1e-5) and change.abs().max() > 1e-4


def test_latents_carry_the_autoencoders_scaling_factor_both_ways() -> None:
    parts = load_parts(key_of(settings_of("balanced", "generate.encoder=full")))
    pictures = random_pictures(2, 3)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        by_hand = parts.vae.encode(x).latent_dist.mode() * 0.18215
        shown = parts.vae.decode(by_hand / 0.18215).sample.clamp(-1, 1)
    assert torch.allclose(encode(parts, pictures, 1, lambda: None), by_hand, atol=1e-5)
    levels = ((shown + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    made = decode(parts, by_hand, 1, lambda: None)
    # Red stays red: the order of the channels is the picture's.
    assert np.abs(made.astype(int) - levels).max() <= 1
    assert len({made[..., c].mean().round(2) for c in range(3)}) == 3


def test_noise_is_each_frames_own_and_windows_that_share_a_frame_share_it() -> None:
    parts = load_parts(key_of(settings_of("balanced")))
    first = noise_of_frames(parts, 3, [4, 5, 6], LATENT_HW)(0)
    later = noise_of_frames(parts, 3, [6, 7], LATENT_HW)(0)
    assert torch.equal(first[2], later[0]) and not torch.equal(first[0], first[1])
    assert not torch.equal(first, noise_of_frames(parts, 3, [4, 5, 6], LATENT_HW)(1))


def test_the_mask_of_latents_covers_every_masked_pixel() -> None:
    parts = load_parts(key_of(settings_of("fast")))
    masks = np.zeros((1, 16, 16), np.bool_)
    masks[0, 9, 3] = True
    assert mask_tensor(parts, masks)[0, 0].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_the_reference_pictures_weight_is_the_settings() -> None:
    from tests.models.diffusion.person import person_in_reference

    settings = settings_of("fast", "generate.reference_scale=0.37")
    parts = load_parts(key_of(settings))
    Conditioner(parts, settings).prepare(person_in_reference((200, 40, 40)))
    scales = {
        scale
        for processor in parts.unet.attn_processors.values()
        if hasattr(processor, "scale")
        for scale in processor.scale
    }
    assert scales == {0.37}
