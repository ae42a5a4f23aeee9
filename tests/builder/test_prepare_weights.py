"""Prepared weights of the image: half precision, fused LoRAs, and still verifiable."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.random_weights import save_random_weights
from benchmarks.stable_diffusion_sizes import TINY, tiny_overrides
from builder.prepare_weights import prepare_weights
from conf import compose_settings
from pipeline.models.diffusion.loading import Components, key_of, load_parts
from pipeline.models.weights import lock
from pipeline.models.weights.lock import LockedFile, LockedHub, is_right, sha256_of
from pipeline.models.weights.prepared import read_prepared
from pipeline.settings import DiffusionSettings
from worker import presets


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_weights(tmp_path_factory.mktemp("fetched"), TINY)


def _parts(preset: str, *overrides: str) -> Components:
    load_parts.cache_clear()
    settings = compose_settings(preset, (*tiny_overrides(preset), *overrides)).generate
    assert isinstance(settings, DiffusionSettings)
    return load_parts(key_of(settings))


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_prepared_weights_are_the_fetched_ones_rounded_once(
    preset: str, fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(fetched))
    expected = _parts(preset)
    weights = tmp_path / "weights"
    shutil.copytree(fetched, weights)
    prepare_weights(weights, lambda line: None)
    assert not (weights / "sd15/unet/diffusion_pytorch_model.safetensors").exists()
    assert not (weights / "lcm_lora/pytorch_lora_weights.safetensors").exists()
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(weights))
    made = _parts(preset)
    for name in ("unet", "vae", "encoder"):
        before, after = (dict(getattr(parts, name).named_parameters()) for parts in (expected, made))
        assert before.keys() == after.keys()
        worst = max(float((before[key] - after[key]).abs().max()) for key in before)
        assert 0 < worst < 2e-3, name
    # A plain UNet would be farther away than rounding.
    key = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    plain = _plain_unet(fetched)
    assert float((plain[key] - dict(made.unet.named_parameters())[key]).abs().max()) > 5e-3
    load_parts.cache_clear()


def _plain_unet(weights: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(weights / "sd15/unet/diffusion_pytorch_model.safetensors")


def test_the_check_knows_prepared_files_and_sees_when_one_is_damaged(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(fetched, weights)
    names = ("sd15/unet/diffusion_pytorch_model.safetensors", "lcm_lora/pytorch_lora_weights.safetensors",
             "vae/diffusion_pytorch_model.safetensors", "sd15/unet/config.json")  # fmt: skip
    files = tuple(
        LockedFile(name, ("fast",), name, sha256_of(weights / name), (weights / name).stat().st_size) for name in names
    )
    source = LockedHub("maker/model", "abc", "MIT", files)
    for module in (presets, lock):
        monkeypatch.setattr(module, "read_lock", lambda: (source,))
    monkeypatch.setattr("builder.prepare_weights.read_lock", lambda: (source,))
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(weights))
    prepare_weights(weights, lambda line: None)
    assert all(is_right(file, source, weights) for file in files)
    presets.check_weights("fast")
    size = sum(path.stat().st_size for path in weights.rglob("*") if path.is_file())
    # Nothing is prepared twice.
    prepare_weights(weights, lambda line: None)
    assert size == sum(path.stat().st_size for path in weights.rglob("*") if path.is_file())
    fused = weights / read_prepared(weights)[names[0]].made[0].name
    fused.write_bytes(fused.read_bytes()[:-1])
    assert not is_right(files[0], source, weights)
    with pytest.raises(presets.WorkerNotReady, match="unet"):
        presets.check_weights("fast")


def test_another_scale_needs_the_lora_itself(fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(fetched, weights)
    prepare_weights(weights, lambda line: None)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(weights))
    with pytest.raises(OSError, match="unet"):
        _parts("fast", "generate.lora_scale=0.5")
    load_parts.cache_clear()
