"""The diffusion generators on the real classes at tiny sizes with random weights: what they paint is noise, how is
not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conf import compose_settings
from pipeline.datatypes import Appearance, Layer, Window
from pipeline.errors import Cancelled, GpuError, OutOfMemory, PresetUnavailable
from pipeline.models.diffusion.animatediff import mirrored_indices
from pipeline.models.diffusion.denoise import Conditioning, ControlNetInput, DenoiseInputs, denoise
from pipeline.models.diffusion.latents import encode, picture_tensor
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.interfaces import Generator
from pipeline.models.loaded import load_models
from pipeline.models.registry import make_generator
from pipeline.perform.backends import warm_up
from pipeline.perform.controls import ControlPictures
from pipeline.settings import GenerateSettings
from tests.models.diffusion.tiny import save_single_file

_WH = (64, 128)
_CPU = ("generate.device=cpu", f"generate.crop_size_wh=[{_WH[0]},{_WH[1]}]")
_DIFFUSION = ("fast", "balanced", "high")


def _settings(preset: str, *overrides: str) -> GenerateSettings:
    return compose_settings(preset, (*_CPU, *overrides)).generate


def _window(settings: GenerateSettings, frames: int, finished: tuple[Layer, ...] = (), start: int = 0) -> Window:
    width, height = settings.crop_size_wh
    rng = np.random.default_rng(3)
    base = rng.integers(0, 255, (height, width, 3), np.uint8)
    pictures = np.stack([np.roll(base, i, axis=1) for i in range(frames)])
    masks = np.zeros((frames, height, width), np.bool_)
    masks[:, 30:100, 20:40] = True
    joints = np.full((frames, 21, 3), 0.9, np.float32)
    joints[..., 0] = 30 + 8 * np.sin(np.arange(21))
    joints[..., 1] = np.linspace(35, 98, 21)
    window = Window(
        start=start,
        size_wh=(width, height),
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=np.zeros((frames, 23, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 80.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=pictures,
        plates=np.full_like(pictures, 128),
        masks=masks,
        finished=finished,
    )
    names = [control.name for control in settings.controls if control.name != "depth"]
    drawn = dict(ControlPictures(names).draw(joints, pictures, (width, height)))
    if any(control.name == "depth" for control in settings.controls):
        drawn["depth"] = pictures
    return replace(window, controls=drawn)


def _generator(settings: GenerateSettings, prompt: str = "a dancer") -> Generator:
    generator = make_generator(settings)
    generator.prepare(Appearance(prompt))
    return generator


def _pictures(generator: Generator, window: Window, seed: int = 1) -> np.ndarray:
    return np.stack([layer.picture for layer in generator.generate(window, seed, lambda: None)])


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_same_window_and_seed_give_the_same_layers(preset: str) -> None:
    settings = _settings(preset)
    generator, window = _generator(settings), _window(settings, 4)
    first = _pictures(generator, window)
    assert first.shape == (4, _WH[1], _WH[0], 3)
    assert np.array_equal(first, _pictures(generator, window))
    assert not np.array_equal(first, _pictures(generator, window, seed=2))
    generator.prepare(Appearance("a knight in armour"))
    assert not np.array_equal(first, _pictures(generator, window))


def test_eight_frames_at_once_are_eight_single_frames() -> None:
    at_once = _settings("fast", "generate.batch_frames=8")
    window = _window(at_once, 8)
    together = _pictures(_generator(at_once), window).astype(int)
    single = _pictures(_generator(at_once.model_copy(update={"batch_frames": 1})), window).astype(int)
    # Convolutions add up in another order for another batch: at most one level of 255.
    assert np.abs(together - single).max() <= 1


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_finished_frames_are_taken_over_and_lead_the_others(preset: str) -> None:
    settings = _settings(preset)
    generator = _generator(settings)
    width, height = settings.crop_size_wh
    color = np.full((height, width, 3), (200, 30, 30), np.uint8)
    finished = tuple(Layer(color, np.full((height, width), 255, np.uint8)) for _ in range(settings.conditioning_frames))
    led = list(generator.generate(_window(settings, 8, finished), 1, lambda: None))
    assert all(a is b for a, b in zip(led, finished, strict=False))
    free = _pictures(generator, _window(settings, 8))
    assert not np.array_equal(led[-1].picture, free[-1])


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_nothing_is_painted_where_the_subject_is_absent(preset: str) -> None:
    settings = _settings(preset)
    window = _window(settings, 4)
    presence = window.presence.copy()
    presence[2] = 0
    layers = list(_generator(settings).generate(replace(window, presence=presence), 1, lambda: None))
    assert [layer.alpha is None for layer in layers] == [True, True, False, True]
    assert layers[2].alpha is not None and not layers[2].alpha.any()
    presence[:] = 0
    layers = list(_generator(settings).generate(replace(window, presence=presence), 1, lambda: None))
    assert all(layer.alpha is not None and not layer.alpha.any() for layer in layers)


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_cancel_is_looked_at_in_every_step(preset: str) -> None:
    settings = _settings(preset, "generate.batch_frames=8")
    generator, window = _generator(settings), _window(settings, 4)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    list(generator.generate(window, 1, check))
    # Encoding, every step, decoding.
    assert calls >= settings.steps + 2
    whole, calls = calls, 0

    def stop() -> None:
        check()
        if calls == whole - 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        list(generator.generate(window, 1, stop))


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_values_that_are_not_finite_are_a_device_error(preset: str) -> None:
    settings = _settings(preset)
    generator = _generator(settings)
    parts = load_parts(key_of(settings))
    weight = next(parts.unet.parameters())
    kept = weight.detach().clone()
    weight.data.fill_(float("nan"))
    try:
        with pytest.raises(GpuError):
            list(generator.generate(_window(settings, 2), 1, lambda: None))
    finally:
        weight.data.copy_(kept)


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_out_of_memory_is_told_and_half_as_much_is_taken(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(preset, "generate.batch_frames=4")
    generator, window = _generator(settings), _window(settings, 4)
    expected = _pictures(generator, window).astype(int)
    parts = load_parts(key_of(settings))
    sizes: list[int] = []
    real = parts.vae.decode

    def decode(latents: torch.Tensor, *args: Any, **more: Any) -> Any:
        sizes.append(len(latents))
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(latents, *args, **more)

    monkeypatch.setattr(parts.vae, "decode", decode)
    with pytest.raises(OutOfMemory):
        list(generator.generate(window, 1, lambda: None))
    assert generator.use_less_memory()
    made = _pictures(generator, window).astype(int)
    assert np.abs(made - expected).max() <= 1 and sizes == [4, 2, 2]
    assert generator.use_less_memory() and not generator.use_less_memory()


def test_other_steps_load_nothing_again() -> None:
    parts = load_parts(key_of(_settings("fast")))
    assert load_parts(key_of(_settings("fast", "generate.steps=6", "generate.reference_scale=0.1"))) is parts


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_a_single_file_is_the_same_as_its_folder(
    preset: str, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(preset)
    window = _window(settings, 2)
    from_folder = _pictures(_generator(settings), window)
    for path in tiny_weights.iterdir():
        if path.name != "sd15":
            (tmp_path / path.name).symlink_to(path)
    save_single_file(tiny_weights, tmp_path)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    load_parts.cache_clear()
    assert np.array_equal(from_folder, _pictures(_generator(settings), window))


def test_a_reference_picture_changes_who_is_painted() -> None:
    from tests.models.diffusion.person import person_in_reference

    settings = _settings("fast")
    generator, window = _generator(settings), _window(settings, 2)
    plain = _pictures(generator, window)
    generator.prepare(person_in_reference((200, 40, 40)))
    red = _pictures(generator, window)
    generator.prepare(person_in_reference((40, 40, 200)))
    assert not np.array_equal(plain, red)
    assert not np.array_equal(red, _pictures(generator, window))


def test_without_a_gpu_and_without_weights_the_preset_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PresetUnavailable, match="GPU"):
        make_generator(compose_settings("fast").generate)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", "/nowhere")
    with pytest.raises(PresetUnavailable, match="fetch_models"):
        make_generator(_settings("fast"))


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_a_worker_warms_up_and_makes_the_same_afterwards(preset: str) -> None:
    settings = compose_settings(preset, (*_CPU, "people=blazepose"))
    models = load_models(settings)
    window = _window(settings.generate, 2)
    before = _pictures(_generator(settings.generate), window)
    warm_up(models, settings)
    assert np.array_equal(before, _pictures(_generator(settings.generate), window))


def test_short_windows_are_mirrored() -> None:
    assert mirrored_indices(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert mirrored_indices(1, 3) == [0, 0, 0]
    assert mirrored_indices(20, 16) == list(range(20))


def _task(parts: Any, settings: GenerateSettings, window: Window, noise: torch.Tensor, **more: Any) -> DenoiseInputs:
    assert window.plates is not None and window.pictures is not None
    known_latents = encode(parts, window.pictures, 8, lambda: None)
    values: dict[str, Any] = {
        "start": None,
        "known_latents": known_latents,
        "inpaint_mask": torch.ones(len(known_latents), 1, *known_latents.shape[2:]),
        "noise": lambda step: noise,
        "guides": tuple(
            ControlNetInput(c.name, c.weight, c.end, picture_tensor(parts, window.controls[c.name]))
            for c in settings.controls
        ),
        "steps": settings.steps,
        "strength": settings.strength,
        "guidance": settings.guidance,
        "batch": 8,
    }
    return DenoiseInputs(**{**values, **more})


def _conditioning(parts: Any) -> Conditioning:
    prompt, negative = parts.pipeline.encode_prompt("a dancer", parts.device, 1, True, "blurry")
    gray = np.full((64, 64, 3), 128, np.uint8)
    images = [e.chunk(2) for e in parts.pipeline.prepare_ip_adapter_image_embeds([gray], None, parts.device, 1, True)]
    return Conditioning(prompt, negative, tuple(e[1] for e in images), tuple(e[0] for e in images))


def test_the_loop_computes_what_diffusers_inpainting_pipeline_does() -> None:
    settings = _settings("fast", "generate.scheduler=dpmpp", "generate.steps=5", "generate.lora=none")
    parts = load_parts(key_of(settings))
    window, conditioning = _window(settings, 2), _conditioning(parts)
    height, width = _WH[1] // 8, _WH[0] // 8
    noise = torch.randn(2, 4, height, width, generator=torch.Generator().manual_seed(5))
    inpaint_mask = torch.zeros(2, 1, height, width)
    inpaint_mask[:, :, 3:9, 2:6] = 1
    ours = denoise(parts, conditioning, _task(parts, settings, window, noise, inpaint_mask=inpaint_mask), lambda: None)
    parts.pipeline.scheduler = parts.scheduler
    assert window.pictures is not None
    theirs = parts.pipeline(
        image=torch.from_numpy(window.pictures).permute(0, 3, 1, 2) / 255,
        mask_image=inpaint_mask.repeat_interleave(8, 2).repeat_interleave(8, 3),
        control_image=picture_tensor(parts, window.controls["pose"]),
        prompt_embeds=conditioning.prompt.expand(2, -1, -1),
        negative_prompt_embeds=conditioning.negative.expand(2, -1, -1),
        ip_adapter_image_embeds=list(conditioning.image),
        latents=noise,
        num_inference_steps=5,
        strength=1.0,
        guidance_scale=1.0,
        controlnet_conditioning_scale=1.0,
        control_guidance_end=0.75,
        output_type="latent",
        height=_WH[1],
        width=_WH[0],
    ).images
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_loop_computes_what_diffusers_animatediff_pipeline_does(guidance: float) -> None:
    overrides = ("generate.scheduler=dpmpp", "generate.steps=6", "generate.strength=0.5", "generate.lora=none")
    settings = _settings("balanced", *overrides, f"generate.guidance={guidance}", "generate.decoder=tiny")
    # Without guidance their ControlNet runs for both halves of the picture.
    controls = tuple(c.model_copy(update={"weight": 0.0 if guidance > 1 else 1.0}) for c in settings.controls)
    settings = settings.model_copy(update={"controls": controls})
    parts = load_parts(key_of(settings))
    window, conditioning = _window(settings, 8), _conditioning(parts)
    known_latents = encode(parts, _window(settings, 8).pictures, 8, lambda: None)
    noise = torch.randn(1, *known_latents.shape, generator=torch.Generator().manual_seed(5))
    task = _task(parts, settings, window, noise[0], start=known_latents)
    ours = denoise(parts, conditioning, task, lambda: None)
    parts.pipeline.scheduler = parts.scheduler
    both = guidance > 1
    theirs = parts.pipeline(
        video=[Image.fromarray(picture) for picture in window.pictures],
        conditioning_frames=[Image.fromarray(picture) for picture in window.controls["pose"]],
        prompt_embeds=conditioning.prompt,
        negative_prompt_embeds=conditioning.negative,
        ip_adapter_image_embeds=[
            torch.cat([n, e]) if both else e
            for n, e in zip(conditioning.negative_image, conditioning.image, strict=True)
        ],
        num_inference_steps=6,
        strength=0.5,
        guidance_scale=guidance,
        controlnet_conditioning_scale=0.0 if both else 1.0,
        control_guidance_end=0.67,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
        height=_WH[1],
        width=_WH[0],
    ).frames
    assert torch.allclose(ours, theirs[0].transpose(0, 1), atol=1e-4)
