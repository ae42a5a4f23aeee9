"""Where Wan's weights are found, and LoRAs that are fused into them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from conf import compose_settings
from pipeline.errors import PresetUnavailable
from pipeline.models.diffusion.wan_loading import key_of, load_wan
from pipeline.models.weights.folder import model_folder
from pipeline.models.weights.lock import VolumeModel
from pipeline.settings import AnimateSettings, VaceSettings

_QUERY = "blocks.0.attn1.to_q"


def test_weights_are_found_on_a_volume_and_in_a_models_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("UNDERSTUDY_VOLUME", str(tmp_path / "volume"))
    model = VolumeModel("maker/model", "model", "MIT", ("transformer", "vae"), ("wan",))
    with pytest.raises(PresetUnavailable, match="maker/model is missing"):
        model_folder(model)
    cached = tmp_path / "volume" / "huggingface-cache" / "hub" / "models--maker--model" / "snapshots" / "abc"
    (cached / "transformer").mkdir(parents=True)
    with pytest.raises(PresetUnavailable, match=r"maker/model is incomplete .* lacks vae"):
        model_folder(model)
    for place in (cached, tmp_path / "volume" / "model", tmp_path / "weights" / "model"):
        for part in model.parts:
            (place / part).mkdir(parents=True, exist_ok=True)
        assert model_folder(model) == place


def _with_lora(tiny_weights: Path, folder: Path, name: str, rng: np.random.Generator) -> torch.Tensor:
    """Copy a model's folder and add a LoRA to it; return what it adds to the queries of the first block."""
    shutil.copytree(tiny_weights / name, folder / name)
    width = load_wan(_key_of(name)).pipeline.transformer.get_submodule(_QUERY).weight.shape
    down, up = (
        torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in ((2, width[1]), (width[0], 2))
    )
    tensors = {f"transformer.{_QUERY}.lora_A.weight": down, f"transformer.{_QUERY}.lora_B.weight": up}
    save_file(tensors, folder / name / "few.safetensors")
    return up @ down


def _key_of(name: str, *overrides: str) -> Any:
    preset = {"wan_vace": "wan", "wan_animate": "ultra"}[name]
    settings = compose_settings(preset, ("generate.device=cpu", *overrides)).generate
    assert isinstance(settings, VaceSettings | AnimateSettings)
    return key_of(settings)


@pytest.mark.parametrize("name", ["wan_vace", "wan_animate"])
def test_a_lora_for_few_steps_is_fused_into_the_transformer(
    name: str, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = _with_lora(tiny_weights, tmp_path, name, np.random.default_rng(2))
    plain = load_wan(_key_of(name)).pipeline.transformer.get_submodule(_QUERY).weight.clone()
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    load_wan.cache_clear()
    parts = load_wan(_key_of(name, "generate.few_step_lora=few.safetensors"))
    fused = parts.pipeline.transformer.get_submodule(_QUERY).weight
    assert torch.allclose(fused, plain + added, atol=1e-5)
    assert float(added.abs().max()) > 0.1
    # Nothing is left that costs time in every step.
    assert not any("lora" in key for key in parts.pipeline.transformer.state_dict())


@pytest.mark.parametrize("content", [None, {"blocks.9.attn1.to_q.weight": torch.zeros(2, 2)}])
def test_a_lora_that_is_missing_or_of_another_model_is_told(
    content: dict[str, torch.Tensor] | None, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_weights / "wan_vace", tmp_path / "wan_vace")
    if content is not None:
        save_file(content, tmp_path / "wan_vace" / "few.safetensors")
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(PresetUnavailable, match=r"few\.safetensors \(generate\.few_step_lora\)"):
        load_wan(_key_of("wan_vace", "generate.few_step_lora=few.safetensors"))
