"""Weights of the diffusion generators, from local folders into diffusers' own classes; nothing is downloaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from types import MappingProxyType
from typing import Any

import torch
from diffusers import (
    AnimateDiffVideoToVideoControlNetPipeline,
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    MotionAdapter,
    StableDiffusionControlNetInpaintPipeline,
    UNet2DConditionModel,
)

from pipeline.errors import PresetUnavailable
from pipeline.models.device import check_device, device_errors, quiet
from pipeline.models.diffusion.fused import LORAS, fused_folder
from pipeline.models.weights.folder import weight_folder, weights_folder
from pipeline.settings import AnimateDiffSettings, DiffusionSettings

log = logging.getLogger("understudy.models")
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_MOTION: Mapping[str, str] = MappingProxyType({"animatelcm": "animatelcm", "v1-5-3": "motion_adapter"})
CONTEXT_FRAMES = 16
CONTEXT_STRIDE = 8
"""Context stride of the motion modules, frames: each frame is in two contexts, weighted by its distance from their
middle."""
_SINGLE_FILE = "sd15.safetensors"
_IP_ADAPTER = "ip-adapter-plus_sd15.safetensors"
_FACE_ADAPTER = "ip-adapter-plus-face_sd15.safetensors"


@dataclass(frozen=True, slots=True)
class ComponentsKey:
    """The settings that determine which weights are in memory; others do not change weights."""

    controls: tuple[str, ...]
    lora: str
    lora_scale: float
    motion: str | None
    """None without a motion module."""
    decoder: str
    encoder: str
    has_face_adapter: bool
    scheduler: str
    device: str
    dtype: str
    compile: bool

    @property
    def has_motion_module(self) -> bool:
        return self.motion is not None


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Loaded models, on their device."""

    pipeline: Any
    """diffusers' pipeline, used for the text and image encoders."""
    unet: Any
    controlnets: Mapping[str, Any]
    vae: AutoencoderKL | AutoencoderTiny
    """Decodes."""
    encoder: AutoencoderKL | AutoencoderTiny
    """Encodes; may be the same. TAESD's latents are the full autoencoder's."""
    scheduler: LCMScheduler | DPMSolverMultistepScheduler
    device: torch.device
    dtype: torch.dtype
    has_motion_module: bool
    """Whether the UNet has a motion module, and therefore processes a window at once."""


def key_of(settings: DiffusionSettings) -> ComponentsKey:
    """Return the settings that concern the weights."""
    return ComponentsKey(
        controls=tuple(control.name for control in settings.controls),
        lora=settings.lora,
        lora_scale=settings.lora_scale,
        motion=settings.motion if isinstance(settings, AnimateDiffSettings) else None,
        decoder=settings.decoder,
        encoder=settings.encoder,
        has_face_adapter=settings.face_scale > 0,
        scheduler=settings.scheduler,
        device=settings.device,
        # Half precision is slow or missing on a CPU.
        dtype=settings.dtype if settings.device == "cuda" else "float32",
        compile=settings.compile,
    )


@lru_cache(maxsize=1)
@device_errors()
def load_parts(key: ComponentsKey) -> Components:
    """Load everything that ``key`` names; cached, so that jobs with other steps or scales load nothing.

    Raises ``PresetUnavailable`` where weights, the device or a compiler are missing, ``OutOfMemory`` where the device
    is too small, and ``GpuError``.
    """
    quiet()
    if key.device == "cuda":
        check_device()
    if key.compile:
        _check_compiler()
    dtype = _DTYPES[key.dtype]
    controlnets = {name: _loaded(ControlNetModel, f"controlnet/{name}", dtype) for name in key.controls}
    vae = _autoencoder(key.decoder, dtype)
    encoder = vae if key.encoder == key.decoder else _autoencoder(key.encoder, dtype)
    pipeline = _pipeline(key, controlnets, vae, dtype)
    _adapt(pipeline, key)
    device = torch.device(key.device)
    pipeline.to(device)
    encoder.to(device)
    for module in (pipeline.unet, pipeline.vae, encoder, *controlnets.values()):
        module.eval().requires_grad_(False)
        # Convolutions in half precision run on tensor cores without a change of layout.
        module.to(memory_format=torch.channels_last)
    unet = torch.compile(pipeline.unet) if key.compile else pipeline.unet
    log.info("models are loaded", extra={"device": key.device, "dtype": key.dtype})
    return Components(
        pipeline=pipeline,
        unet=unet,
        controlnets=MappingProxyType(controlnets),
        vae=pipeline.vae,
        encoder=encoder,
        scheduler=_scheduler(key, pipeline.scheduler.config),
        device=device,
        dtype=dtype,
        has_motion_module=key.has_motion_module,
    )


def _check_compiler() -> None:
    """Raise ``PresetUnavailable`` where ``torch.compile`` would fail at the first window: the image has no compiler."""
    if find_spec("triton") is None or not any(map(which, ("cc", "gcc", "clang"))):
        raise PresetUnavailable("generate.compile needs the package triton and a C compiler, which this worker lacks")


def _adapt(pipeline: Any, key: ComponentsKey) -> None:
    """Add to a pipeline what changes its UNet: LoRA, image prompt, longer windows."""
    if key.lora != "none" and fused_folder(weights_folder(), key.lora, key.lora_scale) is None:
        folder, name = LORAS[key.lora]
        pipeline.load_lora_weights(str(weight_folder(folder)), weight_name=name, local_files_only=True)
        # Fused, it costs nothing per step.
        pipeline.fuse_lora(lora_scale=key.lora_scale)
        pipeline.unload_lora_weights()
    pipeline.load_ip_adapter(
        str(weight_folder("ip_adapter")),
        subfolder="",
        weight_name=[_IP_ADAPTER, *([_FACE_ADAPTER] if key.has_face_adapter else [])],
        image_encoder_folder="image_encoder",
        local_files_only=True,
    )
    if key.has_motion_module:
        # Motion modules were trained on 16 frames: longer windows are processed in overlapping contexts of this length.
        pipeline.enable_free_noise(context_length=CONTEXT_FRAMES, context_stride=CONTEXT_STRIDE)
        # The UNet has adopted its weights; kept as a component it would be on the device twice.
        pipeline.motion_adapter = None


def _autoencoder(kind: str, dtype: torch.dtype) -> Any:
    return _loaded(AutoencoderKL, "vae", dtype) if kind == "full" else _loaded(AutoencoderTiny, "taesd", dtype)


def _pipeline(key: ComponentsKey, controlnets: Mapping[str, Any], vae: Any, dtype: torch.dtype) -> Any:
    # The pipelines do not accept an empty list; we call the ControlNets ourselves.
    given = list(controlnets.values())
    common: dict[str, Any] = {
        "controlnet": given[0] if len(given) == 1 else given,
        "vae": vae,
        "dtype": dtype,
        "local_files_only": True,
        "feature_extractor": None,
    }
    fused = fused_folder(weights_folder(), key.lora, key.lora_scale)
    if fused is not None:
        common["unet"] = UNet2DConditionModel.from_pretrained(
            fused, dtype=dtype, use_safetensors=True, local_files_only=True
        )
    if key.motion is not None:
        common["motion_adapter"] = _loaded(MotionAdapter, _MOTION[key.motion], dtype)
        return _from_checkpoint(AnimateDiffVideoToVideoControlNetPipeline, common)
    common |= {"safety_checker": None, "requires_safety_checker": False}
    return _from_checkpoint(StableDiffusionControlNetInpaintPipeline, common)


def _from_checkpoint(kind: Any, common: dict[str, Any]) -> Any:
    """Load Stable Diffusion itself: the folder ``sd15/``, or where there is none the single file ``sd15.safetensors``.

    A single file contains weights only: network configurations and the tokenizer come from ``sd15_config/``, the
    JSON and text files of any Stable Diffusion 1.5 repository.
    """
    single = weights_folder() / _SINGLE_FILE
    if (weights_folder() / "sd15").is_dir() or not single.is_file():
        return kind.from_pretrained(weight_folder("sd15"), use_safetensors=True, **common)
    # from_single_file knows only the older name.
    rest = {name: value for name, value in common.items() if name not in ("dtype", "requires_safety_checker")}
    return kind.from_single_file(
        str(single), config=str(weight_folder("sd15_config")), torch_dtype=common["dtype"], **rest
    )


def _loaded(kind: Any, name: str, dtype: torch.dtype) -> Any:
    folder = weight_folder(name)
    return kind.from_pretrained(
        folder, variant=_variant(folder), dtype=dtype, use_safetensors=True, local_files_only=True
    )


def _variant(folder: Path) -> str | None:
    """``fp16`` where only the half-precision file was fetched, as ``models.lock`` does to halve the image."""
    return "fp16" if any(folder.glob("*.fp16.safetensors")) else None


def _scheduler(key: ComponentsKey, config: Any) -> LCMScheduler | DPMSolverMultistepScheduler:
    # AnimateDiff's motion modules were trained with linear betas.
    extra = {"beta_schedule": "linear"} if key.has_motion_module else {}
    if key.scheduler == "lcm":
        # Latents are not pictures: they are not bounded to -1..1.
        lcm: LCMScheduler = LCMScheduler.from_config(config, clip_sample=False, **extra)
        return lcm
    dpmpp: DPMSolverMultistepScheduler = DPMSolverMultistepScheduler.from_config(
        config, use_karras_sigmas=True, algorithm_type="dpmsolver++", **extra
    )
    return dpmpp
