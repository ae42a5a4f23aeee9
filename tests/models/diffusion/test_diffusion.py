"""The diffusion generators on the real classes at tiny sizes with random weights: what they paint is noise, how is
not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.errors import Cancelled, GpuError, OutOfMemory, PresetUnavailable
from pipeline.models.diffusion.animatediff import mirrored_indices
from pipeline.models.diffusion.loading import key_of, load_parts
from pipeline.models.interfaces import Generator
from pipeline.models.loaded import load_models
from pipeline.models.registry import make_generator
from pipeline.perform.backends import warm_up
from pipeline.perform.controls import ControlPictures
from pipeline.settings import DiffusionSettings
from tests.models.diffusion.tiny import save_single_file

_WH = (64, 128)
_DIFFUSION = ("fast", "balanced", "high")


def _settings(preset: str, *overrides: str) -> DiffusionSettings:
    return compose_settings(preset, (*tiny_overrides(preset), "generate.steps=3", *overrides)).generate


def _window(settings: DiffusionSettings, frames: int, finished: tuple[Layer, ...] = (), start: int = 0) -> Window:
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
    window = replace(window, figure=_figure(window))
    names = [control.name for control in settings.controls]
    return replace(window, controls=ControlPictures(names).draw(window))


def _figure(window: Window) -> FigureGuide:
    """A figure that is another one in every frame: a colored block with a slanted depth."""
    assert window.masks is not None
    frames, height, width = window.masks.shape
    depth = np.full((frames, height, width), np.nan, np.float32)
    normals = np.zeros((frames, height, width, 3), np.float32)
    layers = []
    for i in range(frames):
        block = np.s_[32 + i : 98, 22:38]
        depth[i][block] = np.linspace(-20, 20, depth[i][block].size, dtype=np.float32).reshape(depth[i][block].shape)
        normals[i][block] = 0, 0, -1
        picture = np.full((height, width, 3), (10 * i, 200, 90), np.uint8)
        layers.append(Layer(picture, np.isfinite(depth[i]).astype(np.uint8) * 255))
    return FigureGuide(tuple(layers), depth, normals)


def _generator(settings: DiffusionSettings, prompt: str = "a dancer") -> Generator:
    generator = make_generator(settings)
    generator.prepare(Appearance(prompt))
    return generator


def _pictures(generator: Generator, window: Window, seed: int = 1) -> np.ndarray:
    return np.stack([layer.picture for layer in generator.generate(window, seed, lambda: None)])


@pytest.mark.parametrize("preset", _DIFFUSION)
def test_same_window_and_seed_give_the_same_layers(preset: str) -> None:
    settings = _settings(preset)
    generator = _generator(settings)
    window = _window(settings, 4)
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


@pytest.mark.parametrize("preset", ["balanced", "high"])
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
def test_nothing_is_generated_where_the_subject_is_absent(preset: str) -> None:
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
def test_cancellation_is_checked_in_every_step(preset: str) -> None:
    settings = _settings(preset, "generate.batch_frames=8")
    generator = _generator(settings)
    window = _window(settings, 4)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1

    list(generator.generate(window, 1, check))
    # Encoding, every step that is run, decoding.
    assert calls >= round(settings.steps * settings.strength) + 2
    whole = calls
    calls = 0

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
def test_out_of_memory_is_raised_and_half_as_much_is_used(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(preset, "generate.batch_frames=4")
    generator = _generator(settings)
    window = _window(settings, 4)
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
    # The next job begins with the whole batch: one that ran out of memory before does not change how it rounds.
    generator.prepare(Appearance("a dancer"))
    assert not any("forward" in vars(module) for module in parts.unet.modules())
    assert generator.use_less_memory()


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
    generator = _generator(settings)
    window = _window(settings, 2)
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
def test_warming_up_does_not_change_the_layers(preset: str) -> None:
    settings = compose_settings(preset, (*tiny_overrides(preset), "generate.steps=3", "people=blazepose"))
    models = load_models(settings)
    window = _window(settings.generate, 2)
    before = _pictures(_generator(settings.generate), window)
    warm_up(models, settings)
    assert np.array_equal(before, _pictures(_generator(settings.generate), window))


def test_short_windows_are_mirrored() -> None:
    assert mirrored_indices(4, 9) == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert mirrored_indices(1, 3) == [0, 0, 0]
    assert mirrored_indices(20, 16) == list(range(20))
