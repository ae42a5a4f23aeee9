"""Wan's video models from local folders into diffusers' own classes; nothing is downloaded.

The text encoder (UMT5-XXL, 11 GB) is larger than the rest of the small model together, and a job uses it once: it is
loaded for that moment, and its output is kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanAnimatePipeline,
    WanAnimateTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from torch import Tensor
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPVisionModel, UMT5EncoderModel

from pipeline.errors import PresetUnavailable
from pipeline.models.device import check_device, device_errors, quiet
from pipeline.models.weights.folder import model_folder
from pipeline.models.weights.lock import VolumeModel, read_volume_models
from pipeline.settings import AnimateSettings, VaceSettings

log = logging.getLogger("understudy.models")
_PRESETS = {"vace": "wan", "wan_animate": "ultra"}
"""The preset under which the lock names a backend's model."""
_DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
MOST_TOKENS = 512
_KEPT_PROMPTS = 8


@dataclass(frozen=True, slots=True)
class WanKey:
    """The settings that determine which weights are in memory."""

    backend: str
    device: str
    dtype: str
    offload: str = "none"
    few_step_lora: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class WanParts:
    """A loaded model, on its device."""

    pipeline: Any
    """diffusers' pipeline, without its text encoder."""
    folder: Path
    device: torch.device
    dtype: torch.dtype


def key_of(settings: VaceSettings | AnimateSettings) -> WanKey:
    """Return the settings that concern the weights."""
    # As published; on a CPU it is slow.
    dtype = "bfloat16" if settings.device == "cuda" else "float32"
    offload = settings.offload if isinstance(settings, AnimateSettings) else "none"
    return WanKey(settings.backend, settings.device, dtype, offload, settings.few_step_lora)


def volume_model(backend: str) -> VolumeModel:
    """Return the model of a backend, as the lock names it."""
    return next(model for model in read_volume_models() if _PRESETS[backend] in model.presets)


@lru_cache(maxsize=1)
@device_errors()
def load_wan(key: WanKey) -> WanParts:
    """Load transformer and autoencoder of a backend; cached.

    Raises ``PresetUnavailable``, ``OutOfMemory`` where the device is too small, and ``GpuError``.
    """
    quiet()
    if key.device == "cuda":
        check_device()
    folder = model_folder(volume_model(key.backend))
    device = torch.device(key.device)
    dtype = _DTYPES[key.dtype]
    # In full precision, as published: half precision is visible in the pictures, and it takes little of the time.
    vae = _loaded(AutoencoderKLWan, folder, "vae", torch.float32)
    scheduler = UniPCMultistepScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    common = {"tokenizer": None, "text_encoder": None, "vae": vae, "scheduler": scheduler}
    if key.backend == "vace":
        transformer = _loaded(WanVACETransformer3DModel, folder, "transformer", dtype)
        pipeline: Any = WanVACEPipeline(transformer=transformer, **common)
    else:
        transformer = _loaded(WanAnimateTransformer3DModel, folder, "transformer", dtype)
        pipeline = WanAnimatePipeline(
            transformer=transformer,
            image_encoder=_loaded(CLIPVisionModel, folder, "image_encoder", dtype),
            image_processor=CLIPImageProcessor.from_pretrained(
                folder, subfolder="image_processor", local_files_only=True
            ),
            **common,
        )
    pipeline.set_progress_bar_config(disable=True)
    if key.few_step_lora:
        _fuse(pipeline, folder, key.few_step_lora)
    _place(pipeline, key, device)
    log.info("models are loaded", extra={"device": key.device, "dtype": key.dtype})
    return WanParts(pipeline, folder, device, dtype)


def _fuse(pipeline: Any, folder: Path, file: str) -> None:
    """Add a LoRA to the transformer's weights. Raises ``PresetUnavailable`` where it is missing or changes nothing."""
    if not (folder / file).is_file():
        raise PresetUnavailable(f"{file} (generate.few_step_lora) is missing in {folder}")
    try:
        pipeline.load_lora_weights(str(folder), weight_name=file, local_files_only=True)
        pipeline.fuse_lora()
    except (ValueError, KeyError, RuntimeError) as error:
        raise PresetUnavailable(f"{file} (generate.few_step_lora) is no LoRA of this model: {error}") from error
    pipeline.unload_lora_weights()


def _place(pipeline: Any, key: WanKey, device: torch.device) -> None:
    """Put everything on the device; with ``offload`` the transformer's blocks are moved there one at a time."""
    if key.offload == "none" or device.type == "cpu":
        pipeline.to(device)
        return
    for name, module in pipeline.components.items():
        if isinstance(module, torch.nn.Module) and name != "transformer":
            module.to(device)
    pipeline.transformer.enable_group_offload(
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=True,
    )


@lru_cache(maxsize=_KEPT_PROMPTS)
def encode_prompts(folder: Path, prompts: tuple[str, ...], device: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return (1, tokens, width) on the CPU for each prompt. The encoder is loaded for it, and unloaded."""
    text_encoder = _loaded(UMT5EncoderModel, folder, "text_encoder", dtype)
    tokenizer = load_tokenizer(folder)
    with device_errors(), torch.inference_mode():
        text_encoder.to(device)
        made = tuple(_embedding(text_encoder, tokenizer, prompt, device) for prompt in prompts)
    del text_encoder
    if device == "cuda":
        torch.cuda.empty_cache()
    return made


def load_tokenizer(folder: Path) -> Any:
    """Return the text encoder's tokenizer."""
    return AutoTokenizer.from_pretrained(folder, subfolder="tokenizer", local_files_only=True)


def _embedding(text_encoder: Any, tokenizer: Any, prompt: str, device: str) -> Tensor:
    """Return (1, tokens, width) on the CPU, 0 after the prompt's end.

    As diffusers' pipelines do, without their cleaning of HTML text, which needs another package.
    """
    asked = tokenizer(
        [" ".join(prompt.split())],
        padding="max_length",
        max_length=MOST_TOKENS,
        truncation=True,
        return_tensors="pt",
    )
    mask = asked.attention_mask.to(device)
    made = text_encoder(asked.input_ids.to(device), mask).last_hidden_state
    result: Tensor = (made * mask[..., None]).cpu()
    return result


def _loaded(kind: Any, folder: Path, name: str, dtype: torch.dtype) -> Any:
    module = kind.from_pretrained(folder, subfolder=name, dtype=dtype, use_safetensors=True, local_files_only=True)
    return module.eval().requires_grad_(False)
