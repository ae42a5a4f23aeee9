"""Weights reduced when the image is built: half precision, and LoRAs fused into copies of Stable Diffusion's UNet,
which are used when a preset is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from pipeline.models.device import quiet

LORAS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "lcm": ("lcm_lora", "pytorch_lora_weights.safetensors"),
    "animatelcm": ("animatelcm", "AnimateLCM_sd15_t2v_lora.safetensors"),
})  # fmt: skip
"""Folder and file of each."""
_FUSED_SCALES: Mapping[str, float] = MappingProxyType({"lcm": 1.0, "animatelcm": 0.8})
"""Scales of the presets: with another scale the LoRA itself is needed."""


def fused_folder(weights: Path, lora: str, scale: float) -> Path | None:
    """Return the folder of the UNet with a LoRA fused at this scale; None where there is none."""
    folder = weights / "sd15" / f"unet_{lora}"
    return folder if folder.is_dir() and _FUSED_SCALES.get(lora) == scale else None


def halve(path: Path) -> None:
    """Convert a safetensors file from single to half precision, under its own name."""
    tensors = load_file(path)
    small = {key: value.half() if value.dtype == torch.float32 else value for key, value in tensors.items()}
    part = path.with_name(f".part-{path.name}")
    save_file(small, part, metadata={"format": "pt"})
    part.replace(path)


def fuse_loras(weights: Path) -> dict[str, Path]:
    """Write ``sd15/unet_NAME`` in half precision for each available LoRA; return its file's name -> the folder."""
    quiet()
    made = {}
    for name, (folder, file) in LORAS.items():
        if not (weights / folder / file).is_file():
            continue
        pipeline = StableDiffusionPipeline.from_pretrained(
            weights / "sd15",
            use_safetensors=True,
            local_files_only=True,
            vae=None,
            safety_checker=None,
            requires_safety_checker=False,
            feature_extractor=None,
        )
        # Fused in single precision, and rounded once.
        pipeline.load_lora_weights(str(weights / folder), weight_name=file, local_files_only=True)
        pipeline.fuse_lora(lora_scale=_FUSED_SCALES[name])
        pipeline.unload_lora_weights()
        target = weights / "sd15" / f"unet_{name}"
        pipeline.unet.to(torch.float16).save_pretrained(target)
        made[f"{folder}/{file}"] = target
    return made
