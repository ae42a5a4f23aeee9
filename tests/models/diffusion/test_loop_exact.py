"""The denoising loop against diffusers' own pipelines, as the presets use it: LCM, fused LoRA, ControlNets, masks.

The schedulers of the other side are built here from the published values, not taken from the loading code, and every
step has noise of its own, handed to both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import diffusers.pipelines.animatediff.pipeline_animatediff_video2video_controlnet as video_to_video
import diffusers.schedulers.scheduling_lcm as scheduling_lcm
import numpy as np
import pytest
import torch
from diffusers import LCMScheduler
from PIL import Image
from safetensors.torch import load_file

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.denoise import Conditioning, ControlNetInput, DenoiseInputs, denoise
from pipeline.models.diffusion.latents import decode, encode, mask_tensor, noise_of_frames, picture_tensor
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.registry import make_generator
from pipeline.models.weights.folder import weight_folder
from pipeline.settings import ControlSettings, DiffusionSettings

_WH = (64, 128)
_LATENT_HW = (_WH[1] // 8, _WH[0] // 8)


def _settings(preset: str, *overrides: str) -> DiffusionSettings:
    return compose_settings(preset, (*tiny_overrides(preset), *overrides)).generate


def _lcm(beta_schedule: str) -> LCMScheduler:
    """Stable Diffusion 1.5's published schedule; AnimateLCM's motion modules were trained with linear betas."""
    return LCMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule=beta_schedule, steps_offset=1, clip_sample=False
    )


def _pictures(frames: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (frames, _WH[1], _WH[0], 3), np.uint8)


def _conditioning(parts: Any) -> Conditioning:
    prompt, negative = parts.pipeline.encode_prompt("a dancer", parts.device, 1, True, "blurry")
    gray = np.full((64, 64, 3), 128, np.uint8)
    given = [gray] * len(parts.unet.encoder_hid_proj.image_projection_layers)
    images = [e.chunk(2) for e in parts.pipeline.prepare_ip_adapter_image_embeds(given, None, parts.device, 1, True)]
    return Conditioning(prompt, negative, tuple(e[1] for e in images), tuple(e[0] for e in images))


def _guides(parts: Any, controls: tuple[ControlSettings, ...], frames: int) -> tuple[ControlNetInput, ...]:
    return tuple(
        ControlNetInput(c.name, c.weight, c.end, picture_tensor(parts, _pictures(frames, 50 + i)))
        for i, c in enumerate(controls)
    )


def _hand_out(monkeypatch: pytest.MonkeyPatch, noises: list[torch.Tensor]) -> None:
    """Let LCM's own steps draw these, in their order."""
    monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *args, **more: noises.pop(0))


def test_inpainting_with_lcm_is_diffusers_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("fast", "generate.steps=4")
    parts = load_parts(key_of(settings))
    conditioning = _conditioning(parts)
    frames = 2
    known = encode(parts, _pictures(frames, 1), 8, lambda: None)
    noise = torch.randn(frames, 4, *_LATENT_HW, generator=torch.Generator().manual_seed(5))
    mask = torch.zeros(frames, 1, *_LATENT_HW)
    mask[0, :, 3:9, 2:6] = 1
    mask[1, :, 5:12, 1:4] = 1
    task = DenoiseInputs(
        start=None,
        known_latents=known,
        inpaint_mask=mask,
        noise=lambda step: noise,
        guides=_guides(parts, settings.controls, frames),
        steps=4,
        strength=1.0,
        guidance=1.0,
        batch=8,
    )
    ours = denoise(parts, conditioning, task, lambda: None)
    parts.pipeline.scheduler = _lcm("scaled_linear")
    _hand_out(monkeypatch, [noise] * 3)
    theirs = parts.pipeline(
        image=torch.from_numpy(_pictures(frames, 1)).permute(0, 3, 1, 2) / 255,
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
        height=_WH[1],
        width=_WH[0],
    ).images
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("preset", ["balanced", "high"])
def test_animatediff_with_lcm_is_diffusers_bit_for_bit(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(preset, "generate.guidance=1", "generate.decoder=tiny")
    parts = load_parts(key_of(settings))
    conditioning = _conditioning(parts)
    frames = 16
    steps = settings.steps
    runs = round(steps * settings.strength)
    started = encode(parts, _pictures(frames, 1), 8, lambda: None)
    noises = [torch.randn(frames, 4, *_LATENT_HW, generator=torch.Generator().manual_seed(i)) for i in range(runs + 1)]
    task = DenoiseInputs(
        start=started,
        known_latents=started,
        inpaint_mask=torch.ones(frames, 1, *_LATENT_HW),
        noise=lambda step: noises[step],
        guides=_guides(parts, settings.controls, frames),
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
        [Image.fromarray(picture) for picture in _pictures(frames, 50 + i)] for i in range(len(settings.controls))
    ]
    theirs = pipeline(
        video=[Image.fromarray(picture) for picture in _pictures(frames, 1)],
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
        height=_WH[1],
        width=_WH[0],
    ).frames
    assert torch.allclose(ours, theirs[0].transpose(0, 1), atol=1e-5)


@pytest.mark.parametrize(("preset", "kind", "betas"), [("fast", "sd15", "scaled_linear"), ("high", "motion", "linear")])
def test_the_presets_scheduler_is_lcm_with_the_published_betas(preset: str, kind: str, betas: str) -> None:
    scheduler = load_parts(key_of(_settings(preset))).scheduler
    assert type(scheduler) is LCMScheduler and kind
    assert torch.allclose(scheduler.alphas_cumprod, _lcm(betas).alphas_cumprod)
    assert scheduler.config.clip_sample is False and scheduler.config.prediction_type == "epsilon"


@pytest.mark.parametrize(("preset", "folder", "scale"), [("fast", "lcm_lora", 1.0), ("balanced", "animatelcm", 0.8)])
def test_the_lora_is_fused_at_its_scale(preset: str, folder: str, scale: float) -> None:
    fused = load_parts(key_of(_settings(preset))).unet
    plain = load_parts(key_of(_settings(preset, "generate.lora=none"))).unet
    state = load_file(next(weight_folder(folder).glob("*lora*.safetensors")))
    name = next(key for key in state if "down_blocks.1.attentions.0" in key and "attn1.to_q" in key and "down" in key)
    down = state[name]
    up = state[name.replace(".down.", ".up.").replace("lora_A", "lora_B")]
    module = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    change = dict(fused.named_parameters())[module] - dict(plain.named_parameters())[module]
    # Alpha is the rank where the file has none.
    assert torch.allclose(change, scale * up @ down, atol=1e-5) and change.abs().max() > 1e-4


def test_latents_carry_the_autoencoders_scaling_factor_both_ways() -> None:
    parts = load_parts(key_of(_settings("balanced", "generate.encoder=full")))
    pictures = _pictures(2, 3)
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


class _Blocks(torch.nn.Module):
    """An autoencoder of block means: three latent channels are the colors, so that what is held can be read off."""

    config = {"scaling_factor": 1.0}  # noqa: RUF012

    def encode(self, x: torch.Tensor) -> Any:
        means = torch.nn.functional.avg_pool2d(x, 8)
        latents = torch.cat([means, torch.zeros_like(means[:, :1])], dim=1)
        mode = type("Distribution", (), {"mode": lambda self: latents})()
        return type("Encoded", (), {"latent_dist": mode})()

    def decode(self, latents: torch.Tensor) -> Any:
        picture = latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)
        return type("Decoded", (), {"sample": picture})()


def _window(frames: int, settings: DiffusionSettings, finished: tuple[Layer, ...] = ()) -> Window:
    """Every frame differs from the others in picture, plate, mask, figure and guiding pictures."""
    masks = np.zeros((frames, _WH[1], _WH[0]), np.bool_)
    depth = np.full(masks.shape, np.nan, np.float32)
    for i in range(frames):
        masks[i, 40 : 60 + 3 * i, 24:32] = True
        depth[i, 44 : 56 + 3 * i, 25:31] = 0.0
    joints = np.full((frames, 21, 3), np.nan, np.float32)
    layers = tuple(
        Layer(p, np.isfinite(d).astype(np.uint8) * 255) for p, d in zip(_pictures(frames, 9), depth, strict=True)
    )
    return Window(
        start=0,
        size_wh=_WH,
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=np.zeros((frames, 23, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 40.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=_pictures(frames, 7),
        plates=_pictures(frames, 8),
        masks=masks,
        controls={control.name: _pictures(frames, 20 + i) for i, control in enumerate(settings.controls)},
        figure=FigureGuide(layers, depth, np.zeros((*masks.shape, 3), np.float32)),
        finished=finished,
    )


def _made(settings: DiffusionSettings, window: Window, seed: int = 1) -> np.ndarray:
    generator = make_generator(settings)
    from pipeline.datatypes.appearance import Appearance

    generator.prepare(Appearance("a dancer"))
    return np.stack([layer.picture for layer in generator.generate(window, seed, lambda: None)])


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_outside_the_inpainting_mask_the_plate_comes_back_and_inside_it_does_not(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(preset, "generate.face_px=0")
    parts: Any = replace(load_parts(key_of(settings)), vae=_Blocks(), encoder=_Blocks())
    monkeypatch.setattr("pipeline.models.registry.load_parts", lambda key: parts, raising=False)
    monkeypatch.setattr("pipeline.models.diffusion.loading.load_parts", lambda key: parts)
    window = _window(16 if preset == "balanced" else 3, settings)
    made = _made(settings, window)
    assert window.plates is not None and window.masks is not None
    means = window.plates.reshape(len(made), _WH[1] // 8, 8, _WH[0] // 8, 8, 3).mean((2, 4))
    blocks = made.reshape(len(made), _WH[1] // 8, 8, _WH[0] // 8, 8, 3).mean((2, 4))
    away = np.abs(blocks - means).max(-1)
    # Far from everybody: the top rows; on the person: the middle of the mask.
    assert away[:, :3].max() <= 1.0
    assert away[:, 6, 3].min() > 2.0
    # Frame by frame its own plate: the frames' plates differ.
    assert np.abs(means[0, :3] - means[1, :3]).max() > 10


def test_frames_of_sd15_stand_for_themselves_in_any_order() -> None:
    settings = _settings("fast", "generate.batch_frames=2")
    window = _window(3, settings)
    order = [1, 2, 0]
    assert window.pictures is not None and window.plates is not None and window.masks is not None
    assert window.figure is not None
    turned = replace(
        window,
        pictures=window.pictures[order],
        plates=window.plates[order],
        masks=window.masks[order],
        controls={name: pictures[order] for name, pictures in window.controls.items()},
        figure=FigureGuide(
            tuple(window.figure.layers[i] for i in order), window.figure.depth[order], window.figure.normals[order]
        ),
    )
    first, second = _made(settings, window), _made(settings, turned)
    assert np.abs(first[order].astype(int) - second).max() <= 1
    assert np.abs(first[0].astype(int) - first[1]).max() > 1


def test_each_frame_of_sd15_starts_from_its_own_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("fast", "generate.batch_frames=2", "generate.face_px=0")
    parts: Any = replace(load_parts(key_of(settings)), vae=_Blocks(), encoder=_Blocks())
    monkeypatch.setattr("pipeline.models.diffusion.loading.load_parts", lambda key: parts)
    window = _window(3, settings)
    assert window.plates is not None and window.figure is not None
    levels = (10, 120, 240)
    layers = tuple(Layer(np.full_like(window.plates[0], level), np.full(_WH[::-1], 255, np.uint8)) for level in levels)
    starts: list[torch.Tensor] = []

    def spy(parts: Any, conditioning: Any, task: DenoiseInputs, check: Any) -> torch.Tensor:
        assert task.start is not None
        starts.append(task.start)
        return denoise(parts, conditioning, task, check)

    monkeypatch.setattr("pipeline.models.diffusion.sd15.denoise", spy)
    _made(settings, replace(window, figure=replace(window.figure, layers=layers)))
    means = torch.cat(starts)[:, :3].mean((1, 2, 3))
    assert torch.allclose(means, torch.tensor(levels) / 127.5 - 1, atol=1e-5)


def test_the_negative_half_is_predicted_without_controlnets(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("fast", "generate.steps=2")
    parts = load_parts(key_of(settings))
    conditioning = _conditioning(parts)
    known = encode(parts, _pictures(1, 1), 8, lambda: None)
    noise = torch.randn(1, 4, *_LATENT_HW, generator=torch.Generator().manual_seed(5))
    task = DenoiseInputs(
        start=None,
        known_latents=known,
        inpaint_mask=torch.ones(1, 1, *_LATENT_HW),
        noise=lambda step: noise,
        guides=_guides(parts, settings.controls, 1),
        steps=2,
        strength=1.0,
        guidance=2.0,
        batch=8,
    )
    guided: dict[bool, list[bool]] = {True: [], False: []}
    real = parts.unet.forward

    def spy(*args: Any, **more: Any) -> Any:
        is_negative = torch.equal(more["encoder_hidden_states"], conditioning.negative)
        guided[is_negative].append(more["down_block_additional_residuals"] is not None)
        return real(*args, **more)

    monkeypatch.setattr(parts.unet, "forward", spy)
    denoise(parts, conditioning, task, lambda: None)
    assert guided[True] == [False, False]
    assert guided[False][0] is True and len(guided[False]) == 2


def test_each_guiding_picture_goes_to_its_own_controlnet(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings("high")
    parts = load_parts(key_of(settings))
    window = _window(16, settings)
    given: dict[str, torch.Tensor] = {}
    for name, net in parts.controlnets.items():
        real = net.forward

        def spy(*args: Any, name: str = name, real: Any = real, **more: Any) -> Any:
            given.setdefault(name, more["controlnet_cond"])
            return real(*args, **more)

        monkeypatch.setattr(net, "forward", spy)
    _made(settings, window)
    assert set(given) == {"pose", "depth", "normal"}
    for name, pictures in given.items():
        expected = torch.from_numpy(window.controls[name][: len(pictures)]).permute(0, 3, 1, 2).float() / 255
        assert torch.allclose(pictures, expected, atol=1e-6), name


def test_noise_is_each_frames_own_and_windows_that_share_a_frame_share_it() -> None:
    parts = load_parts(key_of(_settings("balanced")))
    first = noise_of_frames(parts, 3, [4, 5, 6], _LATENT_HW)(0)
    later = noise_of_frames(parts, 3, [6, 7], _LATENT_HW)(0)
    assert torch.equal(first[2], later[0]) and not torch.equal(first[0], first[1])
    assert not torch.equal(first, noise_of_frames(parts, 3, [4, 5, 6], _LATENT_HW)(1))


def test_the_mask_of_latents_covers_every_masked_pixel() -> None:
    parts = load_parts(key_of(_settings("fast")))
    masks = np.zeros((1, 16, 16), np.bool_)
    masks[0, 9, 3] = True
    assert mask_tensor(parts, masks)[0, 0].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_the_reference_pictures_weight_is_the_settings() -> None:
    from tests.models.diffusion.person import person_in_reference

    settings = _settings("fast", "generate.reference_scale=0.37")
    parts = load_parts(key_of(settings))
    Conditioner(parts, settings).prepare(person_in_reference((200, 40, 40)))
    scales = {
        scale
        for processor in parts.unet.attn_processors.values()
        if hasattr(processor, "scale")
        for scale in processor.scale
    }
    assert scales == {0.37}


def test_less_memory_does_not_multiply_the_operators() -> None:
    settings = _settings("balanced", "generate.batch_frames=4")
    generator = make_generator(settings)
    parts = load_parts(key_of(settings))
    x = torch.zeros(1, 4, 16, *_LATENT_HW)
    text = torch.zeros(16, 77, 32)
    images = {"image_embeds": [torch.zeros(1, 1, 17, 16)] * 2}

    def operators() -> int:
        with torch.inference_mode(), torch.profiler.profile() as profile:
            parts.unet(x, torch.tensor(1), text, added_cond_kwargs=images)
        return sum(event.count for event in profile.key_averages())

    before = operators()
    assert generator.use_less_memory()
    assert before < operators() < 2 * before
