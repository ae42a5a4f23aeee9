"""What a window's frames are generated from: plates, figures, ControlNets, prompts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.models.diffusion.conditioner import Conditioner
from pipeline.models.diffusion.denoise import DenoiseInputs, denoise
from pipeline.models.diffusion.latents import encode
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.registry import make_generator
from pipeline.settings import DiffusionSettings
from tests.models.diffusion.loop_inputs import LATENT_HW, WH, conditioning_of, guides_of, random_pictures, settings_of


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
    masks = np.zeros((frames, WH[1], WH[0]), np.bool_)
    depth = np.full(masks.shape, np.nan, np.float32)
    for i in range(frames):
        masks[i, 40 : 60 + 3 * i, 24:32] = True
        depth[i, 44 : 56 + 3 * i, 25:31] = 0.0
    joints = np.full((frames, 21, 3), np.nan, np.float32)
    layers = tuple(
        Layer(p, np.isfinite(d).astype(np.uint8) * 255) for p, d in zip(random_pictures(frames, 9), depth, strict=True)
    )
    return Window(
        start=0,
        size_wh=WH,
        pts_seconds=np.arange(frames) / 30,
        joints=joints,
        skeletons=np.zeros((frames, 23, 3), np.float32),
        planted=np.zeros((frames, 2), np.bool_),
        body_height_px=np.full(frames, 40.0),
        presence=np.full(frames, 2, np.uint8),
        pictures=random_pictures(frames, 7),
        plates=random_pictures(frames, 8),
        masks=masks,
        controls={control.name: random_pictures(frames, 20 + i) for i, control in enumerate(settings.controls)},
        figure=FigureGuide(layers, depth, np.zeros((*masks.shape, 3), np.float32)),
        finished=finished,
    )


def _made(settings: DiffusionSettings, window: Window, seed: int = 1) -> np.ndarray:
    generator = make_generator(settings)
    generator.prepare(Appearance("a dancer"))
    return np.stack([layer.picture for layer in generator.generate(window, seed, lambda: None)])


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_outside_the_inpainting_mask_the_plate_comes_back_and_inside_it_does_not(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(preset, "generate.face_px=0")
    parts: Any = replace(load_parts(key_of(settings)), vae=_Blocks(), encoder=_Blocks())
    monkeypatch.setattr("pipeline.models.registry.load_parts", lambda key: parts, raising=False)
    monkeypatch.setattr("pipeline.models.diffusion.loading.load_parts", lambda key: parts)
    window = _window(16 if preset == "balanced" else 3, settings)
    made = _made(settings, window)
    assert window.plates is not None and window.masks is not None
    means = window.plates.reshape(len(made), WH[1] // 8, 8, WH[0] // 8, 8, 3).mean((2, 4))
    blocks = made.reshape(len(made), WH[1] // 8, 8, WH[0] // 8, 8, 3).mean((2, 4))
    away = np.abs(blocks - means).max(-1)
    # Far from everybody: the top rows; on the person: the middle of the mask.
    assert away[:, :3].max() <= 1.0
    assert away[:, 6, 3].min() > 2.0
    # Frame by frame its own plate: the frames' plates differ.
    assert np.abs(means[0, :3] - means[1, :3]).max() > 10


def test_frames_of_sd15_stand_for_themselves_in_any_order() -> None:
    settings = settings_of("fast", "generate.batch_frames=2")
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
    settings = settings_of("fast", "generate.batch_frames=2", "generate.face_px=0")
    parts: Any = replace(load_parts(key_of(settings)), vae=_Blocks(), encoder=_Blocks())
    monkeypatch.setattr("pipeline.models.diffusion.loading.load_parts", lambda key: parts)
    window = _window(3, settings)
    assert window.plates is not None and window.figure is not None
    levels = (10, 120, 240)
    layers = tuple(Layer(np.full_like(window.plates[0], level), np.full(WH[::-1], 255, np.uint8)) for level in levels)
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
    settings = settings_of("fast", "generate.steps=2")
    parts = load_parts(key_of(settings))
    conditioning = conditioning_of(parts)
    known = encode(parts, random_pictures(1, 1), 8, lambda: None)
    noise = torch.randn(1, 4, *LATENT_HW, generator=torch.Generator().manual_seed(5))
    task = DenoiseInputs(
        start=None,
        known_latents=known,
        inpaint_mask=torch.ones(1, 1, *LATENT_HW),
        noise=lambda step: noise,
        guides=guides_of(parts, settings.controls, 1),
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
    settings = settings_of("high")
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


def test_less_memory_does_not_multiply_the_operators() -> None:
    settings = settings_of("balanced", "generate.batch_frames=4")
    generator = make_generator(settings)
    parts = load_parts(key_of(settings))
    x = torch.zeros(1, 4, 16, *LATENT_HW)
    text = torch.zeros(16, 77, 32)
    images = {"image_embeds": [torch.zeros(1, 1, 17, 16)] * 2}

    def operators() -> int:
        with torch.inference_mode(), torch.profiler.profile() as profile:
            parts.unet(x, torch.tensor(1), text, added_cond_kwargs=images)
        return sum(event.count for event in profile.key_averages())

    before = operators()
    assert generator.use_less_memory()
    assert before < operators() < 2 * before


def test_the_batch_depends_on_the_size_of_the_card_and_not_on_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another batch rounds differently, so that the same job would have other bytes after another one."""
    settings = settings_of("balanced").model_copy(update={"crop_size_wh": (512, 768)})
    parts: Any = SimpleNamespace(device=torch.device("cuda"))
    for used in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, used, lambda device: 0)
    batches: dict[tuple[int, int], int] = {}
    for gib in ((1, 24), (20, 24), (8, 12), (40, 80)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, gib=gib: [n << 30 for n in gib])
        batches[gib] = Conditioner(parts, settings).batch()
    assert batches[1, 24] == batches[20, 24]
    assert 1 < batches[8, 12] < batches[20, 24] < batches[40, 80] == 16
